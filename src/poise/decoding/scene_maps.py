"""The maps of a bottom-up codec with guiding offsets, and their average with those of the mirrored view (flip test)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

EPSILON = 1e-6
"""Added to a sum of weights, as in the release of OffsetGuided."""


@dataclass(frozen=True, eq=False)
class SceneMaps:
    """The maps that people are decoded from, for a batch of views.

    Attributes:
        heat: Heatmaps: confidence that a keypoint lies in a cell.
        offsets: Guiding offsets, x and y of each limb in turn: from a cell's centre, at the limb's start, to its end, pixels.
        jitter: Offset from a cell's centre to the keypoint in it, pixels; None if the codec has none.
        scale: Scale of the keypoint, pixels; None if the codec has none.
    """

    heat: Float[Tensor, "b k h w"]
    offsets: Float[Tensor, "b m h w"]
    jitter: Float[Tensor, "b 2 h w"] | None = None
    scale: Float[Tensor, "b k h w"] | None = None

    def map_tensors(self, change: Callable[[Tensor], Tensor]) -> "SceneMaps":
        """The maps with a function applied to every tensor."""
        jitter, scale = (None if part is None else change(part) for part in (self.jitter, self.scale))
        return SceneMaps(change(self.heat), change(self.offsets), jitter, scale)

    def nan_to_zero(self) -> "SceneMaps":
        """The maps with non-finite values set to 0."""
        return self.map_tensors(lambda part: part if part.sum().isfinite() else part.nan_to_num(0, 0, 0))

    def with_averaged_offsets(self, limbs: tuple[tuple[int, int], ...], *, side: int) -> "SceneMaps":
        """The maps with offsets averaged over windows (`averaged_offsets`)."""
        return replace(self, offsets=averaged_offsets(self.offsets, self.heat, limbs, side=side))


def merged_maps(
    maps: Float[Tensor, "b c h w"], mirrored: Float[Tensor, "b c h w"], order: Int64[Tensor, " c"]
) -> Float[Tensor, "b c h w"]:
    """The average of maps and those of the mirrored view.

    Args:
        maps: Maps of the view.
        mirrored: Maps of the mirrored view.
        order: Index of the mirrored view's channel that belongs to each channel.
    """
    return (maps + mirrored.flip(-1)[:, order]) / 2


def merged_jitter(jitter: Float[Tensor, "b 2 h w"], mirrored: Float[Tensor, "b 2 h w"]) -> Float[Tensor, "b 2 h w"]:
    """The average of the jitter, which all keypoints share, and that of the mirrored view."""
    return (jitter + mirrored.flip(-1) * mirrored.new_tensor((-1, 1))[:, None, None]) / 2


def merged_offsets(
    offsets: Float[Tensor, "b m h w"],
    mirrored: Float[Tensor, "b m h w"],
    order: Int64[Tensor, " l"],
    alone: Bool[Tensor, " l"],
) -> Float[Tensor, "b m h w"]:
    """The average of guiding offsets and those of the mirrored view.

    Limbs whose direction a mirror reverses are not averaged: the mirrored view has no map of them.

    Args:
        offsets: Offsets of the view.
        mirrored: Offsets of the mirrored view.
        order: Index of the mirrored view's limb that belongs to each limb (`skeletons.limbs.mirrored_limbs`).
        alone: Limbs without a counterpart in the mirrored view.
    """
    back = unflipped_offsets(mirrored, order)
    straight = offsets.reshape(back.shape)
    return torch.where(alone[:, None, None, None], straight, (straight + back) / 2).flatten(1, 2)


def joined_offsets(
    offsets: Float[Tensor, "b m h w"],
    mirrored: Float[Tensor, "b m h w"],
    order: Int64[Tensor, " l"],
    alone: Bool[Tensor, " l"],
) -> Float[Tensor, "b l 4 h w"]:
    """Offsets and those of the mirrored view as vectors of four; for limbs without a counterpart the first two are repeated.

    Args:
        offsets: Offsets of the view.
        mirrored: Offsets of the mirrored view.
        order: Index of the mirrored view's limb that belongs to each limb.
        alone: Limbs without a counterpart in the mirrored view.
    """
    back = unflipped_offsets(mirrored, order)
    straight = offsets.reshape(back.shape)
    return torch.cat((straight, torch.where(alone[:, None, None, None], straight, back)), dim=2)


def unflipped_offsets(mirrored: Float[Tensor, "b m h w"], order: Int64[Tensor, " l"]) -> Float[Tensor, "b l 2 h w"]:
    """Offsets of a mirrored view as offsets of the view itself."""
    batch, channels, height, width = mirrored.shape
    back = mirrored.flip(-1).reshape(batch, channels // 2, 2, height, width)[:, order]
    unflipped: Tensor = back * back.new_tensor((-1, 1))[:, None, None]
    return unflipped


def averaged_offsets(
    offsets: Float[Tensor, "b m h w"],
    heat: Float[Tensor, "b k h w"],
    limbs: tuple[tuple[int, int], ...],
    *,
    side: int,
) -> Float[Tensor, "b m h w"]:
    """Offsets averaged over `side` x `side` cells, weighted by the heatmap of the limb's start.

    Args:
        offsets: Guiding offsets.
        heat: Heatmaps.
        limbs: Start and end keypoint of each limb type.
        side: Side of the window, cells, odd.
    """
    weight = heat[:, [start for start, _ in limbs], None]
    vectors = offsets.reshape(len(offsets), len(limbs), 2, *offsets.shape[2:])
    total, sums = (F.avg_pool2d(part.flatten(1, 2), side, stride=1, padding=side // 2) for part in (weight, weight * vectors))
    return (sums.view_as(vectors) / (total[:, :, None] + EPSILON)).flatten(1, 2)
