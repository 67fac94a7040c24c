"""What a run tells while it trains: accuracy on maps, lines every n steps, layers, graph and histograms in TensorBoard."""

import csv
import io
import re

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from rich.console import Console

from poise.cli.main import main
from poise.errors import InputError
from poise.metrics.accuracy import peaks, released_accuracy
from poise.structures import Batch
from poise.training import loggers
from poise.training.fit import fit
from poise.training.network_log import layers_text
from poise.zoo import build
from poise.zoo.cost import measure_model
from poise.zoo.layers import layers_of, measure_layers_of

HERE = {"device": "cpu", "precision": "fp32", "workers": 0}


def batch_of(model, count=4) -> Batch:
    """People whose keypoints lie anywhere in the view; the first keypoint of each is not labelled, and stands nowhere."""
    h, w = model.codec.size
    k = len(model.skeleton)
    xy = torch.rand(count, k, 2) * torch.tensor([w - 21.0, h - 21.0]) + 10
    visible = torch.full((count, k), 2)
    visible[:, 0] = 0
    xy[:, 0] = torch.nan
    return Batch(torch.zeros(count, 3, h, w), xy, visible, torch.eye(3).repeat(count, 1, 1))


@pytest.mark.parametrize("codec", ["Gaussian", "Dark", "UDPGaussian", "UDPOffset", "Megvii"])
def test_perfect_maps_have_an_accuracy_of_1_and_mirrored_ones_hardly_any(codec):
    model = build("poise_t_coco_64x64", codec=codec)
    batch = batch_of(model)
    perfect = model.codec.encode(batch.xy.nan_to_num())
    found = model.batch_accuracy(perfect, batch)
    assert found.mean == 1.0
    assert found.keypoints[0] == -1, "the release leaves out what is not labelled"
    assert found.counted == len(model.skeleton) - 1
    assert model.batch_accuracy(perfect.flip(-1), batch).mean < 0.5


def test_the_accuracy_is_that_of_the_releases_function_on_target_maps():
    model = build("poise_t_coco_64x64", codec="Gaussian")
    batch = batch_of(model, 8)
    output = torch.rand(8, 17, *model.codec.cells)
    target = model.codec.encode(batch.xy.nan_to_num()) * (batch.visible > 0)[..., None, None]
    assert model.batch_accuracy(output, batch).mean == released_accuracy(output, target).mean


