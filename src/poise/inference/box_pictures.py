"""Pictures of the boxes and masks that a detector found."""

from collections.abc import Sequence
from pathlib import Path
from typing import final

import cv2
import numpy as np

from poise.data.images import write_image
from poise.data.masks import mask
from poise.inference.detect import Detected
from poise.inference.request import ImageRequest
from poise.inference.write import picture_names, writable_folder
from poise.viz.draw import BOX, Pixels, draw_masks
from poise.writing import check_targets


@final
class BoxPictures:
    """Draws the boxes and masks of each image into a folder.

    Args:
        folder: The folder.
        requests: The images, which are read again.

    Raises:
        WriteError: The folder or a file cannot be written.
    """

    def __init__(self, folder: Path, requests: Sequence[ImageRequest]) -> None:
        self._requests = {request.key: request for request in requests}
        names = picture_names([key.file_name for key in self._requests])
        self._places = {key: writable_folder(folder) / names[key.file_name] for key in self._requests}
        check_targets(self._places.values(), flag="--pictures")

    def add(self, found: Detected) -> None:
        """Draw the boxes and masks of an image.

        Raises:
            WriteError: The picture cannot be written.
        """
        image = np.ascontiguousarray(self._requests[found.key].read().permute(1, 2, 0).numpy())
        write_image(self._places[found.key], drawn(image, found))


def drawn(image: Pixels, found: Detected) -> Pixels:
    """A copy of the image with masks and boxes.

    Args:
        image: RGB, 0 to 255.
        found: What was found in it.
    """
    size = (image.shape[0], image.shape[1])
    out = draw_masks(image, (mask(one, size) for one in found.masks or ()))
    width = max(1, round(max(size) / 300))
    for x0, y0, x1, y1 in found.boxes.round().int().tolist():
        cv2.rectangle(out, (x0, y0), (x1, y1), BOX, width, cv2.LINE_AA)
    return out
