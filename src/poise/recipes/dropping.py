"""How recipes drop information from views (AID, arXiv 2008.07139)."""

from dataclasses import replace
from typing import Literal, TypeVar

from poise.errors import InputError
from poise.recipes.base import Recipe
from poise.recipes.ranges import check_share
from poise.transforms.detector_jitter import DetectorAugmentation
from poise.transforms.drop import drop_by_name
from poise.transforms.jitter import Augmentation
from poise.transforms.scene_jitter import SceneAugmentation

Dropping = Literal["cutout", "random-erasing", "hide-and-seek", "grid-mask"]
"""Values of --drop."""


_A = TypeVar("_A", bound=Augmentation | SceneAugmentation | DetectorAugmentation)


def dropped(views: _A, drop: Dropping | None) -> _A:
    """The views with information dropped; unchanged if `drop` is None."""
    return views if drop is None else replace(views, drop=drop_by_name(drop.replace("-", "_")))


def dropping(recipe: Recipe, drop: Dropping, *, plain: float) -> Recipe:
    """The recipe in two stages: a share of its epochs as they are, the rest with information dropped.

    Args:
        recipe: Recipe of one stage.
        drop: How information is dropped.
        plain: Share of the epochs without dropping; 0 for one stage that drops from the start.

    Raises:
        InputError: A share outside 0 to below 1, or a stage without epochs.
    """
    check_share("--drop-from", plain)
    later = replace(recipe, augmentation=dropped(recipe.augmentation or Augmentation(), drop))
    if plain == 0:
        return later
    first = round(plain * recipe.epochs)
    if not 0 < first < recipe.epochs:
        raise InputError(
            f"dropping from {plain:g} of {recipe.epochs} epochs on leaves a stage without epochs; give another share, or more "
            "epochs"
        )
    return replace(recipe, epochs=first, then=(replace(later, epochs=recipe.epochs - first),))
