"""One file per paper: builders, official releases, key names, expected scores."""

from poise.zoo.find import build, names
from poise.zoo.importing import import_release

__all__ = ["build", "import_release", "names"]
