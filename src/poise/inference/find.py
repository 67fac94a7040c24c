"""The one place that knows how each kind of model looks for people."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from poise.codecs.decoders import Codec
from poise.inference.bottom_up import read_scenes
from poise.inference.top_down import Found, Request, Setting, Skipped, read_people
from poise.inference.two_stage import read_boxed
from poise.models.bottom_up import BottomUp
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.kinds import Model, posed
from poise.models.top_down import TopDown

WAYS: dict[type, Callable[..., Iterator[list[Found]]]] = {
    TopDown: read_people,
    BottomUp: read_scenes,
    KeypointRCNN: read_boxed,
}
"""Of each kind of model."""


def find(
    model: Model, requests: Iterable[Request], setting: Setting, *, skipped: list[Skipped] | None = None
) -> Iterator[Found]:
    """Look for people, image by image, in the order of the requests.

    Args:
        model: Of any kind; moved to the setting's device, and left there.
        requests: Read ahead by a few images; with boxes only for a model that looks at one person at a time.
        setting: How the model is run.
        skipped: Takes the images that cannot be used; without it the first one raises its error.

    Raises:
        InputError: A request has boxes and the model looks at whole images.
    """
    for (found,) in read(model, requests, setting, readers=[model.codec], skipped=skipped):
        yield found


def read(
    model: Model,
    requests: Iterable[Request],
    setting: Setting,
    *,
    readers: Sequence[Codec],
    skipped: list[Skipped] | None = None,
) -> Iterator[list[Found]]:
    """The same with every answer of the network read in several ways: what each codec finds in an image.

    Args:
        model: Of any kind.
        requests: As for `find`.
        setting: How the model is run.
        readers: Codecs alike but for how they read, of the model's kind.
        skipped: As for `find`.
    """
    way: Any = WAYS[type(posed(model))]
    stream: Iterator[list[Found]] = way(model, requests, setting, readers=readers, skipped=skipped)
    return stream
