"""HRNet (Sun, Xiao, Liu, Wang; CVPR 2019; arXiv 1902.09212): high resolution throughout the network."""

from typing import cast

from poise.codecs.base import InstanceCodec
from poise.dims import Size
from poise.models.top_down import TopDown
from poise.nn.backbones.hrnet import HRNet
from poise.nn.base import Network, check_size
from poise.nn.heads.heatmap import PixelwiseHead
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
from poise.zoo.imagenet import start_hrnet
from poise.zoo.official_files import official

PAGE = "https://github.com/leoxiaobin/deep-high-resolution-net.pytorch"
FOLDER = "https://drive.google.com/drive/folders/1hOTihvbyIxsm5ygDpbUuJ7O_tzv4oXjC"
LICENCE = (
    "MIT (code); the weights come from ImageNet and COCO or MPII images, whose own terms hold (MPII: non-commercial research)"
)


def network(width: int, channels: int) -> Network:
    """The network alone, with random weights.

    Args:
        width: Channels of the finest branch; published are 32 and 48.
        channels: Channels of the codec.
    """
    backbone = HRNet(width)
    return Network(backbone, PixelwiseHead(backbone.channels[0], channels))


def hrnet(
    width: int = 32,
    *,
    skeleton: Skeleton = COCO17,
    size: Size = (256, 192),
    codec: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    pretrained: bool = False,
    name: str | None = None,
) -> TopDown:
    """An HRNet with random weights, or with ImageNet weights in its backbone.

    Args:
        width: Channels of the finest branch; published are 32 and 48.
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 32.
        codec: Codec for views of `size` and maps of a quarter of it; the release's by default.
        preprocess: Crop rule, padding and colours; the release's by default.
        pretrained: Whether the backbone starts from timm's ImageNet weights (widths 18, 30, 32, 40, 44, 48, 64).
        name: Name of the model.

    Raises:
        InputError: A size, width or codec that does not fit.
        MissingExtra, ReadError: The ImageNet weights cannot be loaded or downloaded.
    """
    check_size(size, HRNet.multiple, f"HRNet-W{width}")
    codec = codec or gaussian_codec(size, skeleton)
    check_codec(codec, size=size, cells=(size[0] // STRIDE, size[1] // STRIDE), skeleton=skeleton)
    built = network(width, codec.channels)
    if pretrained:
        start_hrnet(cast(HRNet, built.backbone), width)
    architecture = Architecture("hrnet:network", {"width": width, "channels": codec.channels})
    preprocess = preprocess or preprocess_for(codec, heatmap_preprocess("rgb"))
    return assemble(name or f"hrnet_w{width}", architecture, built, codec=codec, preprocess=preprocess, skeleton=skeleton)


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `hrnet_w32_coco_256x192`."""
    return hrnet(
        int(request.parts["width"]),
        skeleton=request.keypoints,
        size=request.size,
        codec=requested_codec(request),
        pretrained=request.pretrained,
        name=request.name,
    )


def _release(width: int, data: str, shape: str, **scores: float) -> Release:
    names = {"AP": "coco-val2017/AP", "half": "mpii-val/PCKh@0.5", "tenth": "mpii-val/PCKh@0.1"}
    return Release(
        name=f"hrnet_w{width}_{data}_{shape}",
        file=f"pose_{data}/pose_hrnet_w{width}_{shape}.pth",
        page=PAGE,
        folder=FOLDER,
        licence=LICENCE,
        scores={names[key]: value for key, value in scores.items()},
    )


FAMILY = Family(
    paper="HRNet (arXiv 1902.09212)",
    form="hrnet_{w32,w48}_{coco,mpii,SKELETON}_HEIGHTxWIDTH",
    pattern=rf"hrnet_w(?P<width>\d+)_{DATA}_(?P<size>\d+x\d+)",
    build=build,
    networks={"network": network},
    # README of the release: AP on COCO val2017 with boxes of a detector of person AP 56.4; PCKh on MPII val. Flip test.
    releases=(
        _release(32, "coco", "256x192", AP=0.744),
        _release(32, "coco", "384x288", AP=0.758),
        _release(32, "mpii", "256x256", half=0.903, tenth=0.377),
        _release(48, "coco", "256x192", AP=0.751),
        _release(48, "coco", "384x288", AP=0.763),
        _release(48, "mpii", "256x256"),
        *official("hrnet_w"),
    ),
    keys=(("final_layer.", "head.final."), ("", "backbone.")),
)
