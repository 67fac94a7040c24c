"""How a codec's answers are read: its name, in words, and the same answers read otherwise. For codecs of both kinds.

A score is of a network and of how its answers were read; whoever writes a score down writes `decoder` beside it.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from poise.codecs.base import InstanceCodec
from poise.codecs.roi import RoICodec
from poise.codecs.roi_adapter import RoIAdapter
from poise.codecs.scene import SceneCodec
from poise.decoding.grouping_config import PEAK_METHODS, PRACTITIONER_CONFIG, RELEASE_CONFIG, GroupingConfig
from poise.decoding.subpixel import check_method
from poise.errors import InputError, unknown

Codec = InstanceCodec | SceneCodec | RoICodec
C = TypeVar("C", bound=Codec)

PRESETS: Mapping[str, GroupingConfig] = {"practitioner": PRACTITIONER_CONFIG, "release": RELEASE_CONFIG}
"""Numbers that go together, by name."""

NUMBERS = ("threshold", "top_k", "dist_max", "person_threshold")
"""Those numbers: fields of `GroupingConfig`."""


def decoder(codec: Codec) -> str:
    """A codec and its reading in few words, for rows of tables: "Dark", "Gaussian quarter", "Gaussian quarter in boxes"."""
    return _worded(codec, reading_of(codec))


def codec_name(codec: Codec) -> str:
    """The class of the codec that reads; of one in boxes that of the one inside: "Gaussian in boxes"."""
    return _worded(codec, None)


def reading_of(codec: Codec) -> str | None:
    """The name of the way in which a codec's answers are read; None where that has none."""
    people = _people(codec)
    own: str | None = getattr(_one(codec), "reading", None) if people is None else people.peaks
    return own


def described(codec: Codec) -> str:
    """The same with every number that the reading depends on."""
    people = _people(codec)
    if people is None:
        return decoder(codec)
    values = {f.name: getattr(people, f.name) for f in fields(people) if f.name != "peaks"}
    rest = ", ".join(f"{name} {'of the labels' if value is None else value}" for name, value in values.items())
    return f"{decoder(codec)}: {rest}"


def names_of(codec: Codec) -> tuple[str, ...]:
    """The names of the ways in which a codec's answers can be read; none if there is one way only."""
    return PEAK_METHODS if _people(codec) is not None else readings_of(_one(codec))


def read_by(codec: C, name: str) -> C:
    """The codec, its answers read in another way.

    Raises:
        InputError: They can be read in one way only.
        UnknownName: There is no such reading.
    """
    if _people(codec) is None:
        read: Any = read_as(_one(codec), name)
        inside: dict[str, Any] = {"codec": read}
        return replace(codec, **inside) if isinstance(codec, RoIAdapter) else read
    if name not in PEAK_METHODS:
        raise unknown("reading", name, PEAK_METHODS)
    return _with(codec, {"peaks": name})


def preset(codec: C, name: str) -> C:
    """The codec, its answers read with other numbers that go together.

    Raises:
        InputError: It reads one person out of a view and has no such numbers.
        UnknownName: There is no such preset.
    """
    if _people(codec) is None:
        raise InputError(f"{codec_name(codec)} reads one person out of a view; presets are for codecs that find many")
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return _with(codec, {number: getattr(PRESETS[name], number) for number in NUMBERS})


def readings_of(codec: Codec) -> tuple[str, ...]:
    """The names of the ways in which a codec's outputs can be read; none if there is one way only."""
    if "reading" not in {field.name for field in fields(codec)}:
        return ()
    kind = get_type_hints(type(codec))["reading"]
    kind = get_type_hints(kind)["peaks"] if is_dataclass(kind) else kind
    named = [part for part in (kind, *get_args(kind)) if get_origin(part) is Literal]
    return tuple(name for part in named for name in get_args(part))


def read_as(codec: C, reading: str) -> C:
    """The codec, its outputs read in another way; of a codec of whole views the names are those of `GroupingConfig.peaks`.

    Raises:
        InputError: It can be read in one way only.
        UnknownName: There is no such reading.
    """
    known = readings_of(codec)
    if not known:
        raise InputError(f"outputs of {type(codec).__name__} can be read in one way only; other readings are for maps")
    check_method(reading, known)
    peaks: dict[str, Any] = {"peaks": reading}
    whole = vars(codec)["reading"]
    changed: dict[str, Any] = {"reading": replace(whole, **peaks) if isinstance(whole, GroupingConfig) else reading}
    return replace(codec, **changed)


def _people(codec: Codec) -> GroupingConfig | None:
    """How people are read, of a codec that finds many in a view."""
    reading = getattr(codec, "reading", None)
    return reading if isinstance(reading, GroupingConfig) else None


def _with(codec: C, values: Mapping[str, Any]) -> C:
    reading: dict[str, Any] = {"reading": replace(_people(codec) or PRACTITIONER_CONFIG, **values)}
    return replace(codec, **reading)


def _worded(codec: Codec, reading: str | None) -> str:
    name = type(_one(codec)).__name__
    return " ".join(word for word in (name, reading, "in boxes" if isinstance(codec, RoIAdapter) else None) if word)


def _one(codec: Codec) -> Codec:
    """The codec that reads: of one in boxes that inside."""
    return codec.codec if isinstance(codec, RoIAdapter) else codec
