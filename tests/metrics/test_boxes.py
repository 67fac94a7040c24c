import contextlib
import copy
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from poise.errors import AnnotationError, InputError
from poise.metrics.boxes import BOX_NUMBERS, checked_box_annotations, evaluate_boxes, table


def drawn(seed: int, *, categories: int = 1, images: int = 12):
    """Crowds, all three sizes, more than 100 boxes in an image, equal scores, images without either."""
    rng = np.random.default_rng(seed)
    ids = [7 * i + 1 for i in range(images)]
    kinds = [{"id": 3 * c + 1, "name": f"c{c}"} for c in range(categories)]
    people, results = [], []
    for place, image in enumerate(ids):
        for _ in range(0 if place % 5 == 4 else rng.integers(0, 8)):
            box = np.r_[rng.uniform(0, 400, 2), rng.choice([12.0, 60.0, 200.0], 2) * rng.uniform(0.8, 1.2, 2)].round(2)
            kind = int(rng.choice([c["id"] for c in kinds]))
            people.append(
                {
                    "id": len(people) + 1,
                    "image_id": image,
                    "category_id": kind,
                    "bbox": box.tolist(),
                    "area": float(box[2] * box[3] * rng.uniform(0.4, 1)),
                    "iscrowd": int(rng.random() < 0.15),
                }
            )
            for _ in range(40 if place == 0 else rng.integers(0, 6)):
                shaken = box + rng.normal(size=4) * box[2:].min() * rng.choice([0.02, 0.1, 0.3])
                shaken[2:] = np.abs(shaken[2:])
                score = float(rng.choice([0.1, 0.5, 0.9, rng.random()]))
                results.append({"image_id": image, "category_id": kind, "bbox": shaken.round(2).tolist(), "score": score})
    truth = {"images": [{"id": i, "width": 640, "height": 480} for i in ids], "annotations": people, "categories": kinds}
    return truth, [results[i] for i in rng.permutation(len(results))]


def referee(truth, results) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = copy.deepcopy(truth)
        gt.createIndex()
        run = COCOeval(gt, gt.loadRes(copy.deepcopy(results)), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run


@pytest.mark.parametrize(("seed", "categories"), [(0, 1), (1, 1), (2, 3)])
def test_scores_are_those_of_pycocotools(seed, categories):
    truth, results = drawn(seed, categories=categories)
    kept = copy.deepcopy((truth, results))
    got, expected = evaluate_boxes(truth, results), referee(truth, results)
    assert (truth, results) == kept
    assert np.abs(np.array([got.numbers[n] for n in BOX_NUMBERS]) - expected.stats).max() < 1e-9
    for part in ("precision", "recall", "scores"):
        assert np.abs(getattr(got, part) - expected.eval[part]).max() < 1e-9


def test_no_boxes_give_0_and_nobody_gives_minus_1():
    truth, results = drawn(0)
    assert evaluate_boxes(truth, []).numbers["AP"] == 0
    assert set(evaluate_boxes(truth | {"annotations": []}, results).numbers.values()) == {-1.0}


def test_some_images_alone():
    truth, results = drawn(1)
    first = [image["id"] for image in truth["images"][:4]]
    part = {**truth, "annotations": [a for a in truth["annotations"] if a["image_id"] in first]}
    part["images"] = truth["images"][:4]
    alone = evaluate_boxes(part, [row for row in results if row["image_id"] in first])
    assert evaluate_boxes(truth, results, images=first).numbers == alone.numbers


@pytest.mark.parametrize(
    ("place", "change", "error", "says"),
    [
        ("annotations", {"area": None}, AnnotationError, "has no area"),
        ("annotations", {"bbox": None}, AnnotationError, "has no bbox"),
        ("annotations", {"area": -3.0}, AnnotationError, "the area -3"),
        ("annotations", {"area": float("nan")}, AnnotationError, "finite sizes"),
        ("annotations", {"image_id": 4}, AnnotationError, "not listed"),
        ("results", {"image_id": 4}, AnnotationError, r"images \[4\]"),
        ("results", {"score": float("nan")}, InputError, "finite numbers"),
        ("results", {"bbox": [0, 0, -1, 2]}, InputError, "sizes of 0 or more"),
    ],
)
def test_broken_input_is_refused_with_its_place(place, change, error, says):
    truth, results = drawn(2)
    (truth["annotations"] if place == "annotations" else results)[0].update(change)
    with pytest.raises(error, match=says):
        evaluate_boxes(truth, results)


def test_a_result_without_a_score_is_refused():
    truth, results = drawn(2)
    del results[0]["score"]
    with pytest.raises(InputError, match="result 0 has no score"):
        evaluate_boxes(truth, results)


def test_labels_that_cannot_be_scored_against_are_told_before_there_are_results():
    truth, _ = drawn(2)
    assert len(checked_box_annotations(truth)) == len(truth["annotations"])
    del truth["annotations"][0]["area"]
    with pytest.raises(AnnotationError, match="has no area"):
        checked_box_annotations(truth)


def test_the_table_has_a_cell_for_each_number_and_a_dash_for_nobody():
    numbers = dict.fromkeys(BOX_NUMBERS, 0.25) | {"APs": -1.0}
    heads, line, row = table("mine", numbers).splitlines()
    assert heads.count("|") == line.count("|") == row.count("|") == 14
    assert row.startswith("| mine | 0.250 | 0.250 | 0.250 | - | 0.250 |")
