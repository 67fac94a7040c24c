"""From a sample to a view of one person: frame, warp, one resampling, labels carried along."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError
from poise.geometry import Warp, apply, mirror
from poise.skeletons import Skeleton
from poise.structures import Labels, Preprocess, Sample, View
from poise.transforms.colour import colour_matrix, recolour
from poise.transforms.crop import Frame, aspect, crop_warp, frame, frame_warp, well_centred
from poise.transforms.half_body import half_body
from poise.transforms.jitter import Augmentation, Draw
from poise.transforms.render import normalise, render, resample


@final
@dataclass(frozen=True)
class Cutter:
    """Cuts views of one size, as a model's preprocessing says; randomly where there is an augmentation.

    Attributes:
        size: Of the views, (h, w).
        preprocess: Of the model.
        skeleton: Whose mirror pairs and upper body are used.
        augmentation: None for testing.
    """

    size: Size
    preprocess: Preprocess
    skeleton: Skeleton
    augmentation: Augmentation | None = None

    @cached_property
    def _upper(self) -> Tensor:
        return torch.tensor([n in self.skeleton.upper for n in self.skeleton.keypoints])

    def __call__(self, sample: Sample, person: int, generator: torch.Generator | None = None) -> View:
        """The view of one person of a sample.

        Args:
            sample: Image and labels.
            person: Row of the labels.
            generator: Chance, needed where there is an augmentation.

        Raises:
            BoxError: The person's box has no extent.
            InputError: There is an augmentation and no generator.
        """
        labels = sample.labels.select(slice(person, person + 1))
        seen = frame(self.preprocess.crop, labels.boxes[0], size=self.size, padding=self.preprocess.padding)
        if self.augmentation is None:
            warp = frame_warp(self.preprocess.crop, seen, size=self.size)
            pixels = resample(sample.image, warp, self.size)
            return self._view(sample, labels, warp, normalise(pixels, self.preprocess), person=person)
        if generator is None:
            raise InputError("a cutter with an augmentation needs a torch.Generator for its chances")
        draw = self.augmentation.draw(generator)
        warp = self.random_warp(draw, seen, labels, width=sample.size[1])
        pixels = resample(sample.image, warp, self.size)
        if self.augmentation.colour > 0:
            pixels = recolour(pixels, colour_matrix(self.augmentation.colour, generator))
        moved = mirrored(labels, self.skeleton.flip) if draw.flip else labels
        return self._view(sample, moved, warp, normalise(pixels, self.preprocess), person=person)

    def centred(self, labels: Labels, person: int) -> bool:
        """Whether the person's keypoints lie around the middle of the view without augmentation (`well_centred`)."""
        seen = frame(self.preprocess.crop, labels.boxes[person], size=self.size, padding=self.preprocess.padding)
        return well_centred(seen, labels.xy[person], labels.visible[person])

    def box(self, image: UInt8[Tensor, "3 H W"], box: Float[Tensor, "4"]) -> tuple[Float[Tensor, "3 h w"], Warp]:
        """The normalised view of a box x0 y0 x1 y1 of an image, and its warp.

        Raises:
            BoxError: The box has no extent.
        """
        warp = crop_warp(self.preprocess.crop, box, size=self.size, padding=self.preprocess.padding)
        return render(image, warp, size=self.size, preprocess=self.preprocess), warp

    def random_warp(self, draw: Draw, seen: Frame, labels: Labels, *, width: int) -> Warp:
        """The warp of one draw: half body, scale, translation, mirror, rotation, in the releases' order."""
        rule = self.preprocess.crop
        options = self.augmentation or Augmentation()
        if draw.half_body and int((labels.visible > 0).sum()) > options.half_body_joints:
            half = half_body(
                labels.xy[0],
                labels.visible[0],
                self._upper,
                prefer_upper=draw.prefer_upper,
                ratio=aspect(rule, self.size),
                rule=rule,
            )
            seen = half if half is not None and min(half.extent) > 0 else seen
        seen = seen.scaled(draw.scale).moved(*draw.shift)
        if not draw.flip:
            return frame_warp(rule, seen, size=self.size, degrees=draw.degrees)
        return frame_warp(rule, seen.mirrored(width), size=self.size, degrees=draw.degrees) @ mirror(width)

    def _view(self, sample: Sample, labels: Labels, warp: Warp, image: Float[Tensor, "3 h w"], *, person: int) -> View:
        moved = replace(labels, xy=apply(warp, labels.xy), boxes=_box_through(warp, labels.boxes))
        return View(image=image, labels=moved, warp=warp, key=sample.key, person=person)


def mirrored(labels: Labels, flip: Int64[Tensor, " k"]) -> Labels:
    """Labels whose left keypoints have become right ones; positions are moved by the warp, not here."""
    return replace(labels, xy=labels.xy[:, flip], visible=labels.visible[:, flip])


def _box_through(warp: Warp, boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    moved = apply(warp, corners)
    return torch.cat((moved.amin(dim=1), moved.amax(dim=1)), dim=1)
