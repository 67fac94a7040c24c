"""The values that go in and out of a model: images and views, how poses are scored, labels on their way through a codec."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, final

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from poise.codecs.base import InstanceCodec
from poise.codecs.dynamic_bins import DynamicBins
from poise.codecs.roi import RoICodec
from poise.codecs.scene import SceneCodec
from poise.dims import Size
from poise.errors import InputError
from poise.metrics.oks import oks_nms, soft_oks_scores
from poise.skeletons import Skeleton
from poise.structures import Key, Labels, Poses
from poise.transforms.crop import Frame

Codec: TypeAlias = InstanceCodec | SceneCodec | RoICodec | DynamicBins
"""Any codec: for views of one person, for whole views, for boxes of a detector, RTMO's."""

Image: TypeAlias = UInt8[Tensor, "3 H W"]
"""RGB pixels of 0 to 255."""

Decoder: TypeAlias = Callable[..., Any]
"""Decodes an output of the network, as the codec's `decode` does."""

Batch: TypeAlias = Any
"""A training batch: `structures.Batch`, `scenes.SceneBatch`, or a type of the model's own."""

Decay = Literal["gauss", "linear"]
"""Decay of soft OKS-NMS (`metrics.oks.decayed_scores`)."""

SOFT = ("soft", "soft-linear", "soft-lowered", "soft-linear-lowered")
"""Words for soft OKS-NMS."""

SOFT_OKS = 0.9
"""Parameter of its decay in HRNet's release, for models without OKS-NMS."""


@final
@dataclass(frozen=True)
class Part:
    """A part of a model's network that another runtime may run (`inference.runtime`): from tensors to tensors.

    Attributes:
        module: Dotted path of the module below the network; "" for the network itself.
        method: The method that is called.
        free: Axes of its inputs that may have any length, beside the first, the batch.
    """

    module: str = ""
    method: str = "forward"
    free: tuple[int, ...] = ()

    def name(self, owner: Any) -> str:
        """The part in words."""
        return f"{self.module or type(owner).__name__}{'' if self.method == 'forward' else f'.{self.method}'}"


@final
@dataclass(frozen=True, eq=False)
class ImageViews:
    """The views that a model wants of one image, and how they were made.

    Attributes:
        views: Normalised views, each (3 h w).
        layout: How they were made: what the model needs to map predictions back into the image.
        boxes: Indices of the boxes that the views show; boxes outside the image are left out. None for models without boxes.
    """

    views: Sequence[Float[Tensor, "3 _ _"]]
    layout: Any
    boxes: list[int] | None = None


