"""One loop for every model: images are read in threads while the network answers, batches run across images.

Views of one size make a batch, whatever parts of them their images take, so that no image changes the answer for another
unless batches are padded.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from poise.errors import InputError, PoiseError
from poise.inference.request import ImagePoses, ImageRequest, Skipped
from poise.inference.settings import InferenceSettings
from poise.models.base import BoxFinder, Image, ImageModel, ImageViews, PoseModel, require_box_finder
from poise.models.device import Precision, autocast
from poise.structures import Key

WAIT = 4
"""So many batches of images may wait for views of another size to fill a batch; then the first goes on without."""

T = TypeVar("T")
R = TypeVar("R")


@final
@dataclass(eq=False)
class BatchedViews:
    """An image, its views, and what the model has answered to them so far.

    Attributes:
        request: Whose it is.
        image: As it was read.
        views: Its views.
        answers: To each view, by its index.
        seconds: Time that decoding the answers took, for each decoder.
    """

    request: ImageRequest
    image: Image
    views: ImageViews
    answers: dict[int, Any] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether all views have been answered."""
        return len(self.answers) == len(self.views.views)


Waiting = tuple[BatchedViews, int]
"""A view that waits for its batch: its image, and its index among the views of that."""

Shape = tuple[int, int]
"""What the views of a batch share: their size (h, w); where batches are padded, their index, and whether they are upright."""


def find_poses(
    model: PoseModel,
    requests: Iterable[ImageRequest],
    settings: InferenceSettings,
    *,
    skipped: list[Skipped] | None = None,
    prepared: bool = False,
) -> Iterator[ImagePoses]:
    """Find people image by image, in the order of the requests, read by the model's own codec (`stream_poses`)."""
    for [found] in stream_poses(model, requests, settings, skipped=skipped, prepared=prepared):
        yield found


def stream_poses(
    model: PoseModel,
    requests: Iterable[ImageRequest],
    settings: InferenceSettings,
    *,
    codecs: Sequence[Any] | None = None,
    skipped: list[Skipped] | None = None,
    prepared: bool = False,
) -> Iterator[list[ImagePoses]]:
    """Find people image by image, in the order of the requests: for each codec what it reads out of the network's outputs.

    Args:
        model: Moved to the settings' device, and left there; a model in training is put back into training.
        requests: Read ahead by a few images; with boxes only for a model that takes them. May be endless.
        settings: How the model is run.
        codecs: The model's codec and others alike but for how they read; the model's own alone by default.
        skipped: Takes the images that cannot be used; without it the first one raises its error.
        prepared: Whether the model is on the device and in evaluation mode for good (`prepare`), so that no batch has to see
            to it.

    Raises:
        InputError: A request has boxes and the model looks at whole images.
    """
    timers = [DecoderTimer(codec) for codec in ([model.codec] if codecs is None else codecs)]

    def answer(images: Tensor, batch: Sequence[Waiting]) -> Sequence[Any]:
        views = [(own.views, index) for own, index in batch]
        with timed(timers) as spent:
            answers = model.answer(images, views, flip=settings.flip, decoders=timers)
        for own, _ in batch:
            own.seconds = [old + new / len(batch) for old, new in zip(own.seconds or [0.0] * len(spent), spent, strict=True)]
        return answers

    for own in in_batches(model, requests, answer=answer, settings=settings, skipped=skipped, prepared=prepared):
        answers = [own.answers[index] for index in range(len(own.views.views))]
        with torch.inference_mode(), timed(timers) as spent:
            found = model.poses(own.views, answers, own.request.key, decoders=timers)
        seconds = [old + new for old, new in zip(own.seconds or [0.0] * len(spent), spent, strict=True)]
        boxes, asked = own.views.boxes, own.request.boxes
        lost = 0 if asked is None or boxes is None else len(asked) - len(boxes)
        yield [
            ImagePoses(own.image, poses, list(range(len(poses))) if boxes is None else boxes, each, lost)
            for poses, each in zip(found, seconds, strict=True)
        ]


def stream_boxes(
    model: ImageModel, requests: Iterable[ImageRequest], settings: InferenceSettings, *, skipped: list[Skipped] | None = None
) -> Iterator[tuple[Key, Float[Tensor, "n 4"], Float[Tensor, " n"]]]:
    """The boxes alone, of each image with their confidences, the highest first; keypoints are not looked for.

    Args:
        model: Finds boxes (`BoxFinder`).
        requests: Without boxes.
        settings: How the model is run.
        skipped: Takes the images that cannot be used; without it the first one raises its error.
    """
    finder: BoxFinder = require_box_finder(model)

    def answer(images: Tensor, batch: Sequence[Waiting]) -> Sequence[Any]:
        return finder.boxes(images, [(own.views, index) for own, index in batch], flip=settings.flip)

    for own in in_batches(model, requests, answer=answer, settings=settings, skipped=skipped):
        answers = [own.answers[index] for index in range(len(own.views.views))]
        yield own.request.key, *finder.joined_boxes(own.views, answers)


