"""The interface of a data set: images and their labels."""

from abc import ABC, abstractmethod
from dataclasses import fields, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from poise.data.label_ops import trainable
from poise.dims import Size
from poise.geometry import box_mask
from poise.skeletons import Skeleton
from poise.structures import Key, Labels, Sample


class Dataset(ABC):
    """Whole images and their labels, with one skeleton. Images are read when they are asked for.

    `index` is the index of an image in every method, from 0.

    Laws, checked for every data set of this folder:

    1. `labels(i)` has one row per person and one column per keypoint of `skeleton`, and all its numbers are finite.
    2. The same call twice gives equal results.
    3. `dataset[i]` consists of `image(i)`, `labels(i)` and `key(i)`; no two keys are equal.
    4. A sample that is flipped twice equals the sample.
    5. `people()` lists the people of `labels(i)` with a labelled keypoint, a box of positive size and no crowd flag.
    6. It can be pickled (the workers of a data loader need that).
    7. `sample_with_ignore(i)` is `dataset[i]` with an ignore mask of the image's size; labelled keypoints are `known`.
    8. `dataset[len(dataset)]` raises IndexError, by which a loop over a data set ends.

    Attributes:
        skeleton: The keypoints of all labels.
    """

    skeleton: Skeleton

    @abstractmethod
    def __len__(self) -> int:
        """Number of images."""

    @abstractmethod
    def key(self, index: int) -> Key:
        """File name and id of an image."""

    @abstractmethod
    def labels(self, index: int) -> Labels:
        """The annotations of an image; the image is not read."""

    @abstractmethod
    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """An image, RGB, 0 to 255, stored row by row (`torch.from_numpy(hwc).permute(2, 0, 1)`).

        Raises:
            ImageError: The image is missing or cannot be decoded.
        """

    @property
    def files_read(self) -> tuple[Path, ...]:
        """The annotation files that were read; () for a data set that is generated."""
        return ()

    @property
    def generated(self) -> bool:
        """Whether labels are made by a program, image by image, so that having all of them takes long."""
        return False

    def file_size(self, index: int) -> int | None:
        """Size of the stored image file, bytes; None for an image that is missing or generated."""
        return None

    def image_size(self, index: int) -> Size | None:
        """Size of an image (h, w), pixels, as far as it is known without reading the image; else None."""
        return None

    def file_path(self, index: int) -> str | None:
        """Path of the image file, equal for two names of one file; None for an image that is generated."""
        return None

    def sequence(self, index: int) -> str | None:
        """Name of the video or sequence that an image is part of, whose frame is `key(index).frame`; None for a photo."""
        return None

    @property
    def all_labels(self) -> Labels:
        """The annotations of all images, image by image."""
        parts = [self.labels(i) for i in range(len(self))]
        if not parts:
            k = len(self.skeleton)
            return Labels.of(torch.zeros(0, k, 2), torch.zeros(0, k, dtype=torch.int64), torch.zeros(0, 4))
        names = [field.name for field in fields(Labels)]
        return Labels(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})

    @property
    def label_counts(self) -> Int64[Tensor, " i"]:
        """Number of annotations of each image."""
        return torch.tensor([len(self.labels(i)) for i in range(len(self))], dtype=torch.int64)

    def __getitem__(self, index: int) -> Sample:
        """Image, labels and key."""
        return Sample(self.image(index), self.labels(index), self.key(index))

    def ignore_mask(self, index: int, sample: Sample) -> Bool[Tensor, "H W"]:
        """Unlabelled pixels, which may show people (`Labels.ignore_mask`), here made from boxes.

        Args:
            index: Index of the image.
            sample: `dataset[index]`, which the caller has read already.
        """
        return sample.labels.ignore_mask(lambda rows: box_mask(sample.labels.boxes[rows], sample.size))

    def known(self, index: int) -> Bool[Tensor, " k"]:
        """True for each keypoint of `skeleton` that the source of this image annotates at all."""
        return torch.ones(len(self.skeleton), dtype=torch.bool)

    def masks(self, index: int) -> Bool[Tensor, "n H W"] | None:
        """Segmentation mask of each person, empty for people without one; None for a data set without masks."""
        return None

    def parts(self, index: int) -> UInt8[Tensor, "H W"] | None:
        """Number of the body part that each pixel of an image shows, 0 for none; None for an image without part masks."""
        return None

    def sample_with_masks(self, index: int) -> Sample:
        """`sample_with_ignore`, with a segmentation mask of each person, empty for people without one."""
        sample = self.sample_with_ignore(index)
        masks = self.masks(index)
        return replace(
            sample, masks=torch.zeros(len(sample.labels), *sample.size, dtype=torch.bool) if masks is None else masks
        )

    def sample_with_ignore(self, index: int) -> Sample:
        """`dataset[index]` with its ignore mask and annotated keypoints, which models that also learn background need."""
        sample = self[index]
        return replace(sample, ignore=self.ignore_mask(index, sample), known=self.known(index))

    def people(self, *, crowd: bool = False) -> list[tuple[int, int]]:
        """The people that can be trained on (`trainable`), as pairs of an image index and an index into its labels.

        Args:
            crowd: Whether annotations of groups count as people.
        """
        return [
            (i, person)
            for i in range(len(self))
            for person in torch.nonzero(trainable(self.labels(i), crowd=crowd)).flatten().tolist()
        ]
