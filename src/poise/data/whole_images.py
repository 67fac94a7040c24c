"""Images that show one person or animal each, who is learnt in the whole image: nothing has to find a box later."""

from dataclasses import replace
from statistics import median
from typing import final

import torch

from poise.data.base import Dataset
from poise.data.wrapped import WrappedDataset
from poise.dims import Size
from poise.errors import InputError
from poise.skeletons.nouns import nouns
from poise.structures import Labels

SEEN = 64
"""People whose boxes are looked at, spread over the data set."""

WHOLE = 0.5
"""Share of an image from which a box is no tight one (`models.card.WHOLE_IMAGE`)."""


@final
class WholeImages(WrappedDataset):
    """A data set with the whole image as the box of the one labelled person in it; areas stay, others are left out.

    Args:
        dataset: The data set.

    Raises:
        InputError: An image has several labelled people.
    """

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset)
        self._rows: dict[int, int] = {}
        for image, row in dataset.people():
            if image in self._rows:
                raise InputError(
                    f"image {dataset.key(image).file_name!r} has several labelled people, and --whole-image learns one in each "
                    "whole image; leave it out, or train a model that finds people: --model poise_rcnn_t or poise_scene_t"
                )
            self._rows[image] = row

    def labels(self, index: int) -> Labels:
        """The labels of the one person; the image is read where its size is not known."""
        own = self.dataset.labels(index)
        rows = [self._rows[index]] if index in self._rows else []
        height, width = self._size(index) if rows else (0, 0)
        box = torch.tensor([[0.0, 0.0, width, height]])[: len(rows)]
        return replace(own.select(torch.tensor(rows, dtype=torch.int64)), boxes=box)

    def masks(self, index: int) -> None:
        """None: views of whole images need no masks."""

    def people(self, *, crowd: bool = False) -> list[tuple[int, int]]:
        """The people that can be trained on, as pairs of an image index and 0."""
        return [(image, 0) for image in sorted(self._rows)]

    @property
    def generated(self) -> bool:
        """Whether labels are made by a program, image by image."""
        return self.dataset.generated

    def _size(self, index: int) -> Size:
        known = self.dataset.image_size(index)
        return known or (self.dataset.image(index).shape[1], self.dataset.image(index).shape[2])


def whole_images_text(dataset: Dataset) -> str | None:
    """What to say where each image shows one person or animal who does not fill it: boxes can be done without; else None.

    Args:
        dataset: The images to learn from.
    """
    people = dataset.people()
    if len(people) < 2 or len({image for image, _ in people}) < len(people):
        return None
    shares = [share for image, row in people[:: -(-len(people) // SEEN)] if (share := _share(dataset, image, row)) is not None]
    if not shares or median(shares) >= WHOLE:
        return None
    one, many = nouns(dataset.skeleton)
    return (
        f"each image shows one {one}, whose box covers {median(shares):.0%} of it, and `poise predict` will need boxes of "
        f"{many}; with --whole-image it is learnt in the whole image, and found without boxes"
    )


def _share(dataset: Dataset, image: int, row: int) -> float | None:
    size = dataset.image_size(image)
    x0, y0, x1, y1 = dataset.labels(image).boxes[row].tolist()
    return None if size is None or 0 in size else max(0.0, x1 - x0) * max(0.0, y1 - y0) / (size[0] * size[1])
