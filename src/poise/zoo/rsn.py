"""RSN (Cai et al.; ECCV 2020; arXiv 2003.04030): MSPN's multi-stage network with residual steps blocks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from poise.codecs.base import InstanceCodec
from poise.dims import Size
from poise.errors import InputError, unknown
from poise.models.top_down import TopDown
from poise.nn.backbones.multistage import MultiStage
from poise.nn.backbones.rsn import res18, rsn18
from poise.nn.base import Network
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture, Preprocess
from poise.weights.release import Release
from poise.zoo.assemble import requested_codec
from poise.zoo.family import BuildRequest, Family
from poise.zoo.multistage import channels_of, keys, multistage, order, with_head

PAGE = "https://github.com/caiyuanhao1998/RSN"
LICENCE = (
    "as its page says (code); the weights come from COCO or MPII images, whose own terms hold (MPII: non-commercial research)"
)


@dataclass(frozen=True)
class Body:
    """The backbone of a published network.

    Attributes:
        body: Makes the backbone of a number of stages.
        stages: Number of stages.
    """

    body: Callable[[int], MultiStage]
    stages: int


BODIES: Mapping[str, Body] = {"res18": Body(res18, 1), "rsn18": Body(rsn18, 1), "4xrsn18": Body(rsn18, 4)}
"""The networks of the release."""


def network(kind: str, channels: int) -> Network:
    """The network alone, with random weights.

    Args:
        kind: One of `BODIES`.
        channels: Channels of the codec.

    Raises:
        UnknownName: Another network.
    """
    if kind not in BODIES:
        raise unknown("network of RSN", kind, BODIES)
    return with_head(BODIES[kind].body(BODIES[kind].stages), channels)


def rsn(
    kind: str = "rsn18",
    *,
    skeleton: Skeleton = COCO17,
    size: Size = (256, 192),
    codec: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    data: str = "coco",
    name: str | None = None,
) -> TopDown:
    """An RSN, or the plain network it is compared with, with random weights, as the release starts.

    Args:
        kind: One of `BODIES`: "rsn18", "4xrsn18" or "res18".
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 32.
        codec: Codec of every output, for views of `size` and maps of a quarter of it; by default the release's codecs, MSPN's.
        preprocess: Crop rule, padding and colours; the release's by default.
        data: Data set whose test settings of the release are used, "coco" or "mpii".
        name: Name of the model.

    Raises:
        InputError: A size or codec that does not fit.
        UnknownName: Another network or data set.
    """
    channels = channels_of(codec, what="RSN", size=size, skeleton=skeleton)
    built = network(kind, channels)
    architecture = Architecture("rsn:network", {"kind": kind, "channels": channels})
    stages = BODIES[kind].stages
    return multistage(
        name or f"rsn_{kind}",
        architecture,
        built,
        stages=stages,
        skeleton=skeleton,
        size=size,
        codec=codec,
        preprocess=preprocess,
        data=data,
    )


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `rsn_rsn18_coco_256x192`.

    Raises:
        InputError: ImageNet weights are asked for.
    """
    if request.pretrained:
        raise InputError(
            "there are no ImageNet weights of RSN, whose authors train from scratch; start without (--no-pretrained, "
            "pretrained=False)"
        )
    return rsn(
        request.parts["kind"],
        skeleton=request.keypoints,
        size=request.size,
        codec=requested_codec(request),
        data=request.parts["data"],
        name=request.name,
    )


def _release(kind: str, data: str, shape: str, **scores: float) -> Release:
    names = {"AP": "coco-val2017/AP"}
    return Release(
        name=f"rsn_{kind}_{data}_{shape}",
        page=PAGE,
        licence=LICENCE,
        scores={names[key]: value for key, value in scores.items()},
    )


FAMILY = Family(
    paper="RSN (arXiv 2003.04030)",
    form="rsn_{res18,rsn18,4xrsn18}_{coco,mpii}_HEIGHTxWIDTH",
    pattern=rf"rsn_(?P<kind>{'|'.join(BODIES)})_(?P<data>coco|mpii)_(?P<size>\d+x\d+)",
    build=build,
    networks={"network": network},
    # README of the release, its PyTorch trainings; the paper's platform reached 0.707 and 0.736.
    releases=(
        _release("res18", "coco", "256x192", AP=0.652),
        _release("rsn18", "coco", "256x192", AP=0.704),
        _release("4xrsn18", "coco", "256x192"),
        _release("rsn18", "mpii", "256x256"),
    ),
    keys=keys(),
    order=order,
)
