"""Stacked hourglasses (Newell, Yang, Deng; ECCV 2016; arXiv 1603.06937).

As in pytorch-pose, and after it the synthetic animals (arXiv 1912.08265).
"""

from collections.abc import Mapping
from dataclasses import replace

from poise.codecs.base import InstanceCodec
from poise.codecs.hourglass import Hourglass
from poise.dims import Size
from poise.errors import InputError
from poise.models.top_down import TopDown
from poise.nn.backbones.hourglass import HourglassStem
from poise.nn.base import Network, check_size, nearest_sizes
from poise.nn.heads.hourglass import DEPTH, HourglassHead
from poise.skeletons import ANIMAL18, COCO17, MPII16, Skeleton
from poise.structures import Architecture, Preprocess
from poise.weights.release import Release
from poise.zoo.assemble import STRIDE, assemble, check_codec, preprocess_for, requested_codec
from poise.zoo.family import BuildRequest, Family
from poise.zoo.imagenet import refuse_pretrained

PAGE = "https://github.com/JitengMu/Learning-from-Synthetic-Animals"
FOLDER = "https://www.cs.jhu.edu/~qiuwch/animal/checkpoint/synthetic_animal/horse.zip"
FILE = "horse/horse_ccssl/synthetic_animal_sp.pth.tar"
LICENCE = "none named by the animals' release; its network is that of pytorch-pose (GPL-3.0)"
PYTORCH_POSE = "https://github.com/bearpaw/pytorch-pose"

MIN_SIDE = STRIDE * 2**DEPTH
"""Smallest side of a view, pixels: one cell is left at the bottom of an hourglass."""

SKELETONS: Mapping[str, Skeleton] = {"16": MPII16, "17": COCO17, "18": ANIMAL18}
"""Skeleton by the number of joints in names."""

KEYS = (*((f"{part}.", f"head.{part}.") for part in ("hg", "res", "fc", "fc_", "score_")), ("score.", "head.final."))
"""Prefixes of the weight names of the head, official and ours."""

MEAN = (0.4404, 0.4440, 0.4327)
"""Mean of MPII's images (red, green, blue), which pytorch-pose subtracts; it divides by nothing."""

Mean = tuple[float, float, float]

SYNTHETIC_MEAN: Mean = (0.4038, 0.3956, 0.3925)
"""Mean of the synthetic horses (red, green, blue)."""

REAL_MEAN: Mean = (0.5319, 0.5107, 0.4206)
"""Mean of TigDog's horses (red, green, blue), of checkpoints trained on them."""


def network(stacks: int, blocks: int, channels: int, features: int = 256) -> Network:
    """The network alone, with PyTorch's initial weights.

    Args:
        stacks: Number of hourglasses.
        blocks: Residual blocks at each place of an hourglass.
        channels: Channels of the codec.
        features: Channels of the hourglasses; 256 in every release.
    """
    backbone = HourglassStem(features)
    return Network(backbone, HourglassHead(features, channels, stacks=stacks, blocks=blocks))


def check_view(size: Size, what: str) -> None:
    """Refuse views that an hourglass cannot take, and name the nearest sizes that it can.

    Raises:
        InputError: A side that is no multiple of 4, or below 64.
    """
    if 0 < min(size) < MIN_SIDE:
        near = nearest_sizes((max(size[0], MIN_SIDE), max(size[1], MIN_SIDE)), HourglassStem.multiple)
        raise InputError(
            f"{what} takes views of {MIN_SIDE}x{MIN_SIDE} and more, for it halves them {DEPTH + 2} times, not "
            f"{size[0]}x{size[1]} (height x width); the nearest: {' or '.join(f'{h}x{w}' for h, w in near)}"
        )
    check_size(size, HourglassStem.multiple, what)


