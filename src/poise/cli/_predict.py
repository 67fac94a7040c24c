"""The parts of `poise predict`: the one pass over the images, and what is said of it."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from poise.cli._print import counted, lost_text, print_skipped, with_bar
from poise.codecs.decoders import described
from poise.errors import BoxError, ImageError, InputError, PoiseError
from poise.inference.predictor import MIN_BOX_SCORE, Predictor
from poise.inference.request import ImagePoses, ImageRequest, Skipped, none_usable
from poise.inference.sources import Source
from poise.inference.stages import WRITING
from poise.inference.stream import prefetch
from poise.inference.unfinished import EVERY, Unfinished
from poise.inference.write import Writer
from poise.models.base import PoseModel
from poise.models.blazepose import BlazePose
from poise.skeletons.nouns import nouns
from poise.terminal import Console, say
from poise.weights import cache
from poise.zoo.get import get, obtainable

DETECTOR_MINIMUM = MIN_BOX_SCORE
"""Boxes of a detector with a lower confidence are left out, where `--min-box-score` is not given."""


def default_model(console: Console, *, yes: bool) -> Path:
    """The file of the model that comes with poise; without one that of the default, got first if it is not there.

    Args:
        console: Where to say which it is, and to ask.
        yes: Whether nobody is asked.

    Raises:
        InputError: It is not there, and nobody is there to ask or the answer is no.
        PoiseError: As `get`.
    """
    place = cache.default_place()
    if place.is_file():
        if cache.comes_with_poise(place):
            say(console, f"no model was given: it is {place.stem}, which comes with poise; --model FILE|NAME takes another")
        return place
    parts = obtainable()[cache.DEFAULT]
    what = f"{cache.DEFAULT} ({' and '.join(part.file for part in parts)}, {parts[0].licence})"
    if not yes and not (sys.stdin.isatty() and _agreed(console, what)):
        raise InputError(cache.no_default())
    return get(cache.DEFAULT, say=lambda text: say(console, text)).path


def _agreed(console: Console, what: str) -> bool:
    return console.input(f"no model was given; get {what}? [y/N] ", markup=False).strip().lower() in ("y", "yes")


def write_predictions(
    predictor: Predictor, requests: Sequence[ImageRequest], writer: Writer, unfinished: Unfinished
) -> list[Skipped]:
    """Write the poses of all images, each of which is read once; the images that could not be used come back.

    Images are read and pictures drawn in threads while the network runs.

    Args:
        predictor: Model and perhaps detector.
        requests: The images.
        writer: Writes pictures and poses as they come.
        unfinished: What is behind of the run.

    Raises:
        ImageError: No image can be used.
        BoxError: No box can be used.
    """
    skipped, done, written = unfinished.left_out, unfinished.images, unfinished.images
    stages, order = predictor.stages, {request.key: index for index, request in enumerate(requests)}

    def draw(found: ImagePoses) -> None:
        with stages.timed(WRITING):
            writer.draw(found)

    def keep() -> bool:
        if not done:
            return False
        writer.kept(unfinished).after(done, [one for one in skipped if order[one.key] < done]).write(writer.folder)
        return True

    left = predictor.stream(requests[done:], skipped=skipped)
    with writer:
        with _kept_if_stopped(keep):
            for found, drawn in with_bar(prefetch(draw, left, predictor.settings.workers), len(requests) - done):
                drawn()
                with stages.timed(WRITING):
                    writer.add(found)
                    done = order[found.poses.key] + 1
                    if done - written >= EVERY:
                        keep()
                        written = done
        if len(skipped) == len(requests):
            raise ImageError(none_usable(skipped))
        if not writer.used_boxes and writer.lost_boxes:
            raise BoxError(f"{lost_text(writer.lost_boxes)}; expected `bbox` as x, y, width, height in pixels of these images")
    return skipped


@contextmanager
def _kept_if_stopped(keep: Callable[[], bool]) -> Iterator[None]:
    """Where the block fails, what is behind is kept, to be gone on with."""
    try:
        yield
    except BaseException as error:
        with suppress(PoiseError):
            if keep():
                error.add_note("--resume goes on")
        raise


def print_predictions(
    console: Console,
    model: PoseModel,
    images: Sequence[Source],
    asked: Sequence[ImageRequest],
    *,
    writer: Writer,
    skipped: list[Skipped],
) -> None:
    """Print what was left out, how the model was read, and how many people were found.

    Args:
        console: Console to print to.
        model: The model.
        images: The images.
        asked: Those that were looked at.
        writer: Has written the poses.
        skipped: Images that could not be used.
    """
    requests = len(asked)
    print_skipped(console, skipped, "nothing was written for it" if len(skipped) == 1 else "nothing was written for them")
    if requests < len(images):
        say(console, f"{counted(len(images) - requests, 'image')} without boxes; nobody was looked for there")
    if writer.lost_boxes:
        say(console, lost_text(writer.lost_boxes))
    if writer.small:
        many = counted(writer.small, *nouns(model.skeleton))
        say(console, f"{many} with an area below {writer.min_area:g} px^2 {'was' if writer.small == 1 else 'were'} left out")
    say(console, f"read by {described(model.codec)}")
    if writer.unsure:
        say(console, unsure_text(writer.unsure, writer.with_people, below=writer.min_keypoint_score))
    used = counted(requests - len(skipped), "image")
    if requests - len(skipped) - writer.with_people > 0:
        say(console, nobody_text(requests - len(skipped) - writer.with_people, used, model))
    found = counted(writer.people, *nouns(model.skeleton))
    say(console, f"{found} in {used}: {writer.predictions}{' and pictures beside it' if writer.pictures else ''}")


def nobody_text(empty: int, used: str, model: PoseModel) -> str:
    """Message where nobody was found in images.

    Args:
        empty: In how many.
        used: Images that were looked at, as words.
        model: The model; BlazePose looks for people in a small view of the whole image.
    """
    text = f"nobody was found in {empty} of {used}"
    if not isinstance(model, BlazePose):
        return text
    return (
        f"{text}; BlazePose looks for people in a view of 224 pixels of the whole image and misses those who are small: "
        "--detector FILE|NAME finds boxes first, such as fasterrcnn_resnet50_fpn_v2 of torchvision"
    )


def unsure_text(unsure: int, images: int, *, below: float) -> str:
    """Message where no keypoint reaches the minimum score.

    Args:
        unsure: In how many images that is so.
        images: In how many images somebody was found.
        below: Scores that count are not below it.

    >>> unsure_text(1, 3, below=0.2)[:74]
    'all keypoints below 0.2 in 1 of 3 images: the model is unsure there, and t'
    """
    where, there = ("", "") if unsure == images else (f" in {unsure} of {counted(images, 'image')}", " there")
    return (
        f"all keypoints below {below:g}{where}: the model is unsure{there}, and they are drawn thin; does it know such "
        "pictures, and are the boxes right?"
    )
