"""Vectors for each keypoint, read off its map by one linear layer per vector (SimCC, arXiv 2107.03332, section 3.1)."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.dims import Size


@final
class Readout(nn.Module):
    """All cells of a keypoint's map into vectors; the layers are shared by the keypoints.

    Args:
        cells: Of a map (h, w).
        lengths: Of the vectors, which stand one after another in the answer.
    """

    def __init__(self, cells: Size, lengths: tuple[int, ...]) -> None:
        super().__init__()
        self.vectors = nn.ModuleList(nn.Linear(cells[0] * cells[1], length) for length in lengths)

    def forward(self, maps: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k n"]:
        """The vectors of each keypoint."""
        flat = maps.flatten(2)
        return torch.cat([layer(flat) for layer in self.vectors], dim=2)
