"""Drawing heatmaps: over an image, or in a grid."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from poise.errors import InputError
from poise.viz.draw import Pixels, contact_sheet, titled

_GRADIENT = np.array([(20, 14, 54), (84, 20, 110), (159, 42, 99), (216, 87, 50), (245, 157, 20), (252, 255, 164)], np.float64)


def colour_map(values: Float[Tensor, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """A map in colours from dark violet (0) over orange to light yellow (1); values are clipped to 0..1, nan counts as 0."""
    level = np.nan_to_num(values.detach().cpu().float().numpy()).clip(0, 1) * (len(_GRADIENT) - 1)
    steps = np.arange(len(_GRADIENT))
    channels = [np.interp(level, steps, _GRADIENT[:, c]) for c in range(3)]
    colours: UInt8[np.ndarray, "h w 3"] = np.stack(channels, axis=-1).round().astype(np.uint8)
    return colours


def overlay(image: Pixels, values: Float[Tensor, "h w"], *, strength: float = 0.75) -> Pixels:
    """A map drawn over an image, with an opacity of `strength` times the value.

    Args:
        image: RGB, 0 to 255.
        values: The map, 0..1; it is resized to the image.
        strength: Opacity where the map is 1, 0..1.
    """
    size = (image.shape[1], image.shape[0])
    colour = cv2.resize(colour_map(values), size, interpolation=cv2.INTER_LINEAR)
    level = np.nan_to_num(values.detach().cpu().float().numpy()).clip(0, 1)
    share = strength * cv2.resize(level, size, interpolation=cv2.INTER_LINEAR)[..., None]
    mixed: Pixels = (image * (1 - share) + colour * share).round().astype(np.uint8)
    return mixed


def max_over_keypoints(maps: Float[Tensor, "k h w"]) -> Float[Tensor, "h w"]:
    """The maximum over all keypoints in each cell."""
    return maps.amax(dim=0)


def grid(
    maps: Float[Tensor, "k h w"], names: Sequence[str], *, image: Pixels | None = None, columns: int = 6, side: int = 128
) -> UInt8[np.ndarray, "rows columns 3"]:
    """All maps in a grid with their names, drawn over an image if there is one.

    Args:
        maps: Heatmaps, 0..1.
        names: Name of each map.
        image: The image that the maps belong to, RGB, 0 to 255; None to draw the maps only.
        columns: Number of maps in a row.
        side: Length of the longer side of each map in the picture, pixels.

    Raises:
        InputError: There are no maps, or not one name for each.
    """
    if len(maps) == 0 or len(names) != len(maps):
        raise InputError(f"a grid needs at least one map and a name for each, found {len(maps)} maps and {len(names)} names")
    height, width = image.shape[:2] if image is not None else maps.shape[1:]
    factor = side / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    blank = np.zeros((size[1], size[0], 3), np.uint8)
    ground = blank if image is None else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    cells = [
        titled(overlay(ground, one, strength=0.75 if image is not None else 1.0), name)
        for one, name in zip(maps, names, strict=True)
    ]
    return contact_sheet(cells, columns)
