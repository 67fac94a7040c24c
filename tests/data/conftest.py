import importlib
import importlib.util
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest

from poise.plugins import modules, named

FAKES = Path(__file__).parent / "fakes"


def makers() -> list[Path | str]:
    """What makes data sets for the laws: files of the folder, and modules of packages that are named with `--plugin`."""
    ours = [module.__name__ for package in named() for module in modules(package) if hasattr(module, "datasets")]
    return [*sorted(FAKES.glob("*.py")), *ours]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fake_datasets" in metafunc.fixturenames:
        metafunc.parametrize("fake_datasets", makers(), ids=lambda path: getattr(path, "stem", path), indirect=True)


def load(path: Path | str) -> ModuleType:
    """A file of the folder, or a module of a package."""
    if isinstance(path, str):
        return importlib.import_module(path)
    spec = importlib.util.spec_from_file_location(f"fake_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fake() -> ModuleType:
    """The made-up COCO."""
    return load(FAKES / "coco.py")


@pytest.fixture(scope="session")
def fake_mpii() -> ModuleType:
    """The made-up MPII."""
    return load(FAKES / "mpii.py")


@pytest.fixture
def fake_datasets(request, tmp_path):
    return load(request.param).datasets(tmp_path)


@pytest.fixture(scope="session")
def faked_types(tmp_path_factory) -> set[type]:
    """The classes of all data sets that the fakes make."""
    found: set[type] = set()
    for path in makers():
        with suppress(pytest.skip.Exception):  # an optional package is missing
            found |= {type(dataset) for dataset in load(path).datasets(tmp_path_factory.mktemp("fakes"))}
    return found


@pytest.fixture
def scipy_io(monkeypatch):
    """scipy's reader of MATLAB files, which then runs in this process: starting another takes a second."""
    io = pytest.importorskip("scipy.io", reason="scipy comes with the extra mpii")
    monkeypatch.setattr("poise.data.mat._loaded", lambda paths: [io.loadmat(path, simplify_cells=True) for path in paths])
    return io
