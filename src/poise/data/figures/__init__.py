"""Drawn people and animals: a data set of any size with exact labels."""

from poise.data.figures.dataset import FigureDataset
from poise.data.figures.export import write_coco

__all__ = ["FigureDataset", "write_coco"]
