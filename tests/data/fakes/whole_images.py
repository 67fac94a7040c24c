"""Drawn people, one an image, each learnt in the whole image."""

from pathlib import Path

from poise.data.base import Dataset
from poise.data.figures import FigureDataset
from poise.data.whole_images import WholeImages


def datasets(folder: Path) -> list[Dataset]:
    """The data sets that the laws are tried on."""
    return [WholeImages(FigureDataset(4, size=(96, 72)))]
