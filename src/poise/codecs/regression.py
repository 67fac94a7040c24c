"""The coordinates themselves (DeepPose, arXiv 1312.4659), with or without how far they may be off."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.codecs.base import InstanceCodec
from poise.codecs.maps import check_weights, gaussian, mean_of_worst, ruler, weighted
from poise.errors import InputError, unknown
from poise.geometry import Grid
from poise.structures import Points

Penalty = Literal["smooth_l1", "l1", "mse", "laplace"]

PENALTIES = {"smooth_l1": F.smooth_l1_loss, "l1": F.l1_loss, "mse": F.mse_loss}

ROI_WEIGHTS: Mapping[Penalty, float] = {"smooth_l1": 64.0, "l1": 16.0, "mse": 32.0, "laplace": 1.0}
"""`roi_weight` by penalty: an output of zeros, the corner of the box, has a loss of 0.15, 0.46, 0.30 and 6.9."""

LEAST = 0.001
"""Share of a view, which Laplace's deviations have at least: nothing is labelled better than that."""

SURE = -40.0
"""Logit of a deviation that is 0 in float32."""

SPOT = 1.5
"""Width of a keypoint in pictures, cells."""


@final
@dataclass(frozen=True)
class Regression(InstanceCodec):
    """x and y as shares of the view's width and height, read off each keypoint's map.

    Attributes:
        penalty: The distance from the labels, of shares. Laplace's makes the network answer the logits of two deviations,
            too, and is how unlikely it then finds the label; the score tells how sure it is, and is always 1 otherwise.
        shift_flipped: Whether a mirrored x loses the width of a pixel, which puts pixels on pixels. Some releases do not.
        joint_weights: Weight of each keypoint in the loss; None weighs all alike.
        ohkm: Only so many keypoints of each view, the worst ones, make the loss; None takes all.
    """

    penalty: Penalty = "smooth_l1"
    shift_flipped: bool = True
    joint_weights: tuple[float, ...] | None = None
    ohkm: int | None = None

    def __post_init__(self) -> None:
        """Refuse other penalties."""
        super().__post_init__()
        if self.penalty not in (*PENALTIES, "laplace"):
            raise unknown("penalty of Regression", self.penalty, (*PENALTIES, "laplace"))
        check_weights(self, self.joint_weights, self.ohkm)

    @cached_property
    def grid(self) -> Grid:
        """Shares instead of cells: one of them is the whole view."""
        return Grid(self.size, self.cells, (float(self.size[1]), float(self.size[0])), (0.0, 0.0))

    @property
    def roi_weight(self) -> float:
        """That of the penalty (`ROI_WEIGHTS`)."""
        return ROI_WEIGHTS[self.penalty]

    @property
    def channels(self) -> int:
        """One map per keypoint, which the numbers are read off."""
        return self.keypoints

    @property
    def vectors(self) -> tuple[int, ...]:
        """Of x and y; for Laplace's penalty also the logits of their deviations."""
        return (4,) if self.penalty == "laplace" else (2,)

    @property
    def tolerance(self) -> float:
        """A thousandth of a pixel."""
        return 1e-3

    @property
    def exceptions(self) -> Mapping[int, float]:
        """Law 3 by a pixel, where flipped answers are not shifted."""
        return {} if self.shift_flipped else {3: 1 + self.tolerance}

    def encode(self, xy: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k n"]:
        """The coordinates, float32; Laplace's deviations are 0."""
        labels = self.grid.to_cells(xy).float()
        return torch.cat((labels, torch.full_like(labels, SURE)), dim=-1) if self.penalty == "laplace" else labels

    def weights(self, xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Weight of each keypoint in the loss: 0 where it is not labelled or outside the view."""
        return weighted(self._inside(xy) & (visible > 0), self.joint_weights)

    def loss(
        self, output: Float[Tensor, "b k n"], xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]
    ) -> Float[Tensor, ""]:
        """The mean penalty over all coordinates; those without weight count as 0.

        Raises:
            InputError: The output is not of this codec's size.
        """
        self._check(output)
        if not output.numel():
            return output.sum()
        weight, answer = self.weights(xy, visible), output.float()
        # What does not count is labelled with the answer itself.
        label = torch.where(weight[..., None] > 0, self.grid.to_cells(xy).float(), answer[..., :2].detach())
        if self.penalty == "laplace":
            lost = unlikeliness(answer[..., :2] - label, answer[..., 2:].sigmoid())
        else:
            lost = PENALTIES[self.penalty](answer, label, reduction="none")
        return mean_of_worst(lost.mean(dim=-1), weight, self.ohkm)

    def decode(self, output: Float[Tensor, "b k n"]) -> Points:
        """The coordinates, and 1 less the mean deviation; the middle of the view and 0 where they are not finite.

        Raises:
            InputError: The output is not of this codec's size.
        """
        self._check(output)
        values = output.detach().float()
        share = values[..., :2]
        finite = share.isfinite().all(dim=-1)
        sure = (1 - values[..., 2:].sigmoid().mean(dim=-1)).nan_to_num(0) if self.penalty == "laplace" else 1.0
        return Points(self.grid.to_pixels(torch.where(finite[..., None], share, 0.5)), sure * finite)

    def unflip(self, output: Float[Tensor, "b k n"], flip: Int64[Tensor, " k"]) -> Float[Tensor, "b k n"]:
        """The share x becomes 1 - x (less a pixel, if `shift_flipped`); left and right keypoints swapped."""
        back = output[:, flip]
        whole = 1 - 1 / self.size[1] if self.shift_flipped else 1.0
        return torch.cat((whole - back[..., :1], back[..., 1:]), dim=-1)

    def picture(self, output: Float[Tensor, "b k n"]) -> Float[Tensor, "b k h w"]:
        """A spot at each keypoint."""
        height, width = self.cells
        x, y = (output.detach().float()[..., :2] * output.new_tensor((width, height)).float()).unbind(-1)
        column, row = (gaussian(ruler(at, length) - at[..., None], SPOT) for at, length in ((y, height), (x, width)))
        return (column[..., None] * row[..., None, :]).nan_to_num(0)

    def _inside(self, xy: Float[Tensor, "b k 2"]) -> Bool[Tensor, "b k"]:
        last = xy.new_tensor((self.size[1] - 1, self.size[0] - 1))
        return ((xy >= 0) & (xy <= last)).all(dim=-1)

    def _check(self, output: Tensor) -> None:
        if output.shape[1:] != (self.keypoints, *self.vectors):
            raise InputError(
                f"Regression reads {self.vectors[0]} numbers of each of {self.keypoints} keypoints, found "
                f"{tuple(output.shape[1:])}; the network must be built for this codec"
            )


def unlikeliness(off: Float[Tensor, "*b 2"], deviation: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 2"]:
    """Negative logarithm of Laplace's density, and 0 for what is not off and sure of it.

    >>> unlikeliness(torch.zeros(2), torch.zeros(2))
    tensor([0., 0.])
    """
    width = deviation + LEAST
    return (width / LEAST).log() + off.abs() / width
