"""A plain reading of OffsetGuided's published decoding: whole maps enlarged, array by array in PyTorch, people in NumPy.

People of one view are an array (people, keypoints, 6): x, y, score, scale, score of the limb, number of the peak.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
Limbs = tuple[tuple[int, int], ...]


def read_scene(
    heat: Tensor,
    offsets: Tensor,
    limbs: Limbs,
    *,
    jitter: Tensor | None = None,
    scale: Tensor | None = None,
    threshold: float = 0.06,
    top: int = 32,
    far: float = 20.0,
    person: float = 0.06,
) -> list[Array]:
    """Everybody in each view of a batch."""
    rows = limb_rows(heat, offsets, limbs, jitter=jitter, scale=scale, threshold=threshold, top=top).numpy()
    return [join(view, limbs, keypoints=heat.shape[1], far=far, person=person) for view in rows]


def limb_rows(
    heat: Tensor, offsets: Tensor, limbs: Limbs, *, jitter: Tensor | None, scale: Tensor | None, threshold: float, top: int
) -> Tensor:
    """As b l n 13: x, y, score of both ends, their numbers, how far off, length, score, scales of both ends."""
    large = F.interpolate(heat, scale_factor=4, mode="bicubic")
    vectors = F.interpolate(offsets, scale_factor=4, mode="bilinear")
    batch, _, height, width = large.shape
    kept = large * (F.max_pool2d(F.pad(large, (1, 1, 1, 1)), 3, stride=1) == large)
    score, index = kept.flatten(2).topk(top)
    xy = torch.stack((index % width, index // width), dim=-1).float()
    xy = xy - 100_000 * (score < threshold)[..., None]
    first, second = (list(ends) for ends in zip(*limbs, strict=True))
    start, number = xy[:, first], index[:, first]
    flat = vectors.reshape(batch, len(limbs), 2, -1)
    guide = start + flat.gather(3, number[:, :, None].expand(-1, -1, 2, -1)).transpose(2, 3)
    shifts = None
    if jitter is not None:
        shifts = F.interpolate(jitter, scale_factor=4, mode="bilinear")
        guide = moved(guide, shifts)
    distance = (guide[:, :, :, None] - xy[:, second][:, :, None]).norm(dim=-1)
    missed, which = distance.min(dim=-1)
    end = xy[:, second].gather(2, which[..., None].expand(-1, -1, -1, 2))
    end_score, end_number = (part[:, second].gather(2, which) for part in (score, index))
    length = (start - end).norm(dim=-1).clamp(min=0.5)
    sure = score[:, first] * end_score * torch.exp(-missed / length)
    sizes = torch.full_like(score, 4.0)
    if scale is not None:
        sizes = F.interpolate(scale, scale_factor=4, mode="bicubic").flatten(2).gather(2, index)
    if shifts is not None:
        spots = shifts.flatten(2)
        start, end = (
            at + torch.stack([spots[:, c].gather(1, n.flatten(1)).view(n.shape) for c in (0, 1)], dim=-1)
            for at, n in ((start, number), (end, end_number))
        )
    cells = height * width
    ids = (number + cells * torch.tensor(first)[:, None], end_number + cells * torch.tensor(second)[:, None])
    columns = (start[..., 0], start[..., 1], score[:, first], end[..., 0], end[..., 1], end_score, *(i.float() for i in ids))
    return torch.stack((*columns, missed, length, sure, sizes[:, first], sizes[:, second].gather(2, which)), dim=-1)


def moved(guide: Tensor, shifts: Tensor) -> Tensor:
    """Guides with the jitter of where they are; looked up as published, x and y exchanged."""
    height, width = shifts.shape[-2:]
    out = guide.clone()
    for b, limb, k in np.ndindex(*guide.shape[:3]):
        x, y = int(guide[b, limb, k, 0]), int(guide[b, limb, k, 1])
        if 0 <= x < min(width, height) and 0 <= y < min(width, height):
            out[b, limb, k] += shifts[b, :, x, y]
    return out


def join(rows: Array, limbs: Limbs, *, keypoints: int, far: float, person: float) -> Array:
    """People of the limbs of one view."""
    people = np.zeros((0, keypoints, 6), np.float32)
    for (f, t), found in zip(limbs, rows, strict=True):
        inside = (found[:, [0, 1, 3, 4]] > 0).all(axis=1)
        found = surest(found[inside & (found[:, 8] < np.maximum(far, found[:, 12]))])
        if len(found):
            people = with_limbs(people, found, f, t)
    return ordered(people, person)


def surest(found: Array) -> Array:
    """The surest limb to each peak, the surest first."""
    found = found[np.argsort(-found[:, 10], kind="stable")]
    _, first = np.unique(found[:, 7], return_index=True)
    kept: Array = found[np.sort(first)]
    return kept


def with_limbs(people: Array, found: Array, f: int, t: int) -> Array:
    """People after the limbs of one type."""
    sure, before = found[:, 10], len(people)
    shared = (people[:, None, [f, t], 5] == found[None, :, [6, 7]]).sum(axis=2)
    better = (sure > people[:, f, None, 4]) | (sure > people[:, t, None, 4])
    m, k = np.nonzero((shared == 2) & better)
    if len(m):
        for joint in (f, t):
            people[m, joint, 4] = np.maximum(sure[k], people[m, joint, 4])
        shared[shared == 2] = -1
    m, k = np.nonzero((shared == 1) & better)
    if len(m):
        for joint, columns in ((f, [0, 1, 2, 11]), (t, [3, 4, 5, 12])):
            people[m, joint, :4] = found[k][:, columns]
            people[m, joint, 5] = found[k, 6 if joint == f else 7]
            people[m, joint, 4] = np.maximum(sure[k], people[m, joint, 4])
        shared[shared == 1] = -1
    if before >= 2:
        people = merged(people)
    new = np.nonzero(shared.sum(axis=0) == 0)[0]
    rows = np.full((len(new), people.shape[1], 6), -1, np.float32)
    rows[:, f] = found[new][:, [0, 1, 2, 11, 10, 6]]
    rows[:, t] = found[new][:, [3, 4, 5, 12, 10, 7]]
    return np.concatenate((people, rows))


def merged(people: Array) -> Array:
    """Those with exactly two peaks in common are one."""
    number = people[..., 5]
    common = np.triu(((number[:, None] == number[None]) & (number[:, None] != -1)).sum(axis=2), 1)
    m, n = np.nonzero(common == 2)
    people[m] = np.maximum(people[m], people[n])
    return np.delete(people, n, axis=0)


def ordered(people: Array, person: float) -> Array:
    """Those sure enough, the surest first."""
    there = people[..., 2] > 0
    mean = (people[..., 2] * there).sum(axis=1, dtype=np.float64) / there.sum(axis=1)
    order = np.argsort(-mean, kind="stable")
    kept = people[order[mean[order] >= person]]
    return np.where(kept == -1, 0, kept)
