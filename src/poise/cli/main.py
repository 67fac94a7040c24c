"""The command line: names plugins, finds the command, prints errors as one sentence. Imports nothing heavy."""

import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from types import FrameType
from typing import NoReturn

from poise.cli._packages import TRAIN_EXTRA, missing_package
from poise.errors import InputError, PoiseError, Stopped
from poise.machine import stop_signals
from poise.notes import forget_notes
from poise.plain import say_error
from poise.plugins import use_plugin

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo:run", "draw data, train, evaluate, predict and report; needs no files"),
    "train": ("train:run", "train a recipe, or on your own COCO-style files"),
    "evaluate": ("evaluate:run", "the COCO protocol and PCK for a model"),
    "compare": ("compare:run", "test whether two runs differ significantly"),
    "compare-decoders": ("compare_decoders:run", "scores and milliseconds of all decoders of one network"),
    "codec": ("codec:run", "upper bound of AP of each codec on some annotations"),
    "calibrate": ("calibrate:run", "calibrate a detector's keypoint scores as probabilities"),
    "verify": ("verify:run", "evaluate a run again: PASS or FAIL against its stored scores"),
    "predict": ("predict:run", "keypoints on photographs"),
    "detect": ("detect:run", "boxes of people on photographs, from a model or a detector of torchvision's"),
    "explain": ("explain:run", "how one image gets its score, step by step"),
    "import": ("import_:run", "an official checkpoint to a poise model file"),
    "get": ("get:run", "an official model by name, brought into a cache; without a name, which there are"),
    "zoo": ("zoo:run", "published models: sizes, scores, where their weights are"),
    "data split": ("data_split:run", "split an annotation file in two, by share and group"),
    "data stats": ("data_stats:run", "what is in an annotation file"),
    "data draw": ("data_draw:run", "images with their labels, and mirrored"),
    "data walk": ("data_walk:run", "a page of one person's steps, from the image to the heatmaps and back"),
    "data check": ("data_check:run", "find and fix what breaks training or evaluation"),
    "data sigmas": ("data_sigmas:run", "OKS sigmas of any keypoints, from repeated annotations"),
}

SYNONYMS: dict[str, str] = {
    "fit": "train",
    "finetune": "train finetune",
    "fine-tune": "train finetune",
    "resume": "train --resume RUN",
    "eval": "evaluate",
    "val": "evaluate",
    "validate": "evaluate",
    "test": "evaluate",
    "score": "evaluate",
    "benchmark": "evaluate",
    "infer": "predict",
    "inference": "predict",
    "run": "predict",
    "pose": "predict",
    "estimate": "predict",
    "detection": "detect",
    "convert": "import",
    "load": "import",
    "models": "zoo",
    "list": "zoo",
    "download": "zoo NAME --fetch DIR",
    "fetch": "zoo NAME --fetch DIR",
    "check": "data check",
    "lint": "data check",
    "fix": "data check --fix OUT",
    "split": "data split",
    "stats": "data stats",
    "info": "data stats",
    "draw": "data draw",
    "show": "data draw",
    "visualize": "data draw",
    "plot": "data draw",
    "walk": "data walk",
    "sigmas": "data sigmas",
    "recipes": "train --help",
    "help": "--help",
    "version": "--version",
}
"""Names of commands in other tools, and those of poise."""

_WEIGHTS = "a model file holds PyTorch weights (safetensors) for poise.load; other runtimes are not written for yet"
_FRAMES = "poise looks at single images and follows nobody from one to the next yet; poise predict takes a folder of frames"
_SERVER = "there is no server yet; in Python a poise.Predictor keeps its model ready and answers image after image"

