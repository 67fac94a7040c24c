"""Pictures of a batch, after each epoch's validation and at the start: what the network is shown, asked, and answers."""

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
import torch
from jaxtyping import UInt8

from poise.models.bottomup import BottomUp
from poise.models.topdown import TopDown
from poise.scenes import SceneBatch
from poise.structures import Batch, Colours
from poise.transforms.render import denormalise
from poise.viz.draw import draw_arrows, draw_people
from poise.viz.maps import overlay, together

Picture: TypeAlias = UInt8[np.ndarray, "_ _ 3"]

SURE = 0.1
"""Score from which on a person is drawn; there are many below, early in a run."""


@torch.no_grad()
def batch_picture(model: TopDown, batch: Batch, *, most: int = 8) -> Picture:
    """The first views of a batch, one column each: labels, target maps, predicted keypoints, predicted maps.

    Args:
        model: In evaluation mode; the batch is on its device.
        batch: Views and their labels.
        most: Views to show.
    """
    images, xy, visible = batch.images[:most], batch.xy[:most], batch.visible[:most]
    output = model(images)
    points = model.codec.decode(output)
    labelled = (visible > 0)[..., None, None]
    targets = (model.codec.picture(model.codec.encode(xy)) * labelled).float().cpu()
    answers = model.codec.picture(output).float().cpu()
    columns = []
    for i, view in enumerate(_pixels(images, model.preprocess)):
        labels = draw_people(view, xy[i : i + 1].cpu(), visible[i : i + 1].cpu(), model.skeleton)
        score = points.score[i : i + 1].float().cpu()
        found = draw_people(view, points.xy[i : i + 1].float().cpu(), score, model.skeleton, min_score=0.1)
        columns.append((labels, overlay(view, together(targets[i])), found, overlay(view, together(answers[i]))))
    return _beside(columns)


@torch.no_grad()
def scene_picture(model: BottomUp, batch: SceneBatch, *, most: int = 4) -> Picture:
    """The first views of a batch, one column each: labels, target maps, predicted people, predicted maps and arrows.

    The arrows start at labelled keypoints and end where the model believes others of the same person to be.

    Args:
        model: In evaluation mode; the batch is on its device.
        batch: Views and who is in them.
        most: Views to show.
    """
    batch = batch.first(most)
    scenes, output = batch.scenes, model(batch.images)
    everybody = model.read(output)
    targets = model.codec.picture(model.codec.encode(scenes)).float().cpu()
    answers = model.codec.picture(output).float().cpu()
    arrows = model.codec.arrows(output, scenes).float().cpu().numpy()
    columns = []
    for i, view in enumerate(_pixels(batch.images, model.preprocess)):
        here = (scenes.scene == i).cpu()
        labels = draw_people(view, scenes.xy.cpu()[here], scenes.visible.cpu()[here], model.skeleton)
        sure = (everybody[i].pose_score >= SURE).cpu()
        xy, score = everybody[i].xy.float().cpu()[sure], everybody[i].score.float().cpu()[sure]
        found = draw_people(view, xy, score, model.skeleton, min_score=model.preprocess.min_keypoint_score)
        guided = draw_arrows(view // 2, arrows[here.numpy()].reshape(-1, 4))
        columns.append((labels, overlay(view, together(targets[i])), found, overlay(view, together(answers[i])), guided))
    return _beside(columns)


def _pixels(images: torch.Tensor, colours: Colours) -> list[Picture]:
    """The views as they look."""
    return [np.ascontiguousarray(denormalise(one, colours).permute(1, 2, 0).cpu().numpy()) for one in images]


def _beside(columns: Sequence[Sequence[Picture]]) -> Picture:
    """Rows of pictures under each other, columns beside each other."""
    picture: Picture = np.concatenate([np.concatenate(column, axis=0) for column in columns], axis=1)
    return picture


def png(picture: Picture) -> bytes:
    """A picture as the bytes of a PNG file."""
    encoded: np.ndarray = cv2.imencode(".png", picture[..., ::-1])[1]
    return encoded.tobytes()
