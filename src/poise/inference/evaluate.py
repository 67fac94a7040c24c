"""Measuring a model: the COCO protocol, PCK, every keypoint."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import add
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.data.boxes import PersonBoxes
from poise.errors import BoxError, ImageError
from poise.inference.exam import Exam
from poise.inference.people import Found, Request, Setting, Skipped, find_people, none_usable, poses_of
from poise.inference.round_trip import labelled_views, there_and_back
from poise.metrics import coco, entries
from poise.metrics.oks import oks_nms, pose_oks, rescore
from poise.metrics.pck import PCK, THRESHOLDS, matched, pck
from poise.models.topdown import TopDown
from poise.skeletons import Skeleton, places
from poise.structures import Points, Poses
from poise.transforms.crop import frame

Watch = Callable[[Iterable[Found], int], Iterable[Found]]
"""Sees every image as it is done, and is told how many there will be; for progress bars."""


@final
@dataclass(frozen=True)
class Rating:
    """How poses are rated and doubles removed.

    Attributes:
        min_keypoint_score: Keypoints above it make the score of a pose.
        oks_nms: Of two poses nearer than this OKS the better one stays; None keeps all.
    """

    min_keypoint_score: float
    oks_nms: float | None

    @classmethod
    def of(cls, model: TopDown) -> "Rating":
        """As the model's release does it."""
        return cls(model.preprocess.min_keypoint_score, model.preprocess.oks_nms)


@final
@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured.

    Attributes:
        coco: The protocol's numbers.
        pck: "pck@0.05", "pck@0.1", "pck@0.2": shares of the labelled keypoints.
        keypoints: For each keypoint its pck, and the protocol's AP and AR as if it alone were labelled.
        results: All poses in COCO's form.
        skeleton: Of the data set.
        skipped: Images that could not be used; their people count as missed.
        lost_boxes: Boxes that have no size or lie outside their image; nobody was looked for in them.
        positions: For every image, a pose for each row of its labels, pixels of the image; nan where there is none.
    """

    coco: coco.CocoScores
    pck: dict[str, float]
    keypoints: dict[str, dict[str, float]]
    results: list[dict[str, Any]]
    skeleton: Skeleton
    skipped: list[Skipped]
    lost_boxes: int
    positions: list[Float[Tensor, "_ k 2"]]

    @property
    def numbers(self) -> dict[str, float]:
        """The ten numbers and the pck."""
        return self.coco.numbers | self.pck


@final
@dataclass(frozen=True, eq=False)
class _Looked:
    """An image's poses in the keypoints of the data set, and whose they are: rows of the labels, or only categories."""

    poses: Poses
    rows: list[int] | None
    categories: list[int]


def evaluate(
    model: TopDown,
    exam: Exam,
    setting: Setting,
    *,
    rating: Rating | None = None,
    boxes: Mapping[int, PersonBoxes] | None = None,
    watch: Watch | None = None,
) -> Evaluation:
    """Look for the people of a data set and compare.

    Args:
        model: Knows every keypoint of the data set, by name.
        exam: The data set and its annotations.
        setting: How the model is run.
        rating: How poses are rated; as the model's release by default.
        boxes: A detector's, for each category; the labelled boxes by default.
        watch: Sees every image as it is done.

    Raises:
        SkeletonMismatch: The model lacks keypoints of the data set.
        AnnotationError: The annotations cannot be scored against.
        BoxError: No box is of any use.
        ImageError: No image can be used.
    """
    exam.known_to(model.skeleton)
    entries.check(exam.truth, exam.skeletons)  # before anything slow
    wanted = _labelled(model, exam) if boxes is None else _detected(exam, boxes)
    lost = exam.sizeless if boxes is None else sum(part.skipped for part in boxes.values())
    if not wanted:
        raise BoxError(_nobody(lost))
    skipped: list[Skipped] = []
    looked: dict[int, _Looked] = {}
    order = {want.request.key: index for index, want in wanted.items()}
    stream: Iterable[Found] = find_people(model, [want.request for want in wanted.values()], setting, skipped=skipped)
    for found in watch(stream, len(wanted)) if watch else stream:
        index = order[found.poses.key]
        rows, categories = wanted[index].rows, wanted[index].categories
        lost += len(categories) - len(found.rows)
        looked[index] = _Looked(
            found.poses, None if rows is None else [rows[i] for i in found.rows], [categories[i] for i in found.rows]
        )
    if len(skipped) == len(wanted):
        raise ImageError(none_usable(skipped))
    if not any(one.categories for one in looked.values()):
        raise BoxError(_nobody(lost))
    return _compare(model, exam, looked, rating or Rating.of(model), skipped=skipped, lost=lost)


def _nobody(lost: int) -> str:
    if not lost:
        return "there is nobody to look for: no labelled people, or no boxes for these images"
    return (
        f"none of the {lost} boxes can be looked into: they have no size or lie outside their image; expected `bbox` as x, y, "
        f"width, height in pixels, width and height above 0"
    )


@final
@dataclass(frozen=True, eq=False)
class SelfTest:
    """What crop and codec cost.

    Attributes:
        evaluation: Of the labels that went through both, without removing doubles.
        codec_ap: The AP if keypoints outside their person's view had come back unharmed: what is missing costs the codec.
        errors: How far each labelled keypoint inside its view comes back from where it was, pixels of the view.
        outside: How many labelled keypoints lie outside their person's view, where no network can find them.
    """

    evaluation: Evaluation
    codec_ap: float
    errors: Float[Tensor, " e"]
    outside: int


