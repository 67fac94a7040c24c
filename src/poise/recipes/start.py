"""The model that a run on a user's own keypoints begins with, by its name."""

from dataclasses import replace

from poise.codecs.offset_guided import OffsetGuided
from poise.errors import InputError
from poise.models.base import Model
from poise.nn.heads.roi import MAP_CELLS
from poise.recipes.scenes import small_model
from poise.skeletons import COCO17, Skeleton
from poise.weights.cache import PEOPLE, PEOPLE_NETWORK, shipped
from poise.weights.model_file import load
from poise.weights.transfer import transfer
from poise.zoo.find import build
from poise.zoo.imagenet import refuse_pretrained
from poise.zoo.offset_guided import WIDTHS as SCENE_WIDTHS
from poise.zoo.plain import WIDTHS
from poise.zoo.rcnn.keypoint_fcos import slim_fcos
from poise.zoo.rcnn.poise_rcnn import WIDTHS as DETECTOR_WIDTHS
from poise.zoo.rcnn.poise_rcnn import small_detector
from poise.zoo.rcnn.roi_codecs import roi_codec

SMALL = {
    *(f"poise_{width}" for width in WIDTHS),
    *(f"poise_{kind}_{width}" for kind in ("rcnn", "fcos") for width in DETECTOR_WIDTHS),
    *(f"poise_scene_{width}" for width in SCENE_WIDTHS),
}
"""Short names of poise's own networks, whose views have the size that is asked for."""


def start_model(
    name: str,
    *,
    size: tuple[int, int] | None = None,
    skeleton: Skeleton | None = None,
    pretrained: bool = False,
    codec: str | None = None,
) -> Model:
    """A model of the zoo for a skeleton; our own by their short name and a size.

    Args:
        name: Such as `poise_s` or `hrnet_w32_coco_256x192`.
        size: Size of the views (h, w) of poise's own models; by default 192x160 for views of one person, 320x320 for whole
            images.
        skeleton: The keypoints; by default those of the name, or COCO's.
        pretrained: Start the backbone from ImageNet weights.
        codec: Another codec than the model's, by the name of its class.

    Raises:
        InputError: ImageNet weights or a codec for a network that takes none, or a size that cannot be.
        UnknownName: There is no such model or codec.
    """
    if name not in SMALL:
        return build(name, skeleton=skeleton, pretrained=pretrained, codec=codec)
    refuse_pretrained(pretrained, "poise's own networks")
    family, _, width = name.rpartition("_")
    keypoints = skeleton or COCO17
    if family == "poise":
        h, w = size or (192, 160)
        made = build(f"{name}_coco_{h}x{w}", skeleton=keypoints, codec=codec)
        made.card = replace(made.card, name=name)
        return made
    if family in ("poise_rcnn", "poise_fcos"):
        in_boxes = None if codec is None else roi_codec(codec, MAP_CELLS, len(keypoints))
        make = small_detector if family == "poise_rcnn" else slim_fcos
        return make(width, size=size or (320, 320), skeleton=keypoints, codec=in_boxes)
    if codec not in (None, OffsetGuided.__name__):
        raise InputError(
            f"{name} is bottom-up and takes the codec {OffsetGuided.__name__} only, not {codec!r}; leave --codec out"
        )
    return small_model(width, side=max(size or (320, 320)), skeleton=keypoints)


def start_from_people(model: Model, network: str) -> None:
    """Give a new model the backbone of `poise_people`, which learnt from photographs, in place.

    Nothing is done where the network is another one, or poise was installed without its own models.

    Args:
        model: The new model.
        network: Short name of its network, such as `poise_t`.
    """
    file = shipped(PEOPLE) if network == PEOPLE_NETWORK else None
    if file is not None:
        transfer(load(file), model)
