"""People in many whole images: views are made in threads while the network answers, batches run over views of one size."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from poise.codecs.scene import SceneCodec
from poise.dims import Size
from poise.errors import InputError, PoiseError
from poise.geometry import Warp, apply, boxes_around, invert
from poise.inference.ahead import ahead
from poise.inference.people import Found, Image, Request, Setting, Skipped, answered
from poise.models.bottomup import BottomUp
from poise.scenes import People
from poise.structures import Key, Poses
from poise.transforms.scales import Scaled, scaled_views

WAIT = 4
"""So many batches of images may wait for views of another size to fill a batch; then the first goes on without."""


@final
@dataclass(frozen=True, eq=False)
class _Shown:
    """An image, its views, and what the network has answered to them."""

    request: Request
    image: Image
    scaled: Scaled
    answers: dict[int, Float[Tensor, "c _ _"]] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        return len(self.answers) == len(self.scaled.views)


_Pending = dict[Size, list[tuple[_Shown, int]]]
"""Views that wait for their batch, by size: the image and the place of the view in it."""


def find_in_scenes(
    model: BottomUp, requests: Iterable[Request], setting: Setting, *, skipped: list[Skipped] | None = None
) -> Iterator[Found]:
    """Look for people, image by image, in the order of the requests.

    Args:
        model: Moved to the setting's device, and left there.
        requests: Read ahead by a few images; without boxes.
        setting: How the model is run.
        skipped: Takes the images that cannot be used; without it the first one raises its error.

    Raises:
        InputError: A request has boxes.
    """
    for (found,) in read_scenes(model, requests, setting, readers=[model.codec], skipped=skipped):
        yield found


def read_scenes(
    model: BottomUp,
    requests: Iterable[Request],
    setting: Setting,
    *,
    readers: Sequence[SceneCodec],
    skipped: list[Skipped] | None = None,
) -> Iterator[list[Found]]:
    """The same with every answer of the network read in several ways: what each codec finds in an image.

    Args:
        model: Moved to the setting's device, and left there.
        requests: Read ahead by a few images; without boxes.
        setting: How the model is run.
        readers: Codecs alike but for how they read.
        skipped: Takes the images that cannot be used; without it the first one raises its error.

    Raises:
        InputError: A request has boxes.
    """
    waiting: deque[_Shown] = deque()
    pending: _Pending = {}
    for request, job in ahead(partial(_shown, model), requests, setting.workers):
        if request.boxes is not None:
            raise InputError(no_boxes(model))
        try:
            shown = job()
        except PoiseError as error:
            if skipped is None:
                raise
            skipped.append(Skipped(request.key, str(error)))
            continue
        waiting.append(shown)
        for place, view in enumerate(shown.scaled.views):
            size = (view.shape[1], view.shape[2])
            pending.setdefault(size, []).append((shown, place))
            if len(pending[size]) == setting.batch:
                _answer(model, pending, size, setting)
        if len(waiting) > WAIT * setting.batch:
            for size in [s for s, views in pending.items() if any(one is waiting[0] for one, _ in views)]:
                _answer(model, pending, size, setting)
        yield from _finished(waiting, readers)
    for size in list(pending):
        _answer(model, pending, size, setting)
    yield from _finished(waiting, readers)


def no_boxes(model: BottomUp) -> str:
    """What to say to somebody who gives boxes."""
    return f"{model.card.name} looks at whole images and finds people by itself, so boxes are of no use to it; leave them out"


def _shown(model: BottomUp, request: Request) -> _Shown:
    image = request.read()
    return _Shown(request, image, scaled_views(image, model.preprocess, stride=model.codec.stride))


def _answer(model: BottomUp, pending: _Pending, size: Size, setting: Setting) -> None:
    views = pending.pop(size)
    outputs = answered(model, [shown.scaled.views[place] for shown, place in views], setting)
    for (shown, place), output in zip(views, outputs, strict=True):
        shown.answers[place] = output


def _finished(waiting: deque[_Shown], readers: Sequence[SceneCodec]) -> Iterator[list[Found]]:
    """The images at the front all of whose views have been answered, by each reader."""
    while waiting and waiting[0].done:
        shown = waiting.popleft()
        with torch.inference_mode():
            output = _averaged(shown, readers[0])
            found = [_found(shown, output, reader) for reader in readers]
        yield found


def _averaged(shown: _Shown, codec: SceneCodec) -> Float[Tensor, "1 c h w"]:
    """The answers to all views of an image, brought to the largest; beyond a view its answer is that nothing is there."""
    h, w = shown.scaled.whole
    parts = []
    for place, cells in enumerate(shown.scaled.cells):
        output = shown.answers[place][None]
        alike = output if output.shape[2:] == cells else codec.resized(output, cells)
        parts.append(F.pad(alike, (0, w - alike.shape[3], 0, h - alike.shape[2])))  # less than 0 cuts
    return parts[0] if len(parts) == 1 else torch.stack(parts).mean(dim=0)


def _found(shown: _Shown, output: Float[Tensor, "1 c h w"], reader: SceneCodec) -> Found:
    started = time.perf_counter()
    [people] = reader.decode(output)
    poses = poses_of_people(people, shown.scaled.warp, shown.request.key)
    return Found(shown.image, poses, list(range(len(poses))), time.perf_counter() - started)


def poses_of_people(people: People, warp: Warp, key: Key) -> Poses:
    """People of a view as poses of its image; keypoints that were not found stay at 0, 0, boxes go around the others.

    Args:
        people: Pixels of the view.
        warp: Image to view.
        key: Of the image.
    """
    score, rated = people.score.cpu(), people.pose_score.cpu()
    found = score > 0
    home = apply(invert(warp.double()), people.xy.cpu().double()).float()
    xy = torch.where(found[..., None], home, 0.0)
    return Poses(xy, score, boxes_around(xy, found), rated, rated, key)
