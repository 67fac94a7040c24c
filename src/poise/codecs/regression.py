"""The coordinates themselves (DeepPose, arXiv 1312.4659), with or without their deviations and visibility."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.codecs.base import InstanceCodec
from poise.codecs.maps import cell_indices, check_vectors, check_weights, gaussian, keypoint_weights, ohkm_mean
from poise.errors import InputError, unknown
from poise.geometry import Grid
from poise.structures import Points

Penalty = Literal["smooth_l1", "l1", "mse", "laplace"]

PENALTIES = {"smooth_l1": F.smooth_l1_loss, "l1": F.l1_loss, "mse": F.mse_loss}

ROI_WEIGHTS: Mapping[Penalty, float] = {"smooth_l1": 64.0, "l1": 16.0, "mse": 32.0, "laplace": 1.0}
"""`roi_weight` by penalty: an output of zeros, the corner of the box, has a loss of 0.15, 0.46, 0.30 and 6.9."""

MIN_DEVIATION = 0.001
"""Smallest deviation of Laplace's distribution, as a share of the view: labels are not more precise."""

ZERO_LOGIT = -40.0
"""Logit of a deviation of 0 (its sigmoid is 0 in float32), or of the opposite of being visible."""

SPOT_SIGMA = 1.5
"""Standard deviation of a keypoint in pictures, cells."""


