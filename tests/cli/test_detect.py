"""Commands with a detector: as the source of boxes, and a model that finds boxes by itself."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from poise.cli.main import main
from poise.inference.settings import InferenceSettings
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.top_down import TopDown
from poise.skeletons import COCO17
from poise.weights.model_file import save
from poise.zoo import build
from poise.zoo.rcnn.torchvision_detectors import CocoDetector

NAME = "fasterrcnn_resnet50_fpn_v2"


@pytest.fixture(scope="module")
def rcnn(tmp_path_factory):
    """Random weights; everything is somebody."""
    torch.manual_seed(0)
    made = build("poise_rcnn_t_coco_96x96")
    made.config = replace(made.config, score=0.0, per_image=3)
    return save(made, tmp_path_factory.mktemp("model") / "rcnn.safetensors")


@pytest.fixture(scope="module")
def one_person(tmp_path_factory):
    return save(build("poise_t_coco_192x160", codec="Gaussian"), tmp_path_factory.mktemp("model") / "person.safetensors")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two people in the first image, one in the grey second; the third has an alpha channel, the fourth one pixel."""
    place = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    shapes = {1: (120, 160, 3), 2: (100, 90), 5: (60, 60, 4), 6: (1, 1, 3)}
    for i, shape in shapes.items():
        cv2.imwrite(str(place / f"{i}.png"), rng.integers(0, 255, shape, np.uint8))
    return place


PEOPLE = {1: [[20, 20, 50, 80], [90, 10, 50, 90]], 2: [[10, 10, 60, 70]]}


@pytest.fixture(scope="module")
def labels(folder, tmp_path_factory):
    rng = np.random.default_rng(1)
    people = []
    for image, boxes in PEOPLE.items():
        for x, y, w, h in boxes:
            keypoints = np.c_[rng.uniform(x, x + w, 17), rng.uniform(y, y + h, 17), np.full(17, 2)].reshape(-1).tolist()
            person = {"id": len(people) + 1, "image_id": image, "category_id": 1, "bbox": [x, y, w, h], "area": w * h}
            people.append(person | {"iscrowd": 0, "keypoints": keypoints, "num_keypoints": 17})
    images = [
        {"id": i, "file_name": f"{i}.png", "height": h, "width": w}
        for i, (h, w) in {1: (120, 160), 2: (100, 90), 5: (60, 60), 6: (1, 1)}.items()
    ]
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}
    path = tmp_path_factory.mktemp("labels") / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": people, "categories": [category]}))
    return path


class Knows(nn.Module):
    """Finds the people above by the sizes of their images, and a dog everywhere."""

    def forward(self, images):
        [image] = images
        boxes = PEOPLE.get({160: 1, 90: 2}.get(image.shape[2], 0), [])
        found = torch.tensor([[x, y, x + w, y + h] for x, y, w, h in boxes] + [[0, 0, 5, 5]]).float()
        score = torch.tensor([*(0.9, 0.2)[: len(boxes)], 0.99])
        return [{"boxes": found, "labels": torch.tensor([1] * len(boxes) + [18]), "scores": score}]


@pytest.fixture
def known(monkeypatch):
    monkeypatch.setattr("poise.inference.detect.load_detector", lambda name: CocoDetector(name, Knows(), 1))


def run(*words) -> int:
    return main([*map(str, words)])


def test_boxes_of_an_annotation_file_have_its_ids_and_can_be_evaluated_in(one_person, folder, labels, known, tmp_path, capsys):
    out = tmp_path / "boxes.json"
    assert run("detect", labels, "--images", folder, "--detector", NAME, "--out", out) == 0
    said = capsys.readouterr().out
    assert f"3 boxes of people in 4 images by torchvision's {NAME}: {out}" in said
    assert "2 images without anybody" in said
    found = json.loads(out.read_text())
    assert [(row["image_id"], row["category_id"], row["bbox"], row["score"]) for row in found] == [
        (1, 1, [20.0, 20.0, 50.0, 80.0], 0.9),
        (1, 1, [90.0, 10.0, 50.0, 90.0], 0.2),
        (2, 1, [10.0, 10.0, 60.0, 70.0], 0.9),
    ]
    words = ("--annotations", labels, "--images", folder, "--no-flip")
    assert run("evaluate", one_person, *words, "--boxes", out, "--out", tmp_path / "given.json") == 0
    assert run("evaluate", one_person, *words, "--detector", NAME, "--out", tmp_path / "looked.json") == 0
    given, looked = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("given", "looked"))
    assert given == looked
    assert not (tmp_path / "given.boxes.json").exists()


