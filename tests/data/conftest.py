import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FAKES = Path(__file__).parent / "fakes"


def load(path: Path) -> ModuleType:
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


@pytest.fixture(params=sorted(FAKES.glob("*.py")), ids=lambda path: path.stem)
def fake_datasets(request, tmp_path):
    return load(request.param).datasets(tmp_path)


@pytest.fixture(scope="session")
def faked_types(tmp_path_factory) -> set[type]:
    """The classes of all data sets that the fakes make."""
    return {type(d) for path in FAKES.glob("*.py") for d in load(path).datasets(tmp_path_factory.mktemp(path.stem))}
