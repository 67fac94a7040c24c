"""The tiny run, for the tests of training. Its network is one of a user's own, so it must be found by name."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("tiny.py")


@pytest.fixture(scope="session")
def tiny():
    """The module `tiny.py` beside this file."""
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


@pytest.fixture
def script():
    """The path of the script."""
    return SCRIPT
