import json
import os
import shutil

import pytest
import torch

from poise.cli.main import main
from poise.data.figures import FigureDataset, write_coco
from poise.weights.model_file import load, save


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Drawings, and a run on them that was started there, with paths that hold only there."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("home")
    write_coco(FigureDataset(16, size=(96, 96)), folder)
    words = [
        "train",
        "own",
        "--annotations",
        "annotations.json",
        "--images",
        "images",
        "--val-share",
        "0.4",
        "--model",
        "poise_t",
    ]
    words += ["--size", "64", "64", "--epochs", "1", "--workers", "0", "--batch", "4", "--device", "cpu", "--out", "run"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(words) == 0
    return folder


@pytest.fixture
def copy(home, tmp_path):
    """The same, where it may be changed."""
    whole = tmp_path / "home"
    shutil.copytree(home, whole)
    settings = json.loads((whole / "run" / "settings.json").read_text())
    (whole / "run" / "settings.json").write_text(json.dumps(settings | {"folder": str(whole)}))
    return whole


def test_a_run_keeps_what_is_needed_to_measure_it_again(home):
    settings = json.loads((home / "run" / "settings.json").read_text())
    val = settings["data"]["val"]
    assert val["images"] == 6
    assert len(val["files"]["annotations.json"]) == len(val["labels"]) == len(val["pictures"]) == 64
    assert settings["data"]["train"]["labels"] != val["labels"]
    assert settings["rate"] | {"rule": "", "used": 0} == {
        "rule": "",
        "recipe": 0.001,
        "recipe_batch": 32,
        "batch": 4,
        "used": 0,
    }
    assert settings["rate"]["used"] == pytest.approx(0.001 * 4 / 32)
    assert {"poise", "python", "torch", "lightning", "numpy"} <= set(settings["versions"])
    assert settings["hardware"]["cores"] >= 1
    assert settings["seeds"]["run"] == 0


def test_a_run_that_is_as_it_was_passes_from_anywhere(home, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["verify", str(home / "run"), "--tolerance", "1e-5", "--resamples", "100"]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1].startswith("PASS: the data are those of the run")
    assert "pck@0.1" in said


def test_another_score_than_the_stored_one_fails(copy, capsys):
    model = load(copy / "run" / "model.safetensors")
    model.card.scores["val/pck@0.1"] += 0.1
    save(model, copy / "run" / "model.safetensors")
    assert main(["verify", str(copy / "run"), "--resamples", "100"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("FAIL")


def relabelled(home):
    path = home / "annotations.json"
    document = json.loads(path.read_text())
    for annotation in document["annotations"]:
        annotation["keypoints"][0] += 1
    path.write_text(json.dumps(document))


def resized(home):
    for path in (home / "images").iterdir():
        path.write_bytes(path.read_bytes() + b"\0")


def shortened(home):
    path = home / "annotations.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"images": document["images"][:-1], "annotations": document["annotations"][:2]}))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (relabelled, "its labels have changed"),
        (relabelled, "annotations.json has changed"),
        (resized, "its image files have other names or sizes"),
        (shortened, "people were"),
        (lambda home: (home / "annotations.json").unlink(), "annotations.json'; check the path"),
        (lambda home: shutil.rmtree(home / "images"), "no images folder"),
        (lambda home: (home / "run" / "model.safetensors").unlink(), "holds no run"),
        (lambda home: (home / "run" / "settings.json").write_text("{}"), "kept no checksums"),
    ],
)
def test_changed_data_and_missing_files_are_told_in_one_sentence(change, says, copy, capsys):
    change(copy)
    assert main(["verify", str(copy / "run")]) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("poise verify: ") == 1
    assert error.splitlines()[-1].startswith("poise verify: ")


def test_a_detector_is_measured_again_by_keypoints_and_boxes_and_fails_with_other_weights(tmp_path, capsys):
    torch.set_num_threads(1)
    words = ["train", "detector_drawn", "--images", "8", "--checked", "4", "--side", "64", "--epochs", "1", "--workers", "0"]
    run = tmp_path / "run"
    assert main([*words, "--batch", "4", "--device", "cpu", "--precision", "fp32", "--out", str(run)]) == 0
    again = ["verify", str(run), "--tolerance", "1e-5", "--resamples", "100", "--batch", "4"]
    assert main(again) == 0
    said = capsys.readouterr().out
    assert "box AP50" in said
    assert "4 images, whole images" in said
    model = load(run / "model.safetensors")
    with torch.no_grad():
        for weight in model.network.box.parameters():
            weight.zero_()
    save(model, run / "model.safetensors")
    assert main(again) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("FAIL")


def test_a_run_is_measured_with_the_limits_it_was_trained_with_unless_others_are_given(copy, capsys, monkeypatch):
    monkeypatch.delenv("POISE_MAX_PIXELS", raising=False)
    place = copy / "run" / "settings.json"
    settings = json.loads(place.read_text())
    assert "limits" not in settings["settings"]
    settings["settings"]["limits"] = {"--max-pixels": "1000", "--outside-images": "yes", "PATH": "1"}
    place.write_text(json.dumps(settings))
    assert main(["verify", str(copy / "run"), "--resamples", "100"]) == 1
    said = capsys.readouterr().err
    assert "1,000 are the most" in said
    assert "images are read as in the run" in said
    assert "POISE_MAX_PIXELS" not in os.environ
    assert main(["verify", str(copy / "run"), "--resamples", "100", "--max-pixels", "100000"]) == 0


def test_a_run_keeps_the_limits_of_its_command(monkeypatch):
    from poise.cli.train import _settings

    monkeypatch.setenv("POISE_MAX_PIXELS", "400000000")
    monkeypatch.setenv("POISE_OUTSIDE_IMAGES", "1")
    assert _settings(["finetune"])["limits"] == {"--max-pixels": "400000000", "--outside-images": "1"}
