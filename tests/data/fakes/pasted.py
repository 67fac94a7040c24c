"""Drawn people before whom others are pasted, who were cut out of other drawings."""

from pathlib import Path

from poise.data.base import Dataset
from poise.data.figures import FigureDataset
from poise.data.pasted import PastedDataset, cut_out


def datasets(folder: Path) -> list[Dataset]:
    """The data sets that the laws are tried on."""
    others = FigureDataset(3, size=(96, 96), seed=6)
    pasted = cut_out(others, skeleton=others.skeleton, least=16)
    return [PastedDataset(FigureDataset(4, size=(96, 96), per_image=(1, 2), seed=5), pasted, share=0.8)]
