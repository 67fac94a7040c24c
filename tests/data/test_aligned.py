from dataclasses import replace

import pytest
import torch

from poise.data.aligned import AlignedDataset, aligned_part
from poise.data.figures import FigureDataset
from poise.data.subset import Subset
from poise.errors import InputError, SkeletonMismatch
from poise.skeletons import COCO17
from poise.skeletons.alignment import BodyAxis, alignment_points

HIP = COCO17.index("left_hip")


@pytest.fixture
def figures(monkeypatch):
    """Three people, all keypoints labelled but for a hip of the second."""
    drawn = FigureDataset(3, size=(96, 80), seed=4)
    kept = [drawn.labels(i) for i in range(3)]
    for labels in kept:
        labels.visible.fill_(2)
    kept[1].visible[0, HIP] = 0
    monkeypatch.setattr(FigureDataset, "labels", lambda self, i: replace(kept[i], visible=kept[i].visible.clone()))
    return drawn


def test_the_alignment_keypoints_are_those_of_the_labels(figures):
    labels = AlignedDataset(figures).labels(0)
    points, _ = alignment_points(labels.xy[:, :17], labels.visible[:, :17], COCO17, BodyAxis())
    assert torch.equal(labels.xy[:, 17:], points)
    assert labels.visible[0, 17:].tolist() == [2, 2]


def test_people_without_alignment_are_masked_kept_or_dropped(figures):
    masked, kept, dropped = (AlignedDataset(figures, missing=way) for way in ("mask", "keep", "drop"))
    assert masked.labels(1).visible[0, 17:].tolist() == [0, 0]
    x0, y0, x1, y1 = figures.labels(1).boxes[0].tolist()
    assert kept.labels(1).visible[0, 17:].tolist() == [2, 2]
    assert kept.labels(1).xy[0, 17].tolist() == pytest.approx([(x0 + x1) / 2, (y0 + y1) / 2])
    assert [i for i, _ in dropped.people()] == [0, 2]
    assert [len(d.people()) for d in (masked, kept)] == [3, 3]
    assert masked.counts == (3, 2)
    said = "1 of 3 people lack one of left_hip, right_hip, left_shoulder, right_shoulder: "
    for data, way in ((masked, "mask"), (kept, "keep"), (dropped, "drop")):
        assert data.text.startswith(said + "the")
        assert data.text.endswith(f"(--missing {way})")
    assert aligned_part(Subset(masked, [1])) is masked
    assert aligned_part(figures) is None


def test_without_alignment_keypoints_people_can_still_be_dropped(figures):
    dropped = AlignedDataset(figures, missing="drop", keypoints=False)
    assert dropped.skeleton is COCO17
    assert len(dropped.people()) == 2
    assert AlignedDataset(figures, keypoints=False).text.endswith("they are learnt in views of their boxes")


def test_nobody_left_is_refused(figures):
    with pytest.raises(InputError, match=r"none of the 1 people has all of left_hip.*--missing"):
        AlignedDataset(Subset(figures, [1]), missing="drop")


def test_a_skeleton_without_the_axis_is_refused(figures):
    with pytest.raises(SkeletonMismatch, match="has no tail"):
        AlignedDataset(figures, axis=BodyAxis(("tail",), ("nose",)))
