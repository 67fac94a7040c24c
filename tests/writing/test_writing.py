"""All writing goes through `poise.writing`: nothing that is read, and nothing that is no regular file, is replaced."""

import os
import subprocess
import sys

import pytest

from poise import writing
from poise.errors import WriteError
from poise.writing import atomic_file, check_targets, draft_folder, locked, protecting, short_name, together, write_atomic


@pytest.fixture(autouse=True)
def _fresh():
    """As in a new process, which has cleaned no folder yet."""
    writing.clean.cache_clear()


def link(tmp_path):
    (tmp_path / "own.txt").write_text("mine")
    (tmp_path / "odd").symlink_to(tmp_path / "own.txt")
    return "is a link to"


def dangling(tmp_path):
    (tmp_path / "odd").symlink_to(tmp_path / "nowhere")
    return "is a link to"


def loop(tmp_path):
    (tmp_path / "odd").symlink_to(tmp_path / "odd")
    return "is a link to"


def pipe(tmp_path):
    os.mkfifo(tmp_path / "odd")
    return "is no regular file"


def folder(tmp_path):
    (tmp_path / "odd").mkdir()
    return "is a folder"


@pytest.mark.parametrize("make", [link, dangling, loop, pipe, folder])
def test_what_is_no_regular_file_is_never_replaced(make, tmp_path):
    says = make(tmp_path)
    before = {path: path.lstat() for path in tmp_path.iterdir()}
    with pytest.raises(WriteError, match=says):
        write_atomic(tmp_path / "odd", b"new")
    assert {path: path.lstat().st_ino for path in tmp_path.iterdir()} == {p: s.st_ino for p, s in before.items()}


def test_a_device_is_never_replaced():
    with pytest.raises(WriteError, match="is no regular file"):
        write_atomic("/dev/null", b"new")


@pytest.mark.parametrize("name", ["read.json", "link.json", "hard.json", "folder/../read.json"])
def test_what_is_read_is_replaced_under_no_name(name, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "read.json").write_text("mine")
    (tmp_path / "link.json").symlink_to("read.json")
    (tmp_path / "hard.json").hardlink_to(tmp_path / "read.json")
    for read in ("read.json", "link.json"):
        with protecting([tmp_path / read]), pytest.raises(WriteError):
            write_atomic(tmp_path / name, b"new")
    assert (tmp_path / "read.json").read_text() == "mine"
    write_atomic(tmp_path / "read.json", b"new")  # afterwards it is no longer read
    assert (tmp_path / "read.json").read_text() == "new"


def test_two_files_to_write_are_not_one(tmp_path):
    (tmp_path / "here").symlink_to(tmp_path)
    with pytest.raises(WriteError, match="written twice"):
        check_targets([tmp_path / "a.json", tmp_path / "here" / "a.json"], flag="--out")


def test_a_name_that_no_file_can_have_is_told(tmp_path):
    for name in (300 * "x", "a\0b", "\ud800"):
        with pytest.raises(WriteError, match="cannot be written"):
            write_atomic(tmp_path / name, b"")
    assert not list(tmp_path.iterdir())


def fails(file):
    file.write(b"half")
    raise ZeroDivisionError


def test_a_file_is_whole_or_as_it_was(tmp_path):
    write_atomic(tmp_path / "new" / "a.txt", b"old")
    with pytest.raises(ZeroDivisionError), atomic_file(tmp_path / "new" / "a.txt") as file:
        fails(file)
    assert [path.read_bytes() for path in (tmp_path / "new").iterdir()] == [b"old"]


def test_what_a_killed_process_left_goes_at_the_next_start_and_what_is_being_written_stays(tmp_path):
    script = (
        "import os, sys; from poise.writing import atomic_file\n"
        "with atomic_file(sys.argv[1]) as file: file.write(b'x'); file.flush(); print('here', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", script, str(tmp_path / "a.txt")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"here\n"
        write_atomic(tmp_path / "b.txt", b"")
        assert len(list(tmp_path.glob(writing.DRAFT))) == 1
        process.kill()
    writing.clean.cache_clear()
    write_atomic(tmp_path / "b.txt", b"")
    assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]


def test_a_folder_is_locked_once_and_the_lock_ends_with_its_process(tmp_path):
    script = (
        "import sys; from poise.writing import locked\n"
        "with locked(sys.argv[1], what='it'): print('here', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"here\n"
        with pytest.raises(WriteError, match="another run is writing into"), locked(tmp_path, what="another run"):
            pass
        process.kill()
    again = locked(tmp_path, what="another run")
    with locked(tmp_path, what="another run"), pytest.raises(WriteError, match="is writing into"):
        again.__enter__()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_was_made_for_nothing_goes_again(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "new", what="it"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_long_names_are_shortened_and_stay_different(tmp_path):
    names = [short_name(f"{200 * 'ä'}{i}", ending=".jpg") for i in range(3)]
    assert len(set(names)) == 3
    for name in names:
        write_atomic(tmp_path / name, b"")


def written_together(folder, then):
    with together():
        write_atomic(folder / "a.txt", b"new")
        write_atomic(folder / "b.txt", b"new")
        assert (folder / "a.txt").read_bytes() == b"old"
        then()


def test_files_that_belong_together_are_there_together_or_not_at_all(tmp_path):
    write_atomic(tmp_path / "a.txt", b"old")
    with pytest.raises(ZeroDivisionError):
        written_together(tmp_path, lambda: 1 / 0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_bytes() == b"old"
    written_together(tmp_path, lambda: None)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.txt": b"new", "b.txt": b"new"}


def test_where_one_of_them_cannot_take_its_place_none_does(tmp_path):
    write_atomic(tmp_path / "a.txt", b"old")
    with pytest.raises(WriteError, match="is a folder"):
        written_together(tmp_path, (tmp_path / "b.txt").mkdir)
    assert (tmp_path / "a.txt").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]


def test_the_folder_that_a_killed_download_left_goes_at_the_next_start_and_one_in_use_stays(tmp_path):
    script = (
        "import sys; from pathlib import Path; from poise.writing import draft_folder\n"
        "with draft_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'half.pth').write_bytes(b'x'); print('here', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"here\n"
        with draft_folder(tmp_path) as own:
            (own / "other.pth").write_bytes(b"x")
            assert len(list(tmp_path.iterdir())) == 2
        assert len(list(tmp_path.iterdir())) == 1
        process.kill()
    writing.clean.cache_clear()
    writing.clean(tmp_path)
    assert not list(tmp_path.iterdir())
