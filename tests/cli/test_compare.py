import json

import cv2
import numpy as np
import pytest

from poise.cli.main import main
from poise.skeletons import COCO17
from poise.weights.model_file import save
from poise.zoo import build


@pytest.fixture
def labels(tmp_path):
    """Eight images with a person each, and two runs on them."""
    rng = np.random.default_rng(0)
    people, rows = [], {"good": [], "bad": []}
    for i in range(1, 9):
        cv2.imwrite(str(tmp_path / f"{i}.jpg"), rng.integers(0, 255, (200, 200, 3), np.uint8))
        xy = rng.uniform(30, 170, (17, 2))
        person = {"id": i, "image_id": i, "category_id": 1, "bbox": [20, 20, 160, 160], "area": 12000, "iscrowd": 0}
        people.append(person | {"keypoints": np.c_[xy, np.full(17, 2)].reshape(-1).tolist()})
        for name, wrong in (("good", 1.0), ("bad", 12.0)):
            found = np.c_[xy + rng.normal(0, wrong, xy.shape), np.ones(17)].reshape(-1).tolist()
            rows[name].append({"image_id": i, "category_id": 1, "keypoints": found, "score": float(rng.random())})
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 200, "height": 200} for i in range(1, 9)]
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": people, "categories": [category]}))
    for name, found in rows.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(found))
    return path


def compare(*words) -> int:
    return main(["compare", *map(str, words)])


def test_the_better_of_two_result_files_is_told(labels, tmp_path, capsys):
    assert compare(tmp_path / "bad.json", tmp_path / "good.json", "--annotations", labels, "--resamples", "200") == 0
    said = capsys.readouterr().out
    assert "better" in said
    assert "worse" not in said
    assert "8 images, drawn with replacement 200 times" in said


def test_a_model_a_run_folder_and_a_file_can_be_compared(labels, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    save(build("poise_t_coco_192x160"), tmp_path / "run" / "model.safetensors")
    flags = ("--annotations", labels, "--images", tmp_path, "--no-flip", "--resamples", "100", "--device", "cpu")
    assert compare(tmp_path / "run", tmp_path / "run" / "model.safetensors", *flags) == 0
    assert "not told apart" in capsys.readouterr().out
    assert compare(tmp_path / "run", tmp_path / "good.json", *flags) == 0
    assert "better" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("first", "says"),
    [
        ("nowhere", "no folder or file of a run"),
        ("none.json", "no folder or file of a run"),
        ("model.safetensors", "--images"),
        ("labels.json", "no list of poses"),
        ("text.json", "pose 0 has image_id"),
        ("nan.json", "finite numbers"),
        ("other.json", "images [77] that the annotations do not list"),
        ("short.json", "42 values"),
    ],
)
def test_mistakes_are_told_in_one_sentence(first, says, labels, tmp_path, capsys):
    good = json.loads((tmp_path / "good.json").read_text())
    changes = {
        "text": {"image_id": [1]},
        "nan": {"score": float("nan")},
        "other": {"image_id": 77},
        "short": {"keypoints": [1] * 42},
    }
    for name, change in changes.items():
        (tmp_path / f"{name}.json").write_text(json.dumps([row | change for row in good]))
    save(build("poise_t_coco_192x160"), tmp_path / "model.safetensors")
    assert compare(tmp_path / first, tmp_path / "good.json", "--annotations", labels) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_an_empty_list_of_poses_is_a_run_that_found_nobody(labels, tmp_path, capsys):
    (tmp_path / "empty.json").write_text("[]")
    assert compare(tmp_path / "good.json", tmp_path / "empty.json", "--annotations", labels, "--resamples", "100") == 0
    assert "worse" in capsys.readouterr().out


def test_too_few_draws_are_refused_before_a_model_looks_at_images(labels, tmp_path, capsys):
    save(build("poise_t_coco_192x160"), tmp_path / "model.safetensors")
    words = ("--annotations", labels, "--images", tmp_path, "--resamples", "20")
    assert compare(tmp_path / "model.safetensors", tmp_path / "good.json", *words) == 1
    said = capsys.readouterr()
    assert "100 resamples" in said.err
    assert not said.out
