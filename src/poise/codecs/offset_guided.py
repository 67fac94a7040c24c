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

from poise.codecs import guiding_offsets
from poise.codecs.guiding_losses import DEFAULT_COSTS, DEFAULT_MAPS, Costs, LabelMaps
from poise.codecs.guiding_offsets import STRIDE, LabelledKeypoints, OffsetTargets
from poise.codecs.scene import SceneCodec
from poise.decoding.grouping import decode_people
from poise.decoding.grouping_config import PRACTITIONER_CONFIG, GroupingConfig
from poise.decoding.scene_maps import SceneMaps, merged_jitter, merged_maps, merged_offsets
from poise.dims import Size
from poise.errors import InputError
from poise.scenes import People, Scenes
from poise.skeletons.limbs import Limbs, mirrored_limbs

MIN_SCALE = 1.0
"""Keypoints of a smaller size give no loss of scales, pixels (the release's)."""

READING_TOLERANCE: Mapping[str, float] = {
    "cell": 2.83,
    "quarter": 1.5,
    "fast": 1.07,
    "upsampled": 1.07,
    "bilinear": 2.3,
} | dict.fromkeys(("dark", "fit1", "fit2", "fit1-sigma", "fit2-sigma"), 0.05)
"""Largest error of each reading on perfect Gaussians, four cells and more away from the border, pixels."""

JITTER_TOLERANCE = 2 * 2**0.5 * STRIDE / 2
"""Largest error with jitter, pixels: twice half a cell's diagonal.

All keypoints share its maps, so a peak may be moved to another keypoint whose nearest cell is the same.
"""


