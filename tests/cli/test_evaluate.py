import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from poise.cli.main import main
from poise.errors import WriteError
from poise.skeletons import COCO17
from poise.weights.model_file import save
from poise.zoo import build


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(build("poise_t_coco_192x160"), tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture
def labels(tmp_path):
    """Three images with a person each."""
    rng = np.random.default_rng(0)
    people = []
    for i in (1, 2, 3):
        cv2.imwrite(str(tmp_path / f"{i}.jpg"), rng.integers(0, 255, (200, 200, 3), np.uint8))
        xy = rng.uniform(30, 170, (17, 2))
        keypoints = np.c_[xy, np.full(17, 2)].reshape(-1).tolist()
        person = {"id": i, "image_id": i, "category_id": 1, "bbox": [20, 20, 160, 160], "area": 12000, "iscrowd": 0}
        people.append(person | {"keypoints": keypoints, "num_keypoints": 17})
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 200, "height": 200} for i in (1, 2, 3)]
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": people, "categories": [category]}))
    return path


def evaluate(*words) -> int:
    return main(["evaluate", *map(str, words)])


def test_the_last_lines_are_a_row_to_copy(model, labels, tmp_path, capsys):
    out = tmp_path / "results.json"
    assert evaluate(model, "--annotations", labels, "--images", tmp_path, "--no-flip", "--out", out) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-3] == "| Arch | AP | AP .5 | AP .75 | AP (M) | AP (L) | AR | AR .5 | AR .75 | AR (M) | AR (L) |"
    assert said[-1].startswith("| poise_t_coco_192x160, UDPGaussian | 0.")
    assert said[-1].count("|") == said[-3].count("|")
    assert any("sigmas of OKS" in line for line in said)
    assert any("left_shoulder" in line for line in said)
    assert len(json.loads(out.read_text())) == 3
    beside = json.loads((tmp_path / "results.scores.json").read_text())
    assert beside["settings"]["decoder"] == "UDPGaussian"
    assert beside["scores"]["AP"] < 0.1


def test_the_report_is_one_page_that_fetches_nothing(model, labels, tmp_path, capsys):
    (tmp_path / "2.jpg").write_bytes(b"broken")
    page = tmp_path / "new" / "report.html"
    assert evaluate(model, "--annotations", labels, "--images", tmp_path, "--no-flip", "--report", page) == 0
    text = page.read_text(encoding="utf-8")
    assert "http" not in text
    assert text.count("<img") == 2
    assert "1 of 3 images could not be used" in text
    assert "<dt>flip test</dt><dd>off</dd>" in text
    assert [p.name for p in page.parent.iterdir()] == ["report.html"]
    assert "is the report" in capsys.readouterr().out


def test_the_self_test_has_a_report_without_pictures(model, labels, tmp_path):
    page = tmp_path / "report.html"
    assert evaluate(model, "--annotations", labels, "--self-test", "--report", page) == 0
    text = page.read_text(encoding="utf-8")
    assert "<img" not in text
    assert "labels through the codec" in text


def test_the_self_test_scores_1_and_needs_no_images(model, labels, capsys):
    assert evaluate(model, "--annotations", labels, "--self-test") == 0
    said = capsys.readouterr().out
    assert "AP is 1.000: the codec costs 0.000, the crop 0.000" in said
    assert said.splitlines()[-1].startswith("| labels through the codec | 1.000 | 1.000")


