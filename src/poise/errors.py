"""Every error that poise raises on purpose.

    PoiseError                      something a user can correct
    |-- InputError (ValueError)     a value, shape, name or size that is not valid
    |   |-- SkeletonMismatch        skeletons, poses or labels with different keypoints
    |   |-- AnnotationError         an annotation file with wrong or missing content
    |   `-- BoxError                a box that is empty, outside its image, or not finite
    |-- ReadError (OSError)         a file that is missing or cannot be read
    |   |-- ImageError              an image that is missing or cannot be decoded
    |   `-- CheckpointError         a model file or checkpoint that cannot be read or does not fit
    |-- WriteError (OSError)        a file or folder that cannot be written
    |-- UnknownName (LookupError)   a name that does not exist; the message lists similar ones
    |-- MissingExtra (ImportError)  an optional package that is not installed
    `-- TrainingError (RuntimeError)  a training run that cannot continue (loss not finite, out of memory)

Each message says what was found, what was expected and what to do. The command line prints it as one sentence and exits with
code 1.
"""

import difflib
from collections.abc import Iterable


class PoiseError(Exception):
    """Base class of all errors that a user can correct."""


class InputError(PoiseError, ValueError):
    """A value, shape, name or size that is not valid."""


class SkeletonMismatch(InputError):
    """Skeletons, poses or labels with different keypoints."""


class AnnotationError(InputError):
    """An annotation file with wrong or missing content."""


class BoxError(InputError):
    """A box that is empty, outside its image, or not finite."""


class ReadError(PoiseError, OSError):
    """A file that is missing or cannot be read."""


class ImageError(ReadError):
    """An image that is missing or cannot be decoded."""


class CheckpointError(ReadError):
    """A model file or checkpoint that cannot be read, or that belongs to another architecture."""


class WriteError(PoiseError, OSError):
    """A file or folder that cannot be written."""


class Stopped(KeyboardInterrupt):
    """The process was asked to stop by a signal, such as SIGTERM; it is no error, and nothing to correct.

    Args:
        number: Number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class UnknownName(PoiseError, LookupError):
    """A name that does not exist; the message lists similar ones."""


class MissingExtra(PoiseError, ImportError):
    """An optional package that is not installed."""


class TrainingError(PoiseError, RuntimeError):
    """A training run that cannot continue."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownName:
    """The error for a name that does not exist. Its message lists up to three similar names, or else the known ones.

    Args:
        kind: Type of the thing that is named, such as "recipe".
        name: The name that was asked for.
        known: All names that exist.

    >>> str(unknown("recipe", "hrnt", ["hrnet", "lpn"]))
    "there is no recipe 'hrnt'; did you mean 'hrnet'?"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        hint = "did you mean " + " or ".join(repr(n) for n in near) + "?"
    else:
        hint = "there are: " + ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return UnknownName(f"there is no {kind} {name!r}; {hint}")


def missing(what: str, path: object, *, hint: str = "check the path") -> str:
    """Message about a missing file or folder.

    Args:
        what: It is.
        path: Path where it should be.
        hint: Advice for the user.

    >>> missing("annotation file", "a.json")
    "there is no annotation file 'a.json'; check the path"
    """
    return f"there is no {what} {str(path)!r}; {hint}"
