import json

import pytest
import torch

from poise.data.boxes import check_boxes, read_boxes, usable
from poise.errors import AnnotationError, BoxError, ReadError


@pytest.fixture
def file(tmp_path):
    def write(rows):
        path = tmp_path / "detections.json"
        path.write_text(json.dumps(rows))
        return path

    return write


def row(image_id, bbox, score=0.5, category_id=1):
    return {"image_id": image_id, "category_id": category_id, "bbox": bbox, "score": score}


def test_boxes_are_grouped_by_image_best_first(file):
    found = read_boxes(file([row(7, [1, 2, 3, 4], 0.3), row(9, [0, 0, 5, 5], 0.9), row(7, [10, 20, 30, 40], 0.8)]))
    boxes, scores = found.of(7)
    assert boxes.tolist() == [[10, 20, 40, 60], [1, 2, 4, 6]]
    assert scores.tolist() == pytest.approx([0.8, 0.3])
    assert len(found) == 3
    assert found.of(8)[0].shape == (0, 4)


def test_low_scores_and_other_categories_are_left_out(file):
    path = file([row(1, [0, 0, 5, 5], 0.1), row(1, [0, 0, 6, 6], 0.6), row(1, [0, 0, 7, 7], 0.9, category_id=3)])
    found = read_boxes(path, min_score=0.5, categories={1})
    assert found.of(1)[0].tolist() == [[0, 0, 6, 6]]
    assert found.skipped == 0


def test_boxes_of_no_size_are_skipped_and_counted(file):
    bad = [row(1, [0, 0, 0, 5]), row(1, [0, 0, 5, -1]), row(1, [0, float("nan"), 5, 5]), row(1, [1, 1, 2, 2])]
    found = read_boxes(file(bad))
    assert (len(found), found.skipped) == (1, 3)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"annotations": []}, "not a list of detections"),
        ([row(1, [0, 0, 5])], "four numbers"),
        ([{"image_id": 1, "score": 1.0}], "lacks 'bbox'"),
        ([row("a", [0, 0, 5, 5])], "whole number"),
    ],
)
def test_other_files_are_refused(file, rows, message):
    with pytest.raises(AnnotationError, match=message):
        read_boxes(file(rows))


def test_a_missing_or_broken_file_is_refused(tmp_path):
    with pytest.raises(ReadError, match="no file of boxes"):
        read_boxes(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('[{"image_id"')
    with pytest.raises(AnnotationError, match="not valid JSON"):
        read_boxes(tmp_path / "half.json")


def test_an_empty_list_is_no_error(file):
    assert len(read_boxes(file([]))) == 0


def test_usable_boxes_touch_the_image():
    boxes = torch.tensor([[0, 0, 5, 5], [-9, -9, 1, 1], [20, 0, 30, 5], [-9, 0, 0, 5], [3, 3, 3, 9], [0, 0, float("inf"), 5]])
    assert usable(boxes, (10, 20)).tolist() == [True, True, False, False, False, False]
    check_boxes(boxes[:2], (10, 20))
    for place, message in ((2, "outside the image of 20 x 10"), (4, "has no size"), (5, "is not finite")):
        with pytest.raises(BoxError, match=message):
            check_boxes(boxes[place : place + 1], (10, 20))


@pytest.mark.parametrize(
    "change",
    [
        {"image_id": "7"},
        {"image_id": 7.0},
        {"category_id": "1"},
        {"category_id": None},
        {"bbox": ["1", "2", "3", "4"]},
        {"bbox": ["1.0", "2,0", 3, 4]},
        {"score": "0.5"},
    ],
    ids=repr,
)
def test_detections_with_other_spellings_are_the_same_boxes(file, change):
    found = read_boxes(file([row(7, [1, 2, 3, 4]) | change]), categories={1})
    assert found.of(7)[0].tolist() == [[1, 2, 4, 6]]
    assert found.of(7)[1].tolist() == [0.5]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"category_id": [1]}, r"detection 1 has category_id '\[1\]'"),
        ({"category_id": "person"}, "detection 1 has category_id 'person'"),
        ({"category_id": {"a": 1}}, "detection 1 has category_id"),
        ({"bbox": "wide"}, "detection 1 has bbox 'wide'"),
        ({"bbox": [1, 2, 3, "wide"]}, "detection 1 has bbox"),
        ({"bbox": {"x": 1}}, "detection 1 has bbox"),
        ({"bbox": None}, "detection 1 has bbox"),
        ({"image_id": 1e30}, "detection 1 has image_id"),
        ({"image_id": 10**30}, "beyond 64 bits"),
        ({"image_id": None}, "detection 1 has image_id"),
        ({"image_id": [7]}, "detection 1 has image_id"),
        ({"score": "high"}, "detection 1 has score 'high'"),
        ({"score": [1]}, "detection 1 has score"),
    ],
)
@pytest.mark.parametrize("categories", [None, {1}])
def test_detections_without_a_meaning_are_refused_by_file_row_and_field(file, change, says, categories):
    path = file([row(7, [1, 2, 3, 4]), row(7, [1, 2, 3, 4]) | change])
    with pytest.raises(AnnotationError, match=r"detections\.json.*" + says):
        read_boxes(path, categories=categories)


def test_of_thousands_of_boxes_in_an_image_the_best_are_used_and_that_is_said(file, capsys):
    rows = [row(1, [i, 0, 5, 5], score=i / 5000) for i in range(3000)] + [row(2, [0, 0, 5, 5])]
    found = read_boxes(file(rows))
    assert found.of(1)[0][:, 0].tolist() == list(range(2999, 1999, -1))
    assert len(found.of(2)[0]) == 1
    assert "1 images have more than 1000 boxes" in capsys.readouterr().err
