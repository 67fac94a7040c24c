"""Measures that a user names: PCK by a threshold and a unit of distance (`0.2:torso`, `0.05:map`); others (`auc`, `f1:0.3`)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from poise.errors import InputError, unknown

UNITS = ("box", "torso", "head", "image", "map")
"""Units of distances: longer side of the box, torso, head (0.6 times the diagonal of its box), longer side of the image, sides
of the heatmap."""

DISTANCE_KINDS, CURVE_KINDS = ("auc", "epe", "nme"), ("voc", "f1")
"""Further measures: of distances between keypoints and their labels, and of precision and recall."""


def check_unit(unit: str) -> str:
    """The unit of distances: one of `UNITS`, a number of pixels (`30px`), or two keypoints (`left_eye/right_eye`).

    Raises:
        UnknownName: It is none of these.

    >>> check_unit("30px"), check_unit("left_eye/right_eye")
    ('30px', 'left_eye/right_eye')
    """
    first, _, second = unit.partition("/")
    if unit not in UNITS and pixels_of(unit) is None and not (first and second):
        raise unknown("unit of PCK", unit, (*UNITS, "30px", "left_eye/right_eye"))
    return unit


def pixels_of(unit: str) -> float | None:
    """The number of pixels of a unit such as `30px`; None for other units."""
    number = _number(unit.removesuffix("px"))
    return number if unit.endswith("px") and 0 < number < math.inf else None


def _number(text: str) -> float:
    """The number of a text; nan where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


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
        check_unit(self.unit)
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
        threshold = _number(number)
        if not 0 < threshold < math.inf:
            units = ", ".join((*UNITS, "a number of pixels (30px) or two keypoints (left_eye/right_eye)"))
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


@final
@dataclass(frozen=True)
class FurtherMeasure:
    """A measure beside COCO's and PCK.

    Attributes:
        kind: `auc`, `epe`, `nme` (`metrics.pck`); `voc`: average precision by the rules of PASCAL VOC; `f1`: precision, recall,
            F1 and the confusion matrix of the results with a score of at least `score`.
        unit: Of `auc` and `nme`: the unit of distances.
        score: Of `f1`: least score of a result; None for the one of the highest F1.
        overlap: Of `voc` and `f1`: least OKS or IoU of a true positive, one of 0.5, 0.55 .. 0.95.
    """

    kind: str
    unit: str = "box"
    score: float | None = None
    overlap: float = 0.5

    @classmethod
    def of(cls, text: str) -> "FurtherMeasure":
        """The measure of a text: auc:UNIT, epe, nme:UNIT, voc@OVERLAP, f1:SCORE@OVERLAP; what follows the name may be left out.

        Raises:
            InputError: It is none, or a number is none.
            UnknownName: There is no such measure or unit.

        >>> FurtherMeasure.of("auc:30px").name, FurtherMeasure.of("f1:0.3@0.75").name, FurtherMeasure.of("voc").name
        ('auc:30px', 'f1:0.3@0.75', 'voc@0.5')
        """
        head, at, overlap = text.strip().partition("@")
        kind, colon, more = head.partition(":")
        if kind not in (*DISTANCE_KINDS, *CURVE_KINDS):
            raise unknown("measure", kind, (*DISTANCE_KINDS, *CURVE_KINDS))
        if (at and kind not in CURVE_KINDS) or (colon and kind in ("epe", "voc")):
            raise InputError(f"a measure is auc:UNIT, epe, nme:UNIT, voc@0.5 or f1:0.3@0.5; found {text!r}")
        found = cls(kind, overlap=_overlap(overlap, text) if at else 0.5)
        if not colon:
            return found
        return replace(found, score=_score(more, text)) if kind == "f1" else replace(found, unit=_own_unit(more))

    @property
    def name(self) -> str:
        """Name for tables and files."""
        at = f"@{self.overlap:g}"
        score = "" if self.score is None else f":{self.score:g}"
        return {"epe": "epe", "voc": f"voc{at}", "f1": f"f1{score}{at}"}.get(self.kind, f"{self.kind}:{self.unit}")


def _own_unit(unit: str) -> str:
    if unit == "map":
        raise InputError("only PCK is measured on maps (--pck 0.05:map); give another unit, such as box")
    return check_unit(unit)


def _score(number: str, text: str) -> float:
    score = _number(number)
    if not math.isfinite(score):
        raise InputError(f"the least score of f1 is a number, such as f1:0.3; found {text!r}")
    return score


def _overlap(number: str, text: str) -> float:
    overlap = _number(number)
    if not (0.5 <= overlap <= 0.95 and abs(overlap * 20 - round(overlap * 20)) < 1e-9):
        raise InputError(
            f"the overlap of voc and f1 is an OKS or IoU of 0.5, 0.55 .. 0.95, such as f1:0.3@0.75; found {text!r}"
        )
    return overlap


def parse_further(texts: Sequence[str]) -> tuple[FurtherMeasure, ...]:
    """The measures of one or several texts, each a list with commas; one that repeats is measured once.

    Raises:
        InputError: One is no measure.
        UnknownName: There is no such measure or unit.

    >>> [one.name for one in parse_further(["auc,epe", "nme:torso"])]
    ['auc:box', 'epe', 'nme:torso']
    """
    return tuple(dict.fromkeys(FurtherMeasure.of(part) for text in texts for part in text.split(",")))
