"""Tracks against labelled ones: frames of both are put together, and people compared by OKS or by the IoU of their boxes."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float

from poise.data.coco import CocoDataset
from poise.data.document import read_document
from poise.data.naming import Naming
from poise.errors import AnnotationError, InputError, ReadError, unknown
from poise.geometry import xywh_to_xyxy
from poise.inference.video_results import read_frames
from poise.metrics.nms import box_iou
from poise.metrics.oks import oks
from poise.metrics.tracks import FrameKeypoints, FrameTracks, keypoint_mota, track_scores
from poise.reading import read_json
from poise.skeletons import Skeleton
from poise.structures import Labels
from poise.tracking.quality import TrackPositions

SEQUENCE_FIELDS = ("vid_id", "video_id", "sequence", "seq_id")
FRAME_FIELDS = ("frame", "frame_number", "frame_index", "frame_id")
SIMILARITIES = ("oks", "iou")
HEAD = 0.2
"""Size of a head by the longer side of the box, where no box of the head is labelled."""


@final
@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """The people of one image.

    Attributes:
        ids: Track id of each.
        xy: Keypoints, pixels; of labels nan where not labelled.
        score: Confidence of each keypoint; of labels their visibility.
        boxes: x0 y0 x1 y1, pixels.
        area: Of labels their area, square pixels.
        head: Of labels the size of the head, pixels.
        ignored: Boxes of labelled people without keypoints: who is found there counts neither way.
    """

    ids: list[int]
    xy: Float[np.ndarray, "n k 2"]
    score: Float[np.ndarray, "n k"]
    boxes: Float[np.ndarray, "n 4"]
    area: Float[np.ndarray, " n"]
    head: Float[np.ndarray, " n"]
    ignored: Float[np.ndarray, "m 4"] = field(default_factory=lambda: np.zeros((0, 4)))


@final
@dataclass(frozen=True, eq=False)
class TrackTruth:
    """Labelled tracks.

    Attributes:
        skeleton: Of the labels.
        videos: Frames of each video in order, by its name; each with its number, file name and image id.
        heads: Whether boxes of heads are labelled.
    """

    skeleton: Skeleton
    videos: Mapping[str, Sequence[tuple[int, str, int, TrackedFrame]]]
    heads: bool


@final
@dataclass(frozen=True, eq=False)
class TrackEvaluation:
    """Scores of tracks.

    Attributes:
        scores: Of `metrics.tracks.track_scores`.
        keypoints: MOTA of each keypoint, in PoseTrack's manner.
        mota: Its mean.
        frames: Frames that were compared.
        missing: Labelled frames without any row in the results: nobody was found there.
        left_out: Found people left out, since they are in the box of somebody without labelled keypoints.
        heads: Whether boxes of heads were labelled; else `HEAD` of the box.
    """

    scores: dict[str, float]
    keypoints: dict[str, float]
    mota: float
    frames: int
    missing: int
    left_out: int
    heads: bool


def read_truth(path: Path, *, naming: Naming | None = None) -> TrackTruth:
    """Labels with `track_id` in COCO's form, or PoseTrack's with its fields (vid_id, frame_id, bbox_head).

    Args:
        path: The file.
        naming: Names of its keypoints, where it has none.

    Raises:
        AnnotationError: It is no keypoint file, or its annotations have no track ids.
    """
    dataset = CocoDataset(path, None, naming=naming)
    document = read_document(path, naming=naming)
    people: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for person in document["annotations"]:
        people[person["image_id"]].append(person)
    lacking = next((p for p in document["annotations"] if _labelled(p) and not isinstance(p.get("track_id"), int)), None)
    if lacking is not None or not any(_labelled(p) for p in document["annotations"]):
        which = "no annotation has labelled keypoints" if lacking is None else f"annotation {lacking['id']} has no track_id"
        raise AnnotationError(f"{str(path)!r}: {which}; tracks are evaluated by `track_id`, a whole number for each person")
    videos: dict[str, list[tuple[int, str, int, TrackedFrame]]] = defaultdict(list)
    for image in document["images"]:
        if image.get("is_labeled", True):
            name = next((str(image[field]) for field in SEQUENCE_FIELDS if field in image), _folder(image["file_name"]))
            number = next((int(image[f]) for f in FRAME_FIELDS if isinstance(image.get(f), int)), -1)
            frame = _labels(people[image["id"]], len(dataset.skeleton))
            videos[name].append((number, image["file_name"], image["id"], frame))
    heads = any("bbox_head" in p for p in document["annotations"])
    return TrackTruth(dataset.skeleton, {name: _numbered(own) for name, own in videos.items()}, heads)


def _labelled(person: Mapping[str, Any]) -> bool:
    return not person.get("iscrowd") and any(v > 0 for v in person.get("keypoints", ())[2::3])


def _folder(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[0]


def _numbered(frames: list[tuple[int, str, int, TrackedFrame]]) -> list[tuple[int, str, int, TrackedFrame]]:
    """Frames in order, numbered from 0; those without numbers by their names."""
    if any(number < 0 for number, *_ in frames) or len({number for number, *_ in frames}) < len(frames):
        ordered = sorted(frames, key=lambda frame: (frame[1], frame[2]))
        return [(index, *frame[1:]) for index, frame in enumerate(ordered)]
    return sorted(frames, key=lambda frame: frame[0])


def _labels(people: Sequence[Mapping[str, Any]], keypoints: int) -> TrackedFrame:
    own = [person for person in people if _labelled(person)]
    rows = np.array([person["keypoints"] for person in own], dtype=np.float64).reshape(-1, keypoints, 3)
    boxes = _boxes([person["bbox"] for person in own])
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) if len(boxes) else np.zeros(0)
    heads = [_head(person, side) for person, side in zip(own, sides, strict=True)]
    return TrackedFrame(
        [int(person["track_id"]) for person in own],
        np.where(rows[..., 2:] > 0, rows[..., :2], np.nan),
        rows[..., 2],
        boxes,
        np.array([person.get("area") or np.prod(person["bbox"][2:]) for person in own], dtype=np.float64),
        np.array(heads, dtype=np.float64),
        _boxes([person["bbox"] for person in people if not _labelled(person) and person.get("bbox")]),
    )


def _boxes(rows: Sequence[Sequence[float]]) -> Float[np.ndarray, "n 4"]:
    found: np.ndarray = xywh_to_xyxy(torch.tensor(rows, dtype=torch.float64).reshape(-1, 4)).numpy()
    return found


def _head(person: Mapping[str, Any], side: float) -> float:
    """0.6 times the diagonal of the head's box, as PoseTrack has it; else a share of the person's box."""
    box = person.get("bbox_head")
    return HEAD * float(side) if not box else 0.6 * float(np.hypot(box[2], box[3]))


def read_tracks(
    path: Path, skeleton: Skeleton | None = None, *, min_keypoint_score: float | None = None
) -> dict[tuple[str, int, int], TrackedFrame]:
    """Found tracks: a `poses.jsonl`, or COCO's results with `track_id`; by file name, frame (-1 where not said) and image id.

    Args:
        path: The file.
        skeleton: What the results must have; by default whatever they have.
        min_keypoint_score: Keypoints of a lower score count as not found (nan); by default those of score 0.

    Raises:
        ReadError: It is missing or no such file.
        InputError: The poses have other keypoints, or nobody has a track.
    """
    rows = _json_rows(path) if path.suffix.lower() != ".jsonl" else list(read_frames(path))
    found = {}
    for row in rows:
        people = [person for person in row["people"] if person.get("track", -1) >= 0]
        counts = {len(person["keypoints"]) for person in people}
        if skeleton is not None and counts - {len(skeleton)}:
            raise InputError(
                f"{str(path)!r} has poses of {max(counts)} keypoints, and the labels have {len(skeleton)} ({skeleton.name})"
            )
        values = np.array([person["keypoints"] for person in people], dtype=np.float64)
        values = values.reshape(len(people), max(counts, default=0 if skeleton is None else len(skeleton)), 3)
        boxes = np.array([person["box"] for person in people], dtype=np.float64).reshape(-1, 4)
        ids = [int(person["track"]) for person in people]
        ones = np.ones(len(people))
        key = (str(row["file_name"]), int(row.get("frame", -1)), int(row["image_id"]))
        score = values[..., 2]
        seen = score != 0 if min_keypoint_score is None else score >= min_keypoint_score
        found[key] = TrackedFrame(ids, np.where(seen[..., None], values[..., :2], np.nan), score, boxes, ones, ones)
    if not any(frame.ids for frame in found.values()):
        raise InputError(f"{str(path)!r} has nobody with a track id, so there is nothing to evaluate")
    return found


def _json_rows(path: Path) -> list[dict[str, Any]]:
    """COCO's results as rows like those of a `poses.jsonl`."""
    results = read_json(path, what="results", error=ReadError, missing=ReadError)
    if not isinstance(results, list) or any(not isinstance(one, dict) for one in results):
        raise ReadError(f"{str(path)!r} is no list of results; expected COCO's results with track_id, or a poses.jsonl")
    frames: dict[int, dict[str, Any]] = {}
    try:
        for one in results:
            name, frame = one.get("file_name", ""), one.get("frame", -1)
            new = {"image_id": one["image_id"], "file_name": name, "frame": frame, "people": []}
            row = frames.setdefault(one["image_id"], new)
            keypoints = np.array(one["keypoints"], dtype=np.float64).reshape(-1, 3)
            low, high = keypoints[:, :2].min(axis=0), keypoints[:, :2].max(axis=0)
            x, y, width, height = one.get("bbox") or [*low, *(high - low)]
            box = [x, y, x + width, y + height]
            row["people"].append({"keypoints": keypoints.tolist(), "box": box, "track": one.get("track_id", -1)})
    except (KeyError, TypeError, ValueError) as error:
        raise ReadError(f"{str(path)!r}: a result lacks image_id, keypoints or numbers in them ({error!r})") from error
    return list(frames.values())


