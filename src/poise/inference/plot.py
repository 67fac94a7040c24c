"""Poses drawn on their image (`Poses.plot`)."""

import numpy as np
from PIL import Image

from poise.errors import InputError
from poise.inference.inputs import ImageLike, as_image
from poise.models.rcnn_masks import pasted
from poise.skeletons import Skeleton
from poise.structures import Poses
from poise.viz.draw import draw_masks, draw_people


def plot(poses: Poses, image: ImageLike | None, *, skeleton: Skeleton | None, min_score: float, boxes: bool) -> Image.Image:
    """The image with the poses drawn on it.

    Args:
        poses: Poses of this image.
        image: The image; None for the file of the key.
        skeleton: Skeleton whose bones are drawn.
        min_score: Keypoints of a lower score are drawn thin.
        boxes: Whether boxes are drawn, too.

    Raises:
        InputError: There is no image, or no skeleton.
        ImageError: The file is missing or cannot be decoded.
    """
    if skeleton is None:
        raise InputError("these poses do not say which keypoints they are; give plot a skeleton=, such as model.skeleton")
    if image is None and not poses.key.file_name:
        raise InputError("these poses were found in pixels and not in a file; give plot the image: poses.plot(image)")
    pixels = as_image(poses.key.file_name if image is None else image)
    photo = np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())
    if poses.masks is not None:
        photo = draw_masks(photo, pasted(poses.masks, poses.boxes, (pixels.shape[1], pixels.shape[2])))
    drawn = draw_people(
        photo,
        poses.xy.float().cpu(),
        poses.score.float().cpu(),
        skeleton,
        boxes=poses.boxes.float().cpu() if boxes else None,
        min_score=min_score,
        faint=True,
    )
    return Image.fromarray(drawn)
