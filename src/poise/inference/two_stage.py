"""People in many whole images, from a model that finds boxes first, and keypoints in each."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.codecs.roi import RoICodec
from poise.dims import Size
from poise.geometry import Warp, apply, invert
from poise.inference.batches import Place, Shown, in_batches, padded
from poise.inference.bottom_up import no_boxes
from poise.inference.eval_mode import eval_mode
from poise.inference.top_down import Found, Image, Request, Setting, Skipped
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.kinds import Boxing
from poise.models.postprocess import Found as Boxed
from poise.models.postprocess import suppressed
from poise.scenes import Canvas, People
from poise.structures import Key, Points, Poses
from poise.transforms.canvas import Layout, boxes_home, canvas_warp


def read_boxed(
    model: KeypointRCNN,
    requests: Iterable[Request],
    setting: Setting,
    *,
    readers: Sequence[RoICodec],
    skipped: list[Skipped] | None = None,
) -> Iterator[list[Found]]:
    """Look for people, image by image, in the order of the requests.

    Views of one size make a batch, whatever parts of them their images take, so that no image changes the answer for another
    unless the setting pads batches.

    Args:
        model: Moved to the setting's device, and left there.
        requests: Read ahead by a few images; without boxes.
        setting: How the model is run.
        readers: The model's codec, and others alike but for how they read. All get the same boxes; how keypoints are read
            decides how people are ranked.
        skipped: Takes the images that cannot be used; without it the first one raises its error.

    Raises:
        InputError: A request has boxes.
    """
    stream = in_batches(
        requests,
        show=partial(_views, model),
        answer=partial(_answers, model, partial(_read, model, readers), setting),
        setting=setting,
        skipped=skipped,
        refusal=no_boxes(model),
    )
    for shown in stream:
        with torch.inference_mode():
            found = [_found(model, shown, reader) for reader in range(len(readers))]
        yield found


def _read(
    model: KeypointRCNN, readers: Sequence[RoICodec], images: Tensor, *, flip: bool, sizes: list[Size]
) -> list[list[tuple[People, float]]]:
    """For each view whom each reader finds, and its share of the seconds that took for all."""
    watched = [_Timed(reader) for reader in readers]
    each = model.read(images, flip=flip, sizes=sizes, decoders=watched)
    return [
        [(people[view], timed.seconds / len(images)) for people, timed in zip(each, watched, strict=True)]
        for view in range(len(images))
    ]


@final
class _Timed:
    """Reads as a codec does, and counts the seconds."""

    def __init__(self, codec: RoICodec) -> None:
        self.codec = codec
        self.seconds = 0.0

    def __call__(self, output: Tensor, boxes: Tensor) -> Points:
        """What the codec reads."""
        started = time.perf_counter()
        found = self.codec.decode(output, boxes)
        if output.is_cuda:
            torch.cuda.synchronize(output.device)
        self.seconds += time.perf_counter() - started
        return found


def _found(model: KeypointRCNN, shown: Shown, reader: int) -> Found:
    """The people of one image as one of the readers finds them."""
    answers = [shown.answers[place][reader] for place in range(len(shown.made))]
    each = [
        poses_of_boxed(people, layout.warp, shown.request.key, canvas=model.preprocess)
        for (people, _), layout in zip(answers, shown.made, strict=True)
    ]
    poses = each[0] if len(each) == 1 else joined(each, model)
    return Found(shown.image, poses, list(range(len(poses))), sum(seconds for _, seconds in answers))


def detect_boxes(
    model: Boxing, requests: Iterable[Request], setting: Setting, *, skipped: list[Skipped] | None = None
) -> Iterator[tuple[Key, Float[Tensor, "n 4"], Float[Tensor, " n"]]]:
    """The boxes alone, of each image with their scores, the surest first; keypoints, which take longer, are not looked for.

    Args:
        model: Of any kind that finds boxes; otherwise as for `read_boxed`.
        requests: The same.
        setting: The same.
        skipped: The same.
    """
    stream = in_batches(
        requests,
        show=partial(_views, model),
        answer=partial(_answers, model, model.find, setting),
        setting=setting,
        skipped=skipped,
        refusal=no_boxes(model),
    )
    for shown in stream:
        boxes, score = [], []
        for place, layout in enumerate(shown.made):
            found: Boxed = shown.answers[place]
            boxes.append(boxes_home(model.preprocess, layout.warp, found.boxes.cpu().float()))
            score.append(found.score.cpu().float())
        every, sure = torch.cat(boxes), torch.cat(score)
        if len(boxes) > 1:
            best, sure = suppressed(every, sure, model.detecting)
        else:
            sure, best = sure.sort(descending=True, stable=True)
        yield shown.request.key, every[best], sure


def poses_of_boxed(people: People, warp: Warp, key: Key, *, canvas: Canvas) -> Poses:
    """People of a view as poses of its image, in the boxes they were found in.

    Args:
        people: Pixels of the view, with boxes.
        warp: Image to view, of keypoints.
        key: Of the image.
        canvas: Of the model; says how boxes go.
    """
    xy = apply(invert(warp.double()), people.xy.cpu().double()).float()
    boxes = boxes_home(canvas, warp, people.boxes.cpu().float())
    rated = people.pose_score.cpu().float()
    sure = rated if people.box_score is None else people.box_score.cpu().float()
    return Poses(xy, people.score.cpu().float(), boxes, sure, rated, key)


def joined(each: Sequence[Poses], model: KeypointRCNN) -> Poses:
    """The people found in several views of one image (multi-scale test), best first.

    Args:
        each: Of each view.
        model: Its `detecting` says what becomes of the worse of two boxes of one person, by their scores as boxes, how many
            people stay, and which of two poses that are nearly one. Where a score is lowered, what it was a factor of is
            lowered with it.
    """
    first, detecting = each[0], model.detecting
    every = Poses(
        torch.cat([one.xy for one in each]),
        torch.cat([one.score for one in each]),
        torch.cat([one.boxes for one in each]),
        torch.cat([one.box_score for one in each]),
        torch.cat([one.pose_score for one in each]),
        first.key,
    )
    rows, sure = suppressed(every.boxes, every.box_score, detecting)
    single = every.select(rows)
    lower = sure / single.box_score
    if detecting.rating != "keypoints":
        single = replace(single, pose_score=single.pose_score * lower)
    if detecting.keypoint_score == "product":
        single = replace(single, score=single.score * lower[:, None])
    return replace(single, box_score=sure).select(model.singles(single.xy, single.boxes, single.pose_score))


def _views(model: Boxing, image: Image) -> tuple[list[Float[Tensor, "3 _ _"]], list[Layout]]:
    canvas, size = model.preprocess, (image.shape[1], image.shape[2])
    layouts = [canvas_warp(canvas, size, factor) for factor in canvas.scales]
    return [layout.shown(image, canvas) for layout in layouts], layouts


def _answers(model: Boxing, find: Callable[..., list[Any]], setting: Setting, places: Sequence[Place]) -> list[Any]:
    """What the model finds in the views of a batch; a model in training is put back into it."""
    sizes = [shown.made[place].content_size for shown, place in places]
    with eval_mode(model, padded(places), device=setting.device, precision=setting.precision) as images:
        return find(images, flip=setting.flip, sizes=sizes)
