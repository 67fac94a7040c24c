"""Pseudo-labels as CC-SSL's release makes them, on heatmaps and with its quirks (golden c01): for its figures alone."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from poise.adaptation.consensus import Consensus
from poise.adaptation.readings import evaluating, frame_extent, view_batches
from poise.adaptation.target import Target
from poise.codecs.maps import MapCodec
from poise.errors import InputError
from poise.geometry import apply, invert
from poise.models.base import PoseModel
from poise.models.device import autocast
from poise.models.views.base import TrainData
from poise.structures import Batch
from poise.training.task import TaskRun
from poise.transforms.jitter import Augmentation


def average_maps(maps: Float[np.ndarray, "t k h w"], changes: Sequence[tuple[float, float]]) -> Float[np.ndarray, "k h w"]:
    """The mean of heatmaps of views that were scaled and rotated, each brought back to the unchanged view.

    A map is rotated back about its middle cell, resized by the factor of its view, and cut or padded around its middle to its
    size before; both steps are bilinear and 0 outside.

    Args:
        maps: Square heatmaps of each view.
        changes: Factor on the frame and rotation of the content (degrees) of each view; 1 and 0 for the unchanged one.
    """
    own = [_unwarped(one, scale, degrees) for one, (scale, degrees) in zip(maps, changes, strict=True)]
    mean: Float[np.ndarray, "k h w"] = np.mean(own, axis=0)
    return mean


def _unwarped(maps: Float[np.ndarray, "k h w"], scale: float, degrees: float) -> Float[np.ndarray, "k h w"]:
    side = maps.shape[-1]
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), -degrees, 1)
    return np.stack([_resized(cv2.warpAffine(one, turn, (side, side)), scale) for one in maps])


def _resized(one: Float[np.ndarray, "h w"], scale: float) -> Float[np.ndarray, "h w"]:
    side = one.shape[0]
    own = cv2.resize(one, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    if len(own) >= side:
        start = len(own) // 2 - side // 2
        return own[start : start + side, start : start + side]
    whole, start = np.zeros_like(one), side // 2 - len(own) // 2
    whole[start : start + len(own), start : start + len(own)] = own
    return whole


def averaged_codec(model: PoseModel, augmentation: Augmentation) -> MapCodec:
    """The codec of a model whose heatmaps can be averaged as CC-SSL's release does: square ones, one for each keypoint.

    Args:
        model: The model.
        augmentation: How views are changed; the release scales and rotates them.

    Raises:
        InputError: The model has other outputs, or views are shifted or mirrored.
    """
    codec = model.codec
    if not isinstance(codec, MapCodec) or codec.cells[0] != codec.cells[1] or augmentation.flip or augmentation.translation:
        cells = f" with {codec.cells[0]}x{codec.cells[1]} cells" if isinstance(codec, MapCodec) else ""
        raise InputError(
            f"--published averages square heatmaps of scaled and rotated views, and {model.card.name} is read by "
            f"{type(codec).__name__}{cells}; leave --published out, or take a model with square views and one map a keypoint"
        )
    return codec


def published_consensus(
    model: PoseModel, target: Target, run: TaskRun, *, views: int, augmentation: Augmentation, seed: int
) -> tuple[Consensus, Float[Tensor, " n"]]:
    """Keypoints read from the mean of un-warped heatmaps, and the longer side of the view of each person, pixels of the image.

    Args:
        model: A model with one square heatmap per keypoint.
        target: Images and boxes.
        run: Batch, workers, device and precision.
        views: Views of each person; the first is unchanged.
        augmentation: How the others are changed: scale and rotation.
        seed: Seed of the others.

    Raises:
        InputError: The model has other outputs.
    """
    codec = averaged_codec(model, augmentation)
    first = model.val_views(target, seed=seed)
    others = model.train_views(TrainData("adaptation", target, augmentation), seed=seed)
    n, k = len(first), len(model.skeleton)
    xy, score, extent = torch.zeros(n, k, 2), torch.zeros(n, k), torch.ones(n)
    with evaluating(model):
        each = [view_batches(others if view else first, run, epoch=view) for view in range(views)]
        for together in zip(*each, strict=True):
            rows, plain = together[0]
            whole = [batch for own, batch in together if torch.equal(own, rows)]  # without views that cannot be read
            points = codec.decode(torch.from_numpy(_averaged(model, whole, run)))
            xy[rows] = apply(invert(plain.warps), points.xy.to(plain.warps)).float()
            score[rows], extent[rows] = points.score, frame_extent(plain)
    return Consensus(xy, score, torch.ones_like(score), score), extent


def _averaged(model: PoseModel, batches: Sequence[Batch], run: TaskRun) -> Float[np.ndarray, "b k h w"]:
    """The mean maps of each person, from batches of the same people in several views."""
    with torch.no_grad(), autocast(run.device, run.precision):
        maps = np.stack([model.raw(batch.images.to(run.device))[-1].float().cpu().numpy() for batch in batches])
    changes = [[_change(one, batches[0].warps[i]) for one in (b.warps[i] for b in batches)] for i in range(len(batches[0]))]
    return np.stack([average_maps(maps[:, i], changes[i]) for i in range(maps.shape[1])]).astype(np.float32)


def _change(warp: Float[Tensor, "3 3"], first: Float[Tensor, "3 3"]) -> tuple[float, float]:
    """Factor on the frame and rotation of the content, degrees counter-clockwise, of a view against the unchanged one."""
    linear = (warp @ invert(first))[:2, :2].double()
    factor = float(torch.linalg.det(linear).abs().sqrt())
    return 1 / factor, float(torch.rad2deg(torch.atan2(-linear[1, 0], linear[0, 0])))
