"""Detect and follow: a detector finds people every some frames, and in between each person's keypoints say where to look next.

So a video costs little more than its keypoints. Of models with alignment keypoints (BlazePose) these say it.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError
from poise.inference.detect import Detector
from poise.inference.request import ImageRequest
from poise.inference.settings import InferenceSettings
from poise.inference.stream import eval_mode
from poise.metrics.nms import box_iou, greedy_nms
from poise.models.top_down import TopDown
from poise.models.values import Course, Image, ImageViews, Region
from poise.structures import Key, Poses
from poise.transforms.crop import Frame


@final
@dataclass(frozen=True)
class FollowSettings:
    """How people are followed from frame to frame.

    Attributes:
        detect_every: Frames from one run of the detector to the next; 1 runs it in every frame, and follows nobody.
        min_score: Pose score below which a person is lost: the detector runs again in the next frame.
        growth: Factor by which the box around confident keypoints grows (Simple Baselines' tracking: 1.15).
        least: Sides of the box by those of the one before, at least, where some keypoints are not confident. A box around what
            is seen best would shrink to it, from view to view.
        overlap: IoU from which a detected box belongs to somebody who is followed, and takes the place of the followed box.
        duplicate: OKS above which two poses are one person: the one of lower score goes.
        misses: Runs of the detector in a row that do not see somebody, after which nobody is followed there: a model may be
            sure of keypoints where a person was, for ever. 0 follows on. Without effect where no detector gives the boxes.
        search: Frames for which the detector runs more often once there are fewer people: who went behind somebody, and whose
            view showed that one, comes out again.
        search_every: Frames from one run of the detector to the next meanwhile.
        hidden: Frames for which somebody is looked for where they should be by now, while the view there shows somebody else;
            0 for none.
        known: Frames in which they must have been seen before.

    Raises:
        InputError: A number is out of its range.
    """

    detect_every: int = 10
    min_score: float = 0.15
    growth: float = 1.15
    least: float = 0.97
    overlap: float = 0.3
    duplicate: float = 0.7
    misses: int = 4
    search: int = 30
    search_every: int = 2
    hidden: int = 0
    known: int = 5

    def __post_init__(self) -> None:
        """Check the numbers."""
        shares = 0 <= self.overlap <= 1 and 0 <= self.least <= 1
        counts = min(self.detect_every, self.search_every, self.known) >= 1
        counts = counts and min(self.misses, self.search, self.hidden) >= 0
        if not counts or self.growth <= 0 or not shares or self.duplicate <= 0:
            raise InputError(
                f"following: detect_every, search_every and known are at least 1, growth and duplicate are above 0, overlap "
                "and least are 0 to 1, misses, search and hidden are 0 or more, found "
                f"{self.detect_every}, {self.search_every}, {self.known}, {self.growth}, {self.duplicate}, {self.overlap}, "
                f"{self.least}, {self.misses}, {self.search} and {self.hidden}"
            )


@final
@dataclass(frozen=True, eq=False)
class Look:
    """A frame that is being looked at.

    Attributes:
        size: Of the frame (h, w), pixels.
        key: Of the frame.
        views: What the model sees of it.
        answers: The model's answers, once they are there.
        fresh: Regions of people that the detector finds in it, for the next frame; None where it does not run beside the model.
    """

    size: Size
    key: Key
    views: ImageViews
    answers: "Future[list[Any]]"
    fresh: "Future[list[Region]] | None"


@final
@dataclass(eq=False)
class Follower:
    """Finds people in one frame after another.

    Attributes:
        model: On its device, in evaluation mode (`inference.stream.prepare`).
        settings: How the model is run.
        detector: Finds boxes; None for a model that finds people by itself, or that is given the whole image.
        min_box_score: Lowest confidence of the detector's boxes.
        how: How people are followed.
        regions: Where the next frame is looked at.
        seconds: Time that the detector and the model took.
    """

    model: TopDown
    settings: InferenceSettings
    detector: Detector | None = None
    min_box_score: float = 0.3
    how: FollowSettings = field(default_factory=FollowSettings)
    regions: list[Region] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: {"detector": 0.0, "network": 0.0})
    _since: int = 0
    _lost: bool = True
    _followed: int = 0
    _search: int = 0
    _pool: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, 2, "poise-look"))

    def __call__(self, image: Image, key: Key) -> Poses:
        """The people of the next frame.

        Args:
            image: RGB, uint8.
            key: Of the frame.
        """
        return self.finish(self.begin(image, key))

    def begin(self, image: Image, key: Key) -> "Look":
        """Begin to look at the next frame: the networks run in threads until `finish` is called, before the next `begin`.

        Where somebody was lost the detector runs first, and says where to look; where it is merely its turn it runs beside the
        model, and says where to look in the frame after.

        Args:
            image: RGB, uint8.
            key: Of the frame.
        """
        self._since += 1
        every = min(self.how.search_every, self.how.detect_every) if self._search else self.how.detect_every
        self._search = max(self._search - 1, 0)
        fresh: Future[list[Region]] | None = None
        if self._lost:
            self._join(self._detected(image))
            self._since = 0
        views = self.model.region_views(image, self.regions)
        answers = self._pool.submit(self._answers, views)
        if self._since >= every and self._detects:
            fresh, self._since = self._pool.submit(self._detected, image), 0
        return Look((image.shape[1], image.shape[2]), key, views, answers, fresh)

    def finish(self, look: "Look") -> Poses:
        """The people of the frame that `begin` began to look at."""
        answers, size, views = look.answers.result(), look.size, look.views
        with torch.inference_mode():
            [poses] = self.model.poses(views, answers, look.key, decoders=[self.model.codec.decode])
            how = {"growth": self.how.growth, "least": self.how.least if self._detects else 0.0}
            following = self.model.next_regions(views, answers, poses=poses, size=size, **how)
        sure = (poses.pose_score >= self.how.min_score).tolist()
        good = [there and region is not None for there, region in zip(sure, following, strict=True)]
        before = self.regions if len(self.regions) == len(poses) else [Region(box) for box in poses.boxes]
        # A detection that turns out to be nobody is no loss: the detector would run in every frame of a crowd.
        shown = sum(there and not region.course.hidden for there, region in zip(good, before, strict=True))
        self._lost = not any(good) or shown < self._followed
        kept = self._different(poses, before, following)
        seen = [self._seen(before[i], region) for i in kept if good[i] and (region := following[i]) is not None]
        others = [before[i] for i in range(len(poses)) if i not in kept or (before[i].course.hidden and not good[i])]
        self.regions = [*seen, *(moved for region in others if (moved := self._hidden(region)) is not None)]
        if len(seen) < self._followed:
            self._search = self.how.search
        self._followed = len(seen)
        show = [i for i in kept if good[i] or not before[i].course.hidden]
        if look.fresh is not None:
            self._join(look.fresh.result())
        return replace(poses if len(show) == len(poses) else poses[show], skeleton=self.model.skeleton, size=size)

    @property
    def _detects(self) -> bool:
        """Whether there is a detector; without one the first box is the whole image, which says nothing of people's sizes."""
        return self.detector is not None or self.model.finds_people

    def _detected(self, image: Image) -> list[Region]:
        """Regions of the people that the detector sees; without one that of the whole image, where nobody is followed."""
        begun = time.perf_counter()
        if self.detector is not None:
            request = ImageRequest(Key("", 1), partial(_same, image))
            [found] = self.detector.find([request], skipped=[])
            confident = found.confident(self.min_box_score)
            fresh = self.model.regions(image, confident.boxes, confident.scores)
        elif self.model.finds_people:
            fresh = self.model.found_regions(image)
        else:
            whole = torch.tensor([[0.0, 0.0, float(image.shape[2]), float(image.shape[1])]])
            fresh = [] if self._followed else self.model.regions(image, whole, torch.ones(1))
        self.seconds["detector"] += time.perf_counter() - begun
        return fresh

    def _join(self, fresh: list[Region]) -> None:
        """Look at detected people, too; who is no longer followed after this was given up and not lost."""
        self.regions = self._joined(fresh)
        self._followed = min(self._followed, sum(not region.course.hidden for region in self.regions))

    def _joined(self, fresh: list[Region]) -> list[Region]:
        """Regions of detected people, and those of followed people whom the detector does not see."""
        if not self.regions or (not fresh and self.detector is None):
            return [*fresh, *self.regions]
        boxes = [torch.stack([r.box for r in some]) if some else torch.zeros(0, 4) for some in (fresh, self.regions)]
        share = box_iou(*boxes)
        shared = share >= self.how.overlap
        if self.detector is None:  # the model's own detector is coarser than what it follows
            return [*self.regions, *(r for i, r in enumerate(fresh) if not shared[i].any())]
        whose = _pairs(share, self.how.overlap)
        found = [replace(r, course=self.regions[whose[i]].course) if i in whose else r for i, r in enumerate(fresh)]
        kept = [self._unseen(r, near=bool(shared[:, j].any())) for j, r in enumerate(self.regions) if j not in whose.values()]
        return [*found, *(region for region in kept if region is not None)]

    def _unseen(self, region: Region, *, near: bool) -> Region | None:
        """The region of somebody whom the detector does not see, who may be behind one `near` whom it sees; None for nobody."""
        if region.course.hidden:
            return region
        if near and region.course.seen < self.how.known:
            return None  # a second view of the one who is seen
        missed = replace(region, missed=region.missed + 1)
        return missed if not self.how.misses or missed.missed < self.how.misses else None

    def _seen(self, before: Region, region: Region) -> Region:
        """Where to look next for somebody who was seen."""
        return replace(region, missed=before.missed, course=before.course.at(_middle(region.box)))

    def _hidden(self, region: Region) -> Region | None:
        """Where to look next for somebody whose view showed somebody else; None where they are given up."""
        course = region.course
        if course.place is None or course.seen < self.how.known or course.hidden >= self.how.hidden:
            return None
        on, (x, y) = course.on(), _middle(region.box)
        step = (on.place[0] - course.place[0], on.place[1] - course.place[1]) if on.place else (0.0, 0.0)
        if not course.hidden:  # the view had gone over to who was seen
            step = (on.place[0] - x, on.place[1] - y) if on.place else step
        frame = region.frame
        turned = None if frame is None else replace(frame, centre=(frame.centre[0] + step[0], frame.centre[1] + step[1]))
        return replace(region, box=region.box + torch.tensor(step).repeat(2), score=1.0, frame=turned, course=on)

    def _answers(self, views: ImageViews) -> list[Any]:
        """What the model answers to each view."""
        begun, answers = time.perf_counter(), list[Any]()
        for start in range(0, len(views.views), self.settings.batch):
            batch = views.views[start : start + self.settings.batch]
            with eval_mode(None, batch, device=self.settings.device, precision=self.settings.precision) as images:
                wanted = [(views, start + i) for i in range(len(batch))]
                answers += self.model.answer(images, wanted, flip=self.settings.flip, decoders=[self.model.codec.decode])
        self.seconds["network"] += time.perf_counter() - begun
        return answers

    def _different(self, poses: Poses, before: Sequence[Region], after: Sequence[Region | None]) -> list[int]:
        """Indices of the poses without second ones of the same person, in their order; that stays whose view fits it best."""
        if len(poses) < 2:
            return list(range(len(poses)))
        similar = self.model.similarity(poses, self.model.skeleton.sigmas)
        fits = [
            0.0 if own is None else float(box_iou(own.box[None], old.box[None])) for own, old in zip(after, before, strict=True)
        ]
        kept = greedy_nms((similar > self.how.duplicate).numpy(), poses.pose_score * torch.tensor(fits))
        return sorted(kept.tolist())

    def to_plain(self) -> dict[str, Any]:
        """Where it looks next, as plain types."""
        regions = [
            {
                "box": region.box.tolist(),
                "score": region.score,
                "missed": region.missed,
                "course": [region.course.place, region.course.velocity, region.course.seen, region.course.hidden],
                "frame": None if region.frame is None else [*region.frame.centre, *region.frame.extent, region.frame.angle],
            }
            for region in self.regions
        ]
        return {
            "regions": regions,
            "since": self._since,
            "lost": self._lost,
            "followed": self._followed,
            "search": self._search,
        }

    def restore(self, values: dict[str, Any]) -> None:
        """Look where `to_plain` said."""
        self._since, self._lost, self._followed = int(values["since"]), bool(values["lost"]), int(values["followed"])
        self._search = int(values.get("search", 0))
        self.regions = [
            Region(
                torch.tensor(one["box"], dtype=torch.float32),
                float(one["score"]),
                _frame(one["frame"]),
                int(one.get("missed", 0)),
                _course(one.get("course")),
            )
            for one in values["regions"]
        ]


def _frame(numbers: Sequence[float] | None) -> Frame | None:
    if numbers is None:
        return None
    x, y, width, height, angle = numbers
    return Frame((x, y), (width, height), angle)


def _course(numbers: Sequence[Any] | None) -> Course:
    if numbers is None:
        return Course()
    place, (x, y), seen, hidden = numbers
    return Course(None if place is None else (place[0], place[1]), (x, y), seen, hidden)


def _middle(box: Float[Tensor, "4"]) -> tuple[float, float]:
    x0, y0, x1, y1 = box.tolist()
    return (x0 + x1) / 2, (y0 + y1) / 2


def _pairs(share: Float[Tensor, "m n"], least: float) -> dict[int, int]:
    """Rows with the column of each, one to one, the greatest shares first."""
    found: dict[int, int] = {}
    for value, row, column in sorted(((float(v), i, j) for (i, j), v in np.ndenumerate(share.numpy())), reverse=True):
        if value >= least and row not in found and column not in found.values():
            found[row] = column
    return found


def _same(image: Image) -> Image:
    return image
