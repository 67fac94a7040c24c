"""The names of the zoo's models without its modules: a name that nothing has is told within half a second.

They are stored beside the zoo, by `python -m poise.zoo.index`; a test compares them with the zoo itself.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import final

from poise.errors import InputError, UnknownName, missing, unknown
from poise.plugins import named
from poise.weights.aliases import known_as
from poise.weights.cache import NO_MODEL, located

STORED = Path(__file__).parents[1] / "zoo" / "index.json"
"""The file."""

SHORTEST = 4
"""Letters from which the beginning of a name says which is meant."""

SHORT_NAME = r"poise_((rcnn|fcos|scene)_)?[a-z]"
"""Pattern of the short names of poise's own networks, which `poise train` takes besides those of the zoo."""

LIMITS = {"stacks": (1, 32), "blocks": (1, 32), "stages": (1, 32), "width": (1, 256), "size": (0, 8192), "maps": (1, 8192)}
"""The least and the most that numbers of a name may be, by the name of the part; larger ones would never be made."""

OF_TORCHVISION = ("fasterrcnn_", "maskrcnn_", "keypointrcnn_", "fcos_", "retinanet_", "ssd")
"""Beginnings of the names of torchvision's detectors, of which the zoo says what they are for."""


@final
@dataclass(frozen=True)
class ZooNames:
    """What the zoo knows by name.

    Attributes:
        models: Every model worth listing.
        patterns: Regular expressions of all names that can be built.
        forms: Forms of the names for messages, such as `hrnet_w{32,48}_coco_HEIGHTxWIDTH`.
        obtainable: Models of `poise get`.
    """

    models: tuple[str, ...]
    patterns: tuple[str, ...]
    forms: tuple[str, ...]
    obtainable: tuple[str, ...]

    def can_build(self, name: str) -> bool:
        """Whether a family of the zoo has such a name; the network may still be one that cannot be."""
        return any(re.fullmatch(pattern, name) for pattern in self.patterns)

    def check_numbers(self, name: str) -> None:
        """Refuse a name with a number that no network can have.

        Raises:
            InputError: A number is beyond `LIMITS`.
        """
        for pattern in self.patterns:
            if name_parts(pattern, name) is not None:
                return


def name_parts(pattern: str, name: str) -> dict[str, str] | None:
    """The parts of the name of a network.

    Args:
        pattern: Regular expression of the names of a family, with a named group for each part.
        name: The name.

    Returns:
        Parts by name, "" where one is left out; None where the name is not of that family.

    Raises:
        InputError: A number in it is beyond `LIMITS`.
    """
    found = re.fullmatch(pattern, name)
    if found is None:
        return None
    parts = {key: value or "" for key, value in found.groupdict().items()}
    for key, (low, high) in LIMITS.items():
        numbers = re.findall(r"\d+", parts.get(key, ""))
        if any(len(number) > 9 or not low <= int(number) <= high for number in numbers):
            raise InputError(f"the {key} of a network: {low} to {high}; found {parts[key][:40]} in {name[:80]!r}")
    return parts


@cache
def zoo_names() -> ZooNames:
    """The stored names."""
    parts = json.loads(STORED.read_text(encoding="utf-8"))
    return ZooNames(**{part: tuple(values) for part, values in parts.items()})


def unknown_model(name: str, models: Iterable[str], forms: Sequence[str]) -> UnknownName:
    """The error for a name that no family of networks has.

    Args:
        name: The name.
        models: The models worth listing.
        forms: What names look like.
    """
    return UnknownName(f"{unknown('model', name, models)} Names look like: {', '.join(forms)}")


def check_model(name: str) -> None:
    """Refuse a name of a network that the zoo does not have; packages of the user's own may have it.

    Raises:
        UnknownName: It has not.
        InputError: A number in it is beyond `LIMITS`.
    """
    known = zoo_names()
    if not named() and not known.can_build(name):
        raise unknown_model(name, known.models, known.forms)
    known.check_numbers(name)


def check_obtainable(name: str) -> str:
    """The name here of a model to get; refused if `poise get` does not know it, but packages of the user's own may have it.

    Args:
        name: As here, or as people write it (`weights.aliases`).

    Raises:
        UnknownName: It does not.
    """
    known = zoo_names().obtainable
    found = known_as(name, known)
    if not named() and found not in known:
        raise unknown("model to get", name, known)
    return found


def near_model(name: str, models: Sequence[str]) -> str | None:
    """What to say of a name that is neither a model file nor in the zoo, but near to a name of it; None where it is not.

    Args:
        name: The name.
        models: The models worth listing.
    """
    longer = [known for known in models if known.startswith(f"{name}_")] or [k for k in models if k.startswith(name)]
    near = longer if len(name) >= SHORTEST and longer else get_close_matches(name, models, n=1, cutoff=0.8)
    return f"there is no model file {name}, and no model {name!r} in the zoo; did you mean {near[0]!r}?" if near else None


def nothing_called(name: str) -> str:
    """What to say of a word in place of a model file that is no path and no name; "" where only the zoo itself can tell.

    Args:
        name: The word, without the ending of a file.
    """
    if named() or located(name).exists() or zoo_names().can_build(name) or name.startswith(OF_TORCHVISION):
        return ""
    return near_model(name, zoo_names().models) or missing("model file", name, hint=NO_MODEL)
