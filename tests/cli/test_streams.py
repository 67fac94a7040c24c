"""What is printed: nothing raw, and a sentence and an exit code where it cannot be printed."""

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import poise
from poise.cli import main as front
from poise.cli.main import main
from poise.data.figures import FigureDataset, write_coco
from poise.plain import plain
from poise.terminal import Console

ODD = ["a\x1b[31mb", "[/red]", "[bold]x", "c\x9b2Jd", "e\u202ef", "g\x07h", ":smile:", "i\udcffj"]
"""Names that would be commands to the terminal, or to rich."""


def test_only_one_file_makes_consoles():
    """All else would print markup and control characters of names; where a type is meant, training takes any console."""
    source = Path(poise.__file__).parent
    found = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "rich.console"
    }
    assert {name for name in found if not name.startswith("training/")} == {"terminal.py"}


@pytest.mark.parametrize("name", ODD)
def test_a_console_prints_names_as_they_are_with_nothing_raw(name, capsys):
    from rich.table import Table
    from rich.text import Text

    console = Console(width=100)
    table = Table(name, title=name, caption=name)
    table.add_row(name)
    table.add_row(Text(name))
    console.print(table)
    console.print(name)
    said = capsys.readouterr().out
    assert said.count(plain(name)) >= 5  # rich's own texts leave out the bell
    assert all(c == "\n" or c.isprintable() for c in said)


