"""SuperAnimal models of DeepLabCut 3 (Ye et al.; Nature Communications 2024; arXiv 2203.07436): timm's HRNet and a 1x1 head."""

from poise.codecs.base import InstanceCodec
from poise.codecs.centred import CentredMaps
from poise.dims import Size
from poise.models.top_down import TopDown
from poise.nn.backbones.hrnet import HRNet
from poise.nn.base import Network, check_size
from poise.nn.heads.heatmap import TransposedHead
from poise.skeletons import Skeleton
from poise.skeletons.superanimal import QUADRUPED39
from poise.structures import Architecture, Preprocess
from poise.zoo.assemble import STRIDE, assemble, check_codec, preprocess_for, requested_codec
from poise.zoo.family import DATA, BuildRequest, Family
from poise.zoo.imagenet import refuse_pretrained
from poise.zoo.official_files import official


def network(width: int, channels: int) -> Network:
    """The network alone, with random weights.

    Args:
        width: Channels of the finest branch; published is 32.
        channels: Channels of the codec.
    """
    backbone = HRNet(width)
    return Network(backbone, TransposedHead(backbone.channels[0], channels))


def superanimal(
    width: int = 32,
    *,
    skeleton: Skeleton = QUADRUPED39,
    size: Size = (256, 256),
    codec: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    name: str | None = None,
) -> TopDown:
    """A SuperAnimal HRNet with random weights.

    Args:
        width: Channels of the finest branch; published is 32.
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 32.
        codec: Codec for views of `size` and maps of a quarter of it; the release's by default.
        preprocess: Crop rule, padding and colours; the release's by default.
        name: Name of the model.

    Raises:
        InputError: A size, width or codec that does not fit.
    """
    check_size(size, HRNet.multiple, f"HRNet-W{width}")
    cells = (size[0] // STRIDE, size[1] // STRIDE)
    codec = codec or CentredMaps(size, cells, len(skeleton))
    check_codec(codec, size=size, cells=cells, skeleton=skeleton)
    made = Architecture("deeplabcut:network", {"width": width, "channels": codec.channels})
    preprocess = preprocess or preprocess_for(codec, Preprocess(padding=1.0, channels="rgb", flip_test=False))
    built = network(width, codec.channels)
    return assemble(name or f"deeplabcut3_hrnet_w{width}", made, built, codec=codec, preprocess=preprocess, skeleton=skeleton)


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `deeplabcut3_hrnet_w32_quadruped39_256x256`."""
    refuse_pretrained(request.pretrained, "SuperAnimal models")
    width, codec = int(request.parts["width"]), requested_codec(request)
    return superanimal(width, skeleton=request.keypoints, size=request.size, codec=codec, name=request.name)


FAMILY = Family(
    paper="SuperAnimal of DeepLabCut 3 (arXiv 2203.07436)",
    form="deeplabcut3_hrnet_w32_{quadruped39,topviewmouse27,SKELETON}_HEIGHTxWIDTH",
    pattern=rf"deeplabcut3_hrnet_w(?P<width>\d+)_{DATA}_(?P<size>\d+x\d+)",
    build=build,
    networks={"network": network},
    releases=official("deeplabcut3_"),
    keys=(("heads.bodypart.heatmap_head.deconv_layers.0.", "head.final."), ("backbone.model.", "backbone.")),
    unused_keys=r"backbone\.model\.(?:stage4\.2\.fuse_layers\.[1-3]|incre_modules|downsamp_modules|final_layer|classifier)\..*",
)
