"""The command line: names plugins, finds the command, prints errors as one sentence. Imports nothing heavy."""

import importlib
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from poise.errors import InputError, PoiseError
from poise.notes import forget_notes
from poise.plugins import use_plugin

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo:run", "draw data, train, evaluate, predict and report; needs no files"),
    "train": ("train:run", "train a recipe, or on your own COCO-style files"),
    "evaluate": ("evaluate:run", "the COCO protocol and PCK for a model"),
    "compare": ("compare:run", "is one run better than another, or is it chance"),
    "compare-decoders": ("compare_decoders:run", "one network read in many ways: scores and milliseconds of each"),
    "codec": ("codec:run", "the best that each codec could reach on some annotations"),
    "calibrate": ("calibrate:run", "a detector's keypoint scores made probabilities, and people ranked by them"),
    "verify": ("verify:run", "evaluate a run again: PASS or FAIL against its stored scores"),
    "predict": ("predict:run", "keypoints on photographs"),
    "detect": ("detect:run", "boxes of people on photographs, from a model or a detector of torchvision's"),
    "explain": ("explain:run", "how one image gets its score, step by step"),
    "import": ("import_:run", "an official checkpoint to a poise model file"),
    "zoo": ("zoo:run", "published models: sizes, scores, where their weights are"),
    "data split": ("data_split:run", "an annotation file in two, by share and group"),
    "data stats": ("data_stats:run", "what is in an annotation file"),
    "data draw": ("data_draw:run", "pictures with their labels, and mirrored"),
    "data walk": ("data_walk:run", "one person's whole way, from the photo to the maps and back, on a page"),
    "data check": ("data_check:run", "find, and mend, what breaks training or evaluation"),
    "data sigmas": ("data_sigmas:run", "OKS sigmas of any keypoints, from repeated annotations"),
}

TRAIN_EXTRA = ("lightning", "tensorboard", "timm")
"""Packages that only training needs, and that come with the extra of that name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code comes back.

    Returns:
        0 for success, 1 for a mistake that is explained, 2 for a command or flag that does not exist, 130 for Ctrl-C.
    """
    try:
        words = _without_plugins(list(sys.argv[1:] if arguments is None else arguments))
    except PoiseError as error:
        sys.stderr.write(f"poise: {error}\n")
        return 1
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(overview())
        return 0
    if words[0] == "--version":
        from poise import __version__

        sys.stdout.write(f"poise {__version__}\n")
        return 0
    forget_notes()
    name = " ".join(words[:2]) if words[0] == "data" else words[0]
    if name not in COMMANDS:
        return _no_such(words)
    try:
        return _run(name, words[len(name.split()) :])
    except PoiseError as error:
        sys.stderr.write(f"poise {name}: {' '.join(str(error).split())}\n")
        return 1
    except ModuleNotFoundError as error:
        extra = (error.name or "").partition(".")[0]
        if extra not in TRAIN_EXTRA:
            raise
        sys.stderr.write(f"poise {name}: the package {extra!r} is not installed; it comes with: pip install 'poise[train]'\n")
        return 1
    except BrokenPipeError:  # somebody downstream, such as head, has read enough
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        sys.stderr.write(f"\npoise {name}: interrupted\n")
        return 130


def overview() -> str:
    """The text of `poise --help`."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {what}" for name, (_, what) in COMMANDS.items())
    return (
        "poise: 2-D pose estimation for people and animals\n\n"
        f"usage: poise COMMAND [flags]\n\ncommands:\n{rows}\n\n"
        "before or after any command, as often as wanted:\n"
        f"  {'--plugin PACKAGE':<{width}}  also use codecs, networks and models of a Python package of your own;\n"
        f"  {'':<{width}}  model files may then run code of it\n\n"
        "poise COMMAND --help shows the flags and an example.\n"
        "Start with: poise demo\n"
    )


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
    from poise.cli._flags import flag_names, wrong_flag

    if wrong := wrong_flag(words, flag_names(command)):
        sys.stderr.write(f"poise {name}: {wrong}\n")
        return 2
    import tyro

    try:  # groups of flags have no prefix
        return int(tyro.cli(command, args=words, prog=f"poise {name}", config=(tyro.conf.OmitArgPrefixes,)) or 0)
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
    hint = f"did you mean {' or '.join(near)}?" if near else "poise --help lists them"
    sys.stderr.write(f"poise: there is no command {wrong!r}; {hint}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
