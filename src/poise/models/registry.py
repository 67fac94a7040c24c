"""Kinds of models by the name that stands in model files."""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache

from poise.models.base import Model


@cache
def model_types() -> Mapping[str, type[Model]]:
    """Every kind of model of this folder, by its `kind`."""
    package = importlib.import_module(__package__)
    names = [info.name for info in pkgutil.walk_packages(package.__path__, f"{__package__}.") if not info.ispkg]
    modules = [importlib.import_module(name) for name in names]
    found = [cls for module in modules for _, cls in inspect.getmembers(module, inspect.isclass)]
    return {
        cls.kind: cls
        for cls in found
        if issubclass(cls, Model) and "kind" in vars(cls) and cls.__module__.startswith(__package__)
    }
