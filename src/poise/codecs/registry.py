"""Codecs by the name of their class, and as plain values in model files."""

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, get_type_hints

from poise.codecs.base import InstanceCodec
from poise.codecs.roi import RoICodec
from poise.codecs.scene import SceneCodec
from poise.errors import InputError, unknown


@cache
def codec_types() -> Mapping[str, type[InstanceCodec]]:
    """Every final codec of this folder for views of one person, by the name of its class (`Gaussian`, `UDPGaussian`)."""
    return {cls.__name__: cls for cls in _classes() if issubclass(cls, InstanceCodec)}


@cache
def scene_codec_types() -> Mapping[str, type[SceneCodec]]:
    """Every final codec of this folder for whole views, by the name of its class (`OffsetGuided`)."""
    return {cls.__name__: cls for cls in _classes() if issubclass(cls, SceneCodec)}


@cache
def roi_codec_types() -> Mapping[str, type[RoICodec]]:
    """Every final codec of this folder for boxes of a detector, by the name of its class (`OneHot`)."""
    return {cls.__name__: cls for cls in _classes() if issubclass(cls, RoICodec)}


def to_plain(codec: InstanceCodec | SceneCodec | RoICodec) -> dict[str, Any]:
    """A codec as plain values, for a model file; a codec inside it says its type too."""
    parts = {field.name: getattr(codec, field.name) for field in dataclasses.fields(codec)}
    within = {name: to_plain(part) for name, part in parts.items() if isinstance(part, InstanceCodec)}
    return {"type": type(codec).__name__} | dataclasses.asdict(codec) | within


def from_plain(values: Mapping[str, Any]) -> InstanceCodec:
    """The codec for views of one person that `to_plain` wrote.

    Raises:
        UnknownName: No codec of that type exists.
        InputError: Its fields are other ones.
    """
    return _made(values, codec_types())


def scene_from_plain(values: Mapping[str, Any]) -> SceneCodec:
    """The codec for whole views that `to_plain` wrote.

    Raises:
        UnknownName: No codec of that type exists.
        InputError: Its fields are other ones.
    """
    return _made(values, scene_codec_types())


def roi_from_plain(values: Mapping[str, Any]) -> RoICodec:
    """The codec for boxes of a detector that `to_plain` wrote.

    Raises:
        UnknownName: No codec of that type exists.
        InputError: Its fields are other ones.
    """
    return _made(values, roi_codec_types())


def codec_from_plain(values: Mapping[str, Any], base: type) -> Any:
    """The codec that `to_plain` wrote.

    Args:
        values: Its type and fields.
        base: The contract it has to fulfil: `InstanceCodec`, `SceneCodec` or `RoICodec`.

    Raises:
        UnknownName: No codec of that contract has that type.
        InputError: Its fields are other ones.
    """
    return _made(values, {cls.__name__: cls for cls in _classes() if issubclass(cls, base)})


@cache
def _classes() -> list[type[Any]]:
    """Every class of the folder's files of which there can be values."""
    package = importlib.import_module(__package__)
    modules = [importlib.import_module(f"{__package__}.{m.name}") for m in pkgutil.iter_modules(package.__path__)]
    found = [(module, cls) for module in modules for _, cls in inspect.getmembers(module, inspect.isclass)]
    return [cls for module, cls in found if cls.__module__ == module.__name__ and not inspect.isabstract(cls)]


_C = TypeVar("_C")


RENAMED: Mapping[str, str] = {"InBox": "RoIAdapter"}
"""Names that codecs have in files of earlier versions."""


def renamed(values: Any) -> Any:
    """Plain values with today's names of codecs, all the way down."""
    if isinstance(values, Mapping):
        now = {key: renamed(value) for key, value in values.items()}
        return now | {"type": RENAMED.get(now["type"], now["type"])} if isinstance(now.get("type"), str) else now
    return [renamed(value) for value in values] if isinstance(values, list) else values


def _made(values: Mapping[str, Any], kinds: Mapping[str, type[_C]]) -> _C:
    name = str(values.get("type", ""))
    name = RENAMED.get(name, name)
    if name not in kinds:
        raise unknown("codec", name, kinds)
    fields = {key: value for key, value in values.items() if key != "type"}
    try:
        return _filled(kinds[name], fields)
    except TypeError as error:
        raise InputError(f"codec {name} cannot be made from {sorted(fields)}: {error}") from error


def _filled(kind: type[_C], values: Mapping[str, Any]) -> _C:
    """A value of a dataclass; fields that are such values too are filled like it, and JSON's lists are tuples."""
    hints = get_type_hints(kind)
    return kind(**{key: _part(hints.get(key), value) for key, value in values.items()})


def _part(hint: Any, value: Any) -> Any:
    if isinstance(value, Mapping) and hint is InstanceCodec:
        return from_plain(value)
    if isinstance(value, Mapping) and dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _filled(hint, value)
    return tuple(_part(None, part) for part in value) if isinstance(value, list | tuple) else value
