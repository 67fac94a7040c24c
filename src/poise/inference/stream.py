"""The inference loop of all models: images are read in threads while the network runs, batches run across images.

A batch has views of one size, so results do not depend on the other images of the batch unless batches are padded.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.dims import Size
from poise.errors import InputError, PoiseError
from poise.inference.request import ImagePoses, ImageRequest, Skipped
from poise.inference.runtime import attach
from poise.inference.settings import InferenceSettings, Pixels
from poise.inference.stages import CROPS, DECODING, DETECTOR, NETWORK, READING, Stages
from poise.models.base import BoxFinder, ImageModel, PoseModel
from poise.models.device import Precision, autocast
from poise.models.require import require_box_finder
from poise.models.values import Detections, Image, ImageViews

MAX_WAITING = 4
"""Batches of images that may wait for other views to fill a batch; then the first image runs in a smaller batch."""

BATCHES_AHEAD = 2
"""Batches of views that are read ahead: while one runs, the next one is made (`analysis.skew` simulates it)."""

MOST_AHEAD = 16
"""Images that are read ahead where their pixels are kept."""

MOST_BYTES = 2**29
"""Bytes of images that may wait so: 14 of 12 megapixels."""

T = TypeVar("T")
R = TypeVar("R")


@final
@dataclass(eq=False)
class BatchedViews:
    """An image, its views, and the model's answers to them so far.

    Attributes:
        request: The request.
        image: The image, uint8 (3 H W); None where it is not kept.
        size: Size of the image (h, w), pixels.
        views: The views of the image.
        answers: The model's answer to each view, by the index of the view.
        seconds: Time that decoding took, for each decoder.
    """

    request: ImageRequest
    image: Image | None
    size: Size
    views: ImageViews
    answers: dict[int, Any] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether all views have been answered."""
        return len(self.answers) == len(self.views.views)

    @property
    def bytes(self) -> int:
        """Memory of the pixels."""
        return 0 if self.image is None else self.image.numel()


Waiting = tuple[BatchedViews, int]
"""A view that waits for its batch: its image, and the index of the view in `ImageViews.views`."""

Shape = tuple[int, int]
"""Key of a batch: the size of its views (h, w); in padded batches the index of the view, and 1 for upright views, else 0."""


def find_poses(
    model: PoseModel,
    requests: Iterable[ImageRequest],
    settings: InferenceSettings,
    *,
    skipped: list[Skipped] | None = None,
    prepared: bool = False,
    stages: Stages | None = None,
) -> Iterator[ImagePoses]:
    """The poses of each image, in the order of the requests, decoded by the model's codec (`stream_poses`)."""
    for [found] in stream_poses(model, requests, settings, skipped=skipped, prepared=prepared, stages=stages):
        yield found


def stream_poses(
    model: PoseModel,
    requests: Iterable[ImageRequest],
    settings: InferenceSettings,
    *,
    codecs: Sequence[Any] | None = None,
    skipped: list[Skipped] | None = None,
    prepared: bool = False,
    stages: Stages | None = None,
) -> Iterator[list[ImagePoses]]:
    """The poses of each image, in the order of the requests, as each of several codecs decodes the same outputs.

    Args:
        model: Moved to the settings' device, and stays there; a model in training mode is put back into it.
        requests: Prefetched by a few images; with boxes only for a model that takes them. May be endless.
        settings: Device, precision, flip test, batches, threads.
        codecs: Codecs that differ from the model's in decoding only; by default the model's own.
        skipped: Receives the images that cannot be read; without it the first such image raises its error.
        prepared: Whether the model is on the device and in evaluation mode already (`prepare`).
        stages: Told where the time goes.

    Raises:
        InputError: A request has boxes and the model finds people by itself.
    """
    stages = stages or Stages()
    timers = [DecoderTimer(codec) for codec in ([model.codec] if codecs is None else codecs)]

    def answer(images: Tensor, batch: Sequence[Waiting]) -> Sequence[Any]:
        views = [(own.views, index) for own, index in batch]
        with timed(timers) as spent:
            answers = model.answer(images, views, flip=settings.flip, decoders=timers)
        for own, _ in batch:
            own.seconds = [old + new / len(batch) for old, new in zip(own.seconds or [0.0] * len(spent), spent, strict=True)]
        stages.add(NETWORK, -sum(spent))  # it was running meanwhile
        stages.add(DECODING, sum(spent))
        return answers

    every = in_batches(model, requests, answer=answer, settings=settings, skipped=skipped, prepared=prepared, stages=stages)
    for own in every:
        answers = [own.answers[index] for index in range(len(own.views.views))]
        with torch.inference_mode(), timed(timers) as spent, stages.timed(DECODING):
            found = model.poses(own.views, answers, own.request.key, decoders=timers)
        seconds = [old + new for old, new in zip(own.seconds or [0.0] * len(spent), spent, strict=True)]
        boxes, asked = own.views.boxes, own.request.boxes
        lost = 0 if asked is None or boxes is None else len(asked) - len(boxes)
        yield [
            ImagePoses(
                own.image,
                replace(poses, skeleton=model.skeleton, size=own.size),
                list(range(len(poses))) if boxes is None else boxes,
                each,
                lost,
            )
            for poses, each in zip(found, seconds, strict=True)
        ]


