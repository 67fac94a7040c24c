"""ViTPose (Xu et al.; arXiv 2204.12484) and ViTPose++ (arXiv 2212.04246): plain vision transformers with a light head."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from poise.codecs.base import InstanceCodec
from poise.codecs.maps import usual_sigma
from poise.codecs.udp import UDPGaussian
from poise.dims import Size
from poise.errors import InputError, unknown
from poise.models.top_down import TopDown
from poise.nn.backbones.vit import ViT
from poise.nn.base import Network, check_size
from poise.nn.heads.vitpose import ViTPoseHead
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture, Preprocess
from poise.zoo.assemble import STRIDE, assemble, check_codec, heatmap_preprocess, preprocess_for, requested_codec
from poise.zoo.family import BuildRequest, Family
from poise.zoo.imagenet import refuse_pretrained
from poise.zoo.official_files import official
from poise.zoo.vitpose_keys import to_mmpose


@final
@dataclass(frozen=True)
class ViTSize:
    """A size of the transformer.

    Attributes:
        channels: Values of a token.
        depth: Number of blocks.
        heads: Heads of each attention.
        drop: Probability with which the releases leave out the last block's branches in training.
    """

    channels: int
    depth: int
    heads: int
    drop: float


SIZES: Mapping[str, ViTSize] = {
    "s": ViTSize(384, 12, 12, 0.1),
    "b": ViTSize(768, 12, 12, 0.3),
    "l": ViTSize(1024, 24, 16, 0.5),
    "h": ViTSize(1280, 32, 16, 0.55),
}
"""Sizes by letter."""

EXPERT_OF = {"coco": 0, "aic": 1, "mpii": 2, "ap10k": 3, "apt36k": 4, "wholebody": 5}
"""Experts of ViTPose++ by the word for their data set, to which a number of keypoints may be added (`ap10k17`)."""

SEVERAL = {"b": (0, 3, 5), "s": (0, 5)}
"""Experts whose maps a name of transformers' form gives one after another, where it says no keypoints: COCO's, AP-10K's and
COCO-WholeBody's. Its files have one head, COCO's, so the others' maps are for comparisons; `vitpose_plus_b` is for people."""

EXACT = 1e-12
"""What layer norms add to variances in transformers' default configuration; 1e-6 in the others."""


def network(
    variant: str,
    channels: int,
    height: int,
    width: int,
    *,
    simple: bool = False,
    experts: tuple[int, ...] = (),
    eps: float = 1e-6,
) -> Network:
    """The network alone, with random weights.

    Args:
        variant: s, b, l or h.
        channels: Channels of the codec.
        height: Height of the views, pixels.
        width: Width of the views, pixels.
        simple: Whether the head enlarges the map by itself, in place of transposed convolutions.
        experts: ViTPose++'s experts, each of which gives maps; () for a network without.
        eps: What layer norms add to variances.
    """
    kind = SIZES[variant]
    backbone = ViT(
        (height, width),
        kind.channels,
        kind.depth,
        kind.heads,
        part=kind.channels // 4 if experts else 0,
        experts=experts or (0,),
        eps=eps,
        drop=kind.drop,
    )
    return Network(backbone, ViTPoseHead(kind.channels, channels, simple=simple))


