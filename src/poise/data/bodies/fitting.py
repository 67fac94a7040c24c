"""Poses fitted to 2-D labels: projected joints meet the labels; limits of the joints and a prior decide the depth.

The camera is level and far away, so a body of mean shape is scaled and shifted to each person's labels. Labels that no pose
explains weigh little (Geman-McClure), and what is left of their distances tells wrong ones.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, final

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from poise.data.base import Dataset
from poise.data.bodies.joints import NAMES, limits
from poise.data.bodies.model import body_model
from poise.data.bodies.people import rig
from poise.data.bodies.postures import random_posture
from poise.errors import InputError

TURNS: Final = (0.0, 90.0, 180.0, 270.0)
"""Directions that a fit begins with, degrees; the best end is taken."""
NOISE: Final = 0.03
"""Standard deviation of labels, as a share of a person's size."""
FEWEST: Final = 6
"""Fewest labelled keypoints of a person whose pose is fitted."""


@final
@dataclass(frozen=True, eq=False)
class Fit:
    """Poses of n people.

    Attributes:
        angles: Poses (n a), radians, in the order of `joints.NAMES`; within the limits.
        distances: Distance of each projected joint from its label (n k), as a share of the person's size; NaN without a label.
        sizes: Size of each person (n): the longer side of the box around the labels, in their units.
    """

    angles: Float[Tensor, "n a"]
    distances: Float[Tensor, "n k"]
    sizes: Float[Tensor, " n"]

    @property
    def residuals(self) -> Float[Tensor, " n"]:
        """Median distance of each person (n)."""
        return self.distances.nanmedian(dim=1).values


def fit_poses(
    xy: Float[Tensor, "n k 2"], visible: Int[Tensor, "n k"], names: Sequence[str], *, steps: int = 120
) -> Fit:  # fmt: skip
    """Fit a pose to each person's labels.

    Args:
        xy: Labels of keypoints, pixels.
        visible: Their visibility; those of 0 are left out.
        names: Names of the keypoints; of those that the body has (`points`); "head_top" is "head".
        steps: Steps of Adam.

    Raises:
        InputError: Fewer than `FEWEST` keypoints of the body are among the names.
    """
    known = points()
    used = [i for i, name in enumerate(names) if name in known]
    if len(used) < FEWEST:
        raise InputError(f"found the keypoints {', '.join(names)}; at least {FEWEST} must be of {', '.join(known)}")
    share = torch.stack([known[names[i]] for i in used])
    labelled = (visible[:, used] > 0).float()
    goal, sizes = _normalised(xy[:, used].float(), labelled)
    start = _starts(_inclined(goal, labelled, [names[i] for i in used])).flatten(0, 1)
    many, much = goal.repeat(len(TURNS), 1, 1), labelled.repeat(len(TURNS), 1)
    found, energy = _descended(start, many, much, share, steps=steps)
    best = energy.reshape(len(TURNS), -1).argmin(dim=0)
    angles = found.reshape(len(TURNS), -1, len(NAMES))[best, torch.arange(len(goal))].clamp(*limits())
    with torch.no_grad():
        gaps = (_placed(_projected(angles, share), goal, labelled) - goal).norm(dim=2)
    distances = torch.full(visible.shape, torch.nan)
    distances[:, used] = torch.where(labelled > 0, gaps, torch.nan)
    return Fit(angles, distances, sizes)


def _inclined(goal: Tensor, labelled: Tensor, names: Sequence[str]) -> Tensor:
    """How far the trunk of each person (n) is inclined in the image, clockwise, radians; 0 where that is not labelled."""
    ends = []
    for joint in ("hip", "shoulder"):
        at = [i for i, name in enumerate(names) if name in (f"left_{joint}", f"right_{joint}")]
        seen = labelled[:, at, None]
        ends.append(((goal[:, at] * seen).sum(dim=1) / seen.sum(dim=1).clamp(min=1), seen.sum(dim=(1, 2)) > 0))
    (hips, low), (shoulders, high) = ends
    up = shoulders - hips
    return torch.where(low & high, torch.atan2(up[:, 0], -up[:, 1]), 0.0)


def _starts(inclined: Tensor) -> Tensor:
    """Poses that fits begin with (t n a): a mean pose that looks in each of the `TURNS`, inclined in the image."""
    start = torch.zeros(len(TURNS), len(inclined), len(NAMES)) + _prior()[0]
    for row, turn in zip(start, TURNS, strict=True):
        angle, sign = ("root_bend", "root_lean")[int(turn / 90) % 2], 1.0 if turn < 180 else -1.0
        row[:, NAMES.index("root_turn")] = math.radians(turn)
        row[:, NAMES.index(angle)] = sign * inclined
    return start


@cache
def points() -> dict[str, Tensor]:
    """How the bones move each point (b 4) of the body of mean shape: a point is the sum of transforms times these."""
    model = body_model()
    moved = np.zeros((len(model.template), len(model.names)), np.float32)
    np.put_along_axis(moved, model.bones.astype(np.int64), model.weights, axis=1)
    ones = np.concatenate((model.template, np.ones((len(model.template), 1), np.float32)), axis=1)
    shares = np.einsum("kv,vb,vc->kbc", model.regressor, moved, ones, optimize=True)
    found = {name: torch.from_numpy(row).float() for name, row in zip(model.keypoints, shares, strict=True)}
    return found | {"head_top": found["head"]}


