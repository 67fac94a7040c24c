"""What a command needs of a model, or a sentence that says what the model is."""

from typing import Any

from poise.errors import InputError
from poise.models.base import BoxFinder, ImageModel, Model, PoseModel, TrainableModel


def require_image(model: Model) -> ImageModel:
    """The model, which must be one that is run on images.

    Raises:
        InputError: It is a part of a network.
    """
    if isinstance(model, ImageModel):
        return model
    raise InputError(model.no_keypoints)


def require_pose(model: Model) -> PoseModel:
    """The model, which must be one that finds keypoints.

    Raises:
        InputError: It finds none; the message says what it is.
    """
    if isinstance(model, PoseModel):
        return model
    raise InputError(model.no_keypoints)


def require_trainable(model: Model) -> TrainableModel:
    """The model, which must be one that is trained: with keypoints, or a detector of boxes and masks.

    Raises:
        InputError: It is a part of a network, a file that was exported, or a detector that poise does not train.
    """
    if not any(True for _ in model.network.parameters()):
        raise InputError(
            f"{model.card.name!r} was exported and has no weights that could be trained; give the .safetensors it was made of"
        )
    if isinstance(model, TrainableModel):
        return model
    raise InputError(
        f"{model.card.name!r} is not trained by poise; of detectors without keypoints Mask R-CNN and Faster R-CNN are, such as "
        "mask_rcnn_r50_fpn_2cls"
    )


def require_keypoint_detector(model: Model) -> PoseModel:
    """The model, which must be one that finds boxes and keypoints at once, such as Keypoint R-CNN.

    Raises:
        InputError: It is of another type.
    """
    if isinstance(model, PoseModel) and model.finds_boxes:
        return model
    if isinstance(model, BoxFinder) and isinstance(model, TrainableModel) and not isinstance(model, PoseModel):
        raise InputError(
            f"{model.card.name!r} finds no keypoints, which are needed here; take a detector with keypoints, such as "
            f"keypoint_rcnn_r50_fpn (poise train mask_rcnn --network {model.card.name} learns boxes and masks alone)"
        )
    raise InputError(
        f"this needs a detector that finds boxes and keypoints, such as keypoint_rcnn_r50_fpn or poise_rcnn_t; "
        f"{model.card.name!r} is not one"
    )


def require_top_down(model: Model) -> PoseModel:
    """The model, which must be one that looks at one person at a time (top-down).

    Raises:
        InputError: It is of another type.
    """
    if isinstance(model, PoseModel) and model.takes_boxes:
        return model
    raise InputError(
        "this needs a top-down model, for views of one person, such as poise_t_coco_192x160; "
        f"{model.card.name!r} is not top-down"
    )


def require_box_finder(model: Model) -> Any:
    """The model, which must be one that finds boxes.

    Raises:
        InputError: It finds none.
    """
    if isinstance(model, BoxFinder):
        return model
    raise InputError(
        f"{model.card.name!r} finds no boxes, so it is no detector; take a Keypoint R-CNN, a Faster R-CNN, or one of "
        "torchvision's such as fasterrcnn_resnet50_fpn"
    )