def test_evaluation_in_a_detectors_boxes_says_what_they_score(one_person, folder, labels, known, tmp_path, capsys):
    out, page = tmp_path / "found.json", tmp_path / "report.html"
    words = ("--annotations", labels, "--images", folder, "--no-flip", "--detector", NAME, "--out", out, "--report", page)
    assert run("evaluate", one_person, *words) == 0
    said = capsys.readouterr().out
    assert f"3 boxes of torchvision's {NAME}, flip test off" in said
    assert "| Boxes | box AP | AP .5 |" in said
    assert f"| torchvision's {NAME} | 1.000 | 1.000 |" in said
    assert said.splitlines()[-1].startswith("| poise_t_coco_192x160, Gaussian")
    stored = json.loads((tmp_path / "found.scores.json").read_text())
    assert stored["scores"]["box AP"] == pytest.approx(1.0)
    assert stored["settings"]["boxes"] == f"3 boxes of torchvision's {NAME}"
    assert len(json.loads((tmp_path / "found.boxes.json").read_text())) == 3
    assert "3 boxes were found" in page.read_text(encoding="utf-8")


def test_weak_boxes_can_be_left_out(one_person, folder, labels, known, capsys):
    words = ("--annotations", labels, "--images", folder, "--no-flip", "--detector", NAME, "--min-box-score", 0.5)
    assert run("evaluate", one_person, *words) == 0
    assert f"2 boxes of torchvision's {NAME}" in capsys.readouterr().out
    assert run("evaluate", one_person, *words[:-1], 0.95) == 1
    assert "found nobody in these images" in capsys.readouterr().err


@pytest.mark.parametrize(("least", "people"), [((), 2), (("--min-box-score", 0.1), 3), (("--min-box-score", 1), 0)])
def test_pictures_of_a_folder_are_looked_into_where_a_detector_says(one_person, folder, known, tmp_path, capsys, least, people):
    words = (folder, "--model", one_person, "--detector", NAME, "--out", tmp_path / "found", *least)
    assert run("predict", *words) == 0
    found = json.loads((tmp_path / "found" / "predictions.json").read_text())
    assert len(found) == people
    assert all(row["bbox"] in [[float(v) for v in box] for box in PEOPLE[row["image_id"]]] for row in found)
    assert {path.name for path in (tmp_path / "found").glob("*.jpg")} == {f"{i}.png.jpg" for i in (1, 2, 5, 6)}
    assert f"{people} people in 4 images" in capsys.readouterr().out


@pytest.mark.parametrize("least", ["nan", "2", "-0.1"])
@pytest.mark.parametrize("command", ["detect", "predict", "evaluate"])
def test_a_least_score_that_no_box_can_have_is_refused_before_anything(
    one_person, folder, labels, known, tmp_path, capsys, command, least
):
    out = tmp_path / "made.json"
    words = {
        "detect": ("detect", folder, "--detector", NAME, f"--min-score={least}"),
        "predict": ("predict", folder, "--model", one_person, "--detector", NAME, f"--min-box-score={least}"),
        "evaluate": ("evaluate", one_person, "--annotations", labels, "--images", folder, f"--min-box-score={least}"),
    }
    assert run(*words[command], "--out", out) == 1
    said = capsys.readouterr().err
    assert f"score is a number from 0 to 1, as scores of boxes are, not {least}" in said or f"; found {least}" in said
    assert not out.exists()


def test_boxes_of_photographs_are_read_by_predict(rcnn, one_person, folder, tmp_path, capsys):
    out = tmp_path / "boxes.json"
    assert run("detect", folder, "--detector", rcnn, "--out", out, "--min-score", 0.1) == 0
    found = json.loads(out.read_text())
    assert {row["file_name"] for row in found} == {f"{i}.png" for i in (1, 2, 5, 6)}
    assert {row["image_id"] for row in found} == {1, 2, 5, 6}
    assert run("predict", folder, "--model", one_person, "--boxes", out, "--out", tmp_path / "found") == 0
    assert len(json.loads((tmp_path / "found" / "predictions.json").read_text())) == len(found)
    assert "skipped" not in capsys.readouterr().out


def test_a_model_that_finds_boxes_needs_none(rcnn, folder, tmp_path, capsys):
    words = (folder, "--model", rcnn, "--min-box-score", 0.1, "--out", tmp_path / "found")
    assert run("predict", *words) == 0
    found = json.loads((tmp_path / "found" / "predictions.json").read_text())
    assert {row["image_id"] for row in found} == {1, 2, 5, 6}
    assert all(min(row["bbox"][2:]) > 0 for row in found if row["image_id"] != 6), "parts of its one pixel are written as 0"
    assert len(list((tmp_path / "found").glob("*.jpg"))) == 4
    assert run("predict", *words[:-3], 0.9, *words[-2:]) == 0
    assert json.loads((tmp_path / "found" / "predictions.json").read_text()) == []
    assert "0 people in 4 images" in capsys.readouterr().out


