"""A run over photographs that was stopped: what it takes to go on with it and get the rows of a run that was not.

Rows come in the order of the images, so how many images are behind and how many bytes they gave says all.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import final

from poise.errors import InputError, ReadError
from poise.inference.request import ImageRequest, Skipped
from poise.reading import read_json
from poise.structures import Key
from poise.weights.checksum import checksum
from poise.writing import write_atomic

STATE = ".poise-predict.json"
"""File in the folder of the results, while they are not finished."""

EVERY = 64
"""Images after which it is written."""


@final
@dataclass(frozen=True)
class Unfinished:
    """What is behind of a run.

    Attributes:
        asked: What its rows depend on, in words by name; a run goes on only with the same.
        images: How many of its images are behind, written or left out.
        bytes: Length of what they gave in the file of the results.
        rows: Rows in these.
        counts: What the writer counts, by name.
        skipped: File name, id and reason of the images that could not be used.
    """

    asked: Mapping[str, str]
    images: int = 0
    bytes: int = 0
    rows: int = 0
    counts: Mapping[str, int] | None = None
    skipped: Sequence[tuple[str, int, str]] = ()

    @property
    def left_out(self) -> list[Skipped]:
        """The images that could not be used."""
        return [Skipped(Key(name, image), reason) for name, image, reason in self.skipped]

    def after(self, images: int, skipped: Sequence[Skipped]) -> "Unfinished":
        """With so many images behind, of which some were left out."""
        return replace(self, images=images, skipped=[(s.key.file_name, s.key.image_id, s.reason) for s in skipped])

    def write(self, folder: Path) -> None:
        """Write it into the folder of the results.

        Raises:
            WriteError: It cannot be written.
        """
        write_atomic(folder / STATE, json.dumps(asdict(self)).encode())


def asked_of(requests: Sequence[ImageRequest], options: Mapping[str, object]) -> dict[str, str]:
    """What rows depend on, in words.

    Args:
        requests: The images, with their boxes.
        options: All else, by name.
    """
    images = [(r.key.file_name, r.key.image_id, r.boxes, r.box_score) for r in requests]
    return {"images or boxes": checksum(images), **{name: str(value) for name, value in options.items()}}


def read_unfinished(folder: Path, results: Path, asked: Mapping[str, str]) -> Unfinished | None:
    """What an earlier run left in a folder; None where there is nothing to go on with.

    Args:
        folder: Folder of the results.
        results: The file with their rows, which a killed process left as `FILE.part`.
        asked: What the rows depend on now.

    Raises:
        InputError: It was run with other settings, or its rows are not there any more.
        ReadError: The file that tells cannot be read.
    """
    if not (folder / STATE).is_file():
        return None
    values = read_json(folder / STATE, what="state of a run", error=ReadError, missing=ReadError)
    try:
        found = Unfinished(**{**values, "skipped": [(n, i, r) for n, i, r in values["skipped"]]})
    except (TypeError, ValueError, KeyError) as error:
        raise ReadError(f"{str(folder / STATE)!r} is no state of a run; leave out --resume to begin anew") from error
    other = sorted(name for name in {*asked, *found.asked} if found.asked.get(name) != asked.get(name))
    if other:
        raise InputError(
            f"{str(folder)!r} was begun with other settings ({', '.join(other)}); go on with the same, leave out --resume to "
            "begin anew, or give another --out"
        )
    part = results.with_name(f"{results.name}.part")
    place = part if part.is_file() else results
    if not place.is_file() or place.stat().st_size < found.bytes:
        raise InputError(f"{str(place)!r} has lost rows since the run stopped; leave out --resume to begin anew")
    return found
