"""What a run is to do beside its recipe, and what it leaves."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

from poise.models.base import PoseModel
from poise.training.files import Row


@final
@dataclass(frozen=True)
class Budget:
    """Where a run goes and how far.

    Attributes:
        folder: Of the run.
        resume: Whether to go on with what lies there.
        seed: Of all chances.
        start: Model file to start from, or None.
        minutes: Of training, at most; None for any.
        steps: Of the optimizer, at most; None for any.
        whole: Folder of the run this one is a stage of, or None.
    """

    folder: Path
    resume: bool
    seed: int
    start: Path | None
    minutes: float | None
    steps: int | None
    whole: Path | None = None


@final
@dataclass(frozen=True, eq=False)
class RunResult:
    """What a run left.

    Attributes:
        model: The best one, in evaluation mode.
        metrics: Its scores, by name; with ground-truth boxes, or on whole images.
        folder: Of the run.
        file: The model file.
        history: One row of figures per epoch, as in `metrics.csv`; of a run of several stages each says its stage.
        stages: Scores of the best model of each stage; empty where the recipe has one.
    """

    model: PoseModel
    metrics: dict[str, float]
    folder: Path
    file: Path
    history: list[Row]
    stages: tuple[dict[str, float], ...] = ()
