"""LPN (Zhang, Tang, Wu; arXiv 1911.10346): a light version of Simple Baselines, trained from scratch in stages."""

from poise.codecs.base import InstanceCodec
from poise.codecs.maps import usual_sigma
from poise.codecs.soft_argmax import SoftArgmax
from poise.dims import Size
from poise.models.top_down import TopDown
from poise.nn.backbones.lpn import LPN
from poise.nn.base import Network, check_size
from poise.nn.heads.heatmap import LightDeconvHead
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture, Preprocess
from poise.weights.release import Release
from poise.zoo.assemble import STRIDE, assemble, check_codec, heatmap_preprocess, preprocess_for, requested_codec
from poise.zoo.family import BuildRequest, Family
from poise.zoo.imagenet import refuse_pretrained

PAGE = "https://github.com/zhang943/lpn-pytorch"
FOLDER = "https://drive.google.com/drive/folders/1_VuLzWXeKg-Lzu54HfZQsMGUwUG6xXzS"
BETA = 160.0
"""Beta of the soft-argmax in the release's tests."""

LICENCE = "MIT (code); the weights come from COCO or MPII images, whose own terms hold (MPII: non-commercial research)"


def network(depth: int, attention: str, channels: int, *, pooling: str = "attention", fusion: str = "add") -> Network:
    """The network alone, with random weights.

    Args:
        depth: 50, 101 or 152.
        attention: Attention of each block: "gc", "se" or "none".
        channels: Channels of the codec.
        pooling: Pooling of "gc".
        fusion: Fusion of "gc".
    """
    backbone = LPN(depth, attention, pooling=pooling, fusion=fusion)
    return Network(backbone, LightDeconvHead(backbone.channels[-1], channels))


def soft_argmax_codec(size: Size, skeleton: Skeleton) -> SoftArgmax:
    """The release's codec: Gaussians centred on whole cells, decoded by a soft-argmax of beta 160 and a quarter offset."""
    cells = (size[0] // STRIDE, size[1] // STRIDE)
    return SoftArgmax(size=size, cells=cells, keypoints=len(skeleton), sigma=usual_sigma(size), beta=BETA, quarter=True)


def lpn(
    depth: int = 50,
    attention: str = "gc",
    *,
    pooling: str = "attention",
    fusion: str = "add",
    skeleton: Skeleton = COCO17,
    size: Size = (256, 192),
    codec: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    name: str | None = None,
) -> TopDown:
    """An LPN with random weights; the authors start without ImageNet.

    Args:
        depth: 50, 101 or 152.
        attention: Attention of each block: "gc" as published, "se" or "none".
        pooling: Pooling of "gc": "attention" as published, or "average".
        fusion: Fusion of "gc": "add" as published, "multiply" or "multiply_add".
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 16.
        codec: Codec for views of `size` and maps of a quarter of it; the release's by default.
        preprocess: Crop rule, padding and colours; by default the release's for COCO, which takes BGR.
        name: Name of the model.

    Raises:
        InputError: A size, depth or codec that does not fit.
        UnknownName: Another attention, pooling or fusion.
    """
    check_size(size, LPN.multiple, f"LPN-{depth}")
    codec = codec or soft_argmax_codec(size, skeleton)
    check_codec(codec, size=size, cells=(size[0] // STRIDE, size[1] // STRIDE), skeleton=skeleton)
    built = network(depth, attention, codec.channels, pooling=pooling, fusion=fusion)
    arguments = {"depth": depth, "attention": attention, "channels": codec.channels, "pooling": pooling, "fusion": fusion}
    preprocess = preprocess or preprocess_for(codec, heatmap_preprocess("bgr"))
    architecture = Architecture("lpn:network", arguments)
    return assemble(
        name or f"lpn_{depth}_{attention_word(attention, pooling, fusion)}",
        architecture,
        built,
        codec=codec,
        preprocess=preprocess,
        skeleton=skeleton,
    )


def attention_parts(word: str) -> tuple[str, str, str]:
    """Attention, pooling and fusion of a word of names.

    >>> attention_parts("gc"), attention_parts("gc_avg_mul")
    (('gc', 'attention', 'add'), ('gc', 'average', 'multiply'))
    """
    kind, *more = word.split("_")
    return kind, "average" if "avg" in more else "attention", "multiply" if "mul" in more else "add"


def attention_word(attention: str, pooling: str, fusion: str) -> str:
    """The word of names for attention, pooling and fusion: `attention_parts` the other way.

    >>> attention_word("gc", "attention", "add"), attention_word("gc", "average", "multiply")
    ('gc', 'gc_avg_mul')
    """
    if attention != "gc":
        return attention
    fused = {"add": "", "multiply": "_mul"}.get(fusion, f"_{fusion}")
    return f"gc{'_avg' if pooling == 'average' else ''}{fused}"


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `lpn_50_gc_coco_256x192`; the release takes BGR for COCO and RGB for MPII.

    The release's test on MPII subtracts one pixel of the image from its results (`TEST.BIAS`); that is not done here.
    """
    refuse_pretrained(request.pretrained, "LPN")
    codec = requested_codec(request) or soft_argmax_codec(request.size, request.keypoints)
    attention, pooling, fusion = attention_parts(request.parts["attention"])
    return lpn(
        int(request.parts["depth"]),
        attention,
        pooling=pooling,
        fusion=fusion,
        skeleton=request.keypoints,
        size=request.size,
        codec=codec,
        preprocess=preprocess_for(codec, heatmap_preprocess("rgb" if request.parts["data"] == "mpii" else "bgr")),
        name=request.name,
    )


def _release(depth: int, data: str, shape: str, **scores: float) -> Release:
    names = {"AP": "coco-val2017/AP", "half": "mpii-val/PCKh@0.5", "tenth": "mpii-val/PCKh@0.1"}
    return Release(
        name=f"lpn_{depth}_gc_{data}_{shape}",
        file=f"pose_{data}/lpn_{depth}_{shape}.pth",
        page=PAGE,
        folder=FOLDER,
        licence=LICENCE,
        scores={names[key]: value for key, value in scores.items()},
    )


def _ablation(depth: int, attention: str) -> Release:
    return Release(name=f"lpn_{depth}_{attention}_coco_256x192", page=PAGE, licence=LICENCE)


FAMILY = Family(
    paper="LPN (arXiv 1911.10346)",
    form="lpn_{50,101,152}_{gc,gc_avg,gc_mul,gc_avg_mul,se,none}_{coco,mpii}_HEIGHTxWIDTH",
    pattern=r"lpn_(?P<depth>\d+)_(?P<attention>gc(?:_avg)?(?:_mul)?|se|none)_(?P<data>coco|mpii)_(?P<size>\d+x\d+)",
    build=build,
    networks={"network": network},
    # README of the release: AP on COCO val2017 with boxes of a detector of person AP 56.4; PCKh on MPII val. Flip test.
    releases=(
        _release(50, "coco", "256x192", AP=0.691),
        _release(101, "coco", "256x192", AP=0.704),
        _release(152, "coco", "256x192", AP=0.710),
        _release(50, "mpii", "256x256", half=0.8864, tenth=0.3412),
        *(_ablation(depth, attention) for depth in (50, 101, 152) for attention in ("se", "none")),
    ),
    keys=(("deconv_layers.", "head.layers."), ("final_layer.", "head.final."), ("", "backbone.")),
)
