"""Boxes that nobody labelled and no result can take change no score, and are not counted."""

import numpy as np
import pytest

from poise.metrics import coco, single_keypoints
from poise.metrics.takeable import takeable
from poise.skeletons import COCO17


def scene(chance, boxes):
    """Two images: labelled people, results near some of them and elsewhere, and many boxes without keypoints."""
    people, results = [], []
    for image in (1, 2):
        for person in range(12 + boxes):
            corner, size = chance.uniform(0, 600, 2), chance.uniform(20, 200, 2)
            xy = corner + size * chance.random((17, 2))
            visible = np.full(17, 2 if person < 12 else 0)
            keypoints = np.concatenate((xy * (visible > 0)[:, None], visible[:, None]), axis=1).ravel().tolist()
            place = {"image_id": image, "category_id": 1}
            box = {
                "bbox": [*corner.tolist(), *size.tolist()],
                "area": float(size.prod()) / 2,
                "iscrowd": int(person % 50 == 49),
            }
            people.append(
                {**place, **box, "id": len(people) + 1, "keypoints": keypoints, "num_keypoints": int((visible > 0).sum())}
            )
            if person < 24:
                moved = np.concatenate((xy + chance.normal(0, 8, (17, 2)), np.ones((17, 1))), axis=1)
                results.append({**place, "keypoints": moved.ravel().tolist(), "score": float(chance.random())})
    images = [
        {"id": 1, "width": 800, "height": 800},
        {"id": 2, "width": 800, "height": 800},
        {"id": 3, "width": 8, "height": 8},
    ]
    categories = [{"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}]
    return {"images": images, "annotations": people, "categories": categories}, results


@pytest.mark.parametrize("seed", range(4))
def test_scores_stay_as_they_are(seed, monkeypatch):
    truth, results = scene(np.random.default_rng(seed), boxes=700)
    kept = []

    def counted(people, poses, of):
        kept.append(takeable(people, poses, of))
        return kept[-1]

    found = []
    for rule in (counted, lambda people, poses, of: people):
        monkeypatch.setattr(coco, "takeable", rule)
        monkeypatch.setattr(single_keypoints, "takeable", rule)
        scores = coco.evaluate(truth, results, COCO17)
        found.append((scores.precision, scores.recall, single_keypoints.evaluate_keypoints(truth, results, COCO17)))
    assert len(kept[0]) < 2 * (12 + 400) < len(truth["annotations"])
    for one, other in zip(*(part[:2] for part in found), strict=True):
        assert np.array_equal(one, other)
    assert found[0][2] == found[1][2]
    assert 0 < coco.evaluate(truth, results, COCO17).numbers["AP"] < 1


def test_few_boxes_are_all_counted():
    truth, results = scene(np.random.default_rng(0), boxes=30)
    assert len(takeable(truth["annotations"], results, {1: COCO17})) == len(truth["annotations"])
