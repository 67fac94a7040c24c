import time

import numpy as np
import pytest
import torch

from poise.analysis.bootstrap import NAMES, PerImageResults, percentile_interval, resample_counts
from poise.analysis.compare import compare
from poise.errors import AnnotationError, InputError
from poise.evaluation.eval_set import EvalSet
from poise.metrics import coco, coco_format
from poise.metrics.boxes import evaluate_boxes
from poise.metrics.matches import Matches
from poise.metrics.pck import pck
from poise.skeletons import COCO17
from poise.structures import Key, Labels


class Drawn:
    """A person or two in each image; nothing to look at."""

    skeleton = COCO17

    def __init__(self, images: int = 40) -> None:
        rng = np.random.default_rng(0)
        self.rows = []
        for _ in range(images):
            n = int(rng.integers(0, 3))
            corner = np.arange(n)[:, None, None] * 300.0
            xy = torch.from_numpy(corner + rng.uniform(0, 100, (n, 17, 2))).float()
            boxes = torch.cat((xy.amin(dim=1) - 5, xy.amax(dim=1) + 5), dim=1) if n else torch.zeros(0, 4)
            self.rows.append(Labels.of(xy, torch.full((n, 17), 2), boxes))

    def __len__(self):
        return len(self.rows)

    def key(self, index):
        return Key(f"{index}.jpg", 100 - index)

    def labels(self, index):
        return self.rows[index]


def exam_of(images: int = 40) -> EvalSet:
    data = Drawn(images)
    ids = tuple(data.key(i).image_id for i in range(images))
    truth = coco_format.to_coco_annotations({i: data.rows[row] for row, i in enumerate(ids)}, COCO17)
    return EvalSet(data, truth, {1: COCO17}, ids)


@pytest.fixture(scope="module")
def eval_set():
    from poise.data.base import Dataset

    Dataset.register(Drawn)
    return exam_of()


def results(eval_set, wrong: float, seed: int = 1):
    """Everybody found, each with errors of its own size."""
    chance = torch.Generator().manual_seed(seed)
    rows = []
    for image, labels in zip(eval_set.ids, eval_set.dataset.rows, strict=True):
        n = len(labels)
        size = wrong * torch.rand(n, 1, 1, generator=chance) * 2
        found = labels.xy + size * torch.randn(labels.xy.shape, generator=chance)
        ones = torch.ones(n, dtype=torch.int64)
        rows += coco_format.to_coco_results(
            found, torch.ones(n, 17), torch.rand(n, generator=chance), image=image, categories=ones
        )
    return rows


def test_each_image_counted_once_gives_the_scores_of_the_protocol(eval_set):
    rows = results(eval_set, 6.0)
    whole, protocol = PerImageResults.of(eval_set, rows).full_scores, coco.evaluate(eval_set.truth, rows, COCO17).numbers
    assert all(whole[name] == protocol[name] for name in ("AP", "AP50", "AP75", "AR"))
    found = [torch.tensor([r["keypoints"] for r in rows if r["image_id"] == i]).view(-1, 17, 3)[..., :2] for i in eval_set.ids]
    parts = [pck(xy, labels, 0.1) for xy, labels in zip(found, eval_set.dataset.rows, strict=True)]
    hits, labelled = (sum(int(getattr(p, n).sum()) for p in parts) for n in ("hits", "labelled"))
    assert whole["pck@0.1"] == hits / labelled


def test_boxes_of_each_image_counted_once_give_the_scores_of_the_protocol(eval_set):
    chance = np.random.default_rng(3)
    rows = [
        {"image_id": a["image_id"], "category_id": 1, "score": float(chance.random())}
        | {"bbox": [float(v) for v in np.abs(np.array(a["bbox"]) * chance.uniform(0.8, 1.2, 4))]}
        for a in eval_set.truth["annotations"]
        for _ in range(2)
    ]
    whole, protocol = (
        PerImageResults.of(eval_set, results(eval_set, 6.0), boxes=rows).full_scores,
        evaluate_boxes(eval_set.truth, rows).numbers,
    )
    assert 0.02 < protocol["AP"] < 0.9
    for name in ("AP", "AP50", "AP75"):
        assert whole[f"box {name}"] == pytest.approx(protocol[name], abs=1e-12)
    assert whole["box AR"] == pytest.approx(protocol["AR100"], abs=1e-12)


def test_a_run_is_no_better_than_itself(eval_set):
    tally = PerImageResults.of(eval_set, results(eval_set, 6.0))
    for row in compare(tally, tally, resamples=100):
        assert (row.value, row.low, row.high, row.significant) == (0, 0, 0, False)


def test_a_far_better_run_is_significant_and_an_equal_one_is_not(eval_set):
    bad, equal, good = (
        PerImageResults.of(eval_set, results(eval_set, wrong, seed)) for wrong, seed in ((9.0, 1), (9.0, 2), (2.0, 1))
    )
    [better] = [row for row in compare(bad, good, resamples=300) if row.name == "AP"]
    assert better.significant
    assert 0 < better.low < better.value < better.high
    [chance] = [row for row in compare(bad, equal, resamples=300) if row.name == "AP"]
    assert not chance.significant
    [back] = [row for row in compare(good, bad, resamples=300) if row.name == "AP"]
    assert (back.low, back.high) == (-better.high, -better.low)


def test_pairing_makes_the_interval_narrower(eval_set):
    one, two = (PerImageResults.of(eval_set, results(eval_set, wrong)) for wrong in (6.0, 5.5))
    [paired] = [row for row in compare(one, two, resamples=300) if row.name == "AP"]
    counts = [resample_counts(len(one), resamples=300, seed=seed) for seed in (1, 2)]
    low, high = percentile_interval(two.scores(counts[0])["AP"] - one.scores(counts[1])["AP"])
    assert paired.high - paired.low < 0.7 * (high - low)


def test_the_same_seed_gives_the_same_interval(eval_set):
    one, two = (PerImageResults.of(eval_set, results(eval_set, wrong)) for wrong in (6.0, 5.5))
    assert compare(one, two, resamples=100, seed=3) == compare(one, two, resamples=100, seed=3)
    assert compare(one, two, resamples=100, seed=3) != compare(one, two, resamples=100, seed=4)


def test_a_thousand_resamples_of_5000_images_take_seconds():
    rng = np.random.default_rng(0)
    sorts = [
        Matches(rng.integers(1, 3, (10, 7500)).astype(np.int8), rng.integers(0, 5000, 7500), np.full(5000, 2)) for _ in "ab"
    ]
    one, two = (PerImageResults((part,), np.full(5000, 10), np.full(5000, 17)) for part in sorts)
    compare(one, two, resamples=100)
    begin = time.process_time()
    compare(one, two, resamples=1000)
    assert time.process_time() - begin < 10


def test_mistakes_are_explained(eval_set):
    tally = PerImageResults.of(eval_set, results(eval_set, 6.0))
    other = exam_of(20)
    with pytest.raises(InputError, match="on other images"):
        compare(tally, PerImageResults.of(other, results(other, 6.0)))
    with pytest.raises(InputError, match="100 resamples"):
        compare(tally, tally, resamples=5)
    with pytest.raises(AnnotationError, match="do not list"):
        PerImageResults.of(other, results(eval_set, 6.0))
    assert set(tally.full_scores) == set(NAMES)
