"""Mean and deviation of an imported checkpoint, where the file or whoever imports it knows better than the name."""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite

from poise.errors import InputError
from poise.models.base import Model
from poise.structures import Normalization
from poise.zoo.family import Family

Colour = tuple[float, float, float]
"""Red, green, blue, as shares of 255."""


def check_colour(values: Sequence[float] | None, *, what: str) -> None:
    """Refuse what is no mean or deviation of pixels.

    Args:
        values: Red, green, blue; None where nothing was given.
        what: "mean" or "std".

    Raises:
        InputError: It is none.
    """
    if values is None:
        return
    low = 0.0 if what == "mean" else 1e-6
    if len(values) != 3 or not all(isfinite(value) and low <= value <= 1 for value in values):
        raise InputError(
            f"{what} takes three numbers for red, green and blue, as shares of 255 ({'0' if what == 'mean' else 'above 0'} to "
            f"1), found {' '.join(f'{value:g}' for value in values)}; divide values of 0 to 255 by 255"
        )


def with_colours(model: Model, family: Family, file_name: str, *, mean: Colour | None = None, std: Colour | None = None) -> str:
    """Give a model the mean and deviation of its checkpoint, and return what to say of it.

    Args:
        model: The model, whose preprocessing is replaced.
        family: Its family, which may tell the mean by the name of a file.
        file_name: Name of the checkpoint's file; "" where it is not known.
        mean: Red, green, blue, 0 to 1; None for that of the file or the family.
        std: Standard deviation of red, green, blue, 0 to 1; None for that of the family.

    Raises:
        InputError: They are no colours, or the model reads no images.
    """
    check_colour(mean, what="mean")
    check_colour(std, what="std")
    told = family.mean_of_file(file_name) if mean is None and family.mean_of_file is not None else None
    if mean is None and std is None and told is None:
        return ""
    old = getattr(model, "preprocess", None)
    if not isinstance(old, Normalization):
        raise InputError(f"{model.card.name!r} is a part of a network and reads no images, so it has no mean and std")
    order = slice(None) if old.channels == "rgb" else slice(None, None, -1)
    changed = {name: tuple(value)[order] for name, value in (("mean", mean or told), ("std", std)) if value is not None}
    model.preprocess = replace(old, **changed)  # type: ignore[arg-type]  # three numbers each
    if told is not None:
        return f"; its name says that it was trained on real animals, so their mean {_shown(told)} is subtracted"
    return "; " + ", ".join(f"{name} {_shown(value)}" for name, value in (("mean", mean), ("std", std)) if value) + " as given"


def _shown(colour: Colour) -> str:
    return " ".join(f"{value:g}" for value in colour)
