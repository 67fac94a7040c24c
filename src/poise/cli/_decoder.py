"""Flags that say how a model's answers are read, and how large images are to it."""

from collections.abc import Sequence
from dataclasses import replace

from poise.codecs.decoders import preset, read_by
from poise.errors import InputError
from poise.models.bottomup import BottomUp
from poise.models.kinds import Model
from poise.models.part import Part
from poise.models.topdown import TopDown
from poise.recipes.fields import set_codec
from poise.scenes import Canvas


def adjust(
    model: Model,
    *,
    reading: str | None = None,
    numbers: str | None = None,
    options: Sequence[str] = (),
    side: int | None = None,
    scales: Sequence[float] = (),
) -> None:
    """Change how a model is used, as flags say.

    Args:
        model: Its codec and canvas change; its weights do not.
        reading: Where peaks lie.
        numbers: Name of a preset; before `options`.
        options: Fields of the codec, such as "reading.threshold=0.06"; after the others.
        side: Pixels that the long side, or the height, of an image gets.
        scales: Factors on it, for several sizes at once.

    Raises:
        InputError: A flag that is for the other kind of model, or a value that cannot be.
        UnknownName: There is no such reading, preset or option.
    """
    used = whole(model)
    codec = used.codec
    if numbers is not None:
        codec = preset(codec, numbers)
    if reading is not None:
        codec = read_by(codec, reading)
    used.codec = codec
    set_codec(used, options)
    if side is None and not scales:
        return
    if not isinstance(used.preprocess, Canvas):
        raise InputError(
            f"--side and --scales are for models that look at whole images; {model.card.name} looks at one person at a time"
        )
    canvas = used.preprocess
    used.preprocess = replace(canvas, side=canvas.side if side is None else side, scales=tuple(scales) or canvas.scales)


def whole(model: Model) -> TopDown | BottomUp:
    """The model, which must be one that can be run.

    Raises:
        InputError: It is a part of a detector.
    """
    return model.codec if isinstance(model, Part) else model  # a part has none and says so


def only_for_views(model: Model, flags: Sequence[str]) -> None:
    """Refuse flags that are for models that look at one person at a time.

    Raises:
        InputError: The model looks at whole images.
    """
    if flags and isinstance(model.preprocess, Canvas):
        raise InputError(
            f"{model.card.name} looks at whole images and finds and rates people by itself; leave out {' and '.join(flags)}"
        )
