import numpy as np
import pytest
import torch

from poise.analysis.explain import explain
from poise.analysis.matching import THRESHOLDS, interpolate_precision, match_greedily
from poise.analysis.oks_table import MAX_PREDICTIONS
from poise.cli._explain import reason
from poise.errors import AnnotationError, InputError, SkeletonMismatch
from poise.metrics.coco import NUMBERS, evaluate
from poise.skeletons import COCO17, Skeleton

NINE = Skeleton("nine", tuple(f"k{i}" for i in range(9)), sigmas=tuple(0.03 + 0.01 * i for i in range(9)))


def person(number, xy, *, visible=2, area=None, crowd=0, category=1):
    low, high = xy.min(axis=0), xy.max(axis=0)
    keypoints = np.c_[xy, np.broadcast_to(visible, len(xy))]
    return {
        "id": number,
        "image_id": 1,
        "category_id": category,
        "iscrowd": crowd,
        "bbox": [*low.tolist(), *(high - low).tolist()],
        "area": float((high - low).prod() * 0.6) if area is None else area,
        "keypoints": keypoints.reshape(-1).tolist(),
    }


def result(xy, score, *, category=1):
    keypoints = np.c_[xy, np.ones(len(xy))].reshape(-1).tolist()
    return {"image_id": 1, "category_id": category, "keypoints": keypoints, "score": float(score)}


def truth(people, k, *, categories=(1,)):
    named = [{"id": c, "name": f"c{c}", "keypoints": [f"k{i}" for i in range(k)]} for c in categories]
    return {"images": [{"id": 1}, {"id": 2}], "annotations": people, "categories": named}


def drawn(seed, skeleton):
    """An image with people near each other, a crowd, somebody without keypoints, ties, and up to 30 predictions."""
    rng = np.random.default_rng(seed)
    k, n = len(skeleton), int(rng.integers(0, 7))
    bodies = [rng.uniform(0, 40, 2) + rng.uniform(0, rng.choice([40, 120]), (k, 2)) for _ in range(n)]
    people = [
        person(7 * i + 3, xy, visible=rng.integers(0, 3, k) * (rng.random() > 0.2), crowd=int(rng.random() < 0.15))
        for i, xy in enumerate(bodies)
    ]
    found = [xy + rng.normal(0, rng.choice([0, 1, 4, 15]), xy.shape) for xy in bodies for _ in range(int(rng.integers(0, 6)))]
    found += [rng.uniform(0, 160, (k, 2)) for _ in range(int(rng.integers(0, 3)))]
    return truth(people, k), [result(xy, rng.integers(0, 8) / 8) for xy in rng.permutation(np.array(found).reshape(-1, k, 2))]


@pytest.mark.parametrize("skeleton", [COCO17, NINE], ids=lambda s: s.name)
@pytest.mark.parametrize("seed", range(25))
def test_every_step_ends_at_the_numbers_of_the_protocol(seed, skeleton):
    labels, results = drawn(seed, skeleton)
    for area, names in (("all", ("AP", "AR")), ("medium", ("APm", "ARm")), ("large", ("APl", "ARl"))):
        found = explain(labels, results, skeleton, image=1, area=area)
        wanted = evaluate(labels, results, skeleton, images=[1])
        assert (found.ap, found.ar) == pytest.approx([wanted.numbers[name] for name in names], abs=1e-12)
        assert found.protocol == pytest.approx(wanted.numbers, abs=1e-12)
        place = ("all", "medium", "large").index(area)
        for i, one in enumerate(found.rounds):
            levels = one.levels if found.table.people else np.full(101, -1.0)
            np.testing.assert_allclose(levels, wanted.precision[i, :, 0, place, 0], atol=1e-12)


def test_the_drawn_images_have_what_is_hard():
    boards = [explain(*drawn(seed, NINE), NINE, image=1).table for seed in range(25)]
    assert any("crowd" in b.ignored for b in boards)
    assert any("no keypoint labelled" in b.ignored for b in boards)
    assert any(b.left_out for b in boards)
    assert any(len(set(b.scores)) < len(b.scores) for b in boards)
    assert any(not b.scores for b in boards)
    assert any(not b.people for b in boards)


def test_the_prediction_of_higher_score_takes_the_label_though_a_later_one_fits_better():
    xy = np.random.default_rng(0).uniform(0, 100, (17, 2))
    found = explain(truth([person(5, xy)], 17), [result(xy, 0.3), result(xy + 4, 0.9)], COCO17, image=1)
    assert found.table.rows == (1, 0)
    best = found.table.oks[:, 0].argmax()
    assert best == 1, "the highest of the label's column is the second prediction"
    low, high = found.at(0.5), found.at(0.95)
    assert low.matches == (0, None)
    assert low.verdicts == ("TP", "FP")
    assert reason(found.table, low, 1) == "5 has 1.000 and is taken by p1"
    assert high.matches == (None, 0)
    assert high.precision.tolist() == pytest.approx([0.0, 0.5])
    assert (low.ap, high.ap) == pytest.approx((1.0, 0.5))
    assert "less than 0.95" in reason(found.table, high, 0)


