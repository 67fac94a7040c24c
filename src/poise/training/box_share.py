"""How much of their images the boxes cover that a top-down model learns from; its file keeps that for predictions."""

from dataclasses import replace
from statistics import median

from poise.data.base import Dataset
from poise.errors import ImageError
from poise.training.recipe import Recipe

PEOPLE = 16
"""People whose images are looked at, spread over the data set."""


def note_box_share(recipe: Recipe) -> None:
    """Write the share into the card of a model that takes boxes; others are left alone."""
    if recipe.model.takes_boxes:
        recipe.model.card = replace(recipe.model.card, box_share=box_share(recipe.train))


def box_share(dataset: Dataset) -> float | None:
    """Share of its image that the box of a person covers: the median of a few people; None where no image can be read."""
    people = dataset.people()
    count = min(PEOPLE, len(people))
    found = [_share(dataset, *people[at * len(people) // count]) for at in range(count)]
    shares = [share for share in found if share is not None]
    return round(median(shares), 4) if shares else None


def _share(dataset: Dataset, image: int, person: int) -> float | None:
    try:
        height, width = dataset.image(image).shape[1:]
    except ImageError:
        return None
    x0, y0, x1, y1 = dataset.labels(image).boxes[person].tolist()
    wide, high = min(x1, width) - max(x0, 0.0), min(y1, height) - max(y0, 0.0)
    return float(max(0.0, wide) * max(0.0, high) / (width * height))