def test_batches_are_padded_where_that_is_asked_and_the_scores_say_so(rcnn, one_person, folder, labels, tmp_path, capsys):
    out = tmp_path / "poses.json"
    for flags, batches in ((["--pad-batches", "--batch", 3], "of 3, padded to their largest view"), ([], None)):
        assert run("evaluate", rcnn, "--annotations", labels, "--images", folder, *flags, "--out", out) == 0
        assert json.loads((tmp_path / "poses.scores.json").read_text())["settings"].get("batches") == batches
    assert run("predict", folder, "--model", rcnn, "--pad-batches", "--out", tmp_path / "found") == 0
    assert run("detect", folder, "--detector", rcnn, "--pad-batches", "--batch", 4, "--out", tmp_path / "boxes.json") == 0
    capsys.readouterr()
    assert run("predict", folder, "--model", one_person, "--pad-batches", "--out", tmp_path / "no") == 1
    assert "nothing to pad; leave out --pad-batches" in " ".join(capsys.readouterr().err.split())


def test_with_a_detector_it_is_the_detectors_batches_that_are_padded(rcnn, one_person, folder, labels, tmp_path, monkeypatch):
    seen = []
    made = InferenceSettings.of
    monkeypatch.setattr(
        InferenceSettings, "of", lambda model, **how: seen.append((type(model), how["pad_batches"])) or made(model, **how)
    )
    words = ("--detector", rcnn, "--pad-batches", "--min-box-score", 0.0)
    assert run("predict", folder, "--model", one_person, *words, "--out", tmp_path / "found") == 0
    assert run("evaluate", one_person, "--annotations", labels, "--images", folder, *words) == 0
    assert seen == [(TopDown, False), (KeypointRCNN, True)] * 2


def test_a_model_that_finds_boxes_is_measured_by_both_protocols(rcnn, folder, labels, tmp_path, capsys):
    out, page = tmp_path / "found.json", tmp_path / "report.html"
    words = ("--annotations", labels, "--images", folder, "--no-flip", "--out", out, "--report", page)
    assert run("evaluate", rcnn, *words) == 0
    said = capsys.readouterr().out
    assert "whole images, flip test off" in said
    assert "| Boxes | box AP |" in said
    assert said.splitlines()[-1].startswith("| poise_rcnn_t_coco_96x96, Gaussian in boxes | ")
    stored = json.loads((tmp_path / "found.scores.json").read_text())["scores"]
    assert {"AP", "pck@0.1", "box AP", "box ARl"} <= set(stored)
    boxes = json.loads((tmp_path / "found.boxes.json").read_text())
    assert len(boxes) == len(json.loads(out.read_text()))
    assert run("evaluate", rcnn, "--annotations", labels, "--self-test") == 0
    assert "labels through the codec" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--detector", NAME, "--boxes", "LABELS"), "leave one of them out"),
        (("--detector", "fasterrcnn_resnet50"), "did you mean 'fasterrcnn_resnet50_fpn'"),
        (("--detector", "nowhere.safetensors"), "there is no model file"),
        (("--detector", "MODEL"), "finds no boxes, so it is no detector"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_detectors_that_are_none_are_told_in_one_sentence(one_person, folder, labels, tmp_path, capsys, command, words, says):
    given = [{"MODEL": one_person, "LABELS": labels}.get(word, word) for word in words]
    if command == "predict":
        given = [folder, "--model", one_person, "--out", tmp_path / "found", *given]
    else:
        given = [one_person, "--annotations", labels, "--images", folder, *given]
    assert run(command, *given) == 1
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not (tmp_path / "found").exists()


def test_whole_images_take_no_detector(rcnn, folder, capsys):
    assert run("predict", folder, "--model", rcnn, "--detector", NAME) == 1
    assert "leave out --detector" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("LABELS",), "give their folder or zip file with --images"),
        (("FOLDER", "--images", "FOLDER"), "--images is for one annotation file"),
        (("nowhere",), "there is no file or folder"),
        (("FOLDER", "--out", "FOLDER"), "is a folder; --out names a file"),
        (("FOLDER", "--out", "FOLDER/1.png"), "--out names a file that ends in .json; found"),
        (("LABELS", "--images", "FOLDER", "--out", "LABELS"), "is read by this command, and --out would overwrite it"),
    ],
)
def test_what_cannot_be_looked_at_is_told(rcnn, folder, labels, tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(tmp_path)
    given = [word.replace("LABELS", str(labels)).replace("FOLDER", str(folder)) for word in words]
    before = labels.read_bytes(), (folder / "1.png").read_bytes()
    assert run("detect", *given, "--detector", rcnn) == 1
    assert says in capsys.readouterr().err
    assert (labels.read_bytes(), (folder / "1.png").read_bytes()) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("evaluate", "MODEL", "--out", "LABELS"), "is read by this command, and --out would overwrite it"),
        (("evaluate", "MODEL", "--out", "IMAGE"), "--out names a file that ends in .json or .mat; found"),
        (("evaluate", "MODEL", "--report", "IMAGE"), "--report names a file that ends in .html or .htm; found"),
        (("evaluate", "MODEL", "--min-keypoint-score", "nan"), "--min-keypoint-score is a number"),
        (("evaluate", "MODEL", "--scales", 1000), "--scales"),
        (("compare-decoders", "MODEL", "--out", "LABELS"), "is read by this command, and --out would overwrite it"),
        (("calibrate", "MODEL", "--out", "LABELS/new.safetensors"), "cannot be written"),
        (("calibrate", "MODEL", "--out", "FOLDER.safetensors"), "is a folder; --out names a file"),
        (("calibrate", "MODEL", "--out", "MODEL"), "is read by this command, and --out would overwrite it"),
        (("calibrate", "MODEL", "--out", "new.pt"), "--out names a file that ends in .safetensors"),
    ],
)
def test_places_and_numbers_that_cannot_be_are_told_before_any_work(rcnn, folder, labels, tmp_path, capsys, words, says):
    (tmp_path / "folder.safetensors").mkdir()
    places = {"LABELS": labels, "MODEL": rcnn, "IMAGE": folder / "1.png", "FOLDER.safetensors": tmp_path / "folder.safetensors"}
    places["LABELS/new.safetensors"] = labels / "new.safetensors"
    before = labels.read_bytes(), (folder / "1.png").read_bytes()
    assert run(*(places.get(word, word) for word in words), "--annotations", labels, "--images", folder) == 1
    said = capsys.readouterr()
    assert says in said.err
    assert "AP" not in said.out
    assert (labels.read_bytes(), (folder / "1.png").read_bytes()) == before


