"""Losses of guiding offsets and scales, which are defined in some cells only (OffsetGuided, arXiv 2107.03098, section 3.3).

Values elsewhere may be anything, NaN too, and get no gradient.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Distance = Literal["l1", "instance_l1", "vector_l1", "laplace"]
"""`l1`: of each component. `instance_l1`: of each component, divided by the size of the person. `vector_l1`: length of the
error vector. `laplace`: negative log-likelihood of a Laplace distribution whose spread b is predicted too: log b + length /
b.
"""


def offset_errors(
    output: Float[Tensor, "*a 2"],
    target: Float[Tensor, "*a 2"],
    counts: Bool[Tensor, "*a"],
    *,
    distance: Distance,
    size: Float[Tensor, "*a _"] | None = None,
    log_spread: Float[Tensor, "*a"] | None = None,
) -> Float[Tensor, "*a q"]:
    """The error of each vector, or of its two components; 0 where it does not count.

    Args:
        output: Predicted vectors.
        target: True vectors.
        counts: Whether a vector counts.
        distance: Distance function of the errors.
        size: Size of the vector's person, pixels, or one for each component; for "instance_l1".
        log_spread: Predicted logarithm of Laplace's b; for "laplace".
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
    """The absolute error of each scale; 0 where it does not count.

    Args:
        output: Predicted scales.
        target: True scales.
        counts: Whether a scale counts.
    """
    return _where(counts, output - target).abs()


def mean_above_margin(
    errors: Float[Tensor, "*a"], counts: Bool[Tensor, "*#a"], *, margin: float = 1e-5, root: bool = False
) -> Float[Tensor, ""]:
    """The sum of errors that count and are not below the margin, divided by one more than their number.

    Args:
        errors: Error of each element.
        counts: Whether an element counts.
        margin: Smaller errors are dropped; of Laplace's errors also negative ones, unless this is -inf.
        root: Whether the square roots of errors are summed.

    >>> mean_above_margin(torch.tensor([4.0, 9.0, 16.0, 0.0]), torch.tensor([True, True, False, True]), root=True)
    tensor(1.6667)
    """
    kept = counts & (errors >= margin)
    values = errors.where(kept, 1.0).sqrt() if root else errors
    return values.where(kept, 0.0).sum() / (1 + kept.sum())


def _where(counts: Tensor, values: Tensor) -> Tensor:
    return values.where(counts, 0.0)
