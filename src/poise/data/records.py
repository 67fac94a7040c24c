"""Records of label files that several parts read: the document as a whole, the size that an image record states."""

from collections.abc import Mapping
from typing import Any

from poise.dims import Size
from poise.fields import whole

Document = dict[str, Any]
"""An annotation file: the lists `images`, `annotations`, `categories`, and all other fields of the file."""


def stated_size(image: Mapping[str, Any]) -> Size | None:
    """Size (h, w) in a record of `images`, pixels; None where it is missing or not two positive whole numbers."""
    h, w = whole(image.get("height")), whole(image.get("width"))
    return (h, w) if h is not None and w is not None and 0 < h < 2**31 and 0 < w < 2**31 else None