@final
@dataclass(frozen=True)
class Regression(InstanceCodec):
    """x and y as shares of the view's width and height, read off each keypoint's map.

    Attributes:
        penalty: The loss of a share. With "laplace" the output also has the logits of two deviations, the loss is the negative
            log-likelihood of the label, and the score of a keypoint depends on the deviations; else it is 1.
        visibility_weight: Factor of the cross-entropy of the visibility (2 visible, 1 hidden), whose logit is the last number
            of a keypoint (BlazePose, arXiv 2006.10204, section 2); its probability is then a factor of the score. 0 for none.
        shift_flipped: Whether the width of a pixel is subtracted from a mirrored x, which maps pixels onto pixels. Some
            releases do not.
        joint_weights: Weight of each keypoint in the loss; None for 1 each.
        ohkm: Number of keypoints of each view that make the loss, those with the largest one (online hard keypoint mining,
            arXiv 1711.07319); None for all.
    """

    penalty: Penalty = "smooth_l1"
    shift_flipped: bool = True
    visibility_weight: float = 0.0
    joint_weights: tuple[float, ...] | None = None
    ohkm: int | None = None

    def __post_init__(self) -> None:
        """Refuse unknown penalties."""
        super().__post_init__()
        if self.penalty not in (*PENALTIES, "laplace"):
            raise unknown("penalty of Regression", self.penalty, (*PENALTIES, "laplace"))
        if not 0 <= self.visibility_weight < math.inf:
            raise InputError(f"Regression needs a visibility_weight of 0 or more, found {self.visibility_weight}")
        check_weights(self, self.joint_weights, self.ohkm)

    @cached_property
    def grid(self) -> Grid:
        """Shares of the view: a cell is the whole view."""
        return Grid(self.size, self.cells, (float(self.size[1]), float(self.size[0])), (0.0, 0.0))

    @property
    def roi_weight(self) -> float:
        """That of the penalty (`ROI_WEIGHTS`)."""
        return ROI_WEIGHTS[self.penalty]

    @property
    def channels(self) -> int:
        """One map per keypoint, k, which a readout layer makes the numbers of."""
        return self.keypoints

    @property
    def vectors(self) -> tuple[int, ...]:
        """Two numbers, x and y; with "laplace" the logits of their deviations too; with visibility its logit."""
        return ((4 if self.penalty == "laplace" else 2) + (self.visibility_weight > 0),)

    @property
    def tolerance(self) -> float:
        """A thousandth of a pixel."""
        return 1e-3

    @property
    def exceptions(self) -> Mapping[int, float]:
        """Law 3 by a pixel if flipped outputs are not shifted."""
        return {} if self.shift_flipped else {3: 1 + self.tolerance}

    def encode(self, xy: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k n"]:
        """The coordinates, float32; with "laplace" deviations of 0; everything visible."""
        labels = self.grid.to_cells(xy).float()
        parts = [labels]
        parts += [torch.full_like(labels, ZERO_LOGIT)] if self.penalty == "laplace" else []
        parts += [torch.full_like(labels[..., :1], -ZERO_LOGIT)] if self.visibility_weight else []
        return torch.cat(parts, dim=-1)

    def weights(self, xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Weight of each keypoint in the loss: 0 where it is not labelled or outside the view."""
        return keypoint_weights(self._inside(xy) & (visible > 0), self.joint_weights)

    def loss(
        self, output: Float[Tensor, "b k n"], xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]
    ) -> Float[Tensor, ""]:
        """The mean penalty over all coordinates, and the error of the visibility; that of keypoints without weight is 0.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_vectors(self, output)
        if not output.numel():
            return output.sum()
        weight, values = self.weights(xy, visible), output.float()
        # Keypoints without weight get the output as their label.
        label = torch.where(weight[..., None] > 0, self.grid.to_cells(xy).float(), values[..., :2].detach())
        if self.penalty == "laplace":
            lost = laplace_nll(values[..., :2] - label, values[..., 2:4].sigmoid())
        else:
            lost = PENALTIES[self.penalty](values[..., :2], label, reduction="none")
        return ohkm_mean(lost.mean(dim=-1) + self._visibility_loss(values, visible), weight, self.ohkm)

    def decode(self, output: Float[Tensor, "b k n"]) -> Points:
        """The coordinates; the score is 1 minus the mean deviation, times the probability that the keypoint is visible.

        Where a coordinate is not finite it is the middle of the view with score 0.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_vectors(self, output)
        values = output.detach().float()
        share = values[..., :2]
        finite = share.isfinite().all(dim=-1)
        score = finite.float()
        if self.penalty == "laplace":
            score = score * (1 - values[..., 2:4].sigmoid().mean(dim=-1)).nan_to_num(0)
        if self.visibility_weight:
            score = score * values[..., -1].sigmoid().nan_to_num(0)
        return Points(self.grid.to_pixels(torch.where(finite[..., None], share, 0.5)), score)

    def unflip(self, output: Float[Tensor, "b k n"], flip: Int64[Tensor, " k"]) -> Float[Tensor, "b k n"]:
        """X becomes 1 - x (minus a pixel if `shift_flipped`); left and right keypoints swapped."""
        back = output[:, flip]
        whole = 1 - 1 / self.size[1] if self.shift_flipped else 1.0
        return torch.cat((whole - back[..., :1], back[..., 1:]), dim=-1)

    def picture(self, output: Float[Tensor, "b k n"]) -> Float[Tensor, "b k h w"]:
        """A Gaussian at each keypoint."""
        height, width = self.cells
        x, y = (output.detach().float()[..., :2] * output.new_tensor((width, height)).float()).unbind(-1)
        sides = ((y, height), (x, width))
        column, row = (gaussian(cell_indices(at, length) - at[..., None], SPOT_SIGMA) for at, length in sides)
        return (column[..., None] * row[..., None, :]).nan_to_num(0)

    def _visibility_loss(self, values: Float[Tensor, "b k n"], visible: Int64[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        if not self.visibility_weight:
            return torch.zeros_like(values[..., 0])
        lost = F.binary_cross_entropy_with_logits(values[..., -1], (visible == 2).float(), reduction="none")
        return self.visibility_weight * lost

    def _inside(self, xy: Float[Tensor, "b k 2"]) -> Bool[Tensor, "b k"]:
        last = xy.new_tensor((self.size[1] - 1, self.size[0] - 1))
        return ((xy >= 0) & (xy <= last)).all(dim=-1)


def laplace_nll(off: Float[Tensor, "*b 2"], deviation: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 2"]:
    """Negative log-likelihood of Laplace's distribution; shifted so that it is 0 for an error and a deviation of 0.

    Args:
        off: Errors, as shares of the view.
        deviation: Deviations, as shares of the view.

    >>> laplace_nll(torch.zeros(2), torch.zeros(2))
    tensor([0., 0.])
    """
    width = deviation + MIN_DEVIATION
    return (width / MIN_DEVIATION).log() + off.abs() / width
