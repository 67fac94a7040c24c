"""Guesses which model of the zoo a checkpoint is of, by the names and shapes of its weights."""

import difflib
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from poise.zoo.find import build, family_of, names

MAX_OTHER_SHAPES = 0.1
"""Share of weights that may have another shape: those of the layers for keypoints."""

DATA = "aic_coco|body7_crowdpose|body7|coco|mpii|humanart|crowdpose|halpe|wholebody|face|lapa|wflw|hand|ap10k|quadruped"
"""Words for data sets in names."""

FEW_NAMES = 5
"""Up to this many missing or unexpected names the network is taken for the same, damaged."""


def guess_release(weights: Mapping[str, Tensor], *, near: str) -> str | None:
    """The name of a model whose network has these weights; None if there is none but `near` itself.

    Networks are built without memory for their weights. Data set and size of a name do not matter for the weights, so one name
    of each kind of network is tried, those most similar to `near` first.

    Args:
        weights: Weights under official names.
        near: The name that the weights were taken for.
    """
    shapes = _shapes(weights)
    asked = _official(near)
    same = asked.keys() == shapes.keys()
    if (same and _others(asked, shapes) < MAX_OTHER_SHAPES * len(shapes)) or 0 < len(asked.keys() ^ shapes.keys()) <= FEW_NAMES:
        return None
    strange: set[str] = set()
    for name in _one_of_each(near):
        family = family_of(name).form
        own = {} if family in strange else _official(name)
        if own.keys() == shapes.keys() and _others(own, shapes) < MAX_OTHER_SHAPES * len(shapes):
            return name
        if len(own.keys() & shapes.keys()) < min(len(own), len(shapes)) / 2:
            strange.add(family)  # its other depths will not fit either
    return None


def _others(own: Mapping[str, torch.Size], shapes: Mapping[str, torch.Size]) -> int:
    return sum(own[key] != shape for key, shape in shapes.items())


def _official(name: str) -> dict[str, torch.Size]:
    """Names and shapes of an official checkpoint; empty if there are no official ones."""
    family = family_of(name)
    if not family.keys:
        return {}
    with torch.device("meta"):
        return _shapes(family.official_weights(build(name).network.state_dict()))


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in weights.items() if not key.endswith("num_batches_tracked")}


def _one_of_each(near: str) -> list[str]:
    """One listed name of each network but that of `near`, the most similar first."""
    found: dict[str, str] = {}
    for name in sorted(names(), key=lambda name: -difflib.SequenceMatcher(None, name, near).ratio()):
        found.setdefault(network_name(name), name)
    return [name for network, name in found.items() if network != network_name(near)]


def network_name(name: str) -> str:
    """A name of the zoo without data set or skeleton, number of keypoints and size.

    >>> network_name("hrnet_w32_coco_256x192"), network_name("litehrnet_18_hand21_256x256")
    ('hrnet_w32', 'litehrnet_18')
    """
    return re.sub(rf"_[a-z]+\d+(?=_\d+x\d+$)|_({DATA})\d*(?=_|$)|_(16|17|18)j|_\d+x\d+$", "", name)
