"""Configuration of a two-stage detector: proposal sampling, losses, thresholds, NMS, scores."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, final, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from poise.errors import InputError

Suppression = Literal["hard", "soft", "soft-linear"]
"""NMS: of two overlapping boxes the lower-scored is removed, or its score is lowered (Soft-NMS, arXiv 1704.04503): by a
Gaussian of the IoU, or by 1 - IoU from the IoU `nms` on."""

KeypointScore = Literal["raw", "probability", "product"]
"""Keypoint score: the codec's own; its probability (`Calibration`); the probability times the box score."""

Rating = Literal["box", "keypoints", "product"]
"""Pose score, which ranks people: the box score (the releases); the mean probability of the keypoints; their product."""


@final
@dataclass(frozen=True)
class Calibration:
    """Converts keypoint scores of a codec to probabilities: 1 / (1 + exp((middle - score) / width)).

    Peaks of Gaussian heatmaps lie between 0 and 1, logits go up to about 40; a product with the box score needs probabilities.

    Attributes:
        middle: Score at which the probability is 0.5.
        width: Scale of the logistic curve, in units of the score; smaller is steeper.

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
        """Probability of each score, 0 to 1."""
        return torch.sigmoid((score - self.middle) / self.width)


@final
@dataclass(frozen=True)
class Learning:
    """Sampling of the proposals that the heads are trained on.

    Attributes:
        per_image: Proposals sampled per image, positives and negatives together.
        positive: Largest share of positives among them.
        overlap: Lowest IoU with a labelled box at which a proposal is positive.
        truth: Whether the labelled boxes are added to the proposals.
        copies: Jittered copies of each labelled box that are added, each off by as much as some box that the detector found
            (our reading of APDI, `roi_targets.jittered_like_detector`).
        copies_in_rpn: Whether the RPN learns from the copies too: an anchor that overlaps a copy enough is positive, and is to
            move to the labelled box.
        posed: Most positives per image that the keypoint head learns from; None for all.
        ignored: Negatives with more than this share of their area in ignored regions are left out.
        smooth: Beta of smooth L1 on box deltas: quadratic below it, linear above.

    Raises:
        InputError: A share outside 0 to 1, or a number below 1.
    """

    per_image: int = 512
    positive: float = 0.25
    overlap: float = 0.5
    truth: bool = True
    copies: int = 0
    copies_in_rpn: bool = False
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
        objectness: RPN, binary cross-entropy of anchors.
        proposals: RPN, smooth L1 of the deltas of positive anchors.
        classes: Box head, cross-entropy of proposals over the classes.
        boxes: Box head, smooth L1 of the deltas of positive proposals.
        keypoints: Keypoint head, the codec's loss.
        masks: Mask head, binary cross-entropy of the cells of positive proposals.
        centerness: Of one-stage detectors, binary cross-entropy of how far in the middle of its box a cell is; these have no
            `objectness` and no `proposals`.

    Raises:
        InputError: A factor below 0.
    """

    objectness: float = 1.0
    proposals: float = 1.0
    classes: float = 1.0
    boxes: float = 1.0
    keypoints: float = 1.0
    masks: float = 1.0
    centerness: float = 1.0

    def __post_init__(self) -> None:
        """Check the factors."""
        for name, factor in vars(self).items():
            if not 0 <= factor < float("inf"):
                raise InputError(f"weights of a detector's losses are 0 or more; {name} cannot be {factor}")


@final
@dataclass(frozen=True)
class RCNNConfig:
    """Postprocessing of a detector (thresholds, NMS, scores), and how it is trained.

    The defaults are those of all releases of Keypoint R-CNN, except pose scores and keypoint scores.

    Attributes:
        score: Lowest box score (confidence) that is kept.
        nms: IoU above which two boxes are duplicates; of linear Soft-NMS the IoU from which scores are lowered.
        suppression: NMS ("hard") or Soft-NMS ("soft", "soft-linear").
        sigma: Width of the Gaussian penalty of Soft-NMS.
        per_image: Largest number of boxes per image.
        keypoint_nms: OKS above which two people are duplicates (OKS-NMS); None for no OKS-NMS.
        keypoint_score: Keypoint score that is returned.
        rating: Pose score that ranks people.
        calibration: Converts the codec's scores to probabilities; None where they are probabilities already.
        person: Index of the class of people; 0 is the background. Other classes take part in `per_image`, and are dropped.
        learning: Sampling of the proposals that the heads are trained on.
        weights: Factors of the parts of the loss.

    Raises:
        InputError: A threshold outside 0 to 1, a number below 1, or an unknown option.
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
                raise InputError(f"config: {name} is {' or '.join(get_args(words))}, not {getattr(self, name)!r}")
        for name in ("score", "nms", "keypoint_nms"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"config: {name} is a number from 0 to 1, not {value}")
        if not self.sigma > 0:
            raise InputError(f"config: sigma is above 0, not {self.sigma}")
        for name in ("per_image", "person"):
            if getattr(self, name) < 1:
                raise InputError(f"config: {name} is at least 1, not {getattr(self, name)}")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "RCNNConfig":
        """The configuration from the plain values of `dataclasses.asdict`."""
        plain = values.get("calibration")
        parts = {"learning": Learning(**values["learning"]), "weights": LossWeights(**values["weights"])}
        calibration = None if plain is None else Calibration(**plain)
        return cls(**{**values, **parts, "calibration": calibration})

    @property
    def reading(self) -> dict[str, Any]:
        """The fields that matter in inference, by name."""
        return {name: value for name, value in vars(self).items() if name not in ("learning", "weights")}

    @property
    def needs_probability(self) -> bool:
        """Whether keypoint score or pose score need the probabilities of keypoints."""
        return self.keypoint_score != "raw" or self.rating != "box"

    def probability(self, score: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Probabilities of keypoints, 0 to 1.

        Args:
            score: Scores of the codec; without a calibration they are clamped to 0 to 1.
        """
        return score.clamp(0, 1) if self.calibration is None else self.calibration(score)

    def pose_score(self, box_score: Float[Tensor, " n"], probability: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
        """Pose scores, which rank people.

        Args:
            box_score: Confidence of each person's box.
            probability: Probability of each keypoint.
        """
        mean = probability.mean(dim=1)
        return {"box": box_score, "keypoints": mean, "product": box_score * mean}[self.rating]
