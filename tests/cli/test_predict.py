import csv
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from poise.cli._predict import unsure_text
from poise.cli.main import main
from poise.skeletons import from_category
from poise.weights.model_file import save
from poise.zoo import build
from poise.zoo.plain import plain


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(build("poise_t_coco_192x160"), tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture
def photos(tmp_path):
    """A folder of two images, one of them in a folder of its own."""
    (tmp_path / "photos" / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("photos/12.jpg", "photos/more/7.png"):
        cv2.imwrite(str(tmp_path / name), rng.integers(0, 255, (60, 80, 3), np.uint8))
    return tmp_path / "photos"


def predict(*words) -> int:
    return main(["predict", *map(str, words), "--precision", "fp32"])


def test_a_folder_gives_rows_and_pictures(model, photos, tmp_path):
    assert predict(photos, "--model", model, "--out", tmp_path / "out") == 0
    rows = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [(r["image_id"], r["file_name"], r["bbox"]) for r in rows] == [
        (12, "12.jpg", [0.0, 0.0, 80.0, 60.0]),
        (7, "more/7.png", [0.0, 0.0, 80.0, 60.0]),
    ]
    names = {"image_id", "file_name", "category_id", "keypoints", "score", "bbox", "box_score", "width", "height"}
    assert all(set(r) == names | {"keypoint_names"} for r in rows)
    assert all(len(r["keypoints"]) == 51 for r in rows)
    assert all((r["width"], r["height"], r["keypoint_names"][0]) == (80, 60, "nose") for r in rows)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["12.jpg", "more_7.png.jpg", "predictions.json"]


def test_patterns_and_files_are_taken_once_and_bad_images_are_counted(model, photos, tmp_path, capsys):
    (photos / "bad.jpg").write_bytes(b"\xff\xd8 broken")
    assert predict(photos / "*.jpg", photos / "12.jpg", "--model", model, "--out", tmp_path / "out") == 0
    rows = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [r["file_name"] for r in rows] == ["12.jpg"]
    said = capsys.readouterr().out
    assert "1 image was skipped" in said
    assert "bad.jpg" in said


def test_boxes_belong_to_images_by_name_or_number(model, photos, tmp_path, capsys):
    rows = [
        {"image_id": 12, "category_id": 3, "bbox": [5, 5, 30, 40], "score": 0.9},
        {"image_id": 12, "category_id": 3, "bbox": [500, 5, 30, 40], "score": 0.8},
        {"image_id": 1, "file_name": "more/7.png", "bbox": [10, 10, 20, 20], "score": 0.5},
    ]
    (tmp_path / "boxes.json").write_text(json.dumps(rows))
    assert predict(photos, "--model", model, "--boxes", tmp_path / "boxes.json", "--out", tmp_path / "out") == 0
    found = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [(r["image_id"], r["category_id"], r["bbox"]) for r in found] == [(12, 3, [5, 5, 30, 40]), (7, 1, [10, 10, 20, 20])]
    assert [r["box_score"] for r in found] == [0.9, 0.5]
    assert "nobody was looked for in 1 box of no size or outside the image" in capsys.readouterr().out


def test_a_name_says_more_than_a_number_and_a_row_without_a_score_is_left_out(model, photos, tmp_path):
    rows = [
        {"image_id": 0, "file_name": "12.jpg", "bbox": [5, 5, 30, 40], "score": 0.9},
        {"image_id": 0, "file_name": "more/7.png", "bbox": [10, 10, 20, 20], "score": 0.5},
        {"image_id": 12, "file_name": "7.png", "bbox": [1, 1, 20, 20], "score": 0.5},
        {"image_id": 7, "bbox": [1, 1, 20, 20], "score": None},
    ]
    (tmp_path / "boxes.json").write_text(json.dumps(rows))
    assert predict(photos, "--model", model, "--boxes", tmp_path / "boxes.json", "--out", tmp_path / "out") == 0
    found = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [(r["image_id"], r["bbox"]) for r in found] == [(12, [5, 5, 30, 40]), (7, [10, 10, 20, 20])]


def test_people_below_a_score_are_left_out(model, photos, tmp_path):
    assert predict(photos, "--model", model, "--min-score", "2", "--out", tmp_path / "out") == 0
    assert json.loads((tmp_path / "out" / "predictions.json").read_text()) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("{photos}", "--model", "none.safetensors"), "none.safetensors"),
        (("{tmp}/nobody.jpg", "--model", "{model}"), "no file or folder"),
        (("{tmp}/*.gif", "--model", "{model}"), "no image is called"),
        (("{tmp}/empty", "--model", "{model}"), "holds no images"),
        (("{tmp}/words.jpg", "--model", "{model}"), "no image file"),
        (("{photos}", "--model", "{model}", "--out", "{tmp}/words.jpg/out"), "cannot be written"),
        (("{photos}", "--model", "{model}", "--out", "{photos}"), "would overwrite"),
        (("{photos}", "--model", "{model}", "--boxes", "{tmp}/other.json"), "belongs to these images"),
        (("{photos}", "--model", "{model}", "--boxes", "{tmp}/words.jpg"), "not valid JSON"),
        (("{photos}", "--model", "{model}", "--boxes", "{tmp}/useless.json"), "in 3 boxes of no size or outside the image"),
        (("{photos}", "--model", "{tmp}/words.jpg"), "truncated"),
        (("{photos}", "--model", "{model}", "--device", "gpu"), "no device"),
        (
            ("{photos}", "--model", "{model}", "--min-score", "nan"),
            "--min-score is a number, -1,000,000,000",
        ),
        (("{photos}", "--model", "{model}", "--reading", "votes"), "no reading 'votes'"),
        (("{photos}", "--model", "{model}", "--format", "yaml"), "there is no format of results 'yaml'; there are: coco, csv"),
        (
            ("{photos}", "--model", "{model}", "--min-keypoint-score", "nan"),
            "--min-keypoint-score is a number, -1,000,000,000",
        ),
        (("{photos}", "--model", "{model}", "--whole-image", "--detector", "x"), "--whole-image takes each image as one box"),
        (("camera:93", "--model", "{model}"), "there is no camera 93 on this machine"),
        (("webcam", "--model", "{model}"), "'webcam' names no file; a camera is called camera:0 here"),
        (("2", "--model", "{model}"), "'2' names no file; a camera is called camera:2 here"),
        (("rtsp://door/1", "--model", "{model}"), "is an address, and files are looked at here"),
        (("https://example.org/a.jpg", "--model", "{model}"), "is an address, and files are looked at here"),
        (("{tmp}/clip one.MP4", "--model", "{model}"), "clip one.MP4' is no video that can be read"),
        (("{tmp}/films", "--model", "{model}"), "dive.mov' is a video"),
    ],
)
def test_mistakes_are_told_in_one_sentence_and_leave_nothing(words, says, model, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.jpg").write_text("words")
    (tmp_path / "films").mkdir()
    for film in ("clip one.MP4", "films/dive.mov"):
        (tmp_path / film).write_bytes(b"film")
    rows = [{"image_id": 12, "bbox": box, "score": 1} for box in ([5, 5, 0, 0], [500, 5, 9, 9], [float("nan"), 1, 9, 9])]
    (tmp_path / "useless.json").write_text(json.dumps(rows))
    (tmp_path / "other.json").write_text('[{"image_id": 99, "bbox": [1, 2, 3, 4], "score": 1}]')
    before = sorted(tmp_path.rglob("*"))
    assert predict(*(w.format(photos=photos, tmp=tmp_path, model=model) for w in words)) == 1
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_pictures_of_an_earlier_run_are_not_looked_at(model, photos, capsys):
    for _ in range(2):
        assert predict(photos, "--model", model, "--out", photos / "found") == 0
    assert "2 people in 2 images" in capsys.readouterr().out.splitlines()[-1]


def test_whole_images_as_boxes_are_told_once_with_three_ways_out(model, photos, tmp_path, capsys):
    assert predict(photos, "--model", model, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert said.count("each whole image is taken as the box of one person") == 1
    assert all(way in said for way in ("--boxes FILE", "--detector FILE|NAME", "--whole-image"))
    assert predict(photos, "--model", model, "--whole-image", "--out", tmp_path / "out") == 0
    assert "whole image" not in capsys.readouterr().out


def animal_model(tmp_path, *, share):
    camel = from_category({"name": "camel", "keypoints": ["nose", "left_hoof", "right_hoof"]})
    made = plain("t", skeleton=camel, size=(64, 64))
    made.card = replace(made.card, box_share=share)
    return save(made, tmp_path / "camel.safetensors")


def test_of_animals_their_own_detector_is_named_and_they_are_counted_by_their_word(photos, tmp_path, capsys):
    assert predict(photos, "--model", animal_model(tmp_path, share=0.07), "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "boxes it learnt cover 7% of their images" in said
    assert "poise train finetune --model poise_rcnn_t" in said
    assert "2 camels in 2 images" in said


def test_a_model_that_learnt_whole_images_says_nothing_of_them(photos, tmp_path, capsys):
    assert predict(photos, "--model", animal_model(tmp_path, share=0.9), "--out", tmp_path / "out") == 0
    assert "whole image" not in capsys.readouterr().out


def test_a_table_has_a_line_for_each_person_with_named_columns(model, photos, tmp_path):
    assert predict(photos, "--model", model, "--format", "csv", "--out", tmp_path / "out") == 0
    assert not (tmp_path / "out" / "predictions.json").exists()
    rows = list(csv.DictReader((tmp_path / "out" / "predictions.csv").read_text().splitlines()))
    assert [(r["file_name"], r["person"], r["width"], r["box_x1"]) for r in rows] == [
        ("12.jpg", "1", "80", "80.0"),
        ("more/7.png", "1", "80", "80.0"),
    ]
    assert {"nose_x", "nose_y", "nose_score", "right_ankle_score", "category_id"} <= rows[0].keys()
    assert predict(photos, "--model", model, "--format", "csv", "--min-score", "2", "--out", tmp_path / "out") == 0
    header = (tmp_path / "out" / "predictions.csv").read_text().splitlines()
    assert [line.split(",") for line in header] == [list(rows[0])], "nobody: the columns alone"


def test_lines_have_an_object_for_each_image_also_where_nobody_is(model, photos, tmp_path):
    assert predict(photos, "--model", model, "--format", "jsonl", "--min-score", "2", "--out", tmp_path / "out") == 0
    found = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert [(one["file_name"], one["width"], one["height"], one["people"]) for one in found] == [
        ("12.jpg", 80, 60, []),
        ("more/7.png", 80, 60, []),
    ]
    assert found[0]["keypoint_names"][:2] == ["nose", "left_eye"]


def test_an_unsure_model_says_so_and_its_keypoints_are_drawn_thin(model, photos, tmp_path, capsys):
    sizes = {}
    for least in ("-100", "100"):
        out = tmp_path / least
        assert predict(photos, "--model", model, "--min-keypoint-score", least, "--out", out) == 0
        said = capsys.readouterr().out
        assert ("all keypoints below 100: the model is unsure" in said) == (least == "100")
        drawn, before = cv2.imread(str(out / "more_7.png.jpg")), cv2.imread(str(photos / "more" / "7.png"))
        sizes[least] = int((np.abs(drawn.astype(int) - before) > 60).sum())
    plain_noise = cv2.imencode(".jpg", before)[1]
    noise = int((np.abs(cv2.imdecode(plain_noise, cv2.IMREAD_COLOR).astype(int) - before) > 60).sum())
    assert noise < sizes["100"] < sizes["-100"]


def test_some_unsure_images_are_counted():
    assert unsure_text(1, 3, below=0.2).startswith("all keypoints below 0.2 in 1 of 3 images: the model is unsure there")
    assert unsure_text(3, 3, below=0.2).startswith("all keypoints below 0.2: the model is unsure, ")
