"""A trained model made anew for other keypoints: the same network, codec and views, rows of the head by name or by a map."""

from dataclasses import fields, replace
from typing import Any

from torch import nn

from poise.codecs.base import InstanceCodec
from poise.errors import InputError
from poise.models.base import PoseModel
from poise.models.card import with_readout
from poise.models.top_down import TopDown
from poise.plugins import builder
from poise.skeletons import Skeleton
from poise.skeletons.mapping import KeypointMap
from poise.structures import Architecture
from poise.weights.transfer import Transferred, transfer


def with_keypoints(
    start: PoseModel, skeleton: Skeleton, *, mapping: KeypointMap | None = None
) -> tuple[TopDown, Transferred | None]:
    """A top-down model like a trained one, for other keypoints, with what fits of its weights.

    Args:
        start: The trained model.
        skeleton: The keypoints wanted.
        mapping: Which keypoint of the start stands for which of the new model, where names do not tell.

    Returns:
        The model, and what it took over; `start` itself and None where it has these keypoints and there is no map.

    Raises:
        InputError: It is no top-down model, or its builder does not take a number of channels.
        SkeletonMismatch: The map names a keypoint that there is not.
    """
    if type(start) is not TopDown:
        raise InputError(f"{start.card.name!r} cannot be made for other keypoints; take a top-down model of poise")
    if mapping is None and start.skeleton.keypoints == skeleton.keypoints:
        return start, None
    codec = _codec(start.codec, len(skeleton))
    made = _architecture(start, codec)
    network = with_readout(builder(made.builder, nn.Module)(**made.arguments), made)
    preprocess = start.preprocess if skeleton.mirrors else replace(start.preprocess, flip_test=False)
    deep = tuple(_codec(one, len(skeleton)) for one in start.deep)
    card = replace(start.card, architecture=made, scores={}, notes=f"made from {start.card.name} for {skeleton.name}")
    model = TopDown(network, codec, preprocess, skeleton, card, deep=deep)
    return model, transfer(start, model, mapping=mapping)


def _codec(codec: InstanceCodec, keypoints: int) -> InstanceCodec:
    """The codec for another number of keypoints; weights of single keypoints and of the hardest ones are given up."""
    names = {field.name for field in fields(codec)}
    changes: dict[str, Any] = {"keypoints": keypoints} | ({"joint_weights": None} if "joint_weights" in names else {})
    hardest = getattr(codec, "ohkm", None)
    return replace(codec, **changes, **({"ohkm": min(hardest, keypoints)} if hardest else {}))


def _architecture(start: TopDown, codec: InstanceCodec) -> Architecture:
    old = start.card.architecture
    if old.arguments.get("channels") != start.codec.channels:
        raise InputError(
            f"{start.card.name!r}: its builder {old.builder} takes no number of channels, so it cannot be made for other "
            "keypoints; make a model of that kind by name and start it with --start"
        )
    return replace(old, arguments={**old.arguments, "channels": codec.channels})
