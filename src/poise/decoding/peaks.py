"""Peak finding in heatmaps with any number of Gaussians, and sampling of other maps at the peaks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from poise.decoding.gaussian_fit import fit_gaussian, fit_gaussian_known_sigma
from poise.decoding.grouping_config import GroupingConfig
from poise.decoding.peak_kernels import sparse_upsampled_peaks
from poise.decoding.subpixel import SubpixelMethod, dark_blur_kernel, refine
from poise.machine import compiles

UpsamplingMode = Literal["bicubic", "bilinear"]

UPSAMPLING_MODES: Mapping[str, UpsamplingMode] = {"upsampled": "bicubic", "bilinear": "bilinear"}
"""Interpolation of the peak methods that upsample whole maps."""


@dataclass(frozen=True, eq=False)
class Peaks:
    """The highest peaks of each map, highest first; missing ones have score 0.

    Attributes:
        xy: Positions (x, y), pixels of the view.
        score: Values of the map.
        index: A number that identifies the peak within its map.
    """

    xy: Float[Tensor, "b k n 2"]
    score: Float[Tensor, "b k n"]
    index: Int64[Tensor, "b k n"]


def find_peaks(maps: Float[Tensor, "b k h w"], config: GroupingConfig, *, stride: int) -> Peaks:
    """The peaks of finite heatmaps, refined as `reading.peaks` says.

    Args:
        maps: Heatmaps.
        config: Method, threshold and number of peaks.
        stride: Pixels per cell.
    """
    if config.peaks in UPSAMPLING_MODES:
        return upsampled_peaks(maps, UPSAMPLING_MODES[config.peaks], top=config.top_k, stride=stride)
    if config.peaks == "fast":
        return fast_peaks(maps, top=config.top_k, stride=stride, threshold=config.threshold)
    score, index = top_local_maxima(maps, top=config.top_k)
    cells = torch.stack((index % maps.shape[-1], index.div(maps.shape[-1], rounding_mode="floor")), dim=-1)
    at = refine_peaks(maps, cells, score, config)
    centre = (stride - 1) / 2 if config.cell_offset is None else config.cell_offset
    return Peaks(at * stride + centre, score, index)


def upsampled_peaks(maps: Float[Tensor, "b k h w"], mode: UpsamplingMode, *, top: int, stride: int) -> Peaks:
    """Local maxima (3x3) of upsampled maps (OffsetGuided's release).

    Pixel x of an upsampled map is pixel x of the view, at cell (x - (stride - 1) / 2) / stride.

    Args:
        maps: Heatmaps.
        mode: Interpolation.
        top: Largest number of peaks of a map.
        stride: Pixels per cell.
    """
    large = upsampled(maps, mode, stride=stride)
    score, index = top_local_maxima(large, top=top)
    width = large.shape[-1]
    return Peaks(torch.stack((index % width, index.div(width, rounding_mode="floor")), dim=-1).float(), score, index)


def fast_peaks(maps: Float[Tensor, "b k h w"], *, top: int, stride: int, threshold: float) -> Peaks:
    """The peaks of `upsampled_peaks`, upsampling only around the peaks of the small maps; none below the threshold.

    Args:
        maps: Heatmaps.
        top: Largest number of peaks of a map.
        stride: Pixels per cell.
        threshold: Lowest score of a peak.
    """
    if not compiles():
        return _above(upsampled_peaks(maps, "bicubic", top=top, stride=stride), threshold)
    batch, keypoints = maps.shape[:2]
    array = maps.detach().flatten(0, 1).contiguous().cpu().numpy()
    found = sparse_upsampled_peaks(array, top, stride, threshold)
    return Peaks(*(part.view(batch, keypoints, *part.shape[1:]).to(maps.device) for part in found))


def _above(peaks: Peaks, threshold: float) -> Peaks:
    """Those that reach a threshold; 0 for missing ones, and as many columns as the map with the most has."""
    there = (peaks.score >= threshold) & (peaks.score > 0)
    most = max(int(there.sum(dim=-1).max()), 1) if there.numel() else 1
    there = there[..., :most]
    parts = (part[:, :, :most] for part in (peaks.xy, peaks.score, peaks.index))
    return Peaks(*(part * (there[..., None] if part.ndim > there.ndim else there) for part in parts))


def top_local_maxima(maps: Float[Tensor, "b k h w"], *, top: int) -> tuple[Float[Tensor, "b k n"], Int64[Tensor, "b k n"]]:
    """Values and flat indices of the `top` highest local maxima (3x3) of each map."""
    kept = local_maxima(maps).flatten(2)
    return kept.topk(min(top, kept.shape[2]))


def local_maxima(maps: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k h w"]:
    """Maps with all cells but the local maxima (3x3, 0 beyond the border) set to 0."""
    around = F.max_pool2d(F.pad(maps, (1, 1, 1, 1)), 3, stride=1)
    return maps * (around == maps)


def upsampled(maps: Float[Tensor, "b c h w"], mode: UpsamplingMode, *, stride: int) -> Float[Tensor, "b c H W"]:
    """Maps resized to one cell for each pixel of the view."""
    return F.interpolate(maps, scale_factor=stride, mode=mode)


def refine_peaks(
    maps: Float[Tensor, "b k h w"], cells: Int64[Tensor, "b k n 2"], score: Float[Tensor, "b k n"], config: GroupingConfig
) -> Float[Tensor, "b k n 2"]:
    """Positions (x, y) in cells, refined from the highest cells of small maps.

    Args:
        maps: Heatmaps.
        cells: Cells (x, y) of the peaks of each map.
        score: Values of these cells.
        config: Method, threshold and sigma.
    """
    if config.peaks == "cell":
        return cells.to(maps)
    reach = dark_blur_kernel(config.gaussian_sigma) // 2 + 3
    near, start = gather_patches(maps, cells, reach)
    at, height = cells.flatten(0, 2) - start, score.flatten()
    match config.peaks:
        case "fit1" | "fit2":
            found = fit_gaussian_known_sigma(near, at, reach=int(config.peaks[3]), sigma=config.gaussian_sigma)
        case "fit1-sigma" | "fit2-sigma":
            found = fit_gaussian(near, at, reach=int(config.peaks[3]))
        case _:
            named: SubpixelMethod = "dark" if config.peaks == "dark" else "quarter"
            found = refine(named, near, at, height, sigma=config.gaussian_sigma)
    placed = torch.where((height > config.threshold)[:, None], found + start, cells.flatten(0, 2))
    return placed.to(maps).view(cells.shape)  # DARK's step is computed in more digits


def gather_patches(
    maps: Float[Tensor, "b k h w"], cells: Int64[Tensor, "b k n 2"], reach: int
) -> tuple[Float[Tensor, "p s t"], Int64[Tensor, "p 2"]]:
    """Patches of a map around cells, and the first cell (x, y) of each; a border of the map is a border of the patch.

    Args:
        maps: Heatmaps.
        cells: Cells (x, y).
        reach: Patches are 2 `reach` + 1 cells wide, or as wide as the map if that is less.
    """
    height, width = maps.shape[-2:]
    tall, wide = min(2 * reach + 1, height), min(2 * reach + 1, width)
    most = cells.new_tensor((width - wide, height - tall))
    start = torch.minimum((cells - reach).clamp(min=0), most)
    y = start[..., 1, None] + torch.arange(tall, device=maps.device)
    x = start[..., 0, None] + torch.arange(wide, device=maps.device)
    index = (y[..., :, None] * width + x[..., None, :]).flatten(2)
    return maps.flatten(2).gather(2, index).reshape(-1, tall, wide), start.flatten(0, 2)


def gather_at_pixels(maps: Float[Tensor, "b c H W"], xy: Float[Tensor, "b c n 2"]) -> Float[Tensor, "b c n"]:
    """Values of upsampled maps at whole pixels (x, y)."""
    index = xy[..., 1].long() * maps.shape[-1] + xy[..., 0].long()
    return maps.flatten(2).gather(2, index)


def sample_bilinear(maps: Float[Tensor, "b c h w"], xy: Float[Tensor, "b c n 2"], *, stride: int) -> Float[Tensor, "b c n"]:
    """Values of maps at pixels (x, y) of the view by bilinear interpolation; outermost cells are repeated beyond the border.

    Args:
        maps: Maps at the resolution of cells.
        xy: Points (x, y), pixels of the view.
        stride: Pixels per cell.
    """
    height, width = maps.shape[-2:]
    last = xy.new_tensor((width - 1, height - 1))
    cells = torch.minimum(((xy - (stride - 1) / 2) / stride).clamp(min=0), last)
    low = cells.floor()
    share = cells - low
    x, y = low.long().unbind(-1)
    right, down = (x < width - 1).long(), (y < height - 1).long() * width
    flat, first = maps.flatten(2), y * width + x
    above = torch.lerp(flat.gather(2, first), flat.gather(2, first + right), share[..., 0])
    below = torch.lerp(flat.gather(2, first + down), flat.gather(2, first + down + right), share[..., 0])
    return torch.lerp(above, below, share[..., 1])
