import json

import cv2
import numpy as np
import pytest

from poise.cli.main import main
from poise.skeletons import COCO17
from poise.weights.model_file import save
from poise.zoo import build


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An image in a sub-folder with two people, and poses: one is found twice, the nearer time with less score."""
    monkeypatch.setenv("COLUMNS", "200")
    rng = np.random.default_rng(0)
    bodies = [rng.uniform(20, 90, (17, 2)), rng.uniform(110, 180, (17, 2))]
    people = [
        {"id": 70 + i, "image_id": 4, "category_id": 1, "bbox": [*(xy.min(0) - 3).tolist(), 76, 76], "area": 3000, "iscrowd": 0}
        | {"keypoints": np.c_[xy, np.full(17, 2)].reshape(-1).tolist()}
        for i, xy in enumerate(bodies)
    ]
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}
    images = [{"id": 4, "file_name": "a/4.jpg", "width": 200, "height": 200}, {"id": 5, "file_name": "b/5.jpg"}]
    (tmp_path / "labels.json").write_text(json.dumps({"images": images, "annotations": people, "categories": [category]}))
    found = [(bodies[0] + 2, 0.9), (bodies[0], 0.4), (bodies[1] + 60, 0.3)]
    rows = [
        {"image_id": 4, "category_id": 1, "score": score, "keypoints": np.c_[xy, np.ones(17)].reshape(-1).tolist()}
        for xy, score in found
    ]
    (tmp_path / "poses.json").write_text(json.dumps(rows))
    (tmp_path / "a").mkdir()
    cv2.imwrite(str(tmp_path / "a" / "4.jpg"), rng.integers(0, 255, (200, 200, 3), np.uint8))
    return tmp_path


def explain(*words) -> int:
    return main(["explain", *map(str, words)])


def test_the_steps_of_a_file_of_poses(folder, capsys):
    assert explain(folder / "poses.json", 4, "--annotations", folder / "labels.json") == 0
    said = capsys.readouterr().out
    assert "3 predictions (p1 has the highest score), 2 labels" in said
    assert "1.000 ^" in said, "the second fits best and is too late"
    assert "70 has 1.000 and is taken by p1" in said
    assert "0.00 .. 0.50 │              51 │    1.0000 │   51.0000" in said
    assert "AP at 0.50 = 51.0000 / 101 = 0.5050; AR = the last recall = 0.5000" in said
    mean = next(line for line in said.splitlines() if line.startswith("│ mean")).split("│")[-3:-1]
    assert said.splitlines()[-1] == f"the protocol for this image: AP {mean[0].strip()}, AR {mean[1].strip()}"


def test_another_threshold_and_other_people(folder, capsys):
    words = (folder / "poses.json", "4.jpg", "--annotations", folder / "labels.json")
    assert explain(*words, "--threshold", 0.95) == 0
    assert "AP at 0.95 = 25.5000 / 101" in capsys.readouterr().out
    assert explain(*words, "--area", "large") == 0
    assert "2 labels, 2 of them ignored" in capsys.readouterr().out
    assert explain(*words, "--threshold", 0.42) == 1
    assert "no threshold 0.42" in capsys.readouterr().err


def test_a_model_looks_at_the_image(folder, capsys):
    model = save(build("poise_t_coco_192x160"), folder / "tiny.safetensors")
    assert explain(model, folder / "a" / "4.jpg", "--annotations", folder / "labels.json", "--no-flip") == 0
    by_path = capsys.readouterr().out
    assert "2 predictions" in by_path
    assert explain(model, 4, "--images", folder, "--annotations", folder / "labels.json", "--no-flip") == 0
    assert capsys.readouterr().out == by_path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("poses.json", "9"),
            "none of the 2 images of the annotations is called '9'; give an id or a file_name, such as a/4.jpg",
        ),
        (("tiny.safetensors", "4"), "image 'a/4.jpg' must be read; give its path, or its folder"),
        (("labels.json", "4"), "is no list of poses"),
        (("nothing.json", "4"), "there is no model file or file of poses"),
        (("boxes.json", "4"), "pose 0 has no keypoints; each needs"),
        (("text.json", "4"), "pose 0 needs `keypoints`, a flat list of finite numbers"),
        (("half.json", "4"), "is not valid JSON"),
        (("strange.json", "4"), "51"),
        (("nan.json", "4"), "finite"),
    ],
)
def test_mistakes_are_told_in_one_sentence(words, says, folder, capsys):
    save(build("poise_t_coco_192x160"), folder / "tiny.safetensors")
    row = {"image_id": 4, "category_id": 1, "score": 1.0}
    write = lambda name, value: (folder / name).write_text(json.dumps(value))  # noqa: E731
    write("boxes.json", [row | {"bbox": [1, 2, 3, 4]}])
    write("text.json", [row | {"keypoints": ["x"] * 51}])
    write("strange.json", [row | {"keypoints": [1.0] * 42}])
    write("nan.json", [row | {"keypoints": [float("nan")] * 51}])
    (folder / "half.json").write_text("[{")
    assert explain(folder / words[0], words[1], "--annotations", folder / "labels.json") == 1
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_nothing_is_cut_off_on_a_terminal_of_80_letters(folder, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    labels = folder / "labels.json"
    labels.write_text(labels.read_text().replace('"id": 70', '"id": 9002000070'))
    assert explain(folder / "poses.json", 4, "--annotations", folder / "labels.json") == 0
    said = capsys.readouterr().out
    assert "…" not in said
    assert "p2: 9002000070 has 1.000 and is taken by p1" in said
