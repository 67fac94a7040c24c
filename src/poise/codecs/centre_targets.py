"""Targets of HigherHRNet (arXiv 1908.10357) and DEKR (arXiv 2104.02300): Gaussians cut off at 3 sigma, offsets around centres.

Positions are in cells: x / stride. HigherHRNet rounds them down first, so that cell i stands for all of [i, i + 1); DEKR does
not, so that cell i stands for position i. MMPose 1.x rounds both to the nearest cell, and its Gaussians end at 3 sigma.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.codecs import label_tensors
from poise.scenes import Scenes

FAR = 1e6
"""Positions are clamped to this many cells: farther ones give the same targets."""


@final
@dataclass(frozen=True, eq=False)
class LabelledCells:
    """The labelled keypoints of some views, in cells.

    Attributes:
        scene: Index of the view that each person is in.
        xy: Positions, finite everywhere.
        inside: True for labelled keypoints inside their view.
    """

    scene: Int64[Tensor, " n"]
    xy: Float[Tensor, "n k 2"]
    inside: Bool[Tensor, "n k"]

    @classmethod
    def of(cls, scenes: Scenes, stride: int) -> "LabelledCells":
        """Those of `scenes`, for maps of this stride."""
        there = (scenes.visible > 0) & scenes.xy.isfinite().all(dim=-1)
        xy = (scenes.xy.detach() / stride).masked_fill(~there[..., None], 0.0).clamp(-FAR, FAR)
        limit = xy.new_tensor((scenes.size[1] / stride, scenes.size[0] / stride))
        return cls(scenes.scene, xy, there & ((xy >= 0) & (xy < limit)).all(dim=-1))

    def nearest(self) -> "LabelledCells":
        """With positions on the nearest cells, halves rounded up (MMPose)."""
        return LabelledCells(self.scene, (self.xy + 0.5).floor(), self.inside)


def supervised_cells(ignore: Bool[Tensor, "b h w"], stride: int) -> Bool[Tensor, "b 1 hh ww"]:
    """True for cells of which less than half is ignored."""
    return F.avg_pool2d(ignore[:, None].float(), stride) < 0.5


def draw_windows(
    maps: Float[Tensor, "b c h w"],
    cells: LabelledCells,
    channels: Int64[Tensor, " k"],
    *,
    sigma: float,
    flat: bool = False,
    edge: int = 1,
) -> None:
    """Draw a Gaussian of height 1 around every labelled keypoint, the maximum where several overlap; nothing beyond its window.

    Args:
        maps: Contiguous maps, changed in place.
        cells: Where, for each channel.
        channels: Channel of each keypoint.
        sigma: Deviation, cells.
        flat: Whether 1 is drawn everywhere in the window.
        edge: Cells of the window beyond 3 sigma.
    """
    start = (cells.xy - 3 * sigma - edge).floor()
    end = (cells.xy + 3 * sigma + edge + 1).ceil()
    limit = torch.tensor((maps.shape[3], maps.shape[2]), device=maps.device)
    index = start[:, :, None] + torch.arange(int(6 * sigma + 5), device=maps.device)[:, None]
    there = (index >= 0) & (index < torch.minimum(end, limit)[:, :, None])
    sides = (index - cells.xy[:, :, None]).square().div(-2 * sigma**2).exp()
    sides = (torch.ones_like(sides) if flat else sides) * there
    channel = cells.scene[:, None] * maps.shape[1] + channels
    index = index.long().clamp(min=0).minimum(limit - 1)
    label_tensors.draw(maps, channel, cells.inside, index, sides, clip=0.0)


def heat_error(
    heat: Float[Tensor, "b c h w"], target: Float[Tensor, "b c h w"], weight: Float[Tensor, "b _ _ _"]
) -> Float[Tensor, ""]:
    """The mean of squared errors times their weights; cells of weight 0 may have any value.

    Args:
        heat: Predicted heatmaps.
        target: The heatmaps.
        weight: Weight of each cell.
    """
    return ((heat - target).where(weight > 0, 0).square() * weight).mean()


@final
@dataclass(frozen=True, eq=False)
class Centres:
    """The people whose centres are learnt, in cells.

    Attributes:
        xy: The mean of each person's labelled keypoints.
        there: Whether the person has any and is large enough.
        area: Squared diagonal of the box around the labelled keypoints.
    """

    xy: Float[Tensor, "n 2"]
    there: Bool[Tensor, " n"]
    area: Float[Tensor, " n"]


def centres_of(cells: LabelledCells, labelled: Bool[Tensor, "n k"], large: Bool[Tensor, " n"]) -> Centres:
    """Centres of people.

    Args:
        cells: Their keypoints.
        labelled: Which keypoints count.
        large: Who is large enough.
    """
    some = labelled[..., None]
    count = labelled.sum(dim=1).clamp(min=1)
    low = cells.xy.masked_fill(~some, torch.inf).amin(dim=1)
    high = cells.xy.masked_fill(~some, -torch.inf).amax(dim=1)
    area = (high - low).square().sum(dim=1)
    there = labelled.any(dim=1)
    return Centres((cells.xy * some).sum(dim=1) / count[:, None], there & large, area.where(there, 0).clamp(min=1))


def centre_offsets(
    cells: LabelledCells, centres: Centres, shape: tuple[int, int, int], *, radius: int
) -> tuple[Float[Tensor, "b q h w"], Float[Tensor, "b q h w"]]:
    """Offsets from keypoints to the cells around their person's centre, and their weights: 1 / sqrt(area), 0 where none is.

    Where squares of two people overlap, the smaller person's offsets stay, by the release's rule: one area for each cell, that
    of the last offset written there.

    Args:
        cells: Keypoints.
        centres: Centre and area of each person.
        shape: Views, and cells of a map (h, w).
        radius: The square goes from `radius` cells before the truncated centre to `radius` - 1 behind it.
    """
    views, h, w = shape
    keypoints = cells.xy.shape[1]
    offset = np.zeros((views, keypoints, 2, h, w), np.float32)
    weight, areas = np.zeros_like(offset[:, :, 0]), np.zeros((views, h, w), np.float32)
    xy, inside, scene = (part.cpu().numpy() for part in (cells.xy, cells.inside, cells.scene))
    middle, there, area = (part.cpu().numpy() for part in (centres.xy, centres.there, centres.area))
    for person in np.flatnonzero(there).tolist():
        x, y = np.trunc(middle[person]).astype(int).tolist()
        if not (0 <= x < w and 0 <= y < h):
            continue
        rows, columns = (slice(max(at - radius, 0), min(at + radius, most)) for at, most in ((y, h), (x, w)))
        grid = np.stack(np.meshgrid(np.arange(w)[columns], np.arange(h)[rows]))
        own = areas[scene[person], rows, columns]
        for keypoint in np.flatnonzero(inside[person]).tolist():
            known = offset[scene[person], keypoint, :, rows, columns]
            free = ~(known != 0).any(axis=0) | (own >= area[person])
            known[:] = np.where(free, grid - xy[person, keypoint][:, None, None], known)
            kept = weight[scene[person], keypoint, rows, columns]
            kept[:] = np.where(free, area[person] ** -0.5, kept)
            own[:] = np.where(free, area[person], own)
    made = torch.from_numpy(offset).flatten(1, 2), torch.from_numpy(weight).repeat_interleave(2, dim=1)
    return made[0].to(cells.xy), made[1].to(cells.xy)
