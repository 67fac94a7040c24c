"""Hough voting: every cell says where the keypoint is, and the place most cells name is read (G-RMI, arXiv 1701.01779)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

MIN_VOTE = 0.01
"""Cells that are less sure do not vote: nearly all cells are, their sum is small, and they take most of the time."""

MAX_VOTE = 1e6
"""So that an infinite map has finite sums."""


@dataclass(frozen=True, eq=False)
class HoughVotes:
    """Hough voting (G-RMI, section 3.2): cells give their weight to the place where their vector ends.

    Attributes:
        map: Which map each vote is for.
        xy: Where it ends, cells.
        weight: How much it counts.
        maps: How many there are.
    """

    map: Int64[Tensor, " v"]
    xy: Float[Tensor, "v 2"]
    weight: Float[Tensor, " v"]
    maps: int

    def accumulate(self, shape: torch.Size) -> Float[Tensor, "n h w"]:
        """The sum of the votes for each cell, by a bilinear kernel: a vote is shared by the four cells around its end."""
        count, height, width = shape
        wide, high = width + 3, height + 3  # one cell before the map and two after it take the votes for what is outside
        x, y = self.xy[:, 0].clamp(-1, width) + 1, self.xy[:, 1].clamp(-1, height) + 1
        left, top = x.floor(), y.floor()
        right, low = x - left, y - top
        start = (self.map * high + top.long()) * wide + left.long()
        sums = self.weight.new_zeros(count * high * wide)
        for step, share in (
            (0, (1 - right) * (1 - low)),
            (1, right * (1 - low)),
            (wide, (1 - right) * low),
            (wide + 1, right * low),
        ):
            sums.index_add_(0, start + step, self.weight * share)
        return sums.view(count, high, wide)[:, 1:-2, 1:-2].contiguous()

    def mean_around(self, xy: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
        """The mean of what counts for one place of each map, as it counts there; the place itself where nothing does."""
        share = self.weight * self._kernel(xy)
        moment = self.weight.new_zeros(len(xy), 2).index_add_(0, self.map, self.xy * share[:, None])
        mass = self._sums(share)[:, None]
        return torch.where(mass > 0, moment / mass, xy)

    def votes_at(self, xy: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
        """The votes for one place of each map, by the same kernel."""
        return self._sums(self.weight * self._kernel(xy))

    def _kernel(self, xy: Float[Tensor, "n 2"]) -> Float[Tensor, " v"]:
        return (1 - (self.xy - xy.index_select(0, self.map)).abs()).clamp(min=0).prod(dim=-1)

    def _sums(self, values: Float[Tensor, " v"]) -> Float[Tensor, " n"]:
        return values.new_zeros(self.maps).index_add_(0, self.map, values)


def cast_votes(weight: Float[Tensor, "n h w"], arrows: Float[Tensor, "n 2 h w"], *, unit: float) -> HoughVotes:
    """The votes of all cells surer than `MIN_VOTE` for where their vectors end; what is no number does not vote.

    Args:
        weight: How sure each cell is.
        arrows: Its vector.
        unit: Cells that a vector of length 1 spans.
    """
    count, height, width = weight.shape
    voters = _flat_nonzero(weight.flatten() > MIN_VOTE)
    number, cell = voters.div(height * width, rounding_mode="floor"), voters % (height * width)
    dx, dy = (part.reshape(-1).index_select(0, voters) * unit for part in arrows.unbind(1))
    end = torch.stack((cell % width + dx, cell.div(width, rounding_mode="floor") + dy), dim=-1)
    given = weight.flatten().index_select(0, voters).clamp(max=MAX_VOTE) * end.isfinite().all(dim=-1)
    return HoughVotes(number, end.nan_to_num(0, 0, 0), given, count)


def _flat_nonzero(mask: Bool[Tensor, " n"]) -> Int64[Tensor, " i"]:
    # NumPy's way is ten times as fast on a processor.
    return mask.nonzero().squeeze(1) if mask.device.type != "cpu" else torch.from_numpy(np.flatnonzero(mask.numpy()))
