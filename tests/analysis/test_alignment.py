"""AP with and without people who lack the alignment: a perfect model of eight people, three without a hip or a shoulder."""

import json

import numpy as np
import pytest

from poise.analysis.alignment import alignment_scores
from poise.errors import InputError, SkeletonMismatch
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import Evaluation
from poise.metrics import coco
from poise.skeletons import COCO17
from poise.skeletons.alignment import BodyAxis

PEOPLE, WITHOUT = 8, {2: "left_hip", 5: "right_shoulder", 7: "left_hip"}


@pytest.fixture
def eval_set(tmp_path):
    rng = np.random.default_rng(0)
    images, people = [], []
    for i in range(1, PEOPLE + 1):
        xy, visible = rng.uniform(20, 180, (17, 2)), np.full(17, 2)
        if i in WITHOUT:
            visible[COCO17.index(WITHOUT[i])] = 0
        keypoints = np.c_[xy * (visible[:, None] > 0), visible].reshape(-1).tolist()
        images.append({"id": i, "file_name": f"{i}.jpg", "width": 200, "height": 200})
        box = [*xy.min(axis=0).tolist(), *np.ptp(xy, axis=0).tolist()]
        people.append(
            {"id": 10 * i, "image_id": i, "category_id": 1, "bbox": box, "area": 20000, "iscrowd": 0}
            | {"keypoints": keypoints, "num_keypoints": int((visible > 0).sum())}
        )
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": people, "categories": [category]}))
    return EvalSet.of_file(path, None, skeleton=COCO17)


@pytest.fixture
def perfect(eval_set):
    """The labels as predictions."""
    positions = [eval_set.dataset.labels(i).xy for i in range(PEOPLE)]
    results = []
    for image, xy in zip(eval_set.ids, positions, strict=True):
        keypoints = np.c_[xy[0].double().numpy(), np.ones(17)].reshape(-1).tolist()
        results.append({"image_id": image, "category_id": 1, "keypoints": keypoints, "score": 0.9})
    scores = coco.evaluate(eval_set.truth, results, eval_set.skeletons)
    return Evaluation(scores, {}, {}, results, COCO17, [], 0, positions)


def test_a_perfect_model_shows_what_each_choice_removes(eval_set, perfect):
    found = alignment_scores(eval_set, perfect, BodyAxis())
    assert (found.people, found.kept, found.ceiling) == (8, 5, 0.625)
    assert {name: count for name, count in found.missing.items() if count} == {"left_hip": 2, "right_shoulder": 1}
    numbers = {name: scores.numbers for name, scores in found.rows.items()}
    assert numbers["everybody"]["AP"] == pytest.approx(1)
    assert numbers["predictions filtered"]["AR"] == pytest.approx(0.625)  # the ceiling
    assert numbers["predictions filtered"]["AP"] == pytest.approx(63 / 101)  # recall is read at 101 points
    assert numbers["predictions and ground truth filtered"]["AP"] == pytest.approx(1)
    assert numbers["ground truth masked"]["AP"] == pytest.approx(1)


def test_predictions_of_people_who_are_only_left_out_of_the_ground_truth_would_be_false_positives(eval_set, perfect):
    truth = {**eval_set.truth, "annotations": [a for a in eval_set.truth["annotations"] if a["id"] not in (20, 50, 70)]}
    assert coco.evaluate(truth, perfect.results, eval_set.skeletons).numbers["AP"] < 0.99


def test_the_lines_say_who_lacks_what_and_the_ceiling(eval_set, perfect):
    said = "\n".join(alignment_scores(eval_set, perfect, BodyAxis()).lines)
    assert "5 of 8 people have all keypoints of the alignment; not labelled: left_hip 2, right_shoulder 1" in said
    assert "predictions filtered: AP 0.624" in said
    assert "all of the ground truth: 0.625" in said


def test_keypoints_that_are_not_there_are_refused(eval_set, perfect):
    with pytest.raises(SkeletonMismatch, match="has no tail"):
        alignment_scores(eval_set, perfect, BodyAxis(("tail",), ("nose",)))


def test_labels_without_ids_of_annotations_are_refused(eval_set, perfect):
    generated = EvalSet.of_dataset(eval_set.dataset)
    with pytest.raises(InputError, match="COCO-style files of one category, with ids"):
        alignment_scores(generated, perfect, BodyAxis())
