"""The worked examples in docstrings come out as they stand there."""

import doctest
import importlib
import pkgutil

import pytest

import poise

MODULES = [info.name for info in pkgutil.walk_packages(poise.__path__, "poise.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_come_out(name):
    assert not doctest.testmod(importlib.import_module(name)).failed


def test_examples_are_found():
    assert doctest.testmod(importlib.import_module("poise.metrics.voc")).attempted >= 8
