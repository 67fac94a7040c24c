"""What a model reads of every person of the target, in several views of each: unchanged, and scaled and rotated at random."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.adaptation.target import Target
from poise.models.base import PoseModel
from poise.models.device import autocast
from poise.models.views.base import TrainData, ViewDataset
from poise.structures import Batch
from poise.training.data import ResumableSampler, loader
from poise.training.task import TaskRun
from poise.transforms.jitter import Augmentation

VIEWS = Augmentation(scale=0.25, rotation=30.0, rotation_probability=1.0, flip=0.0)
"""The random views of CC-SSL's release (golden c03): the frame grows by clip(N(1, 0.25)), the content turns by N(0, 30).

A turn is at most 60 degrees. A mirrored view is not among them.
"""

CHANGES = replace(VIEWS, translation=0.1, flip=0.5)
"""Random views that are also shifted and mirrored: a model that always answers the middle of the view does not agree then."""

FEW = 500
"""Views that are read sooner than loader processes have started."""


@final
@dataclass(frozen=True, eq=False)
class Readings:
    """Keypoints of n people, each read in t views; the first view is the one that the model is used on.

    Attributes:
        xy: Positions, pixels of the image; 0 where an image could not be read.
        score: Confidences; 0 there.
        extent: Longer side of the first view of each person, pixels of the image.
    """

    xy: Float[Tensor, "t n k 2"]
    score: Float[Tensor, "t n k"]
    extent: Float[Tensor, " n"]


def read_target(
    model: PoseModel, target: Target, run: TaskRun, *, views: int, seed: int, augmentation: Augmentation = VIEWS
) -> Readings:
    """Read every person of the target; the model is in evaluation mode meanwhile, and its random numbers are none of the run's.

    Args:
        model: Top-down model.
        target: Images and boxes.
        run: Batch, workers, device and precision.
        views: Views of each person, at least 1; the first is unchanged.
        seed: Seed of the others.
        augmentation: How the others are changed.
    """
    first = model.val_views(target, seed=seed)
    others = model.train_views(TrainData("adaptation", target, augmentation), seed=seed)
    n, k = len(first), len(model.skeleton)
    xy, score, extent = torch.zeros(views, n, k, 2), torch.zeros(views, n, k), torch.ones(n)
    with evaluating(model):
        for view in range(views):
            for rows, batch in view_batches(others if view else first, run, epoch=view):
                found, confidence = read_batch(model, batch.to(run.device), run)
                xy[view, rows], score[view, rows] = found, confidence
                if view == 0:
                    extent[rows] = frame_extent(batch)
    return Readings(xy, score, extent)


def read_batch(model: PoseModel, batch: Batch, run: TaskRun) -> tuple[Float[Tensor, "b k 2"], Float[Tensor, "b k"]]:
    """Keypoints of a batch, pixels of the images, left and right as in the image, and confidences."""
    with torch.no_grad(), autocast(run.device, run.precision):
        found = model.validate(batch)[1]
    xy, score = torch.stack([one.xy for one in found]), torch.stack([one.score for one in found])
    mirrored = mirrored_views(batch).cpu()
    flip = model.skeleton.flip
    return torch.where(mirrored[:, None, None], xy[:, flip], xy), torch.where(mirrored[:, None], score[:, flip], score)


def mirrored_views(batch: Batch) -> Tensor:
    """True for each view that shows its image mirrored."""
    found: Tensor = torch.linalg.det(batch.warps[:, :2, :2]) < 0
    return found


def frame_extent(batch: Batch) -> Float[Tensor, " b"]:
    """Longer side of each view, pixels of the image."""
    scale: Tensor = torch.linalg.det(batch.warps[:, :2, :2]).abs().sqrt()
    return (max(batch.images.shape[-2:]) / scale).float().cpu()


def view_batches(views: ViewDataset[Any, Any], run: TaskRun, *, epoch: int) -> Iterator[tuple[Tensor, Batch]]:
    """The views in their order, and which they are; an image that cannot be read is left out."""
    order = ResumableSampler(len(views), max(run.batch, 32), seed=None)
    order.set_epoch(epoch)
    expected = iter(range(len(views)))
    workers = run.workers if len(views) > FEW else 0
    for loaded in loader(views, order, workers=workers, pin=False):
        wanted = [next(expected) for _ in loaded.indices]
        rows = torch.tensor([i for i, view in enumerate(loaded.indices) if view == wanted[i]], dtype=torch.int64)
        if len(rows):
            yield torch.tensor(wanted)[rows], _part(loaded.batch, rows)


def _part(batch: Batch, rows: Tensor) -> Batch:
    if len(rows) == len(batch):
        return batch
    chosen = rows.tolist()
    tensors = {name: getattr(batch, name)[rows] for name in ("images", "xy", "visible", "warps")}
    return Batch(**tensors, keys=tuple(batch.keys[i] for i in chosen), people=tuple(batch.people[i] for i in chosen))


@contextmanager
def evaluating(model: PoseModel) -> Iterator[None]:
    """While this lasts, the model is in evaluation mode, and what is drawn at random is not taken from the run."""
    modes = [(part, part.training) for part in model.modules()]
    with torch.random.fork_rng(devices=[]):
        model.eval()
        try:
            yield
        finally:
            for part, mode in modes:
                part.training = mode
