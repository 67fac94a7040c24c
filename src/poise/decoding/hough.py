"""Hough voting: each cell votes for a position by its offset vector, and the position of most votes is decoded.

From G-RMI (arXiv 1701.01779, section 3.2).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.machine import is_traced

MIN_VOTE = 0.01
"""Cells of lower confidence do not vote: nearly all cells are such, their sum is small, and they would take most time."""

MAX_VOTE = 1e6
"""Upper bound of a vote, so that maps with infinite values have finite sums."""


@dataclass(frozen=True, eq=False)
class HoughVotes:
    """Votes of the cells of a batch of maps: each gives its weight to the point at which its vector ends.

    Attributes:
        map: Index of the map each vote is for.
        xy: End of the vote's vector (x, y), cells.
        weight: Weight of the vote.
        maps: Number of maps.
    """

    map: Int64[Tensor, " v"]
    xy: Float[Tensor, "v 2"]
    weight: Float[Tensor, " v"]
    maps: int

    def accumulate(self, shape: torch.Size) -> Float[Tensor, "n h w"]:
        """The Hough map: votes summed over cells with a bilinear kernel, each shared by the four cells around its end.

        Args:
            shape: Shape (n h w) of the maps.
        """
        count, height, width = shape
        wide, high = width + 3, height + 3  # one cell before the map and two after it collect votes outside
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
            sums.scatter_add_(0, start + step, self.weight * share)
        return sums.view(count, high, wide)[:, 1:-2, 1:-2].contiguous()

    def mean_around(self, xy: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
        """The mean position of the votes near one point of each map; the point itself if there are none.

        Votes are weighted with the bilinear kernel of `accumulate`, centred on the point.

        Args:
            xy: One point (x, y) of each map, cells.
        """
        share = self.weight * self._kernel(xy)
        moment = torch.stack([self._sums(axis * share) for axis in self.xy.unbind(1)], dim=1)
        mass = self._sums(share)[:, None]
        return torch.where(mass > 0, moment / mass, xy)

    def votes_at(self, xy: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
        """The sum of the votes at one point of each map, with the same bilinear kernel.

        Args:
            xy: One point (x, y) of each map, cells.
        """
        return self._sums(self.weight * self._kernel(xy))

    def _kernel(self, xy: Float[Tensor, "n 2"]) -> Float[Tensor, " v"]:
        return (1 - (self.xy - xy.index_select(0, self.map)).abs()).clamp(min=0).prod(dim=-1)

    def _sums(self, values: Float[Tensor, " v"]) -> Float[Tensor, " n"]:
        return values.new_zeros(self.maps).scatter_add_(0, self.map, values)


def cast_votes(weight: Float[Tensor, "n h w"], vectors: Float[Tensor, "n 2 h w"], *, unit: float) -> HoughVotes:
    """The votes of all cells above `MIN_VOTE`; votes whose end is not finite get weight 0.

    Args:
        weight: Confidence of each cell.
        vectors: Offset vector (x, y) of each cell.
        unit: Length of a vector of 1, cells.
    """
    count, height, width = weight.shape
    if is_traced():  # all cells vote, those below with nothing
        weight = torch.where(weight > MIN_VOTE, weight, 0)
        voting_cells = torch.arange(weight.flatten().shape[0], device=weight.device)
    else:
        voting_cells = _flat_nonzero(weight.flatten() > MIN_VOTE)
    number, cell = voting_cells.div(height * width, rounding_mode="floor"), voting_cells % (height * width)
    dx, dy = (part.reshape(-1).index_select(0, voting_cells) * unit for part in vectors.unbind(1))
    end = torch.stack((cell % width + dx, cell.div(width, rounding_mode="floor") + dy), dim=-1)
    votes = weight.flatten().index_select(0, voting_cells).clamp(max=MAX_VOTE) * end.isfinite().all(dim=-1)
    return HoughVotes(number, end.nan_to_num(0, 0, 0), votes, count)


def _flat_nonzero(mask: Bool[Tensor, " n"]) -> Int64[Tensor, " i"]:
    # NumPy's is ten times as fast on a CPU.
    return mask.nonzero().squeeze(1) if mask.device.type != "cpu" else torch.from_numpy(np.flatnonzero(mask.numpy()))
