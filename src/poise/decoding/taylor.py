"""Subpixel refinement by a Taylor expansion: one Newton step in the logarithm of a blurred heatmap.

DARK (arXiv 1910.06278, section 3.1) and UDP (arXiv 1911.07524) differ in the blur, in how they keep the height of the maximum,
in their finite differences and at the border.
"""

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from poise.decoding.blur import Border, blur_taps, blurred_at, blurred_extremes
from poise.machine import is_traced

DARK_LOG_MIN = 1e-10
"""Lower bound of values before the logarithm, as in DARK's release."""

UDP_LOG_MIN, UDP_LOG_MAX = 0.001, 50.0
"""Bounds that UDP's release clips blurred maps to before the logarithm."""

UDP_BLUR = 7
"""Side of the blur of UDP's release, cells."""

MMPOSE_UDP_BLUR = 11
"""Side of the blur of MMPose's UDP, cells."""

HF_UDP_SIGMA = 0.8
"""Deviation of the blur of transformers' ViTPose, cells, whatever its kernel."""

UDP_MIXED_DERIVATIVE = ((0.5, -0.5, 0), (-0.5, 1, -0.5), (0, -0.5, 0.5))
"""Finite differences of UDP's release for the mixed derivative, along one diagonal."""


def dark_taylor_step(
    maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], score: Float[Tensor, " n"], *, kernel: int
) -> Float[Tensor, "n 2"]:
    """DARK's step (x, y), cells, from the highest cell of each map; 0 for cells less than two from the border.

    The step does not change when a map is scaled, so only the surroundings of each highest cell are blurred. Where they are not
    positive, the release's lower bound before the logarithm matters, and with it the scale.

    Args:
        maps: Heatmaps.
        cells: The highest cell (x, y) of each map.
        score: The value of that cell.
        kernel: Side of the blur, cells, with zeros around the map.
    """
    height, width = maps.shape[-2:]
    inside = ((cells > 1) & (cells < cells.new_tensor((width - 2, height - 2)))).all(dim=-1)
    near = _blurred_5x5(maps, cells, kernel)
    low = (near <= DARK_LOG_MIN).any(dim=1) & inside
    if is_traced():
        near = torch.where(low[:, None], near * dark_blur_gain(maps, score, kernel=kernel)[:, None], near)
    elif low.any():
        near[low] *= dark_blur_gain(maps[low], score[low], kernel=kernel)[:, None]
    return torch.where(inside[:, None], newton_step_5x5(near.clamp(min=DARK_LOG_MIN).log()), 0)


def dark_blur_gain(maps: Float[Tensor, "n h w"], score: Float[Tensor, " n"], *, kernel: int) -> Float[Tensor, " n"]:
    """The factor by which DARK rescales each blurred map to keep its maximum.

    Args:
        maps: Heatmaps.
        score: Highest value of each map.
        kernel: Side of the blur, cells.
    """
    return score / blurred_extremes(maps, kernel, "zeros")[1]


def _blurred_5x5(maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], kernel: int) -> Float[Tensor, "n 25"]:
    """Blurred values of the 5x5 cells around `cells`, in row-major order."""
    height, width = maps.shape[-2:]
    reach = kernel // 2 + 2
    x, y = (c[:, None] + torch.arange(-reach, reach + 1, device=maps.device) for c in cells.unbind(-1))
    rows, columns = y.clamp(0, height - 1) * width, x.clamp(0, width - 1)
    index = rows[:, :, None] + columns[:, None, :]
    patch = maps.flatten(1).gather(1, index.flatten(1)).view(index.shape)
    patch *= ((y >= 0) & (y < height))[:, :, None].float()
    patch *= ((x >= 0) & (x < width))[:, None, :].float()
    taps = torch.tensor(blur_taps(kernel), dtype=torch.float64, device=maps.device)
    band = torch.stack([F.pad(taps, (i, 4 - i)) for i in range(5)], dim=1)
    # In float64, so that reduced-precision matrix products (TF32) do not apply.
    return patch.flatten(1).double() @ torch.kron(band, band)


def newton_step_5x5(log: Float[Tensor, "n 25"]) -> Float[Tensor, "n 2"]:
    """The Newton step (x, y), cells, by central differences over 5x5 cells: - inverse Hessian times gradient; 0 if singular."""
    step, determinant = _newton(log.double(), side=5)
    return torch.where(determinant != 0, step / determinant, 0)


def _newton(
    log: Float64[Tensor, "n i"], *, side: int, ground: float = 0.0
) -> tuple[Float64[Tensor, "n 2"], Float64[Tensor, "n 1"]]:
    """The adjugate Hessian times the gradient, and the determinant of the Hessian."""
    dx, dy, dxx, dyy, dxy = (log @ _derivative_weights(side, log.device)).unbind(-1)
    dxx, dyy = dxx + ground, dyy + ground
    return torch.stack((dxy * dy - dyy * dx, dxy * dx - dxx * dy), dim=-1), (dxx * dyy - dxy * dxy)[:, None]


