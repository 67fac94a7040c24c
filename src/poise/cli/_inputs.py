"""Files that a command reads, looked at before anything heavy is imported: a wrong path is told within half a second."""

import dataclasses
import functools
import glob
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from poise.errors import CheckpointError, PoiseError, ReadError, missing
from poise.inference.moving import VIDEOS, address_of, is_video, moving_text, no_source_text
from poise.weights.cache import NO_MODEL, located
from poise.weights.zoo_names import nothing_called


@final
@dataclass(frozen=True)
class Reads:
    """Beside the type of an argument: it is a file or folder that is read.

    Attributes:
        what: It is, for the message.
        error: Kind of the error where it is not there.
        hint: Advice for the user.
        names: Whether it may also be something that is no path, such as the name of a detector, a camera or an address: then
            only what looks like a path (it has an ending or a folder) is looked for.
        patterns: Whether it may be a pattern, such as `photos/*.jpg`.
        refused: What to say of something that is not read whether it is there or not; nothing for all else.
        kept: Whether it may be the name of a model that `poise get` has brought.
        besides: Whether something is none of these and not looked for.
    """

    what: str
    error: type[PoiseError] = ReadError
    hint: str = "check the path"
    names: bool = False
    patterns: bool = False
    refused: Callable[[str], str] | None = None
    kept: bool = False
    besides: Callable[[str], bool] | None = None

    def check(self, value: Path | str) -> None:
        """Refuse a path where nothing is.

        Raises:
            PoiseError: There is nothing.
        """
        text = str(value)
        if self.refused is not None and (said := self.refused(text)):
            raise self.error(said)
        if (self.names and not _looks_like_path(text)) or (self.patterns and glob.has_magic(text)):
            return
        if self.besides is not None and self.besides(text):
            return
        try:
            there = (located(value) if self.kept else Path(value)).exists()
        except (OSError, ValueError):  # whoever reads it says more
            return
        if not there:
            raise self.error(missing(self.what, value, hint=self.hint))


def _no_model(text: str) -> str:
    """What to say of a word that is no path and no name of the zoo; "" for all else, of which `load` says what to do."""
    return "" if _looks_like_path(text) else nothing_called(text)


def is_no_file(text: str) -> bool:
    """Whether it is a camera, a numbered pattern of images, or an address of another file system (`inference.addresses`)."""
    return (is_video(text) and Path(text).suffix.lower() not in VIDEOS) or bool(address_of(text))


def _no_film(text: str) -> str:
    """What to say of an address of a page or film; "" for those of file systems, and for all else."""
    return "" if address_of(text) else no_source_text(text)


MODEL = Reads("model file", CheckpointError, NO_MODEL, names=True, refused=_no_model)
"""Also a name, of the zoo perhaps."""

ANNOTATIONS = Reads("annotation file")
IMAGES = Reads("images folder or zip file")
BOXES = Reads("file of boxes", names=True)
DETECTOR = Reads("model file", CheckpointError, NO_MODEL, names=True)
"""Also a name, of torchvision's perhaps."""

HEADS = Reads("MATLAB file")
SKELETON = Reads("file of keypoint names", names=True)
CHECKPOINT = Reads("checkpoint", CheckpointError, "give the path of a file written by torch.save")
RUN = Reads("folder or file of a run", kept=True)
MODEL_OR_POSES = Reads("model file or file of poses", kept=True)
SOURCE = Reads("file or folder", patterns=True, refused=moving_text)
FILM = Reads("file or folder", patterns=True, refused=_no_film, besides=is_no_file)
"""Also a camera, a numbered pattern, or an address."""

RECIPE_FLAGS: Mapping[str, Reads] = {
    "annotations": ANNOTATIONS,
    "val_annotations": ANNOTATIONS,
    "images": IMAGES,
    "val_images": IMAGES,
    "data": Reads("folder of the data set"),
    "heads": HEADS,
    "start": MODEL,
    "backbone_weights": CHECKPOINT,
    "source": Reads("source", hint="--source is a COCO keypoint file or the name of a recipe", names=True),
    "source_images": IMAGES,
    "target": Reads("target", hint="--target is a folder of frames, a frames.json or a COCO file"),
    "target_images": IMAGES,
    "people": ANNOTATIONS,
    "people_images": IMAGES,
    "target_boxes": Reads("file of boxes"),
}
"""Files that recipes read, by the name of the flag."""


def checked(command: Callable[..., int]) -> Callable[..., int]:
    """A command that looks for the files it reads before it begins.

    Args:
        command: Its `run` function, whose arguments, or the fields of its option groups, say what they are by `Reads`.
    """

    @functools.wraps(command)
    def run(*positional: Any, **named: Any) -> int:
        given = inspect.signature(command).bind(*positional, **named).arguments
        check_group(given, typing.get_type_hints(command, include_extras=True))
        return command(*positional, **named)

    return run


def check_group(values: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    """Look for the files that arguments name.

    Args:
        values: By the name of the argument.
        hints: Their types, with what stands beside these.

    Raises:
        PoiseError: One is not there.
    """
    for name, value in values.items():
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            check_group(fields, typing.get_type_hints(type(value), include_extras=True))
        for reads in _reads_in(hints.get(name)):
            _check_all(value, reads)


def _reads_in(hint: Any) -> Iterator[Reads]:
    """What stands beside a type, or beside a part of it."""
    yield from (one for one in getattr(hint, "__metadata__", ()) if isinstance(one, Reads))
    for part in typing.get_args(hint):
        yield from _reads_in(part)


def check_flags(values: Mapping[str, Any]) -> None:
    """Look for the files that the flags of a recipe name.

    Args:
        values: By the name of the flag; one that is no path, such as a number of images, is something else by that name.

    Raises:
        PoiseError: One is not there.
    """
    for name, reads in RECIPE_FLAGS.items():
        value = values.get(name)
        _check_all([one for one in (value if isinstance(value, list) else [value]) if isinstance(one, Path)], reads)


def _check_all(value: Any, reads: Reads) -> None:
    if value is None:
        return
    for one in value if isinstance(value, list | tuple) else (value,):
        reads.check(one)


def _looks_like_path(text: str) -> bool:
    return bool(Path(text).suffix) or "/" in text or "\\" in text