def test_a_detectors_boxes_and_a_broken_image(model, labels, tmp_path, capsys):
    (tmp_path / "2.jpg").write_bytes(b"broken")
    rows = [{"image_id": i, "category_id": 1, "bbox": [20, 20, 160, 160], "score": 0.3 * i} for i in (1, 2, 3)]
    (tmp_path / "boxes.json").write_text(json.dumps(rows))
    words = ("--boxes", tmp_path / "boxes.json", "--min-box-score", "0.5", "--oks-nms", "off", "--min-keypoint-score", "0")
    out = tmp_path / "results.json"
    assert evaluate(model, "--annotations", labels, "--images", tmp_path, *words, "--out", out) == 0
    assert [r["image_id"] for r in json.loads(out.read_text())] == [3]
    assert "1 image was skipped; their people count as missed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("{model}", "--annotations", "{labels}"), "--images"),
        (("{model}", "--annotations", "{labels}", "--images", "{tmp}/nowhere"), "nowhere"),
        (("{model}", "--annotations", "{tmp}/none.json", "--images", "{tmp}"), "none.json"),
        (("{labels}", "--annotations", "{labels}", "--images", "{tmp}"), "truncated or no .safetensors"),
        (("{model}", "--annotations", "{labels}", "--images", "{tmp}", "--oks-nms", "2"), "--oks-nms is a number"),
        (("{model}", "--annotations", "{labels}", "--images", "{tmp}", "--boxes", "{labels}"), "not a list of detections"),
        (("{model}", "--annotations", "{labels}", "--images", "{tmp}", "--out", "{labels}/x.json"), "cannot be written"),
        (("{model}", "--annotations", "{labels}", "--images", "{tmp}", "--precision", "int8"), "no precision"),
        (("{model}", "--annotations", "{labels}", "--images", "{tmp}", "--out", "{tmp}"), "is a folder"),
        (("{model}", "--annotations", "{labels}", "--images", "{tmp}", "--report", "{tmp}"), "--report names a file"),
        (("{model}", "--annotations", "{labels}", "--images", "{tmp}", "--report", "{labels}/x.html"), "cannot be written"),
        (("{model}", "--annotations", "{labels}", "--images", "{tmp}/bad", "--report", "{tmp}/new/x"), "none of the 3 images"),
        (("{model}", "--annotations", "{labels}", "--images", "{tmp}/bad", "--out", "{tmp}/new/x"), "none of the 3 images"),
        (("{model}", "--annotations", "{labels}", "--images", "{tmp}", "--boxes", "{tmp}/empty.json"), "none of the 2 boxes"),
        (("{model}", "--annotations", "{labels}", "--images", "{tmp}", "--boxes", "{tmp}/out.json"), "none of the 3 boxes"),
        (("{model}", "--annotations", "{tmp}/sizeless.json", "--images", "{tmp}"), "none of the 3 boxes"),
        (("{model}", "--annotations", "{tmp}/oddarea.json", "--images", "{tmp}"), "has an area of -3"),
        (("{model}", "--annotations", "{tmp}/noid.json", "--images", "{tmp}"), "has the id None; expected a whole number"),
    ],
)
def test_mistakes_are_told_in_one_sentence_and_leave_nothing(words, says, model, labels, tmp_path, capsys):
    (tmp_path / "bad").mkdir()
    for i in (1, 2, 3):
        (tmp_path / "bad" / f"{i}.jpg").write_bytes(b"broken")
    document = json.loads(labels.read_text())
    people, categories = document["annotations"], document["categories"]
    write = lambda name, value: (tmp_path / name).write_text(json.dumps(value))  # noqa: E731
    write("sizeless.json", document | {"annotations": [p | {"bbox": [5, 5, 0, 0]} for p in people]})
    write("oddarea.json", document | {"annotations": [p | {"area": -3} for p in people]})
    write("noid.json", document | {"categories": [{k: v for k, v in c.items() if k != "id"} for c in categories]})
    write("empty.json", [{"image_id": 1, "category_id": 1, "bbox": box, "score": 1} for box in ([1, 1, 0, 9], [1, 1, 9, -9])])
    write("out.json", [{"image_id": i, "category_id": 1, "bbox": [900, 900, 9, 9], "score": 1} for i in (1, 2, 3)])
    before = sorted(tmp_path.rglob("*"))
    assert evaluate(*(w.format(model=model, labels=labels, tmp=tmp_path) for w in words)) == 1
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_people_in_boxes_of_no_size_are_counted(model, labels, tmp_path, capsys):
    document = json.loads(labels.read_text())
    document["annotations"][1]["bbox"] = [20, 20, 0, 160]
    labels.write_text(json.dumps(document))
    assert evaluate(model, "--annotations", labels, "--images", tmp_path, "--no-flip") == 0
    assert "nobody was looked for in 1 box of no size or outside the image" in capsys.readouterr().out


