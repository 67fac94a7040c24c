"""COCO evaluation of 5,000 images, 11,000 people and 100,000 poses, beside pycocotools on the same lists in memory."""

import contextlib
import io
import os
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("RAYON_NUM_THREADS", "1")  # hotcoco counts in threads; the table is of one

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from row import Row

from poise.metrics.coco import NUMBERS, evaluate
from poise.skeletons import COCO17

IMAGES, PEOPLE, POSES = 5_000, 11_000, 100_000


def drawn(seed: int = 0) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Annotations and results of the size of COCO's validation set: poses are people, more or less shaken."""
    rng = np.random.default_rng(seed)
    image = rng.integers(1, IMAGES + 1, PEOPLE)
    centre, size = rng.uniform(0, 640, (PEOPLE, 1, 2)), rng.uniform(20, 200, (PEOPLE, 1, 1))
    xy = (centre + rng.normal(size=(PEOPLE, 17, 2)) * size / 4).round()
    visible = rng.integers(0, 3, (PEOPLE, 17, 1)) * (rng.random((PEOPLE, 1, 1)) > 0.4)
    keypoints = np.concatenate((xy * (visible > 0), visible), axis=2).reshape(PEOPLE, -1)
    corner = centre[:, 0] - size[:, 0] / 2
    people = [
        {
            "id": i + 1,
            "image_id": int(image[i]),
            "category_id": 1,
            "bbox": [*corner[i].tolist(), size[i].item(), size[i].item()],
            "area": size[i].item() ** 2,
            "iscrowd": int(i % 50 == 0),
            "num_keypoints": int((visible[i] > 0).sum()),
            "keypoints": keypoints[i].tolist(),
        }
        for i in range(PEOPLE)
    ]
    source = rng.integers(0, PEOPLE, POSES)
    shaken = xy[source] + rng.normal(size=(POSES, 17, 2)) * size[source] * rng.choice([0.02, 0.1, 0.3], (POSES, 1, 1))
    found = np.concatenate((shaken.round(2), rng.random((POSES, 17, 1)).round(3)), axis=2).reshape(POSES, -1)
    score = rng.random(POSES).round(4)
    poses = [
        {"image_id": int(image[s]), "category_id": 1, "keypoints": row, "score": value}
        for s, row, value in zip(source, found.tolist(), score.tolist(), strict=True)
    ]
    truth = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 640} for i in range(1, IMAGES + 1)],
        "annotations": people,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.keypoints), "skeleton": []}],
    }
    return truth, poses


def referee(truth: dict[str, Any], poses: list[dict[str, Any]]) -> list[float]:
    """The ten numbers by pycocotools, which writes into what it is given."""
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = truth
        gt.createIndex()
        run = COCOeval(gt, gt.loadRes(poses), "keypoints")
        run.evaluate()
        run.accumulate()
        run.summarize()
    numbers: list[float] = run.stats.tolist()
    return numbers


def rows() -> Iterator[Row]:
    """One row; both sides must agree first."""
    truth, poses = drawn()
    again, copies = drawn()
    ours, theirs = evaluate(truth, poses, COCO17).numbers, referee(again, copies)
    if max(abs(ours[name] - value) for name, value in zip(NUMBERS, theirs, strict=True)) > 1e-9:
        raise RuntimeError(f"the numbers differ: {ours} against {theirs}")
    yield Row(
        "COCO evaluation, 5,000 images, 100,000 poses",
        ours=lambda: evaluate(truth, poses, COCO17),
        theirs=lambda: referee(again, copies),
        public=7600.0,
        wanted=10.0,
        repeats=3,
    )
