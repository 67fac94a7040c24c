"""Evaluating a run again: data identical by checksum, and the same scores within a tolerance.

Scores are measured as training measures them after each epoch: without flip test, duplicates kept; for top-down models in
labelled boxes, with the mean keypoint score as a pose's score; otherwise on all whole images.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from poise.analysis.bootstrap import PerImageResults, percentile_interval, resample_counts
from poise.data.base import Dataset
from poise.data.digest import Digest, digest
from poise.data.subset import Subset
from poise.errors import CheckpointError, InputError, ReadError
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import evaluate
from poise.inference.request import ImageRequest, Skipped, Watch
from poise.inference.settings import InferenceSettings
from poise.inference.stream import find_poses
from poise.metrics import coco_format
from poise.metrics.matches import find_matches
from poise.metrics.pck import pck
from poise.models.base import PoseModel
from poise.models.require import require_pose
from poise.reading import read_json
from poise.weights.model_file import load

PREFIX = "val/"
"""Prefix of the scores in a model's card that its training measured."""


@final
@dataclass(frozen=True, eq=False)
class RunRecord:
    """Model, settings and scores of a run, for verification.

    Attributes:
        folder: Folder of the run.
        model: The best model.
        settings: Settings of the run, or of its stage that gave the best model.
        stage: Number of that stage; 0 if the recipe has one.
        scores: Scores of the best model, by name.
        data: Checksums of the validation data.
    """

    folder: Path
    model: PoseModel
    settings: Mapping[str, Any]
    stage: int
    scores: Mapping[str, float]
    data: Digest

    @classmethod
    def read(cls, folder: Path) -> "RunRecord":
        """The record of a run.

        Raises:
            CheckpointError: The folder holds no finished run, or one that kept no scores or checksums.
        """
        file = folder / "model.safetensors"
        if not file.is_file() or not (folder / "settings.json").is_file():
            raise CheckpointError(
                f"{str(folder)!r} holds no run: it needs model.safetensors and settings.json, as poise train leaves them"
            )
        stage = _best_stage(folder) if (folder / "stages.json").is_file() else None
        settings = _settings(folder if stage is None else folder / f"stage{stage}")
        model = require_pose(load(file))
        scores = {name.removeprefix(PREFIX): v for name, v in model.card.scores.items() if name.startswith(PREFIX)}
        data = settings.get("data")
        data = data.get("val") if isinstance(data, dict) else None
        if not scores or data is None:
            what = "scores of a validation" if not scores else "checksums of its validation data"
            raise CheckpointError(f"the run in {str(folder)!r} kept no {what}, so there is nothing to verify it against")
        if not isinstance(data, dict):
            raise CheckpointError(f"the checksums in the settings of {str(folder)!r} are {str(data)[:40]!r}, which are none")
        return cls(folder, model, settings, stage or 0, scores, Digest.from_plain(data))


def _settings(folder: Path) -> dict[str, Any]:
    found = read_json(folder / "settings.json", what="record of a run", error=CheckpointError, missing=CheckpointError)
    return found if isinstance(found, dict) else {}  # and then without checksums


def _best_stage(folder: Path) -> int:
    """Number of the stage whose model is the run's."""
    best = (folder / "model.safetensors").read_bytes()
    files = sorted(folder.glob("stage*/model.safetensors"), key=lambda file: int(file.parent.name.removeprefix("stage")))
    same = [int(file.parent.name.removeprefix("stage")) for file in files if file.read_bytes() == best]
    if not same:
        raise CheckpointError(f"no stage of {str(folder)!r} has the run's model.safetensors; is the folder complete?")
    return same[-1]


@final
@dataclass(frozen=True)
class Check:
    """A stored score and the same measured again.

    Attributes:
        name: Name of the score.
        stored: Score that the run stored.
        found: Score measured now.
        low: Lower end of the 95 % interval of `found`, over images.
        high: Upper end of that interval.
        passed: Whether both are equal within the tolerance.
    """

    name: str
    stored: float
    found: float
    low: float
    high: float
    passed: bool


def check_data(record: RunRecord, dataset: Dataset) -> None:
    """Refuse data that are not those of the run.

    Raises:
        ReadError: They have changed; the message says how.
    """
    changes = record.data.changes(digest(dataset))
    if changes:
        raise ReadError(
            f"the validation data of the run in {str(record.folder)!r} have changed: {'; '.join(changes)}; its scores can "
            "only be verified on the data they were measured on"
        )


