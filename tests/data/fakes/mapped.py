"""Drawn people in the keypoints of a drawn animal."""

from pathlib import Path

from poise.data.base import Dataset
from poise.data.figures import FigureDataset
from poise.data.mapped import MappedDataset
from poise.skeletons import QUADRUPED
from poise.skeletons.mapping import KeypointMap


def datasets(folder: Path) -> list[Dataset]:
    """The data sets that the laws are tried on."""
    people = FigureDataset(3, size=(64, 48), per_image=(1, 2), seed=7)
    return [MappedDataset(people, skeleton=QUADRUPED, mapping=KeypointMap(analogies=True))]
