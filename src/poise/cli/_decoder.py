"""Flags that say how a model's answers are read, how a detector finds people, and how large images are to it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from poise.cli._flags import refuse
from poise.codecs.decoders import preset, read_by
from poise.errors import InputError
from poise.inference.detect import ModelDetector
from poise.models.base import ImageModel, require_box_finder, require_pose
from poise.recipes.fields import refuse_words, set_codec, set_words

LEARNT = ("learning", "weights")
"""Words of a detector that say how it learns."""

POSED = ("keypoint_nms", "keypoint_score", "rating", "calibration")
"""Words of a detector that are of people with keypoints, and change no box."""

MOST = 8192
"""Pixels that the side which is fitted of a whole image gets at most: maps of larger ones fit into no memory."""


def adjust(
    model: ImageModel,
    *,
    reading: str | None = None,
    numbers: str | None = None,
    options: Sequence[str] = (),
    config: Sequence[str] = (),
    side: int | None = None,
    scales: Sequence[float] = (),
) -> None:
    """Change how a model is used, as flags say.

    Args:
        model: Its codec and canvas change; its weights do not.
        reading: Where peaks lie.
        numbers: Name of a preset; before `options`.
        options: Fields of the codec, such as "reading.threshold=0.06"; after the others.
        config: How a detector finds and ranks people, such as "suppression=soft".
        side: Pixels that the side which is fitted (the long or short one, or the height) gets; a limit of the other with it.
        scales: Factors on it, for several sizes at once.

    Raises:
        InputError: A flag that is for the other kind of model, or a value that cannot be.
        UnknownName: There is no such reading, preset or option.
    """
    if numbers is not None or reading is not None or options:
        _read_otherwise(model, reading=reading, numbers=numbers)
    if config:
        _check_detecting(model, config)
    if model.finds_boxes:
        set_words(require_box_finder(model), codec=options, config=config)
    else:
        set_codec(require_pose(model), options)
    if side is None and not scales:
        return
    if model.takes_boxes:
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


def _read_otherwise(model: ImageModel, *, reading: str | None, numbers: str | None) -> None:
    if not hasattr(model, "codec"):
        raise InputError(f"{model.card.name} finds no keypoints; leave out --reading, --preset and --codec-set")
    posed = require_pose(model)
    if numbers is not None:
        posed.codec = preset(posed.codec, numbers)
    if reading is not None:
        posed.codec = read_by(posed.codec, reading)


def _check_detecting(model: ImageModel, words: Sequence[str]) -> None:
    if not model.finds_boxes:
        raise InputError(
            f"--detecting-set is for detectors, and {model.card.name} finds no boxes; leave it out, or find the boxes with "
            "`poise detect --detecting-set` and give them with --boxes"
        )
    refuse_words(words, LEARNT, why="that is how a detector learns")
    if not hasattr(model, "codec"):
        refuse_words(words, POSED, why=f"{model.card.name} finds no keypoints")


def adjust_detector(
    detector: ModelDetector, *, config: Sequence[str] = (), side: int | None = None, scales: Sequence[float] = ()
) -> None:
    """Change how a detector finds boxes, as flags say.

    Args:
        detector: Changed in place.
        config: How it finds people, such as "suppression=soft".
        side: Pixels that the side which is fitted gets.
        scales: Factors on it, for several sizes at once.

    Raises:
        InputError: A word about keypoints; or as `adjust`.
        UnknownName: There is no such word.
    """
    refuse_words(config, POSED, why="boxes are found here and no keypoints")
    adjust(detector.model, config=config, side=side, scales=scales)


def only_for_views(model: ImageModel, flags: Mapping[str, object]) -> None:
    """Refuse flags that are for models that look at one person at a time.

    Args:
        model: Perhaps of another kind.
        flags: As for `refuse`.

    Raises:
        InputError: The model looks at whole images.
    """
    if not model.takes_boxes:
        refuse(flags, why=f"{model.card.name} looks at whole images and finds and rates people by itself")
