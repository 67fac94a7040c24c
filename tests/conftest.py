"""Shapes and types of every call in the package are checked while the tests run, and chance is the same in every run.

`scripts/test --hypothesis-profile=explore` draws examples, weights and noise afresh, many of each example.
"""

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

settings.register_profile("repeatable", derandomize=True, max_examples=100, deadline=None)
settings.register_profile("explore", max_examples=3000, deadline=None)
settings.load_profile("repeatable")
install_import_hook("poise", "beartype.beartype")


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
