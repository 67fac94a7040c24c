"""MSPN (Li et al.; arXiv 1901.00148): stages of encoders (ResNet-50) and decoders, with coarse-to-fine supervision."""

from typing import cast

from poise.codecs.base import InstanceCodec
from poise.dims import Size
from poise.errors import InputError
from poise.models.top_down import TopDown
from poise.nn.backbones.mspn import mspn as body
from poise.nn.backbones.multistage import MultiStage
from poise.nn.base import Network
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture, Preprocess
from poise.weights.release import Release
from poise.zoo.assemble import requested_codec
from poise.zoo.family import BuildRequest, Family
from poise.zoo.imagenet import start_mspn
from poise.zoo.multistage import MAX_STAGES, channels_of, keys, multistage, order, with_head

PAGE = "https://github.com/megvii-detection/MSPN"
FOLDER = "https://drive.google.com/open?id=1MW27OY_4YetEZ4JiD4PltFGL_1-caECy"
LICENCE = (
    "as its page says (code); the weights come from ImageNet and COCO or MPII images, whose own terms hold "
    "(MPII: non-commercial research)"
)


def network(stages: int, channels: int) -> Network:
    """The network alone, with random weights.

    Args:
        stages: Number of stages; published are 1 to 4.
        channels: Channels of the codec.

    Raises:
        InputError: Another number of stages.
    """
    if not 1 <= stages <= MAX_STAGES:
        raise InputError(f"MSPN has 1 to {MAX_STAGES} stages, not {stages}")
    return with_head(body(stages), channels)


def mspn(
    stages: int = 2,
    *,
    skeleton: Skeleton = COCO17,
    size: Size = (256, 192),
    codec: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    data: str = "coco",
    pretrained: bool = False,
    name: str | None = None,
) -> TopDown:
    """An MSPN with random weights, or with ImageNet weights in its encoders.

    Args:
        stages: Number of stages, 1 to 4.
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 32.
        codec: Codec of every output, for views of `size` and maps of a quarter of it; by default the release's codecs:
            Gaussians get narrower from output to output, the last output trains the 8 hardest keypoints of each view.
        preprocess: Crop rule, padding and colours; the release's by default.
        data: Data set whose test settings of the release are used, "coco" or "mpii".
        pretrained: Whether stem and encoders start from torchvision's ImageNet ResNet-50.
        name: Name of the model.

    Raises:
        InputError: A size, codec or number of stages that does not fit.
        UnknownName: Another data set.
        ReadError: The ImageNet weights cannot be loaded or downloaded.
    """
    channels = channels_of(codec, what="MSPN", size=size, skeleton=skeleton)
    built = network(stages, channels)
    if pretrained:
        start_mspn(cast(MultiStage, built.backbone))
    architecture = Architecture("mspn:network", {"stages": stages, "channels": channels})
    return multistage(
        name or f"mspn_{stages}stg",
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
    """The model of a name such as `mspn_2stg_coco_256x192`."""
    return mspn(
        int(request.parts["stages"]),
        skeleton=request.keypoints,
        size=request.size,
        codec=requested_codec(request),
        data=request.parts["data"],
        pretrained=request.pretrained,
        name=request.name,
    )


def _release(stages: int, data: str, shape: str, *, file: str = "", **scores: float) -> Release:
    names = {"AP": "coco-val2017/AP", "half": "mpii-val/PCKh@0.5"}
    return Release(
        name=f"mspn_{stages}stg_{data}_{shape}",
        file=file,
        page=PAGE,
        folder=FOLDER if file else "",
        licence=LICENCE,
        scores={names[key]: value for key, value in scores.items()},
    )


FAMILY = Family(
    paper="MSPN (arXiv 1901.00148)",
    form="mspn_{1,2,3,4}stg_{coco,mpii}_HEIGHTxWIDTH",
    pattern=r"mspn_(?P<stages>\d+)stg_(?P<data>coco|mpii)_(?P<size>\d+x\d+)",
    build=build,
    networks={"network": network},
    # README of the release, and the paper at 384x288: AP on COCO val2017 (minival) with detected boxes, flip test; PCKh on
    # MPII val.
    releases=(
        _release(1, "coco", "256x192", AP=0.715),
        _release(2, "coco", "256x192", AP=0.745, file="mspn_2xstg_coco.pth"),
        _release(3, "coco", "256x192", AP=0.752),
        _release(4, "coco", "256x192", AP=0.759),
        _release(4, "coco", "384x288", AP=0.769),
        _release(2, "mpii", "256x256"),
        _release(4, "mpii", "256x256", half=0.911),
    ),
    keys=keys(),
    order=order,
)
