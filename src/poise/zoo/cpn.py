"""CPN (Chen et al.; CVPR 2018; arXiv 1711.07319): GlobalNet for the easy keypoints, RefineNet for the hard ones."""

from typing import cast

from poise.codecs.base import InstanceCodec
from poise.codecs.megvii import cpn_codecs
from poise.dims import Size
from poise.models.top_down import TopDown
from poise.nn.backbones.resnet import ResNet
from poise.nn.base import Network, check_size
from poise.nn.heads.cascade import CascadeHead
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture, Preprocess
from poise.weights.release import Release
from poise.zoo.assemble import STRIDE, assemble, check_codec, preprocess_for, requested_codec
from poise.zoo.family import BuildRequest, Family
from poise.zoo.imagenet import start_resnet

PAGE = "https://github.com/GengDavid/pytorch-cpn"
LICENCE = "as its page says (code); the weights come from ImageNet and COCO images, whose own terms hold"

MEAN = (122.7717, 115.9465, 102.9801)
"""The release's mean colour: red, green and blue of 0..255."""

LEVELS = 4
"""Outputs of GlobalNet, one for each resolution of the backbone; RefineNet's is the last."""


def network(depth: int, channels: int) -> Network:
    """The network alone, with random weights.

    Args:
        depth: Depth of the ResNet; published are 50 and 101.
        channels: Channels of the codec.
    """
    backbone = ResNet(depth)
    return Network(backbone, CascadeHead(backbone.channels, channels))


def release_preprocess() -> Preprocess:
    """The release's preprocessing: box grown by 20 % in width and 30 % in height, mean colour as padding and subtracted.

    All keypoints enter the score of a pose, and no pose is suppressed.
    """
    return Preprocess(
        crop="cpn",
        padding=1.0,
        sides=(1.2, 1.3),
        fill=MEAN,
        mean=(MEAN[0] / 255, MEAN[1] / 255, MEAN[2] / 255),
        std=(1.0, 1.0, 1.0),
        min_keypoint_score=-1.0,
        oks_nms=1.0,
    )


def cpn(
    depth: int = 50,
    *,
    skeleton: Skeleton = COCO17,
    size: Size = (256, 192),
    codec: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    pretrained: bool = False,
    name: str | None = None,
) -> TopDown:
    """A CPN with random weights, or with ImageNet weights in its backbone.

    Args:
        depth: Depth of the ResNet: 18, 34, 50, 101 or 152; published are 50 and 101.
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 32.
        codec: Codec of every output, for views of `size` and maps of a quarter of it; by default the release's codecs:
            GlobalNet's Gaussians get narrower from output to output, RefineNet trains the 8 hardest keypoints of each view.
        preprocess: Crop rule, padding and colours; the release's by default.
        pretrained: Whether the backbone starts from torchvision's ImageNet weights.
        name: Name of the model.

    Raises:
        InputError: A size, depth or codec that does not fit.
        ReadError: The ImageNet weights cannot be loaded or downloaded.
    """
    check_size(size, ResNet.multiple, f"CPN-{depth}")
    cells = (size[0] // STRIDE, size[1] // STRIDE)
    deep, last = cpn_codecs(size, cells, len(skeleton)) if codec is None else ((codec,) * LEVELS, codec)
    check_codec(last, size=size, cells=cells, skeleton=skeleton)
    built = network(depth, last.channels)
    if pretrained:
        start_resnet(cast(ResNet, built.backbone), depth, "pytorch")
    architecture = Architecture("cpn:network", {"depth": depth, "channels": last.channels})
    preprocess = preprocess or (release_preprocess() if codec is None else preprocess_for(codec, release_preprocess()))
    return assemble(
        name or f"cpn_{depth}", architecture, built, codec=last, deep=deep, preprocess=preprocess, skeleton=skeleton
    )


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `cpn_50_coco_256x192`."""
    return cpn(
        int(request.parts["depth"]),
        skeleton=request.keypoints,
        size=request.size,
        codec=requested_codec(request),
        pretrained=request.pretrained,
        name=request.name,
    )


def _keys() -> tuple[tuple[str, str], ...]:
    """Prefixes of weight names, official and ours."""
    reader = {"0.": "before.0.", "1.": "before.1.", "3.": "final.conv.", "5.": "final.bn."}
    rise = {"1.": "conv.", "2.": "bn."}
    return (
        *((f"global_net.predict.{n}.{a}", f"head.predict.{n}.{b}") for n in range(LEVELS) for a, b in reader.items()),
        *((f"global_net.upsamples.{n}.{a}", f"head.upsamples.{n}.{b}") for n in range(LEVELS - 1) for a, b in rise.items()),
        ("global_net.laterals.", "head.laterals."),
        ("refine_net.cascade.", "head.cascade."),
        ("refine_net.final_predict.0.", "head.join."),
        ("refine_net.final_predict.1.", "head.final.conv."),
        ("refine_net.final_predict.2.", "head.final.bn."),
        ("resnet.", "backbone."),
    )


# README of the release: AP on COCO val2017 (minival) with detected boxes, flip test. Its files.
_SCORES = {(50, "256x192"): 0.692, (50, "384x288"): 0.722, (101, "384x288"): 0.723}
_FILES = {
    (50, "256x192"): ("COCO.res50.256x192.CPN", "https://drive.google.com/open?id=1pUpU8o6QtgK197vAfCtT5cxokE9p-yuB"),
    (50, "384x288"): ("COCO.res50.384x288.CPN", "https://drive.google.com/open?id=1L6Qq-incr2XtptdLJti3Zdf6sr19zs7y"),
    (101, "384x288"): ("COCO.res101.384x288.CPN", "https://drive.google.com/open?id=1zFYUsDbFG3xxMoZkSv253QsVD9AF9rv7"),
}


def _release(depth: int, shape: str) -> Release:
    file, folder = _FILES.get((depth, shape), ("", ""))
    score = _SCORES.get((depth, shape))
    return Release(
        name=f"cpn_{depth}_coco_{shape}",
        file=file,
        page=PAGE,
        folder=folder,
        licence=LICENCE,
        scores={} if score is None else {"coco-val2017/AP": score},
    )


FAMILY = Family(
    paper="CPN (arXiv 1711.07319)",
    form="cpn_{50,101}_coco_HEIGHTxWIDTH",
    pattern=r"cpn_(?P<depth>\d+)_(?P<data>coco|mpii)_(?P<size>\d+x\d+)",
    build=build,
    networks={"network": network},
    releases=tuple(_release(depth, shape) for depth in (50, 101) for shape in ("256x192", "384x288", "256x256")),
    keys=_keys(),
)
