"""All writing of files: each exists complete or not at all, and nothing that is read, or is no regular file, is replaced.

A file is written as a draft beside its place (`.poise-*.part`), which is locked while it is written and then renamed. A draft
that nobody holds is what a killed process left; the next process that writes into the folder removes it.
"""

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import IO

from poise.errors import PoiseError, WriteError

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

DRAFT = ".poise-*.part"
"""Names of drafts, as a pattern."""

LOCK = ".poise-lock"
"""Name of the file in a folder whose lock is that of the folder."""

LONGEST_NAME = 200
"""Bytes of a file name above which it is shortened; file systems take 255, and some less."""

FileId = tuple[int, int]
"""Device and number of a file: the same for all of its names and links."""

_protected: ContextVar[frozenset[FileId]] = ContextVar("protected", default=frozenset())

Draft = tuple[Path, Path, IO[bytes]]
"""A file that was written as a draft: the draft, its place, and itself, open and locked."""

_waiting: ContextVar[list[Draft] | None] = ContextVar("waiting", default=None)

_held: set[str] = set()  # folders that this process has locked; a system's lock does not keep a process from itself


@contextmanager
def protecting(paths: Iterable[Path | str]) -> Iterator[None]:
    """While this lasts, none of these files is replaced, under whatever name or link.

    Args:
        paths: What is read; those that do not exist and folders are passed over.
    """
    found = {made for path in paths if (made := _file_id(path)) is not None}
    token = _protected.set(_protected.get() | found)
    try:
        yield
    finally:
        _protected.reset(token)


def _file_id(path: Path | str) -> FileId | None:
    """Identity of a file with links followed; None where there is none, or a folder."""
    try:
        found = os.stat(path)  # noqa: PTH116  # also of text
    except (OSError, ValueError):  # ValueError: text that no path can be
        return None
    return None if stat.S_ISDIR(found.st_mode) else (found.st_dev, found.st_ino)


def check_target(path: Path | str, *, flag: str = "") -> None:
    """Refuse to write a file in place of something that is no regular file, or that is read (`protecting`).

    Args:
        path: The file to write.
        flag: That names it, for the message.

    Raises:
        WriteError: A folder, link, device or pipe stands there, or a file that is read.
    """
    target, other = str(path), f"give another {flag}" if flag else "choose another path"
    try:
        mode = os.lstat(path).st_mode  # links are not followed
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        raise WriteError(f"{target!r} cannot be written: {_reason(error)}; {other}") from error
    if stat.S_ISDIR(mode):
        raise WriteError(f"{target!r} is a folder, and a file is to be written; {other}")
    if stat.S_ISLNK(mode):
        raise WriteError(f"{target!r} is a link to {os.path.realpath(path)!r}; name the file itself, or {other}")
    if not stat.S_ISREG(mode):
        raise WriteError(f"{target!r} is no regular file but a device, pipe or socket, which is not replaced; {other}")
    if _file_id(path) in _protected.get():
        raise WriteError(
            f"{target!r} is read by this command, and {flag or 'what it writes'} would overwrite it; give another name"
        )


def check_targets(paths: Iterable[Path | str], *, flag: str, new: bool = False) -> None:
    """Refuse files to write where one cannot be (`check_target`), or two are one; to be asked before anything slow.

    Args:
        paths: The files to write.
        flag: That names them, for the message.
        new: Whether a file that exists is refused, too.

    Raises:
        WriteError: One cannot be written, or would replace another.
    """
    seen: set[str] = set()
    for path in paths:
        check_target(path, flag=flag)
        if new and os.path.lexists(path):
            raise WriteError(f"{str(path)!r} exists already and is not replaced; give another {flag}, or move it away")
        place = os.path.realpath(path)
        if place in seen:
            raise WriteError(f"{str(path)!r} would be written twice, one over the other; give another {flag}")
        seen.add(place)


