"""Pictures of a batch, after each epoch's validation and at the start: what the network is shown, asked, and answers."""

import cv2
import numpy as np
import torch
from jaxtyping import UInt8

from poise.models.topdown import TopDown
from poise.structures import Batch
from poise.transforms.render import denormalise
from poise.viz.draw import draw_people
from poise.viz.maps import overlay, together

Picture = UInt8[np.ndarray, "h w 3"]


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
    for i in range(len(images)):
        view = denormalise(images[i], model.preprocess).permute(1, 2, 0).cpu().numpy()
        view = np.ascontiguousarray(view)
        labels = draw_people(view, xy[i : i + 1].cpu(), visible[i : i + 1].cpu(), model.skeleton)
        score = points.score[i : i + 1].float().cpu()
        found = draw_people(view, points.xy[i : i + 1].float().cpu(), score, model.skeleton, min_score=0.1)
        rows = (labels, overlay(view, together(targets[i])), found, overlay(view, together(answers[i])))
        columns.append(np.concatenate(rows, axis=0))
    picture: Picture = np.concatenate(columns, axis=1)
    return picture


def png(picture: Picture) -> bytes:
    """A picture as the bytes of a PNG file."""
    encoded: np.ndarray = cv2.imencode(".png", picture[..., ::-1])[1]
    return encoded.tobytes()