def vitpose(
    variant: str = "b",
    *,
    simple: bool = False,
    experts: tuple[int, ...] = (),
    eps: float = 1e-6,
    skeleton: Skeleton = COCO17,
    size: Size = (256, 192),
    codec: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    pretrained: bool = False,
    name: str | None = None,
) -> TopDown:
    """A ViTPose with random weights.

    Args:
        variant: s, b, l or h, from the smallest to the largest.
        simple: Whether the head enlarges the map by itself, in place of transposed convolutions ("classic").
        experts: Numbers of ViTPose++'s experts (0 COCO, 1 AI Challenger, 2 MPII, 3 AP-10K, 4 APT-36K, 5 COCO-WholeBody), each
            of which gives maps, the last one's being read; () for ViTPose.
        eps: What layer norms add to variances.
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 16.
        codec: Codec for views of `size` and maps of a quarter of it; UDP's Gaussians by default.
        preprocess: Crop rule, padding and colours; the release's by default.
        pretrained: Not possible; `--start` takes a ViTPose.
        name: Name of the model.

    Raises:
        UnknownName: Another variant.
        InputError: A size, codec or expert that does not fit, or pretrained weights are asked for.
    """
    if variant not in SIZES:
        raise unknown("size of ViTPose", variant, SIZES)
    refuse_pretrained(pretrained, f"a ViTPose-{variant} that can be downloaded")
    check_size(size, ViT.multiple, f"ViTPose-{variant}")
    cells = (size[0] // STRIDE, size[1] // STRIDE)
    codec = codec or UDPGaussian(size=size, cells=cells, keypoints=len(skeleton), sigma=usual_sigma(size))
    check_codec(codec, size=size, cells=cells, skeleton=skeleton)
    arguments = {"variant": variant, "channels": codec.channels, "height": size[0], "width": size[1], "simple": simple}
    arguments |= {"experts": experts, "eps": eps}
    built = network(**arguments)  # type: ignore[arg-type]  # plain values by name, as the file of a model has them
    return assemble(
        name or f"vitpose_{variant}",
        Architecture("vitpose:network", arguments),
        built,
        codec=codec,
        deep=(codec,) * (len(experts) - 1),
        preprocess=preprocess or preprocess_for(codec, heatmap_preprocess("rgb")),
        skeleton=skeleton,
    )


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `vitpose_b`, `vitpose_l_simple`, `vitpose_plus_s_ap10k` or `vitpose_hf_base_simple`."""
    parts, several = request.parts, bool(request.parts["hf"] and not request.parts["data"] and request.skeleton is None)
    request = request.completed(size="256x192")  # of the releases, on animals too
    variant = parts["variant"][0]
    experts: tuple[int, ...] = ()
    if parts["plus"]:
        experts = SEVERAL.get(variant, SEVERAL["b"]) if several else (_expert(request),)
    return vitpose(
        variant,
        simple=parts["head"] == "simple",
        experts=experts,
        eps=EXACT if parts["hf"] else 1e-6,
        skeleton=request.keypoints,
        size=request.size,
        codec=requested_codec(request),
        pretrained=request.pretrained,
        name=request.name,
    )


def _expert(request: BuildRequest) -> int:
    """The expert for the keypoints of a name; COCO's for keypoints of the user's own.

    Raises:
        InputError: The name has keypoints that no expert is for.
    """
    word = request.parts["data"].rstrip("0123456789") or "coco"
    word = request.parts["data"] if request.parts["data"] in EXPERT_OF else word
    if word in EXPERT_OF or request.skeleton is not None:
        return EXPERT_OF.get(word, 0)
    raise InputError(
        f"ViTPose++ has experts for {', '.join(EXPERT_OF)}, not for {word!r}; take vitpose_plus_b, and the "
        "keypoints as a skeleton of your own"
    )


FAMILY = Family(
    paper="ViTPose (arXiv 2204.12484), ViTPose++ (arXiv 2212.04246)",
    form="vitpose[_plus]_{s,b,l,h}[_simple][_KEYPOINTS][_HEIGHTxWIDTH]",
    pattern=(
        r"vitpose_(?:(?P<hf>hf)_|mmpose_)?(?P<plus>plus_)?(?P<variant>small|base|large|huge|[sblh])"
        r"(?:_(?P<head>simple|classic))?(?:_(?P<data>[a-z][a-z0-9_]*?))?(?:_(?P<size>\d+x\d+))?"
    ),
    build=build,
    networks={"network": network},
    releases=official("vitpose_"),
    keys=(
        ("head.deconv_layers.", "head.layers."),
        ("head.final_layer.", "head.final."),
        ("backbone.", "backbone."),
    ),
    rename=to_mmpose,
)
