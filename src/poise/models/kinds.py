"""All kinds of models."""

from typing import TypeAlias

from poise.errors import InputError
from poise.models.bottomup import BottomUp
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.part import Part
from poise.models.topdown import TopDown

Model: TypeAlias = TopDown | BottomUp | KeypointRCNN | Part
"""A model: of views of one person, of whole images, of boxes found in them; or a detector's part, which can be imported and
asked, but nothing else."""


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