def _projected(angles: Tensor, share: Tensor) -> Tensor:
    """Points of bodies (n k 2) as a level camera before them sees them from far away, metres."""
    heads = torch.from_numpy(body_model().heads).expand(len(angles), -1, -1)
    at = torch.einsum("nbij,kbj->nki", rig().transforms(angles, heads), share)
    return torch.stack((at[..., 0], -at[..., 2]), dim=-1)


def _placed(seen: Tensor, goal: Tensor, labelled: Tensor) -> Tensor:
    """Points scaled and shifted to the labels by least squares; the scale is positive."""
    weight = (labelled / labelled.sum(dim=1, keepdim=True).clamp(min=1))[..., None]
    here, there = (weight * seen).sum(dim=1, keepdim=True), (weight * goal).sum(dim=1, keepdim=True)
    a, b = seen - here, goal - there
    scale = (weight * a * b).sum(dim=(1, 2)) / (weight * a * a).sum(dim=(1, 2)).clamp(min=1e-4)
    return there + scale.clamp(min=0.15)[:, None, None] * a


def _descended(start: Tensor, goal: Tensor, labelled: Tensor, share: Tensor, *, steps: int) -> tuple[Tensor, Tensor]:
    """Angles after Adam, and their energy (n)."""
    low, high = limits()
    mean, inverse = _prior()
    angles = start.clone().requires_grad_()
    adam = torch.optim.Adam([angles], lr=0.08)
    energy = torch.zeros(len(start))
    for step in range(steps):
        adam.param_groups[0]["lr"] = 0.08 * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        off = ((_placed(_projected(angles, share), goal, labelled) - goal) ** 2).sum(dim=2) / NOISE**2
        wide = 30.0 if step < steps // 2 else 9.0  # squares of distances in noises beyond which a label counts as wrong
        data = (labelled * wide * off / (wide + off)).sum(dim=1)
        gone = torch.relu(angles - high) ** 2 + torch.relu(low - angles) ** 2
        away = angles - mean
        energy = data + 100 * gone.sum(dim=1) + 0.25 * ((away @ inverse) * away).sum(dim=1)
        (angles.grad,) = torch.autograd.grad(energy.sum(), angles)
        adam.step()
    return angles.detach(), energy.detach()


@cache
def _prior() -> tuple[Tensor, Tensor]:
    """Mean (a) and inverse covariance (a a) of random poses; the direction that a person looks in is free."""
    rng = np.random.default_rng(0)
    drawn = np.stack([random_posture(rng) for _ in range(3000)])
    wide = np.cov(drawn.T) + 0.02 * np.eye(len(NAMES))
    mean = torch.from_numpy(drawn.mean(axis=0)).float()
    free = [NAMES.index(name) for name in ("root_turn", "root_lean", "root_bend")]
    inverse = np.linalg.inv(wide)
    inverse[free], inverse[:, free] = 0.0, 0.0
    mean[free] = 0.0
    return mean, torch.from_numpy(inverse).float()


def _normalised(xy: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
    """Labels around 0 as shares of the person's size, and the sizes (n)."""
    there = labelled[..., None] > 0
    low = torch.where(there, xy, torch.inf).amin(dim=1)
    high = torch.where(there, xy, -torch.inf).amax(dim=1)
    sizes = (high - low).amax(dim=1).clamp(min=1e-3)
    return torch.where(there, xy - 0.5 * (low + high)[:, None], 0.0) / sizes[:, None, None], sizes


@final
@dataclass(frozen=True, eq=False)
class Suspect:
    """A label that no pose explains.

    Attributes:
        file_name: File of its image.
        image_id: Id of its image.
        person: Index of its person among the labels of the image.
        keypoint: Name of the keypoint.
        distance: Distance from where the pose has the joint, as a share of the person's size.
    """

    file_name: str
    image_id: int
    person: int
    keypoint: str
    distance: float


def fit_dataset(
    dataset: Dataset, *, explained: float, good: float, told: Callable[[int, int], None] | None = None, batch: int = 250
) -> tuple[NDArray[np.float32], list[Suspect]]:
    """Fit poses to the people of a data set with `FEWEST` labels or more.

    Args:
        dataset: The data set; images are not read.
        explained: Labels farther from the pose than this share of the person's size are suspects.
        good: Poses whose median distance is above this share are left out.
        told: Called with the number of people done and of all, after each batch.
        batch: People fitted at once.

    Returns:
        Poses (n a), radians, and suspects, the farthest first.
    """
    people = [(i, p) for i, p in dataset.people() if int((dataset.labels(i).visible[p] > 0).sum()) >= FEWEST]
    if not people:
        raise InputError(f"{_files(dataset)}: found nobody with {FEWEST} labelled keypoints or more, which a pose needs")
    names = dataset.skeleton.keypoints
    angles, suspects = [], []
    for start in range(0, len(people), batch):
        part = people[start : start + batch]
        labels = [(dataset.labels(i).xy[p], dataset.labels(i).visible[p]) for i, p in part]
        fit = fit_poses(torch.stack([xy for xy, _ in labels]), torch.stack([seen for _, seen in labels]), names)
        angles.append(fit.angles[fit.residuals <= good].numpy())
        for n, k in (fit.distances > explained).nonzero().tolist():
            image, person = part[n]
            key = dataset.key(image)
            suspects.append(Suspect(key.file_name, key.image_id, person, names[k], float(fit.distances[n, k])))
        if told is not None:
            told(min(start + batch, len(people)), len(people))
    return np.concatenate(angles).astype(np.float32), sorted(suspects, key=lambda s: -s.distance)


def _files(dataset: Dataset) -> str:
    return ", ".join(repr(str(path)) for path in dataset.files_read) or "the data set"
