"""Rows of results, written as they come."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, final

from poise.errors import PoiseError, WriteError
from poise.inference.formats import JSON_LIST, ResultFormat
from poise.writing import check_target, check_targets


@final
class RowFile:
    """Results that are written row by row: into `FILE.part` as rows come, which becomes the file at the end of the block.

    Where the block fails after rows came, the file holds those; where the process is killed, `FILE.part` does, without the
    end (of a JSON list the closing bracket). Where the block fails before that, an older file stays.

    Args:
        path: The file.
        format: Form of the rows.
        kept: Bytes, rows and images with which an earlier run stopped, to go on behind them; None to begin.

    Attributes:
        count: Number of rows so far.

    Raises:
        WriteError: The file must not be replaced, or cannot be written.
    """

    def __init__(self, path: Path, format: ResultFormat = JSON_LIST, *, kept: tuple[int, int, int] | None = None) -> None:
        self.path, self.format, self._kept = path, format, kept
        self.draft = path.with_name(f"{path.name}.part")
        check_targets((self.draft, path), flag="--out")
        _, self.count, self._images = kept or (0, 0, 0)
        self._file: IO[bytes] | None = None

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the rows of an image.

        Raises:
            WriteError: They cannot be written.
        """
        try:
            file = self._opened()
            for row in rows:
                file.write(self.format.line(row, self.count).encode(errors="backslashreplace"))
                self.count += 1
            file.flush()
        except OSError as error:
            raise self._failed(error) from error
        self._images += 1

    def stored(self) -> tuple[int, int]:
        """Bytes and rows so far, which are on the disk then.

        Raises:
            WriteError: They cannot be written.
        """
        try:
            file = self._opened()
            file.flush()
            os.fsync(file.fileno())
            return file.tell(), self.count
        except OSError as error:
            raise self._failed(error) from error

    def __enter__(self) -> "RowFile":
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Finish the file.

        Raises:
            WriteError: It cannot be written.
        """
        if error is None:
            return self._finish()
        if not self._images:
            return self._drop()
        place = self.path
        try:
            self._finish()
        except WriteError:  # the disk is full, perhaps
            place = self.draft
        return error.add_note(f"what was found before, in {self._images} images, is in {str(place)!r}")

    def _drop(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self.draft.unlink()
            with suppress(OSError):
                self._file.close()

    def _finish(self) -> None:
        try:
            with self._opened() as file:
                file.write(self.format.end(self.count).encode())
            check_target(self.path)
            self.draft.replace(self.path)
        except PoiseError:
            raise
        except OSError as error:
            raise self._failed(error) from error

    def _opened(self) -> IO[bytes]:
        if self._file is None and self._kept:
            if not self.draft.is_file():  # it was finished where the run was interrupted
                check_target(self.path)
                self.path.replace(self.draft)
            self._file = self.draft.open("r+b")
            self._file.truncate(self._kept[0])
            self._file.seek(0, os.SEEK_END)
        if self._file is None:
            check_target(self.draft)
            self.draft.unlink(missing_ok=True)  # of a process that was killed
            self._file = self.draft.open("xb")
            self._file.write(self.format.begin.encode(errors="backslashreplace"))
        return self._file

    def _failed(self, error: OSError) -> WriteError:
        return WriteError(f"{str(self.path)!r} cannot be written: {error.strerror or error}; choose another path")
