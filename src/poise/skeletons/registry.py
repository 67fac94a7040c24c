"""The skeletons that the files of this folder define, by name."""

import importlib
import pkgutil

from poise import skeletons
from poise.errors import unknown
from poise.skeletons._skeleton import Skeleton


def all_skeletons() -> dict[str, Skeleton]:
    """Every skeleton that a file of this folder defines, by name."""
    modules = [
        importlib.import_module(f"{skeletons.__name__}.{info.name}") for info in pkgutil.iter_modules(skeletons.__path__)
    ]
    found = (value for module in modules for value in vars(module).values())
    return {value.name: value for value in found if isinstance(value, Skeleton)}


def find(name: str) -> Skeleton:
    """A skeleton by name.

    Args:
        name: `coco17`, `mpii16`, `lsp14`, `animal18`, `quadruped`, or that of a file added to this folder.

    Raises:
        UnknownName: There is no skeleton of that name.
    """
    everything = all_skeletons()
    if name not in everything:
        raise unknown("skeleton", name, everything)
    return everything[name]