def evaluate_tracks(
    truth: TrackTruth, found: Mapping[tuple[str, int, int], TrackedFrame], *, by: str = "oks"
) -> TrackEvaluation:
    """Scores of found tracks.

    Args:
        truth: Labelled tracks.
        found: Found tracks (`read_tracks`).
        by: How people are compared: "oks" or "iou".

    Raises:
        UnknownName: Another similarity.
        InputError: No frame of the results is a labelled one.
    """
    if by not in SIMILARITIES:
        raise unknown("similarity", by, SIMILARITIES)
    videos, keypoints, missing, left_out = [], [], 0, 0
    nobody = TrackedFrame([], np.zeros((0, len(truth.skeleton), 2)), np.zeros((0, len(truth.skeleton))), *_none())
    for own in truth.videos.values():
        matched = _matched(own, found)
        missing += sum(one is None for one in matched)
        frames, points = [], []
        for (_, _, _, labels), there in zip(own, matched, strict=True):
            frame, dropped = _without_ignored(labels, there or nobody, truth.skeleton, by)
            left_out += dropped
            frames.append(_compared(labels, frame, truth.skeleton, by))
            points.append(_points(labels, frame))
        videos.append(frames)
        keypoints.append(points)
    count = sum(map(len, videos))
    if missing == count:
        raise InputError(
            "no frame of the results is a labelled one; frames are put together by image_id, by file name, or by the number of "
            "the frame"
        )
    mota, each = keypoint_mota(keypoints, len(truth.skeleton))
    named = dict(zip(truth.skeleton.keypoints, map(float, each), strict=True))
    return TrackEvaluation(track_scores(videos), named, mota, count, missing, left_out, truth.heads)


