"""Drawn people with alignment keypoints; of some the hips are not labelled."""

from pathlib import Path

from poise.data.aligned import AlignedDataset
from poise.data.base import Dataset
from poise.data.figures import FigureDataset


def datasets(folder: Path) -> list[Dataset]:
    """The data sets that the laws are tried on."""
    return [
        AlignedDataset(FigureDataset(3, size=(64, 48), per_image=(1, 2), seed=6), missing=way)
        for way in ("keep", "mask", "drop")
    ]