NOT_THERE: dict[str, str] = (
    dict.fromkeys(("export", "onnx", "tensorrt", "coreml", "openvino", "quantize", "compile"), _WEIGHTS)
    | dict.fromkeys(("track", "tracking", "video", "camera", "webcam", "stream"), _FRAMES)
    | dict.fromkeys(("serve", "server", "api", "deploy"), _SERVER)
)
"""Commands that users expect and poise does not have: what to do instead."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code comes back.

    Returns:
        0 for success, 1 for a mistake that is explained, 2 for a command or flag that does not exist, 141 where nobody reads
        the output any more, 128 and the number of the signal that stopped it: 130 for Ctrl-C, 129 for SIGHUP, 143 for SIGTERM.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    _prepare_output()
    stopped: list[int] = []
    called = ["poise"]
    try:
        with _stopping(stopped):
            try:
                code = _command(words, called)
                sys.stdout.flush()
            except BaseException as error:
                if not stopped or isinstance(error, KeyboardInterrupt):
                    raise
                raise Stopped(stopped[-1]) from None  # whatever an interrupted import or library made of it
        return code
    except BaseException as error:
        told = _told(error)
        if told is None:
            raise
        code, text = told
        if text:
            say_error(f"{called[-1]}: {text}")
        return code


def _command(words: Sequence[str], called: list[str]) -> int:
    """Run the command that words name; what it is called in messages is added to `called`, once that is known."""
    words, limits = _without_limits(list(words))
    words = _without_plugins(words)
    called.append(_name(words))
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(overview())
        return 0
    if words[0] == "--version":
        from poise import __version__

        sys.stdout.write(f"poise {__version__}\n")
        return 0
    forget_notes()
    name = " ".join(words[:2]) if words[0] == "data" else words[0]
    with _environment(limits):
        return _run(name, words[len(name.split()) :]) if name in COMMANDS else _no_such(words)


def _name(words: Sequence[str]) -> str:
    """The command as it is called in messages."""
    name = " ".join(words[:2]) if words[:1] == ["data"] else "".join(words[:1])
    return f"poise {name}" if name in COMMANDS else "poise"


def _prepare_output() -> None:
    """Make stdout and stderr take any text, and be there."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  # for as long as the process lives
        elif isinstance(getattr(sys, name), io.TextIOWrapper):
            getattr(sys, name).reconfigure(errors="backslashreplace")


@contextmanager
def _stopping(stopped: list[int]) -> Iterator[None]:
    """While this lasts, the signals that ask a process to stop raise `Stopped`, and their numbers are noted.

    Args:
        stopped: Receives the numbers.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)
        raise Stopped(number)

    main_thread = threading.current_thread() is threading.main_thread()
    wanted = [number for number in stop_signals() if signal.getsignal(number) is not signal.SIG_IGN] if main_thread else []
    former = {number: signal.signal(number, stop) for number in wanted}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _told(error: BaseException) -> tuple[int, str] | None:
    """Exit code of an error and what to say of it; None for one that is a mistake of poise's own."""
    if isinstance(error, KeyboardInterrupt):
        return 128 + getattr(error, "number", signal.SIGINT), _sentence("interrupted", error)
    if isinstance(error, PoiseError):
        return 1, _sentence(str(error), error)
    if isinstance(error, RecursionError):
        return 1, "something in its files is nested too deep to be read"
    if isinstance(error, BrokenPipeError):  # somebody downstream, such as head, has read enough
        _give_up_output()
        return 141, ""
    if isinstance(error, ModuleNotFoundError):
        extra = (error.name or "").partition(".")[0]
        return (1, missing_package(extra)) if extra in TRAIN_EXTRA else None
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "Insufficient memory" in str(error):
        return 1, _sentence("the memory does not suffice; give a smaller batch, fewer workers or smaller images", error)
    if isinstance(error, OSError):
        if error.filename is None:
            _give_up_output()
        where = "the output cannot be" if error.filename is None else f"{error.filename!r} cannot be read or"
        return 1, _sentence(f"{where} written: {error.strerror or error}", error)
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):
        return 1, f"{error}: a link that leads to itself; name the file or folder"
    if isinstance(error, ValueError) and "null byte" in str(error):
        return 1, "a name holds the character NUL, which no file has in its name; mend the name"
    if isinstance(error, UnicodeEncodeError):
        return 1, f"the name {error.object[:80]!r} holds half a character, which no file has in its name; mend the name"
    return None


def _sentence(text: str, error: BaseException) -> str:
    """The message of an error as one line, with its notes."""
    return " ".join("; ".join([text, *getattr(error, "__notes__", ())]).split())


def _give_up_output() -> None:
    """Let nothing more be written to stdout, where what it still holds would fail once more as the process ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def overview() -> str:
    """The text of `poise --help`."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {what}" for name, (_, what) in COMMANDS.items())
    return (
        "poise: 2-D pose estimation for people and animals\n\n"
        f"usage: poise COMMAND [flags]\n\ncommands:\n{rows}\n\n"
        "before or after any command, as often as wanted:\n"
        f"  {'--plugin PACKAGE':<{width}}  also use codecs, networks and models of a Python package of your own;\n"
        f"  {'':<{width}}  model files may then run code of it\n"
        f"  {'--max-pixels N':<{width}}  read images of up to so many pixels (100,000,000)\n"
        f"  {'--outside-images':<{width}}  also read images that an annotation file names outside --images\n\n"
        "poise COMMAND --help shows the flags and an example.\n"
        "Start with: poise demo\n"
    )


