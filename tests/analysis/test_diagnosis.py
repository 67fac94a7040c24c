from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from poise.analysis.diagnosis import CORRECTIONS, correct, diagnose, precision_curve
from poise.analysis.pairs import ERROR_KINDS, classify_keypoints, keypoint_similarity, match_people
from poise.errors import AnnotationError, InputError, SkeletonMismatch
from poise.metrics.coco import evaluate
from poise.metrics.coco_format import skeletons_by_category
from poise.metrics.oks import oks
from poise.skeletons import COCO17, MPII16
from poise.structures import Labels

SIDE = 30.0
"""Of a square of a person's area: small against the distance of any two labels, so that every error is of one kind alone."""
STEP = 120


def people(rng, skeleton, images: int, each: int) -> dict:
    """Labels on a jittered grid: no two of an image nearer than 80 pixels; some are hidden, some are not labelled."""
    annotations = []
    for image in range(1, images + 1):
        cells = rng.permutation(400)[: each * len(skeleton)]
        xy = np.stack((cells % 20, cells // 20), axis=-1) * float(STEP) + rng.uniform(-20, 20, (len(cells), 2))
        for person in xy.reshape(each, -1, 2):
            visible = rng.choice([0, 1, 2], len(skeleton), p=[0.15, 0.15, 0.7])
            visible[:4] = 2
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": 1,
                    "bbox": [0, 0, 2400, 2400],
                    "area": SIDE**2,
                    "keypoints": np.c_[person * (visible > 0)[:, None], visible].reshape(-1).tolist(),
                }
            )
    category = {"id": 1, "name": "one", "keypoints": list(skeleton.keypoints)}
    return {"images": [{"id": i} for i in range(1, images + 1)], "annotations": annotations, "categories": [category]}


def moved(rng, skeleton, kind, person, others, place):
    """Where an error of a kind puts a keypoint, or None where there is no such place."""
    if kind == "jitter":
        angle, similar = rng.uniform(0, 2 * np.pi), rng.uniform(0.55, 0.8)
        distance = np.sqrt(-2 * np.log(similar)) * SIDE * 2 * skeleton.sigmas[place]
        return person[place, :2] + distance * np.array([np.cos(angle), np.sin(angle)])
    if kind == "miss":
        return rng.uniform(3000, 4000, 2)
    source = int(skeleton.flip[place]) if kind == "inversion" or rng.random() < 0.3 else place
    if kind == "inversion":
        return None if source == place or person[source, 2] == 0 else person[source, :2]
    other = others[rng.integers(len(others))]
    return None if other[source, 2] == 0 else other[source, :2] + rng.uniform(-0.2, 0.2, 2)


def planted(rng, skeleton, truth, shares):
    """Perfect predictions with errors: the results, and how many of which kind there are."""
    counts, results, cases = Counter(), [], truth["annotations"]
    arrays = [np.array(a["keypoints"]).reshape(-1, 3) for a in cases]
    for index, annotation in enumerate(cases):
        if rng.random() < shares.get("missed", 0):
            counts["missed"] += 1
            continue
        person = arrays[index]
        same = [i for i, a in enumerate(cases) if a["image_id"] == annotation["image_id"] and i != index]
        found = np.c_[person[:, :2], rng.uniform(0, 1, len(person))]
        found[person[:, 2] == 0, :2] = rng.uniform(0, 3000, ((person[:, 2] == 0).sum(), 2))
        room = int((person[:, 2] > 0).sum()) // 2 - 1  # so many errors leave OKS above a half
        for place in np.flatnonzero(person[:, 2] > 0):
            kind = rng.choice(
                ERROR_KINDS,
                p=[1 - sum(shares.get(k, 0) for k in ERROR_KINDS[1:]), *(shares.get(k, 0) for k in ERROR_KINDS[1:])],
            )
            place_to = None
            if kind != "good" and room:
                place_to = moved(rng, skeleton, kind, person, [arrays[i] for i in same], place)
            if place_to is None:
                kind = "good"
            else:
                found[place, :2], room = place_to, room - 1
            counts[skeleton.keypoints[place], str(kind)] += 1
        row = {"image_id": annotation["image_id"], "category_id": 1, "score": float(rng.uniform(0.2, 1))}
        results.append(row | {"keypoints": found.reshape(-1).tolist()})
        if rng.random() < shares.get("doubles", 0):
            counts["doubles"] += 1
            results.append(row | {"keypoints": found.reshape(-1).tolist(), "score": row["score"] / 10})
        if rng.random() < shares.get("background", 0):
            counts["background"] += 1
            nowhere = np.c_[rng.uniform(5000, 6000, (len(person), 2)), np.ones(len(person))]
            results.append(row | {"keypoints": nowhere.reshape(-1).tolist(), "score": float(rng.uniform(0.2, 1))})
    return [results[i] for i in rng.permutation(len(results))], counts


