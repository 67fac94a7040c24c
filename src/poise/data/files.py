"""The image files of a data set, in a folder or in a zip file."""

import builtins
import os
import zipfile
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, final

from jaxtyping import UInt8
from torch import Tensor

from poise.data.images import MOST_BYTES, SUFFIXES, decode, read_bytes
from poise.errors import ImageError, ReadError
from poise.reading import check_file, check_folder

OUTSIDE_VARIABLE = "POISE_OUTSIDE_IMAGES"
"""Environment variable that is set where names may lead out of the folder of images; `--outside-images` sets it."""

RATIO = 200
"""How much larger than in a zip file an image of more than `SPARE` bytes may be."""

SPARE = 2**26
"""Bytes of an image that may be packed however well."""

_CHUNK = 4096
"""Bytes that are unpacked at once where the unpacking cannot be told to stop."""


@final
class ImageFiles:
    """Images by name, in a folder or a zip file.

    A name that leads out of the folder (`/etc/x.png`, `../x.png`) counts as a name without folders, unless the environment
    variable `OUTSIDE_VARIABLE` is set: whoever wrote the labels would choose which files of this machine are read.

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
        if not os.path.isdir(root):  # noqa: PTH112  # Path.is_dir raises where a folder may not be looked into
            check_file(root, what="images folder or zip file", most=2**50)
            if not any(map(_is_image, self._archive().namelist())):
                raise ReadError(f"{str(root)!r} contains no images; give the folder or zip file of the images")
            return
        check_folder(root, what="images folder")
        if next(self.root.iterdir(), None) is None:
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
            path = self._path(name)
            if _leads_out(self.root, name) and not (_allowed() or _is_file(path)):
                raise ImageError(
                    f"image {name!r} lies outside the images folder {str(self.root)!r} and is not read; where you trust the "
                    f"file that names it, add --outside-images (in Python: set the environment variable {OUTSIDE_VARIABLE})"
                )
            return read_bytes(path)
        member = self._member(name)
        if member is None:
            raise ImageError(f"image {name!r} is not in {str(self.root)!r}; check the file name and which zip file it is in")
        try:
            return self._unpacked(self._archive().getinfo(member))
        except Exception as error:  # of each way of packing, and of archives that are damaged or newer than Python
            raise ImageError(f"image {name!r} in {str(self.root)!r} cannot be read: {error or type(error).__name__}") from error

    def _unpacked(self, member: zipfile.ZipInfo) -> builtins.bytes:
        """The content of a member, which is never unpacked beyond the size that it says to have."""
        size, packed = member.file_size, member.compress_size
        if size > MOST_BYTES or size > SPARE + RATIO * packed:
            raise ImageError(f"its {packed:,} bytes would become {size:,}, which no picture does")
        step = size if member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) else _CHUNK
        with self._archive().open(member) as file:
            return b"".join(iter(lambda: file.read(max(1, step)), b""))

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
        return _is_file(self._path(name)) if self.root.is_dir() else self._member(name) is not None

    def size(self, name: str) -> int | None:
        """Size of an image file, bytes; None where there is no file of that name."""
        if self.root.is_dir():
            path = self._path(name)
            return path.stat().st_size if _is_file(path) else None
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
        inside = not _leads_out(self.root, name)
        path = self.root / os.path.normpath(name) if inside else self.root / name
        if (inside or _allowed()) and _is_file(path):
            return path
        flat = self.root / PurePosixPath(name).name
        if _is_file(flat):
            return flat
        deeper = self._by_tail.get(PurePosixPath(name).name)
        if deeper:
            return self.root / deeper
        return path if inside or _allowed() else flat

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
            except Exception as error:  # zipfile raises whatever a damaged directory makes it
                raise ReadError(f"{str(self.root)!r} is not a zip file that can be read: {error}") from error
            self._process = os.getpid()
        return self._zip


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and "__MACOSX" not in path.parts


def _is_file(path: Path) -> bool:
    """Whether there is a regular file; not where the name is none, or its folder may not be looked into."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _leads_out(root: Path, name: str) -> bool:
    """Whether a name leads out of a folder, as it is written; links in the folder are its owner's."""
    where = Path(os.path.normpath(name))
    if where.is_absolute():
        return not where.is_relative_to(Path(root).absolute())
    return where.parts[:1] == (os.pardir,)


def _allowed() -> bool:
    """Whether names may lead out of the folder."""
    return bool(os.environ.get(OUTSIDE_VARIABLE))
