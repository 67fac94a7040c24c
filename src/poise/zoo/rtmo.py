"""RTMO (Lu et al.; CVPR 2024; arXiv 2312.07526): everybody in an image and their keypoints in one stage.

The network with its reading of people: official weights answer as in the release. It is no model that `poise predict` runs yet.
"""

from collections.abc import Mapping

from poise.dims import Size
from poise.models.card import Card
from poise.models.network_part import NetworkPart
from poise.nn.backbones.csp_darknet import CSPDarknet
from poise.nn.base import check_size
from poise.nn.rtmo.network import RTMONet
from poise.structures import Architecture
from poise.zoo.family import BuildRequest, Family
from poise.zoo.imagenet import refuse_pretrained

FACTORS: Mapping[str, tuple[float, float, int]] = {
    "t": (0.375, 0.33, 192),
    "s": (0.5, 0.33, 256),
    "m": (0.75, 0.67, 384),
    "l": (1.0, 1.0, 512),
}
"""Factors on channels and blocks, and values of a pose vector, by the letter of a size."""

USUAL: Mapping[str, Size] = {"t": (416, 416), "s": (640, 640), "m": (640, 640), "l": (640, 640)}
"""Size of the views (h, w) of a name without one, as the releases test."""


def network(variant: str, keypoints: int) -> RTMONet:
    """The network alone, with random weights.

    Args:
        variant: t, s, m or l.
        keypoints: Number of keypoints.
    """
    width, depth, channels = FACTORS[variant]
    return RTMONet(keypoints, width=width, depth=depth, channels=channels)


def build(request: BuildRequest) -> NetworkPart:
    """The network of a name such as `rtmo_m` or `rtmo_s_crowdpose14_640x640`."""
    variant, keypoints = request.parts["variant"], len(request.keypoints)
    refuse_pretrained(request.pretrained, f"RTMO-{variant} that can be downloaded")
    check_size(request.size if request.parts["size"] else USUAL[variant], CSPDarknet.multiple, f"RTMO-{variant}")
    card = Card(request.name, Architecture("rtmo:network", {"variant": variant, "keypoints": keypoints}))
    return NetworkPart(network(variant, keypoints), card, "the network of RTMO, which people are read from by `network.head`")


FAMILY = Family(
    paper="RTMO (arXiv 2312.07526)",
    form="rtmo_{t,s,m,l}[_KEYPOINTS][_HEIGHTxWIDTH]",
    pattern=r"rtmo_(?P<variant>[tsml])(?:_(?P<data>[a-z][a-z0-9_]*?))?(?:_(?P<size>\d+x\d+))?",
    build=build,
    networks={"network": network},
    keys=(("head.", "head."), ("neck.", "neck."), ("backbone.", "backbone.")),
    unused_keys=r"neck\.sincos_pos_enc\.dim_t|head\.dcc\.([xy]_bins|spe\.dim_t)|head\.loss_oks\.sigmas",
)
