"""Codecs for networks with several outputs, whose losses tell hidden keypoints from visible ones.

Cascaded Pyramid Network (arXiv 1711.07319), Multi-Stage Pose Network (arXiv 1901.00148) and Residual Steps Network (arXiv
2003.04030) share this: coarse outputs have wide labels and learn every map, zeros where a keypoint is not visible; the last
output has a narrow label and learns the hardest of the labelled keypoints.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.codecs.base import InstanceCodec
from poise.codecs.maps import check_maps, check_weights, highest_of, keypoint_weights
from poise.errors import InputError
from poise.losses.heatmaps import mean_squares, ohkm_squares, outer_squares

HEIGHT = 255.0
"""Height of a label in the releases."""


@dataclass(frozen=True)
class StagedCodec(InstanceCodec):
    """One heatmap per keypoint, for one of several outputs of a network; the loss is `weight` times the mean squared error.

    A keypoint outside the view is treated as unlabelled.

    Attributes:
        height: Height of the label at its highest cell.
        weight: Factor of the loss of this output.
        least_visible: Keypoints of this visibility or higher have a label: 1 also hidden ones, 2 only visible ones.
        others: The other keypoints give no loss ("left out"), or their label is all zeros ("emptied").
        ohkm: Number of keypoints of each view that make the loss, those with the largest one (online hard keypoint mining,
            arXiv 1711.07319); None for all.
        joint_weights: Weight of each keypoint in the loss; None for 1 each.
    """

    height: float = HEIGHT
    weight: float = 1.0
    least_visible: int = 1
    others: Literal["left out", "emptied"] = "left out"
    ohkm: int | None = None
    joint_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        super().__post_init__()
        name = type(self).__name__
        if not (self.height > 0 and self.weight > 0):
            raise InputError(f"{name} needs a height and a weight above 0, found {self.height} and {self.weight}")
        if self.least_visible not in (1, 2):
            raise InputError(
                f"{name} labels keypoints of visibility 1 (hidden too) or 2 (in sight) and more, found {self.least_visible}"
            )
        if self.others not in ("left out", "emptied"):
            raise InputError(f"{name}: keypoints without label are 'left out' or 'emptied', found {self.others!r}")
        check_weights(self, self.joint_weights, self.ohkm)

    @property
    def roi_weight(self) -> float:
        """1/16: labels are 255 high, so that an output of zeros has a loss of 100 to 250."""
        return 1 / 16

    @property
    def channels(self) -> int:
        """One map per keypoint: k."""
        return self.keypoints

    @property
    def exceptions(self) -> Mapping[int, float]:
        """Law 5 if keypoints without label are trained to zeros."""
        return {5: 1.0} if self.others == "emptied" else {}

    @abstractmethod
    def profiles(self, xy: Float[Tensor, "b k 2"]) -> tuple[Float[Tensor, "b k h"], Float[Tensor, "b k w"]]:
        """The label of keypoints inside the view as a column times a row, each of height 1."""

    def encode(self, xy: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k h w"]:
        """The label of each keypoint, float32; zeros where it is outside the view."""
        column, row = self._target(xy, self._inside(xy))
        return column[..., None] * row[..., None, :]

    def highest_cells(self, xy: Float[Tensor, "b k 2"], labelled: Bool[Tensor, "b k"]) -> Float[Tensor, "b k 2"]:
        """The highest of column and row of each label; no map is made."""
        return highest_of(*self._target(xy, self._inside(xy) & labelled))

    def loss(
        self, output: Float[Tensor, "b k h w"], xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]
    ) -> Float[Tensor, ""]:
        """`weight` times the mean squared error.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_maps(self, output)
        labelled = self._inside(xy) & (visible >= self.least_visible)
        return self.total(outer_squares(output.float(), *self._target(xy, labelled)), labelled)

    def total(self, distance: Float[Tensor, "b k"], labelled: Bool[Tensor, "b k"]) -> Float[Tensor, ""]:
        """The loss, from the squared error of each map, summed over its cells (from zeros where it has no label)."""
        counts = keypoint_weights(labelled | (self.others == "emptied"), self.joint_weights)
        cells = self.cells[0] * self.cells[1]
        if self.ohkm is None:
            return 2 * self.weight * mean_squares(distance, counts, cells=cells)
        return 2 * self.weight * ohkm_squares(distance, counts, cells=cells, top=self.ohkm)

    def unflip(self, output: Float[Tensor, "b k h w"], flip: Int64[Tensor, " k"]) -> Float[Tensor, "b k h w"]:
        """The maps with columns reversed and left and right keypoints swapped."""
        return output[:, flip].flip(-1)

    def picture(self, output: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k h w"]:
        """The maps divided by the height of labels, clamped to 0 and 1."""
        return (output.detach().float().nan_to_num(0) / self.height).clamp(0, 1)

    def _inside(self, xy: Float[Tensor, "b k 2"]) -> Bool[Tensor, "b k"]:
        last = xy.new_tensor((self.size[1] - 1, self.size[0] - 1))
        return ((xy >= 0) & (xy <= last)).all(dim=-1)

    def _target(self, xy: Float[Tensor, "b k 2"], labelled: Bool[Tensor, "b k"]) -> tuple[Tensor, Tensor]:
        # The positions of keypoints without label mean nothing and may be NaN.
        column, row = self.profiles(torch.where(labelled[..., None], xy, 0))
        return column * (self.height * labelled[..., None]), row


def steps(stages: int, *, coarse_to_fine: bool) -> list[tuple[int, int]]:
    """For the outputs of all stages: the index of each among its stage's four, and the cells of its label (MSPN, section 3.3).

    Raises:
        InputError: There is no stage.
    """
    kernels = (15, 11, 9, 7, 5)
    if stages < 1:
        raise InputError(f"a network needs at least one stage, found {stages}")
    finer = [int(coarse_to_fine and stage == stages - 1) for stage in range(stages)]
    return [(step, kernels[step + later]) for later in finer for step in range(4)]
