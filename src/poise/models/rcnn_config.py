"""How a two-stage detector learns, and how its answers are made people: everything that is no layer of its network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, final, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from poise.errors import InputError

Suppression = Literal["hard", "soft"]
"""Of two boxes of one person the worse goes; or has its score lowered (Soft-NMS, arXiv 1704.04503)."""

KeypointScore = Literal["raw", "probability", "product"]
"""What is said of each keypoint: the codec's own number; how probable it is (`Calibration`); that times its box's score."""

Rating = Literal["box", "keypoints", "product"]
"""What people are ranked by: their box's score (the releases); the mean of their keypoints' probabilities; both multiplied."""


@final
@dataclass(frozen=True)
class Calibration:
    """Makes the codec's scores probabilities: 1 / (1 + exp((middle - score) / width)).

    Peaks of Gaussians lie between 0 and 1, and logits anywhere up to 40 or so; only calibrated they may be multiplied with the
    score of a box, and rank people alike.

    Attributes:
        middle: The score of a keypoint that is there as often as not.
        width: How fast the probability rises there.

    Raises:
        InputError: A width that is not above 0.
    """

    middle: float = 0.0
    width: float = 1.0

    def __post_init__(self) -> None:
        """Check the width."""
        if not 0 < self.width < float("inf"):
            raise InputError(f"a calibration needs a width above 0, found {self.width}")

    def __call__(self, score: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """The probabilities."""
        return torch.sigmoid((score - self.middle) / self.width)


@final
@dataclass(frozen=True)
class Learning:
    """Which proposals the heads learn from.

    Attributes:
        per_image: How many of an image, people's and nobody's together.
        positive: At most this share are people's ...
        overlap: ... which are those whose overlap (IoU) with a labelled box is at least this.
        truth: Whether the labelled boxes themselves join the proposals.
        copies: So many copies of each labelled box join them, off by as much as the detector's own boxes of other people
            (APDI, `roi_targets.jittered_like_detector`).
        posed: The keypoint head learns from at most so many people's proposals of an image; None for all of them.
        ignored: Nobody's proposals that lie in ignored regions by more than this share of their area are not learnt from.
        smooth: Errors of boxes count by their square up to here (in the coder's units), then by their size.

    Raises:
        InputError: A share outside 0 to 1, or a number below 1.
    """

    per_image: int = 512
    positive: float = 0.25
    overlap: float = 0.5
    truth: bool = True
    copies: int = 0
    posed: int | None = None
    ignored: float = 0.5
    smooth: float = 1 / 9

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("positive", "overlap", "ignored"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(f"learning of a detector: {name} is a share, above 0 up to 1, not {getattr(self, name)}")
        if self.per_image < 1 or self.copies < 0 or (self.posed is not None and self.posed < 1) or self.smooth < 0:
            raise InputError(
                "learning of a detector: per_image and posed are at least 1, copies and smooth at least 0, found "
                f"{self.per_image}, {self.posed}, {self.copies} and {self.smooth}"
            )


@final
@dataclass(frozen=True)
class LossWeights:
    """Factors of the parts of a detector's loss.

    Attributes:
        objectness: Whether an anchor is a person's.
        proposals: Where the person's box is from there.
        classes: Whether a proposal is a person's.
        boxes: Where the person's box is from there.
        keypoints: The codec's loss.
        masks: Which cells of the proposal are the person's.

    Raises:
        InputError: A factor below 0.
    """

    objectness: float = 1.0
    proposals: float = 1.0
    classes: float = 1.0
    boxes: float = 1.0
    keypoints: float = 1.0
    masks: float = 1.0

    def __post_init__(self) -> None:
        """Check the factors."""
        for name, factor in vars(self).items():
            if not 0 <= factor < float("inf"):
                raise InputError(f"weights of a detector's losses are 0 or more; {name} cannot be {factor}")


@final
@dataclass(frozen=True)
class RCNNConfig:
    """How a detector's answers are made people, and how it learns.

    The defaults are those of all releases of Keypoint R-CNN, but for the scores of people and keypoints.

    Attributes:
        score: Boxes of lower scores are not people's.
        nms: Boxes that overlap by more than this IoU are one person's.
        suppression: What becomes of the worse of two.
        sigma: How fast an overlapping box's score falls where it is only lowered.
        per_image: How many people an image has at most.
        keypoint_nms: Of two people nearer than this OKS only the better stays; None keeps both.
        keypoint_score: What is said of each keypoint.
        rating: What people are ranked by.
        calibration: Makes the codec's scores probabilities; None where they are, between 0 and 1.
        person: The class of people, counted from the background, 0. Other classes compete, and are left out.
        learning: Which proposals the heads learn from.
        weights: Factors of the parts of the loss.

    Raises:
        InputError: A threshold outside 0 to 1, a number below 1, or a word that means nothing here.
    """

    score: float = 0.05
    nms: float = 0.5
    suppression: Suppression = "hard"
    sigma: float = 0.5
    per_image: int = 100
    keypoint_nms: float | None = None
    keypoint_score: KeypointScore = "probability"
    rating: Rating = "product"
    calibration: Calibration | None = None
    person: int = 1
    learning: Learning = field(default_factory=Learning)
    weights: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        """Check words and numbers."""
        for name, words in (("suppression", Suppression), ("keypoint_score", KeypointScore), ("rating", Rating)):
            if getattr(self, name) not in get_args(words):
                raise InputError(f"detecting: {name} is {' or '.join(get_args(words))}, not {getattr(self, name)!r}")
        for name in ("score", "nms", "keypoint_nms"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"detecting: {name} is a number from 0 to 1, not {value}")
        if not self.sigma > 0:
            raise InputError(f"detecting: sigma is above 0, not {self.sigma}")
        for name in ("per_image", "person"):
            if getattr(self, name) < 1:
                raise InputError(f"detecting: {name} is at least 1, not {getattr(self, name)}")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "RCNNConfig":
        """What `dataclasses.asdict` made plain."""
        made = values.get("calibration")
        parts = {"learning": Learning(**values["learning"]), "weights": LossWeights(**values["weights"])}
        calibration = None if made is None else Calibration(**made)
        return cls(**{**values, **parts, "calibration": calibration})

    @property
    def reading(self) -> dict[str, Any]:
        """What says how answers are made people, without how it is learnt."""
        return {name: value for name, value in vars(self).items() if name not in ("learning", "weights")}

    @property
    def probable(self) -> bool:
        """Whether probabilities of keypoints are asked for."""
        return self.keypoint_score != "raw" or self.rating != "box"

    def probability(self, score: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """How probable keypoints are.

        Args:
            score: The codec's; without a calibration it counts as far as it is between 0 and 1.
        """
        return score.clamp(0, 1) if self.calibration is None else self.calibration(score)

    def rated(self, box_score: Float[Tensor, " n"], probability: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
        """What people are ranked by.

        Args:
            box_score: Of each person's box.
            probability: How probable each keypoint is.
        """
        mean = probability.mean(dim=1)
        return {"box": box_score, "keypoints": mean, "product": box_score * mean}[self.rating]
