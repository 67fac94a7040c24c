"""The skeletons of this folder, by name: every file is one."""

import importlib
import pkgutil

from poise import skeletons
from poise.errors import unknown
from poise.skeletons._skeleton import Skeleton


def known() -> dict[str, Skeleton]:
    """All skeletons that files of this folder define."""
    modules = [
        importlib.import_module(f"{skeletons.__name__}.{info.name}") for info in pkgutil.iter_modules(skeletons.__path__)
    ]
    found = (value for module in modules for value in vars(module).values())
    return {value.name: value for value in found if isinstance(value, Skeleton)}


def find(name: str) -> Skeleton:
    """The skeleton of that name (`coco17`, `mpii16`, `lsp14`, `quadruped`, ...).

    Raises:
        UnknownName: There is none.
    """
    everything = known()
    if name not in everything:
        raise unknown("skeleton", name, everything)
    return everything[name]
