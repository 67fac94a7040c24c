"""Checkpoints of others: read without running code, taken out of their wrappings, compared with what a network needs."""

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from poise.errors import CheckpointError
from poise.reading import check_file
from poise.weights.archives import expanded_size
from poise.weights.restricted_pickle import SPARE, STAND_INS, read_pickled, unpacked
from poise.weights.tflite_file import is_tflite, read_tflite
from poise.weights.training_states import BESIDE
from poise.weights.whole_network import read_safetensors, whole_network

COUNTER = "num_batches_tracked"
"""Suffix of batch norm's counters; checkpoints older than torch 0.4.1 have none, and no result depends on them."""

WRAPPINGS = (
    *("state_dict", "model", "model_state_dict", "net", "network", "weights", "params"),
    *("best_state_dict", "ema_state_dict", "state_dict_ema", "model_ema", "blobs"),
)
"""Under which weights may stand, beside the numbers of a run; the first that is there is read."""

PREFIXES = ("module", "_orig_mod", "model", "net", "network", "model_ema", "ema_model", "ema", "pose_model", "pose_net")
"""Parts of a trainer of which the network is one, and what torch puts around it; removed where most names begin so."""

MOST_WRAPPINGS = 5
"""Around each other."""

MOST = 64 * 2**30
"""Bytes of a checkpoint."""

CODE = ("GLOBAL", "Unsupported class", "an array of", "Trying to call", "Can only")
"""Texts in the errors of torch and of the stand-ins for numpy about files with more than weights."""


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """A checkpoint written by `torch.save`, Detectron2's `.pkl` or a `.tflite`; only tensors and plain values, never code.

    Of a `.tflite` the convolutions come by their number (`tflite_file`).

    Numbers and arrays of numpy, as stand beside the weights of some releases, are read too; settings, paths and the like that
    trainers keep there are no more than dictionaries (`training_states.Aside`).

    Raises:
        MissingExtra: It is a `.tflite` and the package that reads it is not installed.
        CheckpointError: The file is missing, truncated, no checkpoint, holds code, or is made to become far larger than it is.
    """
    check_file(path, what="checkpoint", most=MOST, error=CheckpointError)
    if path.suffix == ".pkl":
        return read_pickled(path)
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    if path.suffix == ".tflite" or is_tflite(path):
        return read_tflite(path)
    try:
        size = expanded_size(path)
        with torch.serialization.safe_globals([*STAND_INS, *BESIDE]):
            found = unpacked(torch.load(path, map_location="cpu", weights_only=True), bytes_of_file=size, beside=True)
        _check_expanded(found, size)
    except pickle.UnpicklingError as error:
        code = [line.strip() for line in str(error).splitlines() if any(sign in line for sign in CODE)]
        if not code:
            raise CheckpointError(f"{path} is no checkpoint of torch; was a web page saved in its place?") from error
        if whole := whole_network(path):
            raise CheckpointError(whole) from error
        raise CheckpointError(
            f"{path} holds more than weights and plain values ({code[0][:200]}); code in it could run, so it is not read. "
            "Where you trust it, save its weights alone: "
            "torch.save(torch.load(FILE, weights_only=False)['state_dict'], 'weights.pth')"
        ) from error
    except Exception as error:  # whatever bytes that are lost or changed make of a checkpoint
        if whole := whole_network(path):
            raise CheckpointError(whole) from error
        raise CheckpointError(f"{path} is truncated or no checkpoint of torch ({_first(error)}); fetch it again") from error
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise CheckpointError(f"{path} holds a {type(found).__name__}; expected a dictionary of weights by name")
    return found


def _check_expanded(found: Any, size: int) -> None:
    """Refuse tensors that repeat a few numbers of the file without end; each copy of them would need the memory.

    Raises:
        ValueError: They are far larger than the file.
    """
    whole = sum(tensor.numel() * tensor.element_size() for tensor in _tensors(found))
    if whole > 4 * size + SPARE:
        raise ValueError(f"its weights say to have {whole:,} bytes, and the file has {size:,}")


