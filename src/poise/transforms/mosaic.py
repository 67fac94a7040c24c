"""Four images beside each other in one view (mosaic, arXiv 2004.10934, section 3.3)."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn.functional import pad

from poise.dims import Size
from poise.structures import Labels


@final
@dataclass(frozen=True, eq=False)
class MosaicTile:
    """A part of a view: what is shown there, and who is in it.

    Attributes:
        pixels: RGB.
        labels: Of everybody to be learnt, in pixels of the piece.
        extent: Side of the square as large as each person's annotated box, pixels.
        ignore: Where nothing is to be learnt.
        known: Keypoints that are labelled at all where it comes from.
        masks: Where each of the people is; None where nobody asked.
    """

    pixels: UInt8[np.ndarray, "h w 3"]
    labels: Labels
    extent: Float[Tensor, " n"]
    ignore: Bool[Tensor, "h w"]
    known: Bool[Tensor, " k"]
    masks: Bool[Tensor, "n h w"] | None = None

    def shifted(self, x: int, y: int) -> "MosaicTile":
        """The same with its labels as they are counted from a pixel that lies so far to the left and above."""
        labels, shift = self.labels, self.labels.xy.new_tensor((x, y))
        return replace(self, labels=replace(labels, xy=labels.xy + shift, boxes=labels.boxes + shift.repeat(2)))


def tile_sizes(size: Size, meeting: tuple[float, float]) -> tuple[Size, Size, Size, Size]:
    """Sizes of the four pieces of a view: left above, right above, left below, right below.

    Args:
        size: Of the view (h, w), each at least 2 pixels.
        meeting: Where they meet, in shares of its sides (x, y).
    """
    x, y = (min(max(round(share * n), 1), n - 1) for share, n in zip(meeting, (size[1], size[0]), strict=True))
    below, right = size[0] - y, size[1] - x
    return (y, x), (y, right), (below, x), (below, right)


def join_tiles(pieces: Sequence[MosaicTile]) -> MosaicTile:
    """Four pieces, in the order of `quarters` and of their sizes, as one; what one of them does not label is not known."""
    left, above = pieces[0].ignore.shape[1], pieces[0].ignore.shape[0]
    placed = [piece.shifted(left * (n % 2), above * (n // 2)) for n, piece in enumerate(pieces)]
    rows = [(placed[0], placed[1]), (placed[2], placed[3])]
    labels = [piece.labels for piece in placed]
    height, width = above + pieces[2].ignore.shape[0], left + pieces[1].ignore.shape[1]
    masks = [
        pad(own.masks, (x, width - x - own.ignore.shape[1], y, height - y - own.ignore.shape[0]))
        for own, x, y in zip(pieces, (0, left, 0, left), (0, 0, above, above), strict=True)
        if own.masks is not None
    ]
    return MosaicTile(
        np.concatenate([np.concatenate([piece.pixels for piece in row], axis=1) for row in rows]),
        Labels(**{f.name: torch.cat([getattr(own, f.name) for own in labels]) for f in fields(Labels)}),
        torch.cat([piece.extent for piece in placed]),
        torch.cat([torch.cat([piece.ignore for piece in row], dim=1) for row in rows]),
        torch.stack([piece.known for piece in placed]).all(dim=0),
        torch.cat(masks) if len(masks) == len(pieces) else None,
    )
