"""`poise predict` over many photographs: pictures or none, and going on after a stop to the rows of a run without one."""

import json
import shutil

import cv2
import numpy as np
import pytest

from poise.cli import _predict
from poise.cli.main import main
from poise.inference.unfinished import STATE
from poise.inference.write import Writer
from poise.weights.model_file import save
from poise.zoo import build

FILES = {"coco": "predictions.json", "csv": "predictions.csv", "jsonl": "predictions.jsonl"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(build("poise_t_coco_192x160"), tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Nine images; two of them cannot be read."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(1, 10):
        cv2.imwrite(str(folder / f"{number}.jpg"), rng.integers(0, 255, (60, 80, 3), np.uint8))
    for number in (2, 8):
        (folder / f"{number}.jpg").write_bytes(b"\xff\xd8 broken")
    return folder


def predict(*words) -> int:
    return main(["predict", *map(str, words), "--precision", "fp32", "--whole-image", "--batch", "1"])


class Killed(BaseException):
    """What stands for the end of a process."""


def stop_after(monkeypatch, count, *, copy):
    """The process ends behind so many images; `copy` is given the folder as a kill would leave it."""
    left, add = [count], Writer.add

    def added(writer, found):
        if not left[0]:
            shutil.copytree(writer.folder, copy)
            raise Killed
        left[0] -= 1
        add(writer, found)

    monkeypatch.setattr(Writer, "add", added)


@pytest.mark.parametrize(
    ("form", "stopped"), [("coco", "killed"), ("coco", "stopped"), ("csv", "stopped"), ("jsonl", "killed")]
)
def test_a_run_that_was_killed_or_interrupted_goes_on_to_the_same_rows(
    form, stopped, model, photos, tmp_path, monkeypatch, capsys
):
    words = (photos, "--model", model, "--format", form, "--no-pictures")
    assert predict(*words, "--out", tmp_path / "whole") == 0
    assert "side by side" in capsys.readouterr().out
    monkeypatch.setattr(_predict, "EVERY", 2)
    with monkeypatch.context() as patch:
        stop_after(patch, 5, copy=tmp_path / "killed")
        with pytest.raises(Killed):
            predict(*words, "--out", tmp_path / "stopped")
    file = FILES[form]
    assert (tmp_path / "killed" / f"{file}.part").is_file()
    assert (tmp_path / "stopped" / file).is_file(), "an interrupted run leaves a whole file of what was found"
    capsys.readouterr()
    assert predict(*words, "--out", tmp_path / stopped, "--resume") == 0
    said = capsys.readouterr().out
    assert f"going on after {5 if stopped == 'killed' else 6} images" in said
    assert "2 images were skipped" in said
    assert "7 people in 7 images" in said
    assert sorted(p.name for p in (tmp_path / stopped).iterdir() if p.name != ".poise-lock") == [file]
    assert (tmp_path / stopped / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_going_on_is_refused_with_other_settings_and_begun_anew_without_the_flag(model, photos, tmp_path, monkeypatch, capsys):
    words = (photos, "--model", model, "--out", tmp_path / "out")
    with monkeypatch.context() as patch:
        stop_after(patch, 3, copy=tmp_path / "copy")
        with pytest.raises(Killed):
            predict(*words)
    assert predict(*words, "--resume", "--min-score", "0.1") == 1
    assert "other settings (minimum)" in capsys.readouterr().err
    assert predict(photos / "1.jpg", *words[1:], "--resume") == 1
    assert "other settings (images or boxes)" in capsys.readouterr().err
    state = tmp_path / "out" / STATE
    values = json.loads(state.read_text())
    state.write_text(json.dumps(values | {"bytes": 10**6}))
    assert predict(*words, "--resume") == 1
    assert "has lost rows" in capsys.readouterr().err
    state.write_text("{}")
    assert predict(*words, "--resume") == 1
    assert "is no state of a run" in capsys.readouterr().err
    assert predict(*words) == 0
    assert "is begun anew" in capsys.readouterr().out
    assert not state.exists()
    assert len(list((tmp_path / "out").glob("*.jpg"))) == 7
    assert predict(*words, "--resume") == 0
    assert "is finished" in capsys.readouterr().out


def test_flags_that_would_change_nothing_are_refused(model, photos, tmp_path, capsys):
    assert predict(photos, "--model", model, "--out", tmp_path / "a", "--full-size") == 1
    assert "belongs to --no-pictures" in capsys.readouterr().err
    assert predict(photos, "--model", model, "--out", tmp_path / "a", "--as-video", "--no-pictures") == 1
    assert "--no-pictures is for photographs" in capsys.readouterr().err
    assert predict(photos, "--model", model, "--out", tmp_path / "a", "--resume") == 0, "there is nothing to go on with"