def case(seed, shares, *, skeleton=COCO17, images=6, each=3):
    rng = np.random.default_rng(seed)
    truth = people(rng, skeleton, images, each)
    results, counts = planted(rng, skeleton, truth, shares)
    return truth, results, counts


ALL = {"jitter": 0.1, "inversion": 0.1, "swap": 0.08, "miss": 0.07, "missed": 0.15, "background": 0.2, "doubles": 0.1}


@pytest.mark.parametrize("skeleton", [COCO17, MPII16], ids=lambda s: s.name)
@settings(max_examples=settings().max_examples // 4)
@given(seed=st.integers(0, 2**32 - 1))
def test_planted_errors_are_classified_and_correcting_all_gives_ap_1(skeleton, seed):
    truth, results, counts = case(seed, ALL, skeleton=skeleton, images=3)
    found = diagnose(truth, results, skeleton)
    assert {(n, k): c for n, of in found.keypoints.items() for k, c in of.items() if c} == {
        pair: c for pair, c in counts.items() if isinstance(pair, tuple)
    }
    assert len(found.matching.missed) == counts["missed"]
    assert len(found.matching.background) == counts["background"]
    assert len(found.matching.duplicates) == counts["doubles"]
    assert found.cumulative[-1].ap == pytest.approx(1, abs=1e-12)
    assert found.cumulative[-1].curve.min() == pytest.approx(1, abs=1e-12)
    assert found.scores.numbers["AP"] + sum(step.gain for step in found.cumulative) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("planted_kind", "cure"),
    [(k, k) for k in ERROR_KINDS[1:]]
    + [("background", "false positives"), ("doubles", "false positives"), ("missed", "missed people")],
)
def test_with_one_kind_of_error_correcting_it_gives_ap_1_and_the_others_gain_nothing(planted_kind, cure):
    truth, results, counts = case(7, {planted_kind: 0.25})
    assert sum(counts[k] for k in counts if planted_kind in (k, k[1])) > 3
    found = diagnose(truth, results, COCO17)
    gains = {step.correction: step for step in found.separate}
    assert gains[cure].ap == pytest.approx(1, abs=1e-12)
    wrong = {kind: count for kind, count in found.error_counts.items() if kind != "good" and count}
    assert set(wrong) == ({planted_kind} & set(ERROR_KINDS))
    for other in set(CORRECTIONS) - {cure, "scoring"}:
        assert gains[other].gain == pytest.approx(0, abs=1e-12)
    if planted_kind != "doubles":  # scores a tenth as high: they stand behind everybody and cost nothing
        assert gains[cure].gain > 0.01


def test_the_best_scores_put_what_is_right_before_what_is_wrong():
    truth, results, _ = case(3, {"background": 0.5})
    far = [row | {"score": 2.0} if row["keypoints"][0] >= 5000 else row for row in results]
    found = diagnose(truth, far, COCO17)
    assert found.scores.numbers["AP"] < 0.8
    assert next(step for step in found.separate if step.correction == "scoring").ap == pytest.approx(1, abs=1e-12)


