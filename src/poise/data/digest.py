"""Whether data are still the same: checksums of annotation files, of the labels as they were read, and of the images' sizes."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, final

import numpy as np

from poise.data.base import Dataset
from poise.errors import CheckpointError, ReadError
from poise.structures import Labels


@final
@dataclass(frozen=True)
class Digest:
    """Checksums of a data set; images are told by name and size, for reading them all would take minutes.

    Attributes:
        images: How many.
        people: How many rows of labels.
        labels: SHA-256 of the names of the images and of all labels, as they were read.
        pictures: SHA-256 of the names of the images and of the bytes each takes; of the names where nothing is stored.
        files: SHA-256 of each annotation file, by its path.
    """

    images: int
    people: int
    labels: str
    pictures: str
    files: Mapping[str, str]

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "Digest":
        """What `to_plain` gave.

        Raises:
            CheckpointError: Other fields.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise CheckpointError(f"the checksums of the data are of another kind: {error}") from error

    def changes(self, now: "Digest") -> list[str]:
        """What is not as it was, in words; nothing where all is."""
        files = sorted(path for path, digest in self.files.items() if now.files.get(path, digest) != digest)
        found = [f"the annotation file {path} has other bytes" for path in files]
        if (self.images, self.people) != (now.images, now.people):
            found.append(f"{self.images} images with {self.people} people were {now.images} with {now.people} when read again")
        elif self.labels != now.labels:
            found.append("its labels are other ones")
        if self.images == now.images and self.pictures != now.pictures:
            found.append("its images have other names or sizes")
        return found


def digest(dataset: Dataset) -> Digest:
    """The checksums of a data set. Labels are read, images are not.

    Raises:
        ReadError: An annotation file is gone.
    """
    labels, pictures, people = hashlib.sha256(), hashlib.sha256(), 0
    for index in range(len(dataset)):
        key, rows = dataset.key(index), dataset.labels(index)
        people += len(rows)
        labels.update(f"{key.file_name}\0{key.image_id}\0{key.source}\0{tuple(rows.xy.shape)}\n".encode())
        for field in fields(Labels):
            labels.update(np.ascontiguousarray(getattr(rows, field.name).numpy()).tobytes())
        pictures.update(f"{key.file_name}\0{dataset.file_size(index)}\n".encode())
    files = {str(path): file_digest(path) for path in dataset.files_read}
    return Digest(len(dataset), people, labels.hexdigest(), pictures.hexdigest(), files)


def file_digest(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        ReadError: It is missing or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ReadError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
