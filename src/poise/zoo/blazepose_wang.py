"""A third party's BlazePose: "lite" with heatmaps, "full" with vectors of bins on features that it does not change.

"full" is trained after "lite": its trunk and pyramid get no gradient (arXiv 2006.10204, section 2.2: the regression does not
change what the heatmaps learnt), so it starts from a trained "lite" (`poise train --start`).
"""

from dataclasses import replace

from poise.codecs.base import InstanceCodec
from poise.codecs.simcc import SimCC
from poise.dims import Size
from poise.errors import unknown
from poise.models.top_down import TopDown
from poise.nn.backbones.blazepose_wang import WangTrunk
from poise.nn.base import Network, check_size
from poise.nn.heads.blazepose_wang import HeatmapHead, VectorHead
from poise.skeletons import COCO17, MPII16, Skeleton
from poise.skeletons.blazepose import BLAZEPOSE33
from poise.structures import Architecture, Preprocess
from poise.weights.release import Release
from poise.zoo.assemble import assemble, check_codec, gaussian_codec, heatmap_preprocess, preprocess_for, requested_codec
from poise.zoo.family import BuildRequest, Family
from poise.zoo.imagenet import refuse_pretrained

PAGE = "https://github.com/WangChyanhassth-2say/BlazePose_torch"
LICENCE = "the page names none (code); no weights were published"

SKELETONS = {"16": MPII16, "17": COCO17, "33": BLAZEPOSE33}
"""Skeleton of each number in names."""

STRIDES = {"lite": 4, "full": 32}
"""Stride of the maps that the codec or its readout reads."""


def network(variant: str, channels: int, bounded: bool = True, detached: bool = True) -> Network:
    """The network alone, with random weights.

    Args:
        variant: "lite" or "full".
        channels: Channels of the codec.
        bounded: Of "lite": whether maps go through a sigmoid.
        detached: Of "full": whether its loss does not reach trunk and pyramid.

    Raises:
        UnknownName: Another variant.
    """
    if variant not in STRIDES:
        raise unknown("variant of the third party's BlazePose", variant, STRIDES)
    head = HeatmapHead(channels, bounded=bounded) if variant == "lite" else VectorHead(channels, detached=detached)
    return Network(WangTrunk(), head)


def blazepose_wang(
    variant: str = "lite",
    *,
    skeleton: Skeleton = COCO17,
    size: Size = (256, 256),
    codec: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    detached: bool = True,
    name: str | None = None,
) -> TopDown:
    """A third party's BlazePose with random weights.

    Args:
        variant: "lite" (heatmaps) or "full" (vectors).
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 32.
        codec: Codec for views of `size`, and maps of a quarter ("lite") or a 32nd ("full") of it; by default Gaussians, and
            SimDR's one-hot bins.
        preprocess: Crop rule, padding and colours; HRNet's by default.
        detached: Of "full": whether its loss does not reach trunk and pyramid.
        name: Name of the model.

    Raises:
        InputError: A size or codec that does not fit.
        UnknownName: Another variant.
    """
    check_size(size, WangTrunk.multiple, "this BlazePose")
    cells = (size[0] // STRIDES[variant], size[1] // STRIDES[variant]) if variant in STRIDES else (1, 1)
    preprocess = preprocess or (
        heatmap_preprocess("rgb") if codec is None else preprocess_for(codec, heatmap_preprocess("rgb"))
    )
    codec = codec or (
        gaussian_codec(size, skeleton)
        if variant == "lite"
        else SimCC(size, cells, len(skeleton), label="one-hot", smoothing=0.1, beta=None)
    )
    check_codec(codec, size=size, cells=cells, skeleton=skeleton)
    values = {"variant": variant, "channels": codec.channels, "bounded": codec.output_type == "map", "detached": detached}
    built = network(variant, codec.channels, codec.output_type == "map", detached)
    architecture = Architecture("blazepose_wang:network", values)
    name = name or f"blazepose_wang_{variant}"
    return assemble(name, architecture, built, codec=codec, preprocess=preprocess, skeleton=skeleton)


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `blazepose_wang_lite_17j_256x256`."""
    refuse_pretrained(request.pretrained, "the third party's BlazePose")
    skeleton, variant = request.skeleton or SKELETONS[request.parts["joints"]], request.parts["variant"]
    codec = requested_codec(replace(request, skeleton=skeleton), stride=STRIDES[variant])
    return blazepose_wang(variant, skeleton=skeleton, size=request.size, codec=codec, name=request.name)


KEYS = (
    ("conv7_.", "head.conv7_."),
    ("conv8_.", "head.conv8_."),
    ("conv9_.", "head.conv9_."),
    ("conv11.0.", "head.final."),
    ("conv15.0.", "head.vectors.final."),
    *((f"conv1{number}", f"head.conv1{number}") for number in (2, 3, 4, 5)),
    ("mlp_head_x.", "readout.vectors.0."),
    ("mlp_head_y.", "readout.vectors.1."),
    ("", "backbone."),
)

ORDER = (
    "conv1", "conv2_b1", "conv3_b1", "conv4_b1", "conv4_b2", "conv5_b1", "conv5_b2", "conv6_b1", "conv12_a1",
    "conv13_a1", "conv13_a2", "conv14_a1", "conv14_a2", "conv15_a1", "conv2", "conv3", "conv4", "conv5", "conv6",
    "conv12", "conv13", "conv14", "conv7_", "conv8_", "conv9_", "conv11", "conv15", "mlp_head_x", "mlp_head_y",
)  # fmt: skip
"""Parts of the official network in its order."""

FAMILY = Family(
    paper="BlazePose (arXiv 2006.10204), a third party's",
    form="blazepose_wang_{lite,full}_{16,17,33}j_HEIGHTxWIDTH",
    pattern=r"blazepose_wang_(?P<variant>lite|full)_(?P<joints>16|17|33)j_(?P<size>\d+x\d+)",
    build=build,
    networks={"network": network},
    releases=tuple(Release(f"blazepose_wang_{variant}_17j_256x256", page=PAGE, licence=LICENCE) for variant in STRIDES),
    keys=KEYS,
    order=lambda name: (ORDER.index(name.partition(".")[0]),),
)