def test_nothing_found_is_everybody_missed():
    truth, _, _ = case(0, {})
    found = diagnose(truth, [], COCO17)
    assert len(found.matching.missed) == len(truth["annotations"])
    assert found.scores.numbers["AP"] == 0
    assert [step.ap for step in found.separate] == [0] * (len(CORRECTIONS) - 1) + [pytest.approx(1)]
    assert found.error_counts == dict.fromkeys(ERROR_KINDS, 0)


def test_crowds_and_people_without_labels_are_neither_found_nor_missed():
    truth, results, _ = case(1, {}, images=2)
    truth["annotations"][0]["iscrowd"] = 1
    unlabelled = truth["annotations"][1]
    results = [r for r in results if r["keypoints"][:2] != unlabelled["keypoints"][:2]]
    unlabelled["keypoints"] = [0] * 51
    found = diagnose(truth, results, COCO17)
    assert {pair.person for pair in found.matching.pairs} == set(range(2, 6))
    assert not found.matching.missed + found.matching.background + found.matching.duplicates


def test_attempts_at_an_ignored_person_are_ignored_and_removed_with_false_positives():
    truth, results, _ = case(1, {}, images=2)
    truth["annotations"][0]["iscrowd"] = 1
    whose = next(i for i, r in enumerate(results) if r["keypoints"][:2] == truth["annotations"][0]["keypoints"][:2])
    far = np.array(results[whose]["keypoints"]).reshape(-1, 3)
    far[2:, :2] += 3000  # two keypoints of many still fit
    results[whose] = results[whose] | {"keypoints": far.reshape(-1).tolist(), "score": 2.0}
    found = diagnose(truth, results, COCO17)
    assert found.matching.ignored == (whose,)
    assert found.scores.numbers["AP"] < 0.9
    assert found.cumulative[-1].ap == pytest.approx(1, abs=1e-12)


def test_an_attempt_at_a_person_is_not_matched_to_an_ignored_neighbour():
    truth, _, _ = case(3, {}, images=1, each=2)
    truth["annotations"][1] |= {"keypoints": [0] * 51, "bbox": [0, 0, 2400, 2400]}  # any pose in the box has OKS 1 with them
    pose = np.array(truth["annotations"][0]["keypoints"], dtype=np.float64).reshape(-1, 3)
    labelled = np.flatnonzero(pose[:, 2] > 0)
    pose[labelled[: round(0.7 * len(labelled))], 0] += 60
    results = [{"image_id": 1, "category_id": 1, "keypoints": pose.reshape(-1).tolist(), "score": 0.5}]
    found = match_people(truth, results, skeletons_by_category(truth, COCO17))
    assert [(pair.person, pair.row) for pair in found.pairs] == [(0, 0)]
    assert found.ignored == ()


def test_a_confident_duplicate_takes_no_neighbour_from_another_prediction():
    truth, _, _ = case(0, {}, images=1, each=2)
    first, second = (np.array(a["keypoints"]).reshape(-1, 3) for a in truth["annotations"])
    mixed = first.copy()
    both = np.flatnonzero((first[:, 2] > 0) & (second[:, 2] > 0))
    mixed[both[:3]] = second[both[:3]]  # a double of the first, a little like the second
    poses = [(first, 0.9), (mixed, 0.8), (second, 0.1)]
    results = [{"image_id": 1, "category_id": 1, "keypoints": p.reshape(-1).tolist(), "score": s} for p, s in poses]
    found = match_people(truth, results, skeletons_by_category(truth, COCO17))
    assert {pair.person: pair.row for pair in found.pairs} == {0: 0, 1: 2}
    assert found.duplicates == (1,)


def test_predictions_beyond_the_first_20_of_an_image_do_not_count():
    truth, results, _ = case(2, {}, images=1)
    crowd = [results[0] | {"score": 0.01 * i, "keypoints": [9000.0] * 51} for i in range(30)]
    found = diagnose(truth, results + crowd, COCO17)
    assert len(found.matching.best) == 20
    assert found.cumulative[-1].ap == pytest.approx(1, abs=1e-12)


