"""One file per paper: builders, official releases, key names, expected scores."""

from poise.zoo.checkpoint import import_release
from poise.zoo.find import build, names

__all__ = ["build", "import_release", "names"]
