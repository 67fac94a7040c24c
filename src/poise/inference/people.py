"""People in many images: views are cut in threads while the network answers, batches run across images."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from poise.data.boxes import usable
from poise.errors import InputError, PoiseError
from poise.geometry import apply, invert
from poise.metrics.oks import rescore
from poise.models.device import Precision, autocast, choose_device, choose_precision
from poise.models.topdown import TopDown
from poise.structures import Key, Points, Poses
from poise.transforms.cut import Cutter

Image = UInt8[Tensor, "3 H W"]


@final
@dataclass(frozen=True)
class Setting:
    """How a model is run.

    Attributes:
        device: What computes.
        precision: In which numbers.
        flip: Whether the answer is averaged with that for the mirrored view.
        batch: Views at a time.
        workers: Threads that read and cut; 0 does it in between.
    """

    device: torch.device
    precision: Precision
    flip: bool
    batch: int = 32
    workers: int = 2

    @classmethod
    def of(
        cls,
        model: TopDown,
        *,
        device: str | None = None,
        precision: str | None = None,
        flip: bool | None = None,
        batch: int = 32,
        workers: int = 2,
    ) -> "Setting":
        """Choose what is not given: the device and precision by what the machine has, the flip test as the model's release.

        Raises:
            UnknownName: No such device or precision.
            InputError: This machine has no such device, or a number is too small.
            SkeletonMismatch: The flip test needs mirror pairs, and the skeleton has none.
        """
        if batch < 1 or workers < 0:
            raise InputError(f"a batch needs at least 1 view and workers cannot be below 0, found {batch} and {workers}")
        chosen = choose_device(device)
        use_flip = model.preprocess.flip_test if flip is None else flip
        if use_flip:
            model.skeleton.check_flip()
        return cls(chosen, choose_precision(precision, chosen), use_flip, batch, workers)


@final
@dataclass(frozen=True, eq=False)
class Request:
    """An image and where to look in it.

    Attributes:
        key: Of the image.
        read: Gives the image.
        boxes: x0 y0 x1 y1; None means the whole image is one person.
        box_score: Of each box; 1 by default.
    """

    key: Key
    read: Callable[[], Image]
    boxes: Float[Tensor, "n 4"] | None = None
    box_score: Float[Tensor, " n"] | None = None


@final
@dataclass(frozen=True, eq=False)
class Found:
    """The people of one image.

    Attributes:
        image: As it was read.
        poses: One for each box that was looked into.
        rows: Which of the request's boxes those are; boxes outside the image are left out.
    """

    image: Image
    poses: Poses
    rows: list[int]


@final
@dataclass(frozen=True)
class Skipped:
    """An image that could not be used, and why."""

    key: Key
    reason: str


def none_usable(skipped: Sequence[Skipped]) -> str:
    """What to say where all images were skipped."""
    first = skipped[0].reason
    return first if len(skipped) == 1 else f"none of the {len(skipped)} images could be used; the first: {first}"


@final
@dataclass(frozen=True, eq=False)
class _Cut:
    request: Request
    image: Image
    boxes: Float[Tensor, "n 4"]
    box_score: Float[Tensor, " n"]
    rows: list[int]
    views: list[Float[Tensor, "3 h w"]]
    warps: list[Float[Tensor, "3 3"]]


def find_people(
    model: TopDown, requests: Iterable[Request], setting: Setting, *, skipped: list[Skipped] | None = None
) -> Iterator[Found]:
    """Look for people, image by image, in the order of the requests.

    Args:
        model: Moved to the setting's device, and left there.
        requests: Read ahead by a few images.
        setting: How the model is run.
        skipped: Takes the images that cannot be used; without it the first one raises its error.
    """
    cutter = Cutter(model.codec.size, model.preprocess, model.skeleton)
    waiting: deque[_Cut] = deque()
    views: list[Float[Tensor, "3 h w"]] = []
    answers: deque[tuple[Tensor, Tensor]] = deque()
    for request, job in _ahead(lambda request: _cut(cutter, request), requests, setting.workers):
        try:
            cut = job()
        except PoiseError as error:
            if skipped is None:
                raise
            skipped.append(Skipped(request.key, str(error)))
            continue
        waiting.append(cut)
        views += cut.views
        while len(views) >= setting.batch:
            answers += _rows(look(model, views[: setting.batch], setting))
            del views[: setting.batch]
        yield from _finished(waiting, answers, model)
    if views:
        answers += _rows(look(model, views, setting))
    yield from _finished(waiting, answers, model)


def look(model: TopDown, views: Sequence[Float[Tensor, "3 h w"]], setting: Setting) -> Points:
    """The network's answer to some views, on the CPU; a model in training is put back into it."""
    training = model.training
    model.eval().to(setting.device).to(memory_format=torch.channels_last)
    try:
        with torch.inference_mode():
            images = torch.stack(list(views)).to(setting.device).contiguous(memory_format=torch.channels_last)
            with autocast(setting.device, setting.precision):
                output = model.answer(images, flip=setting.flip)
            points = model.codec.decode(output)
    finally:
        model.train(training)
    return Points(points.xy.cpu(), points.score.cpu())


