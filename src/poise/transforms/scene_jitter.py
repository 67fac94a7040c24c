"""Random views of whole scenes: how much a recipe may scale, turn, stretch, mirror, move and recolour them.

The defaults are those of OffsetGuided's release. What chance decides (`SceneAugmentation.draw`) is apart from where it is
applied (`transforms/scene_crop.py`).
"""

from dataclasses import dataclass
from typing import Literal, final

import torch

from poise.errors import InputError
from poise.transforms.drop import Drop
from poise.transforms.paint import Paint


@final
@dataclass(frozen=True)
class SceneDraw:
    """What chance decided for one view.

    Attributes:
        scale: Factor on the image.
        degrees: By which it turns, against the clock.
        flip: Whether it is mirrored.
        stretch: Factors on x and y, on top of the scale.
        shift: By which it moves, in shares of the view's sides (x, y).
        shaken: Whether labelled keypoints are moved a little, each for itself.
        grey: Whether the view loses its colours.
        hsv: Added to hue (of 180), saturation and value (of 255); None for nothing.
        tint: -1 to 1: brightness, contrast, saturation, and the gain of each channel.
        seed: Of what is shaken, painted and dropped.
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
    """OffsetGuided's rule, and what our own recipes add to it.

    Attributes:
        scale_range: The image is scaled by a uniform number of this range ...
        scale_of: ... of its own pixels (the release), or of the size in which the whole image just fits into the view.
        rotation: It turns by U(-rotation, rotation) degrees.
        flip: Probability of a mirrored view.
        stretch: Each axis is stretched by U(1 - stretch, 1 + stretch).
        translation: The middle of all labelled keypoints lies off the middle of the view by up to this share of its sides,
            uniformly (the release: 150 of 512 pixels).
        min_area: People whose annotated area (pixels of the image) is not above it are not learnt (the release: 32^2) ...
        small: ... but count as "background" (the release), or their boxes are to "ignore".
        shake: Every labelled coordinate is moved by a uniform number of this range, pixels of the view ...
        shake_probability: ... with this probability for all keypoints of a view.
        grey: Probability of a view without colours.
        hsv: Largest change of hue (of 180), saturation and value (of 255), whole numbers ...
        hsv_probability: ... with this probability.
        colour: Largest relative change of brightness, contrast, saturation and channel gains; 0 for none.
        paint: Noise, blur and contrast on the finished view; None for none.
        drop: How information is dropped from the finished view (AID); None for not.

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
        """Let chance decide.

        Always takes the same number of random numbers, so that options do not shift each other.
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
