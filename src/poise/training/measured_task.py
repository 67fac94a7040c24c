"""Supervised training whose validation also measures PCK by thresholds and units that a user names, on maps too."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.codecs.base import InstanceCodec
from poise.data.base import Dataset
from poise.errors import InputError
from poise.metrics.accuracy import map_accuracy
from poise.metrics.measure_names import PCKMeasure
from poise.metrics.measures import correct, person_sizes
from poise.metrics.pck import PCK, distances
from poise.models.base import TrainableModel
from poise.models.person_scores import FoundPerson, PeopleTruth
from poise.models.top_down import TopDown
from poise.structures import Batch
from poise.training.task import ModelTask

UNITS = ("box", "torso", "map")
"""Units that a validation can measure by."""


@final
@dataclass(frozen=True, eq=False)
class FoundOnMaps:
    """A person who was found, and how far the highest cells of the maps are from those of the labels.

    Attributes:
        person: The keypoints.
        errors: Distance of each keypoint, shares of the map's size; -1 where the label does not have it.
    """

    person: FoundPerson
    errors: Float[Tensor, " k"]


@final
class MeasuredTask(ModelTask):
    """`ModelTask` of a top-down model with further scores.

    Args:
        model: The model.
        measures: Thresholds and units.

    Raises:
        InputError: The model is none of people's views, has no maps, or a unit cannot be measured in a validation.
    """

    def __init__(self, model: TrainableModel, measures: Sequence[PCKMeasure]) -> None:
        super().__init__(model)
        if not isinstance(model, TopDown):
            raise InputError(f"--pck is for top-down models, and {model.card.name} looks at whole images; leave it out")
        strange = [one.name for one in measures if one.unit not in UNITS]
        if strange:
            raise InputError(
                f"a validation measures by {', '.join(UNITS)}, not {strange[0]}; `poise evaluate --pck` knows all units"
            )
        self.measures = tuple(measures)
        self.on_maps = any(one.unit == "map" for one in measures)
        codec: InstanceCodec = model.codec
        if self.on_maps and (codec.vectors or codec.channels != codec.keypoints):
            raise InputError(
                f"PCK on maps needs one heatmap for each keypoint, and {type(codec).__name__} has others; leave map out"
            )

    @property
    def val_scores(self) -> tuple[str, ...]:
        """Those of the model, and the measures."""
        return (*self.model.val_scores, *(one.name for one in self.measures))

    def validate(self, batch: Batch) -> tuple[dict[str, Float[Tensor, ""]], list[Any]]:
        """The loss, and the keypoints of each person with the distances on maps."""
        if not self.on_maps:
            return self.model.validate(batch)
        model = self.model
        assert isinstance(model, TopDown)
        outputs = model.outputs(batch.images)
        found = FoundPerson.of_batch(model.read(outputs[-1]), batch)
        target = model.codec.encode(batch.xy) * (batch.visible > 0)[..., None, None]
        tenths = map_accuracy(outputs[-1], target).distances.T
        errors = torch.where(tenths < 0, -1.0, tenths / 10)
        return model.compared(outputs, batch), [FoundOnMaps(person, row) for person, row in zip(found, errors, strict=True)]

    def score(self, truth: PeopleTruth, found: Mapping[int, Any]) -> dict[str, float]:
        """The model's scores, and the share of all labels that is correct by each measure; nan without labels."""
        measured = {one.name: self._pck(one, truth, found).mean for one in self.measures}
        return super().score(truth, _people(found)) | measured

    def keypoint_scores(self, truth: PeopleTruth, found: Mapping[int, Any]) -> dict[str, float]:
        """The model's, and those of each measure, by its name and that of the keypoint."""
        each = [(one.name, self._pck(one, truth, found).keypoints) for one in self.measures]
        names = truth.skeleton.keypoints
        shares = {f"{label}/{name}": share for label, row in each for name, share in zip(names, row, strict=True)}
        return super().keypoint_scores(truth, _people(found)) | {name: v for name, v in shares.items() if isfinite(v)}

    def truth(self, dataset: Dataset) -> PeopleTruth:
        """The labels of all people.

        Raises:
            InputError: They do not tell a unit.
        """
        truth: PeopleTruth = super().truth(dataset)
        for one in self.measures:
            if one.unit != "map":
                person_sizes(one.unit, truth.people, truth.skeleton)
        return truth

    def _pck(self, measure: PCKMeasure, truth: PeopleTruth, found: Mapping[int, Any]) -> PCK:
        indices = sorted(found)
        if measure.unit == "map":
            errors = torch.stack([found[index].errors for index in indices])
            known = errors >= 0
            return PCK((correct(measure, errors) & known).sum(dim=0), known.sum(dim=0))
        people = _people(found)
        labels = truth.people.select(torch.tensor(indices))
        size = person_sizes(measure.unit, labels, truth.skeleton)
        away, counted = distances(torch.stack([people[index].xy for index in indices]), labels, size=size)
        return PCK((correct(measure, away) & counted).sum(dim=0), counted.sum(dim=0))


def _people(found: Mapping[int, Any]) -> dict[int, Any]:
    return {index: one.person if isinstance(one, FoundOnMaps) else one for index, one in found.items()}


def measured(measures: Sequence[PCKMeasure]) -> Callable[[TrainableModel], MeasuredTask]:
    """`Recipe.task` of supervised training with these measures."""
    return lambda model: MeasuredTask(model, measures)
