"""Pictures of a batch during training: labels, targets, outputs, predictions."""

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from poise.codecs.base import InstanceCodec
from poise.codecs.roi import RoICodec
from poise.codecs.scene import SceneCodec
from poise.dims import Size
from poise.models.rcnn_masks import pasted as pasted_masks
from poise.models.values import Detections
from poise.scenes import Canvas, People, SceneBatch
from poise.skeletons import COCO17, Skeleton
from poise.structures import Batch, Normalization
from poise.transforms.render import denormalise
from poise.viz.draw import draw_arrows, draw_masks, draw_people, titled
from poise.viz.maps import max_over_keypoints, overlay

Picture: TypeAlias = UInt8[np.ndarray, "_ _ 3"]

PEOPLE, IMAGES = 8, 4
"""Views of a batch that are drawn: of one person each, and of whole images."""

MIN_SCORE = 0.1
"""People (and keypoints) of lower scores are not drawn; there are many of them early in a run."""


def person_picture(
    batch: Batch, output: Float[Tensor, "b ..."], codec: InstanceCodec, *, colours: Normalization, skeleton: Skeleton
) -> Picture:
    """The first views of a batch, one column each: labels, target maps, predicted keypoints, predicted maps.

    Args:
        batch: Views and their labels.
        output: Output of the network for these views.
        codec: Codec of the output.
        colours: Normalisation of the views.
        skeleton: Skeleton to draw.
    """
    images, xy, visible, output = batch.images[:PEOPLE], batch.xy[:PEOPLE], batch.visible[:PEOPLE], output[:PEOPLE]
    points = codec.decode(output)
    labelled = (visible > 0)[..., None, None]
    targets = (codec.picture(codec.encode(xy)) * labelled).float().cpu()
    pictured = codec.picture(output).float().cpu()
    columns = []
    for i, view in enumerate(_pixels(images, colours)):
        labels = draw_people(view, xy[i : i + 1].cpu(), visible[i : i + 1].cpu(), skeleton)
        score = points.score[i : i + 1].float().cpu()
        found = draw_people(view, points.xy[i : i + 1].float().cpu(), score, skeleton, min_score=MIN_SCORE)
        columns.append(
            (labels, overlay(view, max_over_keypoints(targets[i])), found, overlay(view, max_over_keypoints(pictured[i])))
        )
    return _beside(columns, ("labels", "target maps", "found", "predicted maps"))


