"""Associative embedding (arXiv 1611.05424) as HigherHRNet (arXiv 1908.10357) uses it: heatmaps, and a tag of each keypoint."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.centre_targets import LabelledCells, draw_windows, heat_error, supervised_cells
from poise.codecs.scene import SceneCodec
from poise.decoding.scene_maps import merged_maps
from poise.decoding.tags import TagConfig, people_by_tags
from poise.dims import Size
from poise.errors import InputError
from poise.losses.tags import TagPush, tag_losses
from poise.scenes import People, Scenes

APART = 16.0
"""Difference of the tags of two people in a perfect output."""

REACH = 3
"""Cells around a keypoint that have its tag in a perfect output."""


@final
@dataclass(frozen=True)
class AssociativeEmbedding(SceneCodec):
    """Heatmaps, and maps of tags that are alike for the keypoints of one person.

    An output has a heatmap for each keypoint, then a map of tags for each; after the flip test a second one for each, of the
    mirrored view, so that a tag has two values.

    Attributes:
        order: Indices of the keypoints in the order in which they are grouped (`tags.grouping_order`); () for their own.
        cell: Pixels from cell to cell.
        sigma: Deviation of the Gaussians, cells.
        tagged: Whether there are maps of tags; without any, nobody can be read (the finer output of HigherHRNet).
        grouping: How people are read; by the rule "mmpose", positions are learnt on the nearest cells as MMPose does.
        tag_weight: Factor on the losses of tags.
        push: How tags of two people are pushed apart.

    Raises:
        InputError: An order that is none of the keypoints, or a number that is not above 0.
    """

    order: tuple[int, ...] = ()
    cell: int = 2
    sigma: float = 2.0
    tagged: bool = True
    grouping: TagConfig = field(default_factory=TagConfig)
    tag_weight: float = 0.001
    push: TagPush = "exp"

    def __post_init__(self) -> None:
        """Check order and numbers."""
        super().__post_init__()
        if self.order and sorted(self.order) != list(range(self.keypoints)):
            raise InputError(f"the order of grouping names each of the {self.keypoints} keypoints once; found {self.order}")
        if self.cell < 1 or not self.sigma > 0 or not self.tag_weight >= 0:
            raise InputError(
                f"associative embedding: cell and sigma are above 0, tag_weight not below; found {self.cell}, {self.sigma} and "
                f"{self.tag_weight}"
            )

    @property
    def stride(self) -> int:
        """Pixels from cell to cell."""
        return self.cell

    @property
    def origin(self) -> float:
        """The middle of the pixels that are rounded down to cell 0."""
        return self.cell / 2

    @property
    def parts(self) -> tuple[int, ...]:
        """Heatmaps, and tags where there are any."""
        return (self.keypoints, self.keypoints) if self.tagged else (self.keypoints,)

    @property
    def tolerance(self) -> float:
        """Two cells: positions are rounded to whole ones, differently in the mirrored view."""
        return 2.0 * self.cell

    def encode(self, scenes: Scenes) -> Float[Tensor, "b c h w"]:
        """Gaussians on the cells that positions are rounded down to, and around them one tag for each person."""
        cells = self._cells(scenes)
        output = scenes.xy.new_zeros(len(scenes), self.channels, *self.cells(scenes.size))
        self._draw(output, cells)
        if self.tagged:
            self._write_tags(output[:, self.keypoints :], cells)
        return output

    def _draw(self, maps: Float[Tensor, "b c h w"], cells: LabelledCells) -> None:
        edge = 0 if self.grouping.rule == "mmpose" else 1
        draw_windows(maps, cells, self._channels.to(maps.device), sigma=self.sigma, edge=edge)

    def _write_tags(self, maps: Float[Tensor, "b k h w"], cells: LabelledCells) -> None:
        """A multiple of `APART` around each keypoint; people are counted from the top of their view."""
        at = _middles(cells)
        same = cells.scene[:, None] == cells.scene
        rank = (same & (at[None] < at[:, None])).sum(dim=1)
        reach = torch.arange(-REACH, REACH + 1, device=maps.device)
        x, y = (cells.xy[..., axis, None].long() + reach for axis in (0, 1))
        there = ((x >= 0) & (x < maps.shape[3]))[:, :, None] & ((y >= 0) & (y < maps.shape[2]))[..., None]
        there = there & cells.inside[..., None, None]
        person, keypoint, row, column = there.nonzero().unbind(dim=1)
        value = (rank[person] + 1).to(maps) * APART
        maps[cells.scene[person], keypoint, y[person, keypoint, row], x[person, keypoint, column]] = value

    def loss(self, output: Float[Tensor, "b c h w"], scenes: Scenes) -> Float[Tensor, ""]:
        """The squared error of the heatmaps, and what pulls tags of a person together and pushes those of others apart."""
        self._check(output, scenes)
        cells, seen = self._cells(scenes), supervised_cells(scenes.ignore, self.cell)
        heat = output[:, : self.keypoints]
        target = heat.new_zeros(heat.shape)
        self._draw(target, cells)
        counted = seen & scenes.supervised[:, :, None, None]
        error = heat_error(heat, target, counted.to(heat))
        if not (self.tagged and self.tag_weight):
            return error
        pull, push = self._tag_errors(output[:, self.keypoints :], cells, seen)
        return error + self.tag_weight * (pull + push)

    def _tag_errors(
        self, tags: Float[Tensor, "b k h w"], cells: LabelledCells, seen: Tensor
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Pull and push, the means over all views."""
        x, y = (cells.xy.long().clamp(min=0)[..., axis].clamp(max=tags.shape[3 - axis] - 1) for axis in (0, 1))
        scene, keypoint = cells.scene[:, None].expand(x.shape), self._channels.to(x.device).expand(x.shape)
        labelled = cells.inside & seen[scene, 0, y, x]
        values = tags[scene, keypoint, y, x].where(labelled, 0)
        views = [cells.scene == view for view in range(len(tags))]
        each = [tag_losses(values[own], labelled[own], push=self.push) for own in views]
        pull, push = (torch.stack(part).mean() for part in zip(*each, strict=True))
        return pull, push

    def decode(self, output: Float[Tensor, "b c h w"]) -> list[People]:
        """The people of each view, from maps enlarged to pixels (`PROJECT2IMAGE`); the best first."""
        if output.shape[1] < 2 * self.keypoints:
            raise InputError("people are grouped by tags, and this output has none")
        values = output.detach().float().nan_to_num(0, 0, 0)
        size = (output.shape[2] * self.cell, output.shape[3] * self.cell)
        large = F.interpolate(values, size, mode="bilinear", align_corners=False)
        return [self._people(view) for view in large]

    def _people(self, maps: Float[Tensor, "c h w"]) -> People:
        heat, *tags = torch.split(maps, self.keypoints)
        order = self.order or range(self.keypoints)
        found, score = people_by_tags(heat, torch.stack(tags, dim=-1), self.grouping, order=order)
        people, pose_score = torch.from_numpy(found).to(maps), torch.from_numpy(score).to(maps)
        best = pose_score.argsort(descending=True, stable=True)
        value = people[best, :, 2]
        return People(people[best, :, :2].masked_fill((value <= 0)[..., None], 0), value.clamp(min=0), pose_score[best])

    def merge(
        self, output: Float[Tensor, "b c h w"], mirrored: Float[Tensor, "b c h w"], flip: Int64[Tensor, " k"]
    ) -> Float[Tensor, "b _ h w"]:
        """Heatmaps are averaged; tags of the mirrored view, whose values are others, follow those of the view."""
        heat, tags = (
            merged_maps(output[:, : self.keypoints], mirrored[:, : self.keypoints], flip),
            mirrored[:, self.keypoints :],
        )
        back = tags.flip(-1)[:, flip] if self.tagged else tags
        return torch.cat((heat, output[:, self.keypoints :], back), dim=1)

    def averaged(self, outputs: list[Float[Tensor, "b c h w"]], *, main: int) -> Float[Tensor, "b c h w"]:
        """The mean of the heatmaps; the tags of one scale alone, for those of others are others."""
        mean = torch.stack([output[:, : self.keypoints] for output in outputs]).mean(dim=0)
        return torch.cat((mean, outputs[main][:, self.keypoints :]), dim=1)

    def resized(self, output: Float[Tensor, "b c h w"], cells: Size) -> Float[Tensor, "b c hh ww"]:
        """All maps resized linearly."""
        return F.interpolate(output, cells, mode="bilinear", align_corners=False) if output.shape[2:] != cells else output

    def picture(self, output: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """The heatmaps."""
        return output[:, : self.keypoints].float().nan_to_num(0.0).clamp(0, 1)

    def _cells(self, scenes: Scenes) -> LabelledCells:
        """The keypoints on whole cells, rounded towards 0 as in the release, or to the nearest as in MMPose."""
        cells = LabelledCells.of(scenes, self.cell)
        if self.grouping.rule == "higherhrnet":
            return LabelledCells(cells.scene, cells.xy.trunc(), cells.inside)
        near, (h, w) = cells.nearest(), self.cells(scenes.size)
        return LabelledCells(near.scene, near.xy, near.inside & (near.xy < near.xy.new_tensor((w, h))).all(dim=-1))

    @cached_property
    def _channels(self) -> Int64[Tensor, " k"]:
        with torch.inference_mode(False):  # kept, and used in training too
            return torch.arange(self.keypoints)

    def _check(self, output: Tensor, scenes: Scenes) -> None:
        check_output(self, output, scenes)


def check_output(codec: SceneCodec, output: Tensor, scenes: Scenes) -> None:
    """Refuse an output that is not for these views and keypoints.

    Raises:
        InputError: Its shape is another.
    """
    expected = (len(scenes), codec.channels, *codec.cells(scenes.size))
    if output.shape != expected or scenes.xy.shape[1] != codec.keypoints:
        raise InputError(
            f"{type(codec).__name__} expects an output of shape {expected} for these views and {codec.keypoints} keypoints, "
            f"found {tuple(output.shape)} and {scenes.xy.shape[1]}; the network must be built for this codec"
        )


def _middles(cells: LabelledCells) -> Float[Tensor, " n"]:
    """A number that orders people from the top to the bottom of a view, those beside each other from the left."""
    count = cells.inside.sum(dim=1).clamp(min=1)
    middle = (cells.xy * cells.inside[..., None]).sum(dim=1) / count[:, None]
    return middle[:, 1].double() + middle[:, 0].double() * 1e-6
