"""Where hotcoco is not installed pycocotools counts, to the same last digit."""

import copy
import sys

import numpy as np
import pytest

from poise import counting
from poise.data.masks import mask, mask_area
from poise.errors import MissingExtra
from poise.metrics.boxes import evaluate_boxes
from poise.metrics.coco import evaluate
from poise.metrics.matches import find_box_matches, find_matches
from poise.skeletons import COCO17


@pytest.fixture
def both(monkeypatch):
    """What a call gives by hotcoco, and by pycocotools."""

    def call(function):
        assert counting.by_hotcoco()
        first = function()
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "hotcoco", None)
            assert not counting.by_hotcoco()
            return first, function()

    return call


def drawn(seed, *, images=6, people=3):
    """Labels, some of them crowds or without keypoints, and results near them and elsewhere."""
    rng = np.random.default_rng(seed)
    labels, results = [], []
    for image in range(1, images + 1):
        for _ in range(people):
            xy = rng.uniform(0, 200, (17, 2))
            visible = rng.integers(0, 3, 17) * (rng.random() < 0.9)
            low, size = xy.min(axis=0), np.ptp(xy, axis=0)
            box = [*low.tolist(), *size.tolist()]
            labels.append({
                "id": len(labels) + 1, "image_id": image, "category_id": 1, "bbox": box, "area": float(size.prod()) / 2,
                "iscrowd": int(rng.random() < 0.1), "num_keypoints": int((visible > 0).sum()),
                "keypoints": np.column_stack((xy, visible)).ravel().tolist(),
            })  # fmt: skip
            near = xy + rng.normal(0, rng.choice([1, 8, 60]), xy.shape)
            moved = [box[0] + rng.normal(0, 9), box[1], *box[2:]]
            results.append({
                "image_id": image, "category_id": 1, "score": float(rng.random()), "bbox": moved,
                "keypoints": np.column_stack((near, np.ones(17))).ravel().tolist(),
            })  # fmt: skip
    truth = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "height": 200, "width": 200} for i in range(1, images + 1)],
        "annotations": labels,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.keypoints), "skeleton": []}],
    }
    return truth, results


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [0, 18])
def test_scores_of_keypoints_are_the_same_to_the_last_digit(both, seed, count):
    truth, results = drawn(seed)
    one, other = both(lambda: evaluate(truth, results[:count], COCO17))
    assert one.numbers == other.numbers
    assert (one.numbers["AP"] > 0) == bool(count)
    for name in ("precision", "recall", "scores"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_scores_of_boxes_are_the_same_to_the_last_digit(both):
    truth, results = drawn(7)
    one, other = both(lambda: evaluate_boxes(truth, results, images=[1, 2, 5]))
    assert one.numbers == other.numbers
    assert one.numbers["box AP" if "box AP" in one.numbers else "AP"] > 0


@pytest.mark.parametrize("kind", ["keypoints", "bbox", "segm"])
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
def test_results_and_labels_are_not_changed_nor_copied(both, kind):
    truth, results = drawn(5)
    shape = {"size": [200, 200], "counts": [100, 3000, 36900]}
    for row in (*truth["annotations"], *results):
        row |= {"segmentation": counting.masks().frPyObjects(shape, 200, 200)}
    results = [{name: row[name] for name in ("image_id", "category_id", "score")} | _shape(row, kind) for row in results]
    before = copy.deepcopy((truth, results))

    def count():
        run = counting.evaluation(truth, results, kind)
        run.evaluate()
        run.accumulate()
        return run.eval["precision"]

    one, other = both(count)
    np.testing.assert_array_equal(one, other)
    assert (truth, results) == before


def _shape(row, kind):
    return {name: row[name] for name in [{"segm": "segmentation"}.get(kind, kind)]}


@pytest.mark.parametrize("find", [lambda t, r: find_matches(t, r, COCO17), find_box_matches], ids=["keypoints", "boxes"])
def test_matches_are_the_same(both, find):
    truth, results = drawn(3)
    (one,), (other,) = both(lambda: find(truth, results))
    for name in ("outcome", "image", "people"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert {0, 1, 2} >= {*one.outcome.ravel().tolist()} > {1}


SHAPES = {
    "polygons": [[10.0, 10.0, 40.0, 12.0, 30.0, 35.0], [2.0, 2.0, 8.0, 2.0, 8.0, 9.0]],
    "run lengths": {"size": [50, 60], "counts": [100, 30, 20, 45, 2805]},
}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
@pytest.mark.parametrize("kind", SHAPES)
def test_masks_are_the_same(both, kind):
    one, other = both(lambda: (mask(SHAPES[kind], (50, 60)), mask_area(SHAPES[kind], (50, 60))))
    np.testing.assert_array_equal(one[0], other[0])
    assert one[1] == other[1] > 0


def test_without_either_both_are_named(monkeypatch):
    for name in ("hotcoco", "pycocotools"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match="pip install hotcoco, or pip install pycocotools"):
        counting.masks()
