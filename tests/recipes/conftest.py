"""A small COCO-style folder of drawn people."""

import pytest

from poise.data.figures import FigureDataset, write_coco


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """A folder with `annotations.json` and `images/` of twelve drawings."""
    folder = tmp_path_factory.mktemp("drawn")
    write_coco(FigureDataset(12, size=(96, 96)), folder)
    return folder
