"""DEKR (arXiv 2104.02300): heatmaps of keypoints and of centres, and around each centre the offsets of its keypoints."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.associative import check_output
from poise.codecs.centre_targets import (
    Centres,
    LabelledCells,
    centre_offsets,
    centres_of,
    draw_windows,
    heat_error,
    supervised_cells,
)
from poise.codecs.scene import SceneCodec
from poise.decoding.centre_poses import CentreConfig, CentrePoses, people_by_centres
from poise.decoding.scene_maps import merged_maps, unflipped_offsets
from poise.dims import Size
from poise.errors import InputError
from poise.scenes import People, Scenes

STRIDE = 4
"""Pixels from cell to cell."""

SMOOTH = 1 / 9
"""Beta of the smooth L1 loss of offsets, cells."""

Rescore = Callable[[CentrePoses], Float[Tensor, " n"]]
"""Says how good poses are."""

LEAST_SCORE = 1e-6
"""Score of keypoints whose heat is not positive: a regressed keypoint always has a place."""


@final
@dataclass(frozen=True)
class CentreRegression(SceneCodec):
    """Heatmaps, that of centres last, and offsets from each keypoint to the cells around its person's centre.

    Cell i stands for pixel 4 i. Offsets are in cells; a keypoint is the cell minus its offset.

    Attributes:
        sigma: Deviation of the Gaussians of keypoints, cells.
        centre_sigma: Deviation of those of centres, cells.
        radius: Half of the side of the square around a centre that has offsets, cells.
        background: Weight of cells outside of all Gaussians.
        offset_weight: Factor on the loss of offsets.
        smallest: Side of the square that has the area of the smallest box whose centre is learnt, pixels of the view.
        centres: How people are read; by the rule "mmpose", heatmaps are learnt as MMPose makes them, too.

    Raises:
        InputError: A number that is not above 0.
    """

    sigma: float = 2.0
    centre_sigma: float = 4.0
    radius: int = 4
    background: float = 0.1
    offset_weight: float = 0.03
    smallest: float = 32.0
    centres: CentreConfig = field(default_factory=CentreConfig)

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        if not min(self.sigma, self.centre_sigma) > 0 or self.radius < 1 or not min(self.background, self.offset_weight) >= 0:
            raise InputError(
                "centre regression: sigma, centre_sigma and radius are above 0, background and offset_weight not below; found "
                f"{self.sigma}, {self.centre_sigma}, {self.radius}, {self.background} and {self.offset_weight}"
            )

    @property
    def stride(self) -> int:
        """Four pixels to a cell."""
        return STRIDE

    @property
    def origin(self) -> float:
        """Cell 0 stands for pixel 0."""
        return 0.0

    @property
    def mirror_shift(self) -> int:
        """Three pixels: then the last cell of the mirrored view stands for its last pixel but three, as cell 0 for pixel 0."""
        return STRIDE - 1

    @property
    def parts(self) -> tuple[int, ...]:
        """Heatmaps with that of centres, and x and y of each offset."""
        return self.keypoints + 1, 2 * self.keypoints

    @property
    def tolerance(self) -> float:
        """Pixels; perfect offsets are exact, resized ones not."""
        return 1.0

    def split(self, output: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b q h w"], Float[Tensor, "b v h w"]]:
        """Heatmaps, and offsets."""
        heat, offsets = torch.split(output, list(self.parts), dim=1)
        return heat, offsets

    def encode(self, scenes: Scenes) -> Float[Tensor, "b c h w"]:
        """The targets; offsets are 0 in cells without any."""
        cells, centres = self._labels(scenes)
        heat, _ = self._heat(scenes, cells, centres)
        offsets, _ = centre_offsets(cells, centres, (len(scenes), *heat.shape[2:]), radius=self.radius)
        return torch.cat((heat, offsets), dim=1)

    def loss(self, output: Float[Tensor, "b c h w"], scenes: Scenes) -> Float[Tensor, ""]:
        """The weighted squared error of the heatmaps, and the smooth L1 of offsets, nearer ones of smaller people first."""
        check_output(self, output, scenes)
        heat, offsets = self.split(output)
        cells, centres = self._labels(scenes)
        target, weight = self._heat(scenes, cells, centres)
        seen = supervised_cells(scenes.ignore, STRIDE)
        known = F.pad(scenes.supervised, (0, 1), value=True)[:, :, None, None]
        wrong = heat_error(heat, target, weight * (seen & known))
        aim, share = centre_offsets(cells, centres, (len(scenes), *heat.shape[2:]), radius=self.radius)
        error: Tensor = wrong + self.offset_weight * offset_loss(offsets, aim, share * seen)
        return error

    def _labels(self, scenes: Scenes) -> tuple[LabelledCells, Centres]:
        cells = LabelledCells.of(scenes, STRIDE)
        return cells, centres_of(cells, cells.inside, scenes.extent >= self.smallest)

    def _heat(
        self, scenes: Scenes, cells: LabelledCells, centres: Centres
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c h w"]]:
        """Gaussians of keypoints and centres, and the weight of each cell."""
        heat = scenes.xy.new_zeros(len(scenes), self.keypoints + 1, *self.cells(scenes.size))
        drawn = torch.zeros_like(heat)
        middle = LabelledCells(cells.scene, centres.xy[:, None], centres.there[:, None])
        nearest = self.centres.rule == "mmpose"
        cells, middle, edge = (cells.nearest(), middle.nearest(), 0) if nearest else (cells, middle, 1)
        channels = self._channels.to(heat.device)
        for maps, flat in ((heat, False), (drawn, True)):
            draw_windows(maps, cells, channels[:-1], sigma=self.sigma, flat=flat, edge=edge)
            draw_windows(maps, middle, channels[-1:], sigma=self.centre_sigma, flat=flat, edge=edge)
        return heat, drawn + self.background * (drawn == 0)

    def decode(self, output: Float[Tensor, "b c h w"], rescore: Rescore | None = None) -> list[People]:
        """The people of each view, the best first: their score is the mean of their keypoints'.

        Args:
            output: Maps.
            rescore: Gives a factor on the score of each pose.
        """
        heat, offsets = self.split(output.detach().float().nan_to_num(0, 0, 0))
        found = [people_by_centres(*view, self.centres, stride=STRIDE) for view in zip(heat.cpu(), offsets.cpu(), strict=True)]
        factors = [one.heat.new_ones(len(one.xy)) if rescore is None else rescore(one) for one in found]
        people = [
            People(one.xy, one.score.clamp(min=LEAST_SCORE), one.score.mean(dim=1) * factor)
            for one, factor in zip(found, factors, strict=True)
        ]
        return [_best_first(one).map_tensors(lambda part: part.to(output.device)) for one in people]

    def merge(
        self, output: Float[Tensor, "b c h w"], mirrored: Float[Tensor, "b c h w"], flip: Int64[Tensor, " k"]
    ) -> Float[Tensor, "b c h w"]:
        """The mean of both."""
        heat, offsets = zip(self.split(output), self.split(mirrored), strict=True)
        order = torch.cat((flip, flip.new_tensor([self.keypoints])))
        back = unflipped_offsets(offsets[1], flip).flatten(1, 2)
        return torch.cat((merged_maps(*heat, order), (offsets[0] + back) / 2), dim=1)

    def resized(self, output: Float[Tensor, "b c h w"], cells: Size) -> Float[Tensor, "b c hh ww"]:
        """All maps resized linearly; offsets are scaled with the view."""
        if output.shape[2:] == cells:
            return output
        growth = output.new_tensor((cells[1] / output.shape[3], cells[0] / output.shape[2]))
        heat, offsets = self.split(F.interpolate(output, cells, mode="bilinear", align_corners=False))
        return torch.cat((heat, offsets * growth.repeat(self.keypoints)[:, None, None]), dim=1)

    def picture(self, output: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """The heatmaps of keypoints."""
        return output[:, : self.keypoints].float().nan_to_num(0.0).clamp(0, 1)

    @cached_property
    def _channels(self) -> Int64[Tensor, " k"]:
        with torch.inference_mode(False):  # kept, and used in training too
            return torch.arange(self.keypoints + 1)


def offset_loss(
    offsets: Float[Tensor, "b v h w"], target: Float[Tensor, "b v h w"], weight: Float[Tensor, "b v h w"]
) -> Float[Tensor, ""]:
    """Weighted smooth L1, divided by the number of offsets that count.

    Args:
        offsets: Predicted offsets, cells.
        target: The offsets.
        weight: Weight of each; 0 where none is learnt.
    """
    there = weight > 0
    wrong = F.smooth_l1_loss(offsets.where(there, 0), target.where(there, 0), reduction="none", beta=SMOOTH)
    return (wrong * weight).sum() / there.sum().clamp(min=1)


def _best_first(people: People) -> People:
    best = people.pose_score.argsort(descending=True, stable=True)
    return replace(people, xy=people.xy[best], score=people.score[best], pose_score=people.pose_score[best])
