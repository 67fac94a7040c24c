"""Small networks as MMPose trains them with heatmaps: Lite-HRNet (arXiv 2104.06403), MobileNetV2 (arXiv 1801.04381)."""

from poise.codecs.base import InstanceCodec
from poise.dims import Size
from poise.models.top_down import TopDown
from poise.nn.backbones.litehrnet import LiteHRNet
from poise.nn.backbones.mobilenetv2 import MobileNetV2
from poise.nn.base import Network, check_size
from poise.nn.heads.heatmap import DeconvHead, PixelwiseHead
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture, Preprocess
from poise.weights.mmpose_keys import of_today
from poise.zoo.assemble import (
    STRIDE,
    assemble,
    check_codec,
    gaussian_codec,
    heatmap_preprocess,
    preprocess_for,
    requested_codec,
)
from poise.zoo.family import DATA, BuildRequest, Family
from poise.zoo.imagenet import refuse_pretrained
from poise.zoo.official_files import official


def litehrnet_network(depth: int, channels: int) -> Network:
    """A Lite-HRNet alone, with random weights.

    Args:
        depth: 18 or 30.
        channels: Channels of the codec.
    """
    backbone = LiteHRNet(depth)
    return Network(backbone, PixelwiseHead(backbone.channels[0], channels))


def mobilenet_network(channels: int, width: float = 1.0) -> Network:
    """A MobileNetV2 with three transposed convolutions, with random weights.

    Args:
        channels: Channels of the codec.
        width: Factor on the channels of the backbone.
    """
    backbone = MobileNetV2(width)
    return Network(backbone, DeconvHead(backbone.channels[0], channels))


def litehrnet(
    depth: int = 18,
    *,
    skeleton: Skeleton = COCO17,
    size: Size = (256, 192),
    codec: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    name: str | None = None,
) -> TopDown:
    """A Lite-HRNet with random weights.

    Args:
        depth: 18 (1.1 million parameters) or 30 (1.8).
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 32.
        codec: Codec for views of `size` and maps of a quarter of it; the release's by default.
        preprocess: Crop rule, padding and colours; the release's by default.
        name: Name of the model.

    Raises:
        InputError: A size, depth or codec that does not fit.
    """
    codec = _checked(codec, size, skeleton, what=f"Lite-HRNet-{depth}")
    made = Architecture("mobile:litehrnet_network", {"depth": depth, "channels": codec.channels})
    built = litehrnet_network(depth, codec.channels)
    return _assembled(name or f"litehrnet_{depth}", made, built, codec, preprocess, skeleton)


def mobilenetv2(
    width: float = 1.0,
    *,
    skeleton: Skeleton = COCO17,
    size: Size = (256, 192),
    codec: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    name: str | None = None,
) -> TopDown:
    """A Simple Baseline on MobileNetV2, with random weights.

    Args:
        width: Factor on the channels of the backbone.
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 32.
        codec: Codec for views of `size` and maps of a quarter of it; the release's by default.
        preprocess: Crop rule, padding and colours; the release's by default.
        name: Name of the model.

    Raises:
        InputError: A size, width or codec that does not fit.
    """
    codec = _checked(codec, size, skeleton, what="MobileNetV2")
    made = Architecture("mobile:mobilenet_network", {"channels": codec.channels, "width": width})
    built = mobilenet_network(codec.channels, width)
    return _assembled(name or "mobilenetv2", made, built, codec, preprocess, skeleton)


def _checked(codec: InstanceCodec | None, size: Size, skeleton: Skeleton, *, what: str) -> InstanceCodec:
    """The codec given, or the release's; refused if it or the size does not fit."""
    check_size(size, LiteHRNet.multiple, what)
    codec = codec or gaussian_codec(size, skeleton)
    check_codec(codec, size=size, cells=(size[0] // STRIDE, size[1] // STRIDE), skeleton=skeleton)
    return codec


def _assembled(
    name: str,
    made: Architecture,
    built: Network,
    codec: InstanceCodec,
    preprocess: Preprocess | None,
    skeleton: Skeleton,
) -> TopDown:
    preprocess = preprocess or preprocess_for(codec, heatmap_preprocess("rgb"))
    return assemble(name, made, built, codec=codec, preprocess=preprocess, skeleton=skeleton)


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `litehrnet_18_coco17_256x192` or `mobilenetv2_coco17_256x192`."""
    refuse_pretrained(request.pretrained, "Lite-HRNet and MobileNetV2")
    codec, skeleton = requested_codec(request), request.keypoints
    if request.parts["depth"]:
        depth = int(request.parts["depth"])
        return litehrnet(depth, skeleton=skeleton, size=request.size, codec=codec, name=request.name)
    return mobilenetv2(skeleton=skeleton, size=request.size, codec=codec, name=request.name)


FAMILY = Family(
    paper="Lite-HRNet (arXiv 2104.06403) and MobileNetV2 (arXiv 1801.04381), of MMPose",
    form="litehrnet_{18,30}_{coco17,SKELETON}_HEIGHTxWIDTH, mobilenetv2_{coco17,SKELETON}_HEIGHTxWIDTH",
    pattern=rf"(?:litehrnet_(?P<depth>\d+)|mobilenetv2)_{DATA}_(?P<size>\d+x\d+)",
    build=build,
    networks={"litehrnet_network": litehrnet_network, "mobilenet_network": mobilenet_network},
    releases=official("litehrnet_", "mobilenetv2_"),
    keys=(("head.deconv_layers.", "head.layers."), ("head.final_layer.", "head.final."), ("backbone.", "backbone.")),
    rename=lambda _, weights: of_today(weights),
)