def _none() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.zeros((0, 4)), np.zeros(0), np.zeros(0)


def _matched(
    own: Sequence[tuple[int, str, int, TrackedFrame]], found: Mapping[tuple[str, int, int], TrackedFrame]
) -> list[TrackedFrame | None]:
    """The results of each labelled frame of a video: by file name, else by the number of the frame, else by image id."""
    names = {name.replace("\\", "/"): frame for (name, _, _), frame in found.items() if name}
    if len(names) == len(found) and any(name in names for _, name, _, _ in own):
        return [names.get(name) for _, name, _, _ in own]
    ids = {image: frame for (_, _, image), frame in found.items()}
    numbers = {number: frame for (_, number, _), frame in found.items() if number >= 0}
    if len(numbers) == len(found):
        shift = int(own[0][0] == 1 and min(numbers) == 0)  # labels that count from 1
        return [numbers.get(number - shift) for number, *_ in own]
    return [ids.get(image) for _, _, image, _ in own]


def _similarity(labels: TrackedFrame, found: TrackedFrame, skeleton: Skeleton, by: str) -> Float[np.ndarray, "g n"]:
    if not labels.ids or not found.ids:
        return np.zeros((len(labels.ids), len(found.ids)))
    if by == "iou":
        return np.asarray(box_iou(torch.from_numpy(labels.boxes), torch.from_numpy(found.boxes)).numpy())
    visible = torch.from_numpy(np.isfinite(labels.xy).all(axis=-1)).to(torch.int64) * 2
    own = Labels.of(
        torch.from_numpy(np.nan_to_num(labels.xy)).float(),
        visible,
        torch.from_numpy(labels.boxes).float(),
        area=torch.from_numpy(labels.area).float(),
    )
    there = torch.from_numpy(np.nan_to_num(found.xy, nan=-1e6)).float()  # far from everything
    return np.asarray(oks(there, own, skeleton.sigmas).numpy().T)


