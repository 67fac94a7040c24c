"""Other forms of label files than COCO's: a file for each tool or family of data sets, whose `FORMS` are found by themselves.

To read another form, write a file with `FORMS`, a tuple of `Form`s.
"""

import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import Any

from poise.data.forms._form import Form, Source
from poise.data.records import Document
from poise.errors import AnnotationError, PoiseError
from poise.notes import note


@cache
def all_forms() -> tuple[Form, ...]:
    """Every form, in the order of the files of this folder."""
    names = [info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_")]
    return tuple(form for name in names for form in importlib.import_module(f"{__name__}.{name}").FORMS)


def read_form(path: Path | str, content: Any = None, *, images: Path | str | None = None) -> Document | None:
    """Read a label file, or a folder of them, of another form than COCO's, which is said once.

    Args:
        path: The file or folder.
        content: Its content, where it is JSON.
        images: Folder of the images, for labels in shares of them.

    Returns:
        A document in COCO's form; None where the form is not known.

    Raises:
        AnnotationError: The form is known, and the file is not as it should be; or it has no labelled keypoint.
        MissingExtra: A library that reads it is not installed.
    """
    source = Source(Path(path), content, None if images is None else Path(images))
    form = next((form for form in all_forms() if form.fits(source)), None)
    if form is None:
        return None
    document = _read(form, source)
    people = len(document["annotations"])
    if not people:
        raise AnnotationError(f"{str(path)!r} is {form.what} without a labelled keypoint; label some, or give another file")
    note(
        f"{str(path)!r} is read as {form.what}: {len(document['images'])} images, {people} labelled; "
        f"`poise data check FILE --fix OUT.json` writes them in COCO's form"
    )
    return document


def _read(form: Form, source: Source) -> Document:
    try:
        return form.read(source)
    except PoiseError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        said = f"{type(error).__name__}: {error}"[:120]
        raise AnnotationError(
            f"{str(source.path)!r} looks like {form.what}, but its content is not what that has ({said}); is it complete?"
        ) from error
