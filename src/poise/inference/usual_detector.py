"""The detector for a published top-down model of people, where nobody says where to look."""

from collections.abc import Callable
from pathlib import Path

from poise.errors import ReadError
from poise.inference.whole_image import whole_image_note
from poise.models.base import PoseModel
from poise.skeletons.nouns import PERSON, nouns
from poise.weights.cache import kept_models, model_place
from poise.zoo.rcnn.torchvision_detectors import bring_weights, has_weights

USUAL = "fasterrcnn_resnet50_fpn_v2"
"""Torchvision's best detector of people that is not slow: box AP 46.7 on COCO val2017, 167 MB."""

TORCHVISION = (USUAL, "fasterrcnn_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_fpn")
"""Detectors of torchvision, the best first."""

OURS = "blazepose_detector"

OTHERS = "--detector FILE|NAME takes another, --boxes FILE boxes of your own, --whole-image none"


def usual_detector(model: PoseModel, file: Path, *, say: Callable[[str], None]) -> str | None:
    """The name of the detector; None where boxes are not missing, or the model is not a published one of people.

    A detector whose weights are there is taken first; else torchvision's best is downloaded by its address, checked by its
    sha256. Models of the user's own keep taking each image as one box, for nobody knows what their boxes are.

    Args:
        model: The model.
        file: Its file.
        say: Is told which detector it is, and what else there is.
    """
    published = file.parent == model_place(model.card.name).parent
    if not published or whole_image_note(model) is None or nouns(model.skeleton) != PERSON:
        return None
    there = next((name for name in TORCHVISION if has_weights(name)), None)
    if there is None and OURS in kept_models():
        there = OURS
    if there is not None:
        say(f"boxes of people are found by {_named(there)}, which is here; {OTHERS}")
        return there
    terms = "BSD-3-Clause (code); the weights come from COCO's images"
    say(f"boxes of people are found by {_named(USUAL)}, whose weights are downloaded once; {terms}; {OTHERS}")
    try:
        bring_weights(USUAL)
    except ReadError as error:
        say(str(error))
        return None
    return USUAL


def _named(name: str) -> str:
    return name if name == OURS else f"torchvision's {name}"