def _without_ignored(labels: TrackedFrame, found: TrackedFrame, skeleton: Skeleton, by: str) -> tuple[TrackedFrame, int]:
    """Found people without those who are in the box of somebody unlabelled and are nobody who is labelled; and how many."""
    if not len(labels.ignored) or not found.ids:
        return found, 0
    like = _similarity(labels, found, skeleton, by)
    best = like.max(axis=0) if len(like) else np.zeros(len(found.ids))
    inside = box_iou(torch.from_numpy(found.boxes), torch.from_numpy(labels.ignored)).numpy().max(axis=1)
    keep = np.flatnonzero((best >= 0.5) | (inside < 0.5))
    kept = TrackedFrame(
        [found.ids[i] for i in keep], found.xy[keep], found.score[keep], found.boxes[keep], found.area[keep], found.head[keep]
    )
    return kept, len(found.ids) - len(keep)


def _compared(labels: TrackedFrame, found: TrackedFrame, skeleton: Skeleton, by: str) -> FrameTracks:
    ids = (np.array(labels.ids, dtype=np.int64), np.array(found.ids, dtype=np.int64))
    return FrameTracks(*ids, _similarity(labels, found, skeleton, by))


def _points(labels: TrackedFrame, found: TrackedFrame) -> FrameKeypoints:
    ids = (np.array(labels.ids, dtype=np.int64), np.array(found.ids, dtype=np.int64))
    return FrameKeypoints(*ids, labels.xy, found.xy, labels.head)


def positions_of(found: Mapping[tuple[str, int, int], TrackedFrame]) -> dict[int, TrackPositions]:
    """Positions of every track over the frames, for jitter and lag."""
    frames = [frame for _, frame in sorted(found.items(), key=lambda item: (item[0][1], item[0][2]))]
    ids = sorted({track for frame in frames for track in frame.ids})
    keypoints = max(frame.xy.shape[1] for frame in frames)
    xy = {track: np.full((len(frames), keypoints, 2), np.nan) for track in ids}
    size = {track: np.full(len(frames), np.nan) for track in ids}
    for index, frame in enumerate(frames):
        for row, track in enumerate(frame.ids):
            xy[track][index] = frame.xy[row]
            size[track][index] = max(float((frame.boxes[row, 2:] - frame.boxes[row, :2]).max()), 1.0)
    return {track: TrackPositions(xy[track], size[track]) for track in ids}


def to_json(evaluation: TrackEvaluation) -> str:
    """The scores as JSON text."""
    plain = {
        "scores": evaluation.scores,
        "keypoint MOTA": {**evaluation.keypoints, "mean": evaluation.mota},
        "frames": evaluation.frames,
        "frames without results": evaluation.missing,
    }
    finite = json.loads(json.dumps(plain), parse_constant=lambda _: None)
    return json.dumps(finite, indent=2) + "\n"