@final
class MapKind(IntEnum):
    """The types of map that an output has, in their order."""

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
    heatmaps and offsets are always there (`LabelMaps`).

    Attributes:
        limbs: Pairs (from, to) of indices of keypoints (`skeletons.limbs`).
        maps: Maps and their targets.
        cost: The losses of these maps.
        reading: Decoder of people from the maps.
        sigmas: OKS sigma of each keypoint, for `LabelMaps.scale`.

    Raises:
        InputError: A limb that cannot be or stands there twice; scales without sigmas; "laplace" without spread.
    """

    limbs: Limbs = ()
    maps: LabelMaps = DEFAULT_MAPS
    cost: Costs = DEFAULT_COSTS
    reading: GroupingConfig = PRACTITIONER_CONFIG
    sigmas: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check that limbs, maps and costs fit."""
        super().__post_init__()
        ends = {end for limb in self.limbs for end in limb}
        if not ends <= set(range(self.keypoints)) or any(len(set(limb)) != 2 for limb in self.limbs):
            raise InputError(f"limbs join two of the {self.keypoints} keypoints, counted from 0; found {self.limbs}")
        if len(set(self.limbs)) != len(self.limbs):
            raise InputError(f"duplicate limbs: {sorted({m for m in self.limbs if self.limbs.count(m) > 1})}")
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
        """Channels of each head, without those that have none."""
        return tuple(count for count in self._counts if count)

    @property
    def tolerance(self) -> float:
        """Pixels: the error of the decoder on perfect outputs, or the distance of two keypoints that jitter can exchange."""
        return JITTER_TOLERANCE if self.maps.jitter else READING_TOLERANCE[self.reading.peaks]

    def split(self, output: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b q h w"], ...]:
        """Heatmaps, background, jitter, offsets, spreads and scales; those that are not there have no channels."""
        return torch.split(output, list(self._counts), dim=1)

    def encode(self, scenes: Scenes) -> Float[Tensor, "b c h w"]:
        """The targets, 0 in cells without any; the spread is 1 (logarithm 0)."""
        labelled = LabelledKeypoints.of(scenes, self.cells(scenes.size))
        output = scenes.xy.new_zeros(len(scenes), self.channels, *labelled.cells)
        heat, background, *_ = self.split(output)
        guiding_offsets.draw_gaussians(output, labelled, sigma=self.maps.sigma, clip=self.maps.clip)
        if self.maps.background:
            torch.sub(1, heat.amax(dim=1, keepdim=True), out=background)
        if self.maps.jitter:
            jitter = guiding_offsets.jitter_offsets(labelled, fill=self.maps.jitter_fill)
            jitter.write(output, self._channels(MapKind.JITTER, labelled))
        targets = self._offset_targets(labelled)
        targets.write(output, self._channels(MapKind.OFFSETS, labelled))
        if self.maps.scale:
            channels = self._channels(MapKind.SCALE, labelled)
            targets.write_values(output, channels, *self._scale_targets(targets, labelled, scenes.extent))
        return output

    def loss(self, output: Float[Tensor, "b c h w"], scenes: Scenes) -> Float[Tensor, ""]:
        """The weighted sum of `errors`, divided by the number of views."""
        self._check(output, scenes)
        weights = output.new_tensor(self.cost.weights)
        return self.cost.weight * (weights * self.errors(output, scenes)).sum() / max(len(scenes), 1)

    def errors(self, output: Float[Tensor, "b c h w"], scenes: Scenes) -> Float[Tensor, "5"]:
        """Losses of heatmaps, background, jitter, offsets and scales before any weight; 0 for those without maps.

        Those of heatmaps and background are sums over all cells of all views, the others means over the cells with a target.
        """
        labelled = LabelledKeypoints.of(scenes, self.cells(scenes.size))
        cells = guiding_offsets.supervised_cells(scenes.ignore)
        cost, targets = self.cost, self._offset_targets(labelled)
        jitter = guiding_offsets.jitter_offsets(labelled, fill=self.maps.jitter_fill) if self.maps.jitter else None
        maps, predicted = self._predicted(output, labelled, targets, jitter)
        heat = maps.new_zeros(len(scenes), self.keypoints, *labelled.cells)
        guiding_offsets.draw_gaussians(heat, labelled, sigma=self.maps.sigma, clip=self.maps.clip)
        supervised = cells & scenes.supervised[:, :, None, None]
        none, valid = output.new_zeros(()), targets.valid & targets.inside(cells)
        sizes = self._scale_targets(targets, labelled, scenes.extent) if self.maps.scale else None
        spread = predicted.get(MapKind.SPREAD)
        return torch.stack(
            (
                cost.of_maps(maps[:, : self.keypoints], heat, supervised),
                cost.of_background(maps[:, self.keypoints :], heat, supervised) if self.maps.background else none,
                none if jitter is None else cost.of_jitter(predicted[MapKind.JITTER], jitter, cells),
                cost.of_offsets(predicted[MapKind.OFFSETS], spread, targets, valid, extent=scenes.extent),
                none if sizes is None else cost.of_scales(predicted[MapKind.SCALE], sizes[0], sizes[1] & valid),
            )
        )

    def decode(self, output: Float[Tensor, "b c h w"]) -> list[People]:
        """The people of each view, read by `reading`."""
        heat, _, jitter, offsets, _, scale = self.split(output.float())
        maps = SceneMaps(heat, offsets, jitter if self.maps.jitter else None, scale if self.maps.scale else None)
        reading = self.reading.with_label_sigma(self.maps.sigma / STRIDE)
        return decode_people(maps, self.limbs, reading, stride=STRIDE)

    def merge(
        self, output: Float[Tensor, "b c h w"], mirrored: Float[Tensor, "b c h w"], flip: Int64[Tensor, " k"]
    ) -> Float[Tensor, "b c h w"]:
        """The mean of both outputs; limbs whose mirror image is no limb keep the offsets of `output`."""
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
        """Heatmaps resized by cubic convolution, all others linearly; offsets, spreads and scales are scaled with the view."""
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
        """The guiding offsets in the cells of keypoints whose limb is labelled, as x0 y0 x1 y1, pixels."""
        starts, ends = self._ends.to(output.device)
        h, w = output.shape[-2:]
        cell = ((scenes.xy[:, starts] - (STRIDE - 1) / 2) / STRIDE).round()
        column, row = cell[..., 0].clamp(0, w - 1).long(), cell[..., 1].clamp(0, h - 1).long()
        offsets = self.split(output)[MapKind.OFFSETS].reshape(len(output), len(self.limbs), 2, h, w)
        limb = torch.arange(len(self.limbs), device=output.device)
        begin = torch.stack((column, row), dim=-1) * STRIDE + (STRIDE - 1) / 2
        lines = torch.cat((begin, begin + offsets[scenes.scene[:, None], limb, :, row, column]), dim=-1)
        return lines.where((scenes.visible[:, starts] * scenes.visible[:, ends] > 0)[..., None], torch.nan)

    @cached_property
    def _counts(self) -> tuple[int, ...]:
        """Channels of each type of map, 0 for those that are not there."""
        maps, limbs = self.maps, len(self.limbs)
        return (
            self.keypoints,
            int(maps.background),
            2 * maps.jitter,
            2 * limbs,
            limbs * maps.spread,
            self.keypoints * maps.scale,
        )

    def _predicted(
        self, output: Tensor, labelled: LabelledKeypoints, targets: OffsetTargets, jitter: OffsetTargets | None
    ) -> tuple[Tensor, dict[MapKind, Tensor]]:
        """Heatmaps and background, and the values of the other maps in the cells that have targets, x before y."""
        limb, area = partial(self._flat_index, targets, labelled), labelled.cells[0] * labelled.cells[1]
        x = limb(MapKind.OFFSETS)
        indices = {MapKind.OFFSETS: torch.stack((x, x + area))}
        if jitter is not None:
            x = self._flat_index(jitter, labelled, MapKind.JITTER)
            indices[MapKind.JITTER] = torch.stack((x, x + area))
        if self.cost.offset == "laplace":
            indices[MapKind.SPREAD] = limb(MapKind.SPREAD)
        if self.maps.scale:
            indices[MapKind.SCALE] = limb(MapKind.SCALE)
        whole = sum(self._counts[: MapKind.JITTER])
        maps, values = guiding_offsets.split_output(output, whole, torch.cat([index.flatten() for index in indices.values()]))
        parts = torch.split(values, [index.numel() for index in indices.values()])
        return maps, {kind: part.view(index.shape) for (kind, index), part in zip(indices.items(), parts, strict=True)}

    def _flat_index(self, targets: OffsetTargets, labelled: LabelledKeypoints, kind: MapKind) -> Int64[Tensor, "n m c"]:
        """Index of the cells of targets in the flattened output, in the (x) channel of a type of map."""
        return targets.flat_index(self._channels(kind, labelled), count=self.channels, cells=labelled.cells)

    def _offset_targets(self, labelled: LabelledKeypoints) -> OffsetTargets:
        starts, ends = self._ends.to(labelled.xy.device)
        return guiding_offsets.guiding_offsets(labelled, starts, ends, fill=self.maps.fill)

    def _scale_targets(
        self, targets: OffsetTargets, labelled: LabelledKeypoints, extent: Float[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n l c"], Bool[Tensor, "n l c"]]:
        """Sizes of the keypoints that limbs start at, pixels, and whether they are valid in each cell."""
        starts = self._ends[0].to(extent.device)
        size = extent[:, None] * extent.new_tensor(self.sigmas)[starts]
        last = guiding_offsets.in_last_limb(targets, starts, labelled)
        return size[..., None].expand(last.shape), last & (size >= MIN_SCALE)[..., None]

    def _channels(self, kind: MapKind, labelled: LabelledKeypoints) -> Int64[Tensor, " m"]:
        """The channel of each keypoint or limb in a type of map behind the background; that of x where there are x and y."""
        return self._first_channels[kind].to(labelled.xy.device)

    @cached_property
    def _first_channels(self) -> Mapping[MapKind, Int64[Tensor, " m"]]:
        with torch.inference_mode(False):  # kept, and used in training too
            limbs = torch.arange(len(self.limbs))
            shared = torch.zeros(self.keypoints, dtype=torch.int64)
            own = {MapKind.JITTER: shared, MapKind.OFFSETS: 2 * limbs, MapKind.SPREAD: limbs, MapKind.SCALE: self._ends[0]}
            return {kind: sum(self._counts[:kind]) + channel for kind, channel in own.items()}

    @cached_property
    def _ends(self) -> Int64[Tensor, "2 l"]:
        """Indices of the keypoints that limbs start at, and of those that they end at."""
        with torch.inference_mode(False):  # kept, and used in training too
            return torch.tensor(self.limbs, dtype=torch.int64).view(-1, 2).T

    def _check(self, output: Tensor, scenes: Scenes) -> None:
        expected = (len(scenes), self.channels, *self.cells(scenes.size))
        if output.shape != expected or scenes.xy.shape[1] != self.keypoints:
            raise InputError(
                f"OffsetGuided expects an output of shape {expected} for these views and {self.keypoints} keypoints, found "
                f"{tuple(output.shape)} and {scenes.xy.shape[1]}; the network must be built for this codec"
            )
