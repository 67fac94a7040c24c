"""Random views for detectors: how large an image is shown, how much of it, turned by how much, alone or as one of four.

The defaults are those of Keypoint R-CNN's releases: a short side of 640 to 800 pixels, and a mirror. What chance decides
(`DetectorAugmentation.draw`) is apart from where it is applied (`transforms/detector_crop.py`).
"""

from dataclasses import dataclass
from typing import final

import torch

from poise.errors import InputError
from poise.transforms.drop import Drop
from poise.transforms.paint import Paint
from poise.transforms.rotated_boxes import BoxRule, check_box_rule

RELEASE_SIDES = (640, 672, 704, 736, 768, 800)
"""Of the short side, pixels (Detectron, `e2e_keypoint_rcnn_R-50-FPN_1x`)."""

MOSAIC_CENTRES = (0.3, 0.7)
"""Where the four images of a mosaic meet, in shares of its sides."""


@final
@dataclass(frozen=True)
class DetectorDraw:
    """What chance decided for one image.

    Attributes:
        side: Pixels of its short side.
        degrees: By which it turns, against the clock.
        flip: Whether it is mirrored.
        window: Shares of its height and width that are shown.
        place: Where that window lies, in shares of what is left (x, y).
        grey: Whether it loses its colours.
        tint: -1 to 1: brightness, contrast, saturation, and the gain of each channel.
        seed: Of what is painted and dropped.
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
    """What may be done to an image, in this order.

    Attributes:
        sides: Pixels that its short side gets; one of these, all alike.
        most: Pixels that its long side gets at most; None for any.
        rotation: It turns by U(-rotation, rotation) degrees about its middle ...
        turn: ... and, with this probability, by half a turn beside that. An image that then lies on its side gets a view that
            does.
        flip: Probability of a mirrored view.
        crop: Probability that only a window of it is shown ...
        crop_share: ... at least this share of its height, and of its width.
        mosaic: Probability of a view as large as its own in which four images, each half as large, stand beside each other.
        colour: Largest relative change of brightness, contrast, saturation and channel gains; 0 for none.
        grey: Probability of a view without colours.
        paint: Noise, blur and contrast on the finished view; None for none.
        drop: How information is dropped from the finished view (AID); None for not.
        boxes: How tight the boxes of turned people are (`transforms.rotated_boxes`).
        least: People of whose box less than this share is left inside the view are not learnt, nor is anything where they are.

    Raises:
        InputError: A probability or share outside 0..1, or a number of pixels or degrees that cannot be.
        UnknownName: There is no such rule for boxes.
    """

    sides: tuple[int, ...] = RELEASE_SIDES
    most: int | None = 1333
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
    least: float = 0.1

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("turn", "flip", "crop", "mosaic", "grey", "crop_share", "least", "colour"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"augmentation: {name} is a share or a probability, 0 to 1, not {getattr(self, name)}")
        if not 0 <= self.rotation <= 180:
            raise InputError(f"augmentation: rotation is in degrees, 0 to 180, not {self.rotation}")
        if not self.sides or min(self.sides) < 1 or (self.most is not None and self.most < 1):
            raise InputError(f"augmentation: sides and most are pixels, 1 and more, found {self.sides} and {self.most}")
        if self.crop and not self.crop_share:
            raise InputError("augmentation: a window of an image is more than nothing of it; give crop_share above 0")
        check_box_rule(self.boxes)

    def draw(self, generator: torch.Generator) -> DetectorDraw:
        """Let chance decide about one image.

        Always takes the same number of random numbers, so that options do not shift each other.
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
        """Where four images meet, in shares of the view's sides (x, y); None where one is shown alone."""
        chance, x, y = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
        low, high = MOSAIC_CENTRES
        return (low + (high - low) * x, low + (high - low) * y) if chance < self.mosaic else None
