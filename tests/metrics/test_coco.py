import contextlib
import copy
import dataclasses
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from poise.errors import AnnotationError, InputError, SkeletonMismatch
from poise.metrics import single_keypoints
from poise.metrics.coco import NUMBERS, evaluate
from poise.metrics.single_keypoints import evaluate_keypoints
from poise.skeletons import Skeleton


def skeleton(k: int, *, sigmas=None) -> Skeleton:
    return Skeleton("drawn", tuple(f"k{i}" for i in range(k)), sigmas=tuple(sigmas) if sigmas is not None else (0.07,) * k)


def drawn(rng: np.random.Generator, *, k: int, categories: int = 1, images: int = 15):
    """Crowds, people without labels, areas of 0, more than 20 results in an image, equal scores, images without either."""
    ids = [3 * i + 5 for i in range(images)]
    kinds = [{"id": 2 * c + 1, "name": f"c{c}", "keypoints": [f"k{i}" for i in range(k)]} for c in range(categories)]
    people, results = [], []
    for image in ids:
        for _ in range(rng.integers(0, 6)):
            size = rng.choice([15.0, 50.0, 150.0])
            x, y = rng.uniform(0, 640), rng.uniform(0, 480)
            xy = (np.array([x, y]) + rng.normal(size=(k, 2)) * size).round(1)
            visible = rng.integers(0, 3, k) * (rng.random() > 0.15)
            kind = int(rng.choice([c["id"] for c in kinds]))
            people.append(
                {
                    "id": len(people) + 1,
                    "image_id": image,
                    "category_id": kind,
                    "bbox": [x - size, y - size, 2 * size, 2 * size],
                    "area": float(size**2 * rng.uniform(0.5, 4)) * (rng.random() > 0.03),
                    "iscrowd": int(rng.random() < 0.1),
                    "num_keypoints": int((visible > 0).sum()),
                    "keypoints": np.c_[xy * (visible > 0)[:, None], visible].reshape(-1).tolist(),
                }
            )
            for _ in range(rng.integers(0, 9)):
                found = xy + rng.normal(size=xy.shape) * size * rng.choice([0.01, 0.1, 0.3])
                score = float(rng.choice([0.1, 0.2, 0.5, 0.9, rng.random()]))
                results.append(
                    {"image_id": image, "category_id": kind, "keypoints": np.c_[found, np.ones(k)].reshape(-1).tolist()}
                )
                results[-1]["score"] = score
    truth = {"images": [{"id": i, "width": 640, "height": 480} for i in ids], "annotations": people, "categories": kinds}
    return truth, [results[i] for i in rng.permutation(len(results))]


def referee(truth, results, sigmas) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = copy.deepcopy(truth)
        gt.createIndex()
        run = COCOeval(gt, gt.loadRes(copy.deepcopy(results)), "keypoints")
        run.params.kpt_oks_sigmas = np.array(sigmas)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run


@pytest.mark.parametrize("seed", range(12))
def test_scores_are_those_of_pycocotools_for_any_keypoints_and_sigmas(seed):
    rng = np.random.default_rng(seed)
    k, categories = int(rng.choice([1, 3, 9, 14, 17, 20, 133])), int(rng.choice([1, 3]))
    truth, results = drawn(rng, k=k, categories=categories)
    bones = skeleton(k, sigmas=rng.uniform(0.02, 0.12, k))
    kept = copy.deepcopy((truth, results))
    got, expected = evaluate(truth, results, bones), referee(truth, results, bones.sigmas)
    assert (truth, results) == kept
    assert np.abs(np.array([got.numbers[n] for n in NUMBERS]) - expected.stats).max() < 1e-9
    for part in ("precision", "recall", "scores"):
        assert np.abs(getattr(got, part) - expected.eval[part]).max() < 1e-9


