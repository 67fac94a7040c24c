"""Shapes and types of every call in the package are checked while the tests run, and chance is the same in every run.

`scripts/test --hypothesis-profile=explore` draws examples, weights and noise afresh, many of each example.
`python -m pytest --plugin mypkg tests/codecs tests/nn/test_backbone_laws.py tests/data/test_laws.py` also tries the laws on the
codecs, backbones and data sets of a package of your own.
"""

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

settings.register_profile("repeatable", derandomize=True, max_examples=100, deadline=None)
settings.register_profile("explore", max_examples=3000, deadline=None)
settings.load_profile("repeatable")
install_import_hook("poise", "beartype.beartype")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--plugin", action="append", default=[], metavar="PACKAGE", help="also try the laws on this package")


def pytest_configure(config: pytest.Config) -> None:
    from poise.plugins import use_plugin

    for package in config.getoption("--plugin"):
        install_import_hook(package, "beartype.beartype")
        use_plugin(package)


def _seed(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--hypothesis-profile") == "explore":
        torch.seed()
    else:
        torch.manual_seed(0)


@pytest.fixture(scope="module", autouse=True)
def _chance_of_a_module(request: pytest.FixtureRequest) -> None:
    _seed(request)


@pytest.fixture(autouse=True)
def _chance_of_a_test(request: pytest.FixtureRequest) -> None:
    _seed(request)
