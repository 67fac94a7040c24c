"""Codecs by the name of their class, and as plain values in model files.

Those of this folder have short names (`Gaussian`); files keep those of the user's own packages as `mypkg.codecs:MyCodec`.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias, get_type_hints

from poise.codecs.base import InstanceCodec
from poise.codecs.dynamic_bins import DynamicBins
from poise.codecs.roi import RoICodec
from poise.codecs.scene import SceneCodec
from poise.errors import InputError, unknown
from poise.plugins import members, name_of, named, resolve

Codec: TypeAlias = InstanceCodec | SceneCodec | RoICodec | DynamicBins
"""Any codec."""

Find: TypeAlias = Callable[[str, type], type[Any]]
"""Gives the class of a name, which is derived from another."""

RENAMED: Mapping[str, str] = {"InBox": "RoIAdapter"}
"""Names that codecs have in files of earlier versions."""


def codec_types() -> Mapping[str, type[InstanceCodec]]:
    """Every codec for views of one person, by the name of its class (`Gaussian`): of this folder and of named packages."""
    return _types(InstanceCodec)


def scene_codec_types() -> Mapping[str, type[SceneCodec]]:
    """Every codec for whole views, by the name of its class (`OffsetGuided`): of this folder and of named packages."""
    return _types(SceneCodec)


def roi_codec_types() -> Mapping[str, type[RoICodec]]:
    """Every codec for boxes of a detector, by the name of its class (`OneHot`): of this folder and of named packages."""
    return _types(RoICodec)


def _types(base: type) -> Mapping[str, type[Any]]:
    """The codecs of one contract; one of a named package has its whole name where the short one is taken."""
    ours = _ours(base)
    return {**ours, **{name if name not in ours else name_of(cls): cls for name, cls in members(base, named()).items()}}


@cache
def _ours(base: type) -> Mapping[str, type[Any]]:
    """The codecs of one contract that come with poise."""
    return members(base, (__package__,))


def to_plain(codec: Codec) -> dict[str, Any]:
    """A codec as plain values, for a model file; a codec inside it says its type too."""
    parts = {field.name: getattr(codec, field.name) for field in dataclasses.fields(codec)}
    within = {name: to_plain(part) for name, part in parts.items() if isinstance(part, InstanceCodec)}
    return {"type": _type_name(type(codec))} | dataclasses.asdict(codec) | within


def _type_name(kind: type[Any]) -> str:
    """The name of a codec's class in a file."""
    ours = kind.__module__.startswith(f"{__package__}.")
    return kind.__name__ if ours else f"{kind.__module__}:{kind.__qualname__}"


def check_kept(codec: Codec) -> None:
    """Refuse a codec that no model file could bring back.

    Raises:
        InputError: Its class cannot be found by name, or its fields are not plain values.
    """
    what = f"the codec {type(codec).__name__}"
    if not dataclasses.is_dataclass(codec):
        raise InputError(
            f"{what} is no dataclass, so a model file cannot keep its fields; write @dataclass(frozen=True) above it"
        )
    known = _types_within(codec)
    try:
        again = _made(json.loads(json.dumps(to_plain(codec))), type(codec), lambda name, _: known[name])
        same = bool(again == codec)
    except (TypeError, ValueError, RuntimeError, KeyError) as error:
        raise InputError(f"{what} has fields that a model file cannot keep ({error}); {PLAIN}") from error
    if not same:
        raise InputError(f"{what} would come back from a model file as {again}, not as {codec}; {PLAIN}")


PLAIN = "numbers, texts, None, tuples of these, dataclasses of these, and other codecs can be kept"


def _types_within(codec: Codec) -> dict[str, type[Any]]:
    """The class of a codec, and those of codecs inside it, by their names in files.

    Raises:
        InputError: One cannot be found by its name.
    """
    kind = type(codec)
    found = {_type_name(kind): kind}
    if ":" in _type_name(kind):
        name_of(kind)
    for field in dataclasses.fields(codec):
        part = getattr(codec, field.name)
        found |= _types_within(part) if isinstance(part, InstanceCodec) else {}
    return found


def codec_from_plain(values: Mapping[str, Any], base: type) -> Any:
    """The codec that `to_plain` wrote.

    Args:
        values: Its type and fields.
        base: The contract it has to fulfil: `InstanceCodec`, `SceneCodec` or `RoICodec`.

    Raises:
        UnknownName: No codec of that contract has that type.
        InputError: Its fields are other ones, or it is of a package that was not named.
    """
    return _made(values, base, _class)


def _class(name: str, base: type) -> type[Any]:
    """The class of a codec by its name in a file."""
    name = RENAMED.get(name, name)
    if ":" in name:
        found: type[Any] = resolve(name, base)
        return found
    if name not in _ours(base):
        raise unknown("codec", name, _ours(base))
    return _ours(base)[name]


def renamed(values: Any) -> Any:
    """Plain values with today's names of codecs, all the way down."""
    if isinstance(values, Mapping):
        now = {key: renamed(value) for key, value in values.items()}
        return now | {"type": RENAMED.get(now["type"], now["type"])} if isinstance(now.get("type"), str) else now
    return [renamed(value) for value in values] if isinstance(values, list) else values


def _made(values: Mapping[str, Any], base: type, find: Find) -> Any:
    name = str(values.get("type", ""))
    kind = find(name, base)
    fields = {key: value for key, value in values.items() if key != "type"}
    _check_pairs(name, fields)
    try:
        return _filled(kind, fields, find)
    except TypeError as error:
        raise InputError(f"codec {name} cannot be made from {sorted(fields)}: {error}") from error


def _check_pairs(name: str, fields: Mapping[str, Any]) -> None:
    """Refuse sizes that are no height and width: they would be found out in the middle of a prediction."""
    for key in ("size", "cells"):
        pair = fields.get(key, (1, 1))
        if not (isinstance(pair, list | tuple) and len(pair) == 2 and all(type(n) is int and n > 0 for n in pair)):
            raise InputError(f"{key} of the codec {name} is {str(pair)[:60]}; expected height and width, whole numbers")


def _filled(kind: type[Any], values: Mapping[str, Any], find: Find) -> Any:
    """A value of a dataclass; fields that are such values too are filled like it, and JSON's lists are tuples."""
    hints = get_type_hints(kind)
    return kind(**{key: _part(hints.get(key), value, find) for key, value in values.items()})


def _part(hint: Any, value: Any, find: Find) -> Any:
    if isinstance(value, Mapping) and hint is InstanceCodec:
        return _made(value, InstanceCodec, find)
    if isinstance(value, Mapping) and dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _filled(hint, value, find)
    return tuple(_part(None, part, find) for part in value) if isinstance(value, list | tuple) else value
