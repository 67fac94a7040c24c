"""The target of an adaptation: images with boxes, whose labels, if there are any, nobody learns from."""

from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import final

import torch
from jaxtyping import UInt8
from torch import Tensor

from poise.data.base import Dataset
from poise.data.frames import FramesDataset, boxed
from poise.data.label_ops import convert_labels
from poise.errors import InputError
from poise.skeletons import Skeleton
from poise.structures import Key, Labels


@final
class Target(Dataset):
    """The images and boxes of a data set without its labels: no keypoint is labelled, and every box is a person to look at.

    Law 5 of data sets does not hold: `people` lists all boxes of positive size that are no crowd.

    Args:
        dataset: Images with boxes.
        skeleton: Keypoints of the model that adapts.

    Raises:
        InputError: No image has a box.
    """

    def __init__(self, dataset: Dataset, *, skeleton: Skeleton) -> None:
        self.dataset = dataset
        self.skeleton = skeleton
        self._people = boxed(dataset)
        if not self._people:
            raise InputError(f"none of the {len(dataset)} target images has a box of positive size, so there is nobody to see")

    def __len__(self) -> int:
        """Number of images."""
        return len(self.dataset)

    def key(self, index: int) -> Key:
        """File name and id of an image."""
        return self.dataset.key(index)

    def labels(self, index: int) -> Labels:
        """The boxes of an image; no keypoint is labelled."""
        own = self.dataset.labels(index)
        return _hidden(own, len(self.skeleton))

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """An image, RGB, 0 to 255."""
        return self.dataset.image(index)

    def people(self, *, crowd: bool = False) -> list[tuple[int, int]]:
        """All boxes of positive size, as pairs of an image index and an index into its labels.

        Args:
            crowd: Without effect; crowds are left out.
        """
        return self._people

    def truth(self, index: int) -> Labels:
        """The labels of an image in the model's keypoints, to score only; visible 0 where there are none."""
        own = self.dataset.labels(index)
        if set(self.dataset.skeleton.keypoints).isdisjoint(self.skeleton.keypoints):
            return _hidden(own, len(self.skeleton))
        return convert_labels(own, source=self.dataset.skeleton, target=self.skeleton)

    @cached_property
    def rows(self) -> dict[tuple[Key, int], int]:
        """Row of each person in `people`, by the key of the image and the index in it."""
        return {(self.key(i), person): row for row, (i, person) in enumerate(self._people)}

    @cached_property
    def labelled(self) -> bool:
        """Whether any box has a labelled keypoint of the model, so that predictions can be scored."""
        return any(bool((self.truth(i).visible[row] > 0).any()) for i, row in self._people)

    @property
    def people_truth(self) -> Labels:
        """The labels of all people, in their order, to score only."""
        known = {i: self.truth(i) for i in dict.fromkeys(i for i, _ in self._people)}
        parts = [known[i].select(slice(row, row + 1)) for i, row in self._people]
        return Labels(**{f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Labels)})

    @property
    def whole_images(self) -> int:
        """Number of images without a box of their own, each of which is taken as the box of one animal."""
        return self.dataset.whole_images if isinstance(self.dataset, FramesDataset) else 0

    @property
    def generated(self) -> bool:
        """Whether labels are made by a program, image by image."""
        return self.dataset.generated

    @property
    def files_read(self) -> tuple[Path, ...]:
        """The annotation files that were read."""
        return self.dataset.files_read

    def file_size(self, index: int) -> int | None:
        """Size of the stored image file, bytes; None for an image that is missing or generated."""
        return self.dataset.file_size(index)

    def sequence(self, index: int) -> str | None:
        """Name of the sequence that an image is part of; None for a photo."""
        return self.dataset.sequence(index)

    def file_path(self, index: int) -> str | None:
        """Path of the image file; None for an image that is generated."""
        return self.dataset.file_path(index)


def _hidden(labels: Labels, keypoints: int) -> Labels:
    n = len(labels)
    return Labels(
        xy=torch.zeros(n, keypoints, 2),
        visible=torch.zeros(n, keypoints, dtype=torch.int64),
        boxes=labels.boxes,
        area=labels.area,
        crowd=labels.crowd,
        ids=labels.ids,
        categories=labels.categories,
    )
