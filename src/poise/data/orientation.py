"""Whether an image is turned by its EXIF orientation: one rule for training, evaluation, prediction and drawing.

Labels of COCO and MPII count stored pixels, for their loaders ignore the orientation; those of most labelling tools count the
pixels as they are shown. The size that a label file states tells: an image is read as it is stored where that size is the
stored one and not the turned one, otherwise as it is shown. `--orientation` says it for all images instead (`images.asked`).
"""

from jaxtyping import UInt8
from torch import Tensor

from poise.data.image_frames import JPEG, PNG
from poise.data.images import Orientation, asked, decode, image_size, orientation
from poise.dims import Size
from poise.notes import note_counted

_MARKS = (b"Exif", b"eXIf", b"exif")

STORED = "were read as they are stored, for their labels count stored pixels; their EXIF orientation is ignored"
"""What is said of images that are not turned."""

UNSURE = (
    "were turned by their EXIF orientation, and no size tells whether their labels are; where labels count stored pixels, "
    "add --orientation stored"
)
"""What is said of labelled images whose size does not tell."""


def decode_labelled(
    data: bytes, *, name: str, stated: Size | None = None, labels: Orientation | None = None
) -> UInt8[Tensor, "3 H W"]:
    """Decode an image so that labels lie on it: turned, or as it is stored.

    What is not turned, or turned although nothing tells, is said once and counted (`notes.note_counted`).

    Args:
        data: Content of the file.
        name: Name of the file, for messages.
        stated: Size (h, w) that the label file states; None where it states none.
        labels: What the labels of this form count, where they state no sizes; None where that is not known.

    Raises:
        ImageError: The data are truncated, damaged, or not an image.
    """
    return decode(data, name=name, turn=is_shown(data, name=name, stated=stated, labels=labels))


def is_shown(data: bytes, *, name: str, stated: Size | None = None, labels: Orientation | None = None) -> bool:
    """Whether `decode_labelled` turns an image by its EXIF orientation. Arguments and errors as there."""
    return (asked() or _told(data, name, stated, labels)) == "shown"


def _told(data: bytes, name: str, stated: Size | None, labels: Orientation | None) -> Orientation:
    """How an image is read by what its labels state; what is worth saying is said."""
    turn = orientation(data, name=name) if _may_turn(data) else 1
    if turn == 1:
        return "shown"
    if labels == "stored":
        note_counted(STORED, name, f"image {name!r} is read as it is stored, which labels of this form count")
        return "stored"
    if stated is None:
        note_counted(
            UNSURE, name, f"image {name!r} has the EXIF orientation {turn}, and its labels state no size: {_UNSURE_ONE}"
        )
        return "shown"
    stored = image_size(data, name=name, turn=False)
    shown = stored[::-1] if turn >= 5 else stored
    if stated == stored != shown:
        found = f"{stored[1]} x {stored[0]}, the size that its labels state"
        note_counted(STORED, name, f"image {name!r} is read as it is stored ({found}), not turned by its EXIF orientation")
        return "stored"
    if stated == stored:
        note_counted(UNSURE, name, f"image {name!r} has the EXIF orientation {turn}, and one size either way: {_UNSURE_ONE}")
    return "shown"


_UNSURE_ONE = "it is turned; where its labels count stored pixels, add --orientation stored"


def _may_turn(data: bytes) -> bool:
    """Whether a file may have an EXIF orientation; cheap, for nearly none has."""
    return not data.startswith((JPEG, PNG)) or any(mark in data for mark in _MARKS)
