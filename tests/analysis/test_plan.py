"""What many images take: the arithmetic, the simulation of skewed inputs, and the command."""

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from poise.analysis.plan import Costs, fleet_lines
from poise.analysis.skew import LoopCosts, largest_share, people_counts, simulate
from poise.cli.main import main
from poise.errors import InputError
from poise.weights.model_file import save
from poise.zoo import build

SECONDS = {"reading": 0.004, "crops": 0.001, "detector": 0.0, "network": 0.012, "decoding": 0.001, "writing": 0.002}
COSTS = Costs(SECONDS, read=150e3, written=2e3, people=2.0, batch=32, alone=0.007, each=0.005, images=9, what="9 images")


def test_the_arithmetic_is_that_of_its_lines():
    core_hours, fleet, data = fleet_lines(COSTS, 1e9, cores=64.0, gpus=None)
    assert core_hours == "1,000,000,000 images x 20.00 ms of a core / 3600 s = 5,555.6 core hours"
    assert fleet == "64 cores, one process each: 5,555.6 / 64 = 86.81 hours"
    assert data.startswith("read: 1,000,000,000 x 150.0 kB = 150.0 TB; written: 1,000,000,000 x 2.0 kB = 2.0 TB")
    assert data.endswith(f"{(150e3 + 2e3) * 1e9 / (86.8056 * 3600) / 1e6:.1f} MB a second together")
    assert "in a day: 5,555.6 / 24 = 231.5 cores; in a week: 33.1 cores" in fleet_lines(COSTS, 1e9, cores=None, gpus=None)
    with pytest.raises(InputError, match="--network-ms"):
        fleet_lines(COSTS, 1e9, cores=None, gpus=8.0)
    planned = COSTS.with_network(0.5, gpu=True)
    lines = fleet_lines(planned, 1e9, cores=None, gpus=8.0)
    assert planned.readers - 1 < planned.on_cores / planned.on_gpu <= planned.readers, "those of the simulation, too"
    assert COSTS.readers == 0
    assert lines[1] == "1,000,000,000 images x 1.00 ms of a GPU / 3600 s = 277.8 GPU hours"
    assert lines[2] == "cores that keep one GPU busy: 8.00 ms / 1.00 ms = 8.0"
    assert lines[3] == "8 GPUs with 64.0 cores: 277.8 / 8 = 34.72 hours"


LOOP = LoopCosts(reading=0.006, fixed=0.005, person=0.004, batch=32, workers=2)


@pytest.mark.parametrize("skew", [0.0, 1.0, 2.0])
def test_batches_across_images_keep_the_network_busy_however_people_are_spread(skew):
    counts = people_counts(20_000, mean=2.5, skew=skew)
    assert sum(counts) / len(counts) == pytest.approx(2.5, rel=0.02)
    across, alone = simulate(counts, LOOP), simulate(counts, LOOP, across=False)
    assert across.people_a_run == pytest.approx(32, rel=0.01)
    assert across.network > 0.97
    assert across.images_a_second > 1.15 * alone.images_a_second
    assert simulate(counts, replace(LOOP, ahead=0)).network < 0.85, "reading stops while the network runs"


def test_a_simulation_has_the_times_of_a_calculation_by_hand():
    slow = replace(LOOP, reading=0.1, workers=1)
    found = simulate([1] * 64, slow)
    assert found.images_a_second == pytest.approx(64 / (64 * 0.1 + 0.005 + 32 * 0.004))  # the network waits for images
    assert found.network == pytest.approx(2 * (0.005 + 32 * 0.004) * found.images_a_second / 64)
    instant = replace(LOOP, reading=0.0)
    assert simulate([2] * 48, instant).images_a_second == pytest.approx(48 / (3 * (0.005 + 32 * 0.004)))
    assert simulate([2] * 48, instant, across=False).people_a_run == 2
    assert (largest_share([100] + [1] * 99), largest_share([1] * 100)) == (pytest.approx(100 / 199), 0.01)
    assert people_counts(4, mean=1.5, skew=0.0) == [1, 2, 1, 2]


def test_the_command_measures_and_calculates(tmp_path, capsys):
    model = str(save(build("poise_t_coco_64x64"), tmp_path / "m.safetensors"))
    cv2.imwrite(str(tmp_path / "a.jpg"), np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8))
    words = ["plan", model, "--images", "1e6", "--people-per-image", "1.5", "--seconds", "0.5", "--batch", "4"]
    words += ["--sample", str(tmp_path)]
    assert main([*words, "--cores", "10"]) == 0
    said = capsys.readouterr().out
    stages = dict(re.findall(r"│ (\w+) +│ +([0-9.]+) │", said))
    assert {"reading", "crops", "network", "decoding", "writing", "together"} == set(stages)
    assert all(float(value) > 0 for value in stages.values())
    [each] = re.findall(r"x ([0-9.]+) ms of a core / 3600 s", said)
    assert float(each) == pytest.approx(float(stages["together"]), abs=0.02)
    assert "10 cores, one process each" in said
    assert "across images" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--images", "0"], "above 0"),
        (["--images", "nan"], "nan"),
        (["--images", "9", "--cores", "2", "--gpus", "3"], "two fleets"),
        (["--images", "9", "--gpus", "3"], "has no GPU"),
        (["--images", "9", "--gpus", "3", "--network-ms", "1", "--detector", "fasterrcnn_resnet50_fpn"], "the detector's"),
        (["--images", "9", "--seconds", "61"], "0 to 60"),
        (["--images", "9", "--sample", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_told_in_one_sentence(words, says, tmp_path, capsys):
    (tmp_path / "m.safetensors").write_bytes(b"")
    assert main(["plan", str(tmp_path / "m.safetensors"), *words]) == 1
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
