"""Fields of a codec, set by words of the command line such as `ohkm=8`."""

import ast
import typing
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from poise.codecs.base import InstanceCodec
from poise.errors import InputError, UnknownName, unknown
from poise.models.topdown import TopDown

FIXED = ("size", "cells", "keypoints")
"""What the network has settled."""


def set_codec(model: TopDown, words: Sequence[str]) -> None:
    """Give a model's codec, and those of its earlier answers that are alike, other values.

    Args:
        model: Changed in place.
        words: Such as `sigma=3`, `ohkm=8`, `reading=dark` or `joint_weights=(1,1,2)`.

    Raises:
        InputError: No `name=value`, a value the codec refuses, or one that needs another network.
        UnknownName: The codec has no such field.
    """
    if not words:
        return
    values = dict(_value(model.codec, word) for word in words)
    codec = _changed(model.codec, values)
    if (codec.channels, codec.vectors) != (model.codec.channels, model.codec.vectors):
        raise InputError(f"{', '.join(words)}: the codec would then need another network; leave this out")
    model.deep = tuple(_changed(part, values) if type(part) is type(codec) else part for part in model.deep)
    model.codec = codec


def _value(codec: InstanceCodec, word: str) -> tuple[str, Any]:
    name, equals, text = word.partition("=")
    if not equals:
        raise InputError(f"a field of a codec is set as name=value, such as ohkm=8; found {word!r}")
    known = [field.name for field in fields(codec) if field.name not in FIXED]
    if name not in known:
        kind = type(codec).__name__
        raise UnknownName(f"{unknown(f'field of {kind}', name, known)} {kind} has: {', '.join(known)}")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return name, text
    kinds = _kinds(typing.get_type_hints(type(codec))[name])
    return name, _in_floats(value) if float in kinds and int not in kinds else value


def _kinds(hint: Any) -> set[Any]:
    """The types a hint is made of."""
    return {hint}.union(*(_kinds(part) for part in typing.get_args(hint)))


def _in_floats(value: Any) -> Any:
    """Whole numbers as the floats they stand for, in tuples too."""
    if isinstance(value, tuple):
        return tuple(_in_floats(part) for part in value)
    return float(value) if type(value) is int else value


def _changed(codec: InstanceCodec, values: dict[str, Any]) -> InstanceCodec:
    try:
        return replace(codec, **values)
    except TypeError as error:
        raise InputError(f"{type(codec).__name__} cannot be made with {values}: {error}") from error
