"""Work and memory grow with the labels, not faster."""

import json
import time
import tracemalloc

import numpy as np
import pytest

from poise.data.boxes import BOXES_PER_IMAGE
from poise.data.lint import check_file
from poise.evaluation.boxes import detections
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.requests import eval_requests
from poise.metrics.single_keypoints import evaluate_keypoints
from poise.models.require import require_pose
from poise.skeletons import COCO17
from poise.zoo import build


def labels(people: int) -> dict:
    """Two people in each image."""
    rng = np.random.default_rng(0)
    xy = rng.uniform(10, 190, (people, 17, 2)).round(1)
    rows = np.concatenate((xy, rng.integers(1, 3, (people, 17, 1))), axis=-1).reshape(people, -1).tolist()
    polygon = [[10.0, 10.0, 190.0, 10.0, 190.0, 190.0]]
    return {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 200, "height": 200} for i in range(people // 2)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}],
        "annotations": [
            {"id": i + 1, "image_id": i // 2, "category_id": 1, "iscrowd": 0, "area": 9000.0, "num_keypoints": 17}
            | {"bbox": [0.0, 0.0, 200.0, 200.0], "keypoints": row, "segmentation": polygon}
            for i, row in enumerate(rows)
        ],
    }


def poses(document: dict) -> list[dict]:
    """The labels as results."""
    return [
        {"image_id": row["image_id"], "category_id": 1, "keypoints": row["keypoints"], "score": 1 / row["id"]}
        for row in document["annotations"]
    ]


def of_file(document: dict, place) -> EvalSet:
    path = place / "labels.json"
    path.write_text(json.dumps(document))
    return EvalSet.of_file(path, None, skeleton=COCO17)


WORK = {
    "data check": lambda document, _: check_file(document, {}),
    "reading": lambda document, place: of_file(document, place).sample(10),
    "keypoints": lambda document, _: evaluate_keypoints(document, poses(document), COCO17),
}


@pytest.mark.parametrize("name", WORK)
def test_four_times_the_people_take_about_four_times_as_long(name, tmp_path):
    small, large = labels(500), labels(2000)
    WORK[name](small, tmp_path)
    begin = time.process_time()
    WORK[name](small, tmp_path)
    middle = time.process_time()
    WORK[name](large, tmp_path)
    assert time.process_time() - middle < 10 * (middle - begin) + 0.1


def test_many_boxes_of_few_images_are_read_once_in_little_memory_and_the_best_are_kept(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    count = 30_000
    image, score = rng.integers(0, 6, count).tolist(), rng.random(count).round(3).tolist()
    boxes = rng.uniform(1, 100, (count, 4)).round(1).tolist()
    document = labels(12)
    second = {"id": 2, "name": "child", "keypoints": ["nose"]}
    document["categories"].append(second)
    document["annotations"][0] |= {"category_id": 2, "keypoints": [50, 50, 2], "num_keypoints": 1}
    eval_set = of_file(document, tmp_path)
    rows = [
        {"image_id": i, "category_id": 1 + n % 2, "bbox": box, "score": s}
        for n, (i, s, box) in enumerate(zip(image, score, boxes, strict=True))
    ]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(rows))
    size, calls = path.stat().st_size, []
    read = json.loads
    monkeypatch.setattr(json, "loads", lambda *a, **k: calls.append(1) or read(*a, **k))
    tracemalloc.start()
    try:
        found = detections(path, eval_set, min_score=0.0)
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(calls) == 1
    assert {category: len(part) for category, part in found.items()} == {1: 6 * BOXES_PER_IMAGE, 2: 6 * BOXES_PER_IMAGE}
    best = sorted((s for i, s, n in zip(image, score, range(count), strict=True) if i == 3 and not n % 2), reverse=True)
    assert found[1].scores[3].tolist() == pytest.approx(best[:BOXES_PER_IMAGE])
    assert most < 25 * size  # 70 bytes a row in the file
    assert kept < 3 * size


@pytest.mark.parametrize("more", [2, 3])
def test_models_of_whole_images_say_that_most_images_have_no_annotation(more, tmp_path, capsys):
    document = labels(4)
    document["images"] += [{"id": 100 + i, "file_name": f"later{i}.jpg", "width": 200, "height": 200} for i in range(more)]
    model = require_pose(build("poise_scene_t_coco_64x64"))
    assert len(eval_requests(model, of_file(document, tmp_path), None)) == 2 + more  # all are searched
    said = capsys.readouterr().err
    assert ("3 of 5 images have no annotation and are searched too" in said) == (more == 3)