def test_another_reading_is_another_result(model, labels, tmp_path, capsys):
    found = []
    for words in ((), ("--reading", "cell")):
        out = tmp_path / "results.json"
        assert evaluate(model, "--annotations", labels, "--images", tmp_path, "--no-flip", "--out", out, *words) == 0
        found.append(json.loads(out.read_text())[0]["keypoints"])
    own, cell = (np.array(keypoints).reshape(-1, 3) for keypoints in found)
    assert (own[:, :2] != cell[:, :2]).any()
    assert (own[:, 2] == cell[:, 2]).all()


def test_a_reading_there_is_not_is_told(model, labels, tmp_path, capsys):
    assert evaluate(model, "--annotations", labels, "--images", tmp_path, "--reading", "drk") != 0
    assert "there is no reading 'drk'; did you mean 'dark'?" in capsys.readouterr().err


def test_ap_at_half_and_double_the_sigmas_is_told_where_they_are_not_cocos(model, labels, capsys):
    assert evaluate(model, "--annotations", labels, "--self-test") == 0
    assert "times the sigmas" not in capsys.readouterr().out
    document = json.loads(labels.read_text())
    document["categories"][0]["sigmas"] = [0.001] * 17
    labels.write_text(json.dumps(document))
    assert evaluate(model, "--annotations", labels, "--self-test") == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "times the sigmas" in line]
    assert len(said) == 1
    assert said[0].startswith("AP would be ")
    assert "at 0.5 times the sigmas" in said[0]
    assert "at 2 times the sigmas" in said[0]


def test_a_skeleton_without_mirror_pairs_is_measured_without_the_flip_test_unasked(labels, tmp_path, capsys):
    lone = replace(COCO17, name="lone", mirror=())
    one = save(build("poise_t_coco_192x160", skeleton=lone), tmp_path / "lone.safetensors")
    assert evaluate(one, "--annotations", labels, "--images", tmp_path) == 0
    assert "flip test off" in capsys.readouterr().out


def test_the_self_test_of_a_large_file_takes_a_part_and_says_so(model, labels, tmp_path, capsys, monkeypatch):
    content = json.loads(labels.read_text())
    one, person = content["images"][0], content["annotations"][0]
    content["images"] = [one | {"id": i, "file_name": f"{i}.jpg"} for i in range(1, 41)]
    content["annotations"] = [person | {"id": i, "image_id": 2 * i} for i in range(1, 21)]
    labels.write_text(json.dumps(content))
    monkeypatch.setattr("poise.cli._evaluate.SELF_TEST_PEOPLE", 8)
    out = tmp_path / "results.json"
    assert evaluate(model, "--annotations", labels, "--self-test", "--out", out) == 0
    said = capsys.readouterr().out
    assert "the self-test uses 8 of 20 people" in said
    assert "of 40 images drawn at random" in said
    assert "AP is 1.000" in said
    rows = json.loads(out.read_text())
    assert len(rows) == 8
    assert evaluate(model, "--annotations", labels, "--self-test", "--out", tmp_path / "again.json") == 0
    assert json.loads((tmp_path / "again.json").read_text()) == rows
    assert json.loads((tmp_path / "results.scores.json").read_text())["settings"]["people"].startswith("8 in ")
    capsys.readouterr()
    monkeypatch.setattr("poise.cli._evaluate.SELF_TEST_PEOPLE", 20)
    assert evaluate(model, "--annotations", labels, "--self-test") == 0
    assert "the self-test uses" not in capsys.readouterr().out


def test_where_one_file_of_an_evaluation_cannot_be_written_there_is_none_and_nothing_was_said(
    model, labels, tmp_path, capsys, monkeypatch
):
    def full(*_):
        raise WriteError("no space left on the device")

    out = tmp_path / "new" / "results.json"
    monkeypatch.setattr("poise.viz.report.write_atomic", full)
    words = ("--annotations", labels, "--self-test", "--out", out, "--report", out.with_suffix(".html"))
    assert evaluate(model, *words) == 1
    said = capsys.readouterr()
    assert "no space left" in said.err
    assert "poses written" not in said.out
    assert not out.parent.exists()
