"""A trained model as the start of another, for other keypoints: what fits is kept, by name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from poise.errors import CheckpointError, InputError
from poise.models.adapted import LAYER, add_adaptation, is_adapted
from poise.models.base import Model, PoseModel
from poise.models.require import require_pose, require_trainable
from poise.nn.base import Network
from poise.skeletons import keypoint_partners
from poise.skeletons.mapping import KeypointMap
from poise.weights.checkpoint import compare
from poise.weights.zoo_names import SHORT_NAME, zoo_names

BACKBONE = "backbone."
"""Beginning of the names of weights."""

READS = ("head.", "keypoint.")
"""Beginnings of the names of weights before the layers with rows for keypoints. What is behind them, a readout, is shared by
the keypoints (`nn.base`), and a detector's other heads have nothing to do with them."""


@final
@dataclass(frozen=True)
class Transferred:
    """Weights that a new model took over.

    Attributes:
        kept: Keypoints whose rows were copied, in every layer with a part for each keypoint.
        new: Keypoints with new random weights.
        layers: Further weights that are random because their shape differs.
        renamed: For kept keypoints that the start calls otherwise, its name.
    """

    kept: tuple[str, ...]
    new: tuple[str, ...]
    layers: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """In words, to print."""
        if not self.kept and not self.new:
            return "kept the backbone" + (f"; these layers start anew: {', '.join(self.layers)}" if self.layers else "")
        names = [f"{name} from {self.renamed[name]}" if name in self.renamed else name for name in self.kept]
        kept = f"kept the backbone and {len(names)} keypoints of the head" + (f" ({', '.join(names)})" if names else "")
        new = f"; {len(self.new)} start anew ({', '.join(self.new)})" if self.new else ""
        layers = f"; these layers of the head start anew: {', '.join(self.layers)}" if self.layers else ""
        return kept + new + layers


def transfer(start: Model, target: Model, *, mapping: KeypointMap | None = None) -> Transferred:
    """Copy what fits of a trained model into a new one, in place: `transfer_rows` or `transfer_whole`.

    A domain adaptation layer of the start is added to the new model; one that only the new model has stays as it is.

    Args:
        start: The trained model.
        target: The new model.
        mapping: Which keypoint of the start stands for which of the new model, where names do not tell.

    Raises:
        CheckpointError: The backbones differ.
        InputError: One of them cannot be trained, or a map is given and keypoints have no rows of their own.
        SkeletonMismatch: The map names a keypoint that there is not.
    """
    if require_trainable(start).codec is None or require_trainable(target).codec is None:
        return transfer_boxes(start, target, mapping=mapping)
    old, new = require_pose(start), require_pose(target)
    if is_adapted(old) and isinstance(new.network, Network):
        add_adaptation(new)
    if old.rows_by_keypoint and new.rows_by_keypoint and old.codec_type is new.codec_type:
        return transfer_rows(old, new, mapping=mapping)
    if mapping is not None and set(mapping.words) - mapping.used:
        raise InputError(
            f"--map changes which keypoint's weights a new keypoint starts from, and from {old.card.name!r} to "
            f"{new.card.name!r} only the backbone is kept; leave it out"
        )
    return transfer_whole(old, new)


def transfer_boxes(start: Model, target: Model, *, mapping: KeypointMap | None = None) -> Transferred:
    """Copy the weights of the same name and shape, of which the backbone has all; of them one at least finds boxes alone.

    Raises:
        CheckpointError: The backbones differ.
        InputError: A map of keypoints is given.
    """
    if mapping is not None:
        alone = next(model.card.name for model in (start, target) if not model.finds_keypoints)
        raise InputError(f"--map says which keypoint stands for which, and {alone!r} finds none; leave it out")
    given, needed = start.network.state_dict(), target.network.state_dict()
    _same_backbone(start, target, given, needed)
    fits = [key for key, value in needed.items() if key in given and given[key].shape == value.shape]
    with torch.no_grad():
        for key in fits:
            needed[key].copy_(given[key])
    return Transferred((), (), tuple(key for key in needed if key not in set(fits)))


def transfer_whole(start: PoseModel, target: PoseModel) -> Transferred:
    """Copy the backbone and, between models alike of the same keypoints, all other weights of the same name and shape.

    From a model of people's views to one of whole images, or back, only the backbone is kept.

    Raises:
        CheckpointError: The backbones differ.
    """
    given, needed = start.network.state_dict(), target.network.state_dict()
    _same_backbone(start, target, given, needed)
    keypoints = target.skeleton.keypoints
    same = type(start.codec) is type(target.codec) and start.skeleton.keypoints == keypoints
    alike = [key for key, value in needed.items() if key in given and given[key].shape == value.shape]
    fits = [key for key in alike if same or key.startswith((BACKBONE, LAYER))]
    with torch.no_grad():
        for key in fits:
            needed[key].copy_(given[key])
    anew = tuple(key for key in needed if key not in set(fits) and not key.startswith(LAYER))
    return Transferred(keypoints, (), anew) if same else Transferred((), keypoints)


