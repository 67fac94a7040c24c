"""A run of one's own."""

import mypkg.paper
from poise.data.figures import FigureDataset
from poise.recipes.base import Recipe


def mine(*, count: int = 8) -> Recipe:
    """Drawn people."""
    wish = mypkg.paper.BuildRequest("mine_coco_64x64", mypkg.paper.FAMILY.match("mine_coco_64x64"))
    drawn = FigureDataset(count, size=(96, 96))
    return Recipe("mine", mypkg.paper.build(wish), drawn, FigureDataset(4, size=(96, 96), seed=1), epochs=1, batch=4)
