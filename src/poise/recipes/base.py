"""A recipe is a typed function that gives a `Recipe`; its keyword arguments are the flags of `poise train`.

A recipe of your own stands in any module: `poise train mypackage.runs:my_run --some-flag 3`. Its docstring says the
command, the expected score and the time. A recipe for several types of models takes one argument instead, its options: a frozen
dataclass whose fields are the flags, of a type that the model decides (`ModelOptions`).
"""

from poise.recipes.options import ModelOptions
from poise.training.recipe import Optimizer, Recipe, Schedule

__all__ = ["ModelOptions", "Optimizer", "Recipe", "Schedule"]
