"""Random views of one person: how much a recipe may scale, turn, mirror, move, halve and recolour."""

from dataclasses import dataclass
from typing import final

import torch

from poise.errors import InputError


@final
@dataclass(frozen=True)
class Draw:
    """What chance decided for one view."""

    scale: float
    degrees: float
    flip: bool
    shift: tuple[float, float]
    half_body: bool
    prefer_upper: bool


@final
@dataclass(frozen=True)
class Augmentation:
    """The Simple Baselines family's rule and what later releases added.

    Attributes:
        scale: The frame grows by clip(N(1, scale), 1 - scale, 1 + scale).
        rotation: The view turns by clip(N(0, rotation), -2 rotation, 2 rotation) degrees ...
        rotation_probability: ... with this probability, else not at all.
        flip: Probability of a mirrored view.
        translation: The frame moves by up to this share of its extent, per axis, uniformly.
        half_body: Probability of showing half a body (HRNet: 0.3) ...
        half_body_joints: ... when more than this many keypoints are labelled.
        colour: Largest relative change of brightness, contrast, saturation and channel gains; 0 for none.

    Raises:
        InputError: A probability outside 0..1 or a negative amount.
    """

    scale: float = 0.3
    rotation: float = 40.0
    rotation_probability: float = 0.6
    flip: float = 0.5
    translation: float = 0.0
    half_body: float = 0.0
    half_body_joints: int = 8
    colour: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("rotation_probability", "flip", "half_body"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"augmentation: {name} is a probability, 0 to 1, not {getattr(self, name)}")
        for name in ("scale", "translation", "colour"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"augmentation: {name} is a share, 0 to below 1, not {getattr(self, name)}")
        if self.rotation < 0:
            raise InputError(f"augmentation: rotation is in degrees, 0 or more, not {self.rotation}")

    def draw(self, generator: torch.Generator) -> Draw:
        """Let chance decide. Always takes the same number of random numbers, so that options do not shift each other."""
        normal = torch.randn(3, generator=generator).tolist()
        uniform = torch.rand(5, generator=generator).tolist()
        scale = min(max(1 + self.scale * normal[0], 1 - self.scale), 1 + self.scale)
        degrees = min(max(self.rotation * normal[1], -2 * self.rotation), 2 * self.rotation)
        return Draw(
            scale=scale,
            degrees=degrees if uniform[0] < self.rotation_probability else 0.0,
            flip=uniform[1] < self.flip,
            shift=((2 * uniform[2] - 1) * self.translation, (2 * uniform[3] - 1) * self.translation),
            half_body=uniform[4] < self.half_body,
            prefer_upper=normal[2] < 0.5,  # the release compares randn(), not rand(): 69 % upper
        )
