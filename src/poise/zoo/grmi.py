"""G-RMI's network (Papandreou et al.; CVPR 2017; arXiv 1701.01779): a ResNet of stride 8 by dilation, maps resized."""

from typing import cast

from poise.codecs.base import InstanceCodec
from poise.codecs.grmi import CROP, GRMI
from poise.dims import Size
from poise.errors import InputError
from poise.models.top_down import TopDown
from poise.nn.backbones.resnet import ResNet, dilate
from poise.nn.base import Network
from poise.nn.heads.heatmap import UpsampledHead
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture, Preprocess
from poise.weights.release import Release
from poise.zoo.assemble import assemble, check_codec, named_codec, preprocess_for
from poise.zoo.family import BuildRequest, Family
from poise.zoo.imagenet import start_resnet

STRIDE = 8
"""Stride of the network's own maps, pixels (section 3.2)."""

FACTORS = (1, 2, 4, 8)
"""Factors by which maps may be resized; 8, the views' own size, in the paper."""


def network(depth: int, channels: int, factor: int = STRIDE) -> Network:
    """The network alone, with random weights.

    Args:
        depth: 18, 34, 50, 101 or 152.
        channels: Channels of the codec.
        factor: Factor by which the maps are resized: 1, 2, 4 or 8.
    """
    backbone = dilate(ResNet(depth))
    return Network(backbone, UpsampledHead(backbone.channels[-1], channels, factor))


def cells_of(size: Size, factor: int) -> Size:
    """Cells (h, w) of the maps: corner cells lie on corner pixels.

    Raises:
        InputError: Sides that are not a multiple of 8 plus 1.
    """
    if any(side < 2 * STRIDE or side % STRIDE != 1 for side in size):
        raise InputError(
            f"G-RMI's network takes views whose sides are a multiple of {STRIDE} plus 1, such as {CROP[0]}x{CROP[1]}, so that "
            f"corner cells lie on corner pixels; not {size[0]}x{size[1]}"
        )
    return (size[0] - 1) * factor // STRIDE + 1, (size[1] - 1) * factor // STRIDE + 1


def grmi(
    depth: int = 101,
    *,
    skeleton: Skeleton = COCO17,
    size: Size = CROP,
    factor: int = STRIDE,
    codec: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    pretrained: bool = False,
    name: str | None = None,
) -> TopDown:
    """G-RMI with random weights, or with ImageNet weights in its backbone.

    Args:
        depth: 18, 34, 50, 101 or 152; 101 in the paper.
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 8 plus 1; 353x257 in the paper.
        factor: Factor by which the maps of stride 8 are resized: 1, 2, 4 or 8; 8, the size of the view, in the paper.
        codec: Codec for these views and maps; by default `GRMI`.
        preprocess: Crop rule, padding and colours; by default unbiased crops, padded by a quarter.
        pretrained: Whether the backbone starts from torchvision's ImageNet weights.
        name: Name of the model.

    Raises:
        InputError: A size, depth or codec that does not fit.
        ReadError: The ImageNet weights cannot be loaded or downloaded.
    """
    cells = cells_of(size, factor)
    codec = codec or GRMI(size=size, cells=cells, keypoints=len(skeleton))
    check_codec(codec, size=size, cells=cells, skeleton=skeleton)
    built = network(depth, codec.channels, factor)
    if pretrained:
        start_resnet(cast(ResNet, built.backbone), depth, "pytorch")
    architecture = Architecture("grmi:network", {"depth": depth, "channels": codec.channels, "factor": factor})
    preprocess = preprocess or preprocess_for(codec, Preprocess())
    return assemble(name or f"grmi_{depth}", architecture, built, codec=codec, preprocess=preprocess, skeleton=skeleton)


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `grmi_101_coco_353x257`."""
    factor = int(request.parts["factor"] or STRIDE)
    cells = cells_of(request.size, factor)
    codec = None
    if request.codec is not None:
        codec = named_codec(request.codec, request.size, cells, keypoints=len(request.keypoints))
    return grmi(
        int(request.parts["depth"]),
        skeleton=request.keypoints,
        size=request.size,
        factor=factor,
        codec=codec,
        pretrained=request.pretrained,
        name=request.name,
    )


FAMILY = Family(
    paper="G-RMI (arXiv 1701.01779)",
    form="grmi_{18,34,50,101,152}[_x{1,2,4,8}]_{coco,mpii}_HEIGHTxWIDTH",
    pattern=r"grmi_(?P<depth>\d+)(?:_x(?P<factor>[1248]))?_(?P<data>coco|mpii)_(?P<size>\d+x\d+)",
    build=build,
    networks={"network": network},
    releases=(Release("grmi_101_coco_353x257", page="https://arxiv.org/abs/1701.01779", licence="of whoever trains it"),),
)
