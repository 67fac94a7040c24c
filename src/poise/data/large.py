"""A data set whose small people are neither learnt nor evaluated."""

from dataclasses import replace
from typing import final

from jaxtyping import Bool
from torch import Tensor

from poise.data.base import Dataset
from poise.data.wrapped import WrappedDataset
from poise.geometry import box_mask
from poise.structures import Labels, Sample


@final
class LargePeople(WrappedDataset):
    """A data set in which people below an area count as crowds: nobody learns from them, and whoever finds them does no wrong.

    Args:
        dataset: Images and labels.
        min_area: Annotated area (`Labels.area`) below which somebody is small, square pixels of the image.

    Attributes:
        min_area: As given.
    """

    def __init__(self, dataset: Dataset, min_area: float) -> None:
        super().__init__(dataset)
        self.min_area = min_area

    def labels(self, index: int) -> Labels:
        """The annotations of an image, small people as crowds; the image is not read."""
        return self._without(self.dataset.labels(index))

    @property
    def all_labels(self) -> Labels:
        """The annotations of all images, image by image."""
        return self._without(self.dataset.all_labels)

    @property
    def label_counts(self) -> Tensor:
        """Number of annotations of each image."""
        return self.dataset.label_counts

    @property
    def generated(self) -> bool:
        """Whether labels are made by a program, image by image."""
        return self.dataset.generated

    @property
    def small(self) -> int:
        """Number of people who are left out."""
        labels = self.dataset.all_labels
        return int((self._small(labels) & ~labels.crowd).sum())

    def ignore_mask(self, index: int, sample: Sample) -> Bool[Tensor, "H W"]:
        """Unlabelled pixels, and the boxes of small people."""
        whole = self.dataset.ignore_mask(index, sample)
        return whole | box_mask(sample.labels.boxes[self._small(sample.labels)], sample.size)

    def people(self, *, crowd: bool = False) -> list[tuple[int, int]]:
        """The people that can be trained on, none of them small.

        Args:
            crowd: Whether annotations of groups count as people.
        """
        areas: dict[int, Tensor] = {}
        found = self.dataset.people(crowd=crowd)
        for image in dict.fromkeys(image for image, _ in found):
            areas[image] = self._small(self.dataset.labels(image))
        return [(image, person) for image, person in found if not bool(areas[image][person])]

    def _small(self, labels: Labels) -> Bool[Tensor, " n"]:
        return labels.area < self.min_area

    def _without(self, labels: Labels) -> Labels:
        return replace(labels, crowd=labels.crowd | self._small(labels))


def large_text(dataset: LargePeople, *, done: str) -> str:
    """How many people are left out, in words.

    Args:
        dataset: The data set.
        done: What does not happen to them, such as "trained on".
    """
    everybody = len(dataset.dataset.all_labels)
    return f"{dataset.small} of {everybody} people have an area below {dataset.min_area:g} px^2 and are not {done}"
