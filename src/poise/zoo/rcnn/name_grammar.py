"""Words at the end of detectors' names: what each says, and which of them a detector, a trunk or a head has a use for."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import final

from poise.dims import Size
from poise.errors import InputError

FORMS: Mapping[str, tuple[str, str]] = {
    "classes": (r"\d+(?:cls|classes)", "81cls"),
    "keypoints": (r"\d+(?:j|kps?|keypoints)", "17j"),
    "anchors": (r"\d+(?:a|anchors)", "15anchors"),
    "channels": (r"\d+ch", "1024ch"),
    "maps": (r"maps\d+x\d+", "maps64x48"),
    "size": (r"\d+x\d+", "256x320"),
    "pooling": (r"(?:avg|average|max)(?:pool)?", "maxpool"),
    "shared": ("shared", "shared"),
    "eps": ("eps", "eps"),
    "last stage": ("c4", "c4"),
    "cut": ("after_pooler", "after_pooler"),
    "data": ("coco", "coco"),
    "schedule": (r"\dx", "1x"),
    "list": ("keys", "keys"),
}
"""What a word tells: how it is written, and an example.

How many classes (with the background), keypoints, anchors in a cell, channels; maps of a head; the size of what is shown, or
in a head's name of what is cut out; how HRFPN shrinks; the keypoint head reads the box head's features; 1e-5 is added to the
norms' variance; a head on a ResNet's last stage. The rest say nothing of a network.
"""

SILENT = ("data", "schedule", "list")
"""Said of any network, and changing none."""

LEAST = 2
"""Classes: something and the background."""

WORD = "|".join(form for form, _ in FORMS.values())
"""Any of them, as a regular expression."""


@final
@dataclass(frozen=True)
class Words:
    """The words of a name.

    Attributes:
        said: By what they tell.
    """

    said: Mapping[str, str]

    def __contains__(self, kind: str) -> bool:
        """Whether a word tells this."""
        return kind in self.said

    def number(self, kind: str, usual: int) -> int:
        """What the word says, or what is usual."""
        return self._numbers(kind)[0] if kind in self.said else usual

    def size(self, kind: str, usual: Size) -> Size:
        """Two numbers (h, w) that the word says, or what is usual."""
        if kind not in self.said:
            return usual
        height, width = self._numbers(kind)
        return height, width

    def _numbers(self, kind: str) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", self.said[kind])]


def split(text: str) -> list[tuple[str, str]]:
    """What each word tells, and the word.

    >>> split("_after_pooler_2cls_14x14")
    [('cut', 'after_pooler'), ('classes', '2cls'), ('size', '14x14')]
    """
    words = re.findall(rf"_({WORD})(?=_|$)", text)
    return [(next(kind for kind, (form, _) in FORMS.items() if re.fullmatch(form, word)), word) for word in words]


def read(text: str, known: Collection[str], *, name: str, what: str) -> Words:
    """The words at the end of a name.

    Args:
        text: Each after a `_`.
        known: What they may tell; beside that what changes no network.
        name: The whole name.
        what: It is of.

    Raises:
        InputError: One that tells something else, two that tell the same thing otherwise, or a number that is too small.
    """
    said: dict[str, str] = {}
    for kind, word in split(text):
        if kind not in (*known, *SILENT):
            fit = ", ".join(FORMS[each][1] for each in (*known, *SILENT))
            raise InputError(f"{name!r} says {word!r}, of which {what} has no use; words for it look like: {fit}")
        if said.get(kind, word) != word:
            raise InputError(f"{name!r} says both {said[kind]!r} and {word!r}; leave one of them out")
        numbers = [int(number) for number in re.findall(r"\d+", word)]
        if 0 in numbers:
            raise InputError(f"{name!r} says {word!r}; give a number above 0")
        if kind == "classes" and numbers[0] < LEAST:
            raise InputError(f"{name!r} says {word!r}; give at least {LEAST} classes, of which the background is one")
        said[kind] = word
    return Words(said)
