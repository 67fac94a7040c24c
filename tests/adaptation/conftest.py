"""The tiny run of the tests of training, with a target: dots of other colours."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[1] / "training" / "tiny.py"


@pytest.fixture(scope="session")
def tiny():
    """The module `tiny.py` of the tests of training; its network and that of `eyes.py` are a user's own, found by name."""
    folders = [str(SCRIPT.parent), str(Path(__file__).parent)]
    sys.path[:0] = folders
    try:
        yield importlib.import_module("tiny")
    finally:
        for folder in folders:
            sys.path.remove(folder)


@pytest.fixture
def one_thread():
    """Sums in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
