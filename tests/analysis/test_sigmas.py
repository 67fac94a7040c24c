from dataclasses import replace

import numpy as np
import pytest
import torch

from poise.analysis.sigmas import Sigma, ap_at_other_sigmas, estimate_sigmas, measured_by_coco, with_sigmas
from poise.data.base import Dataset
from poise.errors import AnnotationError, InputError
from poise.evaluation.eval_set import EvalSet
from poise.metrics import coco, coco_format
from poise.skeletons import COCO17, Skeleton, from_category
from poise.structures import Key, Labels

TRUE = (0.03, 0.06, 0.1)
BONES = Skeleton("fish", ("head", "fin", "tail"), sigmas=(0.05,) * 3)


class Annotator(Dataset):
    """Two fish in each image, labelled with errors of known size."""

    skeleton = BONES

    def __init__(self, seed: int, *, images: int = 120, names: str = "{}.jpg", sigmas=TRUE, same_ids: bool = True) -> None:
        truth, own = np.random.default_rng(0), np.random.default_rng(seed)
        self.names = [names.format(i) for i in range(images)]
        self.rows = []
        for _ in range(images):
            scale = truth.uniform(40, 120, 2)
            xy = truth.uniform(0, 1, (2, 3, 2)) * scale[:, None, None] + np.array([[[0, 0]], [[500, 0]]])
            boxes = np.concatenate((xy.min(axis=1), xy.max(axis=1) + 20), axis=1)
            # sigma^2 is the mean of d^2 / s^2 in the plane: half of it along each axis
            spread = np.array(sigmas)[None, :, None] * scale[:, None, None] / np.sqrt(2)
            found = xy + own.normal(size=xy.shape) * spread
            visible = np.where(truth.random((2, 3)) < 0.9, 2, 0)
            labels = Labels.of(
                torch.from_numpy(found).float(),
                torch.from_numpy(visible),
                torch.from_numpy(boxes).float(),
                area=torch.from_numpy(scale**2).float(),
            )
            turn = own.permutation(2)
            labels = labels.select(torch.from_numpy(turn))
            self.rows.append(labels if same_ids else replace(labels, ids=labels.ids + 100 * seed))

    def __len__(self) -> int:
        return len(self.rows)

    def key(self, index):
        return Key(self.names[index], index + 1)

    def labels(self, index):
        return self.rows[index]

    def image(self, index):
        raise AssertionError("no image is read")


@pytest.mark.parametrize(("annotators", "by"), [(2, "overlap"), (3, "overlap"), (4, "id")])
def test_known_sigmas_of_annotators_come_back_inside_the_interval(annotators, by):
    found = estimate_sigmas([Annotator(seed) for seed in range(1, annotators + 1)], by=by, resamples=300)
    assert [one.name for one in found] == list(BONES.keypoints)
    for one, true in zip(found, TRUE, strict=True):
        assert one.low < true < one.high
        assert one.value == pytest.approx(true, rel=0.12)
        assert one.high - one.low < 0.5 * true
        assert 190 <= one.people <= 240


def test_the_interval_holds_the_truth_about_19_times_of_20():
    inside = 0
    for trial in range(24):
        pair = [Annotator(1000 + 2 * trial + i, images=20) for i in range(2)]
        inside += sum(s.low < t < s.high for s, t in zip(estimate_sigmas(pair, resamples=200), TRUE, strict=True))
    assert inside / 72 >= 0.85


def test_keypoints_are_found_by_name_and_images_by_file_name():
    second = Annotator(2, names="again/{}.jpg")
    order = (2, 0, 1)
    second.skeleton = Skeleton("fish", tuple(BONES.keypoints[i] for i in order), sigmas=(0.05,) * 3)
    second.rows = [replace(r, xy=r.xy[:, order, :], visible=r.visible[:, order]) for r in second.rows]
    plain = estimate_sigmas([Annotator(1), Annotator(2)], resamples=100)
    assert estimate_sigmas([Annotator(1), second], resamples=100) == plain


def test_too_few_people_give_no_sigma():
    assert [s.value for s in estimate_sigmas([Annotator(1, images=3), Annotator(2, images=3)], resamples=100)] == [None] * 3


def test_mistakes_are_explained():
    with pytest.raises(InputError, match="two or more files"):
        estimate_sigmas([Annotator(1)])
    with pytest.raises(AnnotationError, match="share no image"):
        estimate_sigmas([Annotator(1), Annotator(2, names="other{}.jpg")])
    with pytest.raises(AnnotationError, match="pair people in the other way"):
        estimate_sigmas([Annotator(1), Annotator(2, same_ids=False)], by="id")


def test_a_copy_of_the_file_says_the_sigmas_and_keeps_the_others():
    document = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "fish", "keypoints": ["head", "fin"]}]}
    written = with_sigmas(document, [Sigma("head", 50, 0.0312), Sigma("fin", 3, None)])
    assert "sigmas" not in document["categories"][0]
    assert from_category(written["categories"][0]).sigmas == (0.0312, 0.05)
    assert from_category(written["categories"][0]).sigma_source == "given in the annotation file"


def test_ap_at_other_sigmas_is_the_protocol_with_them():
    eval_set = EvalSet.of_dataset(Annotator(1, images=10))
    results = [
        row
        for i, labels in enumerate(Annotator(2, images=10).rows)
        for row in coco_format.to_coco_results(
            labels.xy,
            torch.ones(2, 3),
            torch.rand(2, generator=torch.Generator().manual_seed(i)),
            image=i + 1,
            categories=torch.ones(2).long(),
        )
    ]
    found = ap_at_other_sigmas(eval_set, results)
    assert found[0.5] < found[1.0] < found[2.0]
    assert found[1.0] == coco.evaluate(eval_set.truth, results, eval_set.skeletons).numbers["AP"]
    assert not measured_by_coco(eval_set)
    assert measured_by_coco(replace(eval_set, skeletons={1: COCO17}))
