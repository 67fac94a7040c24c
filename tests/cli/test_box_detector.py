"""Commands with a detector that has no keypoint head: a source of boxes, measured by them; and told wherever it will not do."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from poise.cli.main import main
from poise.models.box_detector import BoxDetector
from poise.skeletons import COCO17
from poise.weights.model_file import load, save
from poise.zoo import build, faster_rcnn
from poise.zoo.importing import official_state

NAME = "faster_rcnn_r18_fpn_2cls"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two images, their labels, a detector that takes everything for somebody, and a model of views of one person."""
    place = tmp_path_factory.mktemp("place")
    (place / "images").mkdir()
    rng = np.random.default_rng(0)
    people = []
    for i, (height, width) in enumerate([(100, 120), (80, 60)], start=1):
        cv2.imwrite(str(place / "images" / f"{i}.png"), rng.integers(0, 255, (height, width, 3), np.uint8))
        keypoints = np.c_[rng.uniform(12, 48, (17, 2)), np.full(17, 2)].reshape(-1).tolist()
        person = {"id": i, "image_id": i, "category_id": 1, "bbox": [10, 10, 40, 50], "area": 2000, "keypoints": keypoints}
        people.append(person | {"iscrowd": 0, "num_keypoints": 17})
    images = [{"id": i, "file_name": f"{i}.png", "height": h, "width": w} for i, (h, w) in ((1, (100, 120)), (2, (80, 60)))]
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}
    (place / "labels.json").write_text(json.dumps({"images": images, "annotations": people, "categories": [category]}))
    torch.manual_seed(0)
    made = faster_rcnn("resnet18", classes=2, box_width=16, name=NAME)
    made.preprocess = replace(made.preprocess, side=64, most=128)
    made.config = replace(made.config, score=0.0, per_image=3)
    save(made, place / "boxes.safetensors")
    save(build("poise_t_coco_64x64", codec="Gaussian"), place / "person.safetensors")
    return place


@pytest.fixture
def run(folder, tmp_path, monkeypatch, capsys):
    """Runs a command where nothing else is; answers its exit code and what it says."""
    monkeypatch.chdir(tmp_path)
    places = {"IMAGES": folder / "images", "LABELS": folder / "labels.json"}
    places |= {"BOXES": folder / "boxes.safetensors", "PERSON": folder / "person.safetensors"}

    def words(text: str) -> tuple[int, str, str]:
        code = main([str(places.get(word, word)) for word in text.split()])
        said = capsys.readouterr()
        return code, said.out, said.err

    return words


