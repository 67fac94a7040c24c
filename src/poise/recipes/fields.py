"""Fields of a codec or detector, set on the command line as name=value, such as `ohkm=8` or `cost.heat=l2`."""

import ast
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

from poise.codecs.decoders import Codec
from poise.errors import InputError, UnknownName, unknown
from poise.models.base import OtherNetworkError, TrainableModel
from poise.models.blaze_detector import BlazeDetector
from poise.models.point_detector import PointDetector
from poise.models.rcnn_boxes import RCNNBoxes
from poise.models.rcnn_config import RCNNConfig
from poise.models.require import require_pose
from poise.nn.heads.roi import BoxPredictor

FIXED = ("size", "cells", "keypoints", "limbs")
"""Codec fields fixed by the network."""

Changes = Mapping[str, Any]
"""New values of fields, by name; for a field that is a dataclass, the changes of its fields."""

_C = TypeVar("_C")
_D = TypeVar("_D")


def set_codec(model: TrainableModel, words: Sequence[str]) -> None:
    """Set fields of a model's codec, and of the codecs of its intermediate outputs where they are of the same class.

    Args:
        model: Model, changed in place.
        words: Such as `sigma=3`, `ohkm=8`, `reading=dark` or `joint_weights=(1,1,2)`; nested fields are written with a dot,
            as in `cost.heat=l2`.

    Raises:
        InputError: No `name=value`, a value the codec refuses, one that needs another network, or a model without keypoints.
        UnknownName: The codec has no such field.
    """
    if not words:
        return
    check_codec(model, "--codec-set")
    changes = _codec_changes(model.codec, words)
    with _named(words):
        require_pose(model).change_codecs(lambda codec: _changed(codec, changes))


def check_codec(model: TrainableModel, flag: str) -> None:
    """Refuse a flag of codecs for a model that has none, a detector of boxes.

    Raises:
        InputError: The model has no codec.
    """
    if model.codec is None:
        raise InputError(f"{model.card.name} finds {model.output_text} and no keypoints, so it has no codec; leave {flag} out")


def set_config(model: RCNNBoxes, words: Sequence[str]) -> None:
    """Set fields of a detector's configuration.

    Args:
        model: Model, changed in place.
        words: Such as `nms=0.6`, `learning.truth=false`, `calibration.middle=0.4` or `calibration=none`.

    Raises:
        InputError: No `name=value`, a value that cannot be or that has no effect with the others, or a class of people that
            the box head does not have.
        UnknownName: There is no such field.
    """
    set_words(model, config=words)


def set_words(
    model: RCNNBoxes | BlazeDetector | PointDetector, *, codec: Sequence[str] = (), config: Sequence[str] = ()
) -> None:
    """Set fields of a detector's codec and configuration together, for the scores of keypoints must fit the ranking of people.

    Args:
        model: Model, changed in place.
        codec: Fields of the codec as name=value, such as `sigma=3`; for models with keypoints.
        config: Fields of the configuration as name=value, such as `nms=0.6`.

    Raises:
        InputError: As for `set_codec` and `set_config`, or people would be ranked by a value that is no probability.
        UnknownName: There is no such field.
    """
    made, owner = _config(model, config), cast(Any, model)  # of one with keypoints, where fields of a codec are given
    changes = _codec_changes(owner.codec, codec) if codec else {}
    with _named(codec):
        model.reconfigure(lambda own: _changed(own, changes), lambda _: made)


def changed_fields(owner: _D, words: Sequence[str], *, what: str, such: str) -> _D:
    """A dataclass with changed fields.

    Args:
        owner: The dataclass, such as an augmentation.
        words: Changes as name=value; nested fields are written with a dot.
        what: What it is, for messages.
        such: An example of a change.

    Raises:
        InputError: No `name=value`, or a value that cannot be.
        UnknownName: It has no such field.
    """
    return _changed(owner, _changes(owner, words, what=what, such=such))


@contextmanager
def _named(words: Sequence[str]) -> Iterator[None]:
    """Name the fields in errors of a codec that does not accept them."""
    try:
        yield
    except OtherNetworkError as error:
        raise InputError(f"{', '.join(words)}: {error}; leave this out") from error


def _codec_changes(codec: Codec, words: Sequence[str]) -> Changes:
    return _changes(codec, words, what="a codec", such="ohkm=8")


def _config(model: RCNNBoxes | BlazeDetector | PointDetector, words: Sequence[str]) -> Any:
    """The configuration of a detector with changed fields, from name=value."""
    if isinstance(model, BlazeDetector | PointDetector):
        return _changed(model.config, _changes(model.config, words, what="this detector's configuration", such="min_score=0.3"))
    changes = _changes(model.config, words, what="a detector's configuration", such="learning.copies=2")
    made: RCNNConfig = _changed(model.config, changes)
    _check_read(words, made)
    _check_person(model, made.person)
    return made


def refuse_words(words: Sequence[str], names: Sequence[str], *, why: str) -> None:
    """Refuse settings that have no effect.

    Args:
        words: Settings, such as `nms=0.6`.
        names: Fields without effect.
        why: Reason they have none.

    Raises:
        InputError: One of these fields is set.
    """
    found = [word for word in words if word.partition("=")[0].partition(".")[0] in names]
    if found:
        raise InputError(f"{', '.join(found)}: {why}, so nothing would change; leave it out")


