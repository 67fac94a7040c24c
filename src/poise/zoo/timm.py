"""The head of Simple Baselines (arXiv 1804.06208) on any backbone of timm."""

import math

from poise.codecs.base import InstanceCodec
from poise.dims import Size
from poise.models.top_down import TopDown
from poise.nn.backbones.timm import TimmBackbone
from poise.nn.base import Network, check_size
from poise.nn.heads.heatmap import DeconvHead
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture, Preprocess
from poise.zoo.assemble import STRIDE, assemble, check_codec, gaussian_codec_on, named_codec, preprocess_for
from poise.zoo.family import BuildRequest, Family


def _network(backbone: TimmBackbone, channels: int) -> Network:
    return Network(backbone, DeconvHead(backbone.channels[-1], channels, (256,) * doublings(backbone.strides[-1])))


def doublings(stride: int) -> int:
    """Number of transposed convolutions for maps nearest to stride 4: three for stride 32, two for 16 and 14.

    >>> [doublings(s) for s in (64, 32, 16, 14, 8, 4)]
    [4, 3, 2, 2, 1, 0]
    """
    return max(round(math.log2(stride / STRIDE)), 0)


def network(backbone: str, channels: int, height: int, width: int) -> Network:
    """The network alone, with random weights.

    Args:
        backbone: Name of the backbone in timm.
        channels: Channels of the codec.
        height: Height of the views, pixels.
        width: Width of the views, pixels.
    """
    return _network(TimmBackbone(backbone, (height, width)), channels)


def deconv(
    backbone: str,
    *,
    skeleton: Skeleton = COCO17,
    size: Size = (256, 192),
    codec: InstanceCodec | str | None = None,
    preprocess: Preprocess | None = None,
    pretrained: bool = False,
    name: str | None = None,
) -> TopDown:
    """Transposed convolutions on any timm backbone, up to maps of stride 4 or the nearest possible.

    Args:
        backbone: Name of the backbone in timm.
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
    trunk = TimmBackbone(backbone, size, pretrained=pretrained)
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
    architecture, built = Architecture("timm:network", arguments), _network(trunk, codec.channels)
    return assemble(name or f"timm_{backbone}", architecture, built, codec=codec, preprocess=preprocess, skeleton=skeleton)


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `timm_mobilenetv4_conv_small_coco_256x192`."""
    return deconv(
        request.parts["backbone"],
        skeleton=request.keypoints,
        size=request.size,
        codec=request.codec,
        pretrained=request.pretrained,
        name=request.name,
    )


FAMILY = Family(
    paper="the head of Simple Baselines (arXiv 1804.06208) on a backbone of timm",
    form="timm_BACKBONE_{coco,mpii}_HEIGHTxWIDTH",
    pattern=r"timm_(?P<backbone>.+)_(?P<data>coco|mpii)_(?P<size>\d+x\d+)",
    build=build,
    networks={"network": network},
)
