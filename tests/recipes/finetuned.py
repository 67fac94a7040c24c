"""The recipe of `poise train finetune`, made of keyword arguments as a command makes it of flags."""

from typing import Any

from poise.recipes.base import Recipe
from poise.recipes.finetune import FinetuneOptions, finetune


def finetuned(**options: Any) -> Recipe:
    """The recipe, with the options of the kind of the model."""
    return finetune(FinetuneOptions.for_model(options.get("model"))(**options))
