"""PCK by a threshold and a unit of distance that a user names, such as `0.2:torso` or `0.05:map`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from poise.errors import InputError, unknown

UNITS = ("box", "torso", "head", "image", "map")
"""Units of distances: longer side of the box, torso, head (0.6 times the diagonal of its box), longer side of the image, sides
of the heatmap."""


@final
@dataclass(frozen=True)
class PCKMeasure:
    """A PCK by its threshold and unit.

    Attributes:
        threshold: Distance below which a keypoint is correct, as a share of the unit; a head's and a map's own protocol also
            count a keypoint at exactly this distance.
        unit: The unit of distances.
    """

    threshold: float
    unit: str = "box"

    def __post_init__(self) -> None:
        """Refuse thresholds that nothing or everything is below, and units that do not exist."""
        if self.unit not in UNITS:
            raise unknown("unit of PCK", self.unit, UNITS)
        if not 0 < self.threshold < math.inf:
            raise InputError(f"a threshold of PCK is a number above 0, such as 0.2; found {self.threshold:g}")

    @classmethod
    def of(cls, text: str) -> "PCKMeasure":
        """The measure of a text.

        Raises:
            InputError: It is no threshold and unit.
            UnknownName: There is no such unit.

        >>> PCKMeasure.of("0.2:torso"), PCKMeasure.of("0.1").name
        (PCKMeasure(threshold=0.2, unit='torso'), 'pck@0.1:box')
        """
        number, _, unit = text.strip().partition(":")
        try:
            threshold = float(number)
        except ValueError:
            threshold = math.nan
        if not 0 < threshold < math.inf:
            units = ", ".join(UNITS)
            raise InputError(f"a PCK is THRESHOLD:UNIT, such as 0.2:torso, with a unit of {units}; found {text!r}")
        return cls(threshold, unit.strip() or "box")

    @property
    def name(self) -> str:
        """Name for tables and files."""
        return f"pck@{self.threshold:g}:{self.unit}"


def parse_measures(texts: Sequence[str]) -> tuple[PCKMeasure, ...]:
    """The measures of one or several texts, each a list with commas; one that repeats is measured once.

    Raises:
        InputError: One is no threshold and unit.
        UnknownName: There is no such unit.

    >>> [one.name for one in parse_measures(["0.2:torso,0.05:map", "0.1"])]
    ['pck@0.2:torso', 'pck@0.05:map', 'pck@0.1:box']
    """
    parts = [part for text in texts for part in text.split(",")]
    return tuple(dict.fromkeys(map(PCKMeasure.of, parts)))
