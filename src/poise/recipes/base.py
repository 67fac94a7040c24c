"""What a recipe is: a typed function that gives a `Recipe`; its keyword arguments are the flags of `poise train`.

A recipe of your own stands in any module: `poise train mypackage.runs:my_run --some-flag 3`. Its docstring says the
command, the expected score and the time.
"""

from poise.training.recipe import Optimizer, Recipe, Schedule

__all__ = ["Optimizer", "Recipe", "Schedule"]
