"""Real views on which an exported file is compared with its model, and an int8 one calibrated."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from poise.data.figures import FigureDataset
from poise.errors import ImageError
from poise.inference.sources import find_images, requests_of
from poise.models.base import ImageModel

COUNT = 8
"""Views of people on which a file is compared."""

IMAGES = 3
"""Whole images on which it is, which take longer."""

CALIBRATION = 200
"""Views by which an int8 file is calibrated, at most."""


def drawn_views(model: ImageModel) -> Float[Tensor, "b 3 h w"]:
    """Views of drawn people.

    Args:
        model: The model, whose views they are.
    """
    count = COUNT if model.takes_boxes else IMAGES
    figures = FigureDataset(count, size=(240, 200))
    labels = (figures.labels(index).boxes for index in range(count))
    return _joined(model, zip((figures.image(index) for index in range(count)), labels, strict=True), most=count)


def views_of(model: ImageModel, sources: Sequence[str]) -> Float[Tensor, "b 3 h w"]:
    """Views of images, each of which is one person to a top-down model; of whole images those of the commonest size.

    Args:
        model: The model.
        sources: Files, folders and patterns.

    Raises:
        InputError: No image was given.
        ReadError: There is none, or one cannot be read.
    """
    images = (request.read() for request in requests_of(find_images(sources), None)[:CALIBRATION])
    return _joined(model, ((image, None) for image in images), most=CALIBRATION)


def _joined(
    model: ImageModel, images: Iterable[tuple[UInt8[Tensor, "3 H W"], Float[Tensor, "n 4"] | None]], *, most: int
) -> Float[Tensor, "b 3 h w"]:
    found: dict[tuple[int, ...], list[Tensor]] = {}
    for image, boxes in images:
        views: Any = model
        made = views.views(image, boxes) if model.takes_boxes else views.views(image)
        for view in made.views:
            found.setdefault(tuple(view.shape), []).append(view)
    if not found:
        raise ImageError("no view could be cut out of these images; give others")
    return torch.stack(max(found.values(), key=len)[:most])
