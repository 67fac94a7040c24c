"""OffsetGuided (arXiv 2107.03098): heatmaps, and around each keypoint vectors to those it has limbs with."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property, partial
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.codecs import guides
from poise.codecs.guide_costs import USUAL_COSTS, USUAL_MAPS, Costs, LabelMaps
from poise.codecs.guides import STRIDE, Seen, Vectors
from poise.codecs.scene import SceneCodec
from poise.decoding.grouping import decode_people
from poise.decoding.grouping_config import PRACTITIONER_CONFIG, GroupingConfig
from poise.decoding.scene_maps import SceneMaps, merged_jitter, merged_maps, merged_offsets
from poise.dims import Size
from poise.errors import InputError
from poise.scenes import People, Scenes
from poise.skeletons.limbs import Limbs, mirrored_limbs

LEAST_SCALE = 1.0
"""Pixels; smaller keypoints have no size to be learnt (the release's)."""

READ: Mapping[str, float] = {"cell": 2.83, "quarter": 1.5, "fast": 1.07, "upsampled": 1.07, "bilinear": 2.3} | dict.fromkeys(
    ("dark", "fit1", "fit2", "fit1-sigma", "fit2-sigma"), 0.05
)
"""Pixels that each reading of perfect Gaussians is off at most, four cells and more away from the border."""

JITTERED = 2 * 2**0.5 * STRIDE / 2
"""All keypoints share the jitter: a peak may be moved to another one nearest to its cell, twice half a cell's diagonal away."""


@final
class MapKind(IntEnum):
    """The kinds of map that an answer has, in their order."""

    HEAT = 0
    BACKGROUND = 1
    JITTER = 2
    OFFSETS = 3
    SPREAD = 4
    SCALE = 5


@final
@dataclass(frozen=True)
class OffsetGuided(SceneCodec):
    """Heatmaps and guiding offsets (arXiv 2107.03098), one cell for every 4 pixels.

    An output has, in this order: a heatmap for each keypoint; the background; two maps of jitter, x and y; two maps for each
    limb, x and y of the vector from its first keypoint to its second; a spread for each limb; a scale for each keypoint. Only
    heatmaps and vectors are always there (`LabelMaps`).

    Attributes:
        limbs: (from, to), places of keypoints (`skeletons.limbs`).
        maps: What there is and what it is to say.
        cost: How far an answer is from that.
        reading: How people are read out of it.
        sigmas: Of OKS, one per keypoint, for `LabelMaps.scale`.

    Raises:
        InputError: A limb that cannot be or stands there twice; scales without sigmas; "laplace" without spread.
    """

    limbs: Limbs = ()
    maps: LabelMaps = USUAL_MAPS
    cost: Costs = USUAL_COSTS
    reading: GroupingConfig = PRACTITIONER_CONFIG
    sigmas: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check that limbs, maps and costs fit."""
        super().__post_init__()
        ends = {end for limb in self.limbs for end in limb}
        if not ends <= set(range(self.keypoints)) or any(len(set(limb)) != 2 for limb in self.limbs):
            raise InputError(f"limbs join two of the {self.keypoints} keypoints, counted from 0; found {self.limbs}")
        if len(set(self.limbs)) != len(self.limbs):
            raise InputError(f"a limb stands there twice: {sorted({m for m in self.limbs if self.limbs.count(m) > 1})}")
        if self.maps.scale and len(self.sigmas) != self.keypoints:
            raise InputError(
                f"maps of scales need `sigmas`, OKS's of each of the {self.keypoints} keypoints; found {len(self.sigmas)}"
            )
        if self.cost.offset == "laplace" and not self.maps.spread:
            raise InputError("the laplace loss of offsets needs maps of spread: LabelMaps(spread=True)")

    @property
    def stride(self) -> int:
        """Four pixels to a cell."""
        return STRIDE

    @property
    def parts(self) -> tuple[int, ...]:
        """Channels of each head that is there."""
        return tuple(count for count in self._counts if count)

    @property
    def tolerance(self) -> float:
        """How far a reading is off by itself; with jitter, how far two keypoints are that are nearest to one cell."""
        return JITTERED if self.maps.jitter else READ[self.reading.peaks]

    def split(self, output: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b q h w"], ...]:
        """Heatmaps, background, jitter, offsets, spreads and scales; what is not there has no channels."""
        return torch.split(output, list(self._counts), dim=1)

    def encode(self, scenes: Scenes) -> Float[Tensor, "b c h w"]:
        """Labels, and 0 wherever there are none; logarithms of spreads are 0."""
        seen = Seen.of(scenes, self.cells(scenes.size))
        output = scenes.xy.new_zeros(len(scenes), self.channels, *seen.cells)
        heat, background, *_ = self.split(output)
        guides.draw_gaussians(output, seen, sigma=self.maps.sigma, clip=self.maps.clip)
        if self.maps.background:
            torch.sub(1, heat.amax(dim=1, keepdim=True), out=background)
        if self.maps.jitter:
            guides.jitters(seen, fill=self.maps.jitter_fill).write(output, self._channels(MapKind.JITTER, seen))
        vectors = self._guides(seen)
        vectors.write(output, self._channels(MapKind.OFFSETS, seen))
        if self.maps.scale:
            vectors.write_numbers(output, self._channels(MapKind.SCALE, seen), *self._scales(vectors, seen, scenes.extent))
        return output

    def loss(self, output: Float[Tensor, "b c h w"], scenes: Scenes) -> Float[Tensor, ""]:
        """The sum of the parts' errors by their weights, over the number of views."""
        self._check(output, scenes)
        weights = output.new_tensor(self.cost.weights)
        return self.cost.weight * (weights * self.errors(output, scenes)).sum() / max(len(scenes), 1)

    def errors(self, output: Float[Tensor, "b c h w"], scenes: Scenes) -> Float[Tensor, "5"]:
        """Of heatmaps, background, jitter, offsets and scales before any weight; 0 for those that there are no maps of.

        Heatmaps' and background's are sums over all cells of all views, the others means of those cells that say something.
        """
        cost, seen, used = self.cost, Seen.of(scenes, self.cells(scenes.size)), guides.used(scenes.ignore)
        vectors = self._guides(seen)
        jitters = guides.jitters(seen, fill=self.maps.jitter_fill) if self.maps.jitter else None
        maps, said = self._said(output, seen, vectors, jitters)
        target = maps.new_zeros(len(scenes), self.keypoints, *seen.cells)
        guides.draw_gaussians(target, seen, sigma=self.maps.sigma, clip=self.maps.clip)
        taught = used & scenes.supervised[:, :, None, None]
        none, counts = output.new_zeros(()), vectors.counts & vectors.inside(used)
        sizes = self._scales(vectors, seen, scenes.extent) if self.maps.scale else None
        return torch.stack(
            (
                cost.of_maps(maps[:, : self.keypoints], target, taught),
                cost.of_background(maps[:, self.keypoints :], target, taught) if self.maps.background else none,
                none if jitters is None else cost.of_jitter(said[MapKind.JITTER], jitters, used),
                cost.of_offsets(said[MapKind.OFFSETS], said.get(MapKind.SPREAD), vectors, counts, extent=scenes.extent),
                none if sizes is None else cost.of_scales(said[MapKind.SCALE], sizes[0], sizes[1] & counts),
            )
        )

    def decode(self, output: Float[Tensor, "b c h w"]) -> list[People]:
        """The people of each view, as `reading` says."""
        heat, _, jitter, offsets, _, scale = self.split(output.float())
        maps = SceneMaps(heat, offsets, jitter if self.maps.jitter else None, scale if self.maps.scale else None)
        reading = self.reading.with_label_sigma(self.maps.sigma / STRIDE)
        return decode_people(maps, self.limbs, reading, stride=STRIDE)

    def merge(
        self, output: Float[Tensor, "b c h w"], mirrored: Float[Tensor, "b c h w"], flip: Int64[Tensor, " k"]
    ) -> Float[Tensor, "b c h w"]:
        """The mean of both; limbs that a mirror turns round, so that there is none of them, keep the answer itself."""
        limbs, alone = mirrored_limbs(self.limbs, flip)
        heat, background, jitter, offsets, spread, scale = zip(self.split(output), self.split(mirrored), strict=True)
        parts = [merged_maps(*heat, flip)]
        if self.maps.background:
            parts.append(merged_maps(*background, flip[:1] * 0))
        if self.maps.jitter:
            parts.append(merged_jitter(*jitter))
        if self.limbs:
            parts.append(merged_offsets(*offsets, limbs, alone))
        if self.maps.spread:
            parts.append(spread[0].where(alone[:, None, None], merged_maps(*spread, limbs)))
        if self.maps.scale:
            parts.append(merged_maps(*scale, flip))
        return torch.cat(parts, dim=1)

    def resized(self, output: Float[Tensor, "b c h w"], cells: Size) -> Float[Tensor, "b c hh ww"]:
        """Heatmaps by cubic convolution, all others linearly; vectors, spreads and scales grow with the view."""
        down, across = cells[0] / output.shape[-2], cells[1] / output.shape[-1]
        if down == across == 1:
            return output
        heat, background, jitter, offsets, spread, scale = self.split(output)
        growth, size = output.new_tensor((across, down))[:, None, None], (down * across) ** 0.5
        parts = [
            background,
            jitter * growth[: jitter.shape[1]],
            offsets * growth.repeat(len(self.limbs), 1, 1),
            spread + math.log(size),
            scale * size,
        ]
        rest = [F.interpolate(part, cells, mode="bilinear", align_corners=False) for part in parts if part.shape[1]]
        return torch.cat((F.interpolate(heat, cells, mode="bicubic", align_corners=False), *rest), dim=1)

    def picture(self, output: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """The heatmaps."""
        return output[:, : self.keypoints].float().nan_to_num(0.0).clamp(0, 1)

    def arrows(self, output: Float[Tensor, "b c h w"], scenes: Scenes) -> Float[Tensor, "n m 4"]:
        """The guides in the cells of keypoints whose limb is labelled."""
        starts, ends = self._ends.to(output.device)
        h, w = output.shape[-2:]
        cell = ((scenes.xy[:, starts] - (STRIDE - 1) / 2) / STRIDE).round()
        column, row = cell[..., 0].clamp(0, w - 1).long(), cell[..., 1].clamp(0, h - 1).long()
        guides = self.split(output)[MapKind.OFFSETS].reshape(len(output), len(self.limbs), 2, h, w)
        limb = torch.arange(len(self.limbs), device=output.device)
        begin = torch.stack((column, row), dim=-1) * STRIDE + (STRIDE - 1) / 2
        lines = torch.cat((begin, begin + guides[scenes.scene[:, None], limb, :, row, column]), dim=-1)
        return lines.where((scenes.visible[:, starts] * scenes.visible[:, ends] > 0)[..., None], torch.nan)

    @cached_property
    def _counts(self) -> tuple[int, ...]:
        """Channels of each kind of map, 0 for those that are not there."""
        maps, limbs = self.maps, len(self.limbs)
        return (
            self.keypoints,
            int(maps.background),
            2 * maps.jitter,
            2 * limbs,
            limbs * maps.spread,
            self.keypoints * maps.scale,
        )

    def _said(
        self, output: Tensor, seen: Seen, vectors: Vectors, jitters: Vectors | None
    ) -> tuple[Tensor, dict[MapKind, Tensor]]:
        """Heatmaps and background, and what the other maps say in the cells that are asked, x before y."""
        limb, hop = partial(self._places, vectors, seen), seen.cells[0] * seen.cells[1]
        at = limb(MapKind.OFFSETS)
        places = {MapKind.OFFSETS: torch.stack((at, at + hop))}
        if jitters is not None:
            at = self._places(jitters, seen, MapKind.JITTER)
            places[MapKind.JITTER] = torch.stack((at, at + hop))
        if self.cost.offset == "laplace":
            places[MapKind.SPREAD] = limb(MapKind.SPREAD)
        if self.maps.scale:
            places[MapKind.SCALE] = limb(MapKind.SCALE)
        whole = sum(self._counts[: MapKind.JITTER])
        maps, numbers = guides.parted(output, whole, torch.cat([at.flatten() for at in places.values()]))
        parts = torch.split(numbers, [at.numel() for at in places.values()])
        return maps, {of: part.view(at.shape) for (of, at), part in zip(places.items(), parts, strict=True)}

    def _places(self, vectors: Vectors, seen: Seen, kind: MapKind) -> Int64[Tensor, "n m c"]:
        """Where vectors stand in an output: of one of the kinds behind the background, x of it where it has x and y."""
        return vectors.places(self._channels(kind, seen), count=self.channels, cells=seen.cells)

    def _guides(self, seen: Seen) -> Vectors:
        starts, ends = self._ends.to(seen.xy.device)
        return guides.guides(seen, starts, ends, fill=self.maps.fill)

    def _scales(
        self, vectors: Vectors, seen: Seen, extent: Float[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n l c"], Bool[Tensor, "n l c"]]:
        """Sizes of the keypoints that limbs start at, and in which cells they count."""
        starts = self._ends[0].to(extent.device)
        size = extent[:, None] * extent.new_tensor(self.sigmas)[starts]
        last = guides.latest(vectors, starts, seen)
        return size[..., None].expand(last.shape), last & (size >= LEAST_SCALE)[..., None]

    def _channels(self, kind: MapKind, seen: Seen) -> Int64[Tensor, " m"]:
        """The channel of each keypoint or limb, of one of the kinds behind the background; of x where there are x and y."""
        return self._first_channels[kind].to(seen.xy.device)

    @cached_property
    def _first_channels(self) -> Mapping[MapKind, Int64[Tensor, " m"]]:
        limbs = torch.arange(len(self.limbs))
        shared = torch.zeros(self.keypoints, dtype=torch.int64)
        own = {MapKind.JITTER: shared, MapKind.OFFSETS: 2 * limbs, MapKind.SPREAD: limbs, MapKind.SCALE: self._ends[0]}
        return {kind: sum(self._counts[:kind]) + place for kind, place in own.items()}

    @cached_property
    def _ends(self) -> Int64[Tensor, "2 l"]:
        """The keypoints each limb starts and ends at."""
        return torch.tensor(self.limbs, dtype=torch.int64).view(-1, 2).T

    def _check(self, output: Tensor, scenes: Scenes) -> None:
        expected = (len(scenes), self.channels, *self.cells(scenes.size))
        if output.shape != expected or scenes.xy.shape[1] != self.keypoints:
            raise InputError(
                f"OffsetGuided expects an output of shape {expected} for these views and {self.keypoints} keypoints, found "
                f"{tuple(output.shape)} and {scenes.xy.shape[1]}; the network must be built for this codec"
            )
