"""RSN as UDP's release trains it (arXiv 1911.07524): unbiased labels, three convolutions as stem, attention, refinement."""

from poise.codecs.base import InstanceCodec
from poise.codecs.megvii_udp import rsn_udp_codecs
from poise.dims import Size
from poise.models.top_down import TopDown
from poise.nn.backbones.rsn import udp_rsn18
from poise.nn.base import Network
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture, Preprocess
from poise.weights.release import Release
from poise.zoo.assemble import assemble, preprocess_for, requested_codec
from poise.zoo.family import DATA, BuildRequest, Family
from poise.zoo.imagenet import refuse_pretrained
from poise.zoo.multistage import STEPS, TEST_SETTINGS, cells_of, channels_of, keys, order, release_preprocess, with_head
from poise.zoo.udp import FOLDER, LICENCE, PAGE


def network(channels: int, stages: int = 1, attention: bool = True, refined: bool = True) -> Network:
    """The network alone, with random weights.

    Args:
        channels: Channels of the codec.
        stages: Number of stages.
        attention: Whether blocks scale their channels by the means of them ("se" in names).
        refined: Whether a pose refine machine ends the last stage ("prm" in names).
    """
    return with_head(udp_rsn18(stages, attention=attention, refined=refined), channels)


def rsn_udp(
    stages: int = 1,
    *,
    attention: bool = True,
    refined: bool = True,
    skeleton: Skeleton = COCO17,
    size: Size = (256, 192),
    codec: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    name: str | None = None,
) -> TopDown:
    """An RSN-18 of UDP's release with random weights.

    Args:
        stages: Number of stages; published is 1.
        attention: Whether blocks scale their channels by the means of them.
        refined: Whether a pose refine machine ends the last stage.
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 32.
        codec: Codec of every output, for views of `size` and maps of a quarter of it; the release's by default.
        preprocess: Crop rule, padding and colours; the release's by default.
        name: Name of the model.

    Raises:
        InputError: A size or codec that does not fit.
    """
    channels = channels_of(codec, what="RSN", size=size, skeleton=skeleton)
    arguments = {"channels": channels, "stages": stages, "attention": attention, "refined": refined}
    deep, last = rsn_udp_codecs(size, cells_of(size), len(skeleton), stages=stages)
    return assemble(
        name or "rsn_udp_rsn18",
        Architecture("rsn_udp:network", arguments),
        network(channels, stages, attention, refined),
        codec=codec or last,
        deep=(codec,) * (STEPS * stages - 1) if codec else deep,
        preprocess=preprocess or preprocess_for(codec or last, release_preprocess(TEST_SETTINGS["coco"])),
        skeleton=skeleton,
    )


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `rsn_udp_rsn18_se_prm_coco_256x192`."""
    refuse_pretrained(request.pretrained, "RSN")
    return rsn_udp(
        int(request.parts["stages"] or 1),
        attention=bool(request.parts["se"]),
        refined=bool(request.parts["prm"]),
        skeleton=request.keypoints,
        size=request.size,
        codec=requested_codec(request),
        name=request.name,
    )


FAMILY = Family(
    paper="RSN of UDP's release (arXiv 1911.07524, 2003.04030)",
    form="rsn_udp_[{2,3,4}x]rsn18[_se][_prm]_{coco,mpii,SKELETON}_HEIGHTxWIDTH",
    pattern=rf"rsn_udp_(?:(?P<stages>[1-4])x)?rsn18(?P<se>_se)?(?P<prm>_prm)?_{DATA}_(?P<size>\d+x\d+)",
    build=build,
    networks={"network": network},
    releases=(Release("rsn_udp_rsn18_se_prm_coco_256x192", page=PAGE, folder=FOLDER, licence=LICENCE),),
    keys=keys(),
    order=lambda official: (*order(official), ".prm." in official),
)
