"""UDP (Huang, Zhu, Guo, Huang; CVPR 2020; arXiv 1911.07524): unbiased geometry for HRNet and Simple Baselines.

The networks are those of the release's first branch, whose HRNet has wider fusion layers before its last layer.
"""

from typing import cast

from poise.codecs.base import InstanceCodec
from poise.codecs.maps import usual_sigma
from poise.codecs.udp import UDPGaussian
from poise.codecs.udp_offset import UDPOffset
from poise.dims import Size
from poise.models.top_down import TopDown
from poise.nn.backbones.hrnet import HRNet
from poise.nn.base import Network, check_size
from poise.nn.heads.heatmap import PixelwiseHead
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture, Preprocess
from poise.weights.release import Release
from poise.zoo.assemble import STRIDE, assemble, check_codec, heatmap_preprocess, preprocess_for, requested_codec
from poise.zoo.family import DATA, BuildRequest, Family
from poise.zoo.imagenet import start_hrnet
from poise.zoo.official_files import official
from poise.zoo.simple_baselines import poseresnet

PAGE = "https://github.com/HuangJunJie2017/UDP-Pose"
FOLDER = "https://pan.baidu.com/s/1mPuVj8piYzgWjoRgyd0Cwg"
LICENCE = (
    "none named by the release, its code is HRNet's (MIT); the weights come from ImageNet and COCO or MPII images, whose own "
    "terms hold (MPII: non-commercial research)"
)

GAIN = 4
"""Factor on the channels of HRNet's last fusion layers."""

RADIUS = 4.0
"""Radius of the disks of the offset codec, cells: the release's default. Its "UDPv1" has 3.5."""


def network(width: int, channels: int) -> Network:
    """The release's HRNet alone, with random weights.

    Args:
        width: Channels of the finest branch; published are 32 and 48.
        channels: Channels of the codec.
    """
    backbone = HRNet(width, gain=GAIN)
    return Network(backbone, PixelwiseHead(backbone.channels[0], channels))


def gaussian_codec(size: Size, skeleton: Skeleton) -> UDPGaussian:
    """The codec of names with "gaussian"."""
    cells = (size[0] // STRIDE, size[1] // STRIDE)
    return UDPGaussian(size=size, cells=cells, keypoints=len(skeleton), sigma=usual_sigma(size))


def offset_codec(size: Size, skeleton: Skeleton) -> UDPOffset:
    """The codec of names with "offset"."""
    cells = (size[0] // STRIDE, size[1] // STRIDE)
    return UDPOffset(size=size, cells=cells, keypoints=len(skeleton), radius=RADIUS)


def udp_hrnet(
    width: int = 32,
    *,
    skeleton: Skeleton = COCO17,
    size: Size = (256, 192),
    codec: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    pretrained: bool = False,
    name: str | None = None,
) -> TopDown:
    """The release's HRNet with random weights, or with ImageNet weights where they fit.

    Args:
        width: Channels of the finest branch; published are 32 and 48.
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 32.
        codec: Codec for views of `size` and maps of a quarter of it; by default disks and offsets.
        preprocess: Crop rule, padding and colours; the release's by default.
        pretrained: Whether the backbone starts from timm's ImageNet weights, all but its last fusion layers.
        name: Name of the model.

    Raises:
        InputError: A size, width or codec that does not fit.
        MissingExtra, ReadError: The ImageNet weights cannot be loaded or downloaded.
    """
    check_size(size, HRNet.multiple, f"HRNet-W{width}")
    codec = codec or offset_codec(size, skeleton)
    check_codec(codec, size=size, cells=(size[0] // STRIDE, size[1] // STRIDE), skeleton=skeleton)
    built = network(width, codec.channels)
    if pretrained:
        start_hrnet(cast(HRNet, built.backbone), width)
    architecture = Architecture("udp:network", {"width": width, "channels": codec.channels})
    preprocess = preprocess or preprocess_for(codec, heatmap_preprocess("rgb"))
    return assemble(name or f"udp_hrnet_w{width}", architecture, built, codec=codec, preprocess=preprocess, skeleton=skeleton)


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `udp_hrnet_w32_offset_coco_256x192`; Simple Baselines take BGR, HRNet RGB."""
    own = offset_codec if request.parts["target"] == "offset" else gaussian_codec
    codec = requested_codec(request) or own(request.size, request.keypoints)
    if request.parts["depth"]:
        return poseresnet(
            int(request.parts["depth"]),
            skeleton=request.keypoints,
            size=request.size,
            codec=codec,
            pretrained=request.pretrained,
            name=request.name,
        )
    return udp_hrnet(
        int(request.parts["width"]),
        skeleton=request.keypoints,
        size=request.size,
        codec=codec,
        pretrained=request.pretrained,
        name=request.name,
    )


def _release(network: str, shape: str, AP: float) -> Release:
    name = f"udp_{network}_offset_coco_{shape}"
    return Release(name, page=PAGE, folder=FOLDER, licence=LICENCE, scores={"coco-val2017/AP": AP})


def _mpii(target: str, **scores: float) -> Release:
    names = {"half": "mpii-val/PCKh@0.5", "tenth": "mpii-val/PCKh@0.1"}
    found = {names[key]: value for key, value in scores.items()}
    return Release(f"udp_hrnet_w32_{target}_mpii_256x256", page=PAGE, folder=FOLDER, licence=LICENCE, scores=found)


FAMILY = Family(
    paper="UDP (arXiv 1911.07524)",
    form="udp_{hrnet_{w32,w48},poseresnet{50,152}}_{gaussian,offset}_{coco,mpii,SKELETON}_HEIGHTxWIDTH",
    pattern=(
        r"udp_(?:hrnet_w(?P<width>\d+)|poseresnet(?P<depth>\d+))_(?P<target>gaussian|offset)"
        rf"_{DATA}_(?P<size>\d+x\d+)"
    ),
    build=build,
    networks={"network": network},
    # README of the release: AP on COCO val2017 with boxes of a detector of person AP 65.1; PCKh on MPII val. Flip test.
    releases=(
        _release("poseresnet50", "256x192", 0.729),
        _release("poseresnet50", "384x288", 0.740),
        _release("poseresnet152", "256x192", 0.743),
        _release("poseresnet152", "384x288", 0.762),
        _release("hrnet_w32", "256x192", 0.768),
        _release("hrnet_w32", "384x288", 0.778),
        _release("hrnet_w48", "256x192", 0.772),
        _release("hrnet_w48", "384x288", 0.778),
        Release("udp_hrnet_w32_gaussian_coco_256x192", page=PAGE, folder=FOLDER, licence=LICENCE),
        _mpii("gaussian", half=0.904, tenth=0.421),
        *official("udp_"),
    ),
    keys=(("deconv_layers.", "head.layers."), ("final_layer.", "head.final."), ("", "backbone.")),
)
