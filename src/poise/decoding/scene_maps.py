"""What codecs of whole views with guiding offsets read people from, and its mean with that of the mirrored view."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

EPSILON = 1e-6
"""Under the sum of weights, as the release of OffsetGuided has it."""


@dataclass(frozen=True, eq=False)
class SceneMaps:
    """The maps of one answer, a batch of them.

    Attributes:
        heat: How surely a keypoint is in a cell.
        offsets: x and y of each limb in turn: from a cell's centre, on the limb's first keypoint, to the second one, pixels.
        jitter: From a cell's centre to the keypoint in it, pixels; None where the codec has none.
        scale: How large a keypoint is, pixels; None where the codec has none.
    """

    heat: Float[Tensor, "b k h w"]
    offsets: Float[Tensor, "b m h w"]
    jitter: Float[Tensor, "b 2 h w"] | None = None
    scale: Float[Tensor, "b k h w"] | None = None

    def map_tensors(self, change: Callable[[Tensor], Tensor]) -> "SceneMaps":
        """The same with every tensor changed."""
        jitter, scale = (None if part is None else change(part) for part in (self.jitter, self.scale))
        return SceneMaps(change(self.heat), change(self.offsets), jitter, scale)

    def nan_to_zero(self) -> "SceneMaps":
        """The same with 0 for what is no number; itself if all are."""
        return self.map_tensors(lambda part: part if part.sum().isfinite() else part.nan_to_num(0, 0, 0))

    def with_averaged_offsets(self, limbs: tuple[tuple[int, int], ...], *, side: int) -> "SceneMaps":
        """The same with offsets averaged (`averaged_offsets`)."""
        return replace(self, offsets=averaged_offsets(self.offsets, self.heat, limbs, side=side))


def merged_maps(
    maps: Float[Tensor, "b c h w"], mirrored: Float[Tensor, "b c h w"], order: Int64[Tensor, " c"]
) -> Float[Tensor, "b c h w"]:
    """The mean of maps and those of the mirrored view; `order` says which of the latter each becomes."""
    return (maps + mirrored.flip(-1)[:, order]) / 2


def merged_jitter(jitter: Float[Tensor, "b 2 h w"], mirrored: Float[Tensor, "b 2 h w"]) -> Float[Tensor, "b 2 h w"]:
    """The mean of vectors that are the same for all keypoints and those of the mirrored view."""
    return (jitter + mirrored.flip(-1) * mirrored.new_tensor((-1, 1))[:, None, None]) / 2


def merged_offsets(
    offsets: Float[Tensor, "b m h w"],
    mirrored: Float[Tensor, "b m h w"],
    order: Int64[Tensor, " l"],
    alone: Bool[Tensor, " l"],
) -> Float[Tensor, "b m h w"]:
    """The mean of offsets and those of the mirrored view (`skeletons.limbs.mirrored_limbs` makes `order` and `alone`).

    Limbs that a mirror turns round stay as they are: the mirrored view has no map of them.
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
    """Offsets and those of the mirrored view side by side, as vectors of four; where there is none the first two twice."""
    back = unflipped_offsets(mirrored, order)
    straight = offsets.reshape(back.shape)
    return torch.cat((straight, torch.where(alone[:, None, None, None], straight, back)), dim=2)


def unflipped_offsets(mirrored: Float[Tensor, "b m h w"], order: Int64[Tensor, " l"]) -> Float[Tensor, "b l 2 h w"]:
    """Offsets of a mirrored view as offsets of the view itself."""
    batch, channels, height, width = mirrored.shape
    back = mirrored.flip(-1).reshape(batch, channels // 2, 2, height, width)[:, order]
    turned: Tensor = back * back.new_tensor((-1, 1))[:, None, None]
    return turned


def averaged_offsets(
    offsets: Float[Tensor, "b m h w"],
    heat: Float[Tensor, "b k h w"],
    limbs: tuple[tuple[int, int], ...],
    *,
    side: int,
) -> Float[Tensor, "b m h w"]:
    """Offsets averaged over `side` x `side` cells, weighed with the map of the keypoint from which they lead."""
    weight = heat[:, [start for start, _ in limbs], None]
    vectors = offsets.reshape(len(offsets), len(limbs), 2, *offsets.shape[2:])
    total, sums = (F.avg_pool2d(part.flatten(1, 2), side, stride=1, padding=side // 2) for part in (weight, weight * vectors))
    return (sums.view_as(vectors) / (total[:, :, None] + EPSILON)).flatten(1, 2)
