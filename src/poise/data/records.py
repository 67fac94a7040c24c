"""Records of label files that several parts read: the whole document, and the size and sequence of an image record."""

from collections.abc import Mapping, Sequence
from typing import Any

from poise.dims import Size
from poise.fields import whole

Document = dict[str, Any]
"""An annotation file: the lists `images`, `annotations`, `categories`, and all other fields of the file."""

SEQUENCE_FIELDS = ("sequence", "video_id", "video")
"""Fields of image records that name the sequence, the first that is there."""

FRAME_FIELDS = ("frame", "frame_id", "frame_index")
"""Fields of image records that number the frame, the first that is there."""


def first_stated(record: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The value of the first of several fields that a record has; None where it has none of them."""
    return next((record[name] for name in names if record.get(name) is not None), None)


def stated_place(image: Mapping[str, Any]) -> tuple[str | None, int | None]:
    """Sequence and frame in a record of `images`; None where it names no sequence, or has no whole number as its frame."""
    sequence, frame = (first_stated(image, names) for names in (SEQUENCE_FIELDS, FRAME_FIELDS))
    if isinstance(sequence, bool) or not isinstance(sequence, str | int):
        return None, None
    return str(sequence), whole(frame)


def stated_size(image: Mapping[str, Any]) -> Size | None:
    """Size (h, w) in a record of `images`, pixels; None where it is missing or not two positive whole numbers."""
    h, w = whole(image.get("height")), whole(image.get("width"))
    return (h, w) if h is not None and w is not None and 0 < h < 2**31 and 0 < w < 2**31 else None
