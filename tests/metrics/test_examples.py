"""The worked examples in the docstrings of `metrics/` come out as they stand there."""

import doctest
import importlib
import pkgutil

import pytest

import poise.metrics

MODULES = [info.name for info in pkgutil.iter_modules(poise.metrics.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_come_out(name):
    assert not doctest.testmod(importlib.import_module(f"poise.metrics.{name}")).failed


def test_the_six_boxes_are_among_them():
    assert doctest.testmod(importlib.import_module("poise.metrics.voc")).attempted >= 8
