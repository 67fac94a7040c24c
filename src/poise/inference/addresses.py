"""Images and results at addresses of any file system of fsspec: `s3://bucket/folder`, `gs://...`, `memory://...`, folders."""

import glob
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, final

from poise.data.images import SUFFIXES
from poise.errors import ImageError, InputError, MissingExtra, ReadError, WriteError
from poise.inference.sources import ids_of
from poise.writing import write_atomic


@final
@dataclass(frozen=True)
class RemoteImage:
    """An image at an address.

    Attributes:
        address: Where it is.
        name: Its path below the folder that was given.
        image_id: As of `inference.sources.Source`.
        size: Bytes.
    """

    address: str
    name: str
    image_id: int
    size: int


def list_images(sources: Iterable[str]) -> list[RemoteImage]:
    """The images of folders and files, with the folders in them, in the order of their names.

    Args:
        sources: Addresses or paths, also patterns.

    Raises:
        ReadError: One cannot be read, or has no image.
        MissingExtra: The package of a file system is not installed.
    """
    found: dict[str, tuple[str, int]] = {}
    for source in sources:
        inside = _images_at(source)
        if not inside:
            raise ReadError(f"{source!r} holds no images ({', '.join(sorted(SUFFIXES))}); check the address")
        for address, name, size in inside:
            found.setdefault(address, (name, size))
    names = [name for name, _ in found.values()]
    if len(set(names)) < len(names):
        names = [re.sub(r"^[a-z0-9+.-]+://|^/", "", address) for address in found]
    ids = ids_of([PurePosixPath(name).stem for name in names])
    rows = zip(found.items(), names, ids, strict=True)
    return [RemoteImage(address, name, image_id, size) for (address, (_, size)), name, image_id in rows]


def _images_at(source: str) -> list[tuple[str, str, int]]:
    files, root = file_system(source)
    with _told(source, ReadError):
        pattern = glob.has_magic(root) and not files.exists(root)
        listed: dict[str, dict[str, Any]] = files.glob(root, detail=True) if pattern else files.find(root, detail=True)
        alone = pattern or list(listed) == [root]
    rows = []
    for path, about in sorted(listed.items()):
        name = PurePosixPath(path).name if alone else path.removeprefix(root).lstrip("/")
        if PurePosixPath(name).suffix.lower() in SUFFIXES and not PurePosixPath(name).name.startswith("."):
            rows.append((files.unstrip_protocol(path), name, int(about["size"] or 0)))
    return rows


def file_system(address: str) -> tuple[Any, str]:
    """The file system of an address or path, and the path inside it.

    Raises:
        MissingExtra: fsspec, or the package that it needs for this kind of address, is not installed.
        InputError: There is no such kind of address.
    """
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtra("addresses are read by fsspec, which is not installed: pip install fsspec") from error
    try:
        files, path = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise MissingExtra(f"{address!r} needs another package: {error}") from error
    except ValueError as error:
        raise InputError(f"{address!r} is no address that fsspec knows ({error}); such as s3://bucket/folder") from error
    return files, path


def read_address(address: str) -> bytes:
    """The content of an image file.

    Raises:
        ImageError: It cannot be read.
    """
    files, path = file_system(address)
    with _told(address, ImageError):
        return bytes(files.cat_file(path))


def write_address(folder: str, name: str, data: bytes) -> None:
    """Write a file into a folder at once: it is there whole, or not at all.

    Object stores show a file when it is whole; on a local disk it is renamed.

    Raises:
        WriteError: It cannot be written.
    """
    files, path = file_system(folder)
    if "file" in ([files.protocol] if isinstance(files.protocol, str) else files.protocol):
        write_atomic(Path(path) / name, data)
        return
    with _told(folder, WriteError):
        files.pipe_file(f"{path.rstrip('/')}/{name}", data)


def names_in(folder: str) -> set[str]:
    """Names of the files in a folder; none where there is no such folder.

    Raises:
        ReadError: It cannot be looked into.
    """
    files, path = file_system(folder)
    with _told(folder, ReadError):
        if not files.exists(path):
            return set()
        files.invalidate_cache()
        return {PurePosixPath(one).name for one in files.ls(path, detail=False)}


@contextmanager
def _told(address: str, kind: type[Exception]) -> Iterator[None]:
    """Tell what a file system raises, which is anything, as one sentence."""
    try:
        yield
    except WriteError:
        raise
    except Exception as error:  # every file system raises its own
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise kind(f"{address!r} cannot be reached ({why}); check the address and who may read it") from error