def transfer_rows(start: PoseModel, target: PoseModel, *, mapping: KeypointMap | None = None) -> Transferred:
    """Copy backbone, head and the rows of the keypoints both know into `target`, in place.

    Rows of every layer that gives or takes maps of keypoints (`PoseModel.keypoint_axis`) are told apart by the keypoint's name,
    also where it is spelled otherwise (`skeletons.keypoint_partners`) and where each has several channels. Where the codecs are
    of different types, or what is before those layers is of another width, they start anew. The layers that read vectors off
    maps are kept where they are of the same shape.

    Args:
        start: The trained model.
        target: The new model; its codec and skeleton may be others.
        mapping: Which keypoint of the start stands for which of the new model, where names do not tell.

    Returns:
        What was kept and what starts anew.

    Raises:
        CheckpointError: The backbones, or the necks on them, differ.
        SkeletonMismatch: The map names a keypoint that there is not.
    """
    wanted = (mapping or KeypointMap()).partners(start.skeleton, target.skeleton)
    given, needed = start.network.state_dict(), target.network.state_dict()
    _same_backbone(start, target, given, needed)
    axes = {key: target.keypoint_axis(key, value) for key, value in needed.items()}
    body = [key for key in needed if axes[key] is None]
    fits = [key for key in body if key in given and given[key].shape == needed[key].shape]
    anew = tuple(key for key in body if key not in set(fits) and not key.startswith(LAYER))
    rows = {key: axis for key, axis in axes.items() if axis is not None}
    same_body = not any(key.startswith(READS) for key in anew)
    same = same_body and _alike(start, target, rows)
    partners = wanted if same else {}
    kept = tuple(partners)
    with torch.no_grad():
        for key in fits:
            needed[key].copy_(given[key])
        for key, axis in rows.items() if kept else ():
            old = _channels(start, given[key], axis, tuple(partners.values()))
            _copy_rows(given[key], needed[key], axis, old, _channels(target, needed[key], axis, kept))
    alike = keypoint_partners(start.skeleton, target.skeleton)
    renamed = {name: old for name, old in partners.items() if alike.get(name) != old}
    new = tuple(name for name in target.skeleton.keypoints if name not in kept)
    return Transferred(kept, new, anew, renamed)


def _same_backbone(start: Model, target: Model, given: dict[str, Tensor], needed: dict[str, Tensor]) -> None:
    trunks = [{k: v for k, v in state.items() if k.startswith(BACKBONE)} for state in (needed, given)]
    difference = compare(*trunks)
    if difference:
        raise CheckpointError(
            f"{start.card.name!r} cannot start {target.card.name!r}, its backbone is another one; weights: {difference}. "
            f"Choose the same backbone for both{_named(start)}"
        )


def _named(start: Model) -> str:
    """How to choose the network of a start, where a name makes it."""
    name = start.card.name
    return f": --model {name}" if zoo_names().can_build(name) or re.fullmatch(SHORT_NAME, name) else ""


def _alike(start: PoseModel, target: PoseModel, rows: dict[str, int]) -> bool:
    """Whether layers with rows compare: channels that hold the same (`InstanceCodec.output_type`), all else of one shape."""
    old, new = start.network.state_dict(), target.network.state_dict()
    codecs = start.codec.output_type == target.codec.output_type and _width(start) == _width(target)
    return codecs and all(k in old and _without(old[k], axis) == _without(new[k], axis) for k, axis in rows.items())


def _without(weight: Tensor, axis: int) -> tuple[int, ...]:
    """The shape of a weight but for one axis."""
    return tuple(side for i, side in enumerate(weight.shape) if i != axis)


def _width(model: PoseModel) -> int:
    """Channels per keypoint."""
    channels: int = model.codec.channels
    return channels // len(model.skeleton)


def _channels(model: PoseModel, weight: Tensor, axis: int, names: tuple[str, ...]) -> Tensor:
    """Of some keypoints, along an axis of a weight."""
    width = weight.shape[axis] // model.row_keypoints
    first = torch.tensor([model.skeleton.index(name) for name in names])[:, None] * width
    return (first + torch.arange(width)).flatten()


def _copy_rows(source: Tensor, target: Tensor, axis: int, old: Tensor, new: Tensor) -> None:
    target.index_copy_(axis, new.to(target.device), source.index_select(axis, old.to(source.device)).to(target))