def in_batches(
    model: Any,
    requests: Iterable[ImageRequest],
    *,
    answer: Callable[[Tensor, Sequence[Waiting]], Sequence[Any]],
    settings: InferenceSettings,
    skipped: list[Skipped] | None,
    prepared: bool = False,
) -> Iterator[BatchedViews]:
    """The images in their order, all of whose views have been answered.

    Args:
        model: Makes the views.
        requests: Read ahead by a few images.
        answer: Gives what the model answers to the views of a batch.
        settings: Device, batches and threads.
        skipped: Takes the images that cannot be used; without it the first one raises its error.
        prepared: Whether the model is ready for good.

    Raises:
        InputError: A request has boxes and the model takes none.
    """
    waiting: deque[BatchedViews] = deque()
    pending: dict[Shape, list[Waiting]] = {}
    run = partial(_answer, model, answer, settings, prepared)
    for request, job in prefetch(partial(_views, model), requests, settings.workers):
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
        if len(waiting) > WAIT * settings.batch:
            for shape in [s for s, views in pending.items() if any(one is waiting[0] for one, _ in views)]:
                run(pending.pop(shape))
        yield from _finished(waiting)
    for views in pending.values():
        run(views)
    yield from _finished(waiting)


def no_boxes(model: ImageModel) -> str:
    """What to say to somebody who gives boxes to a model that takes none."""
    return f"{model.card.name} looks at whole images and finds people by itself, so boxes are of no use to it; leave them out"


def padded(batch: Sequence[Waiting]) -> list[Float[Tensor, "3 h w"]]:
    """The views of a batch; the mean colour at the right and below brings smaller ones to the size of the largest."""
    views = [own.views.views[index] for own, index in batch]
    high, wide = (max(view.shape[axis] for view in views) for axis in (1, 2))
    return [pad(view, (0, wide - view.shape[2], 0, high - view.shape[1])) for view in views]


def prepare(model: nn.Module, device: torch.device) -> None:
    """Put a model into evaluation mode and on its device, for good."""
    model.eval().to(device).to(memory_format=torch.channels_last)


@contextmanager
def eval_mode(
    model: nn.Module | None, views: Sequence[Float[Tensor, "3 h w"]], *, device: torch.device, precision: Precision
) -> Iterator[Float[Tensor, "b 3 h w"]]:
    """Some views of one size as a batch, and the model ready to answer it; a model in training is put back into training.

    Args:
        model: Moved to the device, and left there; None for one that is ready for good (`prepare`).
        views: Of any device.
        device: What computes.
        precision: In which numbers.
    """
    training = model is not None and model.training
    if model is not None:
        prepare(model, device)
    try:
        with torch.inference_mode(), autocast(device, precision):
            yield torch.stack(list(views)).to(device).contiguous(memory_format=torch.channels_last)
    finally:
        if model is not None:
            model.train(training)


def prefetch(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[tuple[T, Callable[[], R]]]:
    """Every item with what gives its result, or raises its error; `workers` threads are a few items ahead.

    Args:
        work: Done in a thread.
        items: In the order in which they come back; may be endless.
        workers: Threads; with 0 the work is done when it is asked for.
    """
    if workers == 0:
        yield from ((item, partial(work, item)) for item in items)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="poise-read")
    try:
        jobs: deque[tuple[T, Callable[[], R]]] = deque()
        for item in items:
            jobs.append((item, pool.submit(work, item).result))
            if len(jobs) > 2 * workers:
                yield jobs.popleft()
        while jobs:
            yield jobs.popleft()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@final
class DecoderTimer:
    """Reads outputs as a codec does, and counts the seconds.

    Args:
        codec: Any codec.
    """

    def __init__(self, codec: Any) -> None:
        self.codec = codec
        self.seconds = 0.0

    def __call__(self, output: Tensor, *boxes: Tensor) -> Any:
        """What the codec's `decode` reads."""
        _synchronize(output)  # what is timed after this is decoding alone
        started = time.perf_counter()
        found = self.codec.decode(output, *boxes)
        _synchronize(output)
        self.seconds += time.perf_counter() - started
        return found


@contextmanager
def timed(timers: Sequence[DecoderTimer]) -> Iterator[list[float]]:
    """The seconds of each timer inside the block, known when it ends."""
    before = [timer.seconds for timer in timers]
    spent: list[float] = []
    yield spent
    spent += [timer.seconds - start for timer, start in zip(timers, before, strict=True)]


def _synchronize(output: Tensor) -> None:
    if output.is_cuda:
        torch.cuda.synchronize(output.device)


def _views(model: Any, request: ImageRequest) -> BatchedViews:
    image = request.read()
    made = model.views(image, request.boxes, request.box_score) if model.takes_boxes else model.views(image)
    return BatchedViews(request, image, made)


def _answer(
    model: nn.Module,
    answer: Callable[[Tensor, Sequence[Waiting]], Sequence[Any]],
    settings: InferenceSettings,
    prepared: bool,
    batch: Sequence[Waiting],
) -> None:
    ready = None if prepared else model
    with eval_mode(ready, padded(batch), device=settings.device, precision=settings.precision) as images:
        answers = answer(images, batch)
    for (own, index), one in zip(batch, answers, strict=True):
        own.answers[index] = one


def _finished(waiting: deque[BatchedViews]) -> Iterator[BatchedViews]:
    while waiting and waiting[0].done:
        yield waiting.popleft()
