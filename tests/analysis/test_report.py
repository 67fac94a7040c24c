import json
import re

import cv2
import numpy as np
import pytest
import torch

from poise.analysis.diagnosis import diagnose
from poise.analysis.pictures import SIDE, best_and_worst, rank_images, side_by_side
from poise.analysis.report import report_of
from poise.data.figures import FigureDataset, write_coco
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import Evaluation
from poise.inference.request import Skipped
from poise.metrics.coco import evaluate
from poise.metrics.single_keypoints import evaluate_keypoints
from poise.skeletons import COCO17

IMAGES = 6


@pytest.fixture(scope="module")
def eval_set(tmp_path_factory):
    drawn = FigureDataset(IMAGES, size=(96, 80), per_image=(1, 2), seed=3)
    path = write_coco(drawn, tmp_path_factory.mktemp("drawn"))
    return EvalSet.of_file(path, path.parent / "images", skeleton=drawn.skeleton)


def evaluation(eval_set, *, skipped=()) -> Evaluation:
    """The labels, the further off the later their image stands; what is of the skipped is missing."""
    results = []
    for annotation in eval_set.truth["annotations"]:
        place = eval_set.ids.index(annotation["image_id"])
        if place in skipped:
            continue
        found = np.array(annotation["keypoints"], np.float64).reshape(-1, 3)
        found[:, 0] += 0.03 * place * annotation["area"] ** 0.5
        row = {"image_id": annotation["image_id"], "category_id": 1, "keypoints": found.reshape(-1).tolist()}
        results.append(row | {"score": 1 - 0.1 * place})
    alone = evaluate_keypoints(eval_set.truth, results, eval_set.skeletons)
    pck = {"pck@0.05": 0.1, "pck@0.1": 0.2, "pck@0.2": 0.3}
    keypoints = {name: pck | {n: alone[name][n] for n in ("AP", "AR")} for name in eval_set.skeleton.keypoints}
    lost = [Skipped(eval_set.dataset.key(i), f"<image {i}> is broken") for i in skipped]
    scores = evaluate(eval_set.truth, results, eval_set.skeletons)
    return Evaluation(
        scores, pck, keypoints, results, eval_set.skeleton, lost, 0, [torch.zeros(0, len(eval_set.skeleton), 2)] * IMAGES
    )


def test_the_page_has_every_part_and_fetches_nothing(eval_set):
    page = report_of(eval_set, evaluation(eval_set), name="mine <b>", settings={"flip test": "on"}).html()
    headings = re.findall(r"<h2[^>]*>([^<]+)</h2>", page)
    assert headings == [
        "Scores", "Precision and recall", "Every keypoint", "Errors by kind", "Reliability of the scores",
        "The 3 worst pictures", "The 3 best pictures", "Skipped", "Settings",
    ]  # fmt: skip
    assert page.count("<img") == IMAGES
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "http" not in page
    assert "<dt>flip test</dt><dd>on</dd>" in page
    assert "No image was skipped." in page


def test_skipped_images_are_listed_and_not_shown(eval_set):
    page = report_of(eval_set, evaluation(eval_set, skipped=(1, 2)), name="mine", settings={}).html()
    assert "2 of 6 images could not be used; their people count as missed." in page
    assert "&lt;image 1&gt; is broken" in page
    assert page.count("<img") == IMAGES - 2


def test_where_nothing_was_found_there_is_a_page_all_the_same(eval_set):
    some = evaluation(eval_set)
    nothing = Evaluation(
        evaluate(eval_set.truth, [], eval_set.skeletons), some.pck, some.keypoints, [], some.skeleton, [], 2, some.positions
    )
    page = report_of(eval_set, nothing, name="mine", settings={}, pictures=False).html()
    assert "No pose was found" in page
    assert "Boxes without extent or outside the image, which were not cropped: 2." in page
    assert "<img" not in page


def test_pictures_go_from_best_to_worst_and_none_is_shown_twice(eval_set):
    found = evaluation(eval_set)
    diagnosis = diagnose(eval_set.truth, found.results, eval_set.skeletons)
    assert [one.image for one in rank_images(eval_set, found.results, diagnosis)] == list(eval_set.ids)
    best, worst = best_and_worst(eval_set, found.results, diagnosis, max_count=2)
    names = [eval_set.dataset.key(i).file_name for i in range(IMAGES)]
    assert [words.split(":")[0] for words, _ in best] == names[:2]
    assert [words.split(":")[0] for words, _ in worst] == names[::-1][:2]
    assert "OKS 1.00" in best[0][0]
    best, worst = best_and_worst(eval_set, found.results, diagnosis)
    assert len(best) + len(worst) == IMAGES


def test_missed_people_and_false_positives_lower_the_rank_of_an_image(eval_set):
    found = evaluation(eval_set)
    first = eval_set.ids[0]
    nobody = {"image_id": first, "category_id": 1, "score": 0.5, "keypoints": [9000.0] * (3 * len(eval_set.skeleton))}
    results = [*found.results, nobody]
    one = next(
        r for r in rank_images(eval_set, results, diagnose(eval_set.truth, results, eval_set.skeletons)) if r.image == first
    )
    assert one.false == 1
    assert one.oks == pytest.approx(one.people / (one.people + 1))
    assert "1 false positive" in one.words
    results = [row for row in found.results if row["image_id"] != first]
    one = next(
        r for r in rank_images(eval_set, results, diagnose(eval_set.truth, results, eval_set.skeletons)) if r.image == first
    )
    assert (one.oks, one.missed) == (0, one.people)


@pytest.mark.parametrize("size", [(400, 900), (900, 400), (40, 30)])
def test_a_picture_is_square_and_shows_labels_and_poses_where_they_are(size, tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((*size, 3), np.uint8))
    xy = np.array([[10.0, 12.0, 2.0], [10.0, 12.0, 2.0]])
    label = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 20], "area": 400, "iscrowd": 0, "num_keypoints": 2}
    document = {
        "images": [{"id": 1, "file_name": "1.png", "width": size[1], "height": size[0]}],
        "annotations": [label | {"keypoints": xy.reshape(-1).tolist()}],
        "categories": [{"id": 1, "name": "pair", "keypoints": ["left_eye", "right_eye"]}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(document))
    eval_set = EvalSet.of_file(tmp_path / "labels.json", tmp_path, skeleton=COCO17)
    pose = {"image_id": 1, "category_id": 1, "keypoints": (xy + np.array([10, 10, 0])).reshape(-1).tolist(), "score": 1.0}
    picture = side_by_side(eval_set, 0, [pose])
    strip = picture.shape[0] - SIDE
    assert picture.shape[1] == 2 * SIDE + 4
    halves = [picture[strip:, :SIDE], picture[strip:, SIDE + 4 :]]
    left, right = (np.argwhere(np.ptp(half.astype(int), axis=2) > 80).mean(axis=0) for half in halves)
    assert 0.2 * SIDE < right[0] - left[0] < SIDE
    assert right[0] - left[0] == pytest.approx(right[1] - left[1], abs=3)
