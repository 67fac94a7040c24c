"""Top-down crops: from a sample to the view of one person, with one resampling, labels warped along."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, TypeVar, final, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError
from poise.geometry import Reduction, Warp, apply, horizontal_flip, invert, rotation, scaling, shearing, translation
from poise.skeletons import Skeleton
from poise.structures import Labels, Preprocess, Sample, View
from poise.transforms.aligned_crop import person_frame
from poise.transforms.colour import apply_colour_matrix, colour_matrix, shift_hsv
from poise.transforms.crop import (
    Frame,
    aspect_ratio,
    box_frame,
    frame_warp,
    is_centred,
    mirrored_frame_warp,
    pixel_warp,
)
from poise.transforms.half_body import half_body
from poise.transforms.jitter import Augmentation, Draw, RepeatMode
from poise.transforms.render import normalise, render, resample


@runtime_checkable
class AnyDraw(Protocol):
    """The random choices for a view: a frozen dataclass."""

    @property
    def flip(self) -> bool:
        """Whether the view is mirrored."""


D = TypeVar("D", bound=AnyDraw)
"""The random choices for a view of any kind."""


@final
@dataclass(frozen=True)
class PersonCrop:
    """Crops views of one size as a model's preprocessing says; randomly, if there is an augmentation.

    Attributes:
        size: Size of the views (h, w).
        preprocess: Crop rule, padding, colours of the model.
        skeleton: Its mirror pairs and upper body are used.
        augmentation: How views are changed at random; None for testing.
        reduction: How the pixels of images lie in the whole ones, where those are read smaller; boxes are of the whole ones.
    """

    size: Size
    preprocess: Preprocess
    skeleton: Skeleton
    augmentation: Augmentation | None = None
    reduction: Reduction | None = None

    def __post_init__(self) -> None:
        """Check that the skeleton has what the augmentation names."""
        strange = sorted(set(self.augmentation.half_body_upper if self.augmentation else ()) - set(self.skeleton.keypoints))
        if strange:
            raise InputError(
                f"augmentation: half_body_upper names {', '.join(strange)}, which skeleton {self.skeleton.name!r} does not have"
            )

    @property
    def repeat_modes(self) -> tuple[RepeatMode | None, ...]:
        """The views of each person in an epoch; a single None where the augmentation does not repeat people."""
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
            person: Index of the person in the labels.
            generator: Source of random choices; needed if there is an augmentation.
            repeat_mode: Repeat mode of this view; None where people are not repeated.

        Raises:
            BoxError: The person's box has no extent.
            InputError: There is an augmentation and no generator.
        """
        labels = sample.labels.select(slice(person, person + 1))
        preprocess = self.preprocess
        if self.augmentation is None:
            frame = person_frame(preprocess, labels, self.skeleton, size=self.size)
            image, warp = self.crop_frame(sample.image, frame)
            return self._view(sample, labels, warp, image, person=person)
        if generator is None:
            raise InputError("an augmentation needs a torch.Generator for its random choices; pass one as generator")
        draw = mirror_if_known(self.augmentation.draw(generator, repeat_mode=repeat_mode), self.skeleton)
        warp, pixel = self.random_warps(draw, labels, width=sample.size[1])
        own = torch.Generator().manual_seed(draw.seed)
        fill = preprocess.fill if draw.fill is None else (draw.fill,) * 3
        image = normalise(self._change_colours(resample(sample.image, pixel, self.size, fill=fill), draw, own), preprocess)
        if self.augmentation.drop is not None:
            image = self.augmentation.drop.draw(self.size, own).apply(image, preprocess)
        flipped = mirror_labels(labels, self.skeleton.flip) if draw.flip else labels
        return self._view(sample, flipped, warp, image, person=person)

    def is_centred(self, labels: Labels, person: int) -> bool:
        """Whether a person's keypoints lie around the centre of the view without augmentation (`crop.is_centred`).

        Args:
            labels: Labels of the image.
            person: Index of the person.
        """
        frame = person_frame(self.preprocess, labels.select(slice(person, person + 1)), self.skeleton, size=self.size)
        return is_centred(frame, labels.xy[person], labels.visible[person])

    def crop_box(
        self, image: UInt8[Tensor, "3 H W"], box: Float[Tensor, "4"], *, angle: float = 0.0
    ) -> tuple[Float[Tensor, "3 h w"], Warp]:
        """The normalised view of a box, and its warp (3x3, image pixels to view pixels, for keypoints).

        Args:
            image: RGB.
            box: x0 y0 x1 y1, pixels of the image; for a rotated box, the box before its rotation about its centre.
            angle: Degrees by which the box is rotated, clockwise on the screen; the view shows it upright.

        Raises:
            BoxError: The box has no extent.
        """
        return self.crop_frame(image, box_frame(self.preprocess, box, size=self.size, angle=angle))

    def crop_frame(self, image: UInt8[Tensor, "3 H W"], frame: Frame) -> tuple[Float[Tensor, "3 h w"], Warp]:
        """The normalised view of a frame, and its warp (3x3, image pixels to view pixels, for keypoints).

        Args:
            image: RGB.
            frame: The region to show; the view shows it upright.
        """
        warp = frame_warp(self.preprocess.crop, frame, size=self.size)
        pixels = pixel_warp(self.preprocess.crop, warp, angle=frame.angle)
        if self.reduction is not None:
            pixels = pixels @ invert(self.reduction.warp)
        return render(image, pixels, size=self.size, preprocess=self.preprocess), warp

    def random_warps(self, draw: Draw, labels: Labels, *, width: int) -> tuple[Warp, Warp]:
        """The warps of one draw, for keypoints and for pixels (3x3, image pixels to view pixels); they differ for CPN alone.

        In the order of the releases: half body, scale, shift, flip, rotation; then stretch and shear in the view.

        Args:
            draw: The random choices.
            labels: Labels of the person alone.
            width: Width of the image, pixels.
        """
        rule = self.preprocess.crop
        if draw.refit:
            warp = self._refitted(draw, labels, width=width)
            return warp, pixel_warp(rule, warp)
        frame = self._random_frame(draw, labels).scaled(draw.scale).shifted(*draw.shift)
        if draw.flip:
            warp = mirrored_frame_warp(rule, frame, size=self.size, width=width, degrees=draw.degrees)
        else:
            warp = frame_warp(rule, frame, size=self.size, degrees=draw.degrees)
        pixel = pixel_warp(rule, warp, angle=frame.angle)
        if draw.stretch == (1.0, 1.0) and draw.shear == (0.0, 0.0):
            return warp, pixel
        bent = _stretch_and_shear(draw, self.size)
        return bent @ warp, bent @ pixel

    def _refitted(self, draw: Draw, labels: Labels, *, width: int) -> Warp:
        """The warp of a person that is bent in the image first, and then cropped by the box around it.

        The box goes around the bent keypoints and the bent middles of the sides of the box, which its outline touches.
        """
        x0, y0, x1, y1 = labels.boxes[0].tolist()
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        about = (
            translation(x, y) @ shearing(*draw.shear) @ scaling(*draw.stretch) @ rotation(draw.degrees) @ translation(-x, -y)
        )
        mirror = horizontal_flip(width) if draw.flip else translation(0.0, 0.0)
        bent = mirror @ about
        sides = torch.tensor([(x, y0), (x1, y), (x, y1), (x0, y)], dtype=torch.float64)
        seen = apply(bent, torch.cat((labels.xy[0][labels.visible[0] > 0].double(), sides)))
        around = torch.cat((seen.amin(dim=0), seen.amax(dim=0))).float()
        alone = replace(labels, boxes=around[None], xy=apply(bent, labels.xy))
        frame = self._random_frame(draw, alone).scaled(draw.scale).shifted(*draw.shift)
        return frame_warp(self.preprocess.crop, frame, size=self.size) @ bent

    def _random_frame(self, draw: Draw, labels: Labels) -> Frame:
        """The frame before scale and shift: that of half of the body if drawn and possible."""
        rule, options = self.preprocess.crop, self.augmentation or Augmentation()
        w, h = options.sides or self.preprocess.sides
        random = replace(self.preprocess, sides=(w * (1 + draw.grow[0]), h * (1 + draw.grow[1])))
        whole = person_frame(random, labels, self.skeleton, size=self.size)
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

    def _change_colours(
        self, pixels: UInt8[np.ndarray, "h w 3"], draw: Draw, own: torch.Generator
    ) -> UInt8[np.ndarray, "h w 3"]:
        options = self.augmentation or Augmentation()
        if options.colour > 0 or options.gain > 0:
            pixels = apply_colour_matrix(pixels, np.array(draw.gains)[:, None] * colour_matrix(options.colour, draw.tint))
        if any(options.hsv):
            chances = torch.rand(6, generator=own)
            steps = ((2 * chances[:3] - 1) * torch.tensor(options.hsv) * (chances[3:] < 0.5)).round().int().tolist()
            pixels = shift_hsv(pixels, (steps[0], steps[1], steps[2]), circular=True)
        return pixels if options.paint is None else options.paint.draw(self.size, own).apply(pixels)

    def _view(self, sample: Sample, labels: Labels, warp: Warp, image: Float[Tensor, "3 h w"], *, person: int) -> View:
        warped = replace(labels, xy=apply(warp, labels.xy), boxes=warp_boxes(warp, labels.boxes))
        return View(image=image, labels=warped, warp=warp, key=sample.key, person=person)


def mirror_if_known(draw: D, skeleton: Skeleton) -> D:
    """The random choices, without a flip where it is unknown which keypoints a flip exchanges (`Skeleton.mirrors`)."""
    return draw if skeleton.mirrors or not draw.flip else replace(draw, flip=False)  # type: ignore[type-var]  # a dataclass


def mirror_labels(labels: Labels, flip: Int64[Tensor, " k"]) -> Labels:
    """Labels with left and right keypoints exchanged; positions are mirrored by the warp, not here."""
    return replace(labels, xy=labels.xy[:, flip], visible=labels.visible[:, flip])


def _stretch_and_shear(draw: Draw, size: Size) -> Warp:
    x, y = (size[1] - 1) / 2, (size[0] - 1) / 2
    return translation(x, y) @ shearing(*draw.shear) @ scaling(*draw.stretch) @ translation(-x, -y)


def warp_boxes(warp: Warp, boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
    """Upright boxes x0 y0 x1 y1 around the warped corners of boxes.

    Args:
        warp: 3x3.
        boxes: Boxes x0 y0 x1 y1.
    """
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    warped = apply(warp, corners)
    return torch.cat((warped.amin(dim=1), warped.amax(dim=1)), dim=1)
