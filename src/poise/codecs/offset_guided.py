"""OffsetGuided (arXiv 2107.03098): heatmaps, and around each keypoint vectors to those it has limbs with."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal, final, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.codecs import guides
from poise.codecs.guides import STRIDE, Seen, Vectors
from poise.codecs.peak_reading import PRACTITIONER, PeakReading
from poise.codecs.people import read_people
from poise.codecs.scene import SceneCodec
from poise.codecs.scene_maps import SceneMaps, merged_jitter, merged_maps, merged_offsets
from poise.dims import Size
from poise.errors import InputError
from poise.losses.focal import focal_squared_error, squared_error
from poise.losses.guides import Distance, mean_above, size_error, vector_error
from poise.scenes import People, Scenes
from poise.skeletons.limbs import Limbs, mirrored_limbs

LEAST_SCALE = 1.0
"""Pixels; smaller keypoints have no size to be learnt (the release's)."""

READ: Mapping[str, float] = {"cell": 2.83, "quarter": 1.5, "fast": 1.07, "upsampled": 1.07, "bilinear": 2.3} | dict.fromkeys(
    ("dark", "fit1", "fit2", "fit1-sigma", "fit2-sigma"), 0.05
)
"""Pixels that each reading of perfect bumps is off at most, four cells and more away from the border."""

JITTERED = 2 * 2**0.5 * STRIDE / 2
"""All keypoints share the jitter: a peak may be moved to another one nearest to its cell, twice half a cell's diagonal away."""


@final
@dataclass(frozen=True)
class LabelMaps:
    """Which maps there are, and what they are to say.

    Attributes:
        sigma: Width of a bump, pixels.
        clip: A bump lower than that is 0.
        fill: Cells a side of the square around a keypoint in which vectors lead to others.
        jitter_fill: The same, for those to the keypoint itself.
        background: A map that is 1 where no bump is.
        jitter: Two maps for the vector to the nearest keypoint, of whatever kind.
        spread: A map for each limb, the logarithm of its vectors' spread (Laplace's b).
        scale: A map for each keypoint, its size: the side of the person's box times OKS's sigma of the keypoint, pixels.
    """

    sigma: float = 7.0
    clip: float = 0.01
    fill: int = 7
    jitter_fill: int = 3
    background: bool = False
    jitter: bool = False
    spread: bool = False
    scale: bool = False

    def __post_init__(self) -> None:
        """Refuse bumps and squares without extent."""
        if not (self.sigma > 0 and 0 < self.clip < 1 and min(self.fill, self.jitter_fill) >= 1):
            raise InputError(
                "maps cannot be: sigma is above 0, clip between 0 and 1, fill and jitter_fill 1 or more; found "
                f"{self.sigma}, {self.clip}, {self.fill} and {self.jitter_fill}"
            )


@final
@dataclass(frozen=True)
class Costs:
    """How far an answer is from the labels. The release's defaults; its two constants of the focal loss are real ones here.

    Attributes:
        heat: "focal": what is nearly right counts little; "l2": everything alike.
        gamma: How little (focal).
        tau: Labels from here on are on a bump (focal).
        offset: How errors of vectors are measured; "laplace" needs `LabelMaps.spread`.
        root: Whether square roots of vectors' and sizes' errors are learnt in their place.
        margin: Errors of vectors below are dropped, with "laplace" those below 0 too: -inf keeps them.
        scale_margin: The same, of sizes.
        weights: Of heatmaps, background, jitter, offsets and scales.
        weight: Of the stack; the releases' stacks have weights whose sum is 1.
    """

    heat: Literal["focal", "l2"] = "focal"
    gamma: float = 1.0
    tau: float = 0.01
    offset: Distance = "l1"
    root: bool = False
    margin: float = 1e-5
    scale_margin: float = 0.1
    weights: tuple[float, float, float, float, float] = (1.0, 1.0, 100.0, 100.0, 0.01)
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be learnt from."""
        if self.heat not in ("focal", "l2") or self.offset not in get_args(Distance):
            raise InputError(
                f"costs cannot be: heat is focal or l2 and offset one of {', '.join(get_args(Distance))}; found {self.heat!r} "
                f"and {self.offset!r}"
            )
        if len(self.weights) != 5 or min(*self.weights, self.weight) < 0 or not (self.gamma == 0 or self.gamma >= 1):
            raise InputError(
                "costs cannot be: there are five weights, of heatmaps, background, jitter, offsets and scales, none below 0 "
                f"nor `weight`, and gamma is 0, 1 or more; found {self.weights}, {self.weight} and {self.gamma}"
            )
        if self.root and not (self.margin >= 0 and self.scale_margin >= 0):
            raise InputError("costs cannot be: square roots need margins of 0 or more")


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
    maps: LabelMaps = LabelMaps()
    cost: Costs = Costs()
    reading: PeakReading = PRACTITIONER
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
        guides.draw_bumps(output, seen, sigma=self.maps.sigma, clip=self.maps.clip)
        if self.maps.background:
            torch.sub(1, heat.amax(dim=1, keepdim=True), out=background)
        if self.maps.jitter:
            guides.jitters(seen, fill=self.maps.jitter_fill).write(output, self._channels(2, seen))
        vectors = self._guides(seen)
        vectors.write(output, self._channels(3, seen))
        if self.maps.scale:
            vectors.write_numbers(output, self._channels(5, seen), *self._scales(vectors, seen, scenes.extent))
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
        seen, used = Seen.of(scenes, self.cells(scenes.size)), guides.used(scenes.ignore)
        vectors = self._guides(seen)
        jitters = guides.jitters(seen, fill=self.maps.jitter_fill) if self.maps.jitter else None
        maps, said = self._said(output, seen, vectors, jitters)
        target = maps.new_zeros(len(scenes), self.keypoints, *seen.cells)
        guides.draw_bumps(target, seen, sigma=self.maps.sigma, clip=self.maps.clip)
        taught = used & scenes.taught[:, :, None, None]
        none, counts = output.new_zeros(()), vectors.counts & vectors.inside(used)
        sizes = self._scales(vectors, seen, scenes.extent) if self.maps.scale else None
        return torch.stack(
            (
                self._map_error(maps[:, : self.keypoints], target, taught),
                self._background_error(maps[:, self.keypoints :], target, taught) if self.maps.background else none,
                none if jitters is None else self._jitter_error(said["jitter"], jitters, used),
                self._vector_error(said["offsets"], said.get("spread"), vectors, counts, scenes),
                none if sizes is None else self._scale_error(said["scale"], counts, *sizes),
            )
        )

    def decode(self, output: Float[Tensor, "b c h w"]) -> list[People]:
        """The people of each view, as `reading` says."""
        heat, _, jitter, offsets, _, scale = self.split(output.float())
        maps = SceneMaps(heat, offsets, jitter if self.maps.jitter else None, scale if self.maps.scale else None)
        reading = self.reading.of_labels(self.maps.sigma / STRIDE)
        return read_people(maps, self.limbs, reading, stride=STRIDE)

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
        guides = self.split(output)[3].reshape(len(output), len(self.limbs), 2, h, w)
        limb = torch.arange(len(self.limbs), device=output.device)
        begin = torch.stack((column, row), dim=-1) * STRIDE + (STRIDE - 1) / 2
        lines = torch.cat((begin, begin + guides[scenes.scene[:, None], limb, :, row, column]), dim=-1)
        return lines.where((scenes.visible[:, starts] * scenes.visible[:, ends] > 0)[..., None], torch.nan)

    @cached_property
    def _counts(self) -> tuple[int, ...]:
        """Channels of all heads, 0 for those that are not there."""
        maps, limbs = self.maps, len(self.limbs)
        return (
            self.keypoints,
            int(maps.background),
            2 * maps.jitter,
            2 * limbs,
            limbs * maps.spread,
            self.keypoints * maps.scale,
        )

    def _map_error(self, maps: Tensor, target: Tensor, used: Tensor) -> Tensor:
        """The sum over all cells that are for learning."""
        maps = maps.where(used, target)  # no error and no gradient there, whatever they say
        if self.cost.heat == "l2":
            return squared_error(maps, target).sum()
        return focal_squared_error(maps, target, gamma=self.cost.gamma, tau=self.cost.tau).sum()

    def _background_error(self, background: Tensor, heat: Tensor, taught: Tensor) -> Tensor:
        """What keypoints that a data set does not label leave of the background nobody knows."""
        return self._map_error(background, 1 - heat.amax(dim=1, keepdim=True), taught.all(dim=1, keepdim=True))

    def _said(self, output: Tensor, seen: Seen, vectors: Vectors, jitters: Vectors | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Heatmaps and background, and what the other maps say in the cells that are asked, x before y."""
        limb, hop = partial(self._places, vectors, seen), seen.cells[0] * seen.cells[1]
        places = {"offsets": torch.stack((limb(3), limb(3) + hop))}
        if jitters is not None:
            at = self._places(jitters, seen, 2)
            places["jitter"] = torch.stack((at, at + hop))
        if self.cost.offset == "laplace":
            places["spread"] = limb(4)
        if self.maps.scale:
            places["scale"] = limb(5)
        maps, numbers = guides.parted(output, sum(self._counts[:2]), torch.cat([at.flatten() for at in places.values()]))
        parts = torch.split(numbers, [at.numel() for at in places.values()])
        return maps, {name: part.view(at.shape) for (name, at), part in zip(places.items(), parts, strict=True)}

    def _jitter_error(self, said: Tensor, jitters: Vectors, used: Tensor) -> Tensor:
        counts = jitters.counts & jitters.inside(used)
        errors = vector_error(said.movedim(0, -1), jitters.vector, counts, distance="l1")
        return mean_above(errors, counts[..., None], margin=self.cost.margin, root=self.cost.root)

    def _vector_error(self, said: Tensor, spread: Tensor | None, vectors: Vectors, counts: Tensor, scenes: Scenes) -> Tensor:
        size = scenes.extent.where(scenes.extent > 0, 1.0)[:, None, None, None].expand(*counts.shape, 1)
        errors = vector_error(
            said.movedim(0, -1), vectors.vector, counts, distance=self.cost.offset, size=size, log_spread=spread
        )
        return mean_above(errors, counts[..., None], margin=self.cost.margin, root=self.cost.root)

    def _scale_error(self, said: Tensor, counts: Tensor, target: Tensor, last: Tensor) -> Tensor:
        errors = size_error(said, target, last & counts)
        return mean_above(errors, last & counts, margin=self.cost.scale_margin, root=self.cost.root)

    def _places(self, vectors: Vectors, seen: Seen, part: int) -> Int64[Tensor, "n m c"]:
        """Where vectors stand in an output: of one of the parts 2 to 5, x of it where it has x and y."""
        return vectors.places(self._channels(part, seen), count=self.channels, cells=seen.cells)

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

    def _channels(self, part: int, seen: Seen) -> Int64[Tensor, " m"]:
        """Of one of the parts 2 to 5, the channel of each keypoint or limb; the first of two where there are two."""
        return self._first_channels[part].to(seen.xy.device)

    @cached_property
    def _first_channels(self) -> Mapping[int, Int64[Tensor, " m"]]:
        limbs = torch.arange(len(self.limbs))
        own = {2: torch.zeros(self.keypoints, dtype=torch.int64), 3: 2 * limbs, 4: limbs, 5: self._ends[0]}
        return {part: sum(self._counts[:part]) + place for part, place in own.items()}

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
