"""`poise adapt`: a model learns to see unlabelled images of another kind; each method is a recipe of `poise train`."""

import inspect
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from poise.cli import train
from poise.errors import unknown
from poise.plain import say_error
from poise.recipes.find import outlined

_USAGE = """poise adapt: adapt a model from labelled to unlabelled images

usage: poise adapt METHOD --source RECIPE_OR_FILE --target FOLDER_OR_FILE [--start MODEL] [--out RUN] [flags]
       poise adapt --resume RUN [flags]

example, for frames of your own four-legged animal, from drawn ones:
  poise train drawn_animals --images 4000 --epochs 12 --out runs/source
  poise adapt cc-ssl --source drawn_animals --target frames --start runs/source/model.safetensors --out runs/adapted

example, from labels of your own:
  poise adapt source-only --source labels.json --target frames --out runs/source
  poise adapt cc-ssl --source labels.json --target frames --start runs/source/model.safetensors --out runs/adapted

The run leaves model.safetensors, metrics.csv, rounds.csv with the share (and where labels exist the precision) of accepted
pseudo-labels, and pictures of accepted and refused ones. poise adapt METHOD --help shows the flags of a method.

methods:
"""


def methods() -> Mapping[str, Any]:
    """The recipes that are methods of adaptation, by the name of the method: their help says `poise adapt NAME`."""
    named = {name.replace("_", "-"): maker for name, maker in outlined().items()}
    return {name: maker for name, maker in named.items() if f"poise adapt {name}" in (inspect.getdoc(maker) or "")}


def run(words: Sequence[str]) -> int:
    """Adapt a model.

    Args:
        words: Words of the command line, after `poise adapt`.

    Returns:
        The exit code.

    Raises:
        UnknownName: There is no such method.
    """
    known = methods()
    if not words or words[0] in ("-h", "--help"):
        rows = (f"  {name:<14}{(inspect.getdoc(f) or '').splitlines()[0]}\n" for name, f in known.items())
        sys.stdout.write(_USAGE + "".join(rows))
        return 0
    if words[0].startswith("-"):
        if {word.partition("=")[0] for word in words} & {"--resume", "--settings"}:
            return train.run(words)
        say_error(f"poise adapt: a method comes before {words[0]}; there are: {', '.join(known)}")
        return 2
    method = words[0].replace("_", "-")
    if method not in known:
        raise unknown("method of adaptation", words[0], known)
    return train.run([known[method].__name__, *words[1:]], called=f"poise adapt {method}")
