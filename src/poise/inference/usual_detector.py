"""The detector for a published top-down model of people or hands, where nobody says where to look."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from poise.errors import PoiseError
from poise.inference.whole_image import whole_image_note
from poise.models.base import PoseModel
from poise.skeletons.nouns import PERSON, Nouns, nouns
from poise.weights.cache import PEOPLE_DETECTOR, comes_with_poise, kept_models, model_place, shipped
from poise.zoo.get import get
from poise.zoo.rcnn.torchvision_detectors import bring_weights, has_weights

USUAL: Mapping[Nouns, str] = {PERSON: "rtmdet_m", ("hand", "hands"): "rtmdet_nano_hand"}
"""RTMDet as RTMPose was published with it: box AP of people 62.5 on COCO val2017, 99 MB; of hands 76.0 on OneHand10K."""

OURS: Mapping[Nouns, tuple[str, ...]] = {PERSON: ("rtmdet_m", "rtmdet_s_humanart", "rtmdet_t_humanart", "rtmdet_nano")}
"""Detectors of people from `poise get`, the best first."""

TORCHVISION = ("fasterrcnn_resnet50_fpn_v2", "fasterrcnn_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_fpn")
"""Detectors of torchvision, the best first: box AP 46.7 on COCO val2017 of all classes."""

BLAZEPOSE = "blazepose_detector"

OTHERS = "--detector FILE|NAME takes another, --whole-image takes each image as one box"


def usual_detector(model: PoseModel, file: Path, *, say: Callable[[str], None]) -> str | None:
    """The name of the detector; None where boxes are not missing, or the model is not a published one of people or hands.

    For the model that comes with poise it is the detector that does. For others one that is there is taken first; else RTMDet
    is brought as by `poise get`, and where its host is down, for people, torchvision's best, and then the one that comes with
    poise. Models of the user's own keep taking each image as one box, for nobody knows what their boxes are.

    Args:
        model: The model.
        file: Its file.
        say: Is told which detector it is, and what else there is.
    """
    noun = nouns(model.skeleton)
    published = file.parent == model_place(model.card.name).parent or comes_with_poise(file)
    if not published or whole_image_note(model) is None or noun not in USUAL:
        return None
    if comes_with_poise(file) and (own := _own(say)):
        return own
    there = _there(noun)
    if there is not None:
        say(f"boxes of {noun[1]} are found by {_named(there)}, which is here; {OTHERS}")
        return there
    return _brought(noun, say)


def _there(noun: Nouns) -> str | None:
    """The best detector that needs no download."""
    kept = kept_models()
    own: Sequence[str] = [name for name in OURS.get(noun, (USUAL[noun],)) if name in kept]
    if own or noun != PERSON:
        return own[0] if own else None
    there = next((name for name in TORCHVISION if has_weights(name)), None)
    return BLAZEPOSE if there is None and BLAZEPOSE in kept else there


def _brought(noun: Nouns, say: Callable[[str], None]) -> str | None:
    """The usual detector, downloaded; of people torchvision's where that cannot be had."""
    name = USUAL[noun]
    say(f"boxes of {noun[1]} are found by {name}, which is downloaded once; {OTHERS}")
    try:
        get(name, say=say)
    except PoiseError as error:
        say(str(error))
        return _from_torchvision(say) if noun == PERSON else None
    return name


def _from_torchvision(say: Callable[[str], None]) -> str | None:
    name = TORCHVISION[0]
    terms = "BSD-3-Clause (code); the weights come from COCO's images"
    say(f"boxes of people are found by {_named(name)} instead, whose weights are downloaded once; {terms}")
    try:
        bring_weights(name)
    except PoiseError as error:
        say(str(error))
        return _own(say)
    return name


def _own(say: Callable[[str], None]) -> str | None:
    """The detector that comes with poise; None where poise was installed without it."""
    if shipped(PEOPLE_DETECTOR) is None:
        return None
    say(f"boxes of people are found by {PEOPLE_DETECTOR}, which comes with poise; {OTHERS}")
    return PEOPLE_DETECTOR


def _named(name: str) -> str:
    return f"torchvision's {name}" if name in TORCHVISION else name
