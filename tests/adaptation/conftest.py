"""The tiny run of the tests of training, with a target: dots of other colours."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[1] / "training" / "tiny.py"


@pytest.fixture(scope="session")
def tiny():
    """The module `tiny.py` of the tests of training; its network is one of a user's own, so it must be found by name."""
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        yield importlib.import_module("tiny")
    finally:
        sys.path.remove(str(SCRIPT.parent))


@pytest.fixture
def one_thread():
    """Sums in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
