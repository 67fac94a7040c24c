"""A data set in the keypoints of another body, such as people among animals."""

from dataclasses import replace
from typing import final

import torch
from jaxtyping import Bool
from torch import Tensor

from poise.data.base import Dataset
from poise.data.label_ops import trainable
from poise.data.wrapped import WrappedDataset
from poise.errors import SkeletonMismatch
from poise.skeletons import Skeleton
from poise.skeletons.mapping import KeypointMap
from poise.structures import Labels


@final
class MappedDataset(WrappedDataset):
    """A data set whose keypoints stand for those of another skeleton; keypoints without a partner are not labelled.

    Args:
        dataset: Images and labels.
        skeleton: The skeleton wanted.
        mapping: Which keypoint stands for which, where names do not tell.

    Raises:
        SkeletonMismatch: The map names a keypoint that there is not, or nothing is left.
    """

    def __init__(self, dataset: Dataset, *, skeleton: Skeleton, mapping: KeypointMap) -> None:
        super().__init__(dataset)
        self.skeleton = skeleton
        self.mapping = mapping
        self.partners = mapping.partners(dataset.skeleton, skeleton)
        if not self.partners:
            raise SkeletonMismatch(
                f"no keypoint of {dataset.skeleton.name!r} stands for one of {skeleton.name!r}: "
                f"{', '.join(dataset.skeleton.keypoints)} against {', '.join(skeleton.keypoints)}; name pairs with --map"
            )
        index = [dataset.skeleton.index(self.partners[n]) if n in self.partners else -1 for n in skeleton.keypoints]
        self._index = torch.tensor(index)

    def labels(self, index: int) -> Labels:
        """The annotations of an image, in the keypoints wanted; the image is not read."""
        own = self.dataset.labels(index)
        there, column = self._index >= 0, self._index.clamp(min=0)
        visible = own.visible[:, column] * there
        return replace(own, xy=torch.where(there[:, None], own.xy[:, column], 0.0), visible=visible)

    def known(self, index: int) -> Bool[Tensor, " k"]:
        """True for each keypoint that has a partner which the source of this image annotates."""
        return (self._index >= 0) & self.dataset.known(index)[self._index.clamp(min=0)]

    @property
    def generated(self) -> bool:
        """Whether labels are made by a program, image by image."""
        return self.dataset.generated

    def people(self, *, crowd: bool = False) -> list[tuple[int, int]]:
        """The people that can be trained on, with a labelled keypoint that has a partner.

        Args:
            crowd: Whether annotations of groups count as people.
        """
        found = self.dataset.people(crowd=crowd)
        good = {i: trainable(self.labels(i), crowd=crowd) for i in dict.fromkeys(i for i, _ in found)}
        return [(i, person) for i, person in found if bool(good[i][person])]
