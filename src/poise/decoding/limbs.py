"""Limb scoring: each peak's guiding offset leads to a point, and the nearest peak of the limb's other keypoint is its end."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.decoding.grouping_config import GroupingConfig
from poise.decoding.peaks import UPSAMPLING_MODES, UpsamplingMode, find_peaks, gather_at_pixels, sample_bilinear, upsampled
from poise.decoding.scene_maps import SceneMaps

OUT_OF_REACH = 100_000
"""Pixels by which peaks below the threshold are moved away, so that no limb ends there."""

MIN_LIMB_LENGTH = 0.5
"""Lower bound of a limb's length, pixels."""

DEFAULT_SCALE = 4.0
"""Scale of keypoints for codecs without a scale map, pixels."""


@dataclass(frozen=True, eq=False)
class LimbCandidates:
    """One limb candidate from each peak of each limb type's start keypoint.

    Attributes:
        start: x, y, score and scale of the start peak.
        end: x, y, score and scale of the peak of the end keypoint nearest to the guide.
        peak_index: `Peaks.index` of start and end.
        distance: Distance of the guide from the end peak, pixels.
        length: Distance from start to end, pixels.
        score: Score of the limb.
    """

    start: Float[Tensor, "b l n 4"]
    end: Float[Tensor, "b l n 4"]
    peak_index: Int64[Tensor, "b l n 2"]
    distance: Float[Tensor, "b l n"]
    length: Float[Tensor, "b l n"]
    score: Float[Tensor, "b l n"]

    def valid(self, config: GroupingConfig) -> Bool[Tensor, "b l n"]:
        """Limbs whose guide is within `dist_max` (or the end's scale) of the end, and whose ends are above the threshold.

        The release, which upsamples whole maps, has no ends at pixel 0 either: it recognises low peaks by their position.
        """
        near = self.distance < self.end[..., 3].clamp(min=config.dist_max)
        min_coordinate = 0 if config.peaks in UPSAMPLING_MODES else -OUT_OF_REACH / 2
        return near & (self.start[..., :2] > min_coordinate).all(dim=-1) & (self.end[..., :2] > min_coordinate).all(dim=-1)


class MapSampler:
    """Samples maps at peaks: from upsampled whole maps, as the release does, or by bilinear interpolation at the peaks alone.

    Args:
        whole: Whether whole maps are upsampled.
        stride: Pixels per cell.
    """

    def __init__(self, *, whole: bool, stride: int) -> None:
        self._whole, self._stride = whole, stride

    def prepare(self, maps: Float[Tensor, "b c h w"], mode: UpsamplingMode) -> Float[Tensor, "b c hh ww"]:
        """Maps in the form that `sample` takes."""
        return upsampled(maps, mode, stride=self._stride) if self._whole else maps

    def size(self, prepared: Float[Tensor, "b c hh ww"]) -> tuple[int, int]:
        """Width and height of the view, pixels."""
        factor = 1 if self._whole else self._stride
        return prepared.shape[-1] * factor, prepared.shape[-2] * factor

    def sample(self, prepared: Float[Tensor, "b c hh ww"], xy: Float[Tensor, "b c n 2"]) -> Float[Tensor, "b c n"]:
        """Values of prepared maps at points (x, y), pixels of the view."""
        return gather_at_pixels(prepared, xy) if self._whole else sample_bilinear(prepared, xy, stride=self._stride)


def find_limbs(maps: SceneMaps, limbs: tuple[tuple[int, int], ...], config: GroupingConfig, *, stride: int) -> LimbCandidates:
    """The limb candidates of each view of a batch, as OffsetGuided finds them (arXiv 2107.03098, section 3.3).

    A limb's score is the product of its peaks' scores and of exp(-distance / length).

    Args:
        maps: Maps of a batch.
        limbs: Start and end keypoint of each limb type.
        config: Peak finding and thresholds.
        stride: Pixels per cell.
    """
    peaks = find_peaks(maps.heat, config, stride=stride)
    sampler = MapSampler(whole=config.peaks in UPSAMPLING_MODES, stride=stride)
    first, second = torch.tensor(limbs, dtype=torch.int64, device=maps.heat.device).view(-1, 2).unbind(1)
    above = peaks.xy - OUT_OF_REACH * (peaks.score < config.threshold)[..., None]
    origin, start, end = peaks.xy[:, first], above[:, first], above[:, second]
    offsets = sampler.prepare(maps.offsets, "bilinear")
    vector = sampler.sample(offsets, origin.repeat_interleave(2, dim=1))
    guide = start + vector.view(len(origin), len(limbs), 2, origin.shape[2]).transpose(2, 3)
    if maps.jitter is not None:
        jitter = sampler.prepare(maps.jitter, "bilinear")
        guide = guide + _jitter_at_guides(jitter, guide, sampler, transposed=config.transposed)
    distance, nearest = (guide[:, :, :, None] - end[:, :, None]).norm(dim=-1).min(dim=-1)
    pair = nearest[..., None].expand(-1, -1, -1, 2)
    end = end.gather(2, pair)
    length = (start - end).norm(dim=-1).clamp(min=MIN_LIMB_LENGTH)
    start_score, end_score = peaks.score[:, first], peaks.score[:, second].gather(2, nearest)
    if maps.jitter is not None:
        start = start + _jitter_at(jitter, origin, sampler)
        end = end + _jitter_at(jitter, peaks.xy[:, second].gather(2, pair), sampler)
    scale = torch.full_like(peaks.score, DEFAULT_SCALE)
    if maps.scale is not None:
        scale = sampler.sample(sampler.prepare(maps.scale, UPSAMPLING_MODES.get(config.peaks, "bilinear")), peaks.xy)
    ends = torch.stack((peaks.index[:, first], peaks.index[:, second].gather(2, nearest)), dim=-1)
    return LimbCandidates(
        start=torch.cat((start, start_score[..., None], scale[:, first, :, None]), dim=-1),
        end=torch.cat((end, end_score[..., None], scale[:, second].gather(2, nearest)[..., None]), dim=-1),
        peak_index=ends,
        distance=distance,
        length=length,
        score=start_score * end_score * torch.exp(-distance / length),
    )


def _jitter_at(
    jitter: Float[Tensor, "b 2 hh ww"], xy: Float[Tensor, "b l n 2"], sampler: MapSampler
) -> Float[Tensor, "b l n 2"]:
    where = xy.flatten(1, 2)[:, None].expand(-1, 2, -1, -1)
    return sampler.sample(jitter, where).transpose(1, 2).reshape(xy.shape)


def _jitter_at_guides(
    jitter: Float[Tensor, "b 2 hh ww"], guide: Float[Tensor, "b l n 2"], sampler: MapSampler, *, transposed: bool
) -> Float[Tensor, "b l n 2"]:
    """The jitter to add to guides, 0 outside the view. The release looks it up at whole pixels, with x and y exchanged."""
    pixel = guide.nan_to_num(-OUT_OF_REACH, -OUT_OF_REACH, -OUT_OF_REACH).clamp(-OUT_OF_REACH, OUT_OF_REACH).trunc()
    size = guide.new_tensor(sampler.size(jitter))
    inside = ((pixel >= 0) & (pixel < size)).all(dim=-1)
    if transposed:
        pixel = pixel.flip(-1)
        inside &= (pixel < size).all(dim=-1)
    found = _jitter_at(jitter, torch.where(inside[..., None], pixel, 0), sampler)
    return torch.where(inside[..., None], found, 0)
