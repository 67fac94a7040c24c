"""Parts of detectors alone, by name: a backbone with its neck, a head. They have official weights, but are no whole models."""

from torch import nn

from poise.dims import Size
from poise.errors import InputError
from poise.models.card import Card
from poise.models.network_part import NetworkPart
from poise.nn.heads.roi import (
    MAP_CELLS,
    BoxPredictor,
    LastStage,
    MaskPredictor,
    RoIHead,
    box_head,
    keypoint_head,
    mask_head,
    pooled_cells_for,
)
from poise.nn.heads.rpn import StandaloneRPNHead
from poise.structures import Architecture
from poise.zoo.family import BuildRequest
from poise.zoo.rcnn.builder import COCO_CLASSES
from poise.zoo.rcnn.heads import C4_MASK_CHANNELS, last_stage
from poise.zoo.rcnn.name_grammar import BackboneName, HeadName
from poise.zoo.rcnn.variants import variant_of

PYRAMID_CHANNELS = 256
"""Channels that heads read off a pyramid."""

C4_BODY = "resnet50"
"""A ResNet whose last stage is that of all deeper ones."""


def build_backbone(request: BuildRequest, name: BackboneName) -> NetworkPart:
    """A backbone with its neck.

    Raises:
        InputError: ImageNet weights were asked for.
    """
    if request.pretrained:
        raise InputError(f"{request.name!r} is a detector's part; take a whole detector, or start without (pretrained=False)")
    arguments = {"trunk": name.backbone.name, "variant": name.variant, "norm": name.norm}
    architecture = Architecture("keypoint_rcnn:trunk", arguments)
    return NetworkPart(name.backbone.build(variant_of(name.variant, name.norm)), Card(request.name, architecture))


def build_head(request: BuildRequest, name: HeadName) -> NetworkPart:
    """A head; with `c4` it stands on the last stage of a ResNet, which reads 1024 channels.

    Raises:
        InputError: Options that contradict each other.
    """
    options = name.options
    last = last_stage(C4_BODY, variant_of(name.variant, name.norm)) if "last stage" in options else None
    if "eps" in options and last is None:
        raise InputError(f"{request.name!r} says 'eps', and the {name.head} without 'c4' has no norms; leave it out")
    if "channels" in options and last is not None:
        raise InputError(
            f"{request.name!r} says 'c4', and a last stage reads 1024 channels; leave {options.values['channels']!r} out"
        )
    architecture = Architecture(f"keypoint_rcnn:{name.head}", dict(options.values))
    return NetworkPart(_head(request, name, last), Card(request.name, architecture))


def _head(request: BuildRequest, name: HeadName, last: LastStage | None) -> nn.Module:
    options = name.options
    classes, channels = options.number("classes", COCO_CLASSES), options.number("channels", PYRAMID_CHANNELS)
    match name.head:
        case "rpn_head":
            return StandaloneRPNHead(channels, options.number("anchors", 3))
        case "box_head" if last is not None:
            return RoIHead(last, BoxPredictor(last.width, classes))
        case "box_head":
            return box_head(channels, cells=options.size("size", (7, 7)), classes=classes)
        case "mask_head" if last is not None:
            return RoIHead(last, MaskPredictor(last.width, classes, hidden=C4_MASK_CHANNELS))
        case "mask_head":
            return mask_head(channels, classes=classes)
        case "keypoint_head":
            keypoints = len(request.skeleton) if request.skeleton else options.number("keypoints", 17)
            return keypoint_head(channels, keypoints, cells=_map_cells(request, name))


def _map_cells(request: BuildRequest, name: HeadName) -> Size:
    """Cells (h, w) of a keypoint head's maps: the option `maps`, else `size`, which beside `maps` is that of the features."""
    options = name.options
    cells = options.size("maps", options.size("size", MAP_CELLS))
    if "maps" not in options and any(side % 4 for side in cells):
        size = options.values["size"]
        raise InputError(
            f"{request.name!r} says {size!r}, the size of its maps, which is four times that of what they are read off; say "
            f"maps{size} if that is meant"
        )
    pooled = pooled_cells_for(cells)
    if "maps" in options and options.size("size", pooled) != pooled:
        raise InputError(
            f"{request.name!r} says both {options.values['maps']!r} and {options.values['size']!r}; those maps are read off "
            f"features cut out on {pooled[0]}x{pooled[1]} cells; leave one of them out"
        )
    return cells
