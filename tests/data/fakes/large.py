"""Drawn people of whom the smaller ones count as crowds."""

from pathlib import Path

from poise.data.base import Dataset
from poise.data.figures import FigureDataset
from poise.data.large import LargePeople


def datasets(folder: Path) -> list[Dataset]:
    """The data sets that the laws are tried on."""
    return [LargePeople(FigureDataset(3, size=(64, 48), per_image=(1, 2), seed=5), 300.0)]