def verify(
    record: RunRecord,
    dataset: Dataset,
    settings: InferenceSettings,
    *,
    tolerance: float = 0.002,
    resamples: int = 1000,
    seed: int = 0,
    watch: Watch | None = None,
) -> list[Check]:
    """Evaluate a run again, on data that have not changed.

    Args:
        record: The run.
        dataset: Its validation data.
        settings: How the model is run; without flip test.
        tolerance: Largest difference of a score from the stored one: other machines and precisions round differently.
        resamples: Number of resamples of the images, for the interval.
        seed: Seed of the resamples.
        watch: Called with the stream of images, for progress.

    Raises:
        ReadError: The data have changed, or an image cannot be read.
        InputError: A tolerance below 0.
    """
    if tolerance < 0:
        raise InputError(f"the tolerance is a difference of scores, 0 or more, not {tolerance}")
    check_data(record, dataset)
    tally = measured_again(record.model, dataset, settings, watch=watch)
    counts = resample_counts(len(tally), resamples=resamples, seed=seed)
    drawn, whole = tally.scores(counts), tally.full_scores
    checks = []
    for name, stored in record.scores.items():
        if name in whole:
            near = abs(whole[name] - stored) <= tolerance
            checks.append(Check(name, stored, whole[name], *percentile_interval(drawn[name]), near))
    return checks


def measured_again(
    model: PoseModel, dataset: Dataset, settings: InferenceSettings, *, watch: Watch | None = None
) -> PerImageResults:
    """The results of a model image by image, measured as in training.

    Raises:
        ReadError: An image cannot be read.
    """
    again = _in_boxes if model.takes_boxes else _in_whole_images
    return again(model, dataset, settings, watch)


def _in_whole_images(model: PoseModel, dataset: Dataset, settings: InferenceSettings, watch: Watch | None) -> PerImageResults:
    eval_set = EvalSet.of_dataset(dataset)
    found = evaluate(model, eval_set, settings, watch=watch)
    _all_read(found.skipped, dataset)
    return PerImageResults.of(eval_set, found.results, boxes=None if found.boxes is None else found.box_results)


def _in_boxes(model: PoseModel, dataset: Dataset, settings: InferenceSettings, watch: Watch | None) -> PerImageResults:
    people: dict[int, list[int]] = {}
    for index, row in dataset.people():
        people.setdefault(index, []).append(row)
    part = Subset(dataset, sorted(people))
    eval_set = EvalSet.of_dataset(part)
    rows = [people[index] for index in part.indices]
    requests = [ImageRequest(part.key(i), partial(part.image, i), part.labels(i).boxes[own]) for i, own in enumerate(rows)]
    places = {part.key(i): i for i in range(len(part))}
    positions = [torch.full_like(part.labels(i).xy, torch.nan) for i in range(len(part))]
    results: list[dict[str, Any]] = []
    skipped: list[Skipped] = []
    stream: Iterable[Any] = find_poses(model, requests, settings, skipped=skipped)
    for found in watch(stream, len(requests)) if watch else stream:
        place, poses = places[found.poses.key], found.poses
        positions[place][[rows[place][i] for i in found.boxes]] = poses.xy.to(positions[place])
        one = torch.ones(len(poses), dtype=torch.int64)
        score = poses.score.mean(dim=1)
        results += coco_format.to_coco_results(poses.xy, poses.score, score, image=eval_set.ids[place], categories=one)
    _all_read(skipped, part)
    counted = [
        pck(xy[own], part.labels(i).select(torch.tensor(own)), 0.1)
        for i, (xy, own) in enumerate(zip(positions, rows, strict=True))
    ]
    hits, labelled = (np.array([int(getattr(c, n).sum()) for c in counted], np.int64) for n in ("hits", "labelled"))
    return PerImageResults(tuple(find_matches(eval_set.truth, results, eval_set.skeletons)), hits, labelled)


def _all_read(skipped: list[Skipped], dataset: Dataset) -> None:
    if skipped:
        raise ReadError(f"{len(skipped)} of {len(dataset)} images cannot be read; the first: {skipped[0].reason}")
