"""Which task a model has; the one place where training tells kinds of models apart."""

from collections.abc import Callable
from typing import Any

from poise.models.bottom_up import BottomUp
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.kinds import Model, posed
from poise.models.top_down import TopDown
from poise.training.detectors import DetectorTask
from poise.training.people import PersonTask
from poise.training.scenes import SceneTask
from poise.training.task import Task

AnyTask = Task[Any, Any, Any, Any]

TASKS: dict[type, Callable[[Any], AnyTask]] = {TopDown: PersonTask, BottomUp: SceneTask, KeypointRCNN: DetectorTask}
"""Of each kind of model."""


def task_of(model: Model) -> AnyTask:
    """What training asks of a model."""
    return TASKS[type(posed(model))](model)