@pytest.fixture
def odd(tmp_path, monkeypatch):
    """A file whose keypoints, category and images have such names, and which itself has one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    path = write_coco(FigureDataset(3, size=(96, 96)), tmp_path)
    document = json.loads(path.read_text())
    document["categories"][0]["keypoints"][: len(ODD)] = ODD
    document["categories"][0]["name"] = ODD[0] + ODD[1]
    for image, name in zip(document["images"], ODD, strict=False):
        image["file_name"] = name
    document["annotations"][0]["bbox"] = "[/red]\x1b[2J"
    place = tmp_path / "x[bold]\x1b[2Jy.json"
    place.write_text(json.dumps(document))
    return place


@pytest.mark.parametrize(
    "words",
    [
        ["data", "stats", "{odd}"],
        ["data", "check", "{odd}"],
        ["data", "check", "{odd}", "--images", "images"],
        ["data", "draw", "{odd}", "--images", "images", "--out", "o[/red]\x1b[2J"],
        ["data", "split", "{odd}", "--out", "o[/red]\x1b[2J"],
        ["data", "sigmas", "{odd}", "{odd}"],
        ["codec", "--annotations", "{odd}", "--codec", "[/red]\x1b[2J"],
        ["predict", "[/red]\x1b[2J", "--model", "[/red]\x1b[2J"],
        ["evaluate", "{odd}", "--annotations", "{odd}", "--images", "images"],
        ["import", "[/red]\x1b[2J", "[/red]\x1b[2J", "--out", "a.safetensors"],
        ["zoo", "[/red]\x1b[2J"],
        ["train", "[/red]\x1b[2J"],
        ["train", "finetune", "--annotations", "{odd}", "--images", "images", "--epochs", "[/red]\x1b[2J"],
        ["[/red]\x1b[2J"],
        ["data", "[/red]\x1b[2J"],
        ["verify", "[/red]\x1b[2J"],
        ["zoo", "--[/red]\x1b[2J"],
        ["data", "stats", "{odd}", "--count", "[/red]\x1b[2J"],
    ],
)
def test_names_of_files_and_labels_never_reach_the_terminal_raw(words, odd, capsys):
    main([word.format(odd=odd) if word == "{odd}" else word for word in words])
    said = capsys.readouterr()
    assert all(c in "\n\t" or c.isprintable() for c in said.out + said.err)
    assert "Traceback" not in said.err


NAMES = ["x" * 300, "a\0b", "loop", "loop/x.json", "\udcff", "\ud800", "."]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "words",
    [
        ["data", "stats", "{name}"],
        ["data", "check", "good.json", "--fix", "{name}"],
        ["data", "split", "good.json", "--out", "{name}"],
        ["data", "stats", "good.json", "--images", "{name}"],
        ["predict", "{name}", "--model", "{name}"],
        ["predict", "images", "--model", "{name}"],
        ["evaluate", "{name}", "--annotations", "good.json", "--images", "images"],
        ["train", "--resume", "{name}"],
        ["verify", "{name}"],
        ["demo", "--out", "{name}", "--device", "nowhere"],
        ["compare", "{name}", "{name}", "--annotations", "good.json"],
    ],
)
def test_names_that_no_file_can_have_are_a_sentence(words, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_coco(FigureDataset(3, size=(96, 96)), tmp_path).rename("good.json")
    Path("loop").symlink_to("loop")
    code = main([name if word == "{name}" else word for word in words])
    said = capsys.readouterr()
    assert code in (0, 1, 2)
    assert code == 0 or said.err.count("\n") >= 1
    assert "Traceback" not in said.err
    assert all(c in "\n\t" or c.isprintable() for c in said.out + said.err)


@pytest.mark.parametrize("name", [":", "../x:y", "x:", ":y", "a b:c", "x:y:z", ".:x", "1:2", "\0:x", "a..b:c"])
def test_what_is_no_name_of_a_recipe_is_a_sentence(name, capsys):
    assert main(["train", name]) == 1
    assert "names no recipe" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["data"], ["train", "--help"], ["data", "stats", "good.json"]])
def test_a_full_disk_at_the_other_end_is_a_sentence(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_coco(FigureDataset(3, size=(96, 96)), tmp_path).rename("good.json")
    with open("/dev/full", "w", encoding="utf-8") as full, monkeypatch.context() as patch:  # noqa: PTH123
        patch.setattr(sys, "stdout", full)
        assert main(command) == 1
    assert "the output cannot be written: No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["--help"], ["data"], ["data", "stats", "good.json"], ["zoo"]])
def test_nobody_at_the_other_end_is_exit_code_141_without_a_word(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_coco(FigureDataset(3, size=(96, 96)), tmp_path).rename("good.json")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", pipe)
        assert main(command) == 141
    assert capsys.readouterr().err == ""


def stopped_by(number):
    def run(*, count: int = 1) -> int:
        """Stop."""
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt as error:
            raise ImportError("initialization failed") from error  # as interrupted imports of C code do
        return 0

    return run


@pytest.mark.parametrize(("kind", "code"), [("SIGINT", 130), ("SIGHUP", 129), ("SIGTERM", 143)])
def test_a_signal_during_an_import_is_its_exit_code_and_one_line(kind, code, monkeypatch, capsys):
    number = getattr(signal, kind)
    former = signal.signal(number, signal.default_int_handler)  # where the tests run in the background it is ignored
    try:
        monkeypatch.setattr("poise.cli.data_stats.run", stopped_by(number))
        assert main(["data", "stats"]) == code
        assert capsys.readouterr().err == "poise data stats: interrupted\n"
        assert signal.getsignal(number) == signal.default_int_handler
    finally:
        signal.signal(number, former)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_too_little_memory_is_a_sentence(error, monkeypatch, capsys):
    def run(*, count: int = 1) -> int:
        """Fail."""
        error.add_note("what was found before is in 'x'")
        raise error

    monkeypatch.setattr("poise.cli.data_stats.run", run)
    assert main(["data", "stats"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("poise data stats: the memory does not suffice")
    assert said.endswith("; what was found before is in 'x'\n")


def test_too_little_address_space_to_load_pytorch_is_a_sentence(monkeypatch, capsys):
    def run(*, count: int = 1) -> int:
        """Fail."""
        raise ImportError("libtorch_cpu.so: failed to map segment from shared object")

    monkeypatch.setattr("poise.cli.data_stats.run", run)
    assert main(["data", "stats"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        "poise data stats: the memory that this process may use (ulimit -v) does not suffice to load PyTorch"
    )
    assert said.count("\n") == 1


def test_a_process_ends_with_its_last_line_though_threads_and_children_go_on():
    script = (
        "import multiprocessing, threading, time, sys\n"
        "from poise.cli._process import leave\n"
        "multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,)).start()\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "print('last', flush=True)\n"
        "leave(3)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"last\n"
        since = time.monotonic()
        assert process.stdout.read() == b""  # nobody holds it any more
        assert process.wait() == 3
        assert time.monotonic() - since < 0.3
        assert process.stderr.read() == b""


def test_the_front_door_imports_nothing_heavy():
    script = "import sys, poise.__main__, poise.cli.main; print({'torch', 'rich', 'numpy', 'tyro'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
    assert front.main(["--version"]) == 0
