"""Greedy grouping of limbs into people, one limb type after another, as OffsetGuided's release does it.

Loops over limbs and people, compiled by numba as those of `kernels.py` are.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from poise.decoding.grouping_config import GroupingConfig
from poise.decoding.limbs import LimbCandidates, find_limbs
from poise.decoding.scene_maps import SceneMaps
from poise.machine import compiled
from poise.scenes import People

EMPTY = -1


@dataclass(frozen=True, eq=False)
class GroupedPeople:
    """The people grouped from one view's limbs, by the mean score of their keypoints, highest first.

    Attributes:
        keypoints: x, y, score, scale, and the score of the best limb at the keypoint; 0 where a person lacks the keypoint.
        index: Index of each keypoint's peak (`Peaks.index`); 0 where there is none.
    """

    keypoints: Float[Tensor, "p k 5"]
    index: Int64[Tensor, "p k"]

    def people(self) -> People:
        """The people with the person score of the release's COCO results: the mean over all keypoints, found or not."""
        score = self.keypoints[..., 2]
        whole = score.sum(dim=1) / score.shape[1]
        order = whole.argsort(descending=True, stable=True)
        return People(self.keypoints[order, :, :2], score[order], whole[order])


def group_limbs(
    found: LimbCandidates, limbs: tuple[tuple[int, int], ...], config: GroupingConfig, *, keypoints: int
) -> list[GroupedPeople]:
    """The people of each view.

    Args:
        found: Limb candidates of a batch.
        limbs: Start and end keypoint of each limb type.
        config: Thresholds of limbs and people.
        keypoints: Number of keypoints of a person.
    """
    valid, peak_index = found.valid(config).cpu().numpy(), found.peak_index.cpu().numpy()
    ends_data = torch.stack((found.start, found.end), dim=3).float().cpu().numpy()
    score = found.score.float().cpu().numpy()
    pairs = np.array(limbs, np.int64).reshape(-1, 2)
    device = found.score.device
    views = (_group_view(*view, pairs, keypoints) for view in zip(ends_data, peak_index, score, valid, strict=True))
    return [_sorted(*view, min_score=config.person_threshold, device=device) for view in views]


def _group_view(
    ends_data: Float32[np.ndarray, "l n 2 4"],
    peak_index: Int64[np.ndarray, "l n 2"],
    score: Float32[np.ndarray, "l n"],
    valid: Bool[np.ndarray, "l n"],
    pairs: Int64[np.ndarray, "l 2"],
    keypoints: int,
) -> tuple[Float32[np.ndarray, "p k 5"], Int64[np.ndarray, "p k"]]:
    """All people of one view, in the order in which they were started; -1 for missing keypoints."""
    max_people = int(valid.sum())
    people = np.full((max_people, keypoints, 5), EMPTY, np.float32)
    index = np.full((max_people, keypoints), EMPTY, np.int64)
    count = np.zeros(1, np.int64)
    compiled(_group_greedily)(
        ends_data, peak_index, score, *select_limbs(peak_index, score, valid), pairs, people, index, count
    )
    return people[: count[0]], index[: count[0]]


def select_limbs(
    peak_index: Int64[np.ndarray, "l n 2"], score: Float32[np.ndarray, "l n"], valid: Bool[np.ndarray, "l n"]
) -> tuple[Int64[np.ndarray, "l n"], Int64[np.ndarray, " l"]]:
    """The valid limbs of each type, by score, of those that end at one peak only the best; and their number.

    Args:
        peak_index: Peak indices of start and end of each limb.
        score: Score of each limb.
        valid: Whether a limb is valid.
    """
    order = np.argsort(-score, axis=1, kind="stable")
    count = np.zeros(len(score), np.int64)
    compiled(_select)(peak_index, valid, order, count)
    return order, count


def _sorted(
    people: Float32[np.ndarray, "p k 5"], index: Int64[np.ndarray, "p k"], *, min_score: float, device: torch.device
) -> GroupedPeople:
    """The people whose keypoints have a mean score of `min_score` or more, best first."""
    score = people[..., 2].astype(np.float64)
    there = score > 0
    mean = (score * there).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    order = np.argsort(-mean, kind="stable")
    order = order[~(mean[order] < min_score)]
    kept, ids = people[order], index[order]
    kept[kept == EMPTY] = 0
    ids[ids == EMPTY] = 0
    return GroupedPeople(torch.from_numpy(kept).to(device), torch.from_numpy(ids).to(device))


def _select(
    peak_index: Int64[np.ndarray, "l n 2"],
    valid: Bool[np.ndarray, "l n"],
    order: Int64[np.ndarray, "l n"],
    count: Int64[np.ndarray, " l"],
) -> None:
    types, length = order.shape
    for kind in range(types):
        limbs = 0
        for i in range(length):
            limb = order[kind, i]
            if valid[kind, limb]:
                free = True
                for j in range(limbs):
                    free &= peak_index[kind, order[kind, j], 1] != peak_index[kind, limb, 1]
                if free:
                    order[kind, limbs] = limb
                    limbs += 1
        count[kind] = limbs


