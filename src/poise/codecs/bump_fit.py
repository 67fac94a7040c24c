"""The middle of a round bump whose width is known, by least squares in the logarithm."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.readings import LEAST, window


def fitted_bump(maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], *, reach: int, sigma: float) -> Float[Tensor, "n 2"]:
    """The middle of the bump of width `sigma` that fits best to what is within `reach` of each cell; NaN-free.

    By least squares over cells u, v from the highest: 2 u x + 2 v y = u^2 + v^2 + 2 sigma^2 log(value / highest). The answer is
    `sigma`^2 times one that knows no width, so a bump of another width w is moved (sigma / w)^2 times as far as it should be.
    """
    values, (u, v), there = window(maps, cells, reach)
    share = (values.double() / values[:, values.shape[1] // 2, None].double()).clamp(LEAST, 1)
    right = (u * u + v * v + 2 * sigma**2 * share.log()).nan_to_num(0, 0, 0) * there
    rows = torch.stack((2 * u, 2 * v), dim=-1).double() * there[..., None]
    found = torch.linalg.pinv(rows.mT @ rows, hermitian=True) @ (rows.mT @ right[..., None])
    middle: Tensor = cells + found.squeeze(-1)
    return middle.to(maps)
