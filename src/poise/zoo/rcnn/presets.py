"""Presets of the code bases of detectors, preprocessing and scores, and how a model is assembled with them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

from torch import nn

from poise.codecs.one_hot import Score
from poise.codecs.roi import RoICodec
from poise.dims import Size
from poise.models.card import Card, with_readout
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.rcnn_config import Learning, RCNNConfig
from poise.nn.backbones.resnet import ResNet
from poise.nn.backbones.timm import TimmBackbone
from poise.nn.fcos import FCOS
from poise.nn.necks.base import BackboneWithNeck
from poise.nn.rcnn import RCNN
from poise.scenes import Canvas
from poise.skeletons import Skeleton
from poise.structures import Architecture
from poise.zoo.rcnn.variants import VariantName

NEAR_ZERO_STD = 0.001
"""Deviation of the initial weights of the layer that makes Gaussians (the last layer of Simple Baselines' release)."""


@final
@dataclass(frozen=True)
class Preset:
    """How a code base shows images to its detectors, and how it scores people.

    Attributes:
        canvas: How images are resized and normalised.
        smooth_l1_beta: Up to where errors of boxes count by their square (`Learning.smooth`).
        score: Score of a keypoint that is learnt as one cell and read at the highest pixel, where people are ranked by their
            boxes; None for detectors of ours, which are read otherwise.
        grouped_std: Deviation of each channel for ResNeXts, whose first layer was trained with it; None for that of `canvas`.
    """

    canvas: Canvas
    smooth_l1_beta: float = 1 / 9
    score: Score | None = "logit"
    grouped_std: tuple[float, float, float] | None = None


SIZE: Size = (800, 1333)
"""Pixels of the short side, and of the long one at most, in all releases."""

DETECTOR = Canvas(side=min(SIZE), fit="short", most=max(SIZE), multiple=32, flip_test=False)
"""Images are padded to multiples of 32, as in all releases."""


def _caffe_colours(*mean: float) -> dict[str, Any]:
    """Blue, green, red of 0 to 255 less their mean, as networks read them that were trained with Caffe."""
    b, g, r = (value / 255 for value in mean)
    return {"channels": "bgr", "mean": (b, g, r), "std": (1 / 255, 1 / 255, 1 / 255)}


PRESETS: Mapping[VariantName, Preset] = {
    "poise": Preset(replace(DETECTOR, flip_test=True), score=None),
    "maskrcnn": Preset(replace(DETECTOR, rule="pillow", **_caffe_colours(102.9801, 115.9465, 122.7717)), smooth_l1_beta=1.0),
    "hrnet": Preset(replace(DETECTOR, rule="pillow"), smooth_l1_beta=1.0),
    "torchvision": Preset(replace(DETECTOR, rule="torchvision")),
    "detectron2": Preset(
        replace(DETECTOR, rule="detectron2", **_caffe_colours(103.53, 116.28, 123.675)),
        smooth_l1_beta=0.5,
        score="share",
        grouped_std=(57.375 / 255, 57.12 / 255, 58.395 / 255),
    ),
}
"""The preset of each variant, by name."""


def canvas_for(preset: Preset, backbone: BackboneWithNeck, size: Size = SIZE) -> Canvas:
    """Preprocessing for a backbone: that of its code base; for timm with the normalisation of the weights.

    Args:
        preset: Preset of the code base.
        backbone: Backbone of the detector, with its neck.
        size: Length of the short side and largest length of the long side, pixels, in either order.
    """
    body, canvas = backbone.body, coloured_for(replace(preset.canvas, side=min(size), most=max(size)), backbone)
    grouped = isinstance(body, ResNet) and body.groups > 1
    return replace(canvas, std=preset.grouped_std) if grouped and preset.grouped_std else canvas


def coloured_for(canvas: Canvas, backbone: BackboneWithNeck) -> Canvas:
    """A canvas whose views a backbone takes: of its multiple, and for timm with the normalisation of the weights."""
    body, canvas = backbone.body, replace(canvas, multiple=math.lcm(canvas.multiple, backbone.multiple))
    return replace(canvas, channels="rgb", mean=body.mean, std=body.std) if isinstance(body, TimmBackbone) else canvas


def config_for(preset: Preset, codec: RoICodec | None) -> RCNNConfig:
    """How a code base reads and trains its detectors.

    Args:
        preset: Preset of the code base.
        codec: Codec of the keypoints; None for a detector of boxes. People are ranked by its scores too if they are
            probabilities.
    """
    learning = Learning(smooth=preset.smooth_l1_beta)
    if codec is None or codec.score_kind == "logit":
        return RCNNConfig(keypoint_score="raw", rating="box", learning=learning)
    return RCNNConfig(learning=learning)


def assemble_keypoint_rcnn(
    name: str,
    architecture: Architecture,
    network: RCNN | FCOS,
    *,
    codec: RoICodec,
    canvas: Canvas,
    skeleton: Skeleton,
    config: RCNNConfig | None = None,
    kind: type[KeypointRCNN] = KeypointRCNN,
) -> KeypointRCNN:
    """A model that is yet to be trained.

    Args:
        name: Name of the model.
        architecture: Builder of the network and its arguments.
        network: Network with its initial weights; the layer that outputs maps is initialised with small weights if the codec
            asks for it.
        codec: Reads the keypoint head.
        canvas: Preprocessing; without mirror pairs the model is evaluated without the flip test.
        skeleton: The keypoints.
        config: Configuration of post-processing and training.
        kind: Type of the model.

    Raises:
        InputError: Codec and skeleton count keypoints differently.
    """
    whole = replace(architecture, cells=codec.cells, vectors=codec.vectors) if codec.vectors else architecture
    canvas = canvas if skeleton.mirrors else replace(canvas, flip_test=False)
    card = Card(name, whole, licence="of whoever trains it")
    if codec.quiet_start and network.keypoint is not None:
        _init_near_zero(network.keypoint.head.reader)
    return kind(with_readout(network, whole), codec, canvas, skeleton, card, config)


def _init_near_zero(predictor: nn.Module) -> None:
    """Let maps start near 0, as those of Simple Baselines' release do.

    With the initial weights of a one-cell head, squared errors of Gaussians that are weighted 2000 times send gradients into
    the backbone that are 30,000 times as long as those of the boxes, and 1,900 times as long as from maps near 0. Of two small
    detectors that learnt 16 drawings by heart, the one with those weights came to box AP 0.44 and keypoint AP 0, the one that
    starts near 0 to 0.87 and 0.87.
    """
    for name, weight in predictor.named_parameters():
        if name.endswith("weight"):
            nn.init.normal_(weight, std=NEAR_ZERO_STD)
