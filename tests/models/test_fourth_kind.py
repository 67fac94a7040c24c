"""A kind of model that poise does not know, in one file of a user's own package: trained, evaluated, run by the commands."""

import json
import shutil
from pathlib import Path

import pytest

from poise.data.figures import FigureDataset
from poise.data.figures.export import write_coco

FILE = Path(__file__).parent / "fourth" / "single_animal.py"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the package, and drawn images with labels."""
    folder = tmp_path_factory.mktemp("fourth")
    (folder / "mykind").mkdir()
    (folder / "mykind" / "__init__.py").write_text('"""A user\'s own package."""\n')
    shutil.copy(FILE, folder / "mykind" / "single_animal.py")
    write_coco(FigureDataset(4, seed=3), folder / "data")
    return folder


@pytest.fixture(scope="module")
def trained(place, poise_process):
    done = poise_process(place, "train", "mykind.single_animal:run", "--steps", "4", "--workers", "0", "--out", "run")
    assert done.returncode == 0, done.stderr
    return place / "run" / "model.safetensors"


def test_it_is_trained_and_its_scores_are_kept(trained, place):
    settings = json.loads((place / "run" / "settings.json").read_text())
    assert settings["validation"] == "whole images"
    assert len((place / "run" / "metrics.csv").read_text().splitlines()) >= 2


def test_it_is_evaluated_by_name_of_its_package_alone(trained, place, poise_process):
    words = ("evaluate", str(trained), "--annotations", "data/annotations.json", "--images", "data/images", "--workers", "0")
    refused = poise_process(place, *words)
    assert refused.returncode == 1
    assert "mykind" in refused.stderr
    assert "--plugin" in refused.stderr
    done = poise_process(place, *words, "--plugin", "mykind", "--out", "results.json")
    assert done.returncode == 0, done.stderr
    assert "whole frames in 96 x 96 pixels" in json.loads((place / "results.scores.json").read_text())["settings"]["input"]
    assert len(json.loads((place / "results.json").read_text())) == 4


def test_its_codec_gives_labels_back(trained, place, poise_process):
    done = poise_process(
        place, "evaluate", str(trained), "--annotations", "data/annotations.json", "--images", "data/images", "--self-test",
        "--plugin", "mykind",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "labelled keypoints come back 0.0" in done.stdout


def test_it_predicts_photographs_and_takes_no_boxes(trained, place, poise_process):
    done = poise_process(place, "predict", "data/images", "--model", str(trained), "--plugin", "mykind", "--out", "found")
    assert done.returncode == 0, done.stderr
    rows = json.loads((place / "found" / "predictions.json").read_text())
    assert len(rows) == 4
    assert {len(row["keypoints"]) for row in rows} == {51}
    (place / "boxes.json").write_text(json.dumps([{"image_id": 1, "bbox": [0, 0, 10, 10], "score": 1.0}]))
    refused = poise_process(
        place, "predict", "data/images", "--model", str(trained), "--plugin", "mykind", "--boxes", "boxes.json", "--out", "no"
    )
    assert refused.returncode == 1
    assert "looks at whole images" in refused.stderr
    assert not (place / "no").exists()
