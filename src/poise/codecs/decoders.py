"""How a codec's answers are read: its name, in words, and the same answers read otherwise. For codecs of both kinds.

A score is of a network and of how its answers were read; whoever writes a score down writes `decoder` beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from poise.codecs import readings
from poise.codecs.base import InstanceCodec
from poise.codecs.peak_reading import PEAKS, PRACTITIONER, RELEASE, PeakReading
from poise.codecs.roi import RoICodec
from poise.codecs.scene import SceneCodec
from poise.errors import InputError, unknown

Codec = InstanceCodec | SceneCodec | RoICodec

PRESETS: Mapping[str, PeakReading] = {"practitioner": PRACTITIONER, "release": RELEASE}
"""Numbers that go together, by name."""

NUMBERS = ("threshold", "top_k", "dist_max", "person_threshold")
"""Those numbers: fields of `PeakReading`."""


def decoder(codec: Codec) -> str:
    """A codec and its reading in two words, for rows of tables: "Dark", "Gaussian quarter", "OffsetGuided fast"."""
    own = reading_of(codec)
    name = type(codec).__name__
    return f"{name} {own}" if own else name


def reading_of(codec: Codec) -> str | None:
    """The name of the way in which a codec's answers are read; None where that has none."""
    people = _people(codec)
    own: str | None = getattr(codec, "reading", None) if people is None else people.peaks
    return own


def described(codec: Codec) -> str:
    """The same with every number that the reading depends on."""
    people = _people(codec)
    if people is None:
        return decoder(codec)
    rest = ", ".join(f"{f.name} {getattr(people, f.name)}" for f in fields(people) if f.name != "peaks")
    return f"{decoder(codec)}: {rest}"


def names_of(codec: Codec) -> tuple[str, ...]:
    """The names of the ways in which a codec's answers can be read; none if there is one way only."""
    return PEAKS if _people(codec) is not None else readings.readings_of(_one(codec))


def read_by(codec: Codec, name: str) -> Codec:
    """The codec, its answers read in another way.

    Raises:
        InputError: They can be read in one way only.
        UnknownName: There is no such reading.
    """
    people = _people(codec)
    if people is None:
        return readings.read_as(_one(codec), name)
    if name not in PEAKS:
        raise unknown("reading", name, PEAKS)
    return _with(codec, {"peaks": name})


def preset(codec: Codec, name: str) -> Codec:
    """The codec, its answers read with other numbers that go together.

    Raises:
        InputError: It reads one person out of a view and has no such numbers.
        UnknownName: There is no such preset.
    """
    if _people(codec) is None:
        raise InputError(f"{type(codec).__name__} reads one person out of a view; presets are for codecs that find many")
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return _with(codec, {number: getattr(PRESETS[name], number) for number in NUMBERS})


def changed(codec: Codec, texts: Sequence[str]) -> Codec:
    """The codec, its answers read with other options.

    Args:
        codec: Of any kind.
        texts: Such as "reading.threshold=0.06", or "reading=quarter"; what a network is built for cannot be changed.

    Raises:
        InputError: Another form, or a value that cannot be.
        UnknownName: There is no such option.
    """
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not value:
            raise InputError(f"options are given as name=value, such as reading.threshold=0.06; found {text!r}")
        if name == "reading":
            codec = read_by(codec, value)
            continue
        people = _people(codec)
        known = [] if people is None else [f"reading.{f.name}" for f in fields(people)]
        if people is None or name not in known:
            raise unknown("option of how answers are read called", name, ["reading", *known])
        part = name.removeprefix("reading.")
        codec = _with(codec, {part: _parsed(value, getattr(people, part), name)})
    return codec


def _parsed(text: str, like: Any, name: str) -> Any:
    """A text as a value of the type of another."""
    kind = type(like)
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        if kind is not bool:
            return kind(text)
    except ValueError:
        pass
    raise InputError(f"{name} is a {kind.__name__}, such as {like}, not {text!r}")


def _people(codec: Codec) -> PeakReading | None:
    """How people are read, of a codec that finds many in a view."""
    reading = getattr(codec, "reading", None)
    return reading if isinstance(reading, PeakReading) else None


def _with(codec: Codec, values: Mapping[str, Any]) -> Codec:
    reading: dict[str, Any] = {"reading": replace(_people(codec) or PRACTITIONER, **values)}
    return replace(codec, **reading)


def _one(codec: Codec) -> InstanceCodec:
    if not isinstance(codec, InstanceCodec):
        raise InputError(f"answers for {type(codec).__name__} can be read in one way only")
    return codec