def _group_greedily(
    ends_data: Float32[np.ndarray, "l n 2 4"],
    peak_index: Int64[np.ndarray, "l n 2"],
    score: Float32[np.ndarray, "l n"],
    order: Int64[np.ndarray, "l n"],
    counts: Int64[np.ndarray, " l"],
    pairs: Int64[np.ndarray, "l 2"],
    people: Float32[np.ndarray, "p k 5"],
    index: Int64[np.ndarray, "p k"],
    count: Int64[np.ndarray, " 1"],
) -> None:
    # One limb type after another. Comparisons use the state before the type, or before the step; of several changes to one
    # person the last one wins: the release makes all changes at once.
    max_people, keypoints = index.shape
    types, length = score.shape
    shared = np.zeros((max_people, length), np.int64)
    better = np.zeros((max_people, length), np.bool_)
    held = np.zeros((max_people, 2), np.float32)
    joins = np.zeros(max_people, np.int64)
    gone = np.zeros(max_people, np.bool_)
    alive = 0
    for kind in range(types):
        f, t = pairs[kind, 0], pairs[kind, 1]
        taken, limbs = order[kind], counts[kind]
        if limbs == 0:
            continue
        before = alive
        whole, half = False, False
        for m in range(before):
            for j in range(limbs):
                limb = taken[j]
                shared[m, j] = int(index[m, f] == peak_index[kind, limb, 0]) + int(index[m, t] == peak_index[kind, limb, 1])
                better[m, j] = score[kind, limb] > people[m, t, 4] or score[kind, limb] > people[m, f, 4]
                whole |= shared[m, j] == 2 and better[m, j]
                half |= shared[m, j] == 1 and better[m, j]
        # People who have both ends: the limb raises the scores of its keypoints.
        for m in range(before):
            for j in range(limbs):
                if shared[m, j] == 2 and better[m, j]:
                    people[m, f, 4] = max(score[kind, taken[j]], people[m, f, 4])
                    people[m, t, 4] = max(score[kind, taken[j]], people[m, t, 4])
        # People who have one end get the other too.
        for m in range(before):
            held[m, 0], held[m, 1] = people[m, f, 4], people[m, t, 4]
            for j in range(limbs):
                if shared[m, j] == 1 and better[m, j]:
                    limb = taken[j]
                    index[m, f], index[m, t] = peak_index[kind, limb, 0], peak_index[kind, limb, 1]
                    for c in range(4):
                        people[m, f, c], people[m, t, c] = ends_data[kind, limb, 0, c], ends_data[kind, limb, 1, c]
                    people[m, f, 4] = max(score[kind, limb], held[m, 0])
                    people[m, t, 4] = max(score[kind, limb], held[m, 1])
        # Limbs of which no person has an end start new people; handled limbs count -1, which may cancel a 1, as in the release.
        new = 0
        for j in range(limbs):
            total = 0
            for m in range(before):
                dealt = (shared[m, j] == 2 and whole) or (shared[m, j] == 1 and half)
                total += -1 if dealt else shared[m, j]
            if total == 0:
                taken[new] = taken[j]
                new += 1
        # Two people who share exactly two peaks are merged; the later one is removed.
        for m in range(before):
            joins[m], gone[m] = -1, False
        for m in range(before):
            for n in range(m + 1, before):
                common = 0
                for k in range(keypoints):
                    common += int(index[m, k] == index[n, k] and index[m, k] != -1)
                if common == 2:
                    joins[m], gone[n] = n, True
        # A person is merged with a later one, which this loop has not changed yet.
        for m in range(before):
            n = joins[m]
            if n >= 0:
                for k in range(keypoints):
                    index[m, k] = max(index[m, k], index[n, k])
                    for c in range(5):
                        people[m, k, c] = max(people[m, k, c], people[n, k, c])
        alive = 0
        for m in range(before):
            if not gone[m]:
                if alive < m:
                    index[alive] = index[m]
                    people[alive] = people[m]
                alive += 1
        for j in range(new):
            limb = taken[j]
            for k in range(keypoints):
                index[alive, k] = -1
                for c in range(5):
                    people[alive, k, c] = -1
            index[alive, f], index[alive, t] = peak_index[kind, limb, 0], peak_index[kind, limb, 1]
            for c in range(4):
                people[alive, f, c], people[alive, t, c] = ends_data[kind, limb, 0, c], ends_data[kind, limb, 1, c]
            people[alive, f, 4], people[alive, t, 4] = score[kind, limb], score[kind, limb]
            alive += 1
    count[0] = alive


def decode_people(maps: SceneMaps, limbs: tuple[tuple[int, int], ...], config: GroupingConfig, *, stride: int) -> list[People]:
    """The people of each view, in pixels of the view, best first; non-finite values of maps count as 0.

    Args:
        maps: Maps of a batch.
        limbs: Start and end keypoint of each limb type, in the order of `maps.offsets`.
        config: Peak finding, thresholds of limbs and people.
        stride: Pixels per cell; the centre of cell i is at stride * i + (stride - 1) / 2.
    """
    return [found.people() for found in group_people(maps, limbs, config, stride=stride)]


def group_people(
    maps: SceneMaps, limbs: tuple[tuple[int, int], ...], config: GroupingConfig, *, stride: int
) -> list[GroupedPeople]:
    """The people of each view, with the indices of their peaks and the scores of their limbs.

    Args:
        maps: Maps of a batch.
        limbs: Start and end keypoint of each limb type, in the order of `maps.offsets`.
        config: Peak finding, thresholds of limbs and people.
        stride: Pixels per cell.
    """
    clean = maps.map_tensors(_detached).nan_to_zero()
    if config.weigh > 1:
        clean = clean.with_averaged_offsets(limbs, side=config.weigh)
    return group_limbs(find_limbs(clean, limbs, config, stride=stride), limbs, config, keypoints=clean.heat.shape[1])


def _detached(part: Tensor) -> Tensor:
    return part.detach().to(torch.float32)
