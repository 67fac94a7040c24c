"""Masks of Mask R-CNN (arXiv 1703.06870): predicted in the boxes found, pasted into the image, as COCO's run lengths."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torchvision.models.detection.roi_heads import paste_masks_in_image

from poise.data.base import Dataset
from poise.data.masks import run_lengths
from poise.dims import Size
from poise.models.postprocess import FlipPass
from poise.models.values import Detections
from poise.nn.rcnn import RCNN
from poise.structures import Poses

MASKS_PER_PASS = 100
"""Boxes whose masks are predicted at once."""

INSIDE = 0.5
"""Probability above which a pixel belongs to a mask, as in the releases."""


def with_masks(network: RCNN, both: list[FlipPass], found: list[Detections], *, person: int) -> list[Detections]:
    """Detections with the masks of their boxes; the flip test averages the probabilities of plain and mirrored views.

    Args:
        network: A network with a mask head, in evaluation mode.
        both: The plain views, and for the flip test the mirrored ones.
        found: Boxes in each view.
        person: Index of the class of people.
    """
    return [replace(own, masks=_masks(network, both, found, view, person)) for view, own in enumerate(found)]


def _masks(network: RCNN, both: list[FlipPass], found: list[Detections], view: int, person: int) -> Float[Tensor, "n mh mw"]:
    """Probabilities of the cells of one view's boxes."""
    parts = [found[view].boxes[:0].new_zeros(0, 28, 28)]
    for start in range(0, len(found[view].boxes), MASKS_PER_PASS):
        boxes = [own.boxes[:0] for own in found]
        boxes[view] = found[view].boxes[start : start + MASKS_PER_PASS]
        each = [network.mask_logits(shown.features, shown.flip_boxes(boxes)).float() for shown in both]
        chosen = [logits[:, min(person, logits.shape[1] - 1)].sigmoid() for logits in each]
        plain = [masks.flip(-1) if shown.mirrored else masks for shown, masks in zip(both, chosen, strict=True)]
        parts.append(torch.stack(plain).mean(dim=0))
    return torch.cat([part for part in parts if len(part)] or parts)


def pasted(masks: Float[Tensor, "n mh mw"], boxes: Float[Tensor, "n 4"], size: Size) -> Iterator[Bool[np.ndarray, "H W"]]:
    """The pixels of the image that each mask covers, one mask after the other, pasted as torchvision does.

    Args:
        masks: Probability of each cell of each box.
        boxes: x0 y0 x1 y1, pixels of the image.
        size: Size of the image (h, w), pixels.
    """
    for mask, box in zip(masks.float().cpu(), boxes.float().cpu(), strict=True):
        inside = bool((box[2:] > 0).all()) and float(box[0]) < size[1] and float(box[1]) < size[0]
        if not inside:
            yield np.zeros(size, dtype=np.bool_)
            continue
        yield (paste_masks_in_image(mask[None, None], box[None], size)[0, 0] > INSIDE).numpy()


def pose_masks(poses: Poses) -> list[dict[str, Any]] | None:
    """The mask of each person as COCO's compressed run lengths; None where there are none.

    Args:
        poses: Poses with the size of their image.
    """
    if poses.masks is None or poses.size is None:
        return None
    return pasted_lengths(poses.masks, poses.boxes, poses.size)


def pasted_lengths(masks: Float[Tensor, "n mh mw"], boxes: Float[Tensor, "n 4"], size: Size) -> list[dict[str, Any]]:
    """The pixels that each mask covers (`pasted`) as COCO's compressed run lengths; the arguments are those of `pasted`."""
    return [run_lengths(mask) for mask in pasted(masks, boxes, size)]


def labelled_masks(dataset: Dataset, ids: Sequence[int], *, category: int) -> list[dict[str, Any]]:
    """COCO annotations of the people of a data set that have a mask, with it as run lengths.

    Args:
        dataset: The data set.
        ids: Id of each of its images.
        category: Category id of the people.
    """
    people = []
    for index, image in enumerate(ids):
        masks, labels = dataset.masks(index), dataset.labels(index)
        if masks is None:
            continue
        for person in masks.flatten(1).any(dim=1).nonzero().flatten().tolist():
            x0, y0, x1, y1 = labels.boxes[person].tolist()
            people.append(
                {
                    "image_id": image,
                    "category_id": category,
                    "segmentation": run_lengths(masks[person].numpy()),
                    "area": float(labels.area[person]),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "iscrowd": int(labels.crowd[person]),
                }
            )
    return people


def mask_rows(
    masks: Sequence[dict[str, Any]], scores: Float[Tensor, " n"], *, image: int, categories: Sequence[int]
) -> list[dict[str, Any]]:
    """Masks in COCO's result format: image_id, category_id, segmentation, score.

    Args:
        masks: Run lengths of each person.
        scores: Confidence of each person's box.
        image: Id of the image.
        categories: Category id of each person.
    """
    return [
        {"image_id": image, "category_id": category, "segmentation": mask, "score": score}
        for mask, score, category in zip(masks, scores.double().tolist(), categories, strict=True)
    ]
