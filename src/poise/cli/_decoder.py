"""Flags that say how a model's answers are read, how a detector finds people, and how large images are to it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from poise.cli._flags import refuse
from poise.codecs.decoders import preset, read_by
from poise.errors import InputError
from poise.inference.detect import ModelDetector
from poise.models.bottom_up import BottomUp
from poise.models.box_detector import BoxDetector
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.kinds import Model
from poise.models.top_down import TopDown
from poise.recipes.fields import refuse_words, set_codec, set_detecting, set_words
from poise.scenes import Canvas

LEARNT = ("learning", "weights")
"""Words of a detector that say how it learns."""

POSED = ("keypoint_nms", "keypoint_score", "rating", "calibration")
"""Words of a detector that are of people with keypoints, and change no box."""

MOST = 8192
"""Pixels that the side which is fitted of a whole image gets at most: maps of larger ones fit into no memory."""


def adjust(
    model: Model,
    *,
    reading: str | None = None,
    numbers: str | None = None,
    options: Sequence[str] = (),
    detecting: Sequence[str] = (),
    side: int | None = None,
    scales: Sequence[float] = (),
) -> None:
    """Change how a model is used, as flags say.

    Args:
        model: Its codec and canvas change; its weights do not.
        reading: Where peaks lie.
        numbers: Name of a preset; before `options`.
        options: Fields of the codec, such as "reading.threshold=0.06"; after the others.
        detecting: How a detector finds and ranks people, such as "suppression=soft".
        side: Pixels that the side which is fitted (the long or short one, or the height) gets; a limit of the other with it.
        scales: Factors on it, for several sizes at once.

    Raises:
        InputError: A flag that is for the other kind of model, or a value that cannot be.
        UnknownName: There is no such reading, preset or option.
    """
    if numbers is not None or reading is not None or options:
        _read_otherwise(model, reading=reading, numbers=numbers)
    if detecting:
        _check_detecting(model, detecting)
    if isinstance(model, KeypointRCNN):
        set_words(model, codec=options, detecting=detecting)
    elif isinstance(model, BoxDetector):
        set_detecting(model, detecting)
    elif isinstance(model, TopDown | BottomUp):
        set_codec(model, options)
    if side is None and not scales:
        return
    if not isinstance(model.preprocess, Canvas):
        raise InputError(
            f"--side and --scales are for models that look at whole images; {model.card.name} looks at one person at a time"
        )
    canvas = model.preprocess
    largest = (canvas.side if side is None else side) * max(scales, default=max(canvas.scales))
    if largest > MOST:
        raise InputError(
            f"--side and --scales make images of {largest:g} pixels, and {MOST} are the most; give a smaller side or factor"
        )
    wanted = canvas.side if side is None else side
    most = None if canvas.most is None else round(canvas.most * wanted / canvas.side)
    model.preprocess = replace(canvas, side=wanted, most=most, scales=tuple(scales) or canvas.scales)


def _read_otherwise(model: Model, *, reading: str | None, numbers: str | None) -> None:
    if not isinstance(model, TopDown | BottomUp | KeypointRCNN):
        raise InputError(f"{model.card.name} finds no keypoints; leave out --reading, --preset and --codec-set")
    if numbers is not None:
        model.codec = preset(model.codec, numbers)
    if reading is not None:
        model.codec = read_by(model.codec, reading)


def _check_detecting(model: Model, words: Sequence[str]) -> None:
    if not isinstance(model, KeypointRCNN | BoxDetector):
        raise InputError(
            f"--detecting-set is for detectors, and {model.card.name} finds no boxes; leave it out, or find the boxes with "
            "`poise detect --detecting-set` and give them with --boxes"
        )
    refuse_words(words, LEARNT, why="that is how a detector learns")
    if isinstance(model, BoxDetector):
        refuse_words(words, POSED, why=f"{model.card.name} finds no keypoints")


def adjust_detector(
    detector: ModelDetector, *, detecting: Sequence[str] = (), side: int | None = None, scales: Sequence[float] = ()
) -> None:
    """Change how a detector finds boxes, as flags say.

    Args:
        detector: Changed in place.
        detecting: How it finds people, such as "suppression=soft".
        side: Pixels that the side which is fitted gets.
        scales: Factors on it, for several sizes at once.

    Raises:
        InputError: A word about keypoints; or as `adjust`.
        UnknownName: There is no such word.
    """
    refuse_words(detecting, POSED, why="boxes are found here and no keypoints")
    adjust(detector.model, detecting=detecting, side=side, scales=scales)


def only_for_views(model: Model, flags: Mapping[str, object]) -> None:
    """Refuse flags that are for models that look at one person at a time.

    Args:
        model: Perhaps of another kind.
        flags: As for `refuse`.

    Raises:
        InputError: The model looks at whole images.
    """
    if isinstance(model.preprocess, Canvas):
        refuse(flags, why=f"{model.card.name} looks at whole images and finds and rates people by itself")