def _tensors(found: Any) -> Iterator[Tensor]:
    """Every tensor in dictionaries, lists and tuples, once."""
    seen: set[int] = set()
    left = [found]
    while left:
        value = left.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Mapping | list | tuple):
            left += value.values() if isinstance(value, Mapping) else value


def _first(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]}"


def _inside(state: Mapping[str, Any]) -> list[str]:
    """Under which names weights stand, from the outermost to the innermost."""
    found: list[str] = []
    for _ in range(MOST_WRAPPINGS):
        inner = next((key for key in WRAPPINGS if isinstance(state.get(key), Mapping)), None)
        if inner is None:
            break
        found.append(inner)
        state = state[inner]
    return found


def beside_weights(state: Mapping[str, Any]) -> tuple[str, ...]:
    """What stands in a training state beside the weights that `unwrap` takes: names, and plain values with theirs.

    Args:
        state: Content of a checkpoint.

    >>> beside_weights({"epoch": 210, "state_dict": {}, "optimizer": {"state": {}}, "perf": 0.744})
    ('epoch 210', 'optimizer', 'perf 0.744')
    """
    found: list[str] = []
    for inner in _inside(state):
        found += [_named(key, value) for key, value in state.items() if key != inner]
        state = state[inner]
    return tuple(found)


def _named(key: str, value: Any) -> str:
    if isinstance(value, bool | int | str):
        return f"{key} {str(value)[:40]}"
    return f"{key} {value:.6g}" if isinstance(value, float) else key


def unwrap(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights themselves: out of "state_dict", "model" or "model_state_dict", without `module.` before their names.

    Raises:
        CheckpointError: There are no weights, or something stands among them that is none.
    """
    for inner in _inside(state):
        state = state[inner]
    strange = next((key for key, value in state.items() if not isinstance(value, Tensor)), None)
    if strange is not None:
        raise CheckpointError(
            f"the checkpoint has a {type(state[strange]).__name__} called {strange!r}; expected weights, alone or under "
            f"{', '.join(map(repr, WRAPPINGS[:-1]))} or {WRAPPINGS[-1]!r}"
        )
    if not state:
        raise CheckpointError("the checkpoint has no weights")
    return _without_prefixes(state)


def _without_prefixes(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights without what a trainer put before the names of its network, such as `module.` and `model.`.

    Names that do not begin like most stay as they are: what they are of, such as a loss, is then told as unexpected.

    Raises:
        CheckpointError: Two weights have the same name then.
    """
    while (prefix := _prefix(weights)) is not None:
        short: dict[str, Tensor] = {}
        for key, value in weights.items():
            name = key.removeprefix(prefix)
            if name in short:
                raise CheckpointError(f"the checkpoint has two weights called {name!r}, with and without {prefix!r}")
            short[name] = value
        weights = short
    return dict(weights)


def _prefix(weights: Mapping[str, Tensor]) -> str | None:
    """The prefix with which the names of more than half of the weights begin, or `module.` where any does; else None."""
    for prefix in (f"{part}." for part in PREFIXES):
        count = sum(key.startswith(prefix) for key in weights)
        if 2 * count > len(weights) or (count and prefix == "module."):
            return prefix
    return None


@dataclass(frozen=True)
class Difference:
    """How the keys of a checkpoint differ from those a network needs.

    Attributes:
        missing: Needed and not there.
        unexpected: Names in the checkpoint that the network does not have.
        reshaped: Names of weights of another shape, with both shapes.
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
        return "; ".join(f"{len(keys)} {what}: {few(keys)}" for what, keys in rows if keys)


def few(keys: tuple[str, ...], most: int = 4) -> str:
    """The first few names, and how many more there are."""
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


def check_finite(weights: Mapping[str, Tensor]) -> None:
    """Refuse weights of a run that had failed.

    Raises:
        CheckpointError: A weight is NaN or infinite.
    """
    spoiled = tuple(k for k, value in weights.items() if value.is_floating_point() and not bool(torch.isfinite(value).all()))
    if spoiled:
        raise CheckpointError(
            f"{len(spoiled)} of the checkpoint's {len(weights)} weights hold NaN or infinite values ({few(spoiled)}); the "
            "run that saved it had failed, or the file is damaged: take an earlier one, or fetch it again"
        )
