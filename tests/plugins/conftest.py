"""A package of a user's own in a folder that Python looks in, under a name no other test has."""

import itertools
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from poise import plugins

NUMBERS = itertools.count()


@pytest.fixture
def nobody_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_named", {})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the package."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def mypkg(home: Path, nobody_named: None) -> Iterator[str]:
    """Its name. Its tests cannot be imported, and importing it leaves a mark."""
    name = f"mypkg{next(NUMBERS)}"
    shutil.copytree(Path(__file__).parent / "mypkg", home / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (home / name).glob("*.py"):
        file.write_text(file.read_text(encoding="utf-8").replace("mypkg", name), encoding="utf-8")
    (home / name / "__init__.py").write_text(f"import pathlib\npathlib.Path({str(mark(home))!r}).touch()\n", encoding="utf-8")
    (home / name / "tests").mkdir()
    (home / name / "tests" / "__init__.py").write_text("raise RuntimeError('tests are not looked through')\n", encoding="utf-8")
    yield name
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


def mark(home: Path) -> Path:
    """What is there once the package was imported."""
    return home / "imported"
