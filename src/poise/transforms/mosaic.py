"""Mosaic augmentation: four images in one view (arXiv 2004.10934, section 3.3)."""

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
    """A rectangular part of a view, with the labels of one image.

    Attributes:
        pixels: RGB.
        labels: People to train on, in pixels of the tile.
        extent: Square root of the area of each person's annotated box, pixels.
        ignore: Pixels that are not trained on.
        known: Keypoints that the data set of the image labels at all.
        masks: Mask of each person; None where they are not needed.
    """

    pixels: UInt8[np.ndarray, "h w 3"]
    labels: Labels
    extent: Float[Tensor, " n"]
    ignore: Bool[Tensor, "h w"]
    known: Bool[Tensor, " k"]
    masks: Bool[Tensor, "n h w"] | None = None

    def shifted(self, x: int, y: int) -> "MosaicTile":
        """The tile with its labels moved by (x, y) pixels."""
        labels, shift = self.labels, self.labels.xy.new_tensor((x, y))
        return replace(self, labels=replace(labels, xy=labels.xy + shift, boxes=labels.boxes + shift.repeat(2)))


def tile_sizes(size: Size, meeting: tuple[float, float]) -> tuple[Size, Size, Size, Size]:
    """Sizes (h, w) of the four tiles: left above, right above, left below, right below.

    Args:
        size: Size of the view (h, w), each side at least 2 pixels.
        meeting: The common corner of the tiles, in shares (x, y) of the view's sides.
    """
    x, y = (min(max(round(share * n), 1), n - 1) for share, n in zip(meeting, (size[1], size[0]), strict=True))
    below, right = size[0] - y, size[1] - x
    return (y, x), (y, right), (below, x), (below, right)


def join_tiles(tiles: Sequence[MosaicTile]) -> MosaicTile:
    """Four tiles as one, in the order and of the sizes of `tile_sizes`.

    A keypoint that one of the tiles does not label is not `known` in the result.
    """
    left, above = tiles[0].ignore.shape[1], tiles[0].ignore.shape[0]
    placed = [piece.shifted(left * (n % 2), above * (n // 2)) for n, piece in enumerate(tiles)]
    rows = [(placed[0], placed[1]), (placed[2], placed[3])]
    labels = [piece.labels for piece in placed]
    height, width = above + tiles[2].ignore.shape[0], left + tiles[1].ignore.shape[1]
    masks = [
        pad(own.masks, (x, width - x - own.ignore.shape[1], y, height - y - own.ignore.shape[0]))
        for own, x, y in zip(tiles, (0, left, 0, left), (0, 0, above, above), strict=True)
        if own.masks is not None
    ]
    return MosaicTile(
        np.concatenate([np.concatenate([piece.pixels for piece in row], axis=1) for row in rows]),
        Labels(**{f.name: torch.cat([getattr(own, f.name) for own in labels]) for f in fields(Labels)}),
        torch.cat([piece.extent for piece in placed]),
        torch.cat([torch.cat([piece.ignore for piece in row], dim=1) for row in rows]),
        torch.stack([piece.known for piece in placed]).all(dim=0),
        torch.cat(masks) if len(masks) == len(tiles) else None,
    )
