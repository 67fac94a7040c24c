"""Ids of people from frame to frame: Hungarian assignment on OKS, IoU and motion, with a second round for low scores.

The second round is ByteTrack's idea (arXiv 2110.06864): a pose of low score next to where a person is expected is that person,
half hidden; a pose of low score elsewhere begins nothing. Where appearances are given, somebody who was lost for longer is
known again by them, and ids that two people exchanged as they crossed go back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from poise.errors import InputError, SkeletonMismatch
from poise.structures import Poses
from poise.tracking.assignment import assign
from poise.tracking.boxes import areas, centres, covered, iou, nearness, sigmas_of
from poise.tracking.motion import BoxMotion
from poise.tracking.seen import Seen, unit
from poise.tracking.track import Track

FARTHEST = float(np.exp(-0.5 * 3.0**2))
"""Nearness below which a pose is out of reach: three times the reach away."""

FEW = 3
"""Keypoints that make a box around them; with fewer known ones the box of the pose counts."""


@final
@dataclass(frozen=True)
class TrackSettings:
    """How people are followed.

    Attributes:
        min_score: Poses of at least this score are assigned first, and begin tracks.
        low_score: Poses of at least this score may continue a track in the second round.
        min_keypoint_score: Keypoints of a lower score do not count for the similarity.
        oks: Weight of the OKS with the keypoints, moved as the box is expected to move.
        iou: Weight of the IoU with the expected box.
        motion: Weight of the nearness to the expected centre.
        appearance: Weight of the cosine similarity of appearances, where they are given.
        min_similarity: Lowest similarity (the weighted mean, 0 to 1) of the first round.
        second_similarity: Lowest similarity of the second round.
        reach: Distance from the expected centre, in body sizes, at which the nearness has fallen to exp(-1/2); farther where
            the velocity is not known well yet.
        widening: By what share OKS and nearness become more tolerant with each frame in which a person was not seen.
        duplicate: IoU with somebody who was found, above which a pose that belongs to nobody begins nothing.
        max_lost: Frames for which a person who is not seen is remembered.
        confirm: Frames in a row in which somebody new must be seen to get an id; in those before the id is -1.
        memory: Share of the old in the remembered appearance.
        alone: Share of the box that others may cover where an appearance is learnt and believed.
        still: Frames for which somebody who is not seen is taken to stand where they should be, and may cover others.
        same_look: Cosine similarity of appearances above which somebody new is a person who was lost; 1 for never.
        beside_look: Cosine similarity above which somebody new who is covered in part, or has only been seen so, is a person
            who was lost.
        other_look: That below which a pose is not the person who is expected there.
        clear: How much less alike everybody else whom the tracker remembers must be.
        max_known: Frames for which the appearance of somebody who is not seen is remembered.

    Raises:
        InputError: A number is out of its range.
    """

    min_score: float = 0.2
    low_score: float = 0.05
    min_keypoint_score: float = 0.05
    oks: float = 1.0
    iou: float = 0.25
    motion: float = 1.0
    appearance: float = 0.5
    min_similarity: float = 0.2
    second_similarity: float = 0.4
    reach: float = 0.1
    widening: float = 0.15
    duplicate: float = 0.8
    max_lost: int = 30
    confirm: int = 1
    memory: float = 0.9
    alone: float = 0.1
    still: int = 10
    same_look: float = 0.8
    beside_look: float = 0.85
    other_look: float = 0.6
    clear: float = 0.1
    max_known: int = 900

    def __post_init__(self) -> None:
        """Check the numbers."""
        weights = (self.oks, self.iou, self.motion, self.appearance)
        if min(weights) < 0 or sum(weights[:3]) <= 0:
            raise InputError(f"tracking: weights cannot be below 0 and one must be above, found {weights}")
        if self.reach <= 0 or self.max_lost < 0 or self.confirm < 1:
            raise InputError(
                f"tracking: reach must be above 0, max_lost at least 0 and confirm at least 1, found {self.reach}, "
                f"{self.max_lost} and {self.confirm}"
            )
        looks = 0 <= self.other_look <= self.same_look <= 1 and 0 <= self.beside_look <= 1 and 0 <= self.alone <= 1
        if not looks or min(self.max_known, self.still) < 0:
            raise InputError(
                "tracking: alone, other_look, same_look and beside_look lie between 0 and 1, other_look not above same_look, "
                f"and max_known and still are at least 0, found {self.alone}, {self.other_look}, {self.same_look}, "
                f"{self.beside_look}, {self.max_known} and {self.still}"
            )


@final
@dataclass(eq=False)
class Tracker:
    """Gives the people of each frame the ids they had in the frame before.

    Example:
        >>> tracker = Tracker()  # doctest: +SKIP
        >>> for image in camera:  # doctest: +SKIP
        ...     poses = tracker.update(predictor(image))
        ...     print(poses.track)

    Attributes:
        settings: Weights, scores and patience.
        tracks: Who is remembered.
    """

    settings: TrackSettings = field(default_factory=TrackSettings)
    tracks: list[Track] = field(default_factory=list)
    _next: int = 1
    _unsure: dict[int, Track] = field(default_factory=dict)

    def update(self, poses: Poses, *, appearance: Float[Tensor, "n d"] | None = None) -> Poses:
        """The poses of the next frame with their `track`: ids from 1, and -1 for those that belong to no track.

        Poses without keypoints (boxes alone) are followed by their boxes.

        Args:
            poses: Of the next frame.
            appearance: A vector for each person, such as those of `body_colours` or of a re-identification network: of similar
                direction where people look alike, zeros where nothing is known.

        Raises:
            SkeletonMismatch: The poses have other keypoints than those of the frames before.
            InputError: There is not one appearance for each pose.
            MissingExtra: scipy is not installed.
        """
        seen = self._seen(poses, appearance)
        self._unsure = {}
        for track in self.tracks:
            track.motion.predict()
        ids = np.full(len(poses), -1, dtype=np.int64)
        here = [track for track in self.tracks if track.lost <= self.settings.max_lost]
        free, waiting = self._round(seen, ids, np.flatnonzero(seen.score >= self.settings.min_score), here)
        low = np.flatnonzero((seen.score >= self.settings.low_score) & (seen.score < self.settings.min_score))
        active = [track for track in waiting if track.lost == 0]
        _, unseen = self._round(seen, ids, low, active, minimum=self.settings.second_similarity)
        self._exchange(seen, ids)
        gone = [track for track in self.tracks if track.lost > self.settings.max_lost]
        lost = [*unseen, *(track for track in waiting if track.lost > 0), *gone]
        shown = {row: track for row, track in self._unsure.items() if track.id > 0}
        again, left = self._known_again(seen, ids, [*free, *shown], lost, besides=list(shown.values()))
        self.tracks = [track for track in self.tracks if not any(shown.get(row) is track for row in {*shown} - {*left})]
        self._begin(seen, ids, [row for row in left if ids[row] < 0])
        self._forget([track for track in lost if track not in again])
        return replace(poses, track=torch.from_numpy(ids))

    # one frame

    def _seen(self, poses: Poses, appearance: Float[Tensor, "n d"] | None) -> Seen:
        self._check(poses, appearance)
        xy = poses.xy.detach().cpu().double().numpy()
        known = (poses.score.detach().cpu().numpy() >= self.settings.min_keypoint_score) & np.isfinite(xy).all(axis=-1)
        boxes = poses.boxes.detach().cpu().double().numpy().copy()
        for i in np.flatnonzero(known.sum(axis=1) >= FEW):
            own = xy[i][known[i]]
            around = np.concatenate((own.min(axis=0), own.max(axis=0)))
            if (around[2:] > around[:2]).all():
                boxes[i] = around
        self._sigmas = sigmas_of(poses.skeleton, xy.shape[1])
        score = poses.pose_score.detach().cpu().numpy()
        if appearance is None:
            return Seen(xy, known, boxes, score)
        looks = unit(appearance.detach().cpu().double().numpy())
        alone = (covered(boxes) <= self.settings.alone) & looks.any(axis=-1)
        return Seen(xy, known, boxes, score, looks, alone)

    def _check(self, poses: Poses, appearance: Float[Tensor, "n d"] | None) -> None:
        keypoints = {len(track.xy) for track in self.tracks} | {poses.xy.shape[1]}
        if len(keypoints) > 1:
            raise SkeletonMismatch(
                f"a tracker follows poses of the same keypoints, found {' and '.join(map(str, sorted(keypoints)))} of them; "
                "take a new Tracker for another model"
            )
        if appearance is not None and (appearance.ndim != 2 or len(appearance) != len(poses)):
            raise InputError(
                f"tracking: appearance has a row for each of {len(poses)} poses, found the shape {tuple(appearance.shape)}"
            )

    def _round(
        self, seen: Seen, ids: np.ndarray, rows: np.ndarray, tracks: Sequence[Track], *, minimum: float | None = None
    ) -> tuple[list[int], list[Track]]:
        """Assign poses to tracks; the poses and the tracks that are left over come back."""
        lowest = self.settings.min_similarity if minimum is None else minimum
        pairs = assign(self._similarity(seen, rows, tracks), lowest)
        for i, j in pairs:
            self._found(tracks[i], seen, int(rows[j]))
            ids[rows[j]] = tracks[i].id
        taken, used = {i for i, _ in pairs}, {j for _, j in pairs}
        return (
            [int(row) for j, row in enumerate(rows) if j not in used],
            [track for i, track in enumerate(tracks) if i not in taken],
        )

    def _similarity(self, seen: Seen, rows: np.ndarray, tracks: Sequence[Track]) -> Float[np.ndarray, "m n"]:
        """Weighted mean of the similarities of each track with each pose; 0 where the pose is out of reach."""
        if not tracks or not len(rows):
            return np.zeros((len(tracks), len(rows)))
        s, boxes = self.settings, seen.boxes[rows]
        expected = np.stack([track.motion.box for track in tracks])
        wide = 1 + s.widening * np.array([track.lost for track in tracks], dtype=np.float64)
        doubt = np.array([track.motion.doubt for track in tracks])
        near = nearness(expected, boxes, np.hypot(s.reach * wide, doubt))
        total = np.full(near.shape, s.iou + s.motion)
        summed = s.iou * iou(expected, boxes) + s.motion * near
        similar, comparable = self._oks(seen, rows, tracks, expected, wide)
        total, summed = total + s.oks * comparable, summed + s.oks * similar * comparable
        if seen.looks is not None:
            looks = np.stack([np.zeros(seen.looks.shape[1]) if track.look is None else track.look for track in tracks])
            weight = s.appearance * np.outer(looks.any(axis=1), seen.looks[rows].any(axis=1))
            total, summed = total + weight, summed + weight * np.clip(looks @ seen.looks[rows].T, 0, 1)
        found: np.ndarray = np.where(near < FARTHEST, 0.0, summed / np.maximum(total, 1e-12))
        return np.where(self._alike(seen, rows, tracks) < s.other_look, 0.0, found)

    def _alike(self, seen: Seen, rows: Sequence[int] | np.ndarray, tracks: Sequence[Track]) -> Float[np.ndarray, "m n"]:
        """Cosine similarity of the appearances of tracks and poses; 1 where one is not known."""
        alike = np.ones((len(tracks), len(rows)))
        if seen.looks is None:
            return alike
        shown = np.array([seen.shows(int(row)) for row in rows], dtype=bool)
        for own, track in zip(alike, tracks, strict=True):
            if track.look is not None and track.sure:
                own[shown] = seen.looks[np.asarray(rows, dtype=np.int64)[shown]] @ track.look
        return alike

    def _exchange(self, seen: Seen, ids: np.ndarray) -> None:
        """Who is alone and looks like somebody else whom the tracker remembers, and clearly less like themselves, is that one.

        The two exchange ids and looks. The other one may be lost; if seen, they must clearly look more like this person.
        """
        s, looks = self.settings, seen.looks
        known = [track for track in self.tracks if track.look is not None and track.sure and track.id > 0]
        if looks is None or s.same_look >= 1 or len(known) < 2:
            return
        alike = _similarity(known, looks)
        rows = [int(found[0]) if len(found := np.flatnonzero(ids == track.id)) else None for track in known]
        alone = [
            row is not None and seen.shows(row) and not self._beside(seen.boxes[row], track)
            for row, track in zip(rows, known, strict=True)
        ]
        done: set[int] = set()
        for i, row in enumerate(rows):
            if row is None or not alone[i]:
                continue
            second, first = np.sort(alike[:, row])[-2:]
            j = int(alike[:, row].argmax())
            if j == i or {i, j} & done or first < s.same_look or first - second < s.clear:
                continue
            other = rows[j]
            if other is not None and (not alone[j] or alike[i, other] - alike[j, other] < s.clear):
                continue
            one, two = known[i], known[j]
            one.id, one.look, two.id, two.look = two.id, two.look, one.id, one.look
            ids[row] = one.id
            if other is not None:
                ids[other] = two.id
            done |= {i, j}

    def _known_again(
        self, seen: Seen, ids: np.ndarray, free: Sequence[int], lost: Sequence[Track], *, besides: Sequence[Track]
    ) -> tuple[list[Track], list[int]]:
        """Who is seen again, by appearance alone, and the poses that are left over.

        Such a pose may have a track of its own, as long as that has only been seen beside somebody else. The person may be
        lost, or be taken for a pose that does not look like them, which is then left over.
        """
        s, looks = self.settings, seen.looks
        rows = [] if looks is None else [row for row in free if looks[row].any()]
        known = [t for t in self.tracks if t.look is not None and t.sure and t.id > 0 and t not in besides]
        if looks is None or not rows or not known or s.same_look >= 1:
            return [], list(free)
        alike = _similarity(known, looks[rows])
        least = np.broadcast_to([s.same_look if seen.shows(row) else s.beside_look for row in rows], alike.shape)
        best = np.sort(alike, axis=0)[-2:]
        clear = best[-1] - best[0] >= s.clear if len(known) > 1 else np.ones(len(rows), dtype=bool)
        missing = np.array([track in lost or self._doubtful(seen, ids, track) for track in known])
        pairs = assign(np.where(missing[:, None] & clear & (alike == alike.max(axis=0)), alike, 0.0), least)
        mistaken = [int(row) for i, _ in pairs for row in np.flatnonzero(ids == known[i].id)]
        ids[mistaken] = -1
        for i, j in pairs:
            known[i].motion = BoxMotion(seen.boxes[rows[j]])
            self._found(known[i], seen, rows[j])
            ids[rows[j]] = known[i].id
        taken = {rows[j] for _, j in pairs}
        return [known[i] for i, _ in pairs], [row for row in (*free, *mistaken) if row not in taken]

    def _doubtful(self, seen: Seen, ids: np.ndarray, track: Track) -> bool:
        """Whether somebody has a pose in this frame that does not look like them."""
        looks = [] if seen.looks is None or track.look is None else seen.looks[ids == track.id] @ track.look
        return bool(np.any(np.asarray(looks) < self.settings.other_look))

    def _oks(
        self, seen: Seen, rows: np.ndarray, tracks: Sequence[Track], expected: np.ndarray, wide: np.ndarray
    ) -> tuple[Float[np.ndarray, "m n"], Bool[np.ndarray, "m n"]]:
        """OKS of the keypoints of each track, moved as its box is expected to move; and where any keypoint can be compared."""
        moved = centres(expected) - np.stack([track.centre for track in tracks])
        xy = np.stack([track.xy for track in tracks]) + moved[:, None]
        both = np.stack([track.known for track in tracks])[:, None] & seen.known[rows][None]
        area = (areas(expected)[:, None] + areas(seen.boxes[rows])[None]) / 2
        scale = 2 * area[..., None] * (2 * self._sigmas[None, None] * wide[:, None, None]) ** 2
        away = ((xy[:, None] - np.where(seen.known[rows][..., None], seen.xy[rows], 0.0)[None]) ** 2).sum(axis=-1)
        similar = (np.exp(-away / np.maximum(scale, 1e-9)) * both).sum(axis=-1)
        return similar / np.maximum(both.sum(axis=-1), 1), both.any(axis=-1)

    def _found(self, track: Track, seen: Seen, row: int) -> None:
        track.motion.update(seen.boxes[row])
        known, centre = seen.known[row], centres(seen.boxes[row])
        track.xy = np.where(known[:, None], seen.xy[row], track.xy + (centre - track.centre))
        track.known = known if known.any() else track.known
        track.centre, track.lost, track.seen = centre, 0, track.seen + 1
        if seen.looks is not None:
            shown = seen.shows(row) and (track.sure or not self._beside(seen.boxes[row], track))
            if not track.sure:
                self._unsure[row] = track
            self._learn(track, seen.looks[row], shown=shown)
        self._confirm(track)

    def _beside(self, box: Float[np.ndarray, "4"], track: Track | None = None) -> bool:
        """Whether anybody else is, or should be, where a box is, though they may not be seen there."""
        others = [one.motion.box for one in self.tracks if one is not track and one.id > 0 and one.lost < self.settings.still]
        return bool(others) and float(covered(np.stack((box, *others)))[0]) > self.settings.alone

    def _learn(self, track: Track, look: Float[np.ndarray, " d"], *, shown: bool) -> None:
        """Remember an appearance: once the person was alone, that of moments in which they are and look much the same."""
        s = self.settings
        if not look.any():
            return
        if track.look is None or (shown and not track.sure):
            track.look, track.sure = look, shown
        elif not track.sure or (shown and (s.same_look >= 1 or look @ track.look >= s.same_look)):
            track.look = unit(s.memory * track.look + (1 - s.memory) * look)

    def _begin(self, seen: Seen, ids: np.ndarray, free: Sequence[int]) -> None:
        """New tracks for confident poses that belong to nobody."""
        taken = [track.motion.box for track in self.tracks if track.lost == 0]
        for row in sorted(free, key=lambda row: -float(seen.score[row])):
            box = seen.boxes[row]
            if taken and iou(np.stack(taken), box[None]).max() > self.settings.duplicate:
                continue
            track = Track(-1, BoxMotion(box), seen.xy[row].copy(), seen.known[row].copy(), centres(box))
            if seen.looks is not None:
                self._learn(track, seen.looks[row], shown=seen.shows(row) and not self._beside(box))
            self._confirm(track)
            self.tracks.append(track)
            taken.append(box)
            ids[row] = track.id

    def _confirm(self, track: Track) -> None:
        if track.id < 0 and track.seen >= self.settings.confirm:
            track.id, self._next = self._next, self._next + 1

    def _forget(self, lost: Sequence[Track]) -> None:
        for track in lost:
            track.lost += 1
        self.tracks = [t for t in self.tracks if t.lost == 0 or (t.id > 0 and t.lost <= self._patience(t))]

    def _patience(self, track: Track) -> int:
        """Frames for which somebody who is not seen is remembered."""
        known = track.look is not None and track.sure and self.settings.same_look < 1
        return max(self.settings.max_lost, self.settings.max_known if known else 0)

    # state

    def to_plain(self) -> dict[str, Any]:
        """What it remembers, as plain types."""
        return {"tracks": [track.to_plain() for track in self.tracks], "next": self._next}

    def restore(self, values: dict[str, Any]) -> None:
        """Remember what `to_plain` wrote."""
        self.tracks, self._next = [Track.from_plain(one) for one in values["tracks"]], int(values["next"])


def _similarity(tracks: Sequence[Track], looks: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "m n"]:
    """Cosine similarity of the appearances of tracks, which all have one, and of poses."""
    known: Float[np.ndarray, "m d"] = np.stack([track.look for track in tracks if track.look is not None])
    similarity: Float[np.ndarray, "m n"] = known @ looks.T
    return similarity
