"""Fields of a codec, set by words of the command line such as `ohkm=8` or `cost.heat=l2`."""

import ast
import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from poise.errors import InputError, UnknownName, unknown
from poise.models.bottomup import BottomUp
from poise.models.detecting import Detecting
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.topdown import TopDown

FIXED = ("size", "cells", "keypoints", "limbs")
"""What the network has settled."""

Changes = Mapping[str, Any]
"""New values of fields; of a field that has fields itself, their changes."""

_C = TypeVar("_C")


def set_codec(model: TopDown | BottomUp | KeypointRCNN, words: Sequence[str]) -> None:
    """Give a model's codec, and those of its earlier answers that are alike, other values.

    Args:
        model: Changed in place.
        words: Such as `sigma=3`, `ohkm=8`, `reading=dark` or `joint_weights=(1,1,2)`; a field of a field stands behind a dot,
            as in `cost.heat=l2`.

    Raises:
        InputError: No `name=value`, a value the codec refuses, or one that needs another network.
        UnknownName: The codec has no such field.
    """
    if not words:
        return
    changes = _changes(type(model.codec), words, what="a codec", such="ohkm=8")
    if isinstance(model, TopDown):
        codec = _changed(model.codec, changes)
        _check((codec.channels, codec.vectors) == (model.codec.channels, model.codec.vectors), words)
        model.deep = tuple(_changed(part, changes) if type(part) is type(codec) else part for part in model.deep)
        model.codec = codec
    elif isinstance(model, KeypointRCNN):
        boxed = _changed(model.codec, changes)
        _check((boxed.channels, boxed.vectors) == (model.codec.channels, model.codec.vectors), words)
        if boxed.score_kind != model.codec.score_kind:
            raise InputError(
                f"{', '.join(words)}: the score of a keypoint would be a {boxed.score_kind}, and the model ranks people by a "
                f"{model.codec.score_kind}; leave this out"
            )
        model.codec = boxed
    else:
        whole = _changed(model.codec, changes)
        _check(whole.parts == model.codec.parts, words)
        model.deep = tuple(_changed(part, changes) if type(part) is type(whole) else part for part in model.deep)
        model.codec = whole


def set_detecting(model: KeypointRCNN, words: Sequence[str]) -> None:
    """Have a detector learn or be read in other ways.

    Args:
        model: Changed in place.
        words: Such as `nms=0.6`, `learning.copies=2` or `weights.keypoints=0.5`.

    Raises:
        InputError: No `name=value`, or a value that cannot be.
        UnknownName: There is no such field.
    """
    changes = _changes(Detecting, words, what="how a detector works", such="learning.copies=2")
    detecting = _changed(model.detecting, changes)
    # The new model refuses what does not go with its codec.
    KeypointRCNN(model.network, model.codec, model.preprocess, model.skeleton, model.card, detecting)
    model.detecting = detecting


def _changes(kind: type[Any], words: Sequence[str], *, what: str, such: str) -> dict[str, Any]:
    """What words ask for."""
    changes: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise InputError(f"a field of {what} is set as name=value, such as {such}; found {word!r}")
        _add(changes, _value(kind, name.split("."), text))
    return changes


def _check(same: bool, words: Sequence[str]) -> None:
    if not same:
        raise InputError(f"{', '.join(words)}: the codec would then need another network; leave this out")


def _value(kind: type[Any], path: Sequence[str], text: str) -> Changes:
    """The change that a word asks for, of a codec or of a field with fields of its own."""
    name, *rest = path
    known = [field.name for field in fields(kind) if field.name not in FIXED]
    if name not in known:
        raise UnknownName(f"{unknown(f'field of {kind.__name__}', name, known)} {kind.__name__} has: {', '.join(known)}")
    hint = typing.get_type_hints(kind)[name]
    if is_dataclass(hint) and isinstance(hint, type):
        if rest:
            return {name: _value(hint, rest, text)}
        inner = ", ".join(f"{name}.{field.name}" for field in fields(hint))
        raise InputError(f"{name} of {kind.__name__} is set by its own fields: {inner}")
    if rest:
        raise InputError(f"{name} of {kind.__name__} has no fields; found {'.'.join(path)!r}")
    kinds = _kinds(hint)
    value = _read(text, kinds)
    if isinstance(value, str) and str not in kinds and not any(isinstance(one, str) for one in kinds):
        raise InputError(f"{name} of {kind.__name__} is no word, found {text!r}; expected {_typed(hint)}")
    return {name: value}


def _typed(hint: Any) -> str:
    """A type in words."""
    return hint.__name__ if isinstance(hint, type) else str(hint)


def _read(text: str, kinds: set[Any]) -> Any:
    """A value out of a word; one that is none of Python's is the word itself."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return float(text) if text.lstrip("+-") == "inf" and float in kinds else text
    if isinstance(value, dict):
        return text
    return _in_floats(value) if float in kinds and int not in kinds else value


def _kinds(hint: Any) -> set[Any]:
    """The types a hint is made of."""
    return {hint}.union(*(_kinds(part) for part in typing.get_args(hint)))


def _in_floats(value: Any) -> Any:
    """Whole numbers as the floats they stand for, in tuples too."""
    if isinstance(value, tuple):
        return tuple(_in_floats(part) for part in value)
    return float(value) if type(value) is int else value


def _add(changes: dict[str, Any], more: Changes) -> None:
    """Put changes to others, fields of fields to those of the same field."""
    for name, value in more.items():
        if isinstance(value, Mapping):
            _add(changes.setdefault(name, {}), value)
        else:
            changes[name] = value


def _changed(codec: _C, changes: Changes) -> _C:
    values = {name: _changed(getattr(codec, name), v) if isinstance(v, Mapping) else v for name, v in changes.items()}
    try:
        made: _C = replace(codec, **values)  # type: ignore[type-var]  # a dataclass, as all codecs and their fields with fields
    except TypeError as error:
        raise InputError(f"{type(codec).__name__} cannot be made with {values}: {error}") from error
    return made
