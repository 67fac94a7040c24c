"""PCK by thresholds and units that a user names: of poses in their images, and on heatmaps as releases print it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.codecs.base import InstanceCodec
from poise.data.base import Dataset
from poise.data.combined import CombinedDataset
from poise.errors import InputError
from poise.evaluation.eval_set import EvalSet
from poise.inference.settings import InferenceSettings
from poise.inference.stream import prepare
from poise.metrics.accuracy import map_accuracy, released_accuracy
from poise.metrics.measure_names import PCKMeasure
from poise.metrics.measures import MeasuredPCK, correct, person_sizes
from poise.metrics.pck import PCK, distances
from poise.metrics.sizes import head_sizes
from poise.models.base import PoseModel
from poise.models.dense import DenseModel
from poise.models.device import autocast
from poise.skeletons import keypoint_indices

BATCH = 6
"""People in a batch of the validation of CC-SSL's release, whose accuracy is a mean over batches."""


def measure_pck(
    measures: Sequence[PCKMeasure],
    eval_set: EvalSet,
    positions: Sequence[Float[Tensor, "_ k 2"]],
    *,
    model: PoseModel | None = None,
    settings: InferenceSettings | None = None,
) -> list[MeasuredPCK]:
    """Measure an evaluation by thresholds and units.

    Args:
        measures: Thresholds and units.
        eval_set: The data set.
        positions: For each image one pose per row of its labels, pixels; nan where there is none (`Evaluation.positions`).
        model: The model, whose maps are compared in its own views of the labelled boxes; only for the unit "map".
        settings: Device and precision of that.

    Raises:
        InputError: The data set does not tell a unit, or there are no maps.
    """
    check_measures(measures, eval_set, model)
    maps = [one for one in measures if one.unit == "map"]
    on_maps = map_pck(maps, cast(PoseModel, model), eval_set.dataset, settings) if maps else {}
    return [on_maps.get(one) or _measure(one, eval_set, positions) for one in measures]


def check_measures(measures: Sequence[PCKMeasure], eval_set: EvalSet, model: PoseModel | None) -> None:
    """Refuse units that cannot be measured, before anything slow.

    Raises:
        InputError: The data set does not tell a unit, or there are no maps.
    """
    for unit in dict.fromkeys(one.unit for one in measures):
        if unit == "map":
            _check_maps(model)
        else:
            sizes_of(unit, eval_set, some=0)


def _check_maps(model: PoseModel | None) -> None:
    if model is None or not model.takes_boxes or not isinstance(model, DenseModel):
        name = "a model for whole images" if model is None else model.card.name
        raise InputError(
            f"PCK on maps compares heatmaps of one person each, as top-down models make them; {name} makes none, leave map out"
        )
    codec: InstanceCodec = model.codec
    if codec.vectors or codec.channels != codec.keypoints:
        raise InputError(
            f"PCK on maps needs one heatmap for each keypoint, and {type(codec).__name__} of {model.card.name} has others; "
            "leave map out"
        )


def _measure(measure: PCKMeasure, eval_set: EvalSet, positions: Sequence[Tensor]) -> MeasuredPCK:
    labels, size = eval_set.dataset.all_labels, sizes_of(measure.unit, eval_set)
    found, counted = distances(torch.cat(list(positions)), labels, size=size)
    labelled = (labels.visible > 0).any(dim=1) & ~labels.crowd
    without = int((labelled & ~counted.any(dim=1)).sum())
    note = f"{without} of {int(labelled.sum())} labelled people have no {measure.unit} size and do not count" if without else ""
    return MeasuredPCK(measure, PCK((correct(measure, found) & counted).sum(dim=0), counted.sum(dim=0)), note)


def sizes_of(unit: str, eval_set: EvalSet, *, some: int | None = None) -> Float[Tensor, " n"]:
    """The unit of each labelled person, pixels; 0 for people who do not count.

    Args:
        unit: Any unit but the map.
        eval_set: The data set.
        some: The first people alone; 0 to check whether the data set tells the unit.

    Raises:
        InputError: The data set does not tell the unit.
        SkeletonMismatch: A keypoint of the unit is none of the skeleton.
    """
    heads = _heads(eval_set)
    images = None
    if unit == "image":
        images = torch.zeros(0, dtype=torch.float64) if some == 0 else _image_sides(eval_set)[:some]
    return person_sizes(
        unit,
        eval_set.dataset.all_labels.select(slice(0, some)),
        eval_set.skeleton,
        heads=None if heads is None else heads[:some],
        images=images,
    )


def _heads(eval_set: EvalSet) -> Float[Tensor, " n"] | None:
    heads = getattr(eval_set.dataset, "all_heads", None)
    return None if heads is None else head_sizes(heads)