def test_a_broken_image_is_skipped_and_told(rcnn, folder, tmp_path, capsys):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no")
    assert run("detect", folder / "1.png", bad, "--detector", rcnn, "--out", tmp_path / "boxes.json") == 0
    said = capsys.readouterr().out
    assert "bad.png" in said
    assert "1 image was skipped; it has no boxes" in said
    assert run("detect", bad, "--detector", rcnn, "--out", tmp_path / "none.json") == 1
    assert not (tmp_path / "none.json").exists()


@pytest.mark.parametrize(("codec", "names"), [("Gaussian", ("", " cell", " dark")), ("OneHot", (" blurred", " peak"))])
def test_decoders_of_a_detector_are_compared(folder, labels, tmp_path, capsys, codec, names):
    made = build("poise_rcnn_t_coco_96x96", codec=codec)
    made.config = replace(made.config, score=0.0, per_image=3)
    model, out = save(made, tmp_path / "model.safetensors"), tmp_path / "table.json"
    words = ("--annotations", labels, "--images", folder, "--no-flip", "--out", out)
    readings = [name.strip() for name in names if name]
    assert run("compare-decoders", model, *words, "--readings", *readings) == 0
    said = capsys.readouterr().out.splitlines()
    rows = [line.split("|")[1].strip() for line in said if line.startswith("| poise_rcnn_t")]
    end = " in boxes" if codec == "Gaussian" else ""
    assert rows == [f"poise_rcnn_t_coco_96x96, {codec}{name}{end}" for name in names]
    assert any(codec + end in line for line in said if "people" in line and "AP50" in line)
    assert all(line["milliseconds"] > 0 for line in json.loads(out.read_text())["decoders"])
    assert run("evaluate", model, *words[:-2], "--reading", readings[-1]) == 0
    assert f"read by {codec}{names[-1]}{end}" in capsys.readouterr().out


def test_a_detector_read_in_one_way_only_is_named_with_its_codec(folder, labels, tmp_path, capsys):
    model = save(build("poise_rcnn_t_coco_96x96", codec="Regression"), tmp_path / "model.safetensors")
    assert run("compare-decoders", model, "--annotations", labels, "--images", folder) == 1
    said = capsys.readouterr().err
    assert "outputs of poise_rcnn_t_coco_96x96 (Regression in boxes) can be decoded in one way only" in said
    assert "RoIAdapter" not in said
