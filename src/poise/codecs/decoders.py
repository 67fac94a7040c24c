"""How a codec reads outputs: the name and the description of its reading, and the same codec with another one.

A score depends on the network and on how its outputs were read, so the `decoder` is written down beside it.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from poise.codecs.base import InstanceCodec
from poise.codecs.dynamic_bins import DynamicBins
from poise.codecs.roi import RoICodec
from poise.codecs.roi_adapter import RoIAdapter
from poise.codecs.scene import SceneCodec
from poise.decoding.grouping_config import PEAK_METHODS, PRACTITIONER_CONFIG, RELEASE_CONFIG, GroupingConfig
from poise.decoding.subpixel import check_method
from poise.errors import InputError, unknown

Codec = InstanceCodec | SceneCodec | RoICodec | DynamicBins
C = TypeVar("C", bound=Codec)

PRESETS: Mapping[str, GroupingConfig] = {"practitioner": PRACTITIONER_CONFIG, "release": RELEASE_CONFIG}
"""Readings with all their numbers, by name."""

NUMBERS = ("threshold", "top_k", "dist_max", "person_threshold")
"""The fields that a preset sets: numbers of `GroupingConfig`."""


def decoder(codec: Codec) -> str:
    """The name of a codec and its reading, for rows of tables: "Dark", "Gaussian quarter", "Gaussian quarter in boxes"."""
    return _name(codec, reading_of(codec))


def codec_name(codec: Codec) -> str:
    """The name of a codec's class; for a `RoIAdapter` that of the codec inside: "Gaussian in boxes"."""
    return _name(codec, None)


def reading_of(codec: Codec) -> str | None:
    """The name of a codec's reading; None if it has none."""
    grouping = _grouping(codec)
    own: str | None = getattr(_inner(codec), "reading", None) if grouping is None else grouping.peaks
    return own


def described(codec: Codec) -> str:
    """`decoder` with every number that the reading depends on."""
    grouping = _grouping(codec) or getattr(codec, "grouping", None) or getattr(codec, "centres", None)
    if grouping is None:
        return decoder(codec)
    values = {f.name: getattr(grouping, f.name) for f in fields(grouping) if f.name != "peaks"}
    rest = ", ".join(f"{name} {'of the labels' if value is None else value}" for name, value in values.items())
    return f"{decoder(codec)}: {rest}"


def names_of(codec: Codec) -> tuple[str, ...]:
    """The names of the readings of a codec; empty if there is one way only to read it."""
    return PEAK_METHODS if _grouping(codec) is not None else methods_of(_inner(codec))


def read_by(codec: C, name: str) -> C:
    """The codec with another reading.

    Raises:
        InputError: It can be read in one way only.
        UnknownName: There is no such reading.
    """
    if _grouping(codec) is None:
        read: Any = read_as(_inner(codec), name)
        inside: dict[str, Any] = {"codec": read}
        return replace(codec, **inside) if isinstance(codec, RoIAdapter) else read
    if name not in PEAK_METHODS:
        raise unknown("reading", name, PEAK_METHODS)
    return _with_numbers(codec, {"peaks": name})


def preset(codec: C, name: str) -> C:
    """The codec with the numbers of a preset for its reading.

    Raises:
        InputError: It reads one person out of a view and has no such numbers.
        UnknownName: There is no such preset.
    """
    if _grouping(codec) is None:
        raise InputError(f"{codec_name(codec)} reads one person out of a view; presets are for codecs that find many")
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return _with_numbers(codec, {number: getattr(PRESETS[name], number) for number in NUMBERS})


def methods_of(codec: Codec) -> tuple[str, ...]:
    """The values of the field `reading` of a codec; empty if it has none. Those of `RoIAdapter` are none: see `names_of`."""
    if "reading" not in {field.name for field in fields(codec)}:
        return ()
    kind = get_type_hints(type(codec))["reading"]
    kind = get_type_hints(kind)["peaks"] if is_dataclass(kind) else kind
    named = [part for part in (kind, *get_args(kind)) if get_origin(part) is Literal]
    return tuple(name for part in named for name in get_args(part))


def read_as(codec: C, reading: str) -> C:
    """The codec with another value of its field `reading`; for a codec of whole views, of `GroupingConfig.peaks`.

    Raises:
        InputError: It can be read in one way only.
        UnknownName: There is no such reading.
    """
    known = methods_of(codec)
    if not known:
        raise InputError(f"outputs of {type(codec).__name__} can be read in one way only; other readings are for maps")
    check_method(reading, known)
    peaks: dict[str, Any] = {"peaks": reading}
    whole = vars(codec)["reading"]
    changed: dict[str, Any] = {"reading": replace(whole, **peaks) if isinstance(whole, GroupingConfig) else reading}
    return replace(codec, **changed)


def _grouping(codec: Codec) -> GroupingConfig | None:
    """The reading of a codec that finds many people in a view; None for other codecs."""
    reading = getattr(codec, "reading", None)
    return reading if isinstance(reading, GroupingConfig) else None


def _with_numbers(codec: C, values: Mapping[str, Any]) -> C:
    reading: dict[str, Any] = {"reading": replace(_grouping(codec) or PRACTITIONER_CONFIG, **values)}
    return replace(codec, **reading)


def _name(codec: Codec, reading: str | None) -> str:
    name = type(_inner(codec)).__name__
    return " ".join(word for word in (name, reading, "in boxes" if isinstance(codec, RoIAdapter) else None) if word)


def _inner(codec: Codec) -> Codec:
    """The codec inside a `RoIAdapter`; other codecs themselves."""
    return codec.codec if isinstance(codec, RoIAdapter) else codec
