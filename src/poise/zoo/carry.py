"""A trained model as the start of another, for other keypoints: what fits is kept, by name."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from poise.errors import CheckpointError
from poise.models.topdown import TopDown
from poise.zoo.checkpoint import compare

HEAD = "head."
FINAL = "final"
"""The layers whose output channels are the codec's, in every head of the zoo (`nn.base.Head`)."""


@final
@dataclass(frozen=True)
class Carried:
    """What a new model took over.

    Attributes:
        kept: Keypoints whose rows of the last layer were copied.
        new: Keypoints that start anew.
        layers: Weights of the head, without the last layer, that start anew because they are of another shape.
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


def carry_head(start: TopDown, target: TopDown) -> Carried:
    """Copy backbone, head and the last layer's rows of the keypoints both know into `target`, in place.

    The rows are told apart by the keypoint's name, also where each has several channels. Where the codecs are of different
    kinds, or the layer before the last is of another width, the last layer starts anew.

    Args:
        start: The trained model.
        target: The new model; its codec and skeleton may be others.

    Returns:
        What was kept and what starts anew.

    Raises:
        CheckpointError: The backbones differ.
    """
    given, needed = start.network.state_dict(), target.network.state_dict()
    _same_backbone(start, target, given, needed)
    body = {k: v for k, v in needed.items() if not _is_final(k)}
    fits = {k for k, v in body.items() if k in given and given[k].shape == v.shape}
    kept = _rows(start, target) if body.keys() - fits == set() else {}
    with torch.no_grad():
        for key in fits:
            needed[key].copy_(given[key])
        _copy_rows(start, target, kept)
    return Carried(
        kept=tuple(kept),
        new=tuple(name for name in target.skeleton.keypoints if name not in kept),
        layers=tuple(k for k in body if k not in fits),
    )


def _same_backbone(start: TopDown, target: TopDown, given: dict[str, Tensor], needed: dict[str, Tensor]) -> None:
    trunks = [{k: v for k, v in state.items() if not k.startswith(HEAD)} for state in (needed, given)]
    difference = compare(*trunks)
    if difference:
        raise CheckpointError(
            f"{start.card.name!r} cannot start {target.card.name!r}, its backbone is another one; weights: {difference}. "
            "Choose the same backbone for both"
        )


def _is_final(key: str) -> bool:
    return key.startswith(HEAD) and FINAL in key.split(".")


def _rows(start: TopDown, target: TopDown) -> dict[str, tuple[int, int]]:
    """For keypoints of both: their places in the old and the new model; none where the last layers do not compare."""
    old, new = start.network.state_dict(), target.network.state_dict()
    names = [k for k, v in new.items() if _is_final(k) and v.ndim]  # batch counters have no rows
    alike = type(start.codec) is type(target.codec) or _width(start) == _width(target) == 1
    if not names or not alike or any(k not in old or old[k].shape[1:] != new[k].shape[1:] for k in names):
        return {}
    return {
        name: (start.skeleton.index(name), place)
        for place, name in enumerate(target.skeleton.keypoints)
        if name in start.skeleton.keypoints
    }


def _width(model: TopDown) -> int:
    """Channels per keypoint."""
    return model.codec.channels // model.codec.keypoints


def _copy_rows(start: TopDown, target: TopDown, places: dict[str, tuple[int, int]]) -> None:
    old, new = start.network.state_dict(), target.network.state_dict()
    width = _width(target)
    for key in [k for k, v in new.items() if _is_final(k) and v.ndim]:
        for source, place in places.values():
            new[key][place * width : (place + 1) * width] = old[key][source * width : (source + 1) * width]