def self_test(model: TopDown, exam: Exam) -> SelfTest:
    """The labels through crop, encoding, decoding and back, as if they were predictions. No image is read, no network asked.

    Raises:
        SkeletonMismatch: The model lacks keypoints of the data set.
    """
    exam.known_to(model.skeleton)
    rule = model.preprocess
    views = labelled_views(exam, rule, size=model.codec.size, skeleton=model.skeleton)
    [back] = there_and_back([model.codec], views.xy)
    outside = views.labelled & ~views.inside
    mended = Points(torch.where(outside[..., None], views.xy, back.xy), back.score)
    looked: dict[int, _Looked] = {}
    healed: dict[int, _Looked] = {}
    for index, rows in views.images.items():
        boxes, key, warps = views.boxes[rows], exam.dataset.key(index), views.warps[rows]
        for target, found in ((looked, back), (healed, mended)):
            points = Points(found.xy[rows], found.score[rows])
            poses = poses_of(boxes, torch.ones(len(rows)), points, warps, key, least=rule.min_keypoint_score)
            target[index] = _Looked(poses, views.rows[rows].tolist(), exam.categories(index))
    errors = (back.xy - views.xy).norm(dim=-1)[views.inside]
    rating = Rating(rule.min_keypoint_score, None)
    evaluation, ideal = (_compare(model, exam, part, rating, skipped=[], lost=0) for part in (looked, healed))
    return SelfTest(evaluation, ideal.coco.numbers["AP"], errors, int(outside.sum()))


@final
@dataclass(frozen=True, eq=False)
class _Wanted:
    """What to look for in an image: for each box the row of its label, if it has one, and its category."""

    request: Request
    rows: list[int] | None
    categories: list[int]


def _labelled(model: TopDown, exam: Exam) -> dict[int, _Wanted]:
    wanted: dict[int, _Wanted] = {}
    for index in range(len(exam.dataset)):
        if rows := exam.people(index):
            boxes = exam.boxes(index, model.preprocess.crop)
            request = Request(exam.dataset.key(index), partial(exam.dataset.image, index), boxes)
            wanted[index] = _Wanted(request, rows, exam.categories(index))
    return wanted


def _detected(exam: Exam, boxes: Mapping[int, PersonBoxes]) -> dict[int, _Wanted]:
    wanted: dict[int, _Wanted] = {}
    for index, image in enumerate(exam.ids):
        found = {category: part.of(image) for category, part in boxes.items()}
        where = torch.cat([b for b, _ in found.values()])
        if len(where):
            score = torch.cat([s for _, s in found.values()])
            request = Request(exam.dataset.key(index), partial(exam.dataset.image, index), where, score)
            wanted[index] = _Wanted(request, None, [category for category, (b, _) in found.items() for _ in b])
    return wanted


def _compare(
    model: TopDown, exam: Exam, looked: Mapping[int, _Looked], rating: Rating, *, skipped: list[Skipped], lost: int
) -> Evaluation:
    results: list[dict[str, Any]] = []
    counts: dict[float, list[PCK]] = {t: [] for t in THRESHOLDS}
    everywhere: list[Tensor] = []
    columns = list(places(model.skeleton, exam.skeleton))
    for index, image in enumerate(exam.ids):
        labels = exam.dataset.labels(index)
        positions = torch.full_like(labels.xy, torch.nan)
        if index in looked:
            one = looked[index]
            xy, score = one.poses.xy[:, columns], one.poses.score[:, columns]
            rated = rescore(one.poses.box_score, score, rating.min_keypoint_score)
            poses = replace(one.poses, xy=xy, score=score, pose_score=rated)
            results += _results(model, exam, poses, one.categories, image=image, oks=rating.oks_nms)
            if one.rows is None:
                positions = matched(xy, rated, labels, exam.skeleton.sigmas)
            else:
                positions[one.rows] = xy.to(positions)
        everywhere.append(positions)
        for threshold in THRESHOLDS:
            counts[threshold].append(pck(positions, labels, threshold))
    total = {f"pck@{t:g}": reduce(add, parts) for t, parts in counts.items()}
    alone = coco.evaluate_keypoints(exam.truth, results, exam.skeletons)
    keypoints = {
        name: {label: count.keypoints[i] for label, count in total.items()} | {n: alone[name][n] for n in ("AP", "AR")}
        for i, name in enumerate(exam.skeleton.keypoints)
    }
    scores = coco.evaluate(exam.truth, results, exam.skeletons)
    shares = {label: count.mean for label, count in total.items()}
    return Evaluation(scores, shares, keypoints, results, exam.skeleton, skipped, lost, everywhere)


def _results(
    model: TopDown, exam: Exam, poses: Poses, categories: list[int], *, image: int, oks: float | None
) -> list[dict[str, Any]]:
    """The poses of an image in COCO's form, each in the keypoints of its category; without doubles unless `oks` is None."""
    rows: list[dict[str, Any]] = []
    for category in dict.fromkeys(categories):
        one = poses.select(torch.tensor([c == category for c in categories]))
        own = list(places(exam.skeleton, exam.skeletons[category]))
        one = replace(one, xy=one.xy[:, own], score=one.score[:, own])
        if oks is not None:
            similar = pose_oks(one.xy, _areas(model, one.boxes), exam.skeletons[category].sigmas)
            one = one.select(oks_nms(similar, one.pose_score, oks))
        of = torch.full((len(one),), category, dtype=torch.int64)
        rows += entries.rows_of(one.xy, one.score, one.pose_score, image=image, categories=of)
    return rows


def _areas(model: TopDown, boxes: Float[Tensor, "n 4"]) -> Float[Tensor, " n"]:
    """Square pixels that the model sees of each box: what the releases take for the area when they remove doubles."""
    rule = model.preprocess
    seen = [frame(rule, box, size=model.codec.size).extent for box in boxes]
    return torch.tensor(seen, dtype=torch.float64).prod(dim=1)
