"""A vector of bins along each axis (SimCC, arXiv 2107.03332; RTMPose, arXiv 2303.07399), once called SimDR."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, final

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.codecs.base import InstanceCodec
from poise.codecs.maps import cell_indices, check_vectors, check_weights, gaussian, keypoint_weights, ohkm_mean
from poise.decoding.blur import blur_taps
from poise.decoding.subpixel import argmax_rows, check_method
from poise.errors import InputError
from poise.geometry import Grid
from poise.losses.bins import bin_divergence
from poise.machine import is_traced
from poise.structures import Points

MIN_VALUE, MAX_VALUE = 0.001, 50.0
"""Blurred vectors are clamped to these values before the logarithm, as in UDP."""


@final
@dataclass(frozen=True)
class SimCC(InstanceCodec):
    """The position along x and that along y, each as one of many bins that are narrower than pixels (SimCC, section 3).

    SimDR is `label="one-hot", smoothing=0.1, beta=None`; the paper's SimCC `sigma=6.0, normalize=True, beta=None`.

    Attributes:
        sigma: Standard deviation of the labels' Gaussians, bins; one for both axes, or one for x and one for y. None is that of
            RTMPose, a quarter of the square root of the number of bins: 4.9 and 5.66 for 256x192.
        ratio: Bins per pixel (SimCC's splitting factor k).
        label: "gaussian" is a Gaussian around the bin, "one-hot" is 1 in the bin and 0 elsewhere.
        smoothing: Share of a one-hot label that is spread over the other bins.
        normalize: Whether the area of a Gaussian is 1 instead of its height.
        beta: The loss is the divergence between output and label after a softmax of `beta` times each (RTMPose). None takes the
            label itself as the distribution, for which a Gaussian must be normalised (SimCC, section 3).
        label_beta: The factor on the label where it is another than `beta`: 10 in RTMW, whose `beta` is 1. None is `beta`.
        per_bin: Whether the divergence of an axis is divided by its number of bins, as in RTMPose's and RTMW's releases. With
            more bins along y than along x it then counts less.
        reading: The highest bin ("cell"), or a DARK step from it.
        probabilities: Whether a softmax comes before the reading, so that the score is a probability from 0 to 1, and every
            keypoint is somewhere. RTMPose's outputs are no probabilities: their scores may be above 1.
        shift_flipped: Whether the vector of a mirrored view is shifted so that its pixels lie on those of the view, which
            leaves the bins of the view's last half pixel in place. The releases only reverse the vector, an error of `1 - 1 /
            ratio` pixels.
        joint_weights: Weight of each keypoint in the loss; None for 1 each.
        ohkm: Number of keypoints of each view that make the loss, those with the largest one (online hard keypoint mining,
            arXiv 1711.07319); None for all.
    """

    sigma: float | tuple[float, float] | None = None
    ratio: float = 2.0
    label: Literal["gaussian", "one-hot"] = "gaussian"
    smoothing: float = 0.0
    normalize: bool = False
    beta: float | None = 10.0
    label_beta: float | None = None
    per_bin: bool = False
    reading: Literal["cell", "dark"] = "cell"
    probabilities: bool = False
    shift_flipped: bool = True
    joint_weights: tuple[float, ...] | None = None
    ohkm: int | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        super().__post_init__()
        if self.ratio <= 0 or min(self.vectors) < 2 or min(self.sigmas) <= 0:
            raise InputError(
                f"SimCC needs sigmas above 0 and two bins an axis, found sigma {self.sigma}, ratio {self.ratio} and views of "
                f"{self.size}"
            )
        if not 0 <= self.smoothing < 1 or self.label not in ("gaussian", "one-hot"):
            raise InputError(
                "SimCC takes labels that are gaussian or one-hot and a smoothing from 0 to below 1, found "
                f"{self.label!r} and {self.smoothing}"
            )
        check_method(self.reading, ("cell", "dark"))
        check_weights(self, self.joint_weights, self.ohkm)
        if any(beta is not None and not beta > 0 for beta in (self.beta, self.label_beta)):
            raise InputError(f"SimCC needs betas above 0, found {self.beta} and {self.label_beta}")
        if self.label_beta is not None and self.beta is None:
            raise InputError("SimCC without a beta takes the label as a distribution: leave label_beta out")
        if self.beta is None and self.label == "gaussian" and not self.normalize:
            raise InputError("SimCC without a beta takes the label as a distribution: set normalize, or give a beta such as 10")

    @cached_property
    def grid(self) -> Grid:
        """Bins as cells: bin 0 on pixel 0, `ratio` bins per pixel."""
        width, height = self.vectors
        return Grid(self.size, (height, width), (1 / self.ratio, 1 / self.ratio), (0.0, 0.0))

    @property
    def channels(self) -> int:
        """One map per keypoint, k, which a readout layer makes the vectors of."""
        return self.keypoints

    @property
    def vectors(self) -> tuple[int, ...]:
        """Number of bins along x and along y."""
        return round(self.size[1] * self.ratio), round(self.size[0] * self.ratio)

    @property
    def sigmas(self) -> tuple[float, float]:
        """Standard deviation of the Gaussians along x and along y, bins."""
        if self.sigma is None:
            width, height = self.vectors
            return math.sqrt(width) / 4, math.sqrt(height) / 4
        return self.sigma if isinstance(self.sigma, tuple) else (self.sigma, self.sigma)

    @property
    def tolerance(self) -> float:
        """Half a bin, in pixels: labels are on whole bins."""
        return 0.5 / self.ratio + 1e-3

    @property
    def exceptions(self) -> Mapping[int, float]:
        """Law 3 if flipped vectors are not shifted; law 4 without a beta, since the softmax of a label is not the label.

        So it is where labels have another factor than outputs.
        """
        off = abs((self.vectors[0] - 1 - self._shift) / self.ratio - (self.size[1] - 1))
        third = {3: self.tolerance + off} if off > 1e-6 else {}
        apart = self.beta is None or self.label_beta not in (None, self.beta)
        return third | ({4: sum(math.log(bins) / (bins if self.per_bin else 1) for bins in self.vectors)} if apart else {})

    @property
    def roi_weight(self) -> float:
        """1; with `per_bin` the mean number of bins, which the loss is then divided by."""
        return sum(self.vectors) / 2 if self.per_bin else 1.0

    def encode(self, xy: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k n"]:
        """The labels, float32, x then y; zeros where the keypoint is out of reach of the bins."""
        bins = self.grid.to_cells(xy).round()
        counts = self._in_reach(bins)
        return torch.cat(self._labels(torch.where(counts[..., None], bins, 0)), dim=-1) * counts[..., None]

    def weights(self, xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Weight of each keypoint in the loss: 0 where it is not labelled or out of reach of the bins."""
        return keypoint_weights(self._in_reach(self.grid.to_cells(xy).round()) & (visible > 0), self.joint_weights)

    def loss(
        self, output: Float[Tensor, "b k n"], xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]
    ) -> Float[Tensor, ""]:
        """Kullback-Leibler divergence from the labels, summed over both axes, as a mean over all keypoints.

        That of unlabelled keypoints is 0. RTMPose's release gives the sum over the views of a batch in place of their mean, a
        factor to which Adam is invariant.

        Raises:
            InputError: The output is not of this codec's size.
        """
        weight = self.weights(xy, visible)
        labels = self._labels(torch.where(weight[..., None] > 0, self.grid.to_cells(xy).round(), 0))
        x, y = (
            bin_divergence(*pair, beta=self.beta, label_beta=self.label_beta, per_bin=self.per_bin)
            for pair in zip(self._split(output.float()), labels, strict=True)
        )
        return ohkm_mean(x + y, weight, self.ohkm) if weight.numel() else output.sum()

    def decode(self, output: Float[Tensor, "b k n"]) -> Points:
        """The highest bin of each vector; the score is the lower of the two heights. Bin -1 where that is not above 0.

        With `probabilities` a softmax comes first.

        Raises:
            InputError: The output is not of this codec's size.
        """
        axes = [axis.detach().float().flatten(0, 1) for axis in self._split(output)]
        axes = [axis.softmax(dim=-1) for axis in axes] if self.probabilities else axes
        (x, x_confidence), (y, y_confidence) = (argmax_rows(axis) for axis in axes)
        score = torch.minimum(x_confidence, y_confidence)
        bins = torch.stack((x, y), dim=-1).masked_fill((score <= 0)[:, None], -1)
        at = bins if self.reading == "cell" else self._refined(axes, bins)
        shape = output.shape[:2]
        return Points(self.grid.to_pixels(at.float()).view(*shape, 2), score.nan_to_num(0, 0, 0).view(shape))

    def visibility(self, output: Float[Tensor, "b k n"]) -> Float[Tensor, "b k"]:
        """The probability that a keypoint is in the view: that of the highest bin, of the axis where it is lower.

        The vectors are multiplied by 150 times their sigma before the softmax, as in MMPose.
        """
        axes = zip(self._split(output), self.sigmas, strict=True)
        x, y = ((axis.float() * (150 * sigma)).softmax(dim=-1).amax(dim=-1) for axis, sigma in axes)
        return torch.minimum(x, y)

    def unflip(self, output: Float[Tensor, "b k n"], flip: Int64[Tensor, " k"]) -> Float[Tensor, "b k n"]:
        """The x vector reversed (and shifted if `shift_flipped`), left and right keypoints swapped."""
        x, y = self._split(output[:, flip])
        return torch.cat((x.flip(-1).roll(-self._shift, dims=-1), y), dim=-1)

    def picture(self, output: Float[Tensor, "b k n"]) -> Float[Tensor, "b k h w"]:
        """The product of both vectors, of each the highest bin in a cell, divided by the height of a label."""
        x, y = (
            F.adaptive_max_pool1d(relative_heights(axis.detach().float().nan_to_num(0), self._height(sigma)), length)
            for axis, sigma, length in zip(self._split(output), self.sigmas, self.cells[::-1], strict=True)
        )
        return y[..., None] * x[..., None, :]

    @property
    def _shift(self) -> int:
        # Pixel w - 1 is `ratio` bins before the end, pixel 0 at the first bin.
        return max(round(self.ratio - 1), 0) if self.shift_flipped else 0

    def _height(self, sigma: float) -> float:
        if self.label == "one-hot":
            return 1 - self.smoothing
        return 1 / (sigma * math.sqrt(2 * math.pi)) if self.normalize else 1.0

    def _split(self, output: Float[Tensor, "b k n"]) -> tuple[Float[Tensor, "b k x"], Float[Tensor, "b k y"]]:
        check_vectors(self, output)
        x, y = torch.split(output, list(self.vectors), dim=-1)
        return x, y

    def _in_reach(self, bins: Float[Tensor, "b k 2"]) -> Bool[Tensor, "b k"]:
        reach = bins.new_tensor(self.sigmas) * 3 if self.label == "gaussian" else bins.new_zeros(2)
        after = bins + reach + (1 if self.label == "gaussian" else 0)
        return ((bins - reach < bins.new_tensor(self.vectors)) & (after >= 0)).all(dim=-1)

    def _labels(self, bins: Float[Tensor, "b k 2"]) -> list[Tensor]:
        axes = zip(bins.unbind(-1), self.vectors, self.sigmas, strict=True)
        return [self._label(at, length, sigma) for at, length, sigma in axes]

    def _label(self, at: Float[Tensor, "b k"], length: int, sigma: float) -> Float[Tensor, "b k n"]:
        # Labels are on whole bins: each is a part of one line, beginning at another bin of it.
        middle = math.ceil(length + 3 * sigma) + 1
        distance = cell_indices(at, 2 * middle + length) - middle
        if self.label == "gaussian":
            line = gaussian(distance, sigma) * self._height(sigma)
        else:
            line = torch.where(distance == 0, 1 - self.smoothing, self.smoothing / (length - 1))
        return line.float().unfold(0, length, 1)[middle - at.long()]

    def _refined(self, axes: list[Tensor], bins: Int64[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
        both = zip(axes, bins.unbind(-1), self.sigmas, strict=True)
        return torch.stack([dark_refine(axis, at, sigma) for axis, at, sigma in both], dim=-1)


def relative_heights(vectors: Float[Tensor, "*b n"], height: float) -> Float[Tensor, "*b n"]:
    """Vectors divided by `height`, clamped to 0 from below, and divided by their maximum where that is above 1."""
    share = (vectors / height).clamp(min=0)
    return share / share.amax(dim=-1, keepdim=True).clamp(min=1)


def dark_refine(vectors: Float[Tensor, "n l"], bins: Int64[Tensor, " n"], sigma: float) -> Float[Tensor, " n"]:
    """Positions in bins, a Newton step from `bins` in the logarithm of the blurred vectors (DARK, arXiv 1910.06278)."""
    size = max(math.floor((20 * sigma - 7) / 3), 1)
    size -= size % 2 == 0
    smooth = _smoothed(vectors, blur_taps(size))
    near = (bins[:, None] + torch.arange(-2, 3, device=bins.device)).clamp(0, vectors.shape[1] - 1)
    values = smooth.gather(1, near) * (vectors.amax(dim=-1) / smooth.amax(dim=-1))[:, None]
    l2, l1, c, r1, r2 = values.clamp(MIN_VALUE, MAX_VALUE).log().unbind(-1)
    shifted = bins - 0.5 * (r1 - l1) / (1e-9 + 0.25 * (r2 - 2 * c + l2))
    return torch.where(shifted.isfinite() & (bins >= 0), shifted, bins).float()


def _smoothed(vectors: Float[Tensor, "n l"], taps: tuple[float, ...]) -> Float[Tensor, "n l"]:
    """Vectors blurred by taps, with zeros around them."""
    if vectors.device.type == "cpu" and not is_traced() and len(vectors):
        image = vectors.contiguous().numpy()
        return torch.from_numpy(
            cv2.sepFilter2D(image, -1, np.array(taps), np.ones(1), borderType=cv2.BORDER_CONSTANT).reshape(image.shape)
        )
    exact = torch.float32 if is_traced() else torch.float64  # runtimes have no convolution in float64
    kernel = torch.tensor(taps, dtype=exact, device=vectors.device)
    return F.conv1d(vectors.to(exact)[:, None], kernel[None, None], padding=len(taps) // 2).squeeze(1)