def stream_boxes(
    model: ImageModel,
    requests: Iterable[ImageRequest],
    settings: InferenceSettings,
    *,
    skipped: list[Skipped] | None = None,
    masks: bool = False,
    prepared: bool = False,
    stages: Stages | None = None,
) -> Iterator[tuple[BatchedViews, Detections]]:
    """Each image, and its boxes (x0 y0 x1 y1, pixels) and confidences, highest first; the keypoint head does not run.

    Args:
        model: Finds boxes (`BoxFinder`).
        requests: Images without boxes.
        settings: Device, precision, flip test, batches, threads.
        skipped: Receives the images that cannot be read; without it the first such image raises its error.
        masks: Whether masks are predicted too, where there is a head for them.
        prepared: Whether the model is on the device and in evaluation mode already (`prepare`).
        stages: Told where the time goes.
    """
    finder: BoxFinder = require_box_finder(model)

    def answer(images: Tensor, batch: Sequence[Waiting]) -> Sequence[Any]:
        return finder.boxes(images, [(own.views, index) for own, index in batch], flip=settings.flip, masks=masks)

    how: dict[str, Any] = {"settings": settings, "skipped": skipped, "prepared": prepared, "stages": stages}
    for own in in_batches(model, requests, answer=answer, stage=DETECTOR, **how):
        answers = [own.answers[index] for index in range(len(own.views.views))]
        yield own, finder.joined_boxes(own.views, answers)


def in_batches(
    model: Any,
    requests: Iterable[ImageRequest],
    *,
    answer: Callable[[Tensor, Sequence[Waiting]], Sequence[Any]],
    settings: InferenceSettings,
    skipped: list[Skipped] | None,
    prepared: bool = False,
    stages: Stages | None = None,
    stage: str = NETWORK,
) -> Iterator[BatchedViews]:
    """The images in their order, each with the answers to all of its views.

    Args:
        model: Makes the views.
        requests: Prefetched by a few images.
        answer: Runs the model on a batch; one answer per view.
        settings: Device, batches and threads.
        skipped: Receives the images that cannot be read; without it the first such image raises its error.
        prepared: Whether the model is on the device and in evaluation mode already (`prepare`).
        stages: Told where the time goes.
        stage: What the time of the model goes to.

    Raises:
        InputError: A request has boxes and the model takes none.
    """
    stages = stages or Stages()
    waiting: deque[BatchedViews] = deque()
    pending: dict[Shape, list[Waiting]] = {}

    def run(batch: Sequence[Waiting]) -> None:
        with stages.timed(stage):
            _answer(model, answer, settings, prepared, batch)

    if not prepared:  # some models ask a network while they make views, in threads that begin now
        model.to(settings.device).to(memory_format=torch.channels_last)
        attach(model, settings.runtime)
    read = partial(_views, model, settings.pixels, stages)
    ahead, most = BATCHES_AHEAD * settings.batch, MOST_AHEAD if settings.pixels == "kept" else BATCHES_AHEAD * settings.batch
    for request, job in prefetch(read, requests, settings.workers, weigh=_people, ahead=ahead, most=most):
        if request.boxes is not None and not model.takes_boxes:
            raise InputError(no_boxes(model))
        try:
            own = job()
        except PoiseError as error:
            if skipped is None:
                raise
            skipped.append(Skipped(request.key, str(error)))
            continue
        waiting.append(own)
        for index, view in enumerate(own.views.views):
            high, wide = view.shape[1:]
            shape = (index, int(high > wide)) if settings.pad_batches else (high, wide)
            pending.setdefault(shape, []).append((own, index))
            if len(pending[shape]) == settings.batch:
                run(pending.pop(shape))
        if len(waiting) > MAX_WAITING * settings.batch or sum(one.bytes for one in waiting) > MOST_BYTES:
            for shape in [s for s, views in pending.items() if any(one is waiting[0] for one, _ in views)]:
                run(pending.pop(shape))
        yield from _finished(waiting)
    for views in pending.values():
        run(views)
    yield from _finished(waiting)


def no_boxes(model: ImageModel) -> str:
    """Error message for boxes given to a model that takes none."""
    return f"{model.card.name} looks at whole images and finds people by itself, so boxes are of no use to it; leave them out"


def batched(views: Sequence[Float[Tensor, "3 _ _"]], device: torch.device) -> Float[Tensor, "b 3 h w"]:
    """Views as one channels-last batch: each is copied once, into the batch's memory.

    Args:
        views: Normalised views, on any device; those below the largest size are padded with the mean colour, right and below.
        device: Device of the batch.
    """
    high, wide = (max(view.shape[axis] for view in views) for axis in (1, 2))
    if device.type == "cpu" and all(view.device == device and view.shape == (3, high, wide) for view in views):
        return torch.stack([view.permute(1, 2, 0) for view in views]).permute(0, 3, 1, 2)
    memory = torch.empty((len(views), 3, high, wide), device=device, memory_format=torch.channels_last)
    for place, view in zip(memory, views, strict=True):
        if view.shape[1:] != (high, wide):
            place.zero_()
        place[:, : view.shape[1], : view.shape[2]].copy_(view)
    return memory


