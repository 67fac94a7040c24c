"""AP of the parts of a whole body: what COCO-WholeBody's own tool gives, by it where it is installed, else by pycocotools."""

import contextlib
import copy
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from poise.metrics import coco
from poise.metrics.parts import PARTS, evaluate_parts, has_parts
from poise.skeletons import COCO17
from poise.skeletons.wholebody import FIELDS, HALPE26, WHOLEBODY133

LENGTHS = {field: len(names) for field, names in FIELDS.items()}


@pytest.fixture(scope="module")
def found():
    """Ground truth and results with all that may befall: parts not labelled, crowds, strangers, parts without a score."""
    random = np.random.default_rng(3)
    annotations, results = [], []
    for image in range(1, 13):
        for _ in range(int(random.integers(0, 5))):
            side = float(random.choice([40, 80, 150, 300]))
            corner = random.uniform(0, 300, 2)
            xy = corner + random.uniform(0, 1, (133, 2)) * (side, 1.5 * side)
            seen = (random.random(133) < 0.8) * random.integers(1, 3, 133)
            for begin, end in ((17, 23), (23, 91), (91, 112), (112, 133), (0, 17)):
                seen[begin:end] *= random.random() < 0.75
            box = [*corner.tolist(), side, 1.5 * side]
            labels = np.c_[xy * (seen > 0)[:, None], seen].ravel().tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": image, "category_id": 1, "bbox": box, "area": 0.8 * side * side,
                    "iscrowd": int(random.random() < 0.1), "keypoints": labels, "num_keypoints": int((seen > 0).sum()),
                }
            )  # fmt: skip
            for _ in range(int(random.integers(0, 3))):
                noise = random.normal(0, 0.03 * side * random.random() ** 2, (133, 2))
                score = random.uniform(0.05, 1, 133)
                for begin, end in ((17, 23), (23, 91), (91, 112)):
                    score[begin:end] *= random.random() < 0.85
                results.append(
                    {
                        "image_id": image, "category_id": 1, "score": float(random.random()),
                        "keypoints": np.c_[xy + noise, score].ravel().tolist(),
                    }
                )  # fmt: skip
        stray = np.c_[random.uniform(0, 500, (133, 2)), np.full(133, 0.5)].ravel().tolist()
        results.append({"image_id": image, "category_id": 1, "score": 0.3, "keypoints": stray})
    images = [{"id": image} for image in range(1, 13)]
    category = {"id": 1, "name": "person", "keypoints": list(WHOLEBODY133.keypoints)}
    return {"images": images, "annotations": annotations, "categories": [category]}, results


def by_fields(row):
    """A row as COCO-WholeBody's files have it: a list for each part."""
    values, begin, parts = row["keypoints"], 0, {}
    for field, length in LENGTHS.items():
        parts[field] = values[3 * begin : 3 * (begin + length)]
        begin += length
    return {**row, **parts}


def sigmas_of(fields):
    return np.array([WHOLEBODY133.sigmas[WHOLEBODY133.index(name)] for field in fields for name in FIELDS[field]])


def by_pycocotools(truth, results, fields):
    """One part by COCO's own code: the lists of the part in place of the keypoints, the area of the body's box."""

    def part(row):
        own = by_fields(row)
        return [value for field in fields for value in own[field]]

    labels = copy.deepcopy(truth)
    for row in labels["annotations"]:
        row["keypoints"] = part(row)
        row["num_keypoints"] = sum(v > 0 for v in row["keypoints"][2::3])
    rows = []
    for row in copy.deepcopy(results):
        body = np.array(by_fields(row)["keypoints"]).reshape(-1, 3)[:, :2]
        low, high = body.min(axis=0), body.max(axis=0)
        row["keypoints"] = part(row)
        row["bbox"] = [*low.tolist(), *(high - low).tolist()]
        if any(v > 0 for v in row["keypoints"][2::3]):
            rows.append(row)
    gt = COCO()
    gt.dataset = labels
    with contextlib.redirect_stdout(io.StringIO()):
        gt.createIndex()
        run = COCOeval(gt, gt.loadRes(rows), "keypoints")
        run.params.kpt_oks_sigmas = sigmas_of(fields)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats


@pytest.mark.parametrize("part", PARTS)
def test_parts_are_scored_as_by_coco_with_their_own_lists_and_the_area_of_the_body(found, part):
    truth, results = found
    numbers = evaluate_parts(truth, results, WHOLEBODY133)[part]
    assert list(numbers.values()) == pytest.approx(by_pycocotools(truth, results, PARTS[part]), abs=1e-12)
    assert 0.02 < numbers["AP"] < 0.98


@pytest.mark.filterwarnings("ignore:.*not found, use 'score' instead")
@pytest.mark.parametrize("part", PARTS)
def test_parts_are_scored_as_by_the_tool_of_coco_wholebody(found, part, tmp_path):
    tool = pytest.importorskip("xtcocotools.cocoeval", reason="xtcocotools, COCO-WholeBody's own tool, is not installed")
    from xtcocotools.coco import COCO as WholeBody

    truth, results = found
    rows = [by_fields(row) for row in results]
    (tmp_path / "truth.json").write_text(json.dumps({**truth, "annotations": list(map(by_fields, truth["annotations"]))}))
    kind = {"body": "keypoints", "whole": "keypoints_wholebody"}.get(part, f"keypoints_{part.replace(' ', '')}")
    with contextlib.redirect_stdout(io.StringIO()):
        gt = WholeBody(str(tmp_path / "truth.json"))
        run = tool.COCOeval(gt, gt.loadRes(rows), kind, sigmas_of(PARTS[part]), use_area=True)
        run.evaluate()
        run.accumulate()
        run.summarize()
    numbers = evaluate_parts(truth, results, WHOLEBODY133)[part]
    assert list(numbers.values()) == pytest.approx(run.stats, abs=1e-12)


def test_the_hand_is_the_mean_of_both_and_one_that_nobody_labels_does_not_count(found):
    truth, results = found
    scores = evaluate_parts(truth, results, WHOLEBODY133)
    assert scores["hand"]["AP"] == pytest.approx((scores["left hand"]["AP"] + scores["right hand"]["AP"]) / 2)
    unlabelled = copy.deepcopy(truth)
    for row in unlabelled["annotations"]:
        row["keypoints"][3 * 91 : 3 * 112] = [0] * 63
    without = evaluate_parts(unlabelled, results, WHOLEBODY133)
    assert without["left hand"]["AP"] == -1
    assert without["hand"] == without["right hand"]


def test_the_body_is_scored_as_seventeen_keypoints_alone(found):
    truth, results = found
    body = copy.deepcopy(truth)
    body["categories"][0]["keypoints"] = list(COCO17.keypoints)
    for row in body["annotations"]:
        row["keypoints"] = row["keypoints"][:51]
    rows = [{**row, "keypoints": row["keypoints"][:51]} for row in results]
    assert evaluate_parts(truth, results, WHOLEBODY133)["body"] == pytest.approx(coco.evaluate(body, rows, COCO17).numbers)


def test_only_skeletons_with_a_face_and_hands_have_parts():
    assert has_parts(WHOLEBODY133)
    assert not has_parts(COCO17)
    assert not has_parts(HALPE26)
