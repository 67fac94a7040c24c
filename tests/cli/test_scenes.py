"""Commands with a model that looks at whole images."""

import json
import re

import cv2
import numpy as np
import pytest

from poise.cli.main import main
from poise.codecs.decoders import PRESETS
from poise.decoding.grouping_config import PEAK_METHODS
from poise.skeletons import COCO17
from poise.weights.model_file import save
from poise.zoo import build


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Random weights; nearly every cell is a peak, so that somebody is found."""
    made = build("poise_scene_t_coco_320x320")
    return save(made, tmp_path_factory.mktemp("model") / "scene.safetensors")


@pytest.fixture(scope="module")
def one_person(tmp_path_factory):
    return save(build("poise_t_coco_192x160", codec="Gaussian"), tmp_path_factory.mktemp("model") / "person.safetensors")


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """Three images of different sizes; one person in the first, nobody in the others, of which one is grey."""
    folder = tmp_path_factory.mktemp("labels")
    rng = np.random.default_rng(0)
    sizes = [(120, 160), (160, 120), (90, 90)]
    for i, (h, w) in enumerate(sizes, start=1):
        pixels = rng.integers(0, 255, (h, w) if i == 3 else (h, w, 3), np.uint8)
        cv2.imwrite(str(folder / f"{i}.png"), pixels)
    keypoints = np.c_[rng.uniform(20, 100, (17, 2)), np.full(17, 2)].reshape(-1).tolist()
    person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 20, 80, 80], "area": 6400, "iscrowd": 0}
    images = [{"id": i, "file_name": f"{i}.png", "height": h, "width": w} for i, (h, w) in enumerate(sizes, start=1)]
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}
    path = folder / "labels.json"
    person |= {"keypoints": keypoints, "num_keypoints": 17}
    path.write_text(json.dumps({"images": images, "annotations": [person], "categories": [category]}))
    return path


ALL_PEAKS = ("--codec-set", "reading.threshold=-1", "reading.person_threshold=-1", "reading.dist_max=500")


def run(*words) -> int:
    return main([*map(str, words)])


def looked_at(model, labels) -> list[str]:
    return [str(model), "--annotations", str(labels), "--images", str(labels.parent)]


def test_evaluate_needs_no_boxes_and_stores_how_it_read(model, labels, tmp_path, capsys):
    out, page = tmp_path / "results.json", tmp_path / "report.html"
    words = ("--no-flip", "--reading", "cell", "--preset", "release", "--side", 64, "--scales", 1, 2, "--out", out)
    assert run("evaluate", *looked_at(model, labels), *words, "--report", page) == 0
    said = capsys.readouterr().out
    assert "whole images, flip test off, read by OffsetGuided cell:" in said
    assert "threshold 0.04" in said
    assert said.splitlines()[-1].startswith("| poise_scene_t_coco_320x320, OffsetGuided cell | ")
    beside = json.loads((tmp_path / "results.scores.json").read_text())
    assert beside["settings"]["decoder"].startswith("OffsetGuided cell: ")
    assert "long side 64 and 128 pixels" in beside["settings"]["input"]
    assert beside["settings"]["duplicates"] == "off"
    text = page.read_text(encoding="utf-8")
    assert "OffsetGuided cell: " in text
    assert run("evaluate", *looked_at(model, labels), "--no-flip", *ALL_PEAKS, "--out", out) == 0
    rows = json.loads(out.read_text())
    assert {row["image_id"] for row in rows} == {1, 2, 3}
    assert all({"image_id", "category_id", "keypoints", "score"} <= row.keys() for row in rows)


def test_the_self_test_says_what_the_codec_costs(model, labels, capsys):
    assert run("evaluate", model, "--annotations", labels, "--self-test") == 0
    assert "labels through the codec" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--boxes", "gt"), "finds and rates people by itself; leave out --boxes"),
        (("--min-keypoint-score", "0.2"), "leave out --min-keypoint-score"),
        (("--reading", "soft"), "there is no reading 'soft'; did you mean"),
        (("--preset", "releas"), "there is no preset 'releas'; did you mean 'release'"),
        (("--codec-set", "reading.top=3"), "no field of GroupingConfig 'top'; did you mean 'top_k'"),
        (("--codec-set", "reading.threshold=high"), "threshold of GroupingConfig cannot be .high.; expected a number"),
        (("--codec-set", "maps.jitter=True"), "would then need another network"),
        (("--side", "0"), "--side is a whole number, 8 to 8,192; found 0"),
        (("--scales", "0"), "--scales is a number, above 0"),
        (("--batch", "0"), "--batch is a whole number, 1 to"),
    ],
)
def test_what_is_not_for_whole_images_is_refused(model, labels, words, message, capsys):
    assert run("evaluate", *looked_at(model, labels), *words) == 1
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize("words", [("--side", "64"), ("--scales", "1", "2"), ("--preset", "release"), ("--codec-set", "a=b")])
def test_what_is_for_whole_images_alone_is_refused(one_person, labels, words, capsys):
    assert run("evaluate", *looked_at(one_person, labels), *words) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_predict_draws_every_image_and_the_boxes_of_who_is_found(model, labels, tmp_path, capsys):
    out = tmp_path / "found"
    assert run("predict", labels.parent, "--model", model, "--out", out) == 0
    assert "in 3 images" in capsys.readouterr().out.splitlines()[-1]
    assert sorted(p.name for p in out.iterdir()) == ["1.png.jpg", "2.png.jpg", "3.png.jpg", "predictions.json"]
    assert run("predict", labels.parent, "--model", model, "--out", out, *ALL_PEAKS) == 0
    assert "read by OffsetGuided fast" in capsys.readouterr().out
    rows = json.loads((out / "predictions.json").read_text())
    assert rows
    for row in rows:
        triples = np.array(row["keypoints"]).reshape(-1, 3)
        there = triples[(triples[:, :2] != 0).any(axis=1), :2]
        x, y, width, height = row["bbox"]
        assert (there >= (x - 0.02, y - 0.02)).all()
        assert (there <= (x + width + 0.02, y + height + 0.02)).all()


def test_predict_refuses_boxes(model, labels, tmp_path, capsys):
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([{"image_id": 1, "bbox": [20, 20, 80, 80], "score": 0.5}]))
    assert run("predict", labels.parent, "--model", model, "--boxes", boxes, "--out", tmp_path / "found") == 1
    assert "finds and rates people by itself; leave out --boxes" in capsys.readouterr().err


def test_compare_and_explain_look_at_whole_images(model, labels, capsys):
    images = ("--annotations", labels, "--images", labels.parent)
    assert run("compare", model, model, *images, "--no-flip", "--resamples", 100) == 0
    assert "read by OffsetGuided fast" in capsys.readouterr().out
    assert run("explain", model, 1, *images, "--no-flip") == 0
    assert run("explain", model, 1, *images, "--boxes", "gt") == 1
    assert run("compare", model, model, *images, "--boxes", "gt") == 1


def test_walk_and_codec_say_that_they_are_for_views_of_people(model, labels, tmp_path, capsys):
    images = ("--annotations", labels, "--images", labels.parent)
    assert run("data", "walk", *images, "--model", model, "--out", tmp_path / "walk.html") == 1
    assert "views of one person" in capsys.readouterr().err
    assert run("codec", "--annotations", labels, "--codec", "OffsetGuided") == 1
    assert "poise evaluate MODEL --annotations FILE --self-test" in capsys.readouterr().err


def test_decoders_of_whole_images_are_compared(model, labels, tmp_path, capsys):
    out = tmp_path / "table.json"
    assert run("compare-decoders", *looked_at(model, labels), "--no-flip", "--out", out) == 0
    said = capsys.readouterr().out
    rows = [line for line in said.splitlines() if line.startswith("| poise_scene_t")]
    assert [row.split("|")[1].strip().split()[-1] for row in rows] == [
        "fast",
        *(name for name in PEAK_METHODS if name != "fast"),
    ]
    assert said.splitlines()[-len(rows) - 2].endswith("| ms |")
    table = json.loads(out.read_text())
    assert [line["own"] for line in table["decoders"]] == [True] + [False] * (len(PEAK_METHODS) - 1)
    assert all(line["milliseconds"] > 0 and "AP" in line["scores"] for line in table["decoders"])
    assert table["settings"]["flip test"] == "off"


def test_decoders_of_views_of_people_are_compared(one_person, labels, capsys):
    assert run("compare-decoders", *looked_at(one_person, labels), "--no-flip", "--readings", "cell", "dark", "quarter") == 0
    said = capsys.readouterr().out.splitlines()
    names = [line.split("|")[1].strip() for line in said if line.startswith("| poise_t")]
    assert names == [f"poise_t_coco_192x160, Gaussian{end}" for end in ("", " cell", " dark", " quarter")]
    assert run("compare-decoders", *looked_at(one_person, labels), "--readings", "fit1") == 1
    assert "there is no reading 'fit1'" in capsys.readouterr().err
    assert run("compare-decoders", *looked_at(one_person, labels), "--preset", "release") == 1


def test_what_can_be_read_in_one_way_only_has_nothing_to_compare(labels, tmp_path, capsys):
    path = save(build("poise_t_coco_192x160", codec="Integral"), tmp_path / "integral.safetensors")
    assert run("compare-decoders", *looked_at(path, labels)) == 1
    assert "in one way only" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "predict", "compare-decoders"])
def test_the_help_names_all_readings_and_presets(command, capsys):
    assert run(command, "--help") == 0
    words = set(capsys.readouterr().out.replace(",", " ").replace(";", " ").replace(".", " ").replace("│", " ").split())
    assert set(PEAK_METHODS) <= words
    assert set(PRESETS) <= words
