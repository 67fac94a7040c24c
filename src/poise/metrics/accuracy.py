"""PCK on heatmaps, for training logs: the argmax of each output map compared with that of its target map."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

THRESHOLD = 0.5
"""Distance below which a keypoint is correct, in tenths of the map's size (HRNet's and pytorch-pose's releases)."""


@dataclass(frozen=True, eq=False)
class Accuracy:
    """PCK of a batch of heatmaps.

    Attributes:
        keypoints: Share of views in which each keypoint is correct; -1 where no target of the batch has it.
        distances: Distance of each keypoint from its target in each view, in tenths of the map's size; -1 where the target does
            not have it.
    """

    keypoints: Float[Tensor, " k"]
    distances: Float[Tensor, "k b"]

    @property
    def mean(self) -> float:
        """Mean over the keypoints that a target has; 0 where there is none."""
        counted = self.keypoints >= 0
        return float(self.keypoints[counted].mean()) if counted.any() else 0.0

    @property
    def counted(self) -> int:
        """Number of the keypoints that a target has: by it the releases weight the mean over an epoch."""
        return int((self.keypoints >= 0).sum())


def map_accuracy(
    output: Float[Tensor, "b k h w"], target: Float[Tensor, "b k h w"], *, threshold: float = THRESHOLD
) -> Accuracy:
    """Share of views in which the argmax of each output map is near that of its target map.

    Distances are in tenths of the map's width and height. A target has a keypoint where its map is above 0 anywhere.
    `released_accuracy` computes what the releases print.

    Args:
        output: Output maps of a network.
        target: Target maps.
        threshold: Distance below which a keypoint is correct, tenths of the map's size.
    """
    found, expected = peaks(output), peaks(target)
    tenth = torch.tensor([output.shape[3], output.shape[2]], dtype=torch.float64) / 10
    return accuracy(found, expected, tenth, shown=target.flatten(2).amax(dim=2).cpu() > 0, threshold=threshold)


def released_accuracy(
    output: Float[Tensor, "b k h w"], target: Float[Tensor, "b k h w"], *, first: Literal[0, 1] = 0
) -> Accuracy:
    """`map_accuracy` with the errors of the releases, for comparison with their logs (golden m01, m03).

    The releases divide x by the height and y by the width, and leave out keypoints whose x or y is not above 1.

    Args:
        output: Output maps of a network.
        target: Target maps.
        first: Index of the first row and column: 0 in Simple Baselines and HRNet, 1 in pytorch-pose and CC-SSL, whose maps are
            square, so that the exchange has no effect.
    """
    return released_accuracy_at(output, peaks(target, first=first), first=first)


def released_accuracy_at(
    output: Float[Tensor, "b k h w"], expected: Float[Tensor, "b k 2"], *, first: Literal[0, 1] = 0
) -> Accuracy:
    """`released_accuracy` where the highest cells of the target maps are known, so that none are made.

    Args:
        output: Output maps of a network.
        expected: Highest cell (x, y) of each target map, counted from `first`; (0, 0) where it has none.
        first: Index of the first row and column.
    """
    swapped = torch.tensor([output.shape[2], output.shape[3]], dtype=torch.float64) / 10
    shown = (expected > 1).all(dim=-1)
    return accuracy(peaks(output, first=first), expected, swapped, shown=shown, threshold=THRESHOLD)


def accuracy(
    found: Float[Tensor, "b k 2"],
    expected: Float[Tensor, "b k 2"],
    size: Float[Tensor, " 2"],
    *,
    shown: Bool[Tensor, "b k"],
    threshold: float,
) -> Accuracy:
    """Share of views in which each keypoint is near its target, from positions.

    Args:
        found: Positions (x, y) in the output maps, cells.
        expected: Positions (x, y) in the target maps, cells.
        size: Units of x and y, cells.
        shown: True for the keypoints and views that count.
        threshold: Distance below which a keypoint is correct, in units of `size`.
    """
    distance = ((found - expected) / size).norm(dim=-1)
    count = shown.sum(dim=0)
    share = ((distance < threshold) & shown).sum(dim=0).double() / count.clamp(min=1)
    return Accuracy(
        torch.where(count > 0, share, -torch.ones_like(share)), torch.where(shown, distance, -torch.ones_like(distance)).T
    )


def peaks(maps: Float[Tensor, "b k h w"], *, first: int = 0) -> Float[Tensor, "b k 2"]:
    """The argmax (x, y) of every map, cells, float64; (0, 0) where no value is above 0.

    Args:
        maps: Heatmaps.
        first: Index of the first row and column.
    """
    highest, index = maps.detach().flatten(2).max(dim=2)
    xy = torch.stack((index % maps.shape[3], index // maps.shape[3]), dim=-1).double() + first
    return (xy * (highest > 0)[..., None]).cpu()
