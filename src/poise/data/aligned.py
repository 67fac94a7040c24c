"""Labels with alignment keypoints, and what becomes of people whose labels do not tell their alignment."""

from dataclasses import replace
from itertools import accumulate
from typing import Literal, final, get_args

import torch
from jaxtyping import Bool
from torch import Tensor

from poise.data.base import Dataset
from poise.data.wrapped import WrappedDataset
from poise.errors import InputError
from poise.skeletons.alignment import BodyAxis, alignment_points, box_points, with_alignment
from poise.structures import Labels

Missing = Literal["keep", "mask", "drop"]
"""Treatment of people who lack keypoints of the axis.

Their box makes the alignment keypoints ("keep"), these are not labelled ("mask"), or the people are not trained on ("drop").
"""

TREATED = {
    "keep": "their alignment keypoints are those of their boxes (--missing keep)",
    "mask": "they are learnt without alignment keypoints, in views of their boxes (--missing mask)",
    "drop": "they are dropped (--missing drop)",
}
"""What becomes of people who lack keypoints of the axis, in words."""

UNSEEN = "they are learnt in views of their boxes"


def aligned_part(dataset: Dataset) -> "AlignedDataset | None":
    """The data set with alignment that a data set is or shows; None where there is none."""
    while isinstance(dataset, WrappedDataset):
        if isinstance(dataset, AlignedDataset):
            return dataset
        dataset = dataset.dataset
    return None


@final
class AlignedDataset(WrappedDataset):
    """A data set with the two alignment keypoints after the others (`skeletons.alignment`).

    Args:
        dataset: Images and labels; its skeleton has the keypoints of the axis.
        axis: The keypoints that make centre and direction.
        missing: Treatment of people who lack keypoints of the axis.
        keypoints: Whether the alignment keypoints are added; without them only `missing` "drop" changes anything.

    Raises:
        SkeletonMismatch: The skeleton lacks a keypoint of the axis, or has alignment keypoints already.
        InputError: There is no such way for people without alignment, or nobody would be left.
    """

    def __init__(
        self, dataset: Dataset, *, axis: BodyAxis | None = None, missing: Missing = "mask", keypoints: bool = True
    ) -> None:
        if missing not in get_args(Missing):
            raise InputError(f"people without alignment are dealt with by {', '.join(get_args(Missing))}, found {missing!r}")
        super().__init__(dataset)
        self.axis = axis or BodyAxis()
        self.axis.indices(dataset.skeleton)
        self.missing = missing
        self.keypoints = keypoints
        self.skeleton = with_alignment(dataset.skeleton) if keypoints else dataset.skeleton
        if missing == "drop" and dataset.people() and not self.people():
            raise InputError(
                f"none of the {len(dataset.people())} people has all of {', '.join((*self.axis.centre, *self.axis.top))} "
                "labelled, so nobody is left to train on; take `mask` or `keep` for people without alignment (--missing)"
            )

    def labels(self, index: int) -> Labels:
        """The annotations of an image, with alignment keypoints; the image is not read."""
        labels = self.dataset.labels(index)
        if not self.keypoints:
            return labels
        points, usable = self._alignment(labels)
        if self.missing == "keep":
            guessed = ~usable & (labels.visible > 0).any(dim=1)
            points = torch.where(guessed[:, None, None], box_points(labels.boxes), points)
            usable = usable | guessed
        visible = torch.where(usable, 2, 0)[:, None].expand(-1, 2)
        xy = torch.cat((labels.xy, torch.where(usable[:, None, None], points, 0.0)), dim=1)
        return replace(labels, xy=xy, visible=torch.cat((labels.visible, visible), dim=1))

    def known(self, index: int) -> Bool[Tensor, " k"]:
        """True for each keypoint that the source of this image annotates at all; those of the alignment if it has the axis."""
        known = self.dataset.known(index)
        if not self.keypoints:
            return known
        both = known[[i for group in self.axis.indices(self.dataset.skeleton) for i in group]].all()
        return torch.cat((known, both[None].expand(2)))

    def people(self, *, crowd: bool = False) -> list[tuple[int, int]]:
        """The people that can be trained on; without those who lack alignment where they are dropped.

        Args:
            crowd: Whether annotations of groups count as people.
        """
        found = self.dataset.people(crowd=crowd)
        if self.missing != "drop":
            return found
        return [who for who, usable in zip(found, self._usable(found), strict=True) if usable]

    @property
    def counts(self) -> tuple[int, int]:
        """Number of people that can be trained on in the data set, and how many of them have an alignment."""
        people = self.dataset.people()
        return len(people), sum(self._usable(people))

    @property
    def text(self) -> str:
        """What becomes of the people without alignment, and how many they are, for a terminal."""
        people, usable = self.counts
        names = ", ".join((*self.axis.centre, *self.axis.top))
        head = f"{people - usable} of {people} people lack one of {names}"
        return f"{head}: {TREATED[self.missing] if self.keypoints or self.missing == 'drop' else UNSEEN}"

    def _usable(self, people: list[tuple[int, int]]) -> list[bool]:
        """Whether each person has an alignment."""
        if not people:
            return []
        each = {i: self.dataset.labels(i) for i in dict.fromkeys(i for i, _ in people)}
        xy, visible = (torch.cat([getattr(one, name) for one in each.values()]) for name in ("xy", "visible"))
        flags: list[bool] = alignment_points(xy, visible, self.dataset.skeleton, self.axis)[1].tolist()
        first = dict(zip(each, accumulate((len(one) for one in each.values()), initial=0), strict=False))
        return [flags[first[i] + person] for i, person in people]

    def _alignment(self, labels: Labels) -> tuple[Tensor, Tensor]:
        return alignment_points(labels.xy, labels.visible, self.dataset.skeleton, self.axis)
