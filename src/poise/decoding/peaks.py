"""Peaks of maps with any number of bumps, and what other maps say at them."""

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

UpsamplingMode = Literal["bicubic", "bilinear"]

UPSAMPLING_MODES: Mapping[str, UpsamplingMode] = {"upsampled": "bicubic", "bilinear": "bilinear"}
"""The readings that enlarge whole maps, and how."""


@dataclass(frozen=True, eq=False)
class Peaks:
    """The highest peaks of each map, the highest first; where a map has fewer, the rest has score 0.

    Attributes:
        xy: Pixels of the view.
        score: Height of the map.
        index: Differs from peak to peak of one map.
    """

    xy: Float[Tensor, "b k n 2"]
    score: Float[Tensor, "b k n"]
    index: Int64[Tensor, "b k n"]


def find_peaks(maps: Float[Tensor, "b k h w"], reading: GroupingConfig, *, stride: int) -> Peaks:
    """The peaks of maps of finite numbers, as `reading.peaks` says."""
    if reading.peaks in UPSAMPLING_MODES:
        return upsampled_peaks(maps, UPSAMPLING_MODES[reading.peaks], top=reading.top_k, stride=stride)
    if reading.peaks == "fast":
        return fast_peaks(maps, top=reading.top_k, stride=stride, threshold=reading.threshold)
    score, index = top_local_maxima(maps, top=reading.top_k)
    cells = torch.stack((index % maps.shape[-1], index.div(maps.shape[-1], rounding_mode="floor")), dim=-1)
    at = refine_peaks(maps, cells, score, reading)
    return Peaks(at * stride + (stride - 1) / 2, score, index)


def upsampled_peaks(maps: Float[Tensor, "b k h w"], mode: UpsamplingMode, *, top: int, stride: int) -> Peaks:
    """The highest of 3x3 pixels of enlarged maps (OffsetGuided's release).

    Pixel x of an enlarged map is pixel x of the view: it stands for cell (x - (stride - 1) / 2) / stride.
    """
    large = upsampled(maps, mode, stride=stride)
    score, index = top_local_maxima(large, top=top)
    width = large.shape[-1]
    return Peaks(torch.stack((index % width, index.div(width, rounding_mode="floor")), dim=-1).float(), score, index)


def fast_peaks(maps: Float[Tensor, "b k h w"], *, top: int, stride: int, threshold: float) -> Peaks:
    """The same, enlarging only what is within a cell of the peaks of the small map; nothing below the threshold is found."""
    batch, keypoints = maps.shape[:2]
    array = maps.detach().flatten(0, 1).contiguous().cpu().numpy()
    found = sparse_upsampled_peaks(array, top, stride, threshold)
    return Peaks(*(part.view(batch, keypoints, *part.shape[1:]).to(maps.device) for part in found))


def top_local_maxima(maps: Float[Tensor, "b k h w"], *, top: int) -> tuple[Float[Tensor, "b k n"], Int64[Tensor, "b k n"]]:
    """The `top` highest of those cells that are the highest of 3x3, and where they are, counted row after row."""
    kept = local_maxima(maps).flatten(2)
    return kept.topk(min(top, kept.shape[2]))


def local_maxima(maps: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k h w"]:
    """The cells that are the highest of 3x3, with 0 around the map; the others 0."""
    around = F.max_pool2d(F.pad(maps, (1, 1, 1, 1)), 3, stride=1)
    return maps * (around == maps)


def upsampled(maps: Float[Tensor, "b c h w"], mode: UpsamplingMode, *, stride: int) -> Float[Tensor, "b c H W"]:
    """Maps with a cell for every pixel."""
    return F.interpolate(maps, scale_factor=stride, mode=mode)


def refine_peaks(
    maps: Float[Tensor, "b k h w"], cells: Int64[Tensor, "b k n 2"], score: Float[Tensor, "b k n"], reading: GroupingConfig
) -> Float[Tensor, "b k n 2"]:
    """Positions in cells, from the highest cells of small maps."""
    if reading.peaks == "cell":
        return cells.to(maps)
    reach = dark_blur_kernel(reading.gaussian_sigma) // 2 + 3
    near, start = gather_patches(maps, cells, reach)
    at, height = cells.flatten(0, 2) - start, score.flatten()
    match reading.peaks:
        case "fit1" | "fit2":
            found = fit_gaussian_known_sigma(near, at, reach=int(reading.peaks[3]), sigma=reading.gaussian_sigma)
        case "fit1-sigma" | "fit2-sigma":
            found = fit_gaussian(near, at, reach=int(reading.peaks[3]))
        case _:
            named: SubpixelMethod = "dark" if reading.peaks == "dark" else "quarter"
            found = refine(named, near, at, height, sigma=reading.gaussian_sigma)
    placed = torch.where((height > reading.threshold)[:, None], found + start, cells.flatten(0, 2))
    return placed.to(maps).view(cells.shape)  # DARK's step is computed in more digits


def gather_patches(
    maps: Float[Tensor, "b k h w"], cells: Int64[Tensor, "b k n 2"], reach: int
) -> tuple[Float[Tensor, "p s t"], Int64[Tensor, "p 2"]]:
    """What is around cells, cut out so that a border of the map is one of the patch; and where each patch starts (x, y)."""
    height, width = maps.shape[-2:]
    tall, wide = min(2 * reach + 1, height), min(2 * reach + 1, width)
    most = cells.new_tensor((width - wide, height - tall))
    start = torch.minimum((cells - reach).clamp(min=0), most)
    y = start[..., 1, None] + torch.arange(tall, device=maps.device)
    x = start[..., 0, None] + torch.arange(wide, device=maps.device)
    index = (y[..., :, None] * width + x[..., None, :]).flatten(2)
    return maps.flatten(2).gather(2, index).reshape(-1, tall, wide), start.flatten(0, 2)


def gather_at_pixels(maps: Float[Tensor, "b c H W"], xy: Float[Tensor, "b c n 2"]) -> Float[Tensor, "b c n"]:
    """What enlarged maps say at whole pixels."""
    index = xy[..., 1].long() * maps.shape[-1] + xy[..., 0].long()
    return maps.flatten(2).gather(2, index)


def sample_bilinear(maps: Float[Tensor, "b c h w"], xy: Float[Tensor, "b c n 2"], *, stride: int) -> Float[Tensor, "b c n"]:
    """What bilinearly enlarged maps would say, from the four cells around; the outermost cells go on beyond the border."""
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
