"""Augmentation of whole images for detectors: scale, random crop, rotation, flip, mosaic, colour.

The defaults are those of Keypoint R-CNN's releases: a short side of 640 to 800 pixels and a horizontal flip. The random numbers
(`DetectorAugmentation.draw`) are drawn apart from where they are applied (`transforms/detector_crop.py`).
"""

from dataclasses import dataclass
from typing import final

import torch

from poise.errors import InputError
from poise.transforms.amounts import check_finite
from poise.transforms.drop import Drop
from poise.transforms.paint import Paint
from poise.transforms.rotated_boxes import BoxRule, check_box_rule

RELEASE_SIDES = (640, 672, 704, 736, 768, 800)
"""Lengths of the short side, pixels (Detectron, `e2e_keypoint_rcnn_R-50-FPN_1x`)."""

MOSAIC_CENTRES = (0.3, 0.7)
"""Range in which the common corner of a mosaic's four images is drawn, as a share of the view's sides."""


@final
@dataclass(frozen=True)
class DetectorDraw:
    """The random choices for one image.

    Attributes:
        side: Length of its short side, pixels.
        degrees: Rotation, counter-clockwise.
        flip: Whether it is mirrored.
        window: Shares of its height and width that the crop shows.
        place: Position of the crop, as shares (x, y) of the room that it can move in.
        grey: Whether it becomes greyscale.
        tint: Six random numbers of -1..1 for `colour_matrix`.
        seed: Seed of the generator for `paint` and `drop`.
    """

    side: int
    degrees: float = 0.0
    flip: bool = False
    window: tuple[float, float] = (1.0, 1.0)
    place: tuple[float, float] = (0.0, 0.0)
    grey: bool = False
    tint: tuple[float, ...] = (0.0,) * 6
    seed: int = 0


@final
@dataclass(frozen=True, kw_only=True)
class DetectorAugmentation:
    """How images are changed at random, in this order.

    Attributes:
        sides: Lengths of the short side, pixels, of which one is drawn, each as likely.
        max_side: Largest length of the long side, pixels; None for no limit.
        rotation: The image is rotated about its centre by U(-rotation, rotation) degrees ...
        turn: ... and, with this probability, by 180 degrees more. The view of an image that ends up on its side is turned too.
        flip: Probability of a horizontal flip.
        crop: Probability of a random crop ...
        crop_share: ... of at least this share of the height and of the width.
        mosaic: Probability of a mosaic: four images, each at half its size, in one view as large as that of the first.
        colour: Largest relative change of brightness, contrast, saturation and channel gains; 0 for none.
        grey: Probability of a greyscale view.
        paint: Noise, blur and contrast of the finished view; None for none.
        drop: Information dropping on the finished view (AID); None for none.
        boxes: Rule for the boxes of rotated people (`transforms.rotated_boxes`).
        min_visible: Least share of a person's box inside the view; others are not trained on, and their region is ignored.

    Raises:
        InputError: A probability or share outside 0..1, or an impossible number of pixels or degrees.
        UnknownName: No such rule for boxes.
    """

    sides: tuple[int, ...] = RELEASE_SIDES
    max_side: int | None = 1333
    rotation: float = 0.0
    turn: float = 0.0
    flip: float = 0.5
    crop: float = 0.0
    crop_share: float = 0.5
    mosaic: float = 0.0
    colour: float = 0.0
    grey: float = 0.0
    paint: Paint | None = None
    drop: Drop | None = None
    boxes: BoxRule = "body"
    min_visible: float = 0.1

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_finite(self)
        for name in ("turn", "flip", "crop", "mosaic", "grey", "crop_share", "min_visible", "colour"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"augmentation: {name} is a share or a probability, 0 to 1, not {getattr(self, name)}")
        if not 0 <= self.rotation <= 180:
            raise InputError(f"augmentation: rotation is in degrees, 0 to 180, not {self.rotation}")
        if not self.sides or min(self.sides) < 1 or (self.max_side is not None and self.max_side < 1):
            raise InputError(f"augmentation: sides and max_side are pixels, 1 and more, found {self.sides} and {self.max_side}")
        if self.crop and not self.crop_share:
            raise InputError("augmentation: a crop of share 0 shows nothing; give crop_share above 0")
        check_box_rule(self.boxes)

    def draw(self, generator: torch.Generator) -> DetectorDraw:
        """The random choices for one image.

        The same number of random numbers is drawn whatever the options are, so that one option does not change the draws of
        others.
        """
        side, angle, turn, flip, crop, high, wide, x, y, grey = torch.rand(
            10, generator=generator, dtype=torch.float64
        ).tolist()
        tint = (torch.rand(6, generator=generator, dtype=torch.float64) * 2 - 1).tolist()
        cut = crop < self.crop
        low = self.crop_share
        return DetectorDraw(
            side=self.sides[int(side * len(self.sides))],
            degrees=self.rotation * (2 * angle - 1) + (180.0 if turn < self.turn else 0.0),
            flip=flip < self.flip,
            window=(low + (1 - low) * high, low + (1 - low) * wide) if cut else (1.0, 1.0),
            place=(x, y),
            grey=grey < self.grey,
            tint=tuple(tint),
            seed=int(torch.randint(2**62, (), generator=generator)),
        )

    def mosaic_centre(self, generator: torch.Generator) -> tuple[float, float] | None:
        """The common corner of a mosaic's four images, in shares (x, y) of the view's sides; None for a view of one image."""
        chance, x, y = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
        low, high = MOSAIC_CENTRES
        return (low + (high - low) * x, low + (high - low) * y) if chance < self.mosaic else None
