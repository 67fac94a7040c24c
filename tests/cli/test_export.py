"""The README's five lines on an export: areas of 0, a hundred images that nobody has labelled yet, paths of Windows."""

import json

import pytest

from poise.cli.main import main
from poise.data.figures import FigureDataset, write_coco

SMALL = ("--model", "poise_t", "--size", "64", "64", "--steps", "1", "--workers", "0", "--batch", "4", "--device", "cpu")


@pytest.fixture
def export(tmp_path):
    write_coco(FigureDataset(8, size=(96, 96)), tmp_path)
    document = json.loads((tmp_path / "annotations.json").read_text())
    document["images"] += [{"id": 1000 + i, "file_name": f"later/{i}.jpg", "width": 96, "height": 96} for i in range(100)]
    document["annotations"] = [
        {k: v for k, v in a.items() if k != "segmentation"} | {"area": 0} for a in document["annotations"]
    ]
    for image in document["images"]:
        image["file_name"] = "D:\\Labels\\Project 1\\" + image["file_name"].replace("/", "\\")
    (tmp_path / "annotations.json").write_text(json.dumps(document))
    return tmp_path


def test_the_five_lines_of_the_readme_survive_an_export(export, monkeypatch, capsys):
    monkeypatch.chdir(export)
    assert main(["data", "check", "annotations.json"]) in (0, 1)
    assert "\u2026" not in capsys.readouterr().out  # long paths are folded, not cut before the name of the file
    assert main(["data", "split", "annotations.json", "--share", "0.75", "--out", "splits"]) == 0
    told = capsys.readouterr().out
    assert "labelled people, 100 images without any" in told
    files = ("--annotations", "splits/train.json", "--val-annotations", "splits/val.json", "--images", "images")
    assert main(["train", "finetune", *files, *SMALL, "--out", "run"]) == 0
    told = capsys.readouterr()
    assert "are few: an epoch goes through them" in told.out
    model = "run/model.safetensors"
    assert main(["evaluate", model, "--annotations", "splits/val.json", "--images", "images", "--device", "cpu"]) == 0
    assert main(["evaluate", model, "--annotations", "splits/val.json", "--self-test"]) == 0
    assert "-1.000" not in capsys.readouterr().out
    assert main(["data", "check", "splits/val.json", "--images", "images"]) in (0, 1)
    assert "missing" not in capsys.readouterr().out
    assert main(["predict", "images/*.jpg", "--model", model, "--out", "found", "--device", "cpu"]) in (0, 1)


def test_several_categories_are_one_class_for_models_of_whole_images(export, monkeypatch, capsys):
    monkeypatch.chdir(export)
    document = json.loads((export / "annotations.json").read_text())
    names = document["categories"][0]["keypoints"]
    cats = {
        **document["categories"][0],
        "id": 2,
        "name": "cat",
        "keypoints": [*names[:5], "tip"],
        "skeleton": [],
        "sigmas": None,
    }
    for annotation in document["annotations"][::2]:
        annotation |= {"category_id": 2, "keypoints": annotation["keypoints"][:18]}
    (export / "two.json").write_text(json.dumps(document | {"categories": [*document["categories"], cats]}))
    files = ("--annotations", "two.json", "--images", "images")
    small = [word if word != "poise_t" else "poise_rcnn_t" for word in SMALL]
    assert main(["train", "finetune", *files, *small, "--out", "run"]) == 0
    assert main(["evaluate", "run/model.safetensors", "--annotations", "two.json", "--self-test"]) == 0
    assert "poise_rcnn_t" in capsys.readouterr().out
