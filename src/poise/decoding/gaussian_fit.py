"""Subpixel refinement by a least-squares Gaussian fit around the highest cell, and by the centre of mass there."""

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from poise.machine import is_traced

MIN_SHARE = 1e-8
"""Lower bound of cells, as a share of the highest, before the logarithm is taken."""


def fit_gaussian(maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], *, reach: int) -> Float[Tensor, "n 2"]:
    """Centre (x, y), cells, of the isotropic Gaussian fitted around each cell; the cell itself if the fit fails.

    The fit fails if its variance is not positive or its centre lies outside the window.

    Args:
        maps: Heatmaps.
        cells: The highest cell (x, y) of each map.
        reach: The window is 2 `reach` + 1 cells wide.
    """
    middle, variance = fit_gaussian_and_variance(maps, cells, reach=reach)
    good = (variance > 0) & ((middle - cells).abs() <= reach).all(dim=-1)
    return torch.where(good[:, None], middle, cells.to(middle)).to(maps)


def fit_gaussian_and_variance(
    maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], *, reach: int
) -> tuple[Float[Tensor, "n 2"], Float[Tensor, " n"]]:
    """Centre (x, y) and variance, cells, of the Gaussian exp(-d^2 / 2 variance) fitted around each cell.

    Least squares over cells (u, v) relative to the highest: variance 2 log(value) - 2 u x - 2 v y = -(u^2 + v^2), as
    OffsetGuided's release has it. Exact for a noiseless Gaussian, at the border too.

    Args:
        maps: Heatmaps.
        cells: The highest cell (x, y) of each map.
        reach: The window is 2 `reach` + 1 cells wide.
    """
    values, (u, v), there = gather_windows(maps, cells, reach)
    share = (values.double() / values[:, values.shape[1] // 2, None].double()).clamp(MIN_SHARE, 1)
    rows = torch.stack((-2 * u, -2 * v, torch.zeros_like(u)), dim=-1).double().expand(maps.shape[0], -1, -1).clone()
    rows[..., 2] = 2 * share.log()
    rows *= there[..., None]
    right = -(u * u + v * v).double() * there
    columns = rows.transpose(-1, -2)
    normal, product = columns @ rows, columns @ right[..., None]
    if is_traced():
        found = _solved(normal, product[..., 0])
        return cells + found[:, :2], found[:, 2]
    usable = normal.isfinite().flatten(1).all(dim=1)
    found = torch.linalg.pinv(normal.where(usable[:, None, None], 0), hermitian=True) @ product
    found = found.squeeze(-1).where(usable[:, None], torch.nan)
    return cells + found[:, :2], found[:, 2]


def _solved(matrices: Float64[Tensor, "n 3 3"], right: Float64[Tensor, "n 3"]) -> Float64[Tensor, "n 3"]:
    """The solution of symmetric equations by Cramer's rule, for graphs, which have no `pinv`; NaN where there is none."""
    first, second, third = matrices.unbind(2)
    crosses = [torch.linalg.cross(*pair) for pair in ((second, third), (third, first), (first, second))]
    determinant = (first * crosses[0]).sum(dim=1, keepdim=True)
    found: Tensor = torch.cat([(right * cross).sum(dim=1, keepdim=True) for cross in crosses], dim=1) / determinant
    return found


def fit_gaussian_known_sigma(
    maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], *, reach: int, sigma: float
) -> Float[Tensor, "n 2"]:
    """Centre (x, y), cells, of the Gaussian of a given sigma fitted around each cell; never NaN.

    Least squares over cells (u, v) relative to the highest: 2 u x + 2 v y = u^2 + v^2 + 2 sigma^2 log(value / highest). The
    offset is proportional to `sigma`^2, so for a Gaussian of another width w it is (sigma / w)^2 times too large.

    Args:
        maps: Heatmaps.
        cells: The highest cell (x, y) of each map.
        reach: The window is 2 `reach` + 1 cells wide.
        sigma: Deviation of the Gaussians, cells.
    """
    values, (u, v), there = gather_windows(maps, cells, reach)
    share = (values.double() / values[:, values.shape[1] // 2, None].double()).clamp(MIN_SHARE, 1)
    right = (u * u + v * v + 2 * sigma**2 * share.log()).nan_to_num(0, 0, 0) * there
    rows = torch.stack((2 * u, 2 * v), dim=-1).double() * there[..., None]
    found = torch.linalg.pinv(rows.mT @ rows, hermitian=True) @ (rows.mT @ right[..., None])
    middle: Tensor = cells + found.squeeze(-1)
    return middle.to(maps)


def centre_of_mass(maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], *, reach: int) -> Float[Tensor, "n 2"]:
    """The mean position (x, y), cells, in a window around each cell, weighted by the positive values there.

    Args:
        maps: Heatmaps.
        cells: The highest cell (x, y) of each map.
        reach: The window is 2 `reach` + 1 cells wide.
    """
    values, offsets, there = gather_windows(maps, cells, reach)
    mass = values.clamp(min=0) * there
    return cells + mass @ torch.stack(offsets, dim=-1) / mass.sum(dim=1, keepdim=True)


def gather_windows(
    maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], reach: int
) -> tuple[Float[Tensor, "n i"], tuple[Float[Tensor, " i"], Float[Tensor, " i"]], Float[Tensor, "n i"]]:
    """Values of a square window around each cell, in row-major order; their offsets (x, y) from it; 1 inside the map, else 0.

    Args:
        maps: Heatmaps.
        cells: A cell (x, y) of each map.
        reach: The window is 2 `reach` + 1 cells wide.
    """
    height, width = maps.shape[-2:]
    along = torch.arange(-reach, reach + 1, device=maps.device)
    v, u = (part.flatten() for part in torch.meshgrid(along, along, indexing="ij"))
    x, y = cells[:, :1] + u, cells[:, 1:] + v
    there = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    index = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    return maps.flatten(1).gather(1, index), (u.to(maps), v.to(maps)), there.to(maps)
