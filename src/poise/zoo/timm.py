"""The head of Simple Baselines (arXiv 1804.06208), or ViTPose's (arXiv 2204.12484), on any backbone of timm."""

import math
from typing import Literal, TypeAlias

from poise.codecs.base import InstanceCodec
from poise.dims import Size
from poise.models.top_down import TopDown
from poise.nn.backbones.timm import TimmBackbone
from poise.nn.base import Head, Network, check_size
from poise.nn.heads.heatmap import DeconvHead
from poise.nn.heads.vitpose import ViTPoseHead
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture, Preprocess
from poise.zoo.assemble import STRIDE, assemble, check_codec, gaussian_codec_on, named_codec, preprocess_for
from poise.zoo.family import BuildRequest, Family

HeadName: TypeAlias = Literal["deconv", "simple", "classic"]
"""Simple Baselines' head on the last map as it is, or one of ViTPose's, before which a plain transformer's last norm stands."""


def _trunk(name: str, size: Size, head: HeadName, *, pretrained: bool = False) -> TimmBackbone:
    return TimmBackbone(name, size, pretrained=pretrained, last=head != "deconv")


def _network(backbone: TimmBackbone, channels: int, head: HeadName) -> Network:
    inputs, times = backbone.channels[-1], doublings(backbone.strides[-1])
    made: Head = DeconvHead(inputs, channels, (256,) * times)
    if head == "simple":
        made = ViTPoseHead(inputs, channels, simple=True, enlarged=2**times)
    return Network(backbone, made)


def doublings(stride: int) -> int:
    """Number of transposed convolutions for maps nearest to stride 4: three for stride 32, two for 16 and 14.

    >>> [doublings(s) for s in (64, 32, 16, 14, 8, 4)]
    [4, 3, 2, 2, 1, 0]
    """
    return max(round(math.log2(stride / STRIDE)), 0)


def network(backbone: str, channels: int, height: int, width: int, head: HeadName = "deconv") -> Network:
    """The network alone, with random weights.

    Args:
        backbone: Name of the backbone in timm.
        channels: Channels of the codec.
        height: Height of the views, pixels.
        width: Width of the views, pixels.
        head: The head.
    """
    return _network(_trunk(backbone, (height, width), head), channels, head)


def deconv(
    backbone: str,
    *,
    head: HeadName = "deconv",
    skeleton: Skeleton = COCO17,
    size: Size = (256, 192),
    codec: InstanceCodec | str | None = None,
    preprocess: Preprocess | None = None,
    pretrained: bool = False,
    name: str | None = None,
) -> TopDown:
    """A head on any timm backbone, with maps of stride 4 or the nearest possible.

    Args:
        backbone: Name of the backbone in timm; positions of a transformer are resized to the views.
        head: Transposed convolutions on the last map ("deconv"), the same behind the last norm of a plain transformer as in
            ViTPose ("classic"), or one enlargement, not learnt, and a 3x3 convolution behind that norm ("simple").
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of the backbone's coarsest stride.
        codec: Codec for views of `size` and the maps of this network, or its name; by default Gaussians centred on whole cells.
        preprocess: Crop rule, padding and colours; by default an unbiased crop with the backbone's own mean and deviation.
        pretrained: Whether the backbone starts from timm's weights.
        name: Name of the model.

    Raises:
        MissingExtra: timm is not installed.
        UnknownName: timm has no such model.
        InputError: A size, model or codec that does not fit.
        ReadError: The weights cannot be loaded or downloaded.
    """
    trunk = _trunk(backbone, size, head, pretrained=pretrained)
    check_size(size, trunk.multiple, f"timm's {backbone}")
    factor = 2 ** doublings(trunk.strides[-1])
    cells = (size[0] // trunk.strides[-1] * factor, size[1] // trunk.strides[-1] * factor)
    own = Preprocess(mean=trunk.mean, std=trunk.std)
    if isinstance(codec, str):
        codec = named_codec(codec, size, cells, keypoints=len(skeleton))
    preprocess = preprocess or (own if codec is None else preprocess_for(codec, own))
    codec = codec or gaussian_codec_on(size, cells, skeleton)
    check_codec(codec, size=size, cells=cells, skeleton=skeleton)
    arguments = {"backbone": backbone, "channels": codec.channels, "height": size[0], "width": size[1]}
    arguments |= {} if head == "deconv" else {"head": head}
    architecture, built = Architecture("timm:network", arguments), _network(trunk, codec.channels, head)
    return assemble(name or f"timm_{backbone}", architecture, built, codec=codec, preprocess=preprocess, skeleton=skeleton)


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `timm_resnet18_coco_256x192` or `timm_vit_small_patch16_dinov3_simple_coco_256x192`."""
    heads: dict[str, HeadName] = {"simple": "simple", "classic": "classic"}
    return deconv(
        request.parts["backbone"],
        head=heads.get(request.parts["head"], "deconv"),
        skeleton=request.keypoints,
        size=request.size,
        codec=request.codec,
        pretrained=request.pretrained,
        name=request.name,
    )


FAMILY = Family(
    paper="the head of Simple Baselines (arXiv 1804.06208), or ViTPose's (arXiv 2204.12484), on a backbone of timm",
    form="timm_BACKBONE[_simple,_classic]_{coco,mpii}_HEIGHTxWIDTH",
    pattern=r"timm_(?P<backbone>.+?)(?:_(?P<head>simple|classic))?_(?P<data>coco|mpii)_(?P<size>\d+x\d+)",
    build=build,
    networks={"network": network},
)
