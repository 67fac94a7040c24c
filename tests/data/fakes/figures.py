"""Drawn figures need no files, so they are their own fake."""

from pathlib import Path

from poise.data.base import Dataset
from poise.data.figures import FigureDataset, FigureSequences


def datasets(folder: Path) -> list[Dataset]:
    return [
        FigureDataset(3, size=(64, 48), per_image=(1, 2)),
        FigureDataset(2, size=(64, 64), kind="animals"),
        FigureDataset(2, size=(64, 64), kind="camel", look="wild", keypoints="animal18"),
        FigureSequences(1, frames=2, size=(64, 64), kind="dog"),
    ]