def _image_sides(eval_set: EvalSet) -> Float[Tensor, " n"]:
    """The longer side of the image of each label."""
    counts = eval_set.dataset.label_counts.tolist()
    sides = [float(max(eval_set.size(i))) if count else 0.0 for i, count in enumerate(counts)]
    return torch.tensor(sides, dtype=torch.float64).repeat_interleave(torch.tensor(counts))


@final
@dataclass(frozen=True, eq=False)
class MapErrors:
    """Distances on heatmaps, of people in batches.

    Attributes:
        distances: Distance of each keypoint of each person from its target, in tenths of the map's size; -1 where the target
            does not have it.
        batches: These distances for each batch of the releases, a row for each keypoint.
    """

    distances: Float[Tensor, "n k"]
    batches: tuple[Float[Tensor, "k _"], ...]

    def pck(self, measure: PCKMeasure) -> MeasuredPCK:
        """The counts over people, and the mean over batches of the mean over keypoints, weighted by the people of each."""
        known = self.distances >= 0
        right = correct(measure, self.distances / 10) & known
        total = sum(part.shape[1] for part in self.batches)
        published = sum(_mean_of_keypoints(part, measure) * part.shape[1] for part in self.batches)
        return MeasuredPCK(measure, PCK(right.sum(dim=0), known.sum(dim=0)), published=published / max(total, 1))


def _mean_of_keypoints(distance: Float[Tensor, "k b"], measure: PCKMeasure) -> float:
    """Mean over keypoints of the share of people in which each is correct; 0 where nothing is known."""
    known = distance >= 0
    count = known.sum(dim=1)
    share = (correct(measure, distance / 10) & known).sum(dim=1).double() / count.clamp(min=1)
    return float(share[count > 0].mean()) if bool((count > 0).any()) else 0.0


def map_pck(
    measures: Sequence[PCKMeasure],
    model: PoseModel,
    dataset: Dataset,
    settings: InferenceSettings | None = None,
    *,
    batch: int = BATCH,
) -> dict[PCKMeasure, MeasuredPCK]:
    """PCK on heatmaps: the highest cell of each output map against that of its target map.

    A keypoint is correct whose distance is at most the threshold times the map's size, each of x and y in units of its own side
    (0.05 of 64x64 cells is 3.2 cells). Views are those of validation: labelled boxes, no flip test. The counts are over all
    people; `MeasuredPCK.published` is the mean over batches of the mean over keypoints, as the releases of pytorch-pose and
    CC-SSL print it (golden m01, m03): it depends on the batch and on the order of people.

    Args:
        measures: Thresholds on maps.
        model: A top-down model with one heatmap for each keypoint.
        dataset: Images and labels; its keypoints are found in the model by name.
        settings: Device and precision; float32 on the CPU by default.
        batch: People in a batch.

    Raises:
        InputError: The model has no such maps, or nobody is labelled.
        SkeletonMismatch: The model lacks keypoints of the data set.
    """
    _check_maps(model)
    errors = map_errors(model, dataset, settings, batch=batch)
    return {measure: errors.pck(measure) for measure in measures}


def map_errors(
    model: PoseModel, dataset: Dataset, settings: InferenceSettings | None = None, *, batch: int = BATCH
) -> MapErrors:
    """The distances behind `map_pck`, in the keypoints of the data set; people in images that cannot be read are left out."""
    dense = cast(DenseModel, model)
    settings = settings or InferenceSettings.of(model, device="cpu", precision="fp32", flip=False)
    columns = list(keypoint_indices(model.skeleton, dataset.skeleton))
    views = model.val_views(CombinedDataset([dataset], skeleton=model.skeleton), seed=0)
    training = dense.training
    prepare(dense, settings.device)
    parts: list[tuple[Tensor, Tensor]] = []
    with torch.inference_mode():
        for start in range(0, len(views), batch):
            cuts = [views[0, index] for index in range(start, min(start + batch, len(views)))]
            shown = [cut for index, cut in enumerate(cuts, start=start) if cut.index == index]
            if shown:
                parts.append(_compared(dense, views.collate(shown).batch.to(settings.device), settings))
    dense.train(training)
    if not parts:
        raise InputError("PCK on maps needs a labelled person in an image that can be read, and there is none")
    return MapErrors(torch.cat([own.T for own, _ in parts])[:, columns], tuple(part[columns] for _, part in parts))


def _compared(model: DenseModel, batch: Any, settings: InferenceSettings) -> tuple[Float[Tensor, "k b"], Float[Tensor, "k b"]]:
    """Distances of a batch: by the map's own width and height, and as the releases compute them."""
    with autocast(settings.device, settings.precision):
        output = model.outputs(batch.images)[-1].float()
    target = model.codec.encode(batch.xy) * (batch.visible > 0)[..., None, None]
    return map_accuracy(output, target).distances, released_accuracy(output, target, first=1).distances