def test_a_checkpoint_becomes_a_detector_that_a_file_holds(tmp_path, run, folder):
    name = "faster_rcnn_hrnet_w4_hrfpn_2cls"
    torch.manual_seed(1)
    state = official_state(build(name), name)
    torch.save({"model": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "official.pth")
    code, said, _ = run(f"import {name} official.pth --out made.safetensors")
    assert code == 0
    before = (tmp_path / "made.safetensors").read_bytes()
    assert run(f"import {name} made.safetensors --out made.safetensors")[2].count("would overwrite it; give another name") == 1
    assert (tmp_path / "made.safetensors").read_bytes() == before
    assert f"wrote made.safetensors: {name}, boxes of people, licence" in said
    again = load(tmp_path / "made.safetensors")
    assert isinstance(again, BoxDetector)
    assert (again.preprocess, again.config) == (build(name).preprocess, build(name).config)
    assert all(torch.equal(value, state[key]) for key, value in official_state(again, name).items())
    kept = load(folder / "boxes.safetensors")
    assert (kept.preprocess.side, kept.config.per_image) == (64, 3)


def test_its_boxes_are_looked_into_from_a_file_or_at_once(run, tmp_path):
    code, said, _ = run("detect LABELS --images IMAGES --detector BOXES --out found.json")
    assert code == 0
    assert f"6 boxes of people in 2 images by {NAME}: found.json" in said
    assert len(json.loads((tmp_path / "found.json").read_text())) == 6
    code, said, _ = run("evaluate PERSON --annotations LABELS --images IMAGES --detector BOXES --no-flip")
    assert code == 0
    assert f"6 boxes of {NAME}, flip test off" in said
    assert f"| {NAME} | " in said
    assert run("predict IMAGES --model PERSON --detector BOXES --min-box-score 0 --out made")[0] == 0
    assert len(json.loads((tmp_path / "made" / "predictions.json").read_text())) == 6


def test_it_is_measured_by_its_boxes_alone(run, tmp_path, folder):
    assert run("detect LABELS --images IMAGES --detector BOXES --precision fp32 --out found.json")[0] == 0
    found = json.loads((tmp_path / "found.json").read_text())
    truth = json.loads((folder / "labels.json").read_text())
    people = [
        truth["annotations"][0]
        | {key: row[key] for key in ("image_id", "bbox")}
        | {"id": i, "area": row["bbox"][2] * row["bbox"][3]}
        for i, row in enumerate(found, start=1)
    ]
    (tmp_path / "own.json").write_text(json.dumps(truth | {"annotations": people}))
    words = "evaluate BOXES --annotations own.json --images IMAGES --precision fp32"
    code, said, _ = run(f"{words} --out results/found.json")
    assert code == 0
    assert "whole images, flip test on, boxes alone, cpu in fp32" in said
    lines = said.splitlines()
    assert lines[-3].startswith("| Boxes | box AP | AP .5 |")
    assert lines[-1].startswith(f"| {NAME} | 1.000 | 1.000 | ")
    stored = json.loads((tmp_path / "results" / "found.scores.json").read_text())
    assert len(stored["scores"]) == 12
    assert stored["scores"]["box AP"] == pytest.approx(1.0)
    assert stored["settings"]["boxes"] == "whole images"
    assert stored["settings"]["input"].startswith("whole images, short side 64 pixels")
    assert len(json.loads((tmp_path / "results" / "found.boxes.json").read_text())) == 6
    assert not (tmp_path / "results" / "found.json").exists()
    code, said, _ = run(f"{words} --side 96 --no-flip")
    assert code == 0
    assert "flip test off" in said
    assert "| 1.000 | 1.000 |" not in said
    code, _, said = run(f"{words} --min-box-score 0.99999")
    assert code == 1
    assert "found nobody in these images; a lower --min-box-score" in said


@pytest.mark.parametrize(
    "words",
    [
        "predict IMAGES --model BOXES",
        "predict IMAGES --model BOXES --reading dark",
        "compare-decoders BOXES --annotations LABELS --images IMAGES",
        "compare-decoders BOXES --annotations LABELS --images IMAGES --codec-set sigma=2",
        "explain BOXES 1 --annotations LABELS --images IMAGES",
        "compare BOXES BOXES --annotations LABELS --images IMAGES",
    ],
)
def test_where_keypoints_are_needed_it_is_told_in_one_sentence_and_nothing_is_left(run, tmp_path, words):
    code, _, said = run(words)
    assert code == 1
    assert f"'{NAME}' finds boxes of people and no keypoints" in said
    assert "take a model with keypoints" in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("evaluate BOXES --annotations LABELS --images IMAGES --report r.html", "no keypoints; leave out --report"),
        ("evaluate BOXES --annotations LABELS --self-test", "no keypoints; leave out --self-test"),
        ("evaluate BOXES --annotations LABELS --images IMAGES --boxes gt --oks-nms off", "leave out --boxes and --oks-nms"),
        ("evaluate BOXES --annotations LABELS --images IMAGES --reading dark", "leave out --reading, --preset and --codec-set"),
        ("evaluate BOXES --annotations LABELS --images IMAGES --out x.mat", "a .mat holds MPII's poses"),
        ("calibrate BOXES --annotations LABELS --images IMAGES --out o.safetensors", "finds no keypoints"),
        (
            "data walk --annotations LABELS --images IMAGES --model BOXES",
            "this needs a top-down model, for views of one person",
        ),
        ("predict IMAGES --model PERSON --detector PERSON", "finds no boxes, so it is no detector"),
        (
            f"train finetune --val-share 0.5 --annotations LABELS --images IMAGES --model {NAME} --codec Gaussian",
            "has no keypoint head, so it takes no skeleton",
        ),
        (
            f"train finetune --val-share 0.5 --annotations LABELS --images IMAGES --model {NAME} --codec-set sigma=2",
            "finds boxes of people and no keypoints, so it has no codec; leave --codec-set out",
        ),
        (
            "train finetune --val-share 0.5 --annotations LABELS --images IMAGES --model poise_rcnn_t --start BOXES --epochs 1",
            "its backbone is another one",
        ),
        ("import maskrcnn_rpn_head nothing.pth --out o.safetensors", "there is no checkpoint"),
        ("zoo rpn_r18_fpn", "'rpn_r18_fpn' is a region proposal network alone, whose boxes are of anything"),
    ],
)
def test_flags_and_commands_that_it_is_not_for_are_refused_in_one_sentence(run, tmp_path, words, says):
    code, _, said = run(words)
    assert code == 1
    assert says in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_model_finds_no_keypoints_is_none_to_verify(run, tmp_path, folder):
    home = tmp_path / "run"
    home.mkdir()
    (home / "model.safetensors").write_bytes((folder / "boxes.safetensors").read_bytes())
    (home / "settings.json").write_text("{}")
    code, _, said = run("verify run")
    assert code == 1
    assert f"'{NAME}' finds boxes of people and no keypoints" in said


def test_the_zoo_shows_how_large_it_is(run):
    code, said, _ = run("zoo maskrcnn_faster_rcnn_r50_fpn")
    assert code == 0
    assert "41,704,036" in said
    assert "boxes alone" in said
