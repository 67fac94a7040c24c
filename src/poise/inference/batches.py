"""Whole images in batches: views are made in threads while the network answers, batches run over views of one size or shape."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, final

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from poise.errors import InputError, PoiseError
from poise.inference.prefetch import prefetch
from poise.inference.top_down import Image, Request, Setting, Skipped

WAIT = 4
"""So many batches of images may wait for views of another size to fill a batch; then the first goes on without."""


@final
@dataclass(frozen=True, eq=False)
class Shown:
    """An image, its views, and what the model has answered to them.

    Attributes:
        request: Whose it is.
        image: As it was read.
        views: Normalised.
        made: How they were made.
        answers: To each, by its place among them.
    """

    request: Request
    image: Image
    views: Sequence[Float[Tensor, "3 _ _"]]
    made: Any
    answers: dict[int, Any] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether all views have been answered."""
        return len(self.answers) == len(self.views)


Place = tuple[Shown, int]
"""A view that waits for its batch: its image and its place there."""

Kind = tuple[int, int]
"""What the views of a batch share: their size (h, w); where batches are padded, their place, and whether they are upright."""


def in_batches(
    requests: Iterable[Request],
    *,
    show: Callable[[Image], tuple[Sequence[Float[Tensor, "3 _ _"]], Any]],
    answer: Callable[[Sequence[Place]], Iterable[Any]],
    setting: Setting,
    skipped: list[Skipped] | None,
    refusal: str,
) -> Iterator[Shown]:
    """Images whose views have all been answered, in the order of the requests.

    Args:
        requests: Read ahead by a few images; without boxes.
        show: Makes the views of an image, and says how.
        answer: To views of one batch (`padded`), at most as many as it has.
        setting: Of batches and threads.
        skipped: Takes the images that cannot be used; without it the first one raises its error.
        refusal: What to say where a request has boxes.

    Raises:
        InputError: A request has boxes.
    """
    waiting: deque[Shown] = deque()
    pending: dict[Kind, list[Place]] = {}
    for request, job in prefetch(partial(_shown, show), requests, setting.workers):
        if request.boxes is not None:
            raise InputError(refusal)
        try:
            shown = job()
        except PoiseError as error:
            if skipped is None:
                raise
            skipped.append(Skipped(request.key, str(error)))
            continue
        waiting.append(shown)
        for place, view in enumerate(shown.views):
            high, wide = view.shape[1:]
            kind = (place, int(high > wide)) if setting.pad_batches else (high, wide)
            pending.setdefault(kind, []).append((shown, place))
            if len(pending[kind]) == setting.batch:
                _answer(answer, pending.pop(kind))
        if len(waiting) > WAIT * setting.batch:
            for kind in [k for k, views in pending.items() if any(one is waiting[0] for one, _ in views)]:
                _answer(answer, pending.pop(kind))
        yield from _finished(waiting)
    for views in pending.values():
        _answer(answer, views)
    yield from _finished(waiting)


def padded(places: Sequence[Place]) -> list[Float[Tensor, "3 h w"]]:
    """The views of a batch; the mean colour at the right and below brings smaller ones to the size of the largest."""
    views = [shown.views[place] for shown, place in places]
    high, wide = (max(view.shape[axis] for view in views) for axis in (1, 2))
    return [pad(view, (0, wide - view.shape[2], 0, high - view.shape[1])) for view in views]


def _shown(show: Callable[[Image], tuple[Sequence[Float[Tensor, "3 _ _"]], Any]], request: Request) -> Shown:
    image = request.read()
    return Shown(request, image, *show(image))


def _answer(answer: Callable[[Sequence[Place]], Iterable[Any]], views: Sequence[Place]) -> None:
    for (shown, place), one in zip(views, answer(views), strict=True):
        shown.answers[place] = one


def _finished(waiting: deque[Shown]) -> Iterator[Shown]:
    while waiting and waiting[0].done:
        yield waiting.popleft()