def test_the_mean_of_a_curve_is_the_ap_at_its_threshold():
    truth, results = drawn(np.random.default_rng(7), k=3, categories=3)
    scores = evaluate(truth, results, skeleton(3))
    assert scores.curve().mean() == pytest.approx(scores.numbers["AP50"])
    assert scores.curve(0.75).mean() == pytest.approx(scores.numbers["AP75"])
    assert np.mean([scores.curve(0.5 + 0.05 * i).mean() for i in range(10)]) == pytest.approx(scores.numbers["AP"])
    assert (np.diff(scores.curve()) <= 0).all()
    with pytest.raises(InputError, match="not at 0"):
        scores.curve(0.62)
    assert set(evaluate(truth | {"annotations": []}, results, skeleton(3)).curve()) == {-1.0}


def test_nine_keypoints_with_sigmas_of_their_own_score_as_in_pycocotools():
    rng = np.random.default_rng(9)
    truth, results = drawn(rng, k=9, images=40)
    bones = skeleton(9, sigmas=rng.uniform(0.02, 0.12, 9))
    people = truth["annotations"]
    assert any(p["iscrowd"] for p in people)
    assert any(not p["num_keypoints"] for p in people)
    assert max(sum(r["image_id"] == i["id"] for r in results) for i in truth["images"]) > 20
    assert any(all(p["image_id"] != i["id"] for p in people) for i in truth["images"])
    assert len({r["score"] for r in results}) < len(results)
    got, expected = evaluate(truth, results, bones), referee(truth, results, bones.sigmas)
    assert np.abs(np.array([got.numbers[n] for n in NUMBERS]) - expected.stats).max() < 1e-9


def test_categories_of_their_own_skeletons_are_scored_with_their_own_sigmas():
    rng = np.random.default_rng(1)
    truth, results = drawn(rng, k=5, categories=2, images=30)
    of = {1: skeleton(5), 3: skeleton(5, sigmas=(0.03,) * 5)}
    got = evaluate(truth, results, of)
    for name, category in (("c0", 1), ("c1", 3)):
        part = truth | {
            "annotations": [a for a in truth["annotations"] if a["category_id"] == category],
            "categories": [c for c in truth["categories"] if c["id"] == category],
        }
        alone = referee(part, [r for r in results if r["category_id"] == category], of[category].sigmas)
        assert np.abs(np.array([*got.categories[name].values()]) - alone.stats).max() < 1e-9
    assert got.numbers["AP"] == pytest.approx((got.categories["c0"]["AP"] + got.categories["c1"]["AP"]) / 2)


