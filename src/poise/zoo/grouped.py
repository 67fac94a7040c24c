"""Whole-image networks that group by tags or regress every keypoint: HigherHRNet (arXiv 1908.10357), DEKR (arXiv 2104.02300).

They can be imported and run; no codec decodes their outputs yet. Weights and their names are the releases'.
"""

from poise.models.card import Card
from poise.models.network_part import NetworkPart
from poise.nn.backbones.hrnet import HRNet
from poise.nn.base import Network, check_size
from poise.nn.heads.associative import HigherResolutionHead
from poise.nn.heads.disentangled import DisentangledHead
from poise.structures import Architecture
from poise.zoo.family import DATA, BuildRequest, Family
from poise.zoo.imagenet import refuse_pretrained


def higher_network(width: int = 32, keypoints: int = 17) -> Network:
    """HigherHRNet's network with random weights: heatmaps and tags of stride 4, heatmaps of stride 2.

    Args:
        width: Channels of the finest branch; published are 32 and 48.
        keypoints: Number of keypoints.
    """
    backbone = HRNet(width)
    return Network(backbone, HigherResolutionHead(backbone.channels[0], keypoints))


def dekr_network(width: int = 32, keypoints: int = 17) -> Network:
    """DEKR's network with random weights: heatmaps with the centre of people last, offsets.

    Args:
        width: Channels of the finest branch; published are 32 and 48.
        keypoints: Number of keypoints.
    """
    backbone = HRNet(width, branches=4)
    return Network(backbone, DisentangledHead(backbone.channels, keypoints, width))


def build(request: BuildRequest) -> NetworkPart:
    """The network of a name such as `higherhrnet_w32_coco17_512x512` or `dekr_w32_coco17_512x512`."""
    refuse_pretrained(request.pretrained, "HigherHRNet and DEKR")
    check_size(request.size, HRNet.multiple, request.name)
    name = "higher_network" if request.parts["kind"] == "higherhrnet" else "dekr_network"
    arguments = {"width": int(request.parts["width"]), "keypoints": len(request.keypoints)}
    card = Card(request.name, Architecture(f"grouped:{name}", arguments))
    return NetworkPart(FAMILY.networks[name](**arguments), card, "a network whose outputs no codec decodes")


_HEADS = ("final_layers.", "deconv_layers.", "transition_heatmap.", "transition_offset.", "head_heatmap.", "offset_")

FAMILY = Family(
    paper="HigherHRNet (arXiv 1908.10357), DEKR (arXiv 2104.02300)",
    form="{higherhrnet,dekr}_{w32,w48}_{coco17,SKELETON}_HEIGHTxWIDTH",
    pattern=rf"(?P<kind>higherhrnet|dekr)_w(?P<width>\d+)_{DATA}_(?P<size>\d+x\d+)",
    build=build,
    networks={"higher_network": higher_network, "dekr_network": dekr_network},
    keys=(*((part, f"head.{part}") for part in _HEADS), ("", "backbone.")),
    unused_keys=r"offset_feature_layers\.\d+\.\d+\.regular_matrix",
)
