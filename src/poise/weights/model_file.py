"""A model as one `.safetensors` file: weights, and as JSON metadata everything else a model is.

The metadata has two entries: the checksum of all else (`CHECKSUM`), and "poise": the format's version, the kind of model,
skeleton and codec of one with keypoints, preprocessing, and the card with the architecture. Files without a kind are of models
of views of one person, the only ones there were.
Loading runs no code but that of poise, and network builders, codecs and models of packages that the user has named
(`poise.plugins`).
"""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from poise.codecs.registry import check_kept as check_codec
from poise.errors import CheckpointError, InputError, PoiseError, missing
from poise.models.base import Model
from poise.models.card import Card, with_readout
from poise.models.registry import model_types
from poise.plugins import ZOO, builder, name_of, own_names, resolve, use_plugin
from poise.reading import check_file, parse_json
from poise.structures import Architecture, Normalization
from poise.weights import exported_file
from poise.weights.cache import NO_MODEL, located, model_place
from poise.weights.checkpoint import check_finite, compare
from poise.weights.checksum import checksum
from poise.weights.exported_detector import exported_kind
from poise.weights.exported_network import ENDINGS
from poise.weights.kernels import Kernels, packed, unpacked
from poise.weights.model_values import check_values
from poise.weights.zoo_names import zoo_names
from poise.writing import write_atomic

TOP_DOWN = "top-down"
"""Type of the models in files without `kind`, which the first versions wrote."""

CHECKSUM = "sha256"
"""Entry of the metadata with the checksum of weights and description; older files have none."""

MOST = 64 * 2**30
"""Bytes of a model file."""

FORMAT = 1
"""Version of the metadata; files of later versions are refused."""


