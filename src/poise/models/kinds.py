"""All kinds of models."""

from typing import TypeAlias

from poise.errors import InputError
from poise.models.bottom_up import BottomUp
from poise.models.box_detector import BoxDetector
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.network_part import Part
from poise.models.top_down import TopDown

Posed: TypeAlias = TopDown | BottomUp | KeypointRCNN
"""A model that finds keypoints: in views of one person, in whole images, in boxes found there."""

Boxing: TypeAlias = KeypointRCNN | BoxDetector
"""A model that finds boxes of people in whole images."""

Model: TypeAlias = Posed | BoxDetector | Part
"""A model: of keypoints, of boxes alone, or a detector's part, which can be imported and asked, but nothing else."""


def posed(model: Model) -> Posed:
    """The model, which must be one that finds keypoints.

    Raises:
        InputError: It finds none; the message says what it is.
    """
    if isinstance(model, BoxDetector | Part):
        raise InputError(model.lack)
    return model


def one_person(model: Model) -> TopDown:
    """The model, which must be one of views of one person.

    Raises:
        InputError: It is of another kind.
    """
    if isinstance(model, TopDown):
        return model
    raise InputError(
        f"this needs a model of views of one person, such as poise_t_coco_192x160, and {model.card.name!r} is not one"
    )
