"""Operations on labels and samples: left-right flip, conversion to another skeleton, which people can be trained on."""

from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from poise import geometry
from poise.skeletons import Skeleton, convert
from poise.structures import Labels, Sample


def flip_sample(sample: Sample, skeleton: Skeleton) -> Sample:
    """The left-right flip of a sample: image, labels, ignore mask and segmentation masks.

    Args:
        sample: The sample.
        skeleton: Skeleton of the labels; left and right keypoints are exchanged.
    """
    return replace(
        sample,
        image=sample.image.flip(2),
        labels=flip_labels(sample.labels, skeleton, sample.size[1]),
        ignore=None if sample.ignore is None else sample.ignore.flip(1),
        known=None if sample.known is None else sample.known[skeleton.flip],
        masks=None if sample.masks is None else sample.masks.flip(2),
    )


def flip_labels(labels: Labels, skeleton: Skeleton, width: int) -> Labels:
    """The left-right flip of labels. Box edges are flipped like pixel centres; areas stay.

    Args:
        labels: The labels of an image.
        skeleton: Skeleton of the labels; left and right keypoints are exchanged.
        width: Width of the image, pixels.
    """
    turn = geometry.horizontal_flip(width)
    corners = geometry.apply(turn, labels.boxes.reshape(-1, 2, 2))
    boxes = torch.stack((corners[:, 1, 0], corners[:, 0, 1], corners[:, 0, 0], corners[:, 1, 1]), dim=1)
    xy = geometry.apply(turn, labels.xy)[:, skeleton.flip]
    return replace(labels, xy=xy, visible=labels.visible[:, skeleton.flip], boxes=boxes)


def convert_labels(labels: Labels, *, source: Skeleton, target: Skeleton) -> Labels:
    """Labels in the keypoints of another skeleton, matched by name.

    Args:
        labels: The labels of an image.
        source: Skeleton of the labels.
        target: The skeleton wanted; its keypoints that `source` does not have are not labelled.

    Raises:
        SkeletonMismatch: The skeletons share no keypoint.
    """
    if source.keypoints == target.keypoints:
        return labels
    xy, visible = convert(labels.xy, labels.visible, source=source, target=target)
    return replace(labels, xy=xy, visible=visible)


def trainable(labels: Labels, *, crowd: bool = False) -> Bool[Tensor, " n"]:
    """True for the people that can be trained on: at least one labelled keypoint, a box of positive size, no crowd.

    Args:
        labels: The labels of an image.
        crowd: Whether crowds count too.
    """
    sized = (labels.boxes[:, 2:] > labels.boxes[:, :2]).all(dim=1)
    good = sized & (labels.visible > 0).any(dim=1)
    return good if crowd else good & ~labels.crowd
