"""Losses between heatmaps: mean squared error, online hard keypoint mining (OHKM), focal squared error.

MSE and OHKM are means over every map of a batch, maps of weight 0 included, as in the releases of Simple Baselines (arXiv
1804.06208) and HRNet (arXiv 1902.09212). A weight multiplies the difference inside the square. Where the target is the outer
product of a column and a row, as a Gaussian is, `outer_squares` computes the distance without making the target. The focal
squared error is OffsetGuided's (arXiv 2107.03098, section 3.3; after arXiv 1708.02002).
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from poise.errors import InputError


def mse(
    output: Float[Tensor, "b k h w"], target: Float[Tensor, "b k h w"], weight: Float[Tensor, "b k"] | None = None
) -> Float[Tensor, ""]:
    """Half the mean squared error of maps, each difference times the weight of its keypoint.

    Args:
        output: Predicted maps.
        target: True maps.
        weight: Weight of each keypoint.

    >>> mse(torch.ones(1, 2, 4, 3), torch.zeros(1, 2, 4, 3), torch.tensor([[1.0, 0.0]]))
    tensor(0.2500)
    """
    return mean_squares(squares(output, target), weight, cells=output.shape[-2] * output.shape[-1])


def ohkm(
    output: Float[Tensor, "b k h w"],
    target: Float[Tensor, "b k h w"],
    weight: Float[Tensor, "b k"] | None = None,
    *,
    top: int = 8,
) -> Float[Tensor, ""]:
    """Half the mean squared error over the `top` hardest keypoints of each view (CPN, arXiv 1711.07319, section 3.2).

    Args:
        output: Predicted maps.
        target: True maps.
        weight: Weight of each keypoint.
        top: Number of keypoints.
    """
    return ohkm_squares(squares(output, target), weight, cells=output.shape[-2] * output.shape[-1], top=top)


def squares(output: Float[Tensor, "b k h w"], target: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k"]:
    """Sum of squared errors of each map."""
    return (output - target).square().sum(dim=(-2, -1))


def outer_squares(
    output: Float[Tensor, "b k h w"], column: Float[Tensor, "b k h"], row: Float[Tensor, "b k w"]
) -> Float[Tensor, "b k"]:
    """Sum of squared errors of each map from the outer product of a column and a row."""
    distance: Tensor = _OuterSquares.apply(output, column, row)
    return distance


def mean_squares(distance: Float[Tensor, "b k"], weight: Float[Tensor, "b k"] | None, *, cells: int) -> Float[Tensor, ""]:
    """Half the mean over views, keypoints and cells of sums of squared errors.

    Args:
        distance: Sum of squared errors of each map (`squares`, `outer_squares`).
        weight: Weight of each keypoint; it enters squared.
        cells: Cells of a map.
    """
    return _weighted(distance, weight).mean() / (2 * cells)


def ohkm_squares(
    distance: Float[Tensor, "b k"], weight: Float[Tensor, "b k"] | None, *, cells: int, top: int
) -> Float[Tensor, ""]:
    """Half the mean of sums of squared errors over the `top` hardest keypoints of each view.

    Args:
        distance: Sum of squared errors of each map (`squares`, `outer_squares`).
        weight: Weight of each keypoint; it enters squared.
        cells: Cells of a map.
        top: Number of keypoints.

    Raises:
        InputError: `top` is not between 1 and the number of keypoints.
    """
    if not 1 <= top <= distance.shape[1]:
        raise InputError(f"the {top} hardest of {distance.shape[1]} keypoints were asked for; choose between 1 and all of them")
    return _weighted(distance, weight).topk(top, dim=1).values.mean() / (2 * cells)


def _weighted(distance: Tensor, weight: Tensor | None) -> Tensor:
    return distance if weight is None else distance * weight.to(distance).square()


class _OuterSquares(torch.autograd.Function):
    """The difference is computed once, in one pass, and becomes the gradient in another."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, column: Tensor, row: Tensor) -> Tensor:
        ctx.save_for_backward(output, column, row)
        ctx.difference = _difference(output, column, row)
        length: Tensor = torch.linalg.vector_norm(ctx.difference, dim=(-2, -1))
        return length.square()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        difference = _difference(*ctx.saved_tensors) if ctx.difference is None else ctx.difference
        ctx.difference = None  # overwritten below: a second backward pass through a retained graph computes it again
        return difference.mul_((2 * gradient)[..., None, None]), None, None


def _difference(output: Tensor, column: Tensor, row: Tensor) -> Tensor:
    return torch.addcmul(output, column[..., None], row[..., None, :], value=-1)


def squared_error(output: Float[Tensor, "*a"], target: Float[Tensor, "*a"]) -> Float[Tensor, "*a"]:
    """Half the squared error of each element.

    >>> squared_error(torch.tensor([2.0]), torch.tensor([0.0]))
    tensor([2.])
    """
    return 0.5 * (output - target).square()


def focal_squared_error(
    output: Float[Tensor, "*a"], target: Float[Tensor, "*a"], *, gamma: float = 1.0, tau: float = 0.01
) -> Float[Tensor, "*a"]:
    """Half the squared error of each element, times |1 - s| ^ gamma; s is the output on a Gaussian, 1 - output beside it.

    Args:
        output: Predicted values.
        target: True values.
        gamma: How strongly nearly right values are down-weighted; 0 for not at all.
        tau: Targets of at least this value lie on a Gaussian.

    >>> focal_squared_error(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0]), gamma=2.0)
    tensor([0.0312, 0.0312])
    """
    wrong = torch.where(target >= tau, 1 - output, output)
    return squared_error(output, target) * wrong.abs().pow(gamma)
