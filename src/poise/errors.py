"""Every error poise raises on purpose.

    PoiseError                      something a user can mend
    |-- InputError (ValueError)     a value, shape, name or size that cannot be used
    |   |-- SkeletonMismatch        keypoints that do not fit together
    |   |-- AnnotationError         an annotation file that cannot be used
    |   `-- BoxError                a box of no size, outside its image, or not finite
    |-- ReadError (OSError)         a file that is missing or cannot be read
    |   |-- ImageError              ... an image
    |   `-- CheckpointError         ... a model file or checkpoint, or one of another architecture
    |-- WriteError (OSError)        a place that cannot be written
    |-- UnknownName (LookupError)   a name nobody has given, with the nearest that exist
    |-- MissingExtra (ImportError)  an optional package that is not installed
    `-- TrainingError (RuntimeError)  a run that cannot go on (loss not finite, out of memory)

Each message says what was found, what was expected and what to do. The command line prints it as one sentence and leaves
with exit code 1.
"""

import difflib
from collections.abc import Iterable


class PoiseError(Exception):
    """Root of all errors a user can mend."""


class InputError(PoiseError, ValueError):
    """A value, shape, name or size that cannot be used."""


class SkeletonMismatch(InputError):
    """Keypoints that do not fit together."""


class AnnotationError(InputError):
    """An annotation file that cannot be used."""


class BoxError(InputError):
    """A box of no size, outside its image, or not finite."""


class ReadError(PoiseError, OSError):
    """A file that is missing or cannot be read."""


class ImageError(ReadError):
    """An image that is missing or cannot be decoded."""


class CheckpointError(ReadError):
    """A model file or checkpoint that cannot be read or belongs to another architecture."""


class WriteError(PoiseError, OSError):
    """A place that cannot be written."""


class UnknownName(PoiseError, LookupError):
    """A name nobody has given, with the nearest that exist."""


class MissingExtra(PoiseError, ImportError):
    """An optional package that is not installed."""


class TrainingError(PoiseError, RuntimeError):
    """A run that cannot go on."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownName:
    """The error for a name that does not exist, with up to three near ones.

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
