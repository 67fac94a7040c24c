"""Which golden files there are, and which of them this run tried.

Two folders hold them, each with `functions/` and `models/`: this one (small copies, cut down) and the one that `$POISE_GOLDEN`
names, if it is set. A test says which files it can read and is run once for each:

    @pytest.mark.golden("functions/e01_targets_*.npz")
    def test_targets_are_those_of_the_release(golden_file): ...

Inputs that stand in another file are found with `golden_input(golden_file, "d00_heatmaps_in")`: beside it, else here; the test
is skipped, and says so, where they are in neither folder.
`golden_functions(pattern)` and `golden_models(pattern)` give lists to tests that want all files at once. At its end the run
says how many files it tried and which ones no test knows; those do not fail.
"""

import filecmp
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
NOT_GOLDEN = {"index"}
SUFFIXES = (".npz", ".json.gz", ".json")


def roots() -> list[Path]:
    """This folder, then the one of `$POISE_GOLDEN`."""
    extra = os.environ.get("POISE_GOLDEN")
    return [HERE, Path(extra)] if extra else [HERE]


def stem(path: Path) -> str:
    """Name without folder and suffix; `hrnet_w32_coco_256x192_ws0.5` keeps its dot."""
    return next((path.name.removesuffix(s) for s in SUFFIXES if path.name.endswith(s)), path.name)


def files(pattern: str) -> list[Path]:
    """Every file of the pattern (`functions/e01_*.npz`), in every folder; exact copies and small copies of networks once."""
    found: list[Path] = []
    for root in roots():
        for path in sorted(root.glob(pattern)):
            if stem(path) not in NOT_GOLDEN and not _tried_elsewhere(path, root):
                found.append(path)
    return found


def _tried_elsewhere(path: Path, root: Path) -> bool:
    name = path.relative_to(root)
    if root == HERE:  # a network takes seconds, and its whole file has all that the small copy has
        return name.parts[0] == "models" and any((other / name).is_file() for other in roots()[1:])
    twin = HERE / name
    return twin.is_file() and filecmp.cmp(path, twin, shallow=False)


def beside(path: Path, name: str) -> Path:
    """The file called `name` that belongs to `path`.

    `name` with the same ending as `path` has (`_s3` of `d01_x_s3.npz`), else `name`, in the folder of `path`, else here.
    """
    endings = [f"_{part}" for part in _endings(stem(path))] + [""]
    for folder in (path.parent, HERE / path.parent.name):
        for ending in endings:
            candidate = folder / f"{name}{ending}.npz"
            if candidate.is_file():
                return candidate
    raise FileNotFoundError(f"{name}.npz is neither beside {path} nor in {HERE / path.parent.name}")


def _endings(name: str) -> list[str]:
    parts = name.split("_")
    return ["_".join(parts[i:]) for i in range(1, len(parts))]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "golden(pattern): run once for each golden file of the pattern, given as `golden_file`; shapes_alone: once a network; "
        "costly: large networks with the weights of one scale alone, but for --exhaustive",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("golden")
    if marker is None or "golden_file" not in metafunc.fixturenames:
        return
    paths = [path for pattern in marker.args for path in files(pattern)]
    if marker.kwargs.get("shapes_alone"):
        paths = _of_one_setting(paths)
    ids = [("copy-" if path.is_relative_to(HERE) else "") + stem(path) for path in paths]
    costly = marker.kwargs.get("costly", False)
    params = [
        pytest.param(path, id=name, marks=pytest.mark.exhaustive if costly and _is_large_twin(path) else ())
        for path, name in zip(paths, ids, strict=True)
    ]
    metafunc.parametrize("golden_file", params, indirect=True)


LARGE = 50_000_000
"""Parameters from which the weights of a second scale, which show little more, are left to `--exhaustive` by costly tests."""


def _is_large_twin(path: Path) -> bool:
    name, scaled, _ = stem(path).rpartition("_ws")
    twin = bool(scaled) and path.with_name(f"{name}.json").is_file()
    return twin and bool(json.loads(path.read_text()).get("params", 0) > LARGE)


def _of_one_setting(paths: list[Path]) -> list[Path]:
    """One file of each network, whatever its weights: `NAME` where it is there, else `NAME_ws0.5`."""
    plain = {stem(path) for path in paths if "_ws" not in stem(path)}
    return [path for path in paths if "_ws" not in stem(path) or stem(path).rpartition("_ws")[0] not in plain]


def _tried(request: pytest.FixtureRequest, path: Path) -> Path:
    # User properties travel with the report, so that they arrive from xdist's workers too.
    request.node.user_properties.append(("golden", str(path)))
    return path


@pytest.fixture
def golden_file(request: pytest.FixtureRequest) -> Path:
    """One file of the test's `golden` marker."""
    return _tried(request, request.param)


@pytest.fixture
def golden_input(request: pytest.FixtureRequest) -> Callable[[Path, str], dict[str, np.ndarray]]:
    """`golden_input(golden_file, "d00_heatmaps_in")`: the arrays of a file that belongs to another."""

    def arrays(path: Path, name: str) -> dict[str, np.ndarray]:
        try:
            return load(_tried(request, beside(path, name)))
        except FileNotFoundError as error:
            pytest.skip(f"the inputs of {path.name} are not there: {error}")

    return arrays


@pytest.fixture
def golden_functions(request: pytest.FixtureRequest) -> Callable[[str], list[Path]]:
    """`golden_functions("t01_*.npz")`: all files of the pattern in `functions/`."""
    return lambda pattern: [_tried(request, path) for path in files(f"functions/{pattern}")]


@pytest.fixture
def golden_models(request: pytest.FixtureRequest) -> Callable[[str], list[Path]]:
    """`golden_models("hrnet_*.json")`: all files of the pattern in `models/`."""
    return lambda pattern: [_tried(request, path) for path in files(f"models/{pattern}")]


@pytest.fixture
def golden_arrays(golden_file: Path) -> dict[str, np.ndarray]:
    """The arrays of `golden_file`."""
    return load(golden_file)


def load(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [r for rs in terminalreporter.stats.values() for r in rs if hasattr(r, "user_properties")]
    tried = {Path(value) for report in reports for name, value in report.user_properties if name == "golden"}
    if not tried:
        return
    known = {(path.parent.name, stem(path)) for path in tried}
    count = {kind: sum(path.parent.name == kind for path in tried) for kind in ("functions", "models")}
    there = {
        (kind, stem(p)) for root in roots() for kind in count for p in (root / kind).glob("*") if p.name.endswith(SUFFIXES)
    }
    unknown = sorted(name for kind, name in there - known if name not in NOT_GOLDEN)
    listed = ", ".join(unknown) if unknown else "none"
    terminalreporter.write_line(
        f"golden: tried {count['functions']} files of functions, {count['models']} of models; unknown stems: {listed}"
    )