@cache
def _derivative_weights(side: int, device: torch.device) -> Float64[Tensor, "i 5"]:
    """Finite differences of dx, dy, dxx, dyy and dxy as one matrix over 5x5 (DARK) or 3x3 (UDP) cells."""
    first = np.array((0, -0.5, 0, 0.5, 0) if side == 5 else (-0.5, 0, 0.5))
    second = np.array((0.25, 0, -0.5, 0, 0.25) if side == 5 else (1, -2, 1))
    mixed = np.outer(first, first) if side == 5 else np.array(UDP_MIXED_DERIVATIVE)
    at = np.eye(side)[side // 2]
    rows = np.outer(at, first), np.outer(first, at), np.outer(at, second), np.outer(second, at), mixed
    with torch.inference_mode(False):  # cached, and used outside of inference mode too
        return torch.from_numpy(np.stack(rows, axis=-1).reshape(side * side, 5)).double().to(device)


def udp_taylor_step(
    maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], score: Float[Tensor, " n"]
) -> Float[Tensor, "n 2"]:
    """UDP's step (x, y), cells, from the highest cell of each map, at the border too.

    Args:
        maps: Heatmaps.
        cells: The highest cell (x, y) of each map.
        score: The value of that cell.
    """
    near, low, high = _blurred_3x3(maps, cells, UDP_BLUR, "mirror")
    return newton_step_3x3(rescaled(near, low, high, score).clamp(UDP_LOG_MIN, UDP_LOG_MAX).log())


def mmpose_udp_taylor_step(
    maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], score: Float[Tensor, " n"], *, kernel: int = MMPOSE_UDP_BLUR
) -> Float[Tensor, "n 2"]:
    """UDP's step (x, y), cells, as MMPose takes it: a wider blur, with zeros around the map, that keeps the highest value only.

    Args:
        maps: Heatmaps.
        cells: The highest cell (x, y) of each map.
        score: The highest value of each map.
        kernel: Side of the blur, cells.
    """
    near, _, high = _blurred_3x3(maps, cells, kernel, "zeros")
    near = near * (score / high)[:, None]
    return newton_step_3x3(near.clamp(UDP_LOG_MIN, UDP_LOG_MAX).log())


def hf_udp_taylor_step(
    maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], *, kernel: int = MMPOSE_UDP_BLUR
) -> Float[Tensor, "n 2"]:
    """UDP's step (x, y), cells, as transformers' ViTPose takes it: a narrow blur of one width, after which nothing is rescaled.

    Args:
        maps: Heatmaps.
        cells: The highest cell (x, y) of each map.
        kernel: Cells after which the blur, of deviation 0.8, ends; its side.
    """
    reach = (kernel - 1) // 2
    taps = torch.arange(-reach, reach + 1, dtype=torch.float64, device=maps.device)
    weights = taps.square().div(-2 * HF_UDP_SIGMA**2).exp()
    weights = weights / weights.sum()
    columns, rows = (
        _mirrored((c[:, None] + torch.arange(-1, 2, device=c.device)).clamp(0, n - 1)[..., None] + taps.long(), n)
        for c, n in zip(cells.unbind(-1), (maps.shape[2], maps.shape[1]), strict=True)
    )
    index = rows[:, :, :, None, None] * maps.shape[2] + columns[:, None, None]
    values = maps.flatten(1).gather(1, index.flatten(1)).view(index.shape).double()
    near = torch.einsum("nyaxb,a,b->nyx", values, weights, weights).flatten(1)
    return newton_step_3x3(near.clamp(UDP_LOG_MIN, UDP_LOG_MAX).log())


def _mirrored(index: Int64[Tensor, "n i t"], length: int) -> Int64[Tensor, "n i t"]:
    """Indices beyond the border of a row mirrored back into it; the outermost cell is repeated."""
    round_trip = index % (2 * length)
    return torch.minimum(round_trip, 2 * length - 1 - round_trip)


def _blurred_3x3(
    maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], kernel: int, border: Border
) -> tuple[Float[Tensor, "n 9"], Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Blurred values of the 3x3 cells around `cells`, and the lowest and highest value of each blurred map.

    The outermost cells of the map are repeated.
    """
    height, width = maps.shape[-2:]
    x, y = (c[:, None] + torch.arange(-1, 2, device=maps.device) for c in cells.unbind(-1))
    index = (y.clamp(0, height - 1)[:, :, None] * width + x.clamp(0, width - 1)[:, None, :]).flatten(1)
    return blurred_at(maps, index, kernel, border)


def rescaled(
    values: Float[Tensor, "n i"], low: Float[Tensor, " n"], high: Float[Tensor, " n"], score: Float[Tensor, " n"]
) -> Float[Tensor, "n i"]:
    """Values mapped linearly from the range `low` to `high` onto 0 to `score`."""
    return (values - low[:, None]) / (high - low)[:, None] * score[:, None]


def newton_step_3x3(log: Float[Tensor, "n 9"]) -> Float[Tensor, "n 2"]:
    """The Newton step (x, y), cells, from 3x3 cells; the mixed derivative is taken along one diagonal, as in UDP's release."""
    # The release adds float32's epsilon so that no Hessian is singular.
    step, determinant = _newton(log.double(), side=3, ground=torch.finfo(torch.float32).eps)
    return step / determinant
