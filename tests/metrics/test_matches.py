import time

import numpy as np
import pytest

from poise.metrics.coco import evaluate
from poise.metrics.matches import Matches, find_matches
from poise.skeletons import Skeleton


def skeleton(k: int) -> Skeleton:
    return Skeleton("drawn", tuple(f"k{i}" for i in range(k)), sigmas=(0.07,) * k)


def drawn(seed: int, *, k: int = 5, categories: int = 1, images: int = 20):
    """Crowds, people without labels, equal scores, more than 20 results in an image, images without either."""
    rng = np.random.default_rng(seed)
    people, results = [], []
    for image in rng.permutation(images) + 7:
        for _ in range(rng.integers(0, 5)):
            size, kind = rng.choice([15.0, 60.0]), int(rng.integers(categories)) + 1
            xy = rng.uniform(0, 400, 2) + rng.normal(size=(k, 2)) * size
            visible = rng.integers(0, 3, k) * (rng.random() > 0.15)
            person = {"id": len(people) + 1, "image_id": int(image), "category_id": kind, "bbox": [0, 0, size, size]}
            person |= {"area": size**2, "iscrowd": int(rng.random() < 0.1), "num_keypoints": int((visible > 0).sum())}
            people.append(person | {"keypoints": np.c_[xy, visible].reshape(-1).tolist()})
            for _ in range(rng.integers(0, 8)):
                found = np.c_[xy + rng.normal(size=xy.shape) * size * rng.choice([0.02, 0.1, 0.3]), np.ones(k)]
                row = {"image_id": int(image), "category_id": kind, "keypoints": found.reshape(-1).tolist()}
                results.append(row | {"score": float(rng.choice([0.2, 0.5, rng.random()]))})
    kinds = [{"id": c + 1, "name": f"c{c}"} for c in range(categories)]
    return {"images": [{"id": i + 7} for i in range(images)], "annotations": people, "categories": kinds}, results


def repeated(truth, results, counts):
    """Truth and results in which every image stands as often as it was drawn."""
    images, people, rows = [], [], []
    for image, often in zip(truth["images"], counts, strict=True):
        for _ in range(often):
            copy = {"image_id": len(images) + 1}
            images.append({"id": len(images) + 1})
            people += [a | copy for a in truth["annotations"] if a["image_id"] == image["id"]]
            rows += [r | copy for r in results if r["image_id"] == image["id"]]
    return truth | {"images": images, "annotations": people}, rows


@pytest.mark.parametrize("seed", range(6))
def test_of_every_image_once_precision_and_recall_are_the_protocols(seed):
    truth, results = drawn(seed, categories=1 + seed % 3)
    expected = evaluate(truth, results, skeleton(5))
    for category, part in enumerate(find_matches(truth, results, skeleton(5))):
        precision, recall = part.resampled(np.ones((1, 20), np.int64))
        assert np.array_equal(precision[0], expected.precision[:, :, category, 0, 0])
        assert np.array_equal(recall[0], expected.recall[:, category, 0, 0])


@pytest.mark.parametrize("seed", range(4))
def test_a_draw_is_scored_as_the_protocol_scores_its_copies(seed):
    truth, results = drawn(seed)
    for i, row in enumerate(results):
        row["score"] += i * 1e-6  # copies of one image stand beside each other: only equal scores of two images could tell
    counts = np.random.default_rng(seed).multinomial(20, np.full(20, 0.05), size=3)
    [part] = find_matches(truth, results, skeleton(5))
    precision, recall = part.resampled(counts)
    for row, often in enumerate(counts):
        expected = evaluate(*repeated(truth, results, often), skeleton(5))
        assert np.allclose(precision[row], expected.precision[:, :, 0, 0, 0], atol=1e-12, rtol=0)
        assert np.allclose(recall[row], expected.recall[:, 0, 0, 0], atol=1e-12, rtol=0)


def test_nobody_is_minus_one_and_no_result_is_zero():
    truth, results = drawn(0)
    [part] = find_matches(truth, [], skeleton(5))
    assert part.resampled(np.ones((1, 20), np.int64))[0].max() == 0
    [part] = find_matches(truth | {"annotations": []}, results, skeleton(5))
    assert part.resampled(np.ones((1, 20), np.int64))[0].max() == -1


def test_a_thousand_draws_of_5000_images_take_seconds():
    rng = np.random.default_rng(0)
    part = Matches(rng.integers(0, 3, (10, 10_000)).astype(np.int8), rng.integers(0, 5000, 10_000), np.full(5000, 2))
    counts = rng.multinomial(5000, np.full(5000, 1 / 5000), size=100)
    part.resampled(counts[:1])
    begin = time.process_time()
    part.resampled(counts)
    assert time.process_time() - begin < 1.0