@final
@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes of people in one view or image, highest confidence first.

    Attributes:
        boxes: x0 y0 x1 y1, pixels of the view or image.
        score: Confidence of each box, 0 to 1.
        masks: Probability of each cell of each box that it shows the person; None where masks are not predicted.
    """

    boxes: Float[Tensor, "n 4"]
    score: Float[Tensor, " n"]
    masks: Float[Tensor, "n mh mw"] | None = None


STEADY = 0.2
"""Share of the newest step in the velocity of somebody who is followed: keypoints swing with each stride."""


@final
@dataclass(frozen=True)
class Course:
    """How somebody moves who is followed through a video.

    Attributes:
        place: Middle (x, y) of their box, pixels; None where they were not followed yet.
        velocity: Pixels a frame, x and y.
        seen: Frames in which they were seen.
        hidden: Frames since then, in which somebody else was seen in their place.
    """

    place: tuple[float, float] | None = None
    velocity: tuple[float, float] = (0.0, 0.0)
    seen: int = 0
    hidden: int = 0

    def at(self, place: tuple[float, float]) -> "Course":
        """The course of somebody who is seen at a place in the next frame."""
        if self.place is None:
            return Course(place, seen=1)
        new = 0.0 if self.hidden else max(STEADY, 1 / self.seen)
        steps = (to - begin for to, begin in zip(place, self.place, strict=True))
        x, y = ((1 - new) * v + new * step for v, step in zip(self.velocity, steps, strict=True))
        return Course(place, (x, y), self.seen + 1)

    def on(self) -> "Course":
        """The course of somebody who is hidden in the next frame: they move on."""
        place = self.place or (0.0, 0.0)
        return replace(self, place=(place[0] + self.velocity[0], place[1] + self.velocity[1]), hidden=self.hidden + 1)


@final
@dataclass(frozen=True, eq=False)
class Region:
    """Where a top-down model looks for one person in a frame of a video.

    Attributes:
        box: x0 y0 x1 y1 around it, pixels.
        score: Confidence of that box; 1 where the person was followed.
        frame: The turned square of a model with alignment keypoints; None for a box.
        missed: Runs of the detector in a row in which it saw nobody there.
        course: How the person moves.
    """

    box: Float[Tensor, "4"]
    score: float = 1.0
    frame: Frame | None = None
    missed: int = 0
    course: Course = Course()


@final
@dataclass(frozen=True)
class Rescoring:
    """How the score of a pose is made, and which poses are duplicates.

    Attributes:
        min_keypoint_score: Keypoint scores above it make the score of a pose (box score times their mean); None keeps the
            score that the model gave.
        oks_nms: OKS above which the lower scored of two poses is a duplicate and removed; None keeps all.
        soft: Decay of soft OKS-NMS, with `oks_nms` as its parameter: no pose is removed as a duplicate, 20 of an image stay
            (HRNet's release, `SOFT_NMS`). None for OKS-NMS.
        lowered: Whether soft OKS-NMS also lowers the scores of poses; in the releases it only orders them.
    """

    min_keypoint_score: float | None = None
    oks_nms: float | None = None
    soft: Decay | None = None
    lowered: bool = False

    def with_nms(self, text: str) -> "Rescoring":
        """With another treatment of duplicates: a threshold, "off", "soft", "soft-linear", both also with "-lowered".

        Args:
            text: The treatment; after a soft one perhaps a colon and the parameter of its decay, by default this `oks_nms`,
                else 0.9 (HRNet's release).

        Raises:
            InputError: It is none of these, or the number is not from 0 to 1.

        >>> Rescoring().with_nms("soft"), Rescoring().with_nms("soft-linear-lowered:0.5")
        (Rescoring(min_keypoint_score=None, oks_nms=0.9, soft='gauss', lowered=False), \
Rescoring(min_keypoint_score=None, oks_nms=0.5, soft='linear', lowered=True))
        """
        word, _, number = text.partition(":")
        if word in SOFT:
            soft: Decay = "linear" if "linear" in word else "gauss"
            default = SOFT_OKS if self.oks_nms is None else self.oks_nms
            value = _share(number, text) if number else default
            return replace(self, oks_nms=value, soft=soft, lowered=word.endswith("lowered"))
        return replace(self, oks_nms=None if text == "off" else _share(text, text), soft=None, lowered=False)

    def kept(
        self, similar: Float[Tensor, "n n"], score: Float[Tensor, " n"]
    ) -> tuple[Int64[Tensor, " m"], Float[Tensor, " m"]]:
        """The poses of one image that stay, the best first, and their scores.

        Args:
            similar: OKS of every pose with every other.
            score: Confidence of each pose.
        """
        if self.oks_nms is None:
            return torch.arange(len(score)), score
        if self.soft is None:
            index = oks_nms(similar, score, self.oks_nms)
            return index, score[index]
        index, lowered = soft_oks_scores(similar, score, self.oks_nms, decay=self.soft)
        return index, lowered if self.lowered else score[index]

    @property
    def duplicates(self) -> str:
        """The treatment of duplicates in words."""
        if self.oks_nms is None:
            return "off"
        if self.soft is None:
            return f"OKS-NMS at {self.oks_nms:g}"
        what = "lowers scores" if self.lowered else "orders poses"
        return f"soft OKS-NMS ({self.soft}, {self.oks_nms:g}) {what}; at most 20 of an image"


def _share(number: str, text: str) -> float:
    """A number from 0 to 1.

    Raises:
        InputError: It is none.
    """
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        words = ", ".join(f'"{word}"' for word in SOFT)
        raise InputError(
            f'--oks-nms is a number from 0 to 1, or "off", or {words}, perhaps with its number ("soft:0.9"); not {text!r}'
        )
    return value


@final
@dataclass(frozen=True, eq=False)
class LabelledImage:
    """One labelled image without its pixels, for the round trip of a codec.

    Attributes:
        key: Key of the image.
        labels: Labels of all people in it, pixels of the image.
        people: Indices of the labelled people in `labels` who can be evaluated.
        boxes: Boxes x0 y0 x1 y1 of these people (n 4), as the reader of the model's release cleans them.
        skeleton: Keypoints of the labels.
        size: Gives the size of the image (h, w), pixels; reads the image only where the annotations do not say.
    """

    key: Key
    labels: Labels
    people: list[int]
    boxes: Float[Tensor, "n 4"]
    skeleton: Skeleton
    size: Callable[[], Size]


@final
@dataclass(frozen=True, eq=False)
class RoundTrip:
    """The labels of one image after crop or resize, encoding, decoding and the inverse warp.

    Attributes:
        poses: The labels as predictions.
        lossless: Poses whose keypoints outside the view are those of the labels: the error of the codec alone.
        people: Indices of the labels the poses belong to; None where they have to be matched by OKS.
        warps: Image to view, of each person (n 3 3) or of the whole image (1 3 3).
        outside: Number of labelled keypoints outside their view, which no network can find.
        errors: Distances (pixels of the view) between labelled keypoints inside their view and what came back; None where
            poses have to be matched first.
    """

    poses: Poses
    lossless: Poses
    people: list[int] | None
    warps: Float[Tensor, "_ 3 3"]
    outside: int
    errors: Float[Tensor, " e"] | None
