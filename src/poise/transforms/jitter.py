"""Augmentation of views of one person: random scale, rotation, flip, shift, half body, colour, information dropping."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, final, get_args

import torch

from poise.errors import InputError
from poise.transforms.amounts import check_finite
from poise.transforms.drop import Drop
from poise.transforms.paint import Paint

RepeatMode = Literal["plain", "flip", "turn"]
"""View of a person in recipes that show each person several times in an epoch: plain, mirrored or rotated."""


@final
@dataclass(frozen=True)
class Draw:
    """The random choices for one view.

    Attributes:
        scale: Factor on the frame.
        degrees: Rotation of the content.
        flip: Whether the view is mirrored.
        shift: Shift of the frame, in shares of its extent.
        half_body: Whether half of the body is shown, where enough keypoints are labelled ...
        prefer_upper: ... and whether that is the upper body, if both are possible.
        grow: Shares by which the box grows before its aspect is fixed, width and height.
        stretch: Factors on the finished view, x and y.
        shear: Shear along x and along y, degrees.
        tint: Six random numbers of -1..1 for `colour_matrix`.
        gains: Factors on red, green and blue.
        seed: Seed of the generator for `paint` and `drop`.
        fill: Grey of what lies outside the image, 0 to 255; None for the colour of the model's preprocessing.
        refit: Whether the frame is drawn anew around the person after rotation, stretch and shear.
    """

    scale: float
    degrees: float
    flip: bool
    shift: tuple[float, float]
    half_body: bool
    prefer_upper: bool
    grow: tuple[float, float] = (0.0, 0.0)
    stretch: tuple[float, float] = (1.0, 1.0)
    shear: tuple[float, float] = (0.0, 0.0)
    tint: tuple[float, ...] = (0.0,) * 6
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    seed: int = 0
    fill: float | None = None
    refit: bool = False


@final
@dataclass(frozen=True)
class Augmentation:
    """How views are changed at random: the rule of Simple Baselines, and what other releases add.

    Attributes:
        scale: The frame grows by clip(N(1, scale), 1 - scale, 1 + scale).
        rotation: The view is rotated by clip(N(0, rotation), -2 rotation, 2 rotation) degrees ...
        rotation_probability: ... with this probability, else not at all.
        flip: Probability of a horizontal flip.
        translation: The frame is shifted by up to this share of its extent, per axis, uniformly.
        half_body: Probability of showing half of the body (HRNet: 0.3) ...
        half_body_joints: ... if more than this many keypoints are labelled.
        colour: Largest relative change of brightness, contrast, saturation and channel gains; 0 for none.
        scale_range: The frame grows by a uniform number of this range instead (MSPN: 0.6 to 1.0; CPN: 0.7 to 1.35) ...
        max_scale: ... but at most by this (CPN: 1.25, the part of the image that it had cropped before); None for no limit.
        rotation_law: "uniform" rotates by U(-rotation, rotation) degrees instead (MSPN, CPN).
        sides: Factors on the sides of the box in training, in place of the model's `Preprocess.sides` (MSPN: 1.05 each).
        extents: The sides grow by up to these shares more, each uniformly (MSPN: 0.6 and 0.8).
        half_body_upper: Keypoints of the upper body; empty for those of the skeleton (MSPN adds the hips).
        gain: Each channel is multiplied by U(1 - gain, 1 + gain) (CPN: 0.2).
        stretch: A rotated view is also stretched along each axis by U(1 - stretch, 1 + stretch) (animals: 0.5) ...
        shear: ... and sheared along each axis by U(-shear, shear) degrees (animals: 20).
        truncated: Whether scale, rotation and shift are 1 + `scale` t, `rotation` t degrees and shares `translation` t of the
            frame instead, with t normal but between -1 and 1 (MMPose 1.x: 0.4, 80, 0.16) ...
        translation_probability: ... and the probability of a shift (MMPose: 0.3).
        hsv: Largest steps added to hue (of 180, circular), saturation and value (of 255), each drawn uniformly and each left
            out of half of the views (YOLOX: 5, 30, 30).
        random_fill: Whether what lies outside the image has a random grey in rotated views (animals).
        refit: Whether the frame is drawn anew around the person after rotation, stretch and shear, which then change the shape
            of the person but not its place and size (animals).
        repeat: Views of each person in an epoch (CPN: plain, flip, turn, turn); empty for one, with `flip` and
            `rotation_probability` as they are.
        paint: Noise, blur and contrast of the finished view (animals); None for none.
        drop: Information dropping on the finished view (AID); None for none.

    Raises:
        InputError: A probability outside 0..1, a negative amount, or an empty range.
    """

    scale: float = 0.3
    rotation: float = 40.0
    rotation_probability: float = 0.6
    flip: float = 0.5
    translation: float = 0.0
    half_body: float = 0.0
    half_body_joints: int = 8
    colour: float = 0.0
    scale_range: tuple[float, float] | None = None
    max_scale: float | None = None
    rotation_law: Literal["normal", "uniform"] = "normal"
    sides: tuple[float, float] | None = None
    extents: tuple[float, float] = (0.0, 0.0)
    half_body_upper: tuple[str, ...] = ()
    gain: float = 0.0
    stretch: float = 0.0
    shear: float = 0.0
    truncated: bool = False
    translation_probability: float = 1.0
    hsv: tuple[float, float, float] = (0.0, 0.0, 0.0)
    random_fill: bool = False
    refit: bool = False
    repeat: tuple[RepeatMode, ...] = ()
    paint: Paint | None = None
    drop: Drop | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_finite(self)
        for name in ("rotation_probability", "translation_probability", "flip", "half_body"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"augmentation: {name} is a probability, 0 to 1, not {getattr(self, name)}")
        for name in ("scale", "translation", "colour", "gain", "stretch"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"augmentation: {name} is a share, 0 to below 1, not {getattr(self, name)}")
        if self.rotation < 0:
            raise InputError(f"augmentation: rotation is in degrees, 0 or more, not {self.rotation}")
        if not 0 <= self.shear < 45:
            raise InputError(f"augmentation: shear is in degrees, 0 to below 45, not {self.shear}")
        self._check_ranges()

    def _check_ranges(self) -> None:
        if self.scale_range is not None and not 0 < self.scale_range[0] <= self.scale_range[1]:
            raise InputError(f"augmentation: scale_range goes from a factor above 0 to one not smaller, not {self.scale_range}")
        if self.max_scale is not None and not self.max_scale > 0:
            raise InputError(f"augmentation: max_scale is a factor above 0, not {self.max_scale}")
        if self.sides is not None and not min(self.sides) > 0:
            raise InputError(f"augmentation: sides are factors above 0, not {self.sides}")
        if min(self.hsv) < 0:
            raise InputError(f"augmentation: hsv are steps, 0 or more, not {self.hsv}")
        if min(self.extents) < 0:
            raise InputError(f"augmentation: extents are shares, 0 or more, not {self.extents}")
        if self.rotation_law not in ("normal", "uniform"):
            raise InputError(f"augmentation: rotation_law is normal or uniform, not {self.rotation_law!r}")
        strange = sorted(set(self.repeat) - set(get_args(RepeatMode)))
        if strange:
            raise InputError(
                f"augmentation: repeat takes {', '.join(get_args(RepeatMode))}, not {', '.join(map(str, strange))}"
            )

    def draw(self, generator: torch.Generator, *, repeat_mode: RepeatMode | None = None) -> Draw:
        """The random choices for one view.

        The same number of random numbers is drawn whatever the options are, so that one option does not change the draws of
        others.

        Args:
            generator: Source of the random numbers.
            repeat_mode: Decides about flip and rotation in place of chance, where each person is shown several times.
        """
        normal = torch.randn(3, generator=generator).tolist()
        uniform = torch.rand(5, generator=generator).tolist()
        tint = (torch.rand(6, generator=generator).double() * 2 - 1).tolist()
        grow = torch.rand(2, generator=generator).tolist()
        more = (torch.rand(9, generator=generator).double() * 2 - 1).tolist()
        seed = int(torch.randint(2**62, (), generator=generator))
        rotated = uniform[0] < self.rotation_probability if repeat_mode is None else repeat_mode == "turn"
        return Draw(
            scale=self._scale(normal[0], (more[0] + 1) / 2),
            degrees=self._degrees(normal[1], more[1]) if rotated else 0.0,
            flip=uniform[1] < self.flip if repeat_mode is None else repeat_mode == "flip",
            shift=self._shift((2 * uniform[2] - 1, 2 * uniform[3] - 1), chance=(seed >> 32) % 2**24 / 2**24),
            half_body=uniform[4] < self.half_body,
            prefer_upper=normal[2] < 0.5,  # the release compares randn(), not rand(): 69 % upper
            grow=(grow[0] * self.extents[0], grow[1] * self.extents[1]),
            stretch=(1 + more[2] * self.stretch, 1 + more[3] * self.stretch) if rotated else (1.0, 1.0),
            shear=(more[4] * self.shear, more[5] * self.shear) if rotated else (0.0, 0.0),
            tint=tuple(tint),
            gains=(1 + more[6] * self.gain, 1 + more[7] * self.gain, 1 + more[8] * self.gain),
            seed=seed,
            fill=float(seed % 256) if rotated and self.random_fill else None,
            refit=rotated and self.refit,
        )

    def _shift(self, uniform: tuple[float, float], *, chance: float) -> tuple[float, float]:
        if chance >= self.translation_probability:
            return 0.0, 0.0
        x, y = (truncated_normal(value) for value in uniform) if self.truncated else uniform
        return x * self.translation, y * self.translation

    def _scale(self, normal: float, uniform: float) -> float:
        if self.truncated:
            return 1 + self.scale * truncated_normal(2 * uniform - 1)
        if self.scale_range is None:
            drawn = min(max(1 + self.scale * normal, 1 - self.scale), 1 + self.scale)
        else:
            drawn = self.scale_range[0] + (self.scale_range[1] - self.scale_range[0]) * uniform
        return drawn if self.max_scale is None else min(drawn, self.max_scale)

    def _degrees(self, normal: float, uniform: float) -> float:
        if self.truncated:
            return self.rotation * truncated_normal(uniform)
        if self.rotation_law == "uniform":
            return self.rotation * uniform
        return min(max(self.rotation * normal, -2 * self.rotation), 2 * self.rotation)


def truncated_normal(uniform: float) -> float:
    """A number of the standard normal distribution between -1 and 1, from an even one of that range.

    >>> [round(truncated_normal(value), 3) for value in (-1.0, 0.0, 0.5, 1.0)]
    [-1.0, 0.0, 0.442, 1.0]
    """
    law = NormalDist()
    return law.inv_cdf(0.5 + uniform * (law.cdf(1.0) - 0.5))


SUPER = Augmentation(
    scale=0.0,
    rotation=30.0,
    rotation_law="uniform",
    rotation_probability=0.5,
    translation=0.05,
    stretch=0.5,
    shear=20.0,
    random_fill=True,
    refit=True,
    paint=Paint(),
)
"""The super augmentation of Learning from Synthetic Animals (arXiv 1912.08265), for networks that learn from rendered images.

Half of the views are rotated by up to 30 degrees, stretched along each axis by 0.5 to 1.5, sheared by up to 20 degrees and have
a random grey outside the image; half of them get noise, half blur, half another contrast; half are mirrored; all are shifted by
up to 5 %.
"""
