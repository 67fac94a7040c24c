"""Stacked hourglasses that find keypoints and body parts at once, of Learning from Synthetic Animals (arXiv 1912.08265)."""

from dataclasses import replace

from poise.codecs.base import InstanceCodec
from poise.data.synthetic_animals import PARTS
from poise.dims import Size
from poise.errors import InputError
from poise.models.multitask import MultitaskTopDown
from poise.nn.backbones.hourglass import HourglassStem
from poise.nn.base import Network
from poise.nn.heads.hourglass import HourglassHead
from poise.skeletons import ANIMAL18, Skeleton
from poise.structures import Architecture, Preprocess
from poise.weights.release import Release
from poise.zoo.assemble import STRIDE, assemble, check_codec, preprocess_for, requested_codec
from poise.zoo.family import BuildRequest, Family
from poise.zoo.hourglass import KEYS, LICENCE, PAGE, check_view, hourglass_codec, mean_of_file, release_preprocess
from poise.zoo.imagenet import refuse_pretrained


def network(stacks: int, blocks: int, channels: int, classes: int = 1 + PARTS, features: int = 256) -> Network:
    """The network alone, with PyTorch's initial weights.

    Args:
        stacks: Number of hourglasses.
        blocks: Residual blocks at each place of an hourglass.
        channels: Channels of the codec.
        classes: Classes of pixels, the background counted.
        features: Channels of the hourglasses; 256 in the release.
    """
    head = HourglassHead(features, channels, stacks=stacks, blocks=blocks, parts=classes)
    return Network(HourglassStem(features), head)


def hourglass_multitask(
    stacks: int = 4,
    blocks: int = 1,
    *,
    skeleton: Skeleton = ANIMAL18,
    size: Size = (256, 256),
    codec: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    name: str | None = None,
) -> MultitaskTopDown:
    """A stack of hourglasses with random weights; all of them learn the same keypoints and parts.

    Args:
        stacks: Number of hourglasses. Published: 4.
        blocks: Residual blocks at each place of an hourglass. Published: 1.
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 4 and at least 64.
        codec: Codec of maps for views of `size`; the release's by default.
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
    if codec.vectors:
        raise InputError(f"a multitask hourglass answers with maps, which {type(codec).__name__} does not decode")
    arguments = {"stacks": stacks, "blocks": blocks, "channels": codec.channels}
    return MultitaskTopDown.of(
        assemble(
            name or f"hourglass_multitask_{stacks}stack_b{blocks}",
            Architecture("hourglass_multitask:network", arguments),
            network(stacks, blocks, codec.channels),
            codec=codec,
            preprocess=preprocess,
            skeleton=skeleton,
            deep=(codec,) * (stacks - 1),
        )
    )


def build(request: BuildRequest) -> MultitaskTopDown:
    """The model of a name such as `hourglass_multitask_4stack_b1_18j_256x256`."""
    refuse_pretrained(request.pretrained, "stacked hourglasses")
    skeleton = request.skeleton or ANIMAL18
    return hourglass_multitask(
        int(request.parts["stacks"]),
        int(request.parts["blocks"]),
        skeleton=skeleton,
        size=request.size,
        codec=requested_codec(replace(request, skeleton=skeleton)),
        name=request.name,
    )


FAMILY = Family(
    paper="multitask stacked hourglass (arXiv 1912.08265)",
    form="hourglass_multitask_{1,2,4,8}stack_b{1,4}_18j_HEIGHTxWIDTH",
    pattern=r"hourglass_multitask_(?P<stacks>\d+)stack_b(?P<blocks>\d+)_18j_(?P<size>\d+x\d+)",
    build=build,
    networks={"network": network},
    releases=(Release("hourglass_multitask_4stack_b1_18j_256x256", page=PAGE, licence=LICENCE),),
    keys=(("score_seg.", "head.parts."), *KEYS, ("", "backbone.")),
    unused_keys=r"score_seg_\.\d+\.(weight|bias)",  # called, but what they answer is not added
    mean_of_file=mean_of_file,
)
