"""Simple Baselines (Xiao, Wu, Wei; ECCV 2018; arXiv 1804.06208): a ResNet and three transposed convolutions."""

from dataclasses import replace
from typing import cast

from poise.codecs.base import InstanceCodec
from poise.dims import Size
from poise.models.top_down import TopDown
from poise.nn.backbones.resnet import DEPTHS, ResNet
from poise.nn.base import Network, check_size
from poise.nn.blocks import Style
from poise.nn.heads.heatmap import DeconvHead
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture, Preprocess
from poise.weights.release import Release
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
from poise.zoo.imagenet import start_resnet
from poise.zoo.official_files import official

PAGE = "https://github.com/microsoft/human-pose-estimation.pytorch"
FOLDER = "https://drive.google.com/drive/folders/13_wJ6nC7my1KKouMkQMqyr9r1ZnLnukP"
LICENCE = (
    "MIT (code); the weights, offered for research, come from ImageNet and COCO or MPII images, "
    "whose own terms hold (MPII: non-commercial research)"
)


def network(depth: int, channels: int, style: Style = "pytorch") -> Network:
    """The network alone, with random weights.

    Args:
        depth: 18, 34, 50, 101 or 152.
        channels: Channels of the codec.
        style: Convolution of a bottleneck that has the stride: "pytorch" the 3x3, "caffe" the first 1x1.
    """
    backbone = ResNet(depth, style)
    return Network(backbone, DeconvHead(backbone.channels[-1], channels))


def poseresnet(
    depth: int = 50,
    *,
    skeleton: Skeleton = COCO17,
    size: Size = (256, 192),
    style: Style = "pytorch",
    codec: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    pretrained: bool = False,
    name: str | None = None,
) -> TopDown:
    """A Simple Baseline with random weights, or with ImageNet weights in its backbone.

    Args:
        depth: 18, 34, 50, 101 or 152.
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 32.
        style: Convolution of a bottleneck that has the stride; "caffe" from depth 50 on.
        codec: Codec for views of `size` and maps of a quarter of it; the release's by default.
        preprocess: Crop rule, padding and colours; by default the release's, which takes BGR.
        pretrained: Whether the backbone starts from torchvision's ImageNet weights.
        name: Name of the model.

    Raises:
        InputError: A size, depth, style or codec that does not fit.
        ReadError: The ImageNet weights cannot be loaded or downloaded.
    """
    check_size(size, ResNet.multiple, f"ResNet-{depth}")
    codec = codec or gaussian_codec(size, skeleton)
    check_codec(codec, size=size, cells=(size[0] // STRIDE, size[1] // STRIDE), skeleton=skeleton)
    built = network(depth, codec.channels, style)
    if pretrained:
        start_resnet(cast(ResNet, built.backbone), depth, style)
    architecture = Architecture("simple_baselines:network", {"depth": depth, "channels": codec.channels, "style": style})
    preprocess = preprocess or preprocess_for(codec, heatmap_preprocess("bgr"))
    return assemble(name or f"poseresnet_{depth}", architecture, built, codec=codec, preprocess=preprocess, skeleton=skeleton)


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `poseresnet_50_caffe_coco_256x192`."""
    return poseresnet(
        int(request.parts["depth"]),
        skeleton=request.keypoints,
        size=request.size,
        style="caffe" if request.parts["caffe"] else "pytorch",
        codec=requested_codec(request),
        pretrained=request.pretrained,
        name=request.name,
    )


# The release's README, flip test: AP on COCO val2017 with boxes of a detector of person AP 56.4; PCKh@0.5, @0.1 on MPII val.
_COCO = {(50, 256): 0.704, (50, 384): 0.722, (101, 256): 0.714, (101, 384): 0.736, (152, 256): 0.720, (152, 384): 0.743}
_COCO_CAFFE = {(50, 256): 0.704, (101, 256): 0.720, (152, 256): 0.728}
_MPII = {
    (50, 256): (0.88532, 0.33911), (50, 384): (0.89066, 0.38046), (101, 256): (0.89131, 0.34020),
    (101, 384): (0.90003, 0.38860), (152, 256): (0.89620, 0.35025), (152, 384): (0.90200, 0.39433),
}  # fmt: skip
_PUBLISHED = {50, 101, 152}


def _release(depth: int, style: Style, data: str, size: Size) -> Release:
    caffe = style == "caffe"
    shape = f"{size[0]}x{size[1]}"
    name = f"poseresnet_{depth}{'_caffe' if caffe else ''}_{data}_{shape}"
    row = Release(name, page=PAGE, licence=LICENCE)
    key = (depth, size[0])
    if data == "coco":
        table = _COCO_CAFFE if caffe else _COCO
        row = replace(row, scores={"coco-val2017/AP": table[key]} if key in table else {})
    elif not caffe and key in _MPII:
        row = replace(row, scores=dict(zip(("mpii-val/PCKh@0.5", "mpii-val/PCKh@0.1"), _MPII[key], strict=True)))
    if depth in _PUBLISHED and not caffe:  # the page lists no files of caffe style and of smaller depths
        row = replace(row, file=f"pose_{data}/pose_resnet_{depth}_{shape}.pth.tar", folder=FOLDER)
    return row


def _releases() -> tuple[Release, ...]:
    sizes: tuple[tuple[str, Size], ...] = (
        ("coco", (256, 192)), ("coco", (384, 288)), ("mpii", (256, 256)), ("mpii", (384, 384)),
    )  # fmt: skip
    styles: tuple[Style, ...] = ("pytorch", "caffe")
    return tuple(
        _release(depth, style, data, size)
        for depth in DEPTHS
        for style in styles
        if depth >= 50 or style == "pytorch"
        for data, size in sizes
    )


FAMILY = Family(
    paper="Simple Baselines (arXiv 1804.06208)",
    form="poseresnet_{18,34,50,101,152}[_caffe]_{coco,mpii,SKELETON}_HEIGHTxWIDTH",
    pattern=rf"poseresnet_(?P<depth>\d+)(?P<caffe>_caffe)?_{DATA}_(?P<size>\d+x\d+)",
    build=build,
    networks={"network": network},
    releases=(*_releases(), *official("poseresnet_")),
    keys=(("deconv_layers.", "head.layers."), ("final_layer.", "head.final."), ("", "backbone.")),
)
