"""The command line: names plugins, finds the command, prints errors as one sentence. Imports nothing heavy."""

import importlib
import sys
from collections.abc import Sequence
from difflib import get_close_matches

from poise.cli._global_flags import LIMITS, without_limits, without_plugins
from poise.cli._process import environment, exit_code, leave, prepare_output, stopping
from poise.errors import Stopped
from poise.notes import forget_notes, note_counts
from poise.plain import say_error

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo:run", "draw data, train, evaluate, predict and report; needs no files"),
    "train": ("train:run", "train a recipe, or on your own COCO-style files"),
    "adapt": ("adapt:run", "adapt a model to unlabelled images of another kind, such as frames of your own animal"),
    "evaluate": ("evaluate:run", "the COCO protocol and PCK for a model"),
    "compare": ("compare:run", "test whether two runs differ significantly"),
    "compare-decoders": ("compare_decoders:run", "scores and milliseconds of all decoders of one network"),
    "codec": ("codec:run", "upper bound of AP of each codec on some annotations"),
    "calibrate": ("calibrate:run", "calibrate a detector's keypoint scores as probabilities"),
    "verify": ("verify:run", "evaluate a run again: PASS or FAIL against its stored scores"),
    "predict": ("predict:run", "keypoints on photographs and in videos"),
    "detect": ("detect:run", "boxes of people on photographs, from a model or a detector of torchvision's"),
    "plan": ("plan:run", "what many images take on a fleet: cores or GPUs, hours, bytes; this machine is measured"),
    "track evaluate": ("track_evaluate:run", "HOTA, MOTA, IDF1 of tracks; jitter and lag of a smoother"),
    "explain": ("explain:run", "how one image gets its score, step by step"),
    "import": ("import_:run", "an official checkpoint to a poise model file"),
    "export": ("export:run", "a model as ONNX, or for OpenVINO: one file that runs without poise"),
    "get": ("get:run", "an official model by name, brought into a cache; without a name, which there are"),
    "zoo": ("zoo:run", "published models: sizes, scores, where their weights are"),
    "data split": ("data_split:run", "split an annotation file in two, by share and group"),
    "data stats": ("data_stats:run", "what is in an annotation file"),
    "data draw": ("data_draw:run", "images with their labels, and mirrored"),
    "data walk": ("data_walk:run", "a page of one person's steps, from the image to the heatmaps and back"),
    "data check": ("data_check:run", "find and fix what breaks training or evaluation"),
    "data fetch": ("data_fetch:run", "where public sets of animals live, their terms, what of one is there"),
    "data backgrounds": ("data_backgrounds:run", "parts of photographs that show nobody, behind drawn and rendered people"),
    "data poses": ("data_poses:run", "poses fitted to labels, for rendered people; labels that no pose explains"),
    "data sigmas": ("data_sigmas:run", "OKS sigmas of any keypoints, from repeated annotations"),
}

SYNONYMS: dict[str, str] = {
    "fit": "train",
    "finetune": "train finetune",
    "fine-tune": "train finetune",
    "adaptation": "adapt",
    "domain-adaptation": "adapt",
    "pseudo-label": "adapt cc-ssl",
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
    "onnx": "export MODEL --out FILE.onnx",
    "openvino": "export MODEL --out FILE.xml",
    "quantize": "export MODEL --out FILE.onnx --int8 IMAGES",
    "quantise": "export MODEL --out FILE.onnx --int8 IMAGES",
    "cost": "plan MODEL --images N",
    "capacity": "plan MODEL --images N",
    "compile": "predict SOURCE --runtime compile",
    "models": "zoo",
    "list": "zoo",
    "download": "get NAME",
    "fetch": "get NAME",
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
    "track": "track evaluate FILE",
    "tracking": "predict VIDEO",
    "video": "predict VIDEO",
    "camera": "predict camera:0 --live",
    "webcam": "predict camera:0 --live",
    "stream": "predict camera:0 --live",
    "mot": "track evaluate FILE",
    "help": "--help",
    "version": "--version",
}
"""Names of commands in other tools, and those of poise."""

_OTHERS = "it is not written for; its own tools read the .onnx of poise export MODEL --out FILE.onnx"
_SERVER = "there is no server yet; in Python a poise.Predictor keeps its model ready and answers image after image"

NOT_THERE: dict[str, str] = dict.fromkeys(("tensorrt", "coreml"), _OTHERS) | dict.fromkeys(
    ("serve", "server", "api", "deploy"), _SERVER
)
"""Commands that users expect and poise does not have: what to do instead."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code comes back.

    Returns:
        0 for success, 1 for a mistake that is explained, 2 for a command or flag that does not exist, 141 where nobody reads
        the output any more, 128 and the number of the signal that stopped it: 130 for Ctrl-C, 129 for SIGHUP, 143 for SIGTERM.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    prepare_output()
    stopped: list[int] = []
    called = ["poise"]
    try:
        with stopping(stopped):
            try:
                code = _command(words, called)
                sys.stdout.flush()
            except BaseException as error:
                if not stopped or isinstance(error, KeyboardInterrupt):
                    raise
                raise Stopped(stopped[-1]) from None  # whatever an interrupted import or library made of it
        return code
    except BaseException as error:
        told = exit_code(error)
        if told is None:
            raise
        code, text = told
        if text:
            say_error(f"{called[-1]}: {text}")
        return code


def _command(words: Sequence[str], called: list[str]) -> int:
    """Run the command that words name; what it is called in messages is added to `called`, once that is known."""
    words, limits = without_limits(list(words))
    words = without_plugins(words)
    called.append(_name(words))
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(overview())
        return 0
    if words[0] == "--version":
        from poise import __version__

        sys.stdout.write(f"poise {__version__}\n")
        return 0
    forget_notes()
    name = _command_name(words)
    with environment(limits, besides=LIMITS.values()):
        try:
            return _run(name, words[len(name.split()) :]) if name in COMMANDS else _no_such(words)
        finally:
            note_counts()


def _name(words: Sequence[str]) -> str:
    """The command as it is called in messages."""
    name = _command_name(words)
    return f"poise {name}" if name in COMMANDS else "poise"


def _command_name(words: Sequence[str]) -> str:
    """The words that name a command: two of `data check` and its like."""
    two = " ".join(words[:2])
    return two if words[:1] == ["data"] or two in COMMANDS else "".join(words[:1])


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
        f"  {'--outside-images':<{width}}  also read images that an annotation file names outside --images\n"
        f"  {'--orientation HOW':<{width}}  read all images as stored, or as shown (turned by their EXIF orientation);\n"
        f"  {'':<{width}}  by default as the sizes in the label file tell, else as shown\n\n"
        "poise COMMAND --help shows the flags and an example.\n"
        "Start with: poise demo\n"
    )


def _run(name: str, words: list[str]) -> int:
    file, function = COMMANDS[name][0].split(":")
    command = getattr(importlib.import_module(f"poise.cli.{file}"), function)
    if file in ("train", "adapt"):  # flags depend on the recipe, which stands among the words
        return int(command(words) or 0)
    from poise.cli._flags import flag_names, list_flags, protected, without_values, wrong_flag
    from poise.cli._inputs import checked
    from poise.cli._ranges import check_ranges, repeated

    wrong = wrong_flag(words, flag_names(command)) or repeated(words) or without_values(words, list_flags(command))
    if wrong:
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


if __name__ == "__main__":
    leave(main())
