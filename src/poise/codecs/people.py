"""People read out of maps with guiding offsets: peaks, limbs, groups."""

import torch
from torch import Tensor

from poise.codecs.grouping import Groups, group
from poise.codecs.limb_finding import find_limbs
from poise.codecs.peak_reading import PeakReading
from poise.codecs.scene_maps import SceneMaps
from poise.scenes import People


def read_people(maps: SceneMaps, limbs: tuple[tuple[int, int], ...], reading: PeakReading, *, stride: int) -> list[People]:
    """The people of each view, in its pixels, the best first; what is no number counts as 0.

    Args:
        maps: Of a batch.
        limbs: Which keypoint points at which, in the order of `maps.offsets`.
        reading: How.
        stride: Pixels from cell to cell; the centre of cell i is at stride * i + (stride - 1) / 2.
    """
    return [found.people() for found in group_people(maps, limbs, reading, stride=stride)]


def group_people(maps: SceneMaps, limbs: tuple[tuple[int, int], ...], reading: PeakReading, *, stride: int) -> list[Groups]:
    """The same, with the peaks and limbs that people are made of."""
    clean = maps.each(_detached).finite()
    if reading.weigh > 1:
        clean = clean.weighed(limbs, side=reading.weigh)
    return group(find_limbs(clean, limbs, reading, stride=stride), limbs, reading, keypoints=clean.heat.shape[1])


def _detached(part: Tensor) -> Tensor:
    return part.detach().to(torch.float32)
