"""Drawn people and animals: an endless data set whose labels are exact."""

from poise.data.figures.dataset import FigureDataset
from poise.data.figures.export import write_coco

__all__ = ["FigureDataset", "write_coco"]
