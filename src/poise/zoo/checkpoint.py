"""Official checkpoints: reading them safely, and their weights into our models."""

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from torch import Tensor

from poise.errors import CheckpointError
from poise.models.topdown import TopDown
from poise.zoo.find import build, family_of, releases

COUNTER = "num_batches_tracked"
"""Of batch norm; checkpoints older than torch 0.4.1 have none, and nothing depends on it."""


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """A checkpoint written by `torch.save`; only tensors and plain values are read, never code.

    Raises:
        CheckpointError: The file is missing, truncated, no checkpoint, or holds code.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}; give the path of a file written by torch.save")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        code = [line.strip() for line in str(error).splitlines() if "GLOBAL" in line or "Unsupported class" in line]
        if not code:
            raise CheckpointError(f"{path} is no checkpoint of torch; was a web page saved in its place?") from error
        raise CheckpointError(
            f"{path} holds more than weights and plain values, which is not read ({code[0][:200]})"
        ) from error
    except (RuntimeError, EOFError, BadZipFile, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is truncated or no checkpoint of torch ({_first(error)}); fetch it again") from error
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise CheckpointError(f"{path} holds a {type(found).__name__}; expected a dictionary of weights by name")
    return found


def _first(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]}"


def unwrap(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights themselves: out of "state_dict" or "model", without `module.` before their names.

    Raises:
        CheckpointError: There are no weights, or something stands among them that is none.
    """
    for key in ("state_dict", "model"):
        if isinstance(state.get(key), Mapping):
            return unwrap(state[key])
    weights: dict[str, Tensor] = {}
    for key, value in state.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(
                f"the checkpoint has a {type(value).__name__} called {key!r}; expected weights, alone or under "
                "'state_dict' or 'model'"
            )
        short = _without_wrappers(key)
        if short in weights:
            raise CheckpointError(f"the checkpoint has two weights called {short!r}, with and without 'module.'")
        weights[short] = value
    if not weights:
        raise CheckpointError("the checkpoint has no weights")
    return weights


def _without_wrappers(key: str) -> str:
    while key.startswith("module."):
        key = key.removeprefix("module.")
    return key


@dataclass(frozen=True)
class Difference:
    """How the keys of a checkpoint differ from those a network needs.

    Attributes:
        missing: Needed and not there.
        unexpected: There and not needed.
        reshaped: Of another shape; with both shapes.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.missing or self.unexpected or self.reshaped)

    def __str__(self) -> str:
        """In words, the first few of each."""
        rows = (("missing", self.missing), ("unexpected", self.unexpected), ("of another shape", self.reshaped))
        return "; ".join(f"{len(keys)} {what}: {_few(keys)}" for what, keys in rows if keys)


def _few(keys: tuple[str, ...], most: int = 4) -> str:
    return ", ".join(keys[:most]) + (f", ... and {len(keys) - most} more" if len(keys) > most else "")


def compare(needed: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Difference:
    """Hold the weights of a checkpoint against those a network needs, by name and shape."""
    return Difference(
        missing=tuple(k for k in needed if k not in given and not k.endswith(COUNTER)),
        unexpected=tuple(k for k in given if k not in needed),
        reshaped=tuple(
            f"{k} ({_shape(given[k])}, expected {_shape(needed[k])})"
            for k in needed
            if k in given and given[k].shape != needed[k].shape
        ),
    )


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def official_state(model: TopDown, name: str) -> dict[str, Tensor]:
    """The weights of a model under the names of the official checkpoint, in its order.

    Raises:
        UnknownName: No family has such a name.
    """
    family = family_of(name)
    state = {family.official(key): value for key, value in model.network.state_dict().items()}
    return state if family.order is None else {key: state[key] for key in sorted(state, key=family.order)}


def import_release(name: str, state: Mapping[str, Any]) -> TopDown:
    """The model of a name with the weights of an official checkpoint.

    Args:
        name: Such as `hrnet_w32_coco_256x192`.
        state: The official state dict; also with `module.` before its names, or under "state_dict" or "model".

    Raises:
        UnknownName: No family has such a name.
        CheckpointError: Weights are missing, unexpected or of another shape. Nothing is ignored but missing batch counters.
    """
    family = family_of(name)
    if not family.keys:
        raise CheckpointError(f"{name!r} is a model of this project and has no official checkpoints; use poise.load")
    model = build(name)
    given = unwrap(state)
    needed = official_state(model, name)
    difference = compare(needed, given)
    if difference:
        raise CheckpointError(f"the checkpoint is not one of {name!r}; weights: {difference}")
    _load(model, {family.ours(key): value for key, value in given.items()})
    return _with_card(model, name, given)


def _load(model: TopDown, weights: Iterable[tuple[str, Tensor]] | Mapping[str, Tensor]) -> None:
    model.network.load_state_dict(dict(weights), strict=False)  # `compare` was strict; only counters may lack
    model.eval()


def _with_card(model: TopDown, name: str, given: Mapping[str, Tensor]) -> TopDown:
    """Say where the weights are from; scores are those of the authors."""
    release = releases().get(name)
    notes = f"imported from an official checkpoint of {len(given)} weights; the scores are the authors' (flip test)"
    model.card = replace(
        model.card,
        licence=release.licence if release else "that of the checkpoint",
        scores=dict(release.scores) if release else {},
        notes=notes,
    )
    return model
