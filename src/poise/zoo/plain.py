"""Our own default models: small networks of dense convolutions with unbiased heatmaps, made to be trained on a CPU."""

from poise.codecs.base import InstanceCodec
from poise.codecs.udp import UDPGaussian
from poise.dims import Size
from poise.errors import unknown
from poise.models.top_down import TopDown
from poise.nn.backbones.plain import PlainNet, Stages
from poise.nn.base import Network, check_size
from poise.nn.heads.pyramid import PyramidHead
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture, Preprocess
from poise.weights.release import Release
from poise.zoo.assemble import STRIDE, assemble, check_codec, preprocess_for, requested_codec
from poise.zoo.family import BuildRequest, Family

WIDTHS: dict[str, Stages] = {"t": (32, 64, 128, 256), "s": (64, 128, 256, 384)}
"""Channels of the four stages: tiny, small."""

BLOCKS: Stages = (2, 2, 2, 2)
HEAD = 64


def network(width: str, channels: int) -> Network:
    """The network alone, with random weights.

    Args:
        width: "t" or "s".
        channels: Channels of the codec.

    Raises:
        UnknownName: Another width.
    """
    if width not in WIDTHS:
        raise unknown("width of poise's own network", width, WIDTHS)
    backbone = PlainNet(WIDTHS[width], BLOCKS)
    return Network(backbone, PyramidHead(backbone.channels, HEAD, channels))


def plain(
    width: str = "s",
    *,
    skeleton: Skeleton = COCO17,
    size: Size = (256, 192),
    codec: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    name: str | None = None,
) -> TopDown:
    """A small model with random weights.

    Args:
        width: "t" (2.9 million parameters) or "s" (7.9 million).
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 32.
        codec: Codec for views of `size` and maps of a quarter of it; by default UDP's, with a sigma of 2 cells at 256x192 and
            in proportion to the size.
        preprocess: Crop rule, padding and colours; by default unbiased, or as the given codec expects.
        name: Name of the model.

    Raises:
        InputError: A size or codec that does not fit.
        UnknownName: Another width.
    """
    check_size(size, PlainNet.multiple, f"poise_{width}")
    cells = (size[0] // STRIDE, size[1] // STRIDE)
    preprocess = preprocess or (Preprocess() if codec is None else preprocess_for(codec, Preprocess()))
    codec = codec or UDPGaussian(size=size, cells=cells, keypoints=len(skeleton), sigma=max(1.0, min(size) / 96))
    check_codec(codec, size=size, cells=cells, skeleton=skeleton)
    architecture = Architecture("plain:network", {"width": width, "channels": codec.channels})
    built = network(width, codec.channels)
    return assemble(name or f"poise_{width}", architecture, built, codec=codec, preprocess=preprocess, skeleton=skeleton)


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `poise_s_coco_256x192`."""
    width, codec = request.parts["width"], requested_codec(request)
    return plain(width, skeleton=request.keypoints, size=request.size, codec=codec, name=request.name)


FAMILY = Family(
    paper="poise's own",
    form="poise_{t,s}_{coco,mpii}_HEIGHTxWIDTH",
    pattern=r"poise_(?P<width>[a-z]+)_(?P<data>coco|mpii)_(?P<size>\d+x\d+)",
    build=build,
    networks={"network": network},
    releases=tuple(
        Release(name=f"poise_{width}_coco_{shape}", licence="Apache-2.0 (code)")
        for width in WIDTHS
        for shape in ("192x160", "256x192")
    ),
)
