"""Index lists of releases: `.npy` files of positions in a list of images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from poise.errors import AnnotationError, InputError, ReadError
from poise.reading import check_file

PARTS = ("train", "val", "all")
"""Parts of a data set: what is trained on, what is held out, both."""

HELD_OUT = 0.2
"""Share that is held out where no index list says what is."""


def check_part(part: str) -> None:
    """Refuse what is none of `PARTS`.

    Raises:
        InputError: It is none.
    """
    if part not in PARTS:
        raise InputError(f"a data set has the parts {', '.join(PARTS)}, found {part!r}")


def read_array(path: Path, *, what: str) -> np.ndarray:
    """The numbers of a `.npy` file; objects, which run code, are not read.

    Args:
        path: The file.
        what: What it should be, for messages.

    Raises:
        ReadError: It is missing, cut, or no array of numbers.
    """
    check_file(path, what=what)
    try:
        found = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, MemoryError) as error:
        raise ReadError(f"{what} {str(path)!r} is cut or damaged ({str(error)[:120]}); unpack or copy it again") from error
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "iuf":
        raise ReadError(f"{what} {str(path)!r} holds no array of numbers")
    return found


def read_positions(folder: Path, names: Sequence[str]) -> np.ndarray:
    """The positions of an index list, from 0.

    Args:
        folder: The file, or its folder.
        names: Names that the file may have in the folder, the first that is there.

    Raises:
        ReadError: There is none, or it is damaged.
        AnnotationError: It has other numbers than different positions of 0 and more.
    """
    path = folder
    if not folder.is_file():
        path = next((folder / name for name in names if (folder / name).is_file()), folder / names[0])
    found = read_array(path, what="index list")
    if found.ndim != 1 or found.dtype.kind not in "iu" or (len(found) and found.min() < 0):
        raise AnnotationError(f"index list {str(path)!r}: expected positions, whole numbers of 0 and more in one row")
    if len(set(found.tolist())) < len(found):
        raise AnnotationError(f"index list {str(path)!r} names a position twice")
    return found.astype(np.int64)
