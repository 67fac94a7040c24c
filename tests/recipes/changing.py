"""The law of flags that change a recipe: each differs in what is printed and trained, or is refused by its name."""

from dataclasses import fields
from typing import Any

from poise.errors import PoiseError
from poise.recipes.base import Recipe
from poise.recipes.changes import changed, described
from poise.recipes.options import RecipeChanges


def probes(recipe: Recipe) -> dict[str, Any]:
    """A value of each flag that differs from the recipe's own."""
    schedule = "linear" if recipe.schedule.kind != "linear" else "cosine"
    return {
        "epochs": recipe.epochs + 3,
        "rate": recipe.optimizer.rate * 3,
        "milestones": [recipe.epochs / 7],
        "decay": recipe.optimizer.decay + 0.01,
        "optimizer": "sgd" if recipe.optimizer.kind != "sgd" else "adam",
        "schedule": schedule,
        "warmup": recipe.schedule.warmup_steps + 7,
        "clip": (recipe.clip or 0.0) + 1.5,
        "average": 0.5 * (recipe.average or 0.9),
        "loss": "l2",
        "weight": 3.25,
        "sigma": 1.125,
        "codec_set": ["no_such_field=1"],
        "padding": 1.375,
        "box_sides": (1.3, 1.2),
        "parts": ["val2017"],
        "min_area": 10.0,
        "augmentation": ["flip=0.125"],
    }


def check_changes(recipe: Recipe) -> None:
    """Every flag changes the recipe and is told, or is refused and named; the recipe's codec is changed in place."""
    values = probes(recipe)
    assert values.keys() == {field.name for field in fields(RecipeChanges)}
    for name, value in values.items():
        before, refused, made = described(recipe), "", recipe
        try:
            made = changed(recipe, RecipeChanges(**{name: value}))
        except PoiseError as error:
            refused = str(error)
        words = (f"--{name.replace('_', '-')}", *(value if isinstance(value, list) else ()))
        named = any(str(word).partition("=")[0] in refused for word in words)
        told = described(made) != before and made.differs.startswith("not the recipe as it stands: ")
        assert named if refused else told, (recipe.name, name, refused)
