"""`poise evaluate` on MPII's JSON, told by its content."""

import json

import cv2
import numpy as np
import pytest

from poise.cli.main import main
from poise.data.mat import read_mat, write_mat
from poise.weights.model_file import save
from poise.zoo import build


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(build("poise_t_mpii_128x128"), tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture
def labels(tmp_path):
    """Three people in two images."""
    rng = np.random.default_rng(0)
    people = []
    for image in ("1.jpg", "2.jpg", "1.jpg"):
        cv2.imwrite(str(tmp_path / image), rng.integers(0, 255, (200, 200, 3), np.uint8))
        joints = rng.uniform(60, 140, (16, 2)).round(1).tolist()
        people.append({"image": image, "center": [100.0, 100.0], "scale": 0.6, "joints": joints, "joints_vis": [1] * 16})
    path = tmp_path / "valid.json"
    path.write_text(json.dumps(people))
    write_mat(tmp_path / "gt_val.mat", {"headboxes_src": rng.uniform(10, 50, (2, 2, 3))})
    return path


def evaluate(model, labels, *words) -> int:
    return main(["evaluate", str(model), "--annotations", str(labels), *map(str, words)])


def test_the_last_lines_are_pckh_and_results_are_written_as_people_submit_them(model, labels, tmp_path, capsys):
    pytest.importorskip("scipy.io")
    out = tmp_path / "pred.mat"
    assert evaluate(model, labels, "--self-test", "--heads", tmp_path / "gt_val.mat", "--out", out) == 0
    said = capsys.readouterr().out.splitlines()
    columns = "Head | Shoulder | Elbow | Wrist | Hip | Knee | Ankle | Mean | Mean@0.1 | true Mean@0.1"
    assert said[-3] == f"| Arch | {columns} |"
    assert said[-1].startswith("| labels through the codec | 100.000 | 100.000")
    stored = read_mat(out)["preds"]
    assert stored.shape == (3, 16, 2)
    expected = np.array([person["joints"] for person in json.loads(labels.read_text())])
    assert np.abs(stored - expected).max() < 0.5, "rows stand in the order of the JSON and count from pixel 1"


def test_without_heads_it_says_so_and_measures_in_torsos(model, labels, tmp_path, capsys):
    assert evaluate(model, labels, "--images", tmp_path, "--no-flip") == 0
    said = capsys.readouterr().out.splitlines()
    assert any("PCKh needs head boxes and there are none" in line for line in said)
    assert said[-3] == "| Arch | Head | Shoulder | Elbow | Wrist | Hip | Knee | Ankle | Mean |"


def test_people_without_labels_are_looked_for_so_that_they_can_be_handed_in(model, labels, tmp_path, capsys):
    pytest.importorskip("scipy.io")
    people = json.loads(labels.read_text())
    labels.write_text(json.dumps([{k: v for k, v in p.items() if not k.startswith("joints")} for p in people]))
    assert evaluate(model, labels, "--images", tmp_path, "--no-flip", "--out", tmp_path / "pred.mat") == 0
    assert "nobody is labelled, so there is no PCKh" in capsys.readouterr().out
    assert np.isfinite(read_mat(tmp_path / "pred.mat")["preds"]).all()


def test_what_is_for_mpii_alone_is_refused_elsewhere(model, labels, tmp_path, capsys):
    coco = tmp_path / "coco.json"
    person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 50, 50], "keypoints": [9, 9, 2, 20, 20, 2]}
    category = {"id": 1, "name": "person", "keypoints": ["right_ankle", "left_ankle"]}
    coco.write_text(
        json.dumps({"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [person], "categories": [category]})
    )
    assert evaluate(model, coco, "--self-test", "--heads", tmp_path / "gt_val.mat") == 1
    assert "head boxes are for MPII's JSON" in capsys.readouterr().err
    assert evaluate(model, coco, "--self-test", "--out", tmp_path / "pred.mat") == 1
    assert "for MPII's JSON alone" in capsys.readouterr().err
