"""From a detector's network to a model: the codec its keypoint head answers, what it is shown, how its answers are read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, final

from torch import nn

from poise.codecs.base import InstanceCodec
from poise.codecs.gaussian import Gaussian
from poise.codecs.one_hot import OneHot, Score
from poise.codecs.registry import codec_types, roi_codec_types
from poise.codecs.roi import RoICodec
from poise.codecs.roi_adapter import RoIAdapter
from poise.dims import Size
from poise.errors import InputError, unknown
from poise.models.architecture import with_readout
from poise.models.card import Card
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.rcnn_config import Learning, RCNNConfig
from poise.nn.backbones.resnet import ResNet
from poise.nn.backbones.timm import TimmBackbone
from poise.nn.necks.base import BackboneWithNeck
from poise.nn.rcnn import RCNN
from poise.scenes import Canvas
from poise.skeletons import Skeleton
from poise.structures import Architecture

QUIET = 0.001
"""Deviation of the first weights of the layer that makes Gaussians (Simple Baselines' release, its last layer)."""


@final
@dataclass(frozen=True)
class Presentation:
    """What a release shows its detectors, and how it reads them.

    Attributes:
        canvas: How images are shown.
        smooth: Up to where errors of boxes count by their square (`Learning`).
        score: What a keypoint that is one cell is scored by, where it is read at the highest pixel and people are ranked by
            their boxes; None for detectors of ours, which are read otherwise.
        grouped_std: Deviation of each channel for ResNeXts, whose first layer was trained with it; None for that of `canvas`.
    """

    canvas: Canvas
    smooth: float = 1 / 9
    score: Score | None = "logit"
    grouped_std: tuple[float, float, float] | None = None


VIEW: Size = (800, 1333)
"""Pixels of the short side, and of the long one at most: as all releases."""

DETECTOR = Canvas(side=min(VIEW), fit="short", most=max(VIEW), multiple=32, flip_test=False)
"""Filled up to multiples of 32, as in all releases."""


def _bytes(*mean: float) -> dict[str, Any]:
    """Blue, green, red of 0 to 255 less their mean, as networks read them that were trained with Caffe."""
    b, g, r = (value / 255 for value in mean)
    return {"channels": "bgr", "mean": (b, g, r), "std": (1 / 255, 1 / 255, 1 / 255)}


PRESENTATIONS: Mapping[str, Presentation] = {
    "poise": Presentation(replace(DETECTOR, flip_test=True), score=None),
    "maskrcnn": Presentation(replace(DETECTOR, rule="pillow", **_bytes(102.9801, 115.9465, 122.7717)), smooth=1.0),
    "hrnet": Presentation(replace(DETECTOR, rule="pillow"), smooth=1.0),
    "torchvision": Presentation(replace(DETECTOR, rule="torchvision")),
    "detectron2": Presentation(
        replace(DETECTOR, rule="detectron2", **_bytes(103.53, 116.28, 123.675)),
        smooth=0.5,
        score="share",
        grouped_std=(57.375 / 255, 57.12 / 255, 58.395 / 255),
    ),
}
"""By the name of the dialect (`rcnn_dialects.DIALECTS`)."""


def canvas_of(presentation: Presentation, trunk: BackboneWithNeck, size: Size = VIEW) -> Canvas:
    """How images are shown to a trunk: as its release does, but to a backbone of timm with the colours that it expects.

    Args:
        presentation: Of the release.
        trunk: Of the detector.
        size: The smaller number is what the short side gets, the larger one the most that the long side may have, as for
            images that lie so for those that stand.
    """
    body, canvas = trunk.body, presentation.canvas
    canvas = replace(canvas, side=min(size), most=max(size), multiple=math.lcm(canvas.multiple, trunk.multiple))
    if isinstance(body, TimmBackbone):
        return replace(canvas, channels="rgb", mean=body.mean, std=body.std)
    grouped = isinstance(body, ResNet) and body.groups > 1
    return replace(canvas, std=presentation.grouped_std) if grouped and presentation.grouped_std else canvas


def roi_codec(
    name: str | None,
    cells: Size,
    keypoints: int,
    *,
    score: Score | None = None,
    weight: float | None = None,
    height: float | None = None,
    sigma: float | None = None,
) -> RoICodec:
    """The codec of a keypoint head.

    Args:
        name: Of its class; any codec for views of one person works inside boxes, too. One cell of the box by default.
        cells: Of its maps (h, w).
        keypoints: How many.
        score: What single cells are scored by that are read at the highest pixel, as the releases' are. None reads them where
            blurred probabilities are highest, and scores them by the share about there.
        weight: Factor of its loss; of the mean squared error, where maps of Gaussians are learnt. By default the codec's
            own (`InstanceCodec.roi_weight`).
        height: Of Gaussians.
        sigma: Of Gaussians, cells; of other codecs their field of this name.

    Raises:
        UnknownName: There is no such codec.
        InputError: A number that makes no loss, or one that the codec has no use for.
    """
    if name in (None, OneHot.__name__):
        _unused("one cell by cross-entropy", weight=weight, height=height, sigma=sigma)
        return OneHot(cells, keypoints, score=score or "mass", reading="peak" if score else "blurred")
    kinds = codec_types()
    if name not in kinds:
        raise unknown(
            "codec for boxes", str(name), [*kinds, *(kind for kind in roi_codec_types() if kind != RoIAdapter.__name__)]
        )
    inside = kinds[str(name)](size=cells, cells=cells, keypoints=keypoints)
    return _adapted(inside, weight=weight, height=height, sigma=sigma)


def gaussian_roi_codec(
    cells: Size, keypoints: int, *, weight: float | None = None, height: float | None = None, sigma: float | None = None
) -> RoIAdapter:
    """Gaussians in the box, learnt by weighted mean squared errors.

    Args:
        cells: Of the maps (h, w).
        keypoints: How many.
        weight: Factor of the mean squared error; by default 2000, less for higher Gaussians, whose squares are larger.
        height: Of the Gaussians; 1 by default.
        sigma: Of the Gaussians, cells; 2 by default.

    Raises:
        InputError: A weight, height or sigma that makes no loss.
    """
    return _adapted(Gaussian(cells, cells, keypoints, shift_flipped=False), weight=weight, height=height, sigma=sigma)


def _adapted(inside: InstanceCodec, *, weight: float | None, height: float | None, sigma: float | None) -> RoIAdapter:
    """A codec in boxes with the numbers that were asked for."""
    for field, value in (("weight", weight), ("height", height), ("sigma", sigma)):
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"a keypoint head needs a {field} above 0, not {value:g}")
    if inside.mse_share is None:
        _unused(f"{type(inside).__name__}, which has no Gaussians of height 1,", height=height)
    if sigma is not None:
        inside = _as_wide(inside, sigma)
    tall = 1.0 if height is None else height
    return RoIAdapter.of(inside, weight=_factor(inside, weight, tall), height=tall)


