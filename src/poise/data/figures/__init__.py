"""Drawn people and animals: a data set of any size with exact labels."""

from poise.data.figures.dataset import FigureDataset
from poise.data.figures.export import write_coco
from poise.data.figures.look import LOOKS, Look, named_look
from poise.data.figures.sequences import FigureSequences
from poise.data.figures.view import Views

__all__ = ["LOOKS", "FigureDataset", "FigureSequences", "Look", "Views", "named_look", "write_coco"]
