"""Rendered people."""

from pathlib import Path

import pytest

from poise.data.base import Dataset


def datasets(folder: Path) -> list[Dataset]:
    """The data sets that the laws are tried on."""
    pytest.importorskip("anny", reason="needs poise[bodies]")
    from poise.data.bodies import BodyDataset

    return [BodyDataset(3, size=(64, 48), per_image=(1, 2), seed=5)]