def _factor(inside: InstanceCodec, weight: float | None, height: float) -> float:
    """The weight in `RoIAdapter`: what was asked for, else the codec's own, whatever the height."""
    if weight is not None:
        return weight / (inside.mse_share or 1.0)
    return inside.roi_weight / height**2


def _as_wide(inside: InstanceCodec, sigma: float) -> InstanceCodec:
    changes: dict[str, Any] = {"sigma": sigma}
    if "sigma" not in {field.name for field in fields(inside)}:
        _unused(type(inside).__name__, **changes)
    return replace(inside, **changes)


def _unused(what: str, *, weight: float | None = None, height: float | None = None, sigma: float | None = None) -> None:
    """Refuse numbers that a head has no use for.

    Raises:
        InputError: One was given.
    """
    given = [name for name, value in (("weight", weight), ("height", height), ("sigma", sigma)) if value is not None]
    if given:
        raise InputError(f"a head that learns {what} takes no {' and no '.join(given)}; leave that out")


def detecting_of(presentation: Presentation, codec: RoICodec | None) -> RCNNConfig:
    """How a release reads its detectors; other codecs' people are ranked by keypoints, too; None is for boxes alone."""
    learning = Learning(smooth=presentation.smooth)
    if codec is None or codec.score_kind == "logit":
        return RCNNConfig(keypoint_score="raw", rating="box", learning=learning)
    return RCNNConfig(learning=learning)


def joined(
    name: str,
    made: Architecture,
    network: RCNN,
    *,
    codec: RoICodec,
    canvas: Canvas,
    skeleton: Skeleton,
    config: RCNNConfig | None = None,
) -> KeypointRCNN:
    """A model that is yet to be trained.

    Args:
        name: Of the model.
        made: Which builder made the network, and from what.
        network: What it made; its initial weights stay, but for the layer that makes maps of Gaussians.
        codec: Reads the keypoint head.
        canvas: How images are shown; without mirror pairs the model is tested without mirrored views.
        skeleton: The keypoints.
        config: How the answers are made people, and how it learns.

    Raises:
        InputError: Codec and skeleton count keypoints differently.
    """
    whole = replace(made, cells=codec.cells, vectors=codec.vectors) if codec.vectors else made
    canvas = canvas if skeleton.mirror else replace(canvas, flip_test=False)
    card = Card(name, whole, licence="of whoever trains it")
    if codec.quiet_start and network.keypoint is not None:
        _quiet(network.keypoint.head.reader)
    return KeypointRCNN(with_readout(network, whole), codec, canvas, skeleton, card, config)


def _quiet(reader: nn.Module) -> None:
    """Let maps begin at nearly nothing, as those of Simple Baselines' release do.

    With the weights that a one-cell head begins with, the squared errors of Gaussians, 2000 times weighted, send gradients into
    the trunk that are 30,000 times as long as those of the boxes, and 1,900 times as long as from quiet maps. Of two small
    detectors that learnt 16 drawings by heart, the loud one came to box AP 0.44 and keypoint AP 0, the quiet one to 0.87 and
    0.87.
    """
    for name, weight in reader.named_parameters():
        if name.endswith("weight"):
            nn.init.normal_(weight, std=QUIET)