def _check_read(words: Sequence[str], config: RCNNConfig) -> None:
    """Refuse settings that have no effect in this configuration."""
    if config.learning.copies_in_rpn and not config.learning.copies:
        raise InputError("learning.copies_in_rpn: there are no copies that the RPN could learn from; add learning.copies=2")
    if config.suppression == "soft-linear":
        refuse_words(words, ("sigma",), why="suppression is linear, and lowers scores from the IoU nms on")
    elif config.suppression == "soft":
        refuse_words(words, ("nms",), why="suppression is soft, and lowers scores by sigma")
    else:
        refuse_words(words, ("sigma",), why="it is of soft suppression, and suppression is hard")
    if not config.needs_probability:
        fitted = [word for word in words if word.startswith("calibration.")]
        refuse_words(fitted, ("calibration",), why="keypoint_score is raw and rating is box, and neither is a probability")


def _changes(owner: Any, words: Sequence[str], *, what: str, such: str) -> dict[str, Any]:
    """Changed fields, from name=value."""
    changes: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise InputError(f"a field of {what} is set as name=value, such as {such}; found {word!r}")
        _add(changes, _value(owner, name.split("."), text))
    return changes


def _check_person(model: RCNNBoxes, person: int) -> None:
    """Refuse a class of people that the box head does not have."""
    reader = None if model.network.box is None else model.network.box.head.reader
    if isinstance(reader, BoxPredictor) and person >= reader.cls_score.out_features:
        last = reader.cls_score.out_features - 1
        raise InputError(
            f"person={person}: the box head of {model.card.name} has the classes 0 (background) to {last}; "
            f"people are class {'1' if last == 1 else f'one of 1 to {last}'}"
        )


def _value(owner: Any, path: Sequence[str], text: str) -> Changes:
    """The change of one field, or of a nested one, from its path and text."""
    name, *rest = path
    kind = type(owner).__name__
    fixed = FIXED if isinstance(owner, Codec) else ()
    known = [field.name for field in fields(owner) if field.name not in fixed]
    if name not in known:
        said = str(unknown(f"field of {kind}", name, known))
        raise UnknownName(f"{said} {kind} has: {', '.join(known)}" if said.endswith("?") else said)
    inner = _inner(owner, name)
    if inner is not None and rest:
        return {name: _value(inner, rest, text)}
    if rest:
        raise InputError(f"{name} of {kind} has no fields; found {'.'.join(path)!r}")
    hint = _hint(owner, name)
    value = _several(_read(text, _types(hint)), hint)
    if inner is not None and value is not None:
        own = ", ".join(f"{name}.{field.name}" for field in fields(inner))
        none = ", or is none" if type(None) in _types(hint) else ""
        raise InputError(f"{name} of {kind} is set by its own fields{none}; found {text!r}, expected {own}")
    if not _fits(value, hint):
        raise InputError(f"{name} of {kind} cannot be {text!r}; expected {_typed(hint)}")
    return {name: value}


def _hint(owner: Any, name: str) -> Any:
    return typing.get_type_hints(type(owner))[name]


def _inner(owner: Any, name: str) -> Any:
    """The value of a field that is a dataclass; its defaults if the value is None; None for other fields."""
    value = getattr(owner, name)
    if is_dataclass(value):
        return value
    found = [part for part in _types(_hint(owner, name)) if is_dataclass(part) and isinstance(part, type)]
    return found[0]() if value is None and len(found) == 1 else None


def _read(text: str, types: set[Any]) -> Any:
    """A Python value from text; other text stays a string."""
    simple: dict[str, bool | None] = {"true": True, "false": False} if bool in types else {}
    if type(None) in types:
        simple["none"] = None
    if text in types:
        return text
    if text.lower() in simple:
        return simple[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return float(text) if text.lstrip("+-") == "inf" and float in types else text
    return _in_floats(value) if float in types and int not in types else value


def _several(value: Any, hint: Any) -> Any:
    """A number alone as a tuple of one, for fields of as many numbers as one likes."""
    alone = type(value) in (int, float) and not _fits(value, hint) and _fits((value,), hint)
    return (value,) if alone else value


def _types(hint: Any) -> set[Any]:
    """The types and literals in a type hint."""
    return {hint}.union(*(_types(part) for part in typing.get_args(hint)))


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value fits a type hint of simple types, literals, tuples and unions."""
    parts, origin = typing.get_args(hint), typing.get_origin(hint)
    if origin is typing.Literal:
        return value in parts
    if origin is tuple and isinstance(value, tuple):
        each = parts[:1] * len(value) if parts[1:] == (...,) else parts
        return len(each) == len(value) and all(map(_fits, value, each))
    if parts and origin is not tuple:
        return any(_fits(value, part) for part in parts)
    return type(value) is hint


def _typed(hint: Any) -> str:
    """A type hint as text for messages."""
    parts, origin = typing.get_args(hint), typing.get_origin(hint)
    if origin is typing.Literal:
        return " or ".join(map(str, parts))
    if origin is tuple:
        return "numbers as in (1,2,3)" if parts[1:] == (...,) else f"{len(parts)} numbers as in (1,2)"
    if parts:
        return " or ".join(_typed(part) for part in parts)
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "none"}
    return words.get(hint, str(hint))


def _in_floats(value: Any) -> Any:
    """Integers as floats, in tuples too."""
    if isinstance(value, tuple):
        return tuple(_in_floats(part) for part in value)
    return float(value) if type(value) is int else value


def _add(changes: dict[str, Any], more: Changes) -> None:
    """Merge changes, nested ones too."""
    for name, value in more.items():
        if isinstance(value, Mapping):
            _add(changes.setdefault(name, {}), value)
        else:
            changes[name] = value


def _changed(owner: _C, changes: Changes) -> _C:
    values = {
        name: _changed(_inner(owner, name), value) if isinstance(value, Mapping) else value for name, value in changes.items()
    }
    made: _C = replace(owner, **values)  # type: ignore[type-var]  # a dataclass, as all codecs and their fields with fields
    return made
