"""Flags that do not exist, whose values cannot be, or that would change nothing, where tyro would say less or nothing."""

import dataclasses
import functools
import inspect
import math
import typing
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from poise.dims import Size
from poise.errors import InputError, WriteError, unknown
from poise.writing import check_target, protecting

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "lr": ("rate",),
    "learning-rate": ("rate",),
    "batch-size": ("batch",),
    "bs": ("batch",),
    "weights": ("model", "start"),
    "checkpoint": ("model", "start"),
    "ckpt": ("model", "start"),
    "backbone": ("model", "network"),
    "gpu": ("device",),
    "gpus": ("devices", "device"),
    "num-workers": ("workers",),
    "output": ("out",),
    "output-dir": ("out",),
    "save-dir": ("out",),
    "project": ("out",),
    "work-dir": ("out",),
    "weight-decay": ("decay",),
    "wd": ("decay",),
    "imgsz": ("size", "side"),
    "image-size": ("size", "side"),
    "img-size": ("size", "side"),
    "labels": ("annotations",),
    "json": ("annotations",),
    "ann": ("annotations",),
    "img": ("images",),
    "image-dir": ("images",),
    "val": ("val_annotations",),
    "max-epochs": ("epochs",),
    "conf": ("min_box_score", "min_score"),
    "threshold": ("min_box_score", "min_score"),
    "iou": ("oks_nms",),
    "amp": ("precision",),
    "half": ("precision",),
    "fp16": ("precision",),
    "det-model": ("detector",),
    "bboxes": ("boxes",),
    "init": ("start",),
    "finetune-from": ("start",),
}
"""Names of flags in other tools, and those of poise."""


def flag_names(command: Callable[..., Any]) -> list[str]:
    """The flags of a command, as Python names: its keyword arguments, of option groups their fields.

    Args:
        command: `run` function of the command.
    """
    hints = typing.get_type_hints(command)
    names = [p.name for p in inspect.signature(command).parameters.values() if p.kind is p.KEYWORD_ONLY]
    groups = [[f.name for f in dataclasses.fields(hints[n])] if dataclasses.is_dataclass(hints[n]) else [n] for n in names]
    return [name for group in groups for name in group]


def list_flags(command: Callable[..., Any]) -> list[str]:
    """The flags of a command that take one value or more, as Python names.

    Args:
        command: `run` function of the command.
    """
    own = {name: hint for name, hint in typing.get_type_hints(command, include_extras=False).items() if name != "return"}
    groups = [typing.get_type_hints(hint) if dataclasses.is_dataclass(hint) else {name: hint} for name, hint in own.items()]
    return [name for group in groups for name, hint in group.items() if _is_list(hint)]


def without_values(words: Sequence[str], names: Sequence[str]) -> str | None:
    """Message about the first flag that takes values and has none; None where all have some.

    Args:
        words: Words of the command line, after the command.
        names: Python names of the flags that take values (`list_flags`).

    >>> without_values(["--int8", "--out", "m.onnx"], ["int8"])
    '--int8 takes one value or more, and none was given'
    >>> without_values(["int8", "--int8", "photos"], ["int8"])
    """
    flags = {f"--{name}".replace("_", "-") for name in names}
    for word, after in pairwise([*words, "--"]):
        if word.replace("_", "-") in flags and after.startswith("--"):
            return f"{word} takes one value or more, and none was given"
    return None


def _is_list(hint: Any) -> bool:
    """Whether a type, or one of its alternatives, is a list or a tuple of any length."""
    if typing.get_origin(hint) in (tuple, list):
        return typing.get_origin(hint) is list or Ellipsis in typing.get_args(hint)
    return any(_is_list(one) for one in typing.get_args(hint))


def wrong_flag(words: Sequence[str], names: Sequence[str]) -> str | None:
    """Message about the first word that begins with `--` and is no flag; None where all are.

    Args:
        words: Words of the command line, after the command.
        names: Names of the arguments of the command.

    >>> wrong_flag(["--epoch", "3"], ["epochs", "batch"])
    "there is no flag '--epoch'; did you mean '--epochs' or '--batch'?"
    """
    flags = {f"--{name}".replace("_", "-") for name in names} | {"--help"}
    for word in words:
        flag = word.partition("=")[0].partition(".")[0].replace("_", "-")
        if word.startswith("--") and not {flag, flag.replace("--no-", "--")} & flags:
            same = [f"--{name}".replace("_", "-") for name in SYNONYMS.get(flag.removeprefix("--"), ()) if name in names]
            return f"there is no flag {flag!r}; did you mean {same[0]!r}?" if same else str(unknown("flag", flag, flags))
    return None


