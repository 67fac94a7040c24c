"""Losses of vectors and sizes that only some cells are to say (OffsetGuided, arXiv 2107.03098, section 3.3).

What does not count may be anything, NaN too, and sends no gradient back.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Distance = Literal["l1", "instance_l1", "vector_l1", "laplace"]
"""Of each component (`l1`), over the size of the person (`instance_l1`), of the whole vector (`vector_l1`), and with the chance
Laplace gives it, whose spread b is learnt too: log b and the length over b (`laplace`)."""


def offset_errors(
    output: Float[Tensor, "*a 2"],
    target: Float[Tensor, "*a 2"],
    counts: Bool[Tensor, "*a"],
    *,
    distance: Distance,
    size: Float[Tensor, "*a _"] | None = None,
    log_spread: Float[Tensor, "*a"] | None = None,
) -> Float[Tensor, "*a q"]:
    """The error of each vector, or of both its components; 0 where it does not count.

    Args:
        output: Answers.
        target: Labels.
        counts: Which vectors there are.
        distance: How errors are measured.
        size: Of the person each vector belongs to, pixels, or of each component; for "instance_l1".
        log_spread: Logarithm of Laplace's b; for "laplace".
    """
    if distance == "instance_l1" and size is not None:
        size = size.masked_fill(~counts[..., None], 1.0)
        output, target = output / size, target / size
    error = _where(counts[..., None], output - target)
    if distance in ("l1", "instance_l1"):
        return error.abs()
    length: Tensor = torch.linalg.vector_norm(error, dim=-1, keepdim=True)
    if distance == "vector_l1" or log_spread is None:
        return length
    spread = _where(counts, log_spread)[..., None]
    costs: Tensor = spread + length * torch.exp(-spread)
    return costs


def scale_errors(output: Float[Tensor, "*a"], target: Float[Tensor, "*a"], counts: Bool[Tensor, "*a"]) -> Float[Tensor, "*a"]:
    """The error of each size; 0 where it does not count."""
    return _where(counts, output - target).abs()


def mean_above_margin(
    errors: Float[Tensor, "*a"], counts: Bool[Tensor, "*#a"], *, margin: float = 1e-5, root: bool = False
) -> Float[Tensor, ""]:
    """The sum over one more than their number, of errors that count and are not below a margin.

    Args:
        errors: Each element's.
        counts: Which elements there are.
        margin: Errors below are dropped; of Laplace's errors also those below 0, unless this is -inf.
        root: Sums the square roots of errors in their place.

    >>> mean_above(torch.tensor([4.0, 9.0, 16.0, 0.0]), torch.tensor([True, True, False, True]), root=True)
    tensor(1.6667)
    """
    kept = counts & (errors >= margin)
    values = errors.where(kept, 1.0).sqrt() if root else errors
    return values.where(kept, 0.0).sum() / (1 + kept.sum())


def _where(counts: Tensor, values: Tensor) -> Tensor:
    return values.where(counts, 0.0)