def _without_limits(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """The words without `--max-pixels N` and `--outside-images`, and the environment variables that these set.

    Raises:
        InputError: The number of pixels cannot be.
    """
    from poise.cli._ranges import check_ranges

    rest: list[str] = []
    variables: dict[str, str] = {}
    left = iter(words)
    for word in left:
        flag, same, value = word.replace("_", "-").partition("=")
        if flag == "--outside-images":
            variables["POISE_OUTSIDE_IMAGES"] = "1"
        elif flag == "--max-pixels":
            value = value if same else next(left, "")
            check_ranges([flag, value])
            if not (value.isascii() and value.isdigit()):
                raise InputError(f"--max-pixels wants a number of pixels, such as --max-pixels 400000000; found {value!r}")
            variables["POISE_MAX_PIXELS"] = value
        else:
            rest.append(word)
    return rest, variables


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Environment variables while a command runs; processes that it starts have them, too."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _without_plugins(words: list[str]) -> list[str]:
    """The words without `--plugin PACKAGE`; the packages are named, those of the working directory too.

    Raises:
        InputError: There is no such package, or none is given.
    """
    rest, packages, left = [], [], iter(words)
    for word in left:
        flag, same, value = word.partition("=")
        if flag != "--plugin":
            rest.append(word)
            continue
        packages.append(value if same else next(left, ""))
        if not packages[-1] or packages[-1].startswith("-"):
            raise InputError("--plugin wants the name of a package of your own, as in: poise evaluate --plugin mypkg")
    if packages and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # last: what is installed comes before what lies here
    for package in packages:
        use_plugin(package)
    return rest


def _run(name: str, words: list[str]) -> int:
    file, function = COMMANDS[name][0].split(":")
    command = getattr(importlib.import_module(f"poise.cli.{file}"), function)
    if file == "train":  # its flags depend on the recipe, which stands among its words
        return int(command(words) or 0)
    from poise.cli._flags import flag_names, protected, wrong_flag
    from poise.cli._inputs import checked
    from poise.cli._ranges import check_ranges, repeated

    if wrong := wrong_flag(words, flag_names(command)) or repeated(words):
        say_error(f"poise {name}: {wrong}")
        return 2
    check_ranges(words)
    import tyro

    try:  # groups of flags have no prefix
        run = protected(checked(command))
        return int(tyro.cli(run, args=words, prog=f"poise {name}", config=(tyro.conf.OmitArgPrefixes,)) or 0)
    except SystemExit as leave:  # tyro leaves after --help and after a wrong flag
        return int(leave.code or 0)


def _no_such(words: list[str]) -> int:
    if words[0] == "data":
        inside = [name.split()[1] for name in COMMANDS if name.startswith("data ")]
        if len(words) < 2 or words[1] in ("-h", "--help"):
            rows = "".join(f"  poise {name}  {what}\n" for name, (_, what) in COMMANDS.items() if name.startswith("data "))
            sys.stdout.write(rows)
            return 0
        wrong, near = f"data {words[1]}", [f"data {n}" for n in get_close_matches(words[1], inside)]
    else:
        wrong, near = words[0], get_close_matches(words[0], list(COMMANDS))
    if wrong in NOT_THERE:
        hint = NOT_THERE[wrong]
    else:
        meant = [SYNONYMS[wrong]] if wrong in SYNONYMS else near
        hint = f"did you mean {' or '.join(f'poise {name}' for name in meant)}?" if meant else "poise --help lists them"
    say_error(f"poise: there is no command {wrong!r}; {hint}")
    return 2


def leave(code: int) -> NoReturn:
    """End the process at once, with its exit code: nothing is left to do, and taking Python and torch down takes seconds.

    Args:
        code: Exit code of `main`.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if "multiprocessing" in sys.modules:
        for child in sys.modules["multiprocessing"].active_children():
            child.kill()
    os._exit(code)


if __name__ == "__main__":
    leave(main())