def test_the_mean_similarity_of_the_labelled_keypoints_is_oks():
    generator = torch.Generator().manual_seed(0)
    xy = torch.rand((3, 17, 2), generator=generator) * 100
    visible = torch.randint(0, 3, (3, 17), generator=generator)
    labels = Labels.of(xy, visible, torch.tensor([[0.0, 0.0, 100.0, 100.0]]).repeat(3, 1))
    found = xy + 5 * torch.randn((3, 17, 2), generator=generator)
    mean = keypoint_similarity(found, labels, COCO17)[:, :, 0].sum(dim=-1) / (visible > 0).sum(dim=-1)
    assert torch.allclose(mean, oks(found, labels, COCO17.sigmas), atol=1e-12)


@pytest.mark.parametrize(("similar", "kind"), [(0.86, "good"), (0.84, "jitter"), (0.51, "jitter"), (0.49, "miss")])
def test_the_borders_of_jitter(similar, kind):
    labels = Labels.of(torch.zeros(1, 17, 2), torch.full((1, 17), 2), torch.tensor([[0.0, 0.0, 100.0, 100.0]]))
    labels.xy[0, :, 0] = torch.arange(17) * 1000
    widths = 2 * torch.tensor(COCO17.sigmas, dtype=torch.float64) * 100
    found = labels.xy.double().clone()
    found[..., 1] += widths * np.sqrt(-2 * np.log(similar))
    kinds = classify_keypoints(found, labels, torch.tensor([0]), COCO17)
    assert {ERROR_KINDS[k] for k in kinds.flatten().tolist()} == {kind}


def test_neither_argument_is_changed():
    truth, results, _ = case(5, ALL, images=2)
    before = repr((truth, results))
    diagnose(truth, results, COCO17)
    of = skeletons_by_category(truth, COCO17)
    correct(truth, results, of, match_people(truth, results, of), CORRECTIONS)
    assert repr((truth, results)) == before


def test_categories_of_different_skeletons_are_diagnosed_each_by_its_own():
    one, found, _ = case(1, {"miss": 0.2}, images=2)
    other, more, _ = case(2, {"inversion": 0.2}, images=2, skeleton=MPII16)
    truth = {
        "images": one["images"],
        "annotations": one["annotations"] + [a | {"category_id": 2} for a in other["annotations"]],
        "categories": [*one["categories"], other["categories"][0] | {"id": 2, "name": "two"}],
    }
    both = diagnose(truth, found + [row | {"category_id": 2} for row in more], {1: COCO17, 2: MPII16})
    single = [diagnose(t, r, s) for t, r, s in ((one, found, COCO17), (other, more, MPII16))]
    assert both.error_counts == {kind: sum(part.error_counts[kind] for part in single) for kind in ERROR_KINDS}
    assert both.cumulative[-1].ap == pytest.approx(1, abs=1e-12)


def test_the_curve_is_the_precision_whose_mean_is_ap():
    truth, results, _ = case(4, ALL)
    scores = evaluate(truth, results, COCO17)
    assert precision_curve(scores).mean() == pytest.approx(scores.numbers["AP"], abs=1e-12)
    for threshold, name in ((0.5, "AP50"), (0.75, "AP75")):
        assert precision_curve(scores, threshold).mean() == pytest.approx(scores.numbers[name], abs=1e-12)


def test_what_cannot_be_scored_cannot_be_diagnosed():
    truth, results, _ = case(0, {}, images=1)
    with pytest.raises(SkeletonMismatch):
        diagnose(truth, results, MPII16)
    with pytest.raises(InputError, match="not finite"):
        diagnose(truth, [results[0] | {"score": float("nan")}], COCO17)
    with pytest.raises(AnnotationError, match="do not list"):
        diagnose(truth, [results[0] | {"image_id": 99}], COCO17)
