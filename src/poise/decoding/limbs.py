"""Which peaks belong together: from each peak a limb leads where its offset says, to the nearest peak there."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.decoding.grouping_config import GroupingConfig
from poise.decoding.peaks import UPSAMPLING_MODES, UpsamplingMode, find_peaks, gather_at_pixels, sample_bilinear, upsampled
from poise.decoding.scene_maps import SceneMaps

OUT_OF_REACH = 100_000
"""So many pixels peaks below the threshold are moved, so that no limb finds them."""

MIN_LIMB_LENGTH = 0.5
"""Limbs count as this long at least, pixels."""

DEFAULT_SCALE = 4.0
"""Size of keypoints for codecs that do not know it, pixels."""


@dataclass(frozen=True, eq=False)
class LimbCandidates:
    """From each peak of each limb's first keypoint the limb that leads from it.

    Attributes:
        start: x, y, score and scale of that peak.
        end: The same of the nearest peak of the second keypoint to where the offset leads.
        ends: `Peaks.index` of both.
        distance: How far that peak is off, pixels.
        length: From peak to peak, pixels.
        score: How sure the limb is.
    """

    start: Float[Tensor, "b l n 4"]
    end: Float[Tensor, "b l n 4"]
    peak_index: Int64[Tensor, "b l n 2"]
    distance: Float[Tensor, "b l n"]
    length: Float[Tensor, "b l n"]
    score: Float[Tensor, "b l n"]

    def valid(self, reading: GroupingConfig) -> Bool[Tensor, "b l n"]:
        """Those that do not miss by more than `dist_max`, or the size of their end, and whose ends are above the threshold.

        The release, which enlarges whole maps, has no ends at pixel 0 either: it knows by their position which were too low.
        """
        near = self.distance < self.end[..., 3].clamp(min=reading.dist_max)
        least = 0 if reading.peaks in UPSAMPLING_MODES else -OUT_OF_REACH / 2
        return near & (self.start[..., :2] > least).all(dim=-1) & (self.end[..., :2] > least).all(dim=-1)


class MapSampler:
    """What maps say at peaks: whole maps enlarged, as the release does it, or only where they are asked."""

    def __init__(self, *, whole: bool, stride: int) -> None:
        self._whole, self._stride = whole, stride

    def prepare(self, maps: Float[Tensor, "b c h w"], mode: UpsamplingMode) -> Float[Tensor, "b c hh ww"]:
        """What `at` is to be asked about."""
        return upsampled(maps, mode, stride=self._stride) if self._whole else maps

    def size(self, prepared: Float[Tensor, "b c hh ww"]) -> tuple[int, int]:
        """Pixels of the view (w, h)."""
        factor = 1 if self._whole else self._stride
        return prepared.shape[-1] * factor, prepared.shape[-2] * factor

    def sample(self, prepared: Float[Tensor, "b c hh ww"], xy: Float[Tensor, "b c n 2"]) -> Float[Tensor, "b c n"]:
        """The values at pixels of the view."""
        return gather_at_pixels(prepared, xy) if self._whole else sample_bilinear(prepared, xy, stride=self._stride)


def find_limbs(maps: SceneMaps, limbs: tuple[tuple[int, int], ...], reading: GroupingConfig, *, stride: int) -> LimbCandidates:
    """The limbs of each view of a batch, in OffsetGuided's way (arXiv 2107.03098, section 3.3).

    A limb's score is the product of its peaks' scores and of exp(-missed / length).
    """
    peaks = find_peaks(maps.heat, reading, stride=stride)
    around = MapSampler(whole=reading.peaks in UPSAMPLING_MODES, stride=stride)
    first, second = torch.tensor(limbs, dtype=torch.int64, device=maps.heat.device).view(-1, 2).unbind(1)
    seen = peaks.xy - OUT_OF_REACH * (peaks.score < reading.threshold)[..., None]
    origin, start, end = peaks.xy[:, first], seen[:, first], seen[:, second]
    offsets = around.prepare(maps.offsets, "bilinear")
    vector = around.sample(offsets, origin.repeat_interleave(2, dim=1))
    guide = start + vector.view(len(origin), len(limbs), 2, origin.shape[2]).transpose(2, 3)
    if maps.jitter is not None:
        jitter = around.prepare(maps.jitter, "bilinear")
        guide = guide + _jitter_at_guides(jitter, guide, around, transposed=reading.transposed)
    missed, which = (guide[:, :, :, None] - end[:, :, None]).norm(dim=-1).min(dim=-1)
    pair = which[..., None].expand(-1, -1, -1, 2)
    end = end.gather(2, pair)
    length = (start - end).norm(dim=-1).clamp(min=MIN_LIMB_LENGTH)
    start_score, end_score = peaks.score[:, first], peaks.score[:, second].gather(2, which)
    if maps.jitter is not None:
        start = start + _jitter_at(jitter, origin, around)
        end = end + _jitter_at(jitter, peaks.xy[:, second].gather(2, pair), around)
    scale = torch.full_like(peaks.score, DEFAULT_SCALE)
    if maps.scale is not None:
        scale = around.sample(around.prepare(maps.scale, UPSAMPLING_MODES.get(reading.peaks, "bilinear")), peaks.xy)
    ends = torch.stack((peaks.index[:, first], peaks.index[:, second].gather(2, which)), dim=-1)
    return LimbCandidates(
        start=torch.cat((start, start_score[..., None], scale[:, first, :, None]), dim=-1),
        end=torch.cat((end, end_score[..., None], scale[:, second].gather(2, which)[..., None]), dim=-1),
        peak_index=ends,
        distance=missed,
        length=length,
        score=start_score * end_score * torch.exp(-missed / length),
    )


def _jitter_at(
    jitter: Float[Tensor, "b 2 hh ww"], xy: Float[Tensor, "b l n 2"], around: MapSampler
) -> Float[Tensor, "b l n 2"]:
    where = xy.flatten(1, 2)[:, None].expand(-1, 2, -1, -1)
    return around.sample(jitter, where).transpose(1, 2).reshape(xy.shape)


def _jitter_at_guides(
    jitter: Float[Tensor, "b 2 hh ww"], guide: Float[Tensor, "b l n 2"], around: MapSampler, *, transposed: bool
) -> Float[Tensor, "b l n 2"]:
    """What is to be added to guides; nothing beyond the view. The release looks at whole pixels, x and y exchanged."""
    pixel = guide.nan_to_num(-OUT_OF_REACH, -OUT_OF_REACH, -OUT_OF_REACH).clamp(-OUT_OF_REACH, OUT_OF_REACH).trunc()
    size = guide.new_tensor(around.size(jitter))
    inside = ((pixel >= 0) & (pixel < size)).all(dim=-1)
    if transposed:
        pixel = pixel.flip(-1)
        inside &= (pixel < size).all(dim=-1)
    found = _jitter_at(jitter, torch.where(inside[..., None], pixel, 0), around)
    return torch.where(inside[..., None], found, 0)
