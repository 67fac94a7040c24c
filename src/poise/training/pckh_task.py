"""Supervised training on MPII, validated by PCKh: the table of the papers at every validation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.data.base import Dataset
from poise.data.mpii import MpiiDataset
from poise.errors import InputError
from poise.metrics.pckh import pckh_table, table
from poise.metrics.sizes import head_sizes
from poise.models.person_scores import FoundPerson, PeopleTruth
from poise.training.task import ModelTask, TaskRun

PCKH, TENTH = "PCKh@0.5", "Mean@0.1"
"""Names of the scores: PCKh at half the head's size, and the papers' last column (at 0.11 as published)."""


@final
@dataclass(frozen=True, eq=False)
class PckhTruth:
    """The labels of the people of a validation, and the sizes of their heads.

    Attributes:
        people: The labels.
        size: Size of each person's head, pixels; 0 where it is unknown.
    """

    people: PeopleTruth
    size: Float[Tensor, " n"]


@final
class PckhTask(ModelTask):
    """`ModelTask` of a top-down model on MPII, which is also scored by PCKh and prints its table."""

    _run: TaskRun | None = None

    @property
    def val_scores(self) -> tuple[str, ...]:
        """PCKh, and those of the model."""
        return (PCKH, TENTH, *self.model.val_scores)

    def start(self, run: TaskRun) -> None:
        """Keep where lines are printed."""
        self._run = run

    def truth(self, dataset: Dataset) -> PckhTruth:
        """The labels of all people and the sizes of their heads.

        Raises:
            InputError: The data set has no head boxes.
        """
        if not isinstance(dataset, MpiiDataset) or dataset.all_heads is None:
            raise InputError("PCKh needs the head boxes of MPII's people; give gt_valid.mat with --heads")
        boxes = [(dataset.heads(image), person) for image, person in dataset.people()]
        size = torch.stack([head_sizes(heads)[person] for heads, person in boxes if heads is not None])
        return PckhTruth(super().truth(dataset), size)

    def score(self, truth: PckhTruth, found: Mapping[int, FoundPerson]) -> dict[str, float]:
        """PCKh and the model's scores, as shares; the table in percent is printed."""
        row = self._row(truth, found)
        if self._run is not None:
            self._run.say(f"PCKh of {int((truth.size > 0).sum())} people with a head box, percent; no flip test:")
            self._run.say(table(self.model.card.name, row))
        own = super().score(truth.people, found)
        return {PCKH: row["Mean"] / 100, TENTH: row["Mean@0.1"] / 100, **own}

    def keypoint_scores(self, truth: PckhTruth, found: Mapping[int, FoundPerson]) -> dict[str, float]:
        """The columns of the table as shares, and the model's."""
        row = self._row(truth, found)
        columns = {f"PCKh/{name}": value / 100 for name, value in row.items() if value == value}
        return columns | super().keypoint_scores(truth.people, found)

    def _row(self, truth: PckhTruth, found: Mapping[int, Any]) -> dict[str, float]:
        indices = sorted(found)
        labels = truth.people.people.select(torch.tensor(indices))
        xy = torch.stack([found[index].xy for index in indices])
        return pckh_table(xy, labels, truth.people.skeleton, size=truth.size[indices])
