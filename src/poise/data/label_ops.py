"""A sample as a mirror shows it."""

from dataclasses import replace

import torch

from poise import geometry
from poise.skeletons import Skeleton
from poise.structures import Labels, Sample


def flip_sample(sample: Sample, skeleton: Skeleton) -> Sample:
    """Left to right: the image turns round, keypoints move with it and left ones become right ones."""
    return replace(
        sample,
        image=sample.image.flip(2),
        labels=flip_labels(sample.labels, skeleton, sample.size[1]),
        ignore=None if sample.ignore is None else sample.ignore.flip(1),
        known=None if sample.known is None else sample.known[skeleton.flip],
    )


def flip_labels(labels: Labels, skeleton: Skeleton, width: int) -> Labels:
    """Labels of an image of `width` pixels; box edges are mirrored as pixels are, and areas stay."""
    turn = geometry.horizontal_flip(width)
    corners = geometry.apply(turn, labels.boxes.reshape(-1, 2, 2))
    boxes = torch.stack((corners[:, 1, 0], corners[:, 0, 1], corners[:, 0, 0], corners[:, 1, 1]), dim=1)
    xy = geometry.apply(turn, labels.xy)[:, skeleton.flip]
    return replace(labels, xy=xy, visible=labels.visible[:, skeleton.flip], boxes=boxes)