def save(model: Model, path: str | os.PathLike[str], *, kernels: Kernels = "float32") -> Path:
    """Write a model file; it is there whole or not at all.

    Args:
        model: Model to save.
        path: Ends in `.safetensors`; folders are made.
        kernels: How the weights of convolutions and linear layers are kept (`Kernels`); `load` makes float32 of them.

    Returns:
        The path.

    Raises:
        InputError: Another ending, no whole model, one that `load` could not make again (`check_kept`), or kernels of another
            kind, or beyond the range of it.
        WriteError: The place cannot be written.
    """
    target = model_path(path)
    check_kept(model)
    text = json.dumps(describe(model))
    weights = {key: value.detach().cpu().contiguous() for key, value in model.network.state_dict().items()}
    weights = packed(weights, kernels)
    write_atomic(target, to_bytes(weights, metadata={"poise": text, CHECKSUM: checksum([text, weights])}))
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
        InputError: It is no whole model, or one of a class that no other process finds by its name.
    """
    card = dataclasses.asdict(model.card)
    if not model.card.architecture.adaptation:
        del card["architecture"]["adaptation"]  # so that an older poise reads the file
    return {
        "format": FORMAT,
        "kind": _kind_name(type(model)),
        **model.to_plain(),
        "preprocess": dataclasses.asdict(model.preprocess),
        "card": card,
    }


def _kind_name(kind: type[Model]) -> str:
    """The name of a kind of model in files."""
    name = getattr(kind, "kind", None)  # a class derived from one of poise's has that one's
    return str(name) if model_types().get(str(name)) is kind else name_of(kind)


def load(path: str | os.PathLike[str], *, plugins: Sequence[str] = ()) -> Model:
    """Read a model file; the model is on the CPU and ready to predict.

    Args:
        path: Path of a file that `save` or `poise export` wrote (`.safetensors`, `.onnx`, `.xml`); or the name of a model that
            `poise get` has brought (`weights.cache`).
        plugins: Packages of your own whose code the file may ask for, as if each was named by `poise.use_plugin`.

    Raises:
        CheckpointError: The file is missing, truncated, damaged, not one of poise, of a later version, has weights or
            statistics that are NaN or infinite, or asks for code of a package that was not named.
        InputError: There is no such package.
    """
    for plugin in plugins:
        use_plugin(plugin)
    source = located(path)
    try:
        return _loaded(source)
    except CheckpointError as error:
        name = source.stem
        if source.is_file() and source == model_place(name) and name in zoo_names().obtainable:
            reason = str(error).partition("; ")[0]
            raise CheckpointError(f"{reason}; it is a model of the cache, which `poise get {name}` makes anew") from error
        raise


def _loaded(source: Path) -> Model:
    if source.suffix.lower() in ENDINGS and source.is_file():
        return _load_exported(source)
    weights, text = _read(source)
    try:
        check_finite(weights)
        values = parse_json(text, name="its metadata", error=CheckpointError)
        check_values(values)
        return _assemble(values, weights)
    except PoiseError as error:
        raise CheckpointError(f"{source}: {error}") from error
    except Exception as error:  # whatever values that were changed make of a network or codec
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise CheckpointError(f"the metadata of {source} cannot be understood ({said}); was it edited?") from error


def _load_exported(source: Path) -> Model:
    """The model of a file of `poise export`; its network is a runtime's."""
    values, export = exported_file.read_exported(source)
    try:
        plain = _tuples(values)
        kind = _kind(str(plain.get("kind", TOP_DOWN)))
        network = exported_file.network_of(source, kind, _tuples(export))
        model: Model = exported_file.prepared(_model(exported_kind(kind), plain, network), export)
        return model.eval()
    except PoiseError:
        raise
    except Exception as error:  # as of `load`
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise CheckpointError(f"the metadata of {source} cannot be understood ({said}); was it edited?") from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights of a model file that is whole, in float32, by name; the network need not be one of the zoo's.

    Args:
        path: Path of a file that `save` wrote.

    Raises:
        CheckpointError: The file is missing, truncated, damaged, or not one of poise.
    """
    return _read(path)[0]


def _read(source: Path) -> tuple[dict[str, Tensor], str]:
    if not os.path.exists(source) or os.path.isdir(source):  # noqa: PTH110, PTH112  # also for names no file can have
        raise CheckpointError(_no_file(source))
    check_file(source, what="model file", most=MOST, error=CheckpointError)
    try:
        with safe_open(source, framework="pt") as file:
            metadata: Mapping[str, str] = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a dictionary
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{source} is truncated or no .safetensors file ({error}); an official checkpoint becomes one with: poise import"
        ) from error
    if "poise" not in metadata:
        raise CheckpointError(f"{source} was not written by poise: it says neither skeleton nor architecture; use poise import")
    if metadata.get(CHECKSUM) not in (None, checksum([metadata["poise"], weights])):
        raise CheckpointError(
            f"{source} is damaged: its checksum is not that of its weights and description; take a copy of it, or make it anew"
        )
    try:
        return {key: _single(value) for key, value in unpacked(weights).items()}, metadata["poise"]
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from error


def _no_file(source: Path) -> str:
    """Message about a model file that does not exist, but may be the name of something else."""
    name = str(source)
    if source.is_dir() and (source / "model.safetensors").is_file():
        return f"{name} is a folder, not a model file; it holds one: {source / 'model.safetensors'}"
    if source.is_dir():
        return f"{name} is a folder, not a model file; name the .safetensors file in it"
    advice: str | None = import_module(f"{ZOO.rpartition('.')[0]}.advice").advice(source.stem if source.suffix else name)
    return advice or missing("model file", source, hint=NO_MODEL)


def _single(value: Tensor) -> Tensor:
    """A copy in float32, however the file keeps it: where a weight lies in a file would decide how sums round."""
    return value.to(torch.float32, copy=True) if value.is_floating_point() else value


def _assemble(values: Mapping[str, Any], weights: dict[str, Tensor]) -> Model:
    if values["format"] > FORMAT:
        raise CheckpointError(f"it has format {values['format']} and this poise reads up to {FORMAT}; update poise")
    plain = _tuples(values)
    kind = _kind(str(plain.get("kind", TOP_DOWN)))
    return _model(kind, plain, _network(Architecture(**plain["card"]["architecture"]), weights)).eval()


def _model(kind: type[Model], plain: Mapping[str, Any], network: nn.Module) -> Model:
    """The model of a network."""
    card = dict(plain["card"])
    made = Architecture(**card.pop("architecture"))
    preprocess = _preprocess(plain["preprocess"], kind.preprocess_type)
    return kind.from_plain(network, preprocess, Card(architecture=made, **card), values=plain)


def _kind(name: str) -> type[Model]:
    """The kind of model of a name in a file."""
    if ":" in name:
        found: type[Model] = resolve(name, Model)
        return found
    if name not in model_types():
        raise CheckpointError(f"it holds a model of kind {name!r}, this poise knows {', '.join(model_types())}; update poise")
    return model_types()[name]


def _preprocess(values: Mapping[str, Any], kind: type[Normalization]) -> Normalization:
    """How views are made; what cannot be is refused here and not in the middle of a prediction."""
    made = kind(**values)
    found = vars(made)
    numbers = [found[name] for name, hint in get_type_hints(kind).items() if hint in (int, float)]
    right = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (*numbers, *made.mean, *made.std))
    three = len(made.mean) == len(made.std) == 3
    flags = all(isinstance(found.get(name, False), bool) for name in ("flip_test", "stretch"))
    words = made.channels in ("rgb", "bgr") and flags
    if not (right and three and words and min(made.std) > 0 and found.get("padding", 1.0) > 0):
        raise CheckpointError(f"its preprocessing cannot be: {made}")
    return made


def _network(made: Architecture, weights: dict[str, Tensor]) -> nn.Module:
    """The network with its weights; made without initial values where the file has them all."""
    build = partial(_built, builder(made.builder, nn.Module), made)
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


def _built(build: Callable[..., nn.Module], made: Architecture) -> nn.Module:
    return with_readout(build(**made.arguments), made)


def check_kept(model: Model) -> None:
    """Refuse a model that its file could not bring back; `save` asks this, and long runs before they begin.

    Raises:
        InputError: It is no whole model; its class, a codec or the builder of its network cannot be found by name in another
            process; or what is made by these names is another model.
    """
    values = describe(model)
    parts = (*vars(model).get("deep", ()), vars(model).get("codec"))
    try:
        for codec in parts:
            if codec is not None:
                check_codec(codec)
        with own_names():
            _check_same(model, values)
    except PoiseError as error:
        raise InputError(f"the model {model.card.name!r} could not be loaded from a file of its own: {error}") from error


def _check_same(model: Model, values: Mapping[str, Any]) -> None:
    """Refuse a model that is another one when it is made as it is described, on the device "meta": without weights."""
    kind, made = type(model).__name__, model.card.architecture
    try:
        plain = json.loads(json.dumps(values))
        architecture = json.dumps(dataclasses.asdict(made))
    except (TypeError, ValueError) as error:
        raise InputError(f"a file keeps plain values only ({error}), and the model is described by {values}") from error
    network = _empty(builder(made.builder, nn.Module), architecture)
    difference = compare(network.state_dict(), model.network.state_dict())
    if difference:
        raise InputError(f"its builder {made.builder!r} makes another network from {made.arguments}: {difference}")
    try:
        again = describe(_model(_kind(str(plain.get("kind", TOP_DOWN))), _tuples(plain), network))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InputError(f"{kind}.from_plain cannot read what its to_plain wrote ({error})") from error
    was, now = ({name: json.dumps(value) for name, value in each.items()} for each in (values, again))  # nan is not nan
    if was != now:
        lost, found = dict(was.items() - now.items()), dict(now.items() - was.items())
        raise InputError(f"{kind}.from_plain makes another model of what to_plain wrote: with {found} in place of {lost}")


@lru_cache(maxsize=8)
def _empty(build: Callable[..., nn.Module], text: str) -> nn.Module:
    """The network of an architecture, without weights."""
    made = Architecture(**_tuples(json.loads(text)))
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=()):
            return _built(build, made)
    except Exception as error:  # whatever the user's own code does
        raise InputError(
            f"its builder {made.builder!r} fails with the arguments {made.arguments}, on the device 'meta' as when a file is "
            f"read ({type(error).__name__}: {error})"
        ) from error


def _tuples(value: Any) -> Any:
    """JSON's lists as tuples, all the way down."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
