"""Recipes made of keyword arguments, as a command makes them of flags."""

from typing import Any

from poise.recipes.base import Recipe
from poise.recipes.find import recipes
from poise.recipes.finetune import FinetuneOptions, finetune


def made(name: str, **arguments: Any) -> Recipe:
    """The recipe of a name."""
    return finetuned(**arguments) if name == "finetune" else recipes()[name](**arguments)


def finetuned(**options: Any) -> Recipe:
    """The recipe, with the options of the kind of the model."""
    return finetune(FinetuneOptions.for_model(options.get("model"))(**options))
