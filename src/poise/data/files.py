"""Where the images of a data set lie: a folder, or a zip file as it was downloaded."""

import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, final

from jaxtyping import UInt8
from torch import Tensor

from poise.data.images import SUFFIXES, decode, read_bytes
from poise.errors import ImageError, ReadError


@final
class ImageFiles:
    """Images by name, in a folder or a zip file.

    A name is looked for as it is, then under the folders it may have lost or gained: `000000000036.jpg` is found as
    `train2017/000000000036.jpg` where only one file is called so, and the other way round.

    Args:
        root: A folder, or a file ending in .zip.

    Raises:
        ReadError: There is no such folder or file, it holds no images, or it is no zip file.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._zip: zipfile.ZipFile | None = None
        self._process = 0
        if self.root.is_file():
            if not any(map(_is_image, self._archive().namelist())):
                raise ReadError(f"{str(root)!r} holds no images")
        elif not self.root.is_dir():
            raise ReadError(f"there is no images folder or zip file {str(root)!r}; check the path")
        elif next(self.root.iterdir(), None) is None:
            raise ReadError(f"the images folder {str(root)!r} is empty")

    def __getstate__(self) -> dict[str, Any]:
        """Without the open file, which cannot travel to another process."""
        return {"root": self.root, "_zip": None, "_process": 0}

    def bytes(self, name: str) -> bytes:
        """The bytes of an image file.

        Raises:
            ImageError: It is missing or unreadable.
        """
        if self.root.is_dir():
            return read_bytes(self._path(name))
        member = self._member(name)
        if member is None:
            raise ImageError(f"image {name!r} is not in {str(self.root)!r}; check the file name and which zip file it is in")
        try:
            return self._archive().read(member)
        except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
            raise ImageError(f"image {name!r} in {str(self.root)!r} cannot be read: {error}") from error

    def read(self, name: str) -> UInt8[Tensor, "3 H W"]:
        """The image of that name.

        Raises:
            ImageError: It is missing, unreadable, truncated, or not an image.
        """
        return decode(self.bytes(name), name=f"{self.root}/{name}")

    def has(self, name: str) -> bool:
        """Whether there is an image of that name."""
        return self._path(name).is_file() if self.root.is_dir() else self._member(name) is not None

    def size(self, name: str) -> int | None:
        """Bytes of the image's file; None where there is none of that name."""
        if self.root.is_dir():
            path = self._path(name)
            return path.stat().st_size if path.is_file() else None
        member = self._member(name)
        return None if member is None else self._archive().getinfo(member).file_size

    def where(self, name: str) -> str:
        """The image's file, links followed; of a missing one where it should be. Images of two names are one if it is equal."""
        if self.root.is_dir():
            return os.path.realpath(self._path(name))
        return f"{os.path.realpath(self.root)}/{self._member(name) or name}"

    def names(self) -> list[str]:
        """The names of all images, sorted, with `/` between folders."""
        found: Iterable[str]
        if self.root.is_dir():
            found = (p.relative_to(self.root).as_posix() for p in self.root.rglob("*") if p.is_file())
        else:
            found = self._archive().namelist()
        return sorted(filter(_is_image, found))

    def _path(self, name: str) -> Path:
        path = self.root / name
        if path.is_file():
            return path
        flat = self.root / PurePosixPath(name).name
        if flat.is_file():
            return flat
        deeper = self._by_tail.get(PurePosixPath(name).name)
        return self.root / deeper if deeper else path

    def _member(self, name: str) -> str | None:
        names = self._members
        if name in names:
            return name
        tail = PurePosixPath(name).name
        return tail if tail in names else self._by_tail.get(tail)

    @cached_property
    def _members(self) -> frozenset[str]:
        return frozenset(self._archive().namelist())

    @cached_property
    def _by_tail(self) -> dict[str, str]:
        """Names with folders, by what stands after the last `/`, where that is unique."""
        names = self.names()
        count = Counter(PurePosixPath(n).name for n in names)
        return {tail: n for n in names if count[tail := PurePosixPath(n).name] == 1}

    def _archive(self) -> zipfile.ZipFile:
        """The zip file, opened once per process: forked workers must not share a position in it."""
        if self._zip is None or self._process != os.getpid():
            try:
                self._zip = zipfile.ZipFile(self.root)
            except (OSError, zipfile.BadZipFile) as error:
                raise ReadError(f"{str(self.root)!r} is no zip file that can be read: {error}") from error
            self._process = os.getpid()
        return self._zip


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and "__MACOSX" not in path.parts
