"""BlazePose's numbers of each keypoint (arXiv 2006.10204): coordinates, visibility, and a heatmap that moves them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.base import InstanceCodec
from poise.codecs.maps import cell_indices, check_vectors, check_weights, gaussian, keypoint_weights, ohkm_mean
from poise.decoding.blaze_landmarks import KERNEL, refined
from poise.errors import InputError
from poise.geometry import Grid
from poise.structures import Points

NUMBERS = 6
"""Numbers of a keypoint before its heatmap: x, y, z as shares of the view, logits of visibility and presence, probability that
there is a person."""

SURE = 40.0
"""Logit of a probability of 1 (in float32 the sigmoid is 1, and its logarithm 4e-18)."""

LEAST_LOGIT, MOST_LOGIT = -80.0, 15.0
"""Logits of the heatmaps of a perfect output lie between these."""


@final
@dataclass(frozen=True)
class BlazeLandmarks(InstanceCodec):
    """Coordinates as shares of the view, which move to the centre of mass of their heatmap around them.

    Attributes:
        kernel: Side of the window on a heatmap, cells; 7 as MediaPipe's graph declares it, 9 as its Python package runs.
        sigma: Standard deviation of a heatmap's Gaussian, cells.
        heat_weight: Factor of the mean squared error of the heatmaps.
        visibility_weight: Factor of the cross-entropy of the visibility (2 visible, 1 hidden).
        joint_weights: Weight of each keypoint in the loss; None for 1 each.
        ohkm: Number of keypoints of each view that make the loss, those with the largest one (online hard keypoint mining,
            arXiv 1711.07319); None for all.
    """

    kernel: int = KERNEL
    sigma: float = 1.0
    heat_weight: float = 1.0
    visibility_weight: float = 0.01
    joint_weights: tuple[float, ...] | None = None
    ohkm: int | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        super().__post_init__()
        if self.kernel < 1 or self.kernel % 2 == 0 or not self.sigma > 0 or min(self.heat_weight, self.visibility_weight) < 0:
            raise InputError(
                f"BlazeLandmarks needs an odd kernel, a sigma above 0 and weights of at least 0, found kernel {self.kernel}, "
                f"sigma {self.sigma} and weights {self.heat_weight} and {self.visibility_weight}"
            )
        check_weights(self, self.joint_weights, self.ohkm)

    @cached_property
    def grid(self) -> Grid:
        """Cell 0 at pixel 0: centres of mass are taken of the cells' indices."""
        return Grid.strided(self.size, self.cells)

    @property
    def roi_weight(self) -> float:
        """8: an output of zeros has a loss of 0.4."""
        return 8.0

    @property
    def channels(self) -> int:
        """One map per keypoint, k, which a readout layer makes the numbers of."""
        return self.keypoints

    @property
    def vectors(self) -> tuple[int, ...]:
        """The numbers, and the cells of a heatmap row by row."""
        return (NUMBERS + self.cells[0] * self.cells[1],)

    @property
    def output_type(self) -> str:
        """By its own name: its channels are no maps."""
        return type(self).__name__

    @property
    def tolerance(self) -> float:
        """A twentieth of a cell, in pixels: the window lies around a cell, and cuts a Gaussian off unevenly."""
        return 0.05 * max(self.grid.scale)

    @property
    def exceptions(self) -> Mapping[int, float]:
        """Law 3 by a cell less a pixel: cells of a mirrored heatmap lie so far off, as cell 0 is at pixel 0."""
        off = self.grid.scale[0] - 1
        return {3: off + self.tolerance} if off > self.tolerance else {}

    def encode(self, xy: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k n"]:
        """The numbers, float32: z 0, everything visible, and a Gaussian."""
        at = self.grid.to_cells(xy).float()
        sure = torch.full_like(at[..., :1], SURE)
        numbers = (xy.float() / self._sides(xy), torch.zeros_like(sure), sure, sure, torch.ones_like(sure))
        heat = torch.logit(self._heat(at)).clamp(LEAST_LOGIT, MOST_LOGIT)
        return torch.cat((*numbers, heat.flatten(2)), dim=-1)

    def weights(self, xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Weight of each keypoint in the loss: 0 where it is not labelled or outside the view."""
        last = xy.new_tensor((self.size[1] - 1, self.size[0] - 1))
        return keypoint_weights(((xy >= 0) & (xy <= last)).all(dim=-1) & (visible > 0), self.joint_weights)

    def loss(
        self, output: Float[Tensor, "b k n"], xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]
    ) -> Float[Tensor, ""]:
        """The mean over keypoints of smooth L1 of their shares of the view, and weighted errors of heatmap and visibility.

        That of keypoints without weight is 0.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_vectors(self, output)
        if not output.numel():
            return output.sum()
        weight, values = self.weights(xy, visible), output.float()
        counts = (weight > 0)[..., None]
        sides = self._sides(values)
        label = torch.where(counts, xy.float() / sides, values[..., :2].detach())
        place = F.smooth_l1_loss(values[..., :2], label, reduction="none").mean(dim=-1)
        logits = self._maps(values)
        heat = self._heat(self.grid.to_cells(label * sides)).clamp(0, torch.sigmoid(torch.tensor(MOST_LOGIT)).item())
        map_error = (logits.sigmoid() - heat).square().mean(dim=(-2, -1))
        seen = F.binary_cross_entropy_with_logits(values[..., 3], (visible == 2).float(), reduction="none")
        return ohkm_mean(place + self.heat_weight * map_error + self.visibility_weight * seen, weight, self.ohkm)

    def decode(self, output: Float[Tensor, "b k n"]) -> Points:
        """The moved coordinates; the score is the visibility times the probability that there is a person.

        Where the numbers are not finite it is the middle of the view with score 0.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_vectors(self, output)
        values = output.detach().float()
        finite = values[..., :NUMBERS].isfinite().all(dim=-1)
        share = torch.where(finite[..., None], values[..., :2], 0.5)
        heat = values[..., NUMBERS:].reshape(*values.shape[:2], *self.cells)
        moved = torch.where(finite[..., None], refined(share, heat, kernel=self.kernel), share)
        score = (values[..., 3].sigmoid() * values[..., 5]).nan_to_num(0) * finite
        return Points(moved * self._sides(values), score)

    def unflip(self, output: Float[Tensor, "b k n"], flip: Int64[Tensor, " k"]) -> Float[Tensor, "b k n"]:
        """X becomes the view's width - 1 - x, heatmaps are mirrored; left and right keypoints swapped."""
        back = output[:, flip]
        heat = self._maps(back).flip(-1).flatten(2)
        return torch.cat((1 - 1 / self.size[1] - back[..., :1], back[..., 1:NUMBERS], heat), dim=-1)

    def picture(self, output: Float[Tensor, "b k n"]) -> Float[Tensor, "b k h w"]:
        """The heatmaps."""
        return self._maps(output.detach().float()).sigmoid().nan_to_num(0)

    def _maps(self, output: Float[Tensor, "b k n"]) -> Float[Tensor, "b k h w"]:
        """The heatmaps' logits."""
        return output[..., NUMBERS:].reshape(*output.shape[:2], *self.cells).contiguous()

    def _sides(self, like: Tensor) -> Float[Tensor, " 2"]:
        """Width and height of the view."""
        return torch.tensor((self.size[1], self.size[0]), dtype=torch.float32, device=like.device)

    def _heat(self, at: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k h w"]:
        """A Gaussian around each position (cells)."""
        sides = ((at[..., 1], self.cells[0]), (at[..., 0], self.cells[1]))
        column, row = (gaussian(cell_indices(along, length) - along[..., None], self.sigma) for along, length in sides)
        return column[..., None] * row[..., None, :]