@pytest.mark.parametrize("codec", ["Gaussian", "Dark", "UDPGaussian", "UDPOffset", "Megvii", "MegviiUDP", "Hourglass", "GRMI"])
def test_the_highest_cells_of_labels_are_those_of_the_maps_that_are_not_made(codec):
    made = build("poise_t_coco_64x64", codec=codec).codec
    xy = torch.rand(64, 17, 2) * 90 - 13
    labelled = torch.rand(64, 17) < 0.8
    first = made.encode(xy)[:, :: made.channels // made.keypoints]
    assert torch.equal(made.highest_cells(xy, labelled), peaks(first) * labelled[..., None])


def test_a_model_without_maps_tells_no_accuracy():
    model = build("poise_t_coco_64x64", codec="SimCC")
    assert model.batch_accuracy(torch.zeros(4, 17, sum(model.codec.vectors)), batch_of(model)) is None


def rows_of(path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture(scope="module")
def told(tiny, tmp_path_factory):
    """A run that tells everything; its folder and what it printed."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("told")
    console = Console(record=True, width=250, file=io.StringIO())
    recipe = tiny.recipe(tiny.Tiny(people=24, epochs=2))
    fit(recipe, out=folder, loggers=("tensorboard", "csv"), log_every=2, graph=True, histograms=True, console=console, **HERE)
    return folder, console.export_text()


LINE = re.compile(
    r"epoch \d/2  batch 2/3  loss [\d.e-]+ \([\d.e-]+\)  accuracy \d\.\d{3} \(\d\.\d{3}\)  time [\d.]+ \([\d.]+\)  "
    r"data [\d.]+ \([\d.]+\)  [\d.]+ people/s  [\d.]+ min"
)


def test_lines_come_every_so_many_steps_with_time_speed_data_loss_and_accuracy(told):
    assert len(LINE.findall(told[1])) == 2
    assert "batch 1/3" not in told[1]


def test_the_accuracy_of_each_step_and_epoch_is_kept(told):
    folder, text = told
    rows = rows_of(folder / "metrics.csv")
    assert all(0 <= float(row["train/accuracy"]) <= 1 for row in rows)
    assert f"accuracy {float(rows[0]['train/accuracy']):.3f}  val (" in text
    [file] = (folder / "csv").rglob("metrics.csv")
    steps = [row["step"] for row in rows_of(file) if row.get("train/accuracy")]
    assert steps == ["2", "4", "6"]


def test_tensorboard_has_accuracy_layers_graph_and_histograms(told):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(told[0] / "tensorboard"))
    board.Reload()
    tags = board.Tags()
    assert {"train/accuracy", "train/rate", "rates/group0"} <= set(tags["scalars"])
    assert "weights/backbone.0.weight" in tags["histograms"]
    assert tags["graph"] is True
    assert any(tag.startswith("layers") for tag in tags["tensors"])


def test_a_resumed_run_keeps_the_accuracy_of_a_begun_epoch(tiny, tmp_path):
    quiet = Console(quiet=True)
    recipe = lambda: tiny.recipe(tiny.Tiny(people=24, epochs=2))  # noqa: E731
    fit(recipe(), out=tmp_path / "whole", loggers=(), console=quiet, **HERE)
    fit(recipe(), out=tmp_path / "cut", steps=2, loggers=(), console=quiet, **HERE)
    fit(recipe(), out=tmp_path / "cut", resume=tmp_path / "cut", loggers=(), console=quiet, **HERE)
    whole, cut = (rows_of(tmp_path / name / "metrics.csv") for name in ("whole", "cut"))
    assert [row["train/accuracy"] for row in whole] == [row["train/accuracy"] for row in cut]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"graph": True, "loggers": ("csv",)}, "--graph is for TensorBoard.*--logger tensorboard"),
        ({"histograms": True, "loggers": ()}, "--histograms is for TensorBoard"),
        ({"log_every": 0}, "every so many steps"),
    ],
)
def test_what_nobody_would_receive_is_refused_before_anything_is_written(tiny, tmp_path, flags, says):
    with pytest.raises(InputError, match=says):
        fit(tiny.recipe(), out=tmp_path / "run", **{**HERE, **flags})
    assert not (tmp_path / "run").exists()


def test_the_server_that_mlflows_variable_names_is_used_and_else_a_database_in_the_folder(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(loggers, "MLFlowLogger", lambda **options: made.append(options) or CSVLogger(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    loggers.MAKERS["mlflow"](tmp_path / "run", 0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker:5000")
    loggers.MAKERS["mlflow"](tmp_path / "run", 0)
    assert [one["tracking_uri"] for one in made] == [f"sqlite:///{tmp_path}/run/mlflow.db", "http://tracker:5000"]
    assert made[1]["artifact_location"] is None


@pytest.mark.parametrize("name", ["poise_t_coco_64x64", "lpn_50_gc_coco_256x192", "keypoint_rcnn_R_50_FPN_3x"])
def test_the_layers_of_a_network_add_up_to_its_cost(name):
    rows, cost = layers_of(name), measure_model(name)
    assert sum(row.parameters for row in rows) == cost.parameters
    assert sum(row.multiply_adds for row in rows) == cost.multiply_adds
    assert all(row.output for row in rows if row.name != "between layers")
    assert not any(row.name.startswith("network.") for row in rows)


def test_the_layers_of_a_trained_network_are_those_of_its_name_and_become_markdown():
    model = build("poise_t_coco_64x64")
    rows = measure_layers_of(model.network, (64, 64))
    assert rows == layers_of("poise_t_coco_64x64")
    text = layers_text(rows).splitlines()
    assert len(text) == len(rows) + 2
    assert len({line.count("|") for line in text}) == 1


def test_poise_zoo_lists_kernel_shape_parameters_and_multiply_adds_of_every_layer(capsys):
    assert main(["zoo", "poise_t_coco_64x64", "--layers"]) == 0
    said = capsys.readouterr().out
    rows = layers_of("poise_t_coco_64x64")
    assert all(row.name in said for row in rows)
    assert "3x3 /2" in said
    assert f"{sum(row.parameters for row in rows):,}" in said.splitlines()[-1]
    assert main(["zoo", "--layers"]) == 1
    assert "--layers needs the name of a model" in capsys.readouterr().err