def given(*options: Any) -> dict[str, Any]:
    """The flags that were given another value than their default, as typed, with their values; True for those without.

    Args:
        options: Option groups.
    """
    changed = [
        (field.name, getattr(group, field.name))
        for group in options
        for field in dataclasses.fields(group)
        if getattr(group, field.name) != field.default
    ]
    return {
        f"--{'no-' if value is False else ''}{name}".replace("_", "-"): True if value is False else value
        for name, value in changed
    }


def refuse(flags: Mapping[str, object], *, why: str) -> None:
    """Refuse flags that would change nothing.

    Args:
        flags: Values of the flags by name; one that is None, False or empty was not given.
        why: Reason why nothing would change.

    Raises:
        InputError: A flag was given.

    >>> refuse({"--device": None, "--no-flip": False, "--scales": ()}, why="no network is run")
    """
    refuse_given([flag for flag, value in flags.items() if value is not None and value is not False and value != ()], why=why)


def refuse_given(flags: Sequence[str], *, why: str) -> None:
    """Refuse flags that would change nothing.

    Args:
        flags: Flags that were given.
        why: Reason why nothing would change.

    Raises:
        InputError: A flag was given.
    """
    if flags:
        raise InputError(f"{why}; leave out {' and '.join(flags)}")


def check_number(flag: str, value: float | None) -> None:
    """Refuse what only looks like a number: nothing is above or below it.

    Raises:
        InputError: It is nan.
    """
    if value is not None and math.isnan(value):
        raise InputError(f"{flag} is a number; found nan")


def check_confidence(flag: str, value: float | None) -> None:
    """Refuse a minimum confidence that no box could have, or all have.

    Raises:
        InputError: It is neither None nor from 0 to 1.
    """
    if value is not None and not 0 <= value <= 1:
        raise InputError(f"{flag} is a number from 0 to 1, as scores of boxes are, not {value:g}")


def view_size(text: str) -> Size:
    """Height and width of views whose maps have a cell for every 4 pixels.

    >>> view_size("256x192")
    (256, 192)

    Raises:
        InputError: The text is something else, or no such maps fit.
    """
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) >= 8 and int(side) % 4 == 0 for side in sides):
        raise InputError(f"--size is height x width, such as 256x192, both multiples of 4 and at least 8; found {text!r}")
    return int(sides[0]), int(sides[1])


def check_out(flag: str, out: Path, *, ends: Sequence[str]) -> None:
    """Refuse a file to write that is a folder, has the ending of other kinds of files, or must not be replaced.

    Args:
        flag: Flag that names the file.
        out: The file.
        ends: How its name may end, the usual one first; "" for names without an ending.

    Raises:
        WriteError: It is a folder, no regular file, or a file that is read.
        InputError: Its name ends otherwise.
    """
    if out.is_dir():
        raise WriteError(f"{str(out)!r} is a folder; {flag} names a file, such as {str(out / ('results' + ends[0]))!r}")
    if out.suffix.lower() not in ends:
        raise InputError(f"{flag} names a file that ends in {' or '.join(filter(None, ends))}; found {str(out)!r}")
    check_target(out, flag=flag)


WRITTEN = ("out", "report", "pictures", "fix", "suspects", "tables", "fetch", "resume")
"""Arguments that name what is written; everything else that names a file names one that is read."""


def files_read(arguments: Mapping[str, Any]) -> list[Path | str]:
    """All paths among the arguments of a command that are not written, also those inside groups and lists.

    Args:
        arguments: Values by name; an argument without a name has a number.

    >>> files_read({"model": Path("m.safetensors"), "out": Path("r.json"), "sources": ("a.jpg", "b.jpg"), "batch": 4})
    [PosixPath('m.safetensors'), 'a.jpg', 'b.jpg']
    """
    return [path for name, value in arguments.items() if name not in WRITTEN for path in _paths_in(value)]


def _paths_in(value: Any) -> list[Path | str]:
    if isinstance(value, Path | str):
        return [value]
    if dataclasses.is_dataclass(value):
        return files_read({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    return [path for one in value for path in _paths_in(one)] if isinstance(value, list | tuple) else []


def protected(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """A command that replaces none of the files that its arguments name to be read, whatever it writes.

    Args:
        command: Its `run` function.
    """

    @functools.wraps(command)
    def run(*numbered: Any, **named: Any) -> int | None:
        with protecting(files_read({str(i): value for i, value in enumerate(numbered)} | named)):
            return command(*numbered, **named)

    return run
