"""The published files of models: one table of facts, `official_files.csv`, whose rows families take by the beginning of a name.

A row has the name in this zoo, where the file lies, the first digits of its SHA-256, and the scores that its authors report.
Where a file lies is written `HOST:PATH`, several of them in the order in which they are tried, with blanks between. Behind `#`
stands the SHA-256 of one that is another file of the same model.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import final

from poise.weights.release import Release

TABLE = Path(__file__).with_name("official_files.csv")


@final
@dataclass(frozen=True)
class Host:
    """Where files of one origin lie, and what holds for all of them.

    Attributes:
        root: Beginning of their addresses.
        page: The page of their authors.
        licence: Licence of code and weights.
    """

    root: str
    page: str
    licence: str


COCO_TERMS = "the weights come from images and labels whose own terms hold (COCO; others for research only)"

HOSTS: Mapping[str, Host] = {
    "openmmlab": Host(
        "https://download.openmmlab.com/mmpose/",
        "https://github.com/open-mmlab/mmpose",
        f"Apache-2.0 (code); {COCO_TERMS}",
    ),
    "vitpose": Host(
        "https://huggingface.co/usyd-community/",
        "https://huggingface.co/usyd-community",
        f"Apache-2.0 (code and weights, says its card); {COCO_TERMS}",
    ),
    "dwpose": Host(
        "https://huggingface.co/yzd-v/",
        "https://huggingface.co/yzd-v/DWPose",
        "Apache-2.0 (code and weights, says its card); COCO-WholeBody and UBody, whose labels are for research only",
    ),
    "sapiens": Host(
        "https://huggingface.co/facebook/",
        "https://huggingface.co/facebook/sapiens-pose-bbox-detector",
        f"Apache-2.0 (code of RTMDet, whose file it is); {COCO_TERMS}",
    ),
    "hub": Host("https://huggingface.co/", "https://huggingface.co", f"as the card on Hugging Face says; {COCO_TERMS}"),
    "deeplabcut": Host(
        "https://huggingface.co/",
        "https://www.mackenziemathislab.org/dlc-modelzoo",
        "code LGPL-3.0; weights as the card on Hugging Face says (an earlier one forbade commercial use): read it before use",
    ),
}
"""Where files lie, by the word before the colon."""


def official(*beginnings: str) -> tuple[Release, ...]:
    """The published models whose names begin so, in the order of the table.

    Args:
        beginnings: Of names, such as "rtmpose_".
    """
    return tuple(release for name, release in _table().items() if name.startswith(beginnings))


@cache
def _table() -> Mapping[str, Release]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {row["name"]: _release(row) for row in csv.DictReader(file)}


def _release(row: Mapping[str, str]) -> Release:
    places = [place.partition("#") for place in row["url"].split()]
    pairs = [(place.partition(":"), other) for place, _, other in places]
    addresses = tuple(HOSTS[host].root + path for (host, _, path), _ in pairs)
    first = HOSTS[pairs[0][0][0]]
    scores = dict(score.split("=") for score in row["scores"].split(";") if score)
    return Release(
        name=row["name"],
        file=addresses[0].rpartition("/")[2],
        page=first.page,
        folder=first.page,
        url=addresses[0],
        mirrors=addresses[1:],
        others={address: other for address, (_, other) in zip(addresses, pairs, strict=True) if other},
        sha256=row["sha256"] or None,
        licence=first.licence,
        scores={name: float(value) for name, value in scores.items()},
    )
