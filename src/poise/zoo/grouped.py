"""Bottom-up models that group by tags or regress every keypoint: HigherHRNet (arXiv 1908.10357), DEKR (arXiv 2104.02300)."""

from poise.codecs.associative import AssociativeEmbedding
from poise.codecs.centre_regression import CentreRegression
from poise.decoding.tags import grouping_order
from poise.errors import InputError
from poise.models.bottom_up import BottomUp
from poise.models.card import Card
from poise.models.disentangled import Disentangled
from poise.models.higher_resolution import HigherResolution
from poise.nn.backbones.hrnet import HRNet
from poise.nn.base import Network, check_size
from poise.nn.heads.associative import HigherResolutionHead
from poise.nn.heads.disentangled import DisentangledHead
from poise.nn.rescore import RescoreNet
from poise.scenes import Canvas
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture
from poise.zoo.family import BuildRequest, Family
from poise.zoo.grouped_keys import from_mmpose
from poise.zoo.imagenet import start_hrnet
from poise.zoo.official_files import official

MULTIPLE = 64
"""Sides of the releases' views are multiples of this, pixels."""


def higher_network(width: int = 32, keypoints: int = 17) -> Network:
    """HigherHRNet's network with random weights: heatmaps and tags of stride 4, heatmaps of stride 2.

    Args:
        width: Channels of the finest branch; published are 32 and 48.
        keypoints: Number of keypoints.
    """
    backbone = HRNet(width)
    return Network(backbone, HigherResolutionHead(backbone.channels[0], keypoints))


def dekr_network(width: int = 32, keypoints: int = 17, links: int = 0) -> Network:
    """DEKR's network with random weights: heatmaps with the centre of people last, offsets.

    Args:
        width: Channels of the finest branch; published are 32 and 48.
        keypoints: Number of keypoints.
        links: Number of links of the rescoring network; 0 for none.
    """
    backbone = HRNet(width, branches=4)
    network = Network(backbone, DisentangledHead(backbone.channels, keypoints, width))
    if links:
        network.rescore = RescoreNet(links, keypoints)
    return network


def grouped_canvas(side: int, skeleton: Skeleton) -> Canvas:
    """The releases' canvas: short side of `side` pixels, black around the image, flip test where the skeleton has pairs.

    Args:
        side: Short side of the views, pixels.
        skeleton: The keypoints.
    """
    black = (0.0, 0.0, 0.0)
    return Canvas(
        fill=black, side=side, fit="short", multiple=MULTIPLE, place="middle", rule="higherhrnet", flip_test=skeleton.mirrors
    )


def higherhrnet(
    width: int = 32, *, skeleton: Skeleton = COCO17, side: int = 512, pretrained: bool = False, name: str | None = None
) -> HigherResolution:
    """A HigherHRNet with random weights.

    Args:
        width: Channels of the finest branch.
        skeleton: The keypoints.
        side: Short side of the views, pixels.
        pretrained: Whether the backbone starts from ImageNet weights.
        name: Name of the model.

    Raises:
        MissingExtra, ReadError: The ImageNet weights cannot be loaded or downloaded.
    """
    arguments = {"width": width, "keypoints": len(skeleton)}
    network = higher_network(**arguments)
    if pretrained:
        start_hrnet(network.backbone, width)  # type: ignore[arg-type]  # made above
    codec = AssociativeEmbedding(len(skeleton), order=grouping_order(skeleton.keypoints))
    coarse = AssociativeEmbedding(len(skeleton), order=codec.order, cell=4)
    fine = AssociativeEmbedding(len(skeleton), order=codec.order, tagged=False)
    card = Card(name or f"higherhrnet_w{width}", Architecture("grouped:higher_network", arguments), "of whoever trains it")
    return HigherResolution(network, codec, grouped_canvas(side, skeleton), skeleton, card, deep=(coarse, fine))


def dekr(
    width: int = 32, *, skeleton: Skeleton = COCO17, side: int = 512, pretrained: bool = False, name: str | None = None
) -> Disentangled:
    """A DEKR with random weights; arguments and errors as of `higherhrnet`."""
    arguments = {"width": width, "keypoints": len(skeleton)}
    network = dekr_network(**arguments)
    if pretrained:
        start_hrnet(network.backbone, width)  # type: ignore[arg-type]  # made above
    card = Card(name or f"dekr_w{width}", Architecture("grouped:dekr_network", arguments), "of whoever trains it")
    return Disentangled(network, CentreRegression(len(skeleton)), grouped_canvas(side, skeleton), skeleton, card)


def build(request: BuildRequest) -> BottomUp:
    """The model of a name such as `higherhrnet_w32_coco17_512x512`, `dekr_w32_coco17_512x512` or `dekr_w32`."""
    make = higherhrnet if request.parts["kind"] == "higherhrnet" else dekr
    side = min(request.size) if request.parts["size"] else (640 if request.parts["width"] == "48" else 512)
    check_size((side, side), HRNet.multiple, request.name)
    own = "AssociativeEmbedding" if make is higherhrnet else "CentreRegression"
    if request.codec not in (None, own):
        raise InputError(f"{request.name!r} takes the codec {own} only, not {request.codec!r}; leave --codec out")
    return make(
        int(request.parts["width"]), skeleton=request.keypoints, side=side, pretrained=request.pretrained, name=request.name
    )


_HEADS = ("final_layers.", "deconv_layers.", "transition_heatmap.", "transition_offset.", "head_heatmap.", "offset_")

FAMILY = Family(
    paper="HigherHRNet (arXiv 1908.10357), DEKR (arXiv 2104.02300)",
    form="{higherhrnet,dekr}_{w32,w48}[_SKELETON][_HEIGHTxWIDTH]",
    pattern=r"(?P<kind>higherhrnet|dekr)_w(?P<width>\d+)(?:_(?P<data>[a-z][a-z0-9_]*?))?(?:_(?P<size>\d+x\d+))?",
    build=build,
    networks={"higher_network": higher_network, "dekr_network": dekr_network},
    releases=official("higherhrnet_", "dekr_"),
    keys=(("rescore_net.", "rescore."), *((part, f"head.{part}") for part in _HEADS), ("", "backbone.")),
    unused_keys=r"offset_feature_layers\.\d+\.\d+\.regular_matrix|rescore_net\..*",
    rename=from_mmpose,
)