def hourglass_codec(size: Size, skeleton: Skeleton) -> Hourglass:
    """The releases' codec: Gaussians of 1 cell centred on whole cells, decoded with a quarter offset."""
    return Hourglass(size=size, cells=(size[0] // STRIDE, size[1] // STRIDE), keypoints=len(skeleton))


def release_preprocess(skeleton: Skeleton) -> Preprocess:
    """The releases' preprocessing: square boxes padded by a quarter; without flip test, and without deviation.

    Boxes of animals are padded by a half, their views stretched and read with the mean of the synthetic horses, which the
    checkpoints trained on synthetic images and by CC-SSL subtract from real images too. The means of other animals are in files
    of the release beside its images (`poise import --mean`).
    """
    people = Preprocess(crop="hourglass", padding=1.25, mean=MEAN, std=(1.0, 1.0, 1.0), flip_test=False)
    return replace(people, padding=1.5, mean=SYNTHETIC_MEAN, stretch=True) if skeleton is ANIMAL18 else people


def mean_of_file(file_name: str) -> Mean | None:
    """The mean of a checkpoint of the animals' release whose file name says that it was trained on real horses; else None.

    Args:
        file_name: Name of the file; the release calls its files by the data set that they were trained on.
    """
    return REAL_MEAN if file_name.startswith("real_animal") else None


def hourglass(
    stacks: int = 8,
    blocks: int = 1,
    *,
    skeleton: Skeleton = MPII16,
    size: Size = (256, 256),
    codec: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    name: str | None = None,
) -> TopDown:
    """A stack of hourglasses with random weights; all of them are trained on the same labels.

    Args:
        stacks: Number of hourglasses. Published: 1, 2, 4, 8.
        blocks: Residual blocks at each place of an hourglass. Published: 1, 4.
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 4 and at least 64.
        codec: Codec for views of `size` and maps of a quarter of it; the release's by default.
        preprocess: Crop rule, padding and colours; the release's by default.
        name: Name of the model.

    Raises:
        InputError: A size, number or codec that does not fit.
    """
    check_view(size, "a stacked hourglass")
    own = release_preprocess(skeleton)
    preprocess = preprocess or (own if codec is None else preprocess_for(codec, own))
    codec = codec or hourglass_codec(size, skeleton)
    check_codec(codec, size=size, cells=(size[0] // STRIDE, size[1] // STRIDE), skeleton=skeleton)
    built = network(stacks, blocks, codec.channels)
    architecture = Architecture("hourglass:network", {"stacks": stacks, "blocks": blocks, "channels": codec.channels})
    deep = (codec,) * (stacks - 1)
    name = name or f"hourglass_{stacks}stack_b{blocks}"
    return assemble(name, architecture, built, codec=codec, preprocess=preprocess, skeleton=skeleton, deep=deep)


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `hourglass_4stack_b1_18j_256x256`."""
    refuse_pretrained(request.pretrained, "stacked hourglasses")
    skeleton = request.skeleton or SKELETONS[request.parts["joints"]]
    return hourglass(
        int(request.parts["stacks"]),
        int(request.parts["blocks"]),
        skeleton=skeleton,
        size=request.size,
        codec=requested_codec(replace(request, skeleton=skeleton)),
        name=request.name,
    )


FAMILY = Family(
    paper="stacked hourglass (arXiv 1603.06937)",
    form="hourglass_{1,2,4,8}stack_b{1,4}_{16,17,18}j_HEIGHTxWIDTH",
    pattern=r"hourglass_(?P<stacks>\d+)stack_b(?P<blocks>\d+)_(?P<joints>16|17|18)j_(?P<size>\d+x\d+)",
    build=build,
    networks={"network": network},
    # Several animals' checkpoints share one network, so no score stands here; 16 and 17 joints are pytorch-pose's networks.
    releases=(
        Release("hourglass_4stack_b1_18j_256x256", file=FILE, page=PAGE, folder=FOLDER, licence=LICENCE),
        *(
            Release(f"hourglass_{stacks}stack_b1_{joints}j_256x256", page=PYTORCH_POSE, licence="GPL-3.0 (code)")
            for joints in (16, 17)
            for stacks in (1, 2, 4, 8)
        ),
    ),
    keys=(*KEYS, ("", "backbone.")),
    mean_of_file=mean_of_file,
)
