"""People found in boxes, from pixels of a view to pixels of its image."""

from jaxtyping import Float
from torch import Tensor

from poise.geometry import Warp, apply, invert
from poise.models.values import Detections
from poise.scenes import Canvas, People
from poise.structures import Key, Poses
from poise.transforms.canvas import boxes_to_image


def poses_in_boxes(people: People, warp: Warp, key: Key, *, canvas: Canvas) -> Poses:
    """People of a view as poses of its image, in the boxes they were found in.

    Args:
        people: People with boxes, pixels of the view.
        warp: Affine map of keypoints from image to view (3 3).
        key: Key of the image.
        canvas: Canvas of the model, which says the pixel convention of boxes.
    """
    xy = apply(invert(warp.double()), people.xy.cpu().double()).float()
    boxes = boxes_to_image(canvas, warp, people.boxes.cpu().float())
    pose_score = people.pose_score.cpu().float()
    confidence = pose_score if people.box_score is None else people.box_score.cpu().float()
    masks = None if people.masks is None else people.masks.cpu().float()
    return Poses(xy, people.score.cpu().float(), boxes, confidence, pose_score, key, masks=masks)


def people_to_image(people: People, warp: Float[Tensor, "3 3"], canvas: Canvas) -> People:
    """People of a view in pixels of its image, on the CPU."""
    parts = (people.xy, people.score, people.pose_score, people.boxes)
    xy, score, pose_score, boxes = (part.float().cpu() for part in parts)
    confidence = pose_score if people.box_score is None else people.box_score.float().cpu()
    positions = apply(invert(warp), xy.to(warp.dtype)).float()
    masks = None if people.masks is None else people.masks.float().cpu()
    return People(positions, score, pose_score, boxes_to_image(canvas, warp, boxes), confidence, masks)


def detections_of(people: People) -> Detections:
    """The boxes of people, with their masks."""
    return Detections(people.boxes, people.pose_score if people.box_score is None else people.box_score, people.masks)
