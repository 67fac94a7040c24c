"""Grouping of keypoints into people by tags (associative embedding, arXiv 1611.05424), as HigherHRNet's release and MMPose do.

A network gives each keypoint a heatmap and one map of tags, or two with the flip test. The tags of one person's keypoints are
near each other. Keypoint type after type, candidates go to the people whose mean tag is nearest (Hungarian algorithm).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.decoding.subpixel import quarter_offset
from poise.errors import InputError, MissingExtra

Found = Float[np.ndarray, "n k c"]
"""People: x, y (cells of the maps), score and tags of each keypoint; score 0 where it was not found."""

PRIORITY = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_hip",
    "right_hip",
)
"""Keypoints that people are begun with, in this order, as in the releases for COCO; all others follow in their own order."""


@final
@dataclass(frozen=True)
class TagConfig:
    """How people are grouped by tags.

    Attributes:
        rule: Whose rule places keypoints between cells and fills in those that were not found: "higherhrnet" moves each by a
            quarter of a cell along both axes, then by half a cell, and looks for others where heat less the rounded distance of
            tags is highest; "mmpose" moves by a quarter where neighbours differ, and weighs the distance a hundred times.
        window: Side of the window in which a candidate is the highest, cells, odd.
        top_k: Largest number of candidates of a keypoint, and of people that are compared.
        threshold: Candidates have a higher score.
        max_distance: Tags of one person are nearer to their mean than this.
        by_score: Whether the score decides between people of nearly the same distance (`USE_DETECTION_VAL`).
        stop_when_full: Whether no keypoints are added once there are `top_k` people (`IGNORE_TOO_MUCH`).
        step: Whether keypoints are placed between cells (`ADJUST`).
        fill: Whether keypoints that were not found are looked for (`REFINE`).
        shift: Cells that "mmpose" adds to keypoints that were found, along both axes (`decode_center_shift`).

    Raises:
        InputError: A number that cannot be.
    """

    rule: Literal["higherhrnet", "mmpose"] = "higherhrnet"
    window: int = 5
    top_k: int = 30
    threshold: float = 0.1
    max_distance: float = 1.0
    by_score: bool = True
    stop_when_full: bool = False
    step: bool = True
    fill: bool = True
    shift: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.top_k < 1 or self.window < 1 or self.window % 2 == 0 or not self.max_distance > 0:
            raise InputError(
                "people cannot be grouped so: top_k is 1 or more, window odd and max_distance above 0; found "
                f"{self.top_k}, {self.window} and {self.max_distance}"
            )


@final
@dataclass(frozen=True, eq=False)
class TagCandidates:
    """The highest peaks of each keypoint's map in one view, highest first.

    Attributes:
        xy: Cells.
        score: Values of the map.
        tag: Values of the maps of tags there.
    """

    xy: Int64[Tensor, "k m 2"]
    score: Float[Tensor, "k m"]
    tag: Float[Tensor, "k m t"]


def grouping_order(keypoints: Sequence[str]) -> tuple[int, ...]:
    """The order in which keypoints are grouped: head and trunk before limbs, as the releases do (`PRIORITY`).

    Args:
        keypoints: Names of the keypoints.

    >>> grouping_order(("left_wrist", "left_hip", "nose"))
    (2, 1, 0)
    """
    first = [keypoints.index(name) for name in PRIORITY if name in keypoints]
    return (*first, *(index for index in range(len(keypoints)) if index not in first))


def people_by_tags(
    heat: Float[Tensor, "k h w"], tags: Float[Tensor, "k h w t"], config: TagConfig, *, order: Sequence[int]
) -> tuple[Found, Float[np.ndarray, " n"]]:
    """The people of a view, and the score of each: the mean score of its keypoints before others were filled in.

    Args:
        heat: Heatmaps.
        tags: Maps of tags; one for all keypoints may be repeated (`expand`).
        config: How they are grouped.
        order: Indices of the keypoints in the order in which they are grouped (`grouping_order`).

    Raises:
        MissingExtra: scipy is not installed.
    """
    people = match_tags(tag_candidates(heat, tags, config), config, order=order)
    people = stepped(people, heat, config) if config.step else people
    scores = people[..., 2].mean(axis=1)
    return (filled(people, heat, tags, config) if config.fill else people), scores


def tag_candidates(heat: Float[Tensor, "k h w"], tags: Float[Tensor, "k h w t"], config: TagConfig) -> TagCandidates:
    """The highest cells of their windows in each map, at most `top_k`."""
    around = F.max_pool2d(heat[None], config.window, stride=1, padding=config.window // 2)[0]
    kept = (heat * (around == heat)).flatten(1)
    score, index = kept.topk(min(config.top_k, kept.shape[1]))
    width = heat.shape[-1]
    xy = torch.stack((index % width, index.div(width, rounding_mode="floor")), dim=-1)
    tag = tags.flatten(1, 2).gather(1, index[..., None].expand(-1, -1, tags.shape[-1]))
    return TagCandidates(xy, score, tag)


def match_tags(candidates: TagCandidates, config: TagConfig, *, order: Sequence[int]) -> Found:
    """The candidates as people.

    Args:
        candidates: The peaks of each keypoint's map.
        config: How they are grouped.
        order: Indices of the keypoints in the order in which they are grouped.

    Raises:
        MissingExtra: scipy is not installed.
    """
    tag = candidates.tag.cpu().numpy()
    rows = np.concatenate((candidates.xy.cpu().numpy(), candidates.score.cpu().numpy()[..., None], tag), axis=2)
    pool = _Pool(rows.shape[0], rows.shape[2])
    for keypoint in order:
        there = rows[keypoint, :, 2] > config.threshold
        if there.any():
            pool.add(keypoint, rows[keypoint, there], tag[keypoint, there], config)
    people = list(pool.rows.values())[: config.top_k if config.rule == "mmpose" else None]
    return np.array(people, dtype=np.float32).reshape(-1, rows.shape[0], rows.shape[2])


class _Pool:
    """People while they are put together, by the first tag of the keypoint they began with."""

    def __init__(self, keypoints: int, columns: int) -> None:
        self.shape = (keypoints, columns)
        self.rows: dict[float, np.ndarray] = {}
        self.tags: dict[float, list[np.ndarray]] = {}

    def add(self, keypoint: int, rows: np.ndarray, tags: np.ndarray, config: TagConfig) -> None:
        """Give each candidate of a keypoint to a person, or begin a new one with it."""
        known = list(self.rows)[: config.top_k]
        if config.stop_when_full and len(known) == config.top_k:
            return
        columns = self._columns(known, rows, config)
        for row, tag, column in zip(rows, tags, columns, strict=True):
            key = float(tag[0]) if column is None else known[column]
            self.rows.setdefault(key, np.zeros(self.shape))[keypoint] = row
            self.tags[key] = [tag] if column is None else [*self.tags[key], tag]

    def _columns(self, known: list[float], rows: np.ndarray, config: TagConfig) -> list[int | None]:
        """The index of the person that each candidate belongs to; None for one that begins a new person."""
        if not known:
            return [None] * len(rows)
        means = np.array([np.mean(self.tags[key], axis=0) for key in known])
        distance = np.linalg.norm(rows[:, None, 3:] - means[None], axis=2)
        cost = np.round(distance) * 100 - rows[:, 2:3] if config.by_score else distance
        pairs = dict(zip(*_assign(cost), strict=True))
        chosen = [pairs.get(row) for row in range(len(rows))]
        return [
            None if column is None or distance[row, column] >= config.max_distance else int(column)
            for row, column in enumerate(chosen)
        ]


def _assign(cost: np.ndarray) -> tuple[list[int], list[int]]:
    """Rows and columns of the cheapest assignment."""
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise MissingExtra("people are grouped by tags with scipy, which is not installed: pip install scipy") from error
    rows, columns = linear_sum_assignment(cost)
    return rows.tolist(), columns.tolist()


def stepped(people: Found, heat: Float[Tensor, "k h w"], config: TagConfig) -> Found:
    """People whose keypoints are moved between cells towards the higher neighbour, by the release's rule.

    Args:
        people: With keypoints on cells.
        heat: Heatmaps.
        config: Says the rule.
    """
    there = people[..., 2] > 0
    moved = people.copy()
    maps = heat.cpu()
    for keypoint, whose in enumerate(there.T):
        same = maps[keypoint].expand(int(whose.sum()), -1, -1)  # without a copy of the map for each person
        moved[whose, keypoint, :2] = _placed(same, torch.from_numpy(people[whose, keypoint, :2]).long(), config).numpy()
    return moved


def _placed(maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], config: TagConfig) -> Float[Tensor, "n 2"]:
    if config.rule == "mmpose":
        return quarter_offset(maps, cells, cells.float(), border="each axis") + config.shift
    return _half_stepped(maps, cells)


def _half_stepped(maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
    """Half a cell on, and a quarter towards the higher neighbour; backwards where both are equal."""
    height, width = maps.shape[-2:]
    last = cells.new_tensor((width - 1, height - 1))
    flat, place = maps.flatten(1), cells[:, 0] + cells[:, 1] * width
    step = cells.new_tensor((1, width))
    after, before = (place[:, None] + step * (cells < last), place[:, None] - step * (cells > 0))
    higher = flat.gather(1, after) > flat.gather(1, before)
    return cells + 0.5 + torch.where(higher, 0.25, -0.25)


def filled(people: Found, heat: Float[Tensor, "k h w"], tags: Float[Tensor, "k h w t"], config: TagConfig) -> Found:
    """People with the keypoints that were not found, from the cells whose heat is high and whose tag is near the person's.

    Args:
        people: With keypoints placed between cells.
        heat: Heatmaps.
        tags: Maps of tags.
        config: Says the rule.
    """
    whole = people.copy()
    heat, tags = heat.cpu(), tags.cpu()
    for person in whole:
        there = person[:, 2] > 0
        if there.all() or not there.any():
            continue
        mean = _mean_tag(person, tags, there)
        missing = torch.from_numpy(np.nonzero(~there)[0])
        person[missing, :3] = _looked_for(heat[missing], tags[missing], mean, config).numpy()
    return whole


def _mean_tag(person: Float[np.ndarray, "k c"], tags: Float[Tensor, "k h w t"], there: Bool[np.ndarray, " k"]) -> Tensor:
    """The mean of the tags in the cells of the keypoints that were found."""
    cells = person[there, :2].astype(np.int64)
    x, y = (np.clip(cells[:, axis], 0, tags.shape[2 - axis] - 1) for axis in (0, 1))
    return torch.from_numpy(np.mean(tags.numpy()[np.nonzero(there)[0], y, x], axis=0))


def _looked_for(
    heat: Float[Tensor, "m h w"], tags: Float[Tensor, "m h w t"], mean: Float[Tensor, " t"], config: TagConfig
) -> Float[Tensor, "m 3"]:
    """Place and value of the best cell of each map for a person; zeros where its value is not above 0 ("higherhrnet")."""
    distance = (tags - mean).square().sum(dim=-1).sqrt().round()
    factor = 1 if config.rule == "higherhrnet" else 100
    index = torch.from_numpy((heat - factor * distance).flatten(1).numpy().argmax(axis=1))
    width = heat.shape[-1]
    cells = torch.stack((index % width, index.div(width, rounding_mode="floor")), dim=-1)
    value = heat.flatten(1).gather(1, index[:, None])
    if config.rule == "mmpose":
        return torch.cat((cells.float(), value), dim=1)
    return torch.cat((_half_stepped(heat, cells), value), dim=1) * (value > 0)
