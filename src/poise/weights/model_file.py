"""A model as one `.safetensors` file: weights, and as JSON metadata everything else a model is.

The metadata has one entry, "poise": the format's version, the kind of model, skeleton and codec of one with keypoints,
preprocessing, and the card with the architecture. Files without a kind are of models of views of one person, the only ones
there were.
Loading calls no code but the network builders of this folder.
"""

import dataclasses
import importlib
import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from poise.errors import CheckpointError, InputError, PoiseError
from poise.models.architecture import with_readout
from poise.models.base import Model
from poise.models.card import Card
from poise.models.registry import model_types
from poise.nn.base import Network
from poise.nn.rcnn import RCNN
from poise.structures import Architecture, Normalization
from poise.weights.checkpoint import compare
from poise.writing import write_atomic

ZOO = "poise.zoo.find"
"""Knows the builders of networks."""

TOP_DOWN = "top-down"
"""What models of files without a kind are: the first ones said none."""

FORMAT = 1
"""Version of the metadata; files of later versions are refused."""


def save(model: Model, path: str | os.PathLike[str]) -> Path:
    """Write a model file; it is there whole or not at all.

    Args:
        model: With whatever weights it has.
        path: Ends in `.safetensors`; folders are made.

    Returns:
        The path.

    Raises:
        InputError: Another ending, or no whole model.
        WriteError: The place cannot be written.
    """
    target = model_path(path)
    metadata = {"poise": json.dumps(describe(model))}
    weights = {key: value.detach().cpu().contiguous() for key, value in model.network.state_dict().items()}
    write_atomic(target, to_bytes(weights, metadata=metadata))
    return target


def model_path(path: str | os.PathLike[str]) -> Path:
    """Where a model file goes, to be asked before anything slow.

    Raises:
        InputError: It does not end in `.safetensors`.
    """
    target = Path(path)
    if target.suffix != ".safetensors":
        raise InputError(f"a model file ends in .safetensors, not {target.suffix!r} ({target})")
    return target


def describe(model: Model) -> dict[str, Any]:
    """Everything a model is beside its weights, as plain values.

    Raises:
        InputError: It is no whole model.
    """
    return {
        "format": FORMAT,
        "kind": model.kind,
        **model.to_plain(),
        "preprocess": dataclasses.asdict(model.preprocess),
        "card": dataclasses.asdict(model.card),
    }


def load(path: str | os.PathLike[str]) -> Model:
    """Read a model file; the model is on the CPU and ready to predict.

    Args:
        path: Of a file that `save` wrote.

    Raises:
        CheckpointError: The file is missing, truncated, not one of poise, or of a later version.
    """
    source = Path(path)
    weights, text = _read(source)
    try:
        values = json.loads(text)
        return _assemble(values, weights)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        if isinstance(error, PoiseError):
            raise CheckpointError(f"{source}: {error}") from error
        raise CheckpointError(f"the metadata of {source} cannot be understood ({error!r}); was it edited?") from error
    except PoiseError as error:
        raise CheckpointError(f"{source}: {error}") from error


def _read(source: Path) -> tuple[dict[str, Tensor], str]:
    if not source.is_file():
        raise CheckpointError(f"there is no model file {source}; train one, or convert a checkpoint with: poise import")
    try:
        with safe_open(source, framework="pt") as file:
            metadata: Mapping[str, str] = file.metadata() or {}
            weights = {key: _single(file.get_tensor(key)) for key in file.keys()}  # noqa: SIM118  # not a dictionary
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{source} is truncated or no .safetensors file ({error}); an official checkpoint becomes one with: poise import"
        ) from error
    if "poise" not in metadata:
        raise CheckpointError(f"{source} was not written by poise: it says neither skeleton nor architecture; use poise import")
    return weights, metadata["poise"]


def _single(value: Tensor) -> Tensor:
    """A copy in float32, however the file keeps it: where a weight lies in a file would decide how sums round."""
    return value.to(torch.float32, copy=True) if value.is_floating_point() else value


def _assemble(values: Mapping[str, Any], weights: dict[str, Tensor]) -> Model:
    if values["format"] > FORMAT:
        raise CheckpointError(f"it has format {values['format']} and this poise reads up to {FORMAT}; update poise")
    kind = model_types().get(values.get("kind", TOP_DOWN))
    if kind is None:
        raise CheckpointError(
            f"it holds a model of kind {values['kind']!r}, this poise knows {', '.join(model_types())}; update poise"
        )
    plain = _tuples(values)
    card = dict(plain["card"])
    made = Architecture(**card.pop("architecture"))
    preprocess = _preprocess(plain["preprocess"], kind.preprocess_type)
    model = kind.from_plain(_network(made, weights), preprocess, Card(architecture=made, **card), values=plain)
    return model.eval()


def _preprocess(values: Mapping[str, Any], kind: type[Normalization]) -> Normalization:
    """How views are made; what cannot be is refused here and not in the middle of a prediction."""
    made = kind(**values)
    found = vars(made)
    numbers = [found[name] for name, hint in get_type_hints(kind).items() if hint in (int, float)]
    right = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (*numbers, *made.mean, *made.std))
    three = len(made.mean) == len(made.std) == 3
    words = made.channels in ("rgb", "bgr") and isinstance(found.get("flip_test", False), bool)
    if not (right and three and words and min(made.std) > 0 and found.get("padding", 1.0) > 0):
        raise CheckpointError(f"its preprocessing cannot be: {made}")
    return made


def _network(made: Architecture, weights: dict[str, Tensor]) -> Network | RCNN:
    """The network with its weights; made without initial values where the file has them all."""
    build = partial(_built, _builder(made.builder), made)
    with torch.device("meta"):
        network = build()
    difference = compare(network.state_dict(), weights)
    if difference:
        raise CheckpointError(f"its weights are not those of {made.builder}: {difference}")
    network.load_state_dict(weights, assign=True, strict=False)
    if any(t.is_meta for t in (*network.parameters(), *network.buffers())):  # buffers that are not saved
        network = build()
        network.load_state_dict(weights, strict=False)
    return network


def _built(builder: Callable[..., Network | RCNN], made: Architecture) -> Network | RCNN:
    return with_readout(builder(**made.arguments), made)


def _builder(name: str) -> Callable[..., Network | RCNN]:
    """A network builder of the zoo, and nothing else, by `file:function`."""
    file, _, function = name.partition(":")
    families = importlib.import_module(
        ZOO
    ).families()  # by name: the zoo is made of model files' builders, and reads files itself
    family = families.get(file)
    if family is None or function not in family.networks:
        known = ", ".join(f"{f}:{n}" for f, family in families.items() for n in family.networks)
        raise CheckpointError(f"its architecture {name!r} is not one this poise builds ({known}); update poise")
    network: Callable[..., Network | RCNN] = family.networks[function]
    return network


def _tuples(value: Any) -> Any:
    """JSON's lists as tuples, all the way down."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
