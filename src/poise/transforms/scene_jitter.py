"""Augmentation of whole images for bottom-up models: random scale, rotation, stretch, flip, shift and colour.

The defaults are those of OffsetGuided's release. The random choices (`SceneAugmentation.draw`) are drawn apart from where they
are applied (`transforms/scene_crop.py`).
"""

from dataclasses import dataclass
from typing import Literal, final

import torch

from poise.errors import InputError
from poise.transforms.amounts import check_finite
from poise.transforms.drop import Drop
from poise.transforms.paint import Paint


@final
@dataclass(frozen=True)
class SceneDraw:
    """The random choices for one view.

    Attributes:
        scale: Factor on the image.
        degrees: Rotation, counter-clockwise.
        flip: Whether the view is mirrored.
        stretch: Factors on x and y, on top of the scale.
        shift: Shift, in shares (x, y) of the view's sides.
        shaken: Whether the labelled keypoints are jittered, each on its own.
        grey: Whether the view becomes greyscale.
        hsv: Added to hue (0..180), saturation and value (0..255); None for nothing.
        tint: Six random numbers of -1..1 for `colour_matrix`.
        seed: Seed of the generator for jitter, `paint` and `drop`.
    """

    scale: float = 1.0
    degrees: float = 0.0
    flip: bool = False
    stretch: tuple[float, float] = (1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)
    shaken: bool = False
    grey: bool = False
    hsv: tuple[int, int, int] | None = None
    tint: tuple[float, ...] = (0.0,) * 6
    seed: int = 0


@final
@dataclass(frozen=True, kw_only=True)
class SceneAugmentation:
    """How whole images are changed at random: OffsetGuided's rule, and what our own recipes add.

    Attributes:
        scale_range: The image is scaled by a uniform number of this range ...
        scale_of: ... of its own pixels ("image", the release), or of the size at which it just fits into the view ("view").
        rotation: It is rotated by U(-rotation, rotation) degrees.
        flip: Probability of a horizontal flip.
        stretch: Each axis is stretched by U(1 - stretch, 1 + stretch).
        translation: The centre of all labelled keypoints lies off the middle of the view by up to this share of its sides,
            uniformly (the release: 150 of 512 pixels).
        min_area: People whose annotated area (square pixels of the image) is at most this are not trained on (the release:
            32^2) ...
        small: ... but are "background" (the release), or their boxes are ignored ("ignore").
        shake: A uniform number of this range, pixels of the view, is added to every labelled coordinate ...
        shake_probability: ... with this probability for all keypoints of a view.
        grey: Probability of a greyscale view.
        hsv: Largest change of hue (0..180), saturation and value (0..255), integers ...
        hsv_probability: ... with this probability.
        colour: Largest relative change of brightness, contrast, saturation and channel gains; 0 for none.
        paint: Noise, blur and contrast of the finished view; None for none.
        drop: Information dropping on the finished view (AID); None for none.

    Raises:
        InputError: A probability outside 0..1, a negative amount, or an empty range.
    """

    scale_range: tuple[float, float] = (0.5, 2.0)
    scale_of: Literal["image", "view"] = "image"
    rotation: float = 45.0
    flip: float = 0.5
    stretch: float = 0.05
    translation: float = 150 / 512
    min_area: float = 32.0**2
    small: Literal["background", "ignore"] = "background"
    shake: tuple[float, float] = (0.5, 1.5)
    shake_probability: float = 0.2
    grey: float = 0.02
    hsv: tuple[int, int, int] = (10, 40, 30)
    hsv_probability: float = 0.2
    colour: float = 0.0
    paint: Paint | None = None
    drop: Drop | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_finite(self)
        for name in ("flip", "shake_probability", "grey", "hsv_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"augmentation: {name} is a probability, 0 to 1, not {getattr(self, name)}")
        for name in ("stretch", "translation", "colour"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"augmentation: {name} is a share, 0 to below 1, not {getattr(self, name)}")
        if not 0 < self.scale_range[0] <= self.scale_range[1]:
            raise InputError(f"augmentation: scale_range goes from a factor above 0 to one not smaller, not {self.scale_range}")
        if self.rotation < 0:
            raise InputError(f"augmentation: rotation is in degrees, 0 or more, not {self.rotation}")
        self._check_amounts()

    def _check_amounts(self) -> None:
        if self.shake[0] > self.shake[1]:
            raise InputError(f"augmentation: shake goes from a number of pixels to one not smaller, not {self.shake}")
        if min(self.hsv) < 0:
            raise InputError(f"augmentation: hsv are three whole numbers, 0 or more, not {self.hsv}")
        if self.min_area < 0:
            raise InputError(f"augmentation: min_area is in square pixels, 0 or more, not {self.min_area}")
        for name, allowed in (("scale_of", ("image", "view")), ("small", ("background", "ignore"))):
            if getattr(self, name) not in allowed:
                raise InputError(f"augmentation: {name} is {' or '.join(allowed)}, not {getattr(self, name)!r}")

    def draw(self, generator: torch.Generator) -> SceneDraw:
        """The random choices for one view.

        The same number of random numbers is drawn whatever the options are, so that one option does not change the draws of
        others.
        """
        scale, flip, shaken, grey, tinted, *hsv = torch.rand(8, generator=generator, dtype=torch.float64).tolist()
        more = (torch.rand(11, generator=generator, dtype=torch.float64) * 2 - 1).tolist()
        low, high = self.scale_range
        hue, saturation, value = (int(share * (2 * most + 1)) - most for share, most in zip(hsv, self.hsv, strict=True))
        return SceneDraw(
            scale=low + (high - low) * scale,
            degrees=self.rotation * more[0],
            flip=flip < self.flip,
            stretch=(1 + self.stretch * more[1], 1 + self.stretch * more[2]),
            shift=(self.translation * more[3], self.translation * more[4]),
            shaken=shaken < self.shake_probability,
            grey=grey < self.grey,
            hsv=(hue, saturation, value) if tinted < self.hsv_probability else None,
            tint=tuple(more[5:]),
            seed=int(torch.randint(2**62, (), generator=generator)),
        )
