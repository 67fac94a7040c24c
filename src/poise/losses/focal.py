"""Squared error of heatmaps, weighed by how wrong they are (OffsetGuided, arXiv 2107.03098, section 3.3; after 1708.02002)."""

import torch
from jaxtyping import Float
from torch import Tensor


def squared_error(output: Float[Tensor, "*a"], target: Float[Tensor, "*a"]) -> Float[Tensor, "*a"]:
    """Half the square of each difference.

    >>> squared_error(torch.tensor([2.0]), torch.tensor([0.0]))
    tensor([2.])
    """
    return 0.5 * (output - target).square()


def focal_squared_error(
    output: Float[Tensor, "*a"], target: Float[Tensor, "*a"], *, gamma: float = 1.0, tau: float = 0.01
) -> Float[Tensor, "*a"]:
    """The same, times |1 - s| ^ gamma: s is the answer on a bump and 1 - the answer beside it, so 1 where it is sure and right.

    Args:
        output: Answers.
        target: Labels.
        gamma: How little counts what is nearly right; 0 counts everything alike.
        tau: Labels from here on are on a bump.

    >>> focal_squared_error(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0]), gamma=2.0)
    tensor([0.0312, 0.0312])
    """
    wrong = torch.where(target >= tau, 1 - output, output)
    return squared_error(output, target) * wrong.abs().pow(gamma)
