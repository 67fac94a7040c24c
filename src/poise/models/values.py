"""The values that go in and out of a model: images and views, how poses are scored, labels on their way through a codec."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, final

from jaxtyping import Float, UInt8
from torch import Tensor

from poise.codecs.base import InstanceCodec
from poise.codecs.roi import RoICodec
from poise.codecs.scene import SceneCodec
from poise.dims import Size
from poise.skeletons import Skeleton
from poise.structures import Key, Labels, Poses

Codec: TypeAlias = InstanceCodec | SceneCodec | RoICodec
"""Any codec: for views of one person, for whole views, for boxes of a detector."""

Image: TypeAlias = UInt8[Tensor, "3 H W"]
"""RGB pixels of 0 to 255."""

Decoder: TypeAlias = Callable[..., Any]
"""Decodes an output of the network, as the codec's `decode` does."""

Batch: TypeAlias = Any
"""A training batch: `structures.Batch`, `scenes.SceneBatch`, or a type of the model's own."""


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
@dataclass(frozen=True)
class Rescoring:
    """How the score of a pose is made, and which poses are duplicates.

    Attributes:
        min_keypoint_score: Keypoint scores above it make the score of a pose (box score times their mean); None keeps the
            score that the model gave.
        oks_nms: OKS above which the lower scored of two poses is a duplicate and removed; None keeps all.
    """

    min_keypoint_score: float | None = None
    oks_nms: float | None = None


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
