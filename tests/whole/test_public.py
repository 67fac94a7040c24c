"""The public face: names, errors, what is imported when, how fast and how clearly the command line answers."""

import importlib
import importlib.metadata
import os
import pkgutil
import re
import statistics
import subprocess
import sys
import time

import pytest

import poise
from poise import errors
from poise.cli.main import COMMANDS, main

HEAVY = ("torch", "torchvision", "cv2", "tyro", "lightning", "timm", "numba", "numpy", "PIL", "rich", "hotcoco")
ONLY_TRAINING = "poise.training"


def modules() -> list[str]:
    return [m.name for m in pkgutil.walk_packages(poise.__path__, "poise.")]


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, without this one's import hook."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_public_names_are_these() -> None:
    assert sorted(poise.__all__) == ["Predictor", "__version__", "load", "predict", "save", "use_plugin", "video"]
    assert poise.load.__module__ == "poise.weights.model_file"
    assert poise.save.__module__ == "poise.weights.model_file"
    assert poise.use_plugin.__module__ == "poise.plugins"
    assert poise.predict.__module__ == "poise.inference.predictor"
    assert poise.video.__module__ == "poise.inference.video"


def test_version_is_that_of_the_installed_package() -> None:
    assert poise.__version__ == importlib.metadata.version("poise")


def test_dir_shows_the_public_names_before_they_are_used() -> None:
    done = python("import poise; print(*dir(poise))")
    assert done.returncode == 0, done.stderr
    shown = done.stdout.split()
    assert set(poise.__all__) <= set(shown)
    assert not [name for name in shown if name not in poise.__all__ and not name.startswith("_")]


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        poise.lod  # noqa: B018


@pytest.mark.parametrize("package", ["poise.zoo", "poise.skeletons", "poise.data.figures"])
def test_every_exported_name_is_there(package: str) -> None:
    module = importlib.import_module(package)
    assert sorted(module.__all__) == sorted(set(module.__all__))
    assert not [name for name in module.__all__ if not hasattr(module, name)]


@pytest.mark.parametrize("name", modules())
def test_every_module_can_be_imported_and_says_what_it_is(name: str) -> None:
    if name.startswith(ONLY_TRAINING):
        pytest.importorskip("lightning")
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"


def drawn_tree() -> dict[str, tuple[str, ...]]:
    """Each error of the tree in the docstring, with its parents: the one above it, then those in brackets."""
    tree: dict[str, tuple[str, ...]] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^(?P<branch>[ |`-]*)(?P<name>[A-Z]\w+)(?: \((?P<base>\w+)\))?  ", line)
        if not found:
            continue
        depth = len(found["branch"])
        while above and above[-1][0] >= depth:
            above.pop()
        tree[found["name"]] = (*([above[-1][1]] if above else ["Exception"]), *([found["base"]] if found["base"] else []))
        above.append((depth, found["name"]))
    return tree


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    classes = {
        name: tuple(base.__name__ for base in value.__bases__)
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.PoiseError)
    }
    assert drawn_tree() == classes


@pytest.mark.parametrize("module", ["poise", "poise.cli.main", "poise.errors", "poise.dims"])
def test_importing_the_front_door_imports_nothing_heavy(module: str) -> None:
    code = "import sys, importlib; importlib.import_module(sys.argv[1]); print(*sys.modules)"
    done = python(code, module)
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & set(HEAVY)


def test_importing_a_command_file_imports_no_torch() -> None:
    files = sorted({where.split(":")[0] for where, _ in COMMANDS.values()})
    code = "import sys, importlib; [importlib.import_module(f'poise.cli.{f}') for f in sys.argv[1:]]; print(*sys.modules)"
    done = python(code, *files)
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"torch", "cv2", "lightning", "timm"}


def test_help_answers_in_half_a_second() -> None:
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        done = python("import sys; from poise.cli.main import main; sys.exit(main(['--help']))")
        times.append(time.perf_counter() - begin)
        assert done.returncode == 0
        assert all(name in done.stdout for name in COMMANDS)
    took = statistics.median(times)
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # this suite runs on all cores
    sys.stdout.write(f"poise --help: {1000 * took:.0f} ms (median of 3, load {busy:.1f} per core)\n")
    assert took < 0.5 * busy


def words_of_help(name: str) -> list[str]:
    return [*name.split(), "--help"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert main(words_of_help(name)) == 0
    text = capsys.readouterr().out
    assert re.search(r"\bexample\b", text, re.IGNORECASE), f"poise {name} --help gives no example:\n{text}"
    assert f"poise {name} " in text.partition("xample")[2], f"the example of {name!r} does not call it"


def test_flags_that_several_commands_share_are_spelled_alike(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("evaluate", "predict"):
        main(words_of_help(name))
        text = capsys.readouterr().out
        for flag in ("--device", "--precision", "--batch", "--workers", "--out"):
            assert flag in text, f"poise {name} has no {flag}"


@pytest.mark.parametrize(
    ("typed", "hint"),
    [(["evaluat"], "evaluate"), (["data", "chek"], "data check"), (["xyz"], "poise --help")],
)
def test_a_command_that_does_not_exist_names_the_nearest(
    typed: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed) == 2
    assert hint in capsys.readouterr().err


def test_a_users_mistake_is_one_sentence_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "photo.jpg", "--model", "not-there.safetensors"]) == 1
    text = capsys.readouterr().err
    assert text.startswith("poise predict: ")
    assert text.count("\n") == 1
    assert "Traceback" not in text
