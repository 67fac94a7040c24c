"""The image files of a data set, in a folder or in a zip file."""

import builtins
import os
import zipfile
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, final

from jaxtyping import UInt8
from torch import Tensor

from poise.data.image_names import ImageNames, shared_tails, tail_of
from poise.data.images import MOST_BYTES, SUFFIXES, Orientation, decode, read_bytes
from poise.data.orientation import decode_labelled
from poise.dims import Size
from poise.errors import ImageError, ReadError
from poise.notes import note
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

    A name that leads out of the folder (`/etc/x.png`, `../x.png`) counts as one whose folders are not there, unless the
    environment variable `OUTSIDE_VARIABLE` is set: whoever wrote the labels would choose which files of this machine are read.

    If there is no file of a name, it is tried in other spellings (backslashes, URL escapes, case, unicode form) and with
    folders added or removed: `000000000036.jpg` finds `train2017/000000000036.jpg` if that is the only file of this name, and
    the other way round; but `cam1/7.jpg` never finds `cam2/7.jpg` (`ImageNames`). The first name found so is told.

    Args:
        root: A folder or a zip file.
        names: The names of all images that will be asked for, where they are known: names with one last part in different
            folders are then told apart.

    Raises:
        ReadError: There is no such folder or file, it contains no images, or it is not a zip file.
    """

    def __init__(self, root: Path | str, *, names: Iterable[str] = ()) -> None:
        self.root = Path(root)
        self._shared = shared_tails(names)
        self._told = False
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
        return {"root": self.root, "_shared": self._shared, "_told": self._told, "_zip": None, "_process": 0}

    def bytes(self, name: str) -> bytes:
        """The content of an image file.

        Args:
            name: Name of the file, relative to `root`.

        Raises:
            ImageError: The file is missing or cannot be read.
        """
        if self.root.is_dir():
            path = self._path(name)
            if not _is_file(path):
                self._refuse(name)
            return read_bytes(path)
        member = self._member(name)
        if member is None:
            where = self._elsewhere(name) or "; check the file name and which zip file it is in"
            raise ImageError(f"image {name!r} is not in {str(self.root)!r}{where}")
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

    def read_labelled(
        self, name: str, *, stated: Size | None = None, labels: Orientation | None = None
    ) -> UInt8[Tensor, "3 H W"]:
        """An image as its labels count its pixels: as it is stored, or turned by its EXIF orientation (`data.orientation`).

        Args:
            name: Name of the file, relative to `root`.
            stated: Size (h, w) that the label file states; None where it states none.
            labels: What labels of this form count; None where that is not known.

        Raises:
            ImageError: The file is missing, cannot be read, is truncated, or is not an image.
        """
        return decode_labelled(self.bytes(name), name=f"{self.root}/{name}", stated=stated, labels=labels)

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
        found = self._guess(name)
        if found:
            return self.root / found
        return path if inside or _allowed() else self.root / PurePosixPath(name).name

    def _refuse(self, name: str) -> None:
        """Raise an error that says more of a missing image than its name, where there is more to say."""
        if _leads_out(self.root, name) and not _allowed():
            raise ImageError(
                f"image {name!r} lies outside the images folder {str(self.root)!r} and is not read; where you trust the "
                f"file that names it, add --outside-images (in Python: set the environment variable {OUTSIDE_VARIABLE})"
            )
        if elsewhere := self._elsewhere(name):
            raise ImageError(f"image {name!r} is not in {str(self.root)!r}{elsewhere}")

    def _member(self, name: str) -> str | None:
        return name if name in self._members else self._guess(name)

    def _guess(self, name: str) -> str | None:
        """The file that a name written otherwise means; for the first one that is said."""
        found = self._names.find(name, alone=tail_of(name) not in self._shared)
        if found is not None and not self._told:
            self._told = True
            note(f"image {name!r} is taken to be {found!r} of {str(self.root)!r}, and others of this file likewise")
        return found

    def _elsewhere(self, name: str) -> str:
        """What to say of files with the same last part as an image that is missing; "" where there are none."""
        near = self._names.near(name)
        if not near:
            return ""
        which = "several files end like that" if len(near) > 1 else "its folder contradicts the name"
        return f"; there is {near[0]!r}, but {which}: name the folder in the label file, or give that folder as the images"

    @cached_property
    def _members(self) -> frozenset[str]:
        return frozenset(self._archive().namelist())

    @cached_property
    def _names(self) -> ImageNames:
        return ImageNames(self.names(), root=self.root.absolute().parts if self.root.is_dir() else ())

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
