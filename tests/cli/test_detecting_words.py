"""How a detector finds people, said to a command: what the words change, and where they are refused."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
import torch

from poise.weights.model_file import save
from poise.zoo import build, faster_rcnn

from ..data.fakes import coco as fake

TORCHVISION = "fasterrcnn_resnet50_fpn_v2"

MOST = 60
"""People of an image at most: more than stay where the worse of two goes, fewer than where it is only lowered."""


def small_boxes():
    """Of the name's backbone, with a small head."""
    return faster_rcnn("resnet18", classes=2, box_width=16, name="faster_rcnn_r18_fpn_2cls")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Labels of four images, the images, and models; of detectors everything is somebody, and boxes overlap everywhere."""
    home = tmp_path_factory.mktemp("home")
    labels, images = fake.write(home / "coco")
    torch.manual_seed(0)
    made = {"RCNN": build("poise_rcnn_t_coco_64x64"), "BOXES": small_boxes()}
    made["BOXES"].preprocess = replace(made["BOXES"].preprocess, side=64, most=128)
    for model in made.values():
        model.config = replace(model.config, score=0.0, per_image=MOST)
    made["BOXES"].config = replace(made["BOXES"].config, nms=0.1)
    made["PERSON"] = build("poise_t_coco_64x64", codec="Gaussian")
    files = {name: save(model, home / f"{name}.safetensors") for name, model in made.items()}
    return files | {"LABELS": labels, "IMAGES": images}


def read(name: str):
    return json.loads(Path(name).read_text())


def by_image(rows) -> list[int]:
    return [sum(row["image_id"] == image for row in rows) for image in sorted({row["image_id"] for row in rows})]


DETECT = "detect LABELS --images IMAGES --out found.json --detector"


@pytest.mark.parametrize("model", ["RCNN", "BOXES"])
def test_words_change_the_boxes_that_are_found(run, model):
    assert run(f"{DETECT} {model}")[0] == 0
    found = {"": read("found.json")}
    least = median(row["score"] for row in found[""])
    for words in ("suppression=soft", f"score={least}", "per_image=2"):
        assert run(f"{DETECT} {model} --detecting-set {words}")[0] == 0
        found[words.partition("=")[0]] = read("found.json")
    assert max(by_image(found[""])) < MOST
    assert by_image(found["suppression"]) == [MOST] * 4, "overlapping boxes stay, with lower scores"
    assert max(row["score"] for row in found["suppression"]) == max(row["score"] for row in found[""])
    assert min(row["score"] for row in found["suppression"]) < min(row["score"] for row in found[""])
    assert 0 < len(found["score"]) < len(found[""])
    assert all(row["score"] >= least - 1e-5 for row in found["score"])
    assert by_image(found["per_image"]) == [2] * 4


def test_boxes_are_found_in_images_of_the_side_and_scales_that_are_given(run):
    found = {}
    for words in ("", "--side 32", "--scales 0.5", "--side 128 --scales 0.25 0.5"):
        assert run(f"{DETECT} RCNN {words} --precision fp32")[0] == 0
        found[words] = read("found.json")
    assert found["--side 32"] == found["--scales 0.5"] != found[""]
    both = [{(row["image_id"], *row["bbox"]) for row in found[words]} for words in ("", "--side 32")]
    joined = {(row["image_id"], *row["bbox"]) for row in found["--side 128 --scales 0.25 0.5"]}
    assert joined <= both[0] | both[1]
    assert all(joined & alone for alone in both)


def test_an_evaluation_finds_as_it_is_told_and_its_scores_say_how(run):
    words = "evaluate RCNN --annotations LABELS --images IMAGES --no-flip --out made.json"
    many = []
    for more in ("", "--detecting-set suppression=soft sigma=0.3 rating=box"):
        assert run(f"{words} {more}")[0] == 0
        many.append(len(read("made.boxes.json")))
        assert len(read("made.json")) == many[-1]
    assert many[0] < many[1] == 4 * MOST
    how = read("made.scores.json")["settings"]["people found"].split(", ")
    assert {"suppression=soft", "sigma=0.3", "rating=box", "score=0.0", f"per_image={MOST}"} <= set(how)
    assert not any(word.startswith(("learning", "weights")) for word in how)


def test_boxes_alone_are_measured_as_they_are_found(run):
    words = "evaluate BOXES --annotations LABELS --images IMAGES --no-flip --out made.json --detecting-set per_image=3"
    assert run(words)[0] == 0
    assert by_image(read("made.boxes.json")) == [3] * 4
    assert "per_image=3" in read("made.scores.json")["settings"]["people found"].split(", ")


def test_pictures_show_whom_the_words_find(run):
    words = "predict IMAGES --model RCNN --min-box-score 0 --detecting-set per_image=2"
    assert run(f"{words} --out two")[0] == 0
    assert by_image(read("two/predictions.json")) == [2] * 4
    assert run(f"{words} score=0.9 --out none")[0] == 0
    assert read("none/predictions.json") == []


def test_decoders_are_compared_on_whom_the_words_find(run):
    words = "compare-decoders RCNN --annotations LABELS --images IMAGES --no-flip --readings cell dark --out table.json"
    assert run(f"{words} --detecting-set per_image=2")[0] == 0
    table = read("table.json")
    assert [line["people"] for line in table["decoders"]] == [8, 8, 8]
    assert "per_image=2" in table["settings"]["people found"].split(", ")


EVALUATE = "--annotations LABELS --images IMAGES"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (f"evaluate PERSON {EVALUATE} --detecting-set nms=0.6", "--detecting-set is for detectors, and poise_t"),
        ("predict IMAGES --model PERSON --detecting-set nms=0.6", "`poise detect --detecting-set` and give them with --boxes"),
        (f"compare-decoders PERSON {EVALUATE} --detecting-set nms=0.6", "finds no boxes; leave it out"),
        (f"{DETECT} PERSON --detecting-set nms=0.6", "finds no boxes, so it is no detector"),
        (f"{DETECT} {TORCHVISION} --detecting-set nms=0.6", "a file that `poise import` made; leave out --detecting-set"),
        (
            f"{DETECT} {TORCHVISION} --side 64",
            f"{TORCHVISION} is torchvision's and used as it was published",
        ),
        (f"{DETECT} {TORCHVISION} --scales 1 2", "leave out --scales"),
        (f"{DETECT} RCNN --scales 1000", "--scales is a number, above 0"),
        (f"evaluate RCNN {EVALUATE} --detecting-set learning.copies=2", "learning.copies=2: that is how a detector learns"),
        ("predict IMAGES --model RCNN --detecting-set weights.boxes=2", "weights.boxes=2: that is how a detector learns"),
        (f"compare-decoders RCNN {EVALUATE} --detecting-set learning.truth=false", "that is how a detector learns"),
        (f"{DETECT} RCNN --detecting-set nms=0.6 learning.copies=2", "learning.copies=2: that is how a detector learns"),
        (f"{DETECT} RCNN --detecting-set rating=box", "rating=box: boxes are found here and no keypoints, so nothing would"),
        (f"{DETECT} RCNN --detecting-set calibration.middle=0.4", "boxes are found here and no keypoints"),
        (
            f"evaluate BOXES {EVALUATE} --detecting-set keypoint_nms=0.9",
            "faster_rcnn_r18_fpn_2cls finds no keypoints, so",
        ),
        (f"{DETECT} RCNN --detecting-set sigma=0.3", "sigma=0.3: it is of soft suppression, and suppression is hard"),
        (
            f"{DETECT} BOXES --detecting-set suppression=soft nms=0.3",
            "nms=0.3: suppression is soft, and lowers scores by",
        ),
        (f"evaluate RCNN {EVALUATE} --detecting-set supression=soft", "did you mean 'suppression'"),
    ],
)
def test_words_that_are_for_others_are_refused_in_one_sentence(run, tmp_path, monkeypatch, words, says):
    def download(name: str):
        raise AssertionError(f"{name} was downloaded first")

    monkeypatch.setattr("poise.inference.detect.load_detector", download)
    code, said = run(words)
    assert code == 1
    assert says in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
