"""Accuracy on maps, as shown while training: the highest cells of a network's maps beside those of its targets."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

THRESHOLD = 0.5
"""Keypoints nearer than this many tenths of the map are hit (HRNet's and pytorch-pose's releases)."""


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Shares of keypoints hit in a batch.

    Attributes:
        keypoints: Of each keypoint; -1 where no target of the batch shows it.
        distances: Of each keypoint in each view, in tenths of the map; -1 where the target does not show it.
    """

    keypoints: Float[Tensor, " k"]
    distances: Float[Tensor, "k b"]

    @property
    def mean(self) -> float:
        """Over the keypoints that are shown; 0 where none is."""
        shown = self.keypoints >= 0
        return float(self.keypoints[shown].mean()) if shown.any() else 0.0


def map_accuracy(
    output: Float[Tensor, "b k h w"], target: Float[Tensor, "b k h w"], *, threshold: float = THRESHOLD
) -> Accuracy:
    """Share of each keypoint's highest cells that lie near the target's: distances in tenths of the map's width and height.

    A target shows a keypoint where its map rises above 0. `released_accuracy` counts as the releases do.

    Args:
        output: Maps of a network.
        target: What it should have answered.
        threshold: Tenths of the map; exactly at it is a miss.
    """
    found, expected = peaks(output), peaks(target)
    tenth = torch.tensor([output.shape[3], output.shape[2]], dtype=torch.float64) / 10
    return accuracy(found, expected, tenth, shown=target.flatten(2).amax(dim=2).cpu() > 0, threshold=threshold)


def released_accuracy(
    output: Float[Tensor, "b k h w"], target: Float[Tensor, "b k h w"], *, first: Literal[0, 1] = 0
) -> Accuracy:
    """`map_accuracy` with the faults of the releases, for comparing with their logs (golden m01, m03).

    They measure x in tenths of the height and y in tenths of the width, and leave out keypoints whose x or y is not above 1.

    Args:
        output: Maps of a network.
        target: What it should have answered.
        first: The number of the first row and column: 0 in Simple Baselines and HRNet, 1 in pytorch-pose and CC-SSL, on whose
            square maps the swap is none.
    """
    found, expected = (peaks(maps, first=first) for maps in (output, target))
    swapped = torch.tensor([output.shape[2], output.shape[3]], dtype=torch.float64) / 10
    return accuracy(found, expected, swapped, shown=(expected > 1).all(dim=-1), threshold=THRESHOLD)


def accuracy(
    found: Float[Tensor, "b k 2"],
    expected: Float[Tensor, "b k 2"],
    size: Float[Tensor, " 2"],
    *,
    shown: Bool[Tensor, "b k"],
    threshold: float,
) -> Accuracy:
    """The same of positions that are known already.

    Args:
        found: Cells (x, y).
        expected: Cells (x, y).
        size: What x and y are measured in.
        shown: Which keypoints of which views count.
        threshold: Distances below it are hits.
    """
    distance = ((found - expected) / size).norm(dim=-1)
    count = shown.sum(dim=0)
    share = ((distance < threshold) & shown).sum(dim=0).double() / count.clamp(min=1)
    return Accuracy(
        torch.where(count > 0, share, -torch.ones_like(share)), torch.where(shown, distance, -torch.ones_like(distance)).T
    )


def peaks(maps: Float[Tensor, "b k h w"], *, first: int = 0) -> Float[Tensor, "b k 2"]:
    """The highest cell (x, y) of every map, float64; (0, 0) where nothing rises above 0.

    Args:
        maps: Any.
        first: The number of the first row and column.
    """
    highest, place = maps.detach().flatten(2).max(dim=2)
    xy = torch.stack((place % maps.shape[3], place // maps.shape[3]), dim=-1).double() + first
    return (xy * (highest > 0)[..., None]).cpu()
