"""A trained model as the start of another, for other keypoints: what fits is kept, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast, final

import torch
from torch import Tensor

from poise.errors import CheckpointError
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.kinds import Model, Posed, posed
from poise.models.top_down import TopDown
from poise.nn.base import Head
from poise.weights.checkpoint import compare

BACKBONE = "backbone."
"""Beginning of the names of weights."""

READS = ("head.", "keypoint.")
"""Beginnings of the names of weights before the layers with rows for keypoints. What is behind them, a readout, is shared by
the keypoints (`nn.heads.readout`), and a detector's other heads have nothing to do with them."""

MAPS = "keypoint.head.reader.final."
"""The layer of a detector that makes the maps of keypoints."""

_M = TypeVar("_M", TopDown, KeypointRCNN)


@final
@dataclass(frozen=True)
class Transferred:
    """What a new model took over.

    Attributes:
        kept: Keypoints whose rows were copied, in every layer that gives or takes their maps.
        new: Keypoints that start anew.
        layers: Weights beside those rows that start anew because they are of another shape.
    """

    kept: tuple[str, ...]
    new: tuple[str, ...]
    layers: tuple[str, ...] = ()

    def __str__(self) -> str:
        """In words, to print."""
        kept = f"kept the backbone and {len(self.kept)} keypoints of the head" + (
            f" ({', '.join(self.kept)})" if self.kept else ""
        )
        new = f"; {len(self.new)} start anew ({', '.join(self.new)})" if self.new else ""
        layers = f"; these layers of the head start anew: {', '.join(self.layers)}" if self.layers else ""
        return kept + new + layers


def transfer(start: Model, target: Model) -> Transferred:
    """Copy what fits of a trained model into a new one, in place: by `transfer_head`, `transfer_boxes` or `transfer_whole`.

    Raises:
        CheckpointError: The backbones differ.
        InputError: One of them finds no keypoints.
    """
    start, target = posed(start), posed(target)
    if isinstance(start, TopDown) and isinstance(target, TopDown):
        return transfer_head(start, target)
    if isinstance(start, KeypointRCNN) and isinstance(target, KeypointRCNN):
        return transfer_boxes(start, target)
    return transfer_whole(start, target)


def transfer_whole(start: Posed, target: Posed) -> Transferred:
    """Copy the backbone and, between models alike of the same keypoints, all other weights of the same name and shape.

    From a model of people's views to one of whole images, or back, only the backbone is kept.

    Raises:
        CheckpointError: The backbones differ.
    """
    given, needed = start.network.state_dict(), target.network.state_dict()
    _same_backbone(start, target, given, needed)
    keypoints = target.skeleton.keypoints
    same = type(start.codec) is type(target.codec) and start.skeleton.keypoints == keypoints
    fits = [k for k, v in needed.items() if k in given and given[k].shape == v.shape and (same or k.startswith(BACKBONE))]
    with torch.no_grad():
        for key in fits:
            needed[key].copy_(given[key])
    anew = tuple(key for key in needed if key not in set(fits))
    return Transferred(keypoints, (), anew) if same else Transferred((), keypoints)


def transfer_head(start: TopDown, target: TopDown) -> Transferred:
    """Copy backbone, head and the rows of the keypoints both know into `target`, in place.

    Rows of every layer that gives or takes maps of keypoints (`nn.base.Head`) are told apart by the keypoint's name, also where
    each has several channels. Where the codecs are of different kinds, or what is before those layers is of another width,
    they start anew. The layers that read vectors off maps are kept where they are of the same shape.

    Args:
        start: The trained model.
        target: The new model; its codec and skeleton may be others.

    Returns:
        What was kept and what starts anew.

    Raises:
        CheckpointError: The backbones differ.
    """
    return _carry_rows(start, target, partial(_axis, cast(Head, target.network.head)))


