"""People in many images: views are cut in threads while the network answers, batches run across images."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from poise.codecs.base import InstanceCodec
from poise.data.boxes import usable
from poise.errors import InputError, PoiseError
from poise.geometry import apply, invert
from poise.inference.eval_mode import eval_mode
from poise.inference.prefetch import prefetch
from poise.metrics.oks import rescore
from poise.models.bottom_up import BottomUp
from poise.models.box_detector import BoxDetector
from poise.models.device import Precision, choose_device, choose_precision
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.kinds import Model
from poise.models.top_down import TopDown
from poise.structures import Key, Points, Poses
from poise.transforms.person_crop import PersonCrop

Image = UInt8[Tensor, "3 H W"]

Watch = Callable[[Iterable[Any], int], Iterable[Any]]
"""Sees every image as it is done, and is told how many there will be; for progress bars."""

BATCH: dict[type, int] = {TopDown: 32, BottomUp: 4, KeypointRCNN: 2, BoxDetector: 2}
"""Views at a time by default: of one person each, or of whole images."""


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
        pad_batches: Whether views of whole images are filled up to the largest of their batch, so that other sizes share it.
    """

    device: torch.device
    precision: Precision
    flip: bool
    batch: int = 32
    workers: int = 2
    pad_batches: bool = False

    @classmethod
    def of(
        cls,
        model: Model,
        *,
        device: str | None = None,
        precision: str | None = None,
        flip: bool | None = None,
        batch: int | None = None,
        workers: int = 2,
        pad_batches: bool = False,
    ) -> "Setting":
        """Choose what is not given: device and precision by the machine, flip test and batch (`BATCH`) by the model.

        Raises:
            UnknownName: No such device or precision.
            InputError: This machine has no such device, a number is too small, or views of one person are to be padded.
            SkeletonMismatch: The flip test needs mirror pairs, and the skeleton has none.
        """
        use_flip = model.preprocess.flip_test if flip is None else flip
        views = BATCH[type(model)] if batch is None else batch
        if views < 1 or workers < 0:
            raise InputError(f"a batch needs at least 1 view and workers cannot be below 0, found {views} and {workers}")
        if pad_batches and isinstance(model, TopDown):
            raise InputError(
                f"views of {model.card.name} are all of one size: nothing to pad; leave out --pad-batches (pad_batches)"
            )
        chosen = choose_device(device)
        if use_flip and not isinstance(model, BoxDetector):
            model.skeleton.check_flip()
        return cls(chosen, choose_precision(precision, chosen), use_flip, views, workers, pad_batches)


@final
@dataclass(frozen=True, eq=False)
class Request:
    """An image and where to look in it.

    Attributes:
        key: Of the image.
        read: Gives the image.
        boxes: x0 y0 x1 y1; None means the whole image, which is one person to a model for views of one person.
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
        poses: One for each box that was looked into; or whoever was found, where there are no boxes.
        rows: Which of the request's boxes those are; boxes outside the image are left out. All, where there are none.
        seconds: What it took to read the poses out of the network's answer.
    """

    image: Image
    poses: Poses
    rows: list[int]
    seconds: float = 0.0


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
    for (found,) in read_people(model, requests, setting, readers=[model.codec], skipped=skipped):
        yield found


def read_people(
    model: TopDown,
    requests: Iterable[Request],
    setting: Setting,
    *,
    readers: Sequence[InstanceCodec],
    skipped: list[Skipped] | None = None,
) -> Iterator[list[Found]]:
    """The same with every answer of the network read in several ways: what each codec finds in an image.

    Args:
        model: Moved to the setting's device, and left there.
        requests: Read ahead by a few images.
        setting: How the model is run.
        readers: Codecs alike but for how they read.
        skipped: Takes the images that cannot be used; without it the first one raises its error.
    """
    cutter = PersonCrop(model.codec.size, model.preprocess, model.skeleton)
    waiting: deque[_Cut] = deque()
    views: list[Float[Tensor, "3 h w"]] = []
    answers: deque[list[_Read]] = deque()
    for request, job in prefetch(partial(_cut, cutter), requests, setting.workers):
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
            answers += _look(model, views[: setting.batch], setting, readers)
            del views[: setting.batch]
        yield from _finished(waiting, answers, model, readers=len(readers))
    if views:
        answers += _look(model, views, setting, readers)
    yield from _finished(waiting, answers, model, readers=len(readers))


@final
@dataclass(frozen=True, eq=False)
class _Read:
    """What was read out of the answer to one view, and in how many seconds."""

    xy: Float[Tensor, "k 2"]
    score: Float[Tensor, " k"]
    seconds: float


def _look(
    model: TopDown, views: Sequence[Float[Tensor, "3 h w"]], setting: Setting, readers: Sequence[InstanceCodec]
) -> list[list[_Read]]:
    """What each codec reads out of the network's answer to each view."""
    output = answered(model, views, setting)
    parts: list[list[_Read]] = []
    for reader in readers:
        started = time.perf_counter()
        with torch.inference_mode():
            points = reader.decode(output)
        xy, score = points.xy.cpu(), points.score.cpu()
        share = (time.perf_counter() - started) / len(views)
        parts.append([_Read(*one, share) for one in zip(xy, score, strict=True)])
    return [list(one) for one in zip(*parts, strict=True)]


def answered(model: TopDown | BottomUp, views: Sequence[Float[Tensor, "3 h w"]], setting: Setting) -> Float[Tensor, "b ..."]:
    """The network's answer to some views of one size; a model in training is put back into it."""
    with eval_mode(model, views, device=setting.device, precision=setting.precision) as images:
        output: Tensor = model.answer(images, flip=setting.flip)
        if images.is_cuda:
            torch.cuda.synchronize(images.device)  # what is timed after this is reading alone
        return output


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


def _cut(cutter: PersonCrop, request: Request) -> _Cut:
    image = request.read()
    whole = torch.tensor([[0.0, 0.0, image.shape[2], image.shape[1]]])
    boxes = whole if request.boxes is None else request.boxes
    good = usable(boxes, (image.shape[1], image.shape[2]))
    cuts = [cutter.crop_box(image, box) for box in boxes[good]]
    score = torch.ones(len(boxes)) if request.box_score is None else request.box_score
    rows = good.nonzero().flatten().tolist()
    return _Cut(request, image, boxes[good], score[good], rows, [view for view, _ in cuts], [warp for _, warp in cuts])


def _finished(waiting: deque[_Cut], answers: deque[list[_Read]], model: TopDown, *, readers: int) -> Iterator[list[Found]]:
    """The images at the front all of whose views have been answered, by each reader."""
    while waiting and len(waiting[0].views) <= len(answers):
        cut = waiting.popleft()
        own = [answers.popleft() for _ in cut.views]
        yield [_found(cut, [views[number] for views in own], model) for number in range(readers)]


def _found(cut: _Cut, own: list[_Read], model: TopDown) -> Found:
    k = len(model.skeleton)
    points = Points(
        torch.stack([one.xy for one in own]) if own else torch.zeros(0, k, 2),
        torch.stack([one.score for one in own]) if own else torch.zeros(0, k),
    )
    warps = torch.stack(cut.warps) if own else torch.zeros(0, 3, 3)
    least = model.preprocess.min_keypoint_score
    poses = poses_of(cut.boxes, cut.box_score, points, warps, cut.request.key, least=least)
    return Found(cut.image, poses, cut.rows, sum((one.seconds for one in own), 0.0))
