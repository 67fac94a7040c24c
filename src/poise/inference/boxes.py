"""A detector's boxes for a data set with categories."""

from pathlib import Path

from poise.data.boxes import PersonBoxes, read_boxes
from poise.errors import BoxError, InputError
from poise.inference.exam import Exam


def detections(path: Path | str, exam: Exam, *, min_score: float) -> dict[int, PersonBoxes]:
    """A file of detections by category; one without category ids is of the only category.

    Raises:
        ReadError: The file is missing or unreadable.
        AnnotationError: It is no list of detections.
        BoxError: None of its boxes has a size.
        InputError: None of its boxes is for an image and a category of the data set.
    """
    found = {category: read_boxes(path, min_score=min_score, categories={category}) for category in exam.skeletons}
    known = set(exam.ids)
    useless = sum(part.skipped for part in found.values())
    if useless and not any(map(len, found.values())):
        raise BoxError(
            f"none of the {useless} boxes in {str(path)!r} can be looked into: they have no size or are not finite; expected "
            f"`bbox` as x, y, width, height in pixels, width and height above 0"
        )
    if not any(image in known for part in found.values() for image in part.boxes):
        raise InputError(
            f"none of the boxes in {str(path)!r} with a score of at least {min_score:g} is for an image and a category "
            f"({', '.join(map(str, exam.skeletons))}) of the annotations; do both files belong together?"
        )
    return found