@contextmanager
def atomic_file(path: Path | str) -> Iterator[IO[bytes]]:
    """A file to write into, which takes its place when the block ends; where the block fails, everything is as it was.

    Args:
        path: Its place; missing folders are made, a regular file there is replaced.

    Raises:
        WriteError: The file cannot be written, or must not be replaced (`check_target`); no draft is left.
    """
    target = Path(path)
    check_target(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        clean(target.parent)
        draft, file = _draft(target.parent)
        try:
            yield file
            file.flush()
            _finish((draft, target, file))
        except BaseException:
            _drop(draft, file)
            raise
    except PoiseError:
        raise
    except (OSError, ValueError) as error:
        raise WriteError(f"{str(path)!r} cannot be written: {_reason(error)}; choose another path") from error


def _finish(draft: Draft) -> None:
    """Give a draft its place, or let it wait for others (`together`)."""
    waiting = _waiting.get()
    if waiting is not None:
        waiting.append(draft)
        return
    check_target(draft[1])  # something may have come there meanwhile
    draft[0].replace(draft[1])
    draft[2].close()


def _drop(draft: Path, file: IO[bytes]) -> None:
    with suppress(OSError):
        draft.unlink()
    with suppress(OSError):
        file.close()


@contextmanager
def together() -> Iterator[None]:
    """While this lasts, files are written as drafts, which take their places when the block ends; where it fails none does.

    Raises:
        WriteError: One cannot take its place.
    """
    waiting: list[Draft] = []
    token = _waiting.set(waiting)
    try:
        yield
        _waiting.set(None)
        _finish_all(waiting)
    finally:
        _waiting.reset(token)
        for draft, _, file in waiting:
            _drop(draft, file)


def _finish_all(waiting: list[Draft]) -> None:
    for _, target, _ in waiting:
        check_target(target)
    while waiting:
        try:
            _finish(waiting[0])
        except PoiseError:
            raise
        except OSError as error:
            raise WriteError(f"{str(waiting[0][1])!r} cannot be written: {_reason(error)}; choose another path") from error
        waiting.pop(0)


def write_atomic(path: Path | str, data: bytes) -> None:
    """Write a file so that it exists complete or not at all: as a draft in the same folder, then renamed.

    Args:
        path: The file; missing folders are made, a regular file is replaced.
        data: Its content.

    Raises:
        WriteError: The file cannot be written, or must not be replaced (`check_target`); no draft is left.
    """
    with atomic_file(path) as file:
        file.write(data)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _draft(folder: Path) -> tuple[Path, IO[bytes]]:
    """A new draft, open and locked. It may have been cleaned away between its making and its locking; then another is made."""
    while True:
        path = folder / DRAFT.replace("*", os.urandom(6).hex())
        file = path.open("xb")
        if _lock(file) or not _locks_work(file):
            return path, file
        file.close()


def _lock(file: IO[bytes]) -> bool:
    """Lock an open file, if it still has a name and nobody else has locked it."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return os.fstat(file.fileno()).st_nlink > 0


def _locks_work(file: IO[bytes]) -> bool:
    """Whether files can be locked here; some network file systems cannot."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


@contextmanager
def draft_folder(parent: Path) -> Iterator[Path]:
    """A new folder beside what is made in it; it goes at the end of the block, or where the process is killed, with `clean`.

    Args:
        parent: Where it is made.
    """
    clean(parent)
    while True:
        path = parent / DRAFT.replace("*", os.urandom(6).hex())
        path.mkdir()
        with suppress(FileNotFoundError):  # it was cleaned away before it was locked
            file = (path / LOCK).open("xb")
            if _lock(file) or not _locks_work(file):
                break
            file.close()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        file.close()


@cache
def clean(folder: Path) -> None:
    """Remove drafts that killed processes have left in a folder; once for each folder in a process.

    Args:
        folder: What is in folders inside it stays.
    """
    with suppress(OSError):
        for path in folder.glob(DRAFT):
            with suppress(OSError):
                _clean_folder(path) if path.is_dir() else _clean_file(path)


def _clean_file(path: Path) -> None:
    with path.open("rb") as file:
        if _lock(file):
            path.unlink()


def _clean_folder(path: Path) -> None:
    if not (path / LOCK).exists():
        path.rmdir()  # only if it is empty
        return
    with (path / LOCK).open("rb") as file:
        if _lock(file):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def locked(folder: Path | str, *, what: str) -> Iterator[Path]:
    """A folder, made if it is missing, that nobody else may lock meanwhile; one that was made and stays empty goes again.

    The lock is on `.poise-lock` inside it, and ends with the process. Where files cannot be locked nothing is.

    Args:
        folder: The folder.
        what: Name of the writer, for the message.

    Raises:
        WriteError: Somebody else has locked it, or it cannot be made or written.
    """
    place = Path(folder)
    made, name = [path for path in (place, *place.parents) if not path.is_dir()], os.path.realpath(place)
    try:
        place.mkdir(parents=True, exist_ok=True)
        file = None if name in _held else _open_lock(place / LOCK)
    except OSError as error:
        raise WriteError(f"the folder {str(folder)!r} cannot be written: {_reason(error)}; choose another") from error
    if file is None:
        raise WriteError(f"{what} is writing into {str(folder)!r} at this moment; wait for its end, or give another --out")
    _held.add(name)
    try:
        yield place
    finally:
        with suppress(OSError):
            (place / LOCK).unlink()
        _held.discard(name)
        file.close()
        with suppress(OSError):  # one is not empty
            for path in made:
                path.rmdir()


def _open_lock(path: Path) -> IO[bytes] | None:
    """The lock of a folder, open; None where another process holds it. Processes that are forked do not inherit it."""
    while True:
        file = path.open("ab")
        if fcntl is None:
            return file
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # the second is what some systems say
            file.close()
            return None
        except OSError:  # a file system without locks
            return file
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # its holder has removed it meanwhile


def short_name(name: str, *, ending: str = "") -> str:
    """A file name that every file system takes: of a longer one the beginning and a checksum.

    Args:
        name: Without the ending.
        ending: Such as ".jpg"; it stays.

    >>> short_name("dog", ending=".jpg"), len(short_name(300 * "dog", ending=".jpg"))
    ('dog.jpg', 200)
    """
    data, room = name.encode(errors="surrogatepass"), LONGEST_NAME - len(ending)
    if len(data) <= room:
        return f"{name}{ending}"
    digest = hashlib.sha256(data).hexdigest()[:12]
    return f"{data[: room - 13].decode(errors='ignore')}-{digest}{ending}"