def scene_picture(
    batch: SceneBatch, output: Float[Tensor, "b c h w"], codec: SceneCodec, *, canvas: Canvas, skeleton: Skeleton
) -> Picture:
    """The first views of a batch, one column each: labels, target maps, predicted people, predicted maps and arrows.

    The arrows start at labelled keypoints and end where the output predicts others of the same person.

    Args:
        batch: Views and their labels, at most `IMAGES`.
        output: Output of the network for these views.
        codec: Codec of the output.
        canvas: Resizing and normalisation of the views.
        skeleton: Skeleton to draw.
    """
    scenes = batch.scenes
    everybody = codec.decode(output)
    targets = codec.picture(codec.encode(scenes)).float().cpu()
    pictured = codec.picture(output).float().cpu()
    arrows = codec.arrows(output, scenes).float().cpu().numpy()
    columns = []
    for i, view in enumerate(_pixels(batch.images, canvas)):
        here = (scenes.scene == i).cpu()
        labels = draw_people(view, scenes.xy.cpu()[here], scenes.visible.cpu()[here], skeleton)
        confident = (everybody[i].pose_score >= MIN_SCORE).cpu()
        xy, score = everybody[i].xy.float().cpu()[confident], everybody[i].score.float().cpu()[confident]
        found = draw_people(view, xy, score, skeleton, min_score=canvas.min_keypoint_score)
        guided = draw_arrows(view // 2, arrows[here.numpy()].reshape(-1, 4))
        columns.append(
            (
                labels,
                overlay(view, max_over_keypoints(targets[i])),
                found,
                overlay(view, max_over_keypoints(pictured[i])),
                guided,
            )
        )
    return _beside(columns, ("labels", "target maps", "found", "predicted maps", "offsets to others of the person"))


def people_picture(batch: SceneBatch, everybody: Sequence[People], *, canvas: Canvas, skeleton: Skeleton) -> Picture:
    """The first views of a batch, one column each: labels, predicted people.

    Args:
        batch: Views and their labels, at most `IMAGES`.
        everybody: The people predicted in each view.
        canvas: Resizing and normalisation of the views.
        skeleton: Skeleton to draw.
    """
    scenes, columns = batch.scenes, []
    for i, view in enumerate(_pixels(batch.images, canvas)):
        here = (scenes.scene == i).cpu()
        labels = draw_people(view, scenes.xy.cpu()[here], scenes.visible.cpu()[here], skeleton, boxes=scenes.boxes.cpu()[here])
        good = (everybody[i].pose_score >= MIN_SCORE).cpu()
        xy, score, framed = (part.float().cpu()[good] for part in (everybody[i].xy, everybody[i].score, everybody[i].boxes))
        found = draw_people(view, xy, score, skeleton, boxes=framed, min_score=canvas.min_keypoint_score)
        columns.append((labels, found))
    return _beside(columns, ("labels", "found"))


def boxes_picture(batch: SceneBatch, found: Sequence[Detections], *, canvas: Canvas, min_score: float) -> Picture:
    """The first views of a batch, one column each: labelled boxes and masks, predicted boxes and masks.

    Args:
        batch: Views and their labels, at most `IMAGES`.
        found: Boxes in each view, perhaps with masks.
        canvas: Resizing and normalisation of the views.
        min_score: Lowest confidence that is drawn.
    """
    scenes, confident, columns = batch.scenes, max(MIN_SCORE, min_score), []
    for i, view in enumerate(_pixels(batch.images, canvas)):
        here = (scenes.scene == i).cpu()
        outlined = view if scenes.masks is None else draw_masks(view, scenes.masks.cpu()[here].bool().numpy())
        good = (found[i].score >= confident).cpu()
        boxes, masks = found[i].boxes.float().cpu()[good], found[i].masks
        tinted = view if masks is None else draw_masks(view, pasted_masks(masks.cpu()[good], boxes, _size(view)))
        columns.append((_framed(outlined, scenes.boxes.float().cpu()[here]), _framed(tinted, boxes)))
    return _beside(columns, ("labels", "found"))


def _framed(view: Picture, boxes: Float[Tensor, "n 4"]) -> Picture:
    """The view with boxes drawn on it."""
    nobody = torch.zeros(len(boxes), len(COCO17), dtype=torch.int64)
    return draw_people(view, nobody[..., None].expand(-1, -1, 2).float(), nobody, COCO17, boxes=boxes)


def detector_picture(
    batch: SceneBatch,
    everybody: Sequence[People],
    outputs: Float[Tensor, "n ..."],
    codec: RoICodec,
    *,
    canvas: Canvas,
    skeleton: Skeleton,
    min_score: float,
) -> Picture:
    """The first views of a batch, one column each: labels, predicted people, target and predicted maps in labelled boxes.

    Args:
        batch: Views and their labels, at most `IMAGES`.
        everybody: The people predicted in each view.
        outputs: Outputs of the keypoint head for the labelled boxes.
        codec: Codec of the outputs.
        canvas: Resizing and normalisation of the views.
        skeleton: Skeleton to draw.
        min_score: Lowest pose score that is drawn.
    """
    scenes, confident = batch.scenes, max(MIN_SCORE, min_score)
    boxes = [scenes.boxes[scenes.scene == view] for view in range(len(batch))]
    targets = codec.encode(scenes.xy, scenes.boxes)
    seen = (scenes.visible > 0)[..., None, None]
    maps = [codec.picture(part).float().cpu() for part in (targets, outputs)]
    maps[0] = maps[0] * seen.cpu()
    columns = []
    for i, view in enumerate(_pixels(batch.images, canvas)):
        here, own, people = (scenes.scene == i).cpu(), boxes[i].float().cpu(), everybody[i]
        xy, visible = scenes.xy.cpu()[here], scenes.visible.cpu()[here]
        labels = draw_people(view, xy, visible, skeleton, boxes=own)
        good = (people.pose_score >= confident).cpu()
        xy, score, framed = (part.float().cpu()[good] for part in (people.xy, people.score, people.boxes))
        found = draw_people(view, xy, score, skeleton, boxes=framed, min_score=canvas.min_keypoint_score)
        columns.append((labels, found, *(overlay(view, pasted(part[here], own, _size(view))) for part in maps)))
    return _beside(columns, ("labels", "found", "target maps", "predicted maps"))


def pasted(maps: Float[Tensor, "n k h w"], boxes: Float[Tensor, "n 4"], size: Size) -> Float[Tensor, "hh ww"]:
    """Maps of boxes, resized and pasted into an empty view of `size` (h, w); the maximum over keypoints and boxes."""
    whole = np.zeros(size, np.float32)
    for own, box in zip(maps, boxes, strict=True):
        x0, y0, x1, y1 = (int(edge) for edge in (*box[:2].floor().tolist(), *box[2:].ceil().tolist()))
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, size[1]), min(y1, size[0])
        if x1 > x0 and y1 > y0:
            high = np.ascontiguousarray(max_over_keypoints(own).numpy())
            part = whole[y0:y1, x0:x1]
            np.maximum(part, cv2.resize(high, (x1 - x0, y1 - y0)), out=part)
    return torch.from_numpy(whole)


def _size(view: Picture) -> Size:
    return view.shape[0], view.shape[1]


def _pixels(images: torch.Tensor, colours: Normalization) -> list[Picture]:
    """The views as RGB images, uint8."""
    return [np.ascontiguousarray(denormalise(one, colours).permute(1, 2, 0).cpu().numpy()) for one in images]


def _beside(columns: Sequence[Sequence[Picture]], captions: Sequence[str]) -> Picture:
    """Rows of pictures under each other, each below its caption; columns beside each other."""
    rows = [np.concatenate(row, axis=1) for row in zip(*columns, strict=True)]
    captioned = [titled(row, caption) for row, caption in zip(rows, captions, strict=True)]
    picture: Picture = np.concatenate(captioned, axis=0)
    return picture


def png(picture: Picture) -> bytes:
    """A picture encoded as PNG."""
    encoded: np.ndarray = cv2.imencode(".png", picture[..., ::-1])[1]
    return encoded.tobytes()
