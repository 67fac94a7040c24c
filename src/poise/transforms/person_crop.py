"""From a sample to a view of one person: frame, warp, one resampling, labels carried along."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError
from poise.geometry import Warp, apply, scaling, shearing, translation
from poise.skeletons import Skeleton
from poise.structures import Labels, Preprocess, Sample, View
from poise.transforms.colour import apply_colour_matrix, colour_matrix
from poise.transforms.crop import (
    Frame,
    aspect_ratio,
    box_frame,
    crop_warp,
    frame_warp,
    is_centred,
    mirrored_frame_warp,
    pixel_warp,
)
from poise.transforms.half_body import half_body
from poise.transforms.jitter import Augmentation, Draw, RepeatMode
from poise.transforms.render import normalise, render, resample


@final
@dataclass(frozen=True)
class PersonCrop:
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

    def __post_init__(self) -> None:
        """Check that the skeleton has what the augmentation names."""
        strange = sorted(set(self.augmentation.half_body_upper if self.augmentation else ()) - set(self.skeleton.keypoints))
        if strange:
            raise InputError(f"augmentation: half_body_upper names {', '.join(strange)}, which {self.skeleton.name!r} has not")

    @property
    def repeat_modes(self) -> tuple[RepeatMode | None, ...]:
        """The views of each person in an epoch; one that chance decides about, where the augmentation repeats nobody."""
        return (self.augmentation.repeat if self.augmentation is not None else ()) or (None,)

    @cached_property
    def _upper(self) -> Tensor:
        named = (self.augmentation and self.augmentation.half_body_upper) or self.skeleton.upper
        return torch.tensor([n in named for n in self.skeleton.keypoints])

    def __call__(
        self, sample: Sample, person: int, generator: torch.Generator | None = None, *, repeat_mode: RepeatMode | None = None
    ) -> View:
        """The view of one person of a sample.

        Args:
            sample: Image and labels.
            person: Row of the labels.
            generator: Chance, needed where there is an augmentation.
            repeat_mode: Which of the augmentation's repetitions this is; None where nobody is repeated.

        Raises:
            BoxError: The person's box has no extent.
            InputError: There is an augmentation and no generator.
        """
        labels = sample.labels.select(slice(person, person + 1))
        preprocess = self.preprocess
        if self.augmentation is None:
            warp = crop_warp(preprocess, labels.boxes[0], size=self.size)
            image = render(sample.image, pixel_warp(preprocess.crop, warp), size=self.size, preprocess=preprocess)
            return self._view(sample, labels, warp, image, person=person)
        if generator is None:
            raise InputError("a cutter with an augmentation needs a torch.Generator for its chances")
        draw = self.augmentation.draw(generator, repeat_mode=repeat_mode)
        warp, pixel = self.random_warps(draw, labels, width=sample.size[1])
        own = torch.Generator().manual_seed(draw.seed)
        image = normalise(self._painted(resample(sample.image, pixel, self.size, fill=preprocess.fill), draw, own), preprocess)
        if self.augmentation.drop is not None:
            image = self.augmentation.drop.draw(self.size, own).apply(image, preprocess)
        moved = mirror_labels(labels, self.skeleton.flip) if draw.flip else labels
        return self._view(sample, moved, warp, image, person=person)

    def is_centred(self, labels: Labels, person: int) -> bool:
        """Whether the person's keypoints lie around the middle of the view without augmentation (`well_centred`)."""
        seen = box_frame(self.preprocess, labels.boxes[person], size=self.size)
        return is_centred(seen, labels.xy[person], labels.visible[person])

    def crop_box(
        self, image: UInt8[Tensor, "3 H W"], box: Float[Tensor, "4"], *, angle: float = 0.0
    ) -> tuple[Float[Tensor, "3 h w"], Warp]:
        """The normalised view of a box, and its warp (3x3, image pixels to view pixels, for keypoints).

        Args:
            image: RGB.
            box: x0 y0 x1 y1, pixels of the image; of a turned box, the box before it is turned about its centre.
            angle: Degrees by which the box is turned, clockwise on the screen; the view shows it upright.

        Raises:
            BoxError: The box has no extent.
        """
        warp = crop_warp(self.preprocess, box, size=self.size, angle=angle)
        pixels = pixel_warp(self.preprocess.crop, warp, angle=angle)
        return render(image, pixels, size=self.size, preprocess=self.preprocess), warp

    def random_warps(self, draw: Draw, labels: Labels, *, width: int) -> tuple[Warp, Warp]:
        """The warps of one draw for keypoints and for pixels, which differ for CPN only.

        Half body, scale, translation, mirror, rotation, in the releases' order; then stretched and sheared in the view.
        """
        rule = self.preprocess.crop
        seen = self._random_frame(draw, labels).scaled(draw.scale).shifted(*draw.shift)
        if draw.flip:
            warp = mirrored_frame_warp(rule, seen, size=self.size, width=width, degrees=draw.degrees)
        else:
            warp = frame_warp(rule, seen, size=self.size, degrees=draw.degrees)
        pixel = pixel_warp(rule, warp)
        if draw.stretch == (1.0, 1.0) and draw.shear == (0.0, 0.0):
            return warp, pixel
        bent = _stretch_and_shear(draw, self.size)
        return bent @ warp, bent @ pixel

    def _random_frame(self, draw: Draw, labels: Labels) -> Frame:
        """The frame before it is scaled and moved: of half a body where chance says so and there is one."""
        rule, options = self.preprocess.crop, self.augmentation or Augmentation()
        w, h = options.sides or self.preprocess.sides
        random = replace(self.preprocess, sides=(w * (1 + draw.grow[0]), h * (1 + draw.grow[1])))
        whole = box_frame(random, labels.boxes[0], size=self.size)
        if not draw.half_body or int((labels.visible > 0).sum()) <= options.half_body_joints:
            return whole
        half = half_body(
            labels.xy[0],
            labels.visible[0],
            self._upper,
            prefer_upper=draw.prefer_upper,
            ratio=aspect_ratio(rule, self.size),
            rule=rule,
            grow=draw.grow,
        )
        return half if half is not None and min(half.extent) > 0 else whole

    def _painted(self, pixels: UInt8[np.ndarray, "h w 3"], draw: Draw, own: torch.Generator) -> UInt8[np.ndarray, "h w 3"]:
        options = self.augmentation or Augmentation()
        if options.colour > 0 or options.gain > 0:
            pixels = apply_colour_matrix(pixels, np.array(draw.gains)[:, None] * colour_matrix(options.colour, draw.tint))
        return pixels if options.paint is None else options.paint.draw(self.size, own).apply(pixels)

    def _view(self, sample: Sample, labels: Labels, warp: Warp, image: Float[Tensor, "3 h w"], *, person: int) -> View:
        moved = replace(labels, xy=apply(warp, labels.xy), boxes=warp_boxes(warp, labels.boxes))
        return View(image=image, labels=moved, warp=warp, key=sample.key, person=person)


def mirror_labels(labels: Labels, flip: Int64[Tensor, " k"]) -> Labels:
    """Labels whose left keypoints have become right ones; positions are moved by the warp, not here."""
    return replace(labels, xy=labels.xy[:, flip], visible=labels.visible[:, flip])


def _stretch_and_shear(draw: Draw, size: Size) -> Warp:
    x, y = (size[1] - 1) / 2, (size[0] - 1) / 2
    return translation(x, y) @ shearing(*draw.shear) @ scaling(*draw.stretch) @ translation(-x, -y)


def warp_boxes(warp: Warp, boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
    """The upright boxes around where a warp brings the corners of boxes x0 y0 x1 y1."""
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    moved = apply(warp, corners)
    return torch.cat((moved.amin(dim=1), moved.amax(dim=1)), dim=1)