def test_a_prediction_takes_an_ignored_label_only_if_no_other_is_free():
    similar = np.array([[0.6, 0.9], [0.55, 0.9], [0.2, 0.9]])
    for crowd, wanted in ((True, (0, 1, 1)), (False, (0, 1, None))):
        assert match_greedily(similar, 0.5, ignored=[False, True], crowd=[False, crowd]) == wanted


def test_of_equally_similar_labels_the_last_is_taken():
    assert match_greedily(np.array([[0.8, 0.8, 0.1]]), 0.5, ignored=[False] * 3, crowd=[False] * 3) == (1,)


def test_at_most_twenty_predictions_count():
    xy = np.random.default_rng(1).uniform(0, 100, (17, 2))
    wrong = [result(xy + 500, 0.9 - 0.01 * i) for i in range(MAX_PREDICTIONS)]
    found = explain(truth([person(1, xy)], 17), [*wrong, result(xy, 0.1)], COCO17, image=1)
    assert (found.table.left_out, found.ap, found.ar) == (1, 0.0, 0.0)


def test_an_image_without_people_has_no_score_and_one_without_predictions_scores_0():
    xy = np.random.default_rng(2).uniform(0, 100, (17, 2))
    nobody = explain(truth([], 17), [result(xy, 0.5)], COCO17, image=1)
    assert (nobody.ap, nobody.ar, nobody.at(0.5).verdicts) == (-1.0, -1.0, ("FP",))
    assert reason(nobody.table, nobody.at(0.5), 0) == "nobody is labelled"
    missed = explain(truth([person(1, xy)], 17), [], COCO17, image=1)
    assert (missed.ap, missed.ar, missed.table.people) == (0.0, 0.0, 1)


def test_levels_are_read_where_a_recall_is_first_reached():
    levels = interpolate_precision(np.array([0.5, 0.5, 1.0]), np.array([1.0, 2 / 3, 2 / 3]))
    assert levels[:51].tolist() == [1.0] * 51
    assert levels[51:].tolist() == pytest.approx([2 / 3] * 50)


def test_categories_are_explained_one_at_a_time():
    rng = np.random.default_rng(3)
    xy = rng.uniform(0, 100, (9, 2))
    labels = truth([person(1, xy), person(2, xy, category=2)], 9, categories=(1, 2))
    results = [result(xy, 0.5), result(xy + 300, 0.5, category=2)]
    assert explain(labels, results, NINE, image=1, category=1).ap == pytest.approx(1.0)
    assert explain(labels, results, NINE, image=1, category=2).ap == 0.0
    with pytest.raises(InputError, match="have 1, 2; name one"):
        explain(labels, results, NINE, image=1)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"image": 9}, InputError, "no image 9"),
        ({"results": [result(np.zeros((9, 2)), 0.5) | {"image_id": "1"}]}, AnnotationError, "do not list"),
        ({"results": [result(np.full((9, 2), np.nan), 0.5)]}, InputError, "not finite"),
        ({"results": [result(np.zeros((17, 2)), 0.5)]}, SkeletonMismatch, "9 keypoints need 27"),
        ({"truth": truth([{**person(1, np.eye(9)[:, :2]), "area": None}], 9)}, AnnotationError, "has no area"),
    ],
)
def test_what_cannot_be_scored_is_refused(change, error, says):
    given = {"truth": truth([], 9), "results": [], "skeletons": NINE, "image": 1} | change
    with pytest.raises(error, match=says):
        explain(given.pop("truth"), given.pop("results"), given.pop("skeletons"), **given)


def test_there_are_ten_thresholds_and_their_numbers_are_the_protocols():
    labels, results = drawn(4, COCO17)
    found = explain(labels, results, COCO17, image=1)
    assert [one.threshold for one in found.rounds] == list(THRESHOLDS)
    assert torch.tensor(THRESHOLDS).diff().allclose(torch.tensor(0.05))
    assert found.at(0.5).ap == pytest.approx(found.protocol["AP50"])
    assert found.at(0.75).ar == pytest.approx(found.protocol["AR75"])
    assert set(found.protocol) == set(NUMBERS)
    with pytest.raises(InputError, match=r"no threshold 0\.6251; it has 0\.50, 0\.55"):
        found.at(0.6251)
