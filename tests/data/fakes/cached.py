"""A data set held in memory; what it holds is drawn."""

from pathlib import Path

from poise.data.base import Dataset
from poise.data.cached import CachedDataset
from poise.data.figures import FigureDataset


def datasets(folder: Path) -> list[Dataset]:
    """The data sets that the laws are tried on."""
    return [CachedDataset(FigureDataset(3, size=(64, 48), per_image=(1, 2), seed=5))]
