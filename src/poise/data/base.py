"""What a data set is: images, and what is labelled in them."""

from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from poise.geometry import box_mask
from poise.skeletons import Skeleton
from poise.structures import Key, Labels, Sample


class Dataset(ABC):
    """Whole images and their labels, one skeleton for all. Reading happens when a sample is asked for.

    Laws, checked for every data set of this folder:

    1. `labels(i)` has one row per person and one column per keypoint of `skeleton`, and no number that is not finite.
    2. Asking twice gives the same answer.
    3. `dataset[i]` is `image(i)`, `labels(i)` and `key(i)`; no two keys are equal.
    4. A mirrored and twice mirrored sample is the sample.
    5. `people()` are rows of `labels(i)` with a labelled keypoint, a box of positive size, and no crowd.
    6. It can be pickled (the workers of a loader need that).
    7. `whole(i)` is `dataset[i]` with a mask of the image's size; what is labelled is `known`.
    """

    skeleton: Skeleton

    @abstractmethod
    def __len__(self) -> int:
        """How many images."""

    @abstractmethod
    def key(self, index: int) -> Key:
        """Which image that is."""

    @abstractmethod
    def labels(self, index: int) -> Labels:
        """What is labelled in it, without reading the image."""

    @abstractmethod
    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """The image, RGB; its memory is rows of pixels.

        Raises:
            ImageError: It is missing or cannot be decoded.
        """

    @property
    def files_read(self) -> tuple[Path, ...]:
        """The annotation files it was read from; none where it was made."""
        return ()

    def file_size(self, index: int) -> int | None:
        """Bytes that the image takes where it is stored; None where it is missing, or made when it is asked for."""
        return None

    def file_path(self, index: int) -> str | None:
        """Which file an image is read from, the same however it is named; None where it was made."""
        return None

    def __getitem__(self, index: int) -> Sample:
        """Image and labels."""
        return Sample(self.image(index), self.labels(index), self.key(index))

    def ignore_mask(self, index: int, sample: Sample) -> Bool[Tensor, "H W"]:
        """Where the labels of an image say nothing about who is there (`Labels.ignore_mask`); here of boxes.

        Args:
            index: Of the image.
            sample: The image and its labels, which whoever asks has at hand.
        """
        return sample.labels.ignore_mask(lambda rows: box_mask(sample.labels.boxes[rows], sample.size))

    def known(self, index: int) -> Bool[Tensor, " k"]:
        """Which keypoints of `skeleton` are labelled at all where this image comes from."""
        return torch.ones(len(self.skeleton), dtype=torch.bool)

    def masks(self, index: int) -> Bool[Tensor, "n H W"] | None:
        """Which pixels each person of an image covers; none of those whom nobody outlined. None where nobody is."""
        return None

    def sample_with_masks(self, index: int) -> Sample:
        """`whole`, with the masks; empty ones of those whom nobody outlined."""
        sample = self.sample_with_ignore(index)
        masks = self.masks(index)
        return replace(
            sample, masks=torch.zeros(len(sample.labels), *sample.size, dtype=torch.bool) if masks is None else masks
        )

    def sample_with_ignore(self, index: int) -> Sample:
        """Image and labels, and what they say nothing about: what is learnt from where nobody stands needs to know that."""
        sample = self[index]
        return replace(sample, ignore=self.ignore_mask(index, sample), known=self.known(index))

    def people(self, *, crowd: bool = False) -> list[tuple[int, int]]:
        """The people one can train on: pairs of a sample's index and a row of its labels.

        Args:
            crowd: Whether annotations of groups count as people.
        """
        return [
            (i, row)
            for i in range(len(self))
            for row in torch.nonzero(trainable(self.labels(i), crowd=crowd)).flatten().tolist()
        ]


def trainable(labels: Labels, *, crowd: bool = False) -> Bool[Tensor, " n"]:
    """Which people have at least one labelled keypoint and a box of positive size, and are no crowd (unless `crowd`)."""
    sized = (labels.boxes[:, 2:] > labels.boxes[:, :2]).all(dim=1)
    good = sized & (labels.visible > 0).any(dim=1)
    return good if crowd else good & ~labels.crowd