def poses_of(
    boxes: Float[Tensor, "n 4"],
    box_score: Float[Tensor, " n"],
    points: Points,
    warps: Float[Tensor, "n 3 3"],
    key: Key,
    *,
    least: float,
) -> Poses:
    """Points of views as poses of the image they were cut from, rated as the releases do.

    Args:
        boxes: What the views show.
        box_score: Of each box.
        points: Pixels of the views.
        warps: Image to view.
        key: Of the image.
        least: Keypoint scores above it make the score of a pose.
    """
    xy = apply(invert(warps.double()), points.xy.double()).float()
    return Poses(xy, points.score, boxes, box_score, rescore(box_score, points.score, least), key)


def _cut(cutter: Cutter, request: Request) -> _Cut:
    image = request.read()
    whole = torch.tensor([[0.0, 0.0, image.shape[2], image.shape[1]]])
    boxes = whole if request.boxes is None else request.boxes
    good = usable(boxes, (image.shape[1], image.shape[2]))
    cuts = [cutter.box(image, box) for box in boxes[good]]
    score = torch.ones(len(boxes)) if request.box_score is None else request.box_score
    rows = good.nonzero().flatten().tolist()
    return _Cut(request, image, boxes[good], score[good], rows, [view for view, _ in cuts], [warp for _, warp in cuts])


_Job = tuple[Request, Callable[[], _Cut]]


def _ahead(cut: Callable[[Request], _Cut], requests: Iterable[Request], workers: int) -> Iterator[_Job]:
    """Every request with what gives its cut; `workers` threads are a few requests ahead."""
    if workers == 0:
        yield from ((request, partial(cut, request)) for request in requests)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="poise-read")
    try:
        jobs: deque[_Job] = deque()
        for request in requests:
            jobs.append((request, pool.submit(cut, request).result))
            if len(jobs) > 2 * workers:
                yield jobs.popleft()
        while jobs:
            yield jobs.popleft()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _rows(points: Points) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(points.xy, points.score, strict=True)


def _finished(waiting: deque[_Cut], answers: deque[tuple[Tensor, Tensor]], model: TopDown) -> Iterator[Found]:
    """The images at the front all of whose views have been answered."""
    while waiting and len(waiting[0].views) <= len(answers):
        cut = waiting.popleft()
        own = [answers.popleft() for _ in cut.views]
        k = len(model.skeleton)
        points = Points(
            torch.stack([xy for xy, _ in own]) if own else torch.zeros(0, k, 2),
            torch.stack([score for _, score in own]) if own else torch.zeros(0, k),
        )
        warps = torch.stack(cut.warps) if own else torch.zeros(0, 3, 3)
        least = model.preprocess.min_keypoint_score
        poses = poses_of(cut.boxes, cut.box_score, points, warps, cut.request.key, least=least)
        yield Found(cut.image, poses, cut.rows)
