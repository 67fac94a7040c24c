"""The worked examples in docstrings come out as they stand there."""

import doctest
import importlib
from pathlib import Path

import pytest

import poise

ROOT = Path(poise.__file__).parents[1]
FILES = [path.relative_to(ROOT) for path in sorted(ROOT.glob("poise/**/*.py")) if ">>>" in path.read_text(encoding="utf-8")]
MODULES = [".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in FILES]


@pytest.mark.parametrize("name", MODULES)
def test_examples_come_out(name):
    assert not doctest.testmod(importlib.import_module(name)).failed


def test_examples_are_found():
    assert doctest.testmod(importlib.import_module("poise.metrics.voc")).attempted >= 8
