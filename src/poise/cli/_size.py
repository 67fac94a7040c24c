"""Sizes of views, as words of a command."""

from poise.dims import Size
from poise.errors import InputError


def view_size(text: str) -> Size:
    """Height and width of views whose maps have a cell for every 4 pixels.

    >>> view_size("256x192")
    (256, 192)

    Raises:
        InputError: The words are others, or no such maps fit.
    """
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) >= 8 and int(side) % 4 == 0 for side in sides):
        raise InputError(f"--size is height x width, such as 256x192, both multiples of 4 and at least 8; found {text!r}")
    return int(sides[0]), int(sides[1])
