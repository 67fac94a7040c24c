"""Average precision of masks: pycocotools' to the last digit, from hotcoco as from pycocotools."""

import contextlib
import copy
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from poise.data.masks import mask, run_lengths
from poise.errors import AnnotationError, InputError
from poise.metrics.boxes import BOX_NUMBERS
from poise.metrics.masks import evaluate_masks

SIZE = (120, 160)


def blob(rng, corner, side):
    """A mask: a rough square."""
    covered = np.zeros(SIZE, dtype=bool)
    x, y = corner
    covered[y : y + side, x : x + side] = rng.random(covered[y : y + side, x : x + side].shape) < 0.9
    return covered


@pytest.fixture
def labelled():
    """Six images with people of several sizes, one of them a crowd, and masks that cover them more or less."""
    rng = np.random.default_rng(3)
    people, found = [], []
    for image in range(1, 7):
        for number in range(3):
            corner, side = rng.integers(0, 60, 2), int(rng.integers(8, 60))
            own = blob(rng, corner, side)
            crowd = int(image == 2 and number == 0)
            people.append(
                {
                    "id": len(people) + 1, "image_id": image, "category_id": 1, "iscrowd": crowd, "area": float(own.sum()),
                    "bbox": [int(corner[0]), int(corner[1]), side, side], "segmentation": run_lengths(own),
                }
            )  # fmt: skip
            near = blob(rng, np.maximum(corner + rng.integers(-4, 5, 2), 0), side)
            row = {"image_id": image, "category_id": 1, "segmentation": run_lengths(near), "score": float(rng.random())}
            found += [row, row | {"score": row["score"] / 2}] if number == 1 else [row]
    images = [{"id": i, "height": SIZE[0], "width": SIZE[1]} for i in range(1, 7)]
    return {"images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}, found


def official(truth, found):
    """The twelve numbers of pycocotools."""
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = copy.deepcopy(truth)
        gt.createIndex()
        run = COCOeval(gt, gt.loadRes(copy.deepcopy(found)), "segm")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats.tolist()


@pytest.mark.parametrize("hotcoco", [True, False])
def test_scores_are_those_of_pycocotools(labelled, hotcoco, monkeypatch):
    monkeypatch.setattr("poise.counting.by_hotcoco", lambda: hotcoco)
    truth, found = labelled
    before = copy.deepcopy(labelled)
    scores = evaluate_masks(truth, found)
    assert list(scores.numbers.values()) == official(truth, found)
    assert tuple(scores.numbers) == BOX_NUMBERS
    assert 0.1 < scores.numbers["AP"] < 0.9
    assert (truth, found) == before


def test_ids_of_any_size_are_scored_alike(labelled):
    truth, found = labelled
    before = evaluate_masks(truth, found).numbers
    for row in (*truth["annotations"], *found):
        row["image_id"] += 10**18
    for image in truth["images"]:
        image["id"] += 10**18
    assert evaluate_masks(truth, found).numbers == before


def test_people_without_a_mask_count_for_nothing_and_somebody_must_have_one(labelled):
    truth, found = labelled
    without = [row | {"segmentation": []} for row in truth["annotations"]]
    assert evaluate_masks({**truth, "annotations": truth["annotations"] + without}, found).numbers == (
        evaluate_masks(truth, found).numbers
    )
    with pytest.raises(AnnotationError, match="no annotation has a mask"):
        evaluate_masks({**truth, "annotations": without}, found)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"score": float("nan")}, InputError, "mask 0 has the score nan"),
        ({"image_id": 99}, AnnotationError, "image 99, which the annotations do not list"),
        ({"segmentation": None}, InputError, "mask 0 has no segmentation"),
    ],
)
def test_a_result_that_cannot_be_scored_is_told(labelled, change, error, says):
    truth, found = labelled
    row = found[0] | change
    if change.get("segmentation", 0) is None:
        del row["segmentation"]
    with pytest.raises(error, match=says):
        evaluate_masks(truth, [row])


def test_run_lengths_are_those_of_coco_and_come_back():
    rng = np.random.default_rng(0)
    covered = rng.random(SIZE) < 0.5
    packed = run_lengths(covered)
    assert packed["size"] == list(SIZE)
    assert isinstance(packed["counts"], str)
    assert (mask(packed, SIZE) == covered).all()
