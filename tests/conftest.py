"""Shapes and types of every call in the package are checked while the tests run, and chance is the same in every run.

`scripts/test --hypothesis-profile=explore` draws examples, weights and noise afresh, many of each example.
`scripts/test --exhaustive` also runs what the default leaves out: laws on each form of a codec at every size.
`python -m pytest --plugin mypkg` also tries the laws on the codecs, backbones, data sets and models of a package of your own:
in `tests/codecs`, `tests/nn/test_backbone_laws.py`, `tests/data/test_laws.py` and `tests/models/test_kind_laws.py`.
"""

import gc
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, max_examples=100, deadline=None)
settings.register_profile("explore", max_examples=3000, deadline=None)
settings.load_profile("repeatable")


def _beside(name: str) -> Any:
    """A module beside this file."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


os.environ["POISE_RUNTIME"] = "torch"  # converting a network takes a second; tests of runtimes name one
check_calls = _beside("checked").install
check_calls("poise")
_beside("weights_drawn").install()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--plugin", action="append", default=[], metavar="PACKAGE", help="also try the laws on this package")
    parser.addoption("--exhaustive", action="store_true", help="also run the tests that are marked 'exhaustive'")


def pytest_configure(config: pytest.Config) -> None:
    from poise.plugins import use_plugin

    for package in config.getoption("--plugin"):
        check_calls(package)
        use_plugin(package)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--exhaustive"):
        return
    left_out = [item for item in items if item.get_closest_marker("exhaustive")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("exhaustive")]


def pytest_collectstart(collector: pytest.Collector) -> None:
    if isinstance(collector, pytest.Module):
        _seed(
            collector.config
        )  # networks in a module's own lines, and in the cases of its tests, have the same weights in every run


def pytest_collection_finish() -> None:
    gc.freeze()  # modules and tests stay: the collector need not look through a million of their objects again and again


def _seed(config: pytest.Config) -> None:
    if config.getoption("--hypothesis-profile") == "explore":
        torch.seed()
    else:
        torch.manual_seed(0) if torch.cuda.is_available() else torch.default_generator.manual_seed(0)


@pytest.fixture(scope="module", autouse=True)
def _chance_of_a_module(request: pytest.FixtureRequest) -> None:
    _seed(request.config)


@pytest.fixture(autouse=True)
def _chance_of_a_test(request: pytest.FixtureRequest) -> None:
    _seed(request.config)


@pytest.fixture(scope="module")
def weights_as_ever() -> Iterator[None]:
    """Weights of every size are drawn as ever in a module that asks for it: what it compares is near its bounds."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("normal_", "uniform_"):
            patch.setattr(torch.Tensor, name, getattr(torch.Tensor, name).__wrapped__)
        yield


@pytest.fixture(scope="session")
def _forks_of_poise() -> Iterator[Any]:
    forks = _beside("forks").Forks(hooked=False)
    yield forks
    forks.end()


@pytest.fixture(scope="session")
def _forks_of_pytest() -> Iterator[Any]:
    forks = _beside("forks").Forks(hooked=True)
    yield forks
    forks.end()


@pytest.fixture(scope="session")
def poise_process(_forks_of_poise: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Runs `poise WORDS` in a folder, in a process of its own: `poise_process(folder, *words)`; Python looks there first."""

    def run(folder: Path, *words: str) -> Any:
        output, wide = tmp_path_factory.mktemp("output"), {"COLUMNS": "300"}
        return _forks_of_poise.run("poise", list(words), folder=folder, path=[str(folder)], output=output, environment=wide)

    return run


@pytest.fixture(scope="session")
def laws_process(_forks_of_pytest: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Runs `pytest WORDS` in a folder, in a process of its own: `laws_process(folder, *words, path=[...])`."""

    def run(folder: Path, *words: str, path: list[str]) -> Any:
        return _forks_of_pytest.run("pytest", list(words), folder=folder, path=path, output=tmp_path_factory.mktemp("output"))

    return run