def alone(truth, keypoint: int) -> dict:
    """The file with nothing else labelled."""
    part = copy.deepcopy(truth)
    for person in part["annotations"]:
        for other in range(len(person["keypoints"]) // 3):
            if other != keypoint:
                person["keypoints"][3 * other : 3 * other + 3] = [0, 0, 0]
        person["num_keypoints"] = int(person["keypoints"][3 * keypoint + 2] > 0)
    return part


@pytest.mark.parametrize("seed", range(6))
def test_a_keypoint_alone_scores_as_a_file_in_which_nothing_else_is_labelled(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    truth, results = drawn(rng, k=4, categories=1 + seed % 2, images=30)
    bones = skeleton(4, sigmas=(0.03, 0.05, 0.08, 0.1))
    monkeypatch.setattr(single_keypoints, "MEMORY", (1, 2**21)[seed % 2])  # image by image, or all at once
    table = evaluate_keypoints(truth, results, bones)
    assert list(table) == ["k0", "k1", "k2", "k3"]
    for i, numbers in enumerate(table.values()):
        expected = referee(alone(truth, i), results, bones.sigmas).stats
        assert np.abs(np.array([numbers["AP"], numbers["AR"]]) - expected[[0, 5]]).max() < 1e-9


def test_a_keypoint_that_nobody_has_is_minus_one_and_without_results_it_is_0():
    truth, results = drawn(np.random.default_rng(0), k=2)
    assert evaluate_keypoints(alone(truth, 0), results, skeleton(2))["k1"] == {"AP": -1.0, "AR": -1.0}
    assert evaluate_keypoints(truth, [], skeleton(2))["k1"] == {"AP": 0.0, "AR": 0.0}
    other = {1: Skeleton("mine", ("k0", "k1"), sigmas=(0.05, 0.05))}
    assert evaluate_keypoints(truth | {"annotations": []}, results, other)["k0"] == {"AP": -1.0, "AR": -1.0}


def test_without_results_precision_is_zero_and_without_people_it_is_minus_one():
    truth, results = drawn(np.random.default_rng(0), k=3)
    assert evaluate(truth, [], skeleton(3)).numbers["AP"] == 0
    nobody = evaluate(truth | {"annotations": []}, results, skeleton(3)).numbers
    assert set(nobody.values()) == {-1.0}
    assert np.abs(np.array([*nobody.values()]) - referee(truth | {"annotations": []}, results, (0.07,) * 3).stats).max() == 0


def test_ids_that_repeat_or_are_0_and_a_missing_count_of_keypoints_do_not_change_the_scores():
    truth, results = drawn(np.random.default_rng(2), k=3)
    expected = evaluate(truth, results, skeleton(3)).numbers
    broken = copy.deepcopy(truth)
    for person in broken["annotations"]:
        person["id"] = 0
        del person["num_keypoints"]
    assert evaluate(broken, results, skeleton(3)).numbers == expected


def test_a_box_in_a_result_does_not_change_the_scores():
    truth, results = drawn(np.random.default_rng(4), k=3)
    boxed = [row | {"bbox": [0, 0, 1, 1], "area": 1.0} for row in results]
    assert evaluate(truth, boxed, skeleton(3)).numbers == evaluate(truth, results, skeleton(3)).numbers


def without(field):
    def change(truth, results):
        del truth["annotations"][0][field]

    return change


def longer(truth, results):
    truth["annotations"][0]["keypoints"] += [0, 0, 0]


def other_image(truth, results):
    results[0]["image_id"] = 4


def other_category(truth, results):
    for row in results:
        row["category_id"] = 7


def short_result(truth, results):
    results[0]["keypoints"] = results[0]["keypoints"][:-3]


def not_finite(truth, results):
    results[0]["score"] = float("nan")


def value(field, number):
    def change(truth, results):
        truth["annotations"][0][field] = number

    return change


def no_score(truth, results):
    del results[1]["score"]


def no_images(truth, results):
    truth["images"] = []


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (without("area"), AnnotationError, "has no area"),
        (without("bbox"), AnnotationError, "has no bbox"),
        (without("category_id"), AnnotationError, "not listed"),
        (longer, SkeletonMismatch, "4 keypoints and skeleton 'drawn' has 3"),
        (other_image, AnnotationError, r"images \[4\]"),
        (short_result, SkeletonMismatch, "6 values"),
        (not_finite, InputError, "not finite"),
        (value("area", -3.0), AnnotationError, "an area of -3"),
        (value("area", float("nan")), AnnotationError, "an area of nan; expected a finite number"),
        (value("area", "large"), AnnotationError, "an area of 'large'"),
        (value("bbox", [0, 0, float("inf"), 1]), AnnotationError, "expected four finite numbers"),
        (value("bbox", [0, 0, 1]), AnnotationError, "expected four finite numbers"),
        (value("keypoints", [float("nan")] * 9), AnnotationError, "keypoints that are not finite"),
        (value("keypoints", [None] * 9), AnnotationError, "keypoints that are not finite"),
        (other_category, AnnotationError, r"categories \['7'\], and the annotations have \[1\]"),
        (no_score, InputError, "result 1 has no score"),
        (no_images, AnnotationError, "no images"),
    ],
)
def test_broken_input_is_refused_with_its_place(change, error, says):
    truth, results = drawn(np.random.default_rng(5), k=3)
    change(truth, results)
    with pytest.raises(error, match=says):
        evaluate(truth, results, skeleton(3))


def test_a_category_without_a_skeleton_is_refused():
    truth, results = drawn(np.random.default_rng(5), k=3, categories=2)
    with pytest.raises(AnnotationError, match=r"categories \[3\] have no skeleton"):
        evaluate(truth, results, {1: skeleton(3)})


def test_wider_sigmas_never_score_lower():
    truth, results = drawn(np.random.default_rng(6), k=3)
    narrow = evaluate(truth, results, skeleton(3)).numbers["AR"]
    assert evaluate(truth, results, dataclasses.replace(skeleton(3), sigmas=(0.2,) * 3)).numbers["AR"] >= narrow
