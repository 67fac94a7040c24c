"""Drawn people as labels of whole views, and as answers of a network that is not quite sure of them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from poise.codecs.offset_guided import OffsetGuided
from poise.data.figures import FigureDataset
from poise.scenes import Scenes
from poise.skeletons import COCO17
from poise.skeletons.limbs import limbs
from poise.structures import Labels

SIDE = 512


@dataclass(frozen=True)
class Blur:
    """How an answer differs from the labels.

    Attributes:
        share: How high Gaussians are.
        heat: Deviation of what is added to heatmaps.
        offsets: The same of offsets, pixels.
    """

    share: float = 0.9
    heat: float = 0.02
    offsets: float = 0.7


def codec() -> OffsetGuided:
    return OffsetGuided(len(COCO17), limbs=limbs(COCO17))


def drawn(count: int, *, seed: int, people: tuple[int, int] = (1, 8)) -> list[Labels]:
    """Labels of drawn images of one to eight people who hide each other."""
    images = FigureDataset(count, size=(SIDE, SIDE), per_image=people, seed=seed)
    return [images.labels(i) for i in range(count)]


def scene(labels: Labels) -> Scenes:
    """One view."""
    wide, tall = (labels.boxes[:, 2:] - labels.boxes[:, :2]).unbind(1)
    where = torch.zeros(len(labels.xy), dtype=torch.int64)
    ignore = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    return Scenes(labels.xy, labels.visible, labels.boxes, (wide * tall).sqrt(), where, ignore)


def answer(labels: Labels, blur: Blur, *, seed: int) -> Tensor:
    """What a network might say: Gaussians not quite as high, and noise in every cell."""
    made = codec()
    output = made.encode(scene(labels))
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(output.shape, generator=generator)
    heat = output[:, : made.keypoints] * blur.share + noise[:, : made.keypoints] * blur.heat
    return torch.cat((heat, output[:, made.keypoints :] + noise[:, made.keypoints :] * blur.offsets), dim=1)