def transfer_boxes(start: KeypointRCNN, target: KeypointRCNN) -> Transferred:
    """Copy all of a detector but for the rows of keypoints that only one of them knows into `target`, in place.

    Where the codecs are of different kinds the layer that makes their maps starts anew, and so do heads of other widths.

    Args:
        start: The trained detector.
        target: The new one; its codec and skeleton may be others.

    Returns:
        What was kept and what starts anew.

    Raises:
        CheckpointError: The backbones, or the necks on them, differ.
    """
    return _carry_rows(start, target, _axis_in_boxes)


def _carry_rows(start: _M, target: _M, axis_of: Callable[[str, Tensor], int | None]) -> Transferred:
    given, needed = start.network.state_dict(), target.network.state_dict()
    _same_backbone(start, target, given, needed)
    axes = {key: axis_of(key, value) for key, value in needed.items()}
    body = [key for key in needed if axes[key] is None]
    fits = [key for key in body if key in given and given[key].shape == needed[key].shape]
    anew = tuple(key for key in body if key not in set(fits))
    rows = {key: axis for key, axis in axes.items() if axis is not None}
    same_body = not any(key.startswith(READS) for key in anew)
    kept = _shared(start, target) if same_body and _alike(start, target, rows) else ()
    with torch.no_grad():
        for key in fits:
            needed[key].copy_(given[key])
        old, new = _channels(start, kept), _channels(target, kept)
        for key, axis in rows.items() if kept else ():
            _copy_rows(given[key], needed[key], axis, old, new)
    return Transferred(kept=kept, new=tuple(name for name in target.skeleton.keypoints if name not in kept), layers=anew)


def _same_backbone(start: Model, target: Model, given: dict[str, Tensor], needed: dict[str, Tensor]) -> None:
    trunks = [{k: v for k, v in state.items() if k.startswith(BACKBONE)} for state in (needed, given)]
    difference = compare(*trunks)
    if difference:
        raise CheckpointError(
            f"{start.card.name!r} cannot start {target.card.name!r}, its backbone is another one; weights: {difference}. "
            "Choose the same backbone for both"
        )


def _axis_in_boxes(key: str, weight: Tensor) -> int | None:
    """Along which axis of a detector's weight the keypoints stand: of a transposed convolution's what leaves comes second."""
    if not key.startswith(MAPS):
        return None
    return 1 if weight.ndim > 1 else 0


def _axis(head: Head, key: str, weight: Tensor) -> int | None:
    """Along which axis of a weight the keypoints stand; None if along none."""
    parts = key.split(".")
    if parts[0] != "head" or weight.ndim == 0:
        return None
    if "final" in parts:
        return 0
    return 1 if set(head.takes) & set(parts) and weight.ndim > 1 else None


def _alike(start: _M, target: _M, rows: dict[str, int]) -> bool:
    """Whether layers with rows compare: channels that hold the same (`InstanceCodec.output_type`), all else of one shape."""
    old, new = start.network.state_dict(), target.network.state_dict()
    codecs = start.codec.output_type == target.codec.output_type and _width(start) == _width(target)
    return codecs and all(k in old and _without(old[k], axis) == _without(new[k], axis) for k, axis in rows.items())


def _without(weight: Tensor, axis: int) -> tuple[int, ...]:
    """The shape of a weight but for one axis."""
    return tuple(side for i, side in enumerate(weight.shape) if i != axis)


def _shared(start: _M, target: _M) -> tuple[str, ...]:
    """Keypoints of both, in the order of the new model."""
    return tuple(name for name in target.skeleton.keypoints if name in start.skeleton.keypoints)


def _width(model: TopDown | KeypointRCNN) -> int:
    """Channels per keypoint."""
    return model.codec.channels // model.codec.keypoints


def _channels(model: TopDown | KeypointRCNN, names: tuple[str, ...]) -> Tensor:
    """Of the maps of some keypoints."""
    first = torch.tensor([model.skeleton.index(name) for name in names])[:, None] * _width(model)
    return (first + torch.arange(_width(model))).flatten()


def _copy_rows(source: Tensor, target: Tensor, axis: int, old: Tensor, new: Tensor) -> None:
    target.index_copy_(axis, new.to(target.device), source.index_select(axis, old.to(source.device)).to(target))