def prepare(model: nn.Module, device: torch.device) -> None:
    """Put a model into evaluation mode and on its device; it stays there."""
    model.eval().to(device).to(memory_format=torch.channels_last)


@contextmanager
def eval_mode(
    model: nn.Module | None, views: Sequence[Float[Tensor, "3 _ _"]], *, device: torch.device, precision: Precision
) -> Iterator[Float[Tensor, "b 3 h w"]]:
    """Views as a batch (`batched`), with the model in evaluation mode; a model in training mode is put back into it.

    Args:
        model: Moved to the device, and stays there; None for one that `prepare` has prepared.
        views: Normalised views, on any device.
        device: Device of the model.
        precision: "fp32" or "bf16".
    """
    training = model is not None and model.training
    if model is not None:
        prepare(model, device)
    try:
        with torch.inference_mode(), autocast(device, precision):
            yield batched(views, device)
    finally:
        if model is not None:
            model.train(training)


def prefetch(
    work: Callable[[T], R],
    items: Iterable[T],
    workers: int,
    *,
    weigh: Callable[[T], int] = lambda item: 1,
    ahead: int = 0,
    most: int = MOST_AHEAD,
) -> Iterator[tuple[T, Callable[[], R]]]:
    """Every item with a function that returns its result or raises its error; `workers` threads are a few items ahead.

    Args:
        work: Function that runs in a thread.
        items: Arguments of `work`; they come back in this order; may be endless.
        workers: Threads; with 0 the work is done when its result is asked for.
        weigh: How much of `ahead` an item is.
        ahead: Threads are at least two items each ahead, and so many that these weigh this much,
        most: but no more than this.
    """
    if workers == 0:
        yield from ((item, partial(work, item)) for item in items)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="poise-read")
    try:
        jobs: deque[tuple[T, Callable[[], R]]] = deque()
        waiting = 0
        for item in items:
            jobs.append((item, pool.submit(work, item).result))
            waiting += weigh(item)
            while len(jobs) > 2 * workers and (waiting >= ahead or len(jobs) > most):
                waiting -= weigh(jobs[0][0])
                yield jobs.popleft()
        while jobs:
            yield jobs.popleft()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@final
class DecoderTimer:
    """A codec's `decode` with a stopwatch.

    Args:
        codec: Any codec.
    """

    def __init__(self, codec: Any) -> None:
        self.codec = codec
        self.seconds = 0.0

    def __call__(self, output: Tensor, *more: Any) -> Any:
        """The codec's `decode`; a detector's is given boxes too, and RTMO's the network that finds people in its maps."""
        _synchronize(output)  # what is timed after this is decoding alone
        started = time.perf_counter()
        with torch.autocast(output.device.type, enabled=False):  # decoding stays in float32 where the network runs in bfloat16
            found = self.codec.decode(output, *more)
        _synchronize(output)
        self.seconds += time.perf_counter() - started
        return found


@contextmanager
def timed(timers: Sequence[DecoderTimer]) -> Iterator[list[float]]:
    """The seconds of each timer inside the block; the list is filled at its end."""
    before = [timer.seconds for timer in timers]
    spent: list[float] = []
    yield spent
    spent += [timer.seconds - start for timer, start in zip(timers, before, strict=True)]


def _synchronize(output: Tensor) -> None:
    if output.is_cuda:
        torch.cuda.synchronize(output.device)


def _people(request: ImageRequest) -> int:
    """Views of a request, as far as that is known before it is read."""
    return 1 if request.boxes is None else len(request.boxes)


def _views(model: Any, pixels: Pixels, stages: Stages, request: ImageRequest) -> BatchedViews:
    reduction = None
    with stages.timed(READING):
        if pixels == "reduced" and request.read_reduced is not None:
            image, reduction = request.read_reduced(lambda size: int(model.reduced_by(size, request.boxes)))
        else:
            image = request.read()
    size = (image.shape[1], image.shape[2]) if reduction is None else reduction.size
    with stages.timed(CROPS):
        if reduction is not None:
            made = model.reduced_views(image, request.boxes, request.box_score, reduction=reduction)
        else:
            made = model.views(image, request.boxes, request.box_score) if model.takes_boxes else model.views(image)
    return BatchedViews(request, image if pixels == "kept" else None, size, made)


def _answer(
    model: nn.Module,
    answer: Callable[[Tensor, Sequence[Waiting]], Sequence[Any]],
    settings: InferenceSettings,
    prepared: bool,
    batch: Sequence[Waiting],
) -> None:
    ready = None if prepared else model
    views = [own.views.views[index] for own, index in batch]
    with eval_mode(ready, views, device=settings.device, precision=settings.precision) as images:
        answers = answer(images, batch)
    for (own, index), one in zip(batch, answers, strict=True):
        own.answers[index] = one


def _finished(waiting: deque[BatchedViews]) -> Iterator[BatchedViews]:
    while waiting and waiting[0].done:
        yield waiting.popleft()
