"""Checksums of a data set, to tell whether it has changed: of annotation files, labels and sizes of image files."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, final

import numpy as np

from poise.data.base import Dataset
from poise.errors import CheckpointError, ReadError
from poise.structures import Labels

LABEL_SUFFIXES = frozenset({".json", ".txt", ".pts", ".xml", ".yaml", ".yml"})
"""Endings of the files in a folder of labels; images beside them count by their sizes."""

GENERATED = 64
"""Images whose labels count, at most, of a data set that is generated."""


@final
@dataclass(frozen=True)
class Digest:
    """Checksums of a data set. Image files count by name and size only, as reading all of them would take minutes.

    Attributes:
        images: Number of images.
        people: Number of annotations.
        labels: SHA-256 of the names of the images and of all labels as they are read.
        pictures: SHA-256 of the names of the images and of the sizes of their files; of the names where there are no files.
        files: SHA-256 of each annotation file, by its path.
    """

    images: int
    people: int
    labels: str
    pictures: str
    files: Mapping[str, str]

    def to_plain(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "Digest":
        """Checksums from the result of `to_plain`.

        Args:
            values: The fields, by name.

        Raises:
            CheckpointError: A field is missing or unknown.
        """
        try:
            made = cls(**values)
            if not isinstance(made.files, Mapping) or not all(isinstance(n, int) for n in (made.images, made.people)):
                raise TypeError(f"found {str(values)[:80]}")
        except TypeError as error:
            raise CheckpointError(f"the checksums of the data have other fields than this poise knows: {error}") from error
        return made

    def changes(self, now: "Digest") -> list[str]:
        """One sentence for each difference; [] where there is none.

        Args:
            now: Checksums of the data set as it is now.
        """
        files = sorted(path for path, digest in self.files.items() if now.files.get(path, digest) != digest)
        found = [f"the annotation file {path} has changed" for path in files]
        if (self.images, self.people) != (now.images, now.people):
            found.append(f"{self.images} images with {self.people} people were {now.images} with {now.people} when read again")
        elif self.labels != now.labels:
            found.append("its labels have changed")
        if self.images == now.images and self.pictures != now.pictures:
            found.append("its image files have other names or sizes")
        return found


def digest(dataset: Dataset) -> Digest:
    """Compute the checksums of a data set; labels are read, images are not.

    Of many images that are generated, evenly spaced ones are looked at: generating all of them takes as long as an epoch.

    Args:
        dataset: The data set.

    Raises:
        ReadError: An annotation file is missing.
    """
    labels, pictures, people = hashlib.sha256(), hashlib.sha256(), 0
    chosen = _looked_at(dataset)
    for index in chosen:
        key, rows = dataset.key(index), dataset.labels(index)
        people += len(rows)
        labels.update(f"{key.file_name}\0{key.image_id}\0{key.source}\0{tuple(rows.xy.shape)}\n".encode(errors="surrogatepass"))
        for field in fields(Labels):
            labels.update(np.ascontiguousarray(getattr(rows, field.name).numpy()).tobytes())
        pictures.update(f"{key.file_name}\0{dataset.file_size(index)}\n".encode(errors="surrogatepass"))
    files = {str(path): file_digest(path) for path in dataset.files_read}
    if len(chosen) < len(dataset):
        people = len(dataset.people())
    return Digest(len(dataset), people, labels.hexdigest(), pictures.hexdigest(), files)


def _looked_at(dataset: Dataset) -> Sequence[int]:
    """Indices of the images whose labels count: all, or evenly spaced ones where they are generated."""
    step = -(-len(dataset) // GENERATED) if dataset.generated else 1
    return range(0, len(dataset), max(step, 1))


def file_digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of the files of a folder of labels, hexadecimal.

    Raises:
        ReadError: The file is missing or cannot be read.
    """
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in LABEL_SUFFIXES)
        rows = [f"{p.relative_to(path).as_posix()}\0{file_digest(p)}\n" for p in inside]
        return hashlib.sha256("".join(rows).encode(errors="surrogatepass")).hexdigest()
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ReadError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
