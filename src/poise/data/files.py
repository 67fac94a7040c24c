"""The image files of a data set, in a folder or in a zip file."""

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
from poise.errors import ImageError, ReadError, missing


@final
class ImageFiles:
    """Images by name, in a folder or a zip file.

    If there is no file of a name, the name is tried with folders added or removed: `000000000036.jpg` finds
    `train2017/000000000036.jpg` if that is the only file of this name, and the other way round.

    Args:
        root: A folder or a zip file.

    Raises:
        ReadError: There is no such folder or file, it contains no images, or it is not a zip file.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._zip: zipfile.ZipFile | None = None
        self._process = 0
        if self.root.is_file():
            if not any(map(_is_image, self._archive().namelist())):
                raise ReadError(f"{str(root)!r} contains no images; give the folder or zip file of the images")
        elif not self.root.is_dir():
            raise ReadError(missing("images folder or zip file", root))
        elif next(self.root.iterdir(), None) is None:
            raise ReadError(f"the images folder {str(root)!r} is empty")

    def __getstate__(self) -> dict[str, Any]:
        """The state without the open zip file, which cannot be sent to another process."""
        return {"root": self.root, "_zip": None, "_process": 0}

    def bytes(self, name: str) -> bytes:
        """The content of an image file.

        Args:
            name: Name of the file, relative to `root`.

        Raises:
            ImageError: The file is missing or cannot be read.
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
        """An image, RGB, 0 to 255.

        Args:
            name: Name of the file, relative to `root`.

        Raises:
            ImageError: The file is missing, cannot be read, is truncated, or is not an image.
        """
        return decode(self.bytes(name), name=f"{self.root}/{name}")

    def has(self, name: str) -> bool:
        """Whether there is an image of that name."""
        return self._path(name).is_file() if self.root.is_dir() else self._member(name) is not None

    def size(self, name: str) -> int | None:
        """Size of an image file, bytes; None where there is no file of that name."""
        if self.root.is_dir():
            path = self._path(name)
            return path.stat().st_size if path.is_file() else None
        member = self._member(name)
        return None if member is None else self._archive().getinfo(member).file_size

    def resolved_path(self, name: str) -> str:
        """Path of an image file with links resolved, equal for two names of one file; for a missing file where it would be."""
        if self.root.is_dir():
            return os.path.realpath(self._path(name))
        return f"{os.path.realpath(self.root)}/{self._member(name) or name}"

    def names(self) -> list[str]:
        """Names of all images, relative to `root`, sorted, with `/` between folders."""
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
        """Names of the images by their last component, for components that occur once."""
        names = self.names()
        count = Counter(PurePosixPath(n).name for n in names)
        return {tail: n for n in names if count[tail := PurePosixPath(n).name] == 1}

    def _archive(self) -> zipfile.ZipFile:
        """The zip file, opened once per process, because forked workers must not share a file position."""
        if self._zip is None or self._process != os.getpid():
            try:
                self._zip = zipfile.ZipFile(self.root)
            except (OSError, zipfile.BadZipFile) as error:
                raise ReadError(f"{str(self.root)!r} is not a zip file that can be read: {error}") from error
            self._process = os.getpid()
        return self._zip


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and "__MACOSX" not in path.parts
