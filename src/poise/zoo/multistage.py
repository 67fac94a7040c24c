"""Common parts of MSPN and RSN: weight names and their order, supervision of the stages, preprocessing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from poise.codecs.base import InstanceCodec
from poise.codecs.megvii import mspn_codecs
from poise.dims import Size
from poise.errors import unknown
from poise.models.top_down import TopDown
from poise.nn.backbones.multistage import MultiStage
from poise.nn.base import Network, check_size
from poise.nn.heads.multistage import MultiStageHead
from poise.skeletons import Skeleton
from poise.structures import Architecture, Preprocess
from poise.zoo.assemble import STRIDE, assemble, check_codec, preprocess_for

STEPS = 4
"""Outputs of a stage."""

MAX_STAGES = 4
"""Stages of the largest published network."""


def with_head(backbone: MultiStage, channels: int) -> Network:
    """A network with an output at every resolution of every stage."""
    return Network(backbone, MultiStageHead(backbone.channels, channels))


@dataclass(frozen=True)
class TestSetting:
    """The releases' test settings for a data set.

    Attributes:
        sides: Factors on the box's width and height.
        blur: Side of the blur of maps before decoding, cells.
    """

    sides: tuple[float, float]
    blur: int


TEST_SETTINGS: Mapping[str, TestSetting] = {"coco": TestSetting((1.09, 1.135), 5), "mpii": TestSetting((1.25, 1.25), 9)}
"""Test settings by the word for the data set in names."""


def release_preprocess(test: TestSetting) -> Preprocess:
    """The releases' preprocessing: BGR, ImageNet's mean and deviation.

    All keypoints enter the score of a pose, and no pose is suppressed.
    """
    return Preprocess(
        crop="mspn",
        padding=1.0,
        sides=test.sides,
        channels="bgr",
        mean=(0.406, 0.456, 0.485),
        std=(0.225, 0.224, 0.229),
        min_keypoint_score=-1.0,
        oks_nms=1.0,
    )


def multistage(
    name: str,
    architecture: Architecture,
    network: Network,
    *,
    stages: int,
    skeleton: Skeleton,
    size: Size,
    codec: InstanceCodec | None,
    preprocess: Preprocess | None,
    data: str,
) -> TopDown:
    """A model with a multi-stage network.

    Args:
        name: Name of the model.
        architecture: The builder of the network and its arguments.
        network: The network, for the channels of the codec.
        stages: Number of stages.
        skeleton: The keypoints.
        size: Size of the views (h, w).
        codec: Codec of every output; None for the releases' codecs.
        preprocess: Crop rule, padding and colours; None for the releases', or for those that fit the given codec.
        data: Data set whose test settings of the releases are used, "coco" or "mpii".

    Raises:
        UnknownName: Another data set.
    """
    if data not in TEST_SETTINGS:
        raise unknown("data set of MSPN's test", data, TEST_SETTINGS)
    test = TEST_SETTINGS[data]
    if codec is None:
        deep, last = mspn_codecs(size, cells_of(size), len(skeleton), stages=stages, blur=test.blur)
        return assemble(
            name,
            architecture,
            network,
            codec=last,
            deep=deep,
            preprocess=preprocess or release_preprocess(test),
            skeleton=skeleton,
        )
    preprocess = preprocess or preprocess_for(codec, release_preprocess(test))
    return assemble(
        name, architecture, network, codec=codec, deep=(codec,) * (STEPS * stages - 1), preprocess=preprocess, skeleton=skeleton
    )


def channels_of(codec: InstanceCodec | None, *, what: str, size: Size, skeleton: Skeleton) -> int:
    """Channels of every output: those of the codec; with the releases' codecs one for each keypoint.

    Args:
        codec: Codec of every output; None for the releases' codecs.
        what: The network, for messages.
        size: Size of the views (h, w).
        skeleton: The keypoints.

    Raises:
        InputError: A size the network cannot take, or a codec for other views, maps or keypoints.
    """
    check_size(size, MultiStage.multiple, what)
    if codec is None:
        return len(skeleton)
    check_codec(codec, size=size, cells=cells_of(size), skeleton=skeleton)
    return codec.channels


def cells_of(size: Size) -> Size:
    """Cells of the maps (h, w) for views of `size` (h, w)."""
    return size[0] // STRIDE, size[1] // STRIDE


def keys() -> tuple[tuple[str, str], ...]:
    """Prefixes of weight names, official and ours."""
    units = [(n, f"stage{n // STEPS}.upsample.up{n % STEPS + 1}.") for n in range(MAX_STAGES * STEPS)]
    return (
        *((f"{unit}res_conv1.", f"head.readers.{n}.before.") for n, unit in units),
        *((f"{unit}res_conv2.", f"head.readers.{n}.final.") for n, unit in units),
        *((f"stage{n}.", f"backbone.stages.{n}.") for n in range(MAX_STAGES)),
        ("", "backbone."),
    )


def order(official: str) -> tuple[int, ...]:
    """Sort key of official names: official networks hold the output layers in the step they belong to, ours in the head."""
    found = re.match(r"stage(\d+)\.(?:upsample\.up(\d+)\.)?", official)
    return (-1, 0) if found is None else (int(found[1]), int(found[2] or 0))
