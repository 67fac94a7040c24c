import contextlib
import struct
import zlib

import numpy as np
import pytest

from poise.data import mat
from poise.data.mat import read_mat, write_mat
from poise.errors import MissingExtra, ReadError


@pytest.fixture
def io():
    return pytest.importorskip("scipy.io", reason="scipy comes with the extra mpii")


def test_arrays_come_back_as_they_were_written(tmp_path, io):
    rng = np.random.default_rng(0)
    arrays = {"a": rng.normal(size=(3, 4, 2)), "longer_name": rng.normal(size=(5, 2))}
    write_mat(tmp_path / "x.mat", arrays)
    found = read_mat(tmp_path / "x.mat")
    assert list(found) == list(arrays)
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)


@pytest.mark.parametrize("compressed", [False, True])
def test_files_of_somebody_else_are_read(tmp_path, compressed, io):
    people = np.empty((1, 2), dtype=[("x1", "O"), ("name", "O")])
    people[0, 0], people[0, 1] = (3.0, "abc"), (np.zeros((0, 0)), "dé")
    cells = np.array([[1, "x"]], dtype=object)
    given = {"i": np.arange(5, dtype=np.int32), "b": np.ones((2, 2), bool), "f": np.ones((2, 3), np.float32), "s": "hello"}
    io.savemat(tmp_path / "x.mat", given | {"c": cells, "people": people}, do_compression=compressed)
    found = read_mat(tmp_path / "x.mat")
    assert found["s"] == "hello"
    assert found["i"].tolist() == [0, 1, 2, 3, 4]
    assert (found["i"].dtype, found["f"].dtype) == (np.int32, np.float32)
    assert found["c"][1] == "x"
    assert [row["name"] for row in found["people"]] == ["abc", "dé"]
    assert found["people"][1]["x1"].size == 0


def test_without_scipy_the_message_says_how_to_install_it(tmp_path, monkeypatch):
    write_mat(tmp_path / "x.mat", {"a": np.zeros((2, 2))})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'poise\[mpii\]'"):
        read_mat(tmp_path / "x.mat")


def test_what_is_no_such_file_is_refused(tmp_path):
    path = tmp_path / "x.mat"
    with pytest.raises(ReadError, match="check the path"):
        read_mat(path)
    path.write_bytes(b"MATLAB 7.3 MAT-file" + bytes(600))
    with pytest.raises(ReadError, match="save it in MATLAB with -v7"):
        read_mat(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ReadError, match="not a MATLAB file of version 5"):
        read_mat(path)
    write_mat(path, {"a": np.ones((40, 40))})
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ReadError, match="damaged"):
        read_mat(path)


def element(kind, body):
    return struct.pack("<II", kind, len(body)) + body + bytes(-len(body) % 8)


def array(family, sides, *parts):
    head = element(6, struct.pack("<II", family, 0)) + element(5, struct.pack(f"<{len(sides)}i", *sides)) + element(1, b"x")
    return element(14, head + b"".join(parts))


def nested(depth):
    made = array(6, (1, 1), element(9, bytes(8)))
    for _ in range(depth):
        made = array(1, (1, 1), made)
    return made


NO_FIELDS = (element(5, struct.pack("<i", 32)), element(1, b""))
BOMBS = {
    "structs without fields": (array(2, (10_000, 10_000), *NO_FIELDS), "100,000,000 cells or structs, of which it has 0"),
    "cells that are not there": (array(1, (10**8, 1)), "100,000,000 cells or structs"),
    "numbers that are not there": (array(6, (10**8, 100), element(9, bytes(80))), "10,000,000,000 numbers"),
    "text that is not there": (array(4, (1, 10**9), element(16, b"abc")), "1,000,000,000 numbers"),
    "a negative side": (array(6, (-1, 5), element(9, bytes(80))), "an array of -1 x 5"),
    "cells in cells": (nested(100), "nested more than 50 deep"),
    "zeros": (element(15, zlib.compress(element(14, bytes(2**28 + 2**20)), 1)), "larger than 268,435,456 bytes"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_file_that_claims_more_than_it_holds_is_refused_before_memory_is_taken(tmp_path, monkeypatch, bomb):
    content, says = BOMBS[bomb]
    monkeypatch.setattr(mat, "_loaded", lambda path: pytest.fail("it was read"))
    for data in (content, element(15, zlib.compress(content))) if bomb != "zeros" else (content,):
        (tmp_path / "x.mat").write_bytes(bytes(126) + b"IM" + data)
        with pytest.raises(ReadError, match=f"claims more than it holds: .*{says}"):
            read_mat(tmp_path / "x.mat")


def test_a_file_on_which_scipy_breaks_down_is_refused_in_a_sentence(tmp_path, monkeypatch):
    write_mat(tmp_path / "x.mat", {"a": np.zeros((2, 2))})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    for child, says in (
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "scipy broke down"),
        ("raise ValueError('odd')", "ValueError: odd"),
    ):
        monkeypatch.setattr(mat, "_CHILD", child)
        with pytest.raises(ReadError, match=f"damaged or has values of an unknown class .{says}"):
            read_mat(tmp_path / "x.mat")


def test_mutations_of_a_file_are_looked_at_without_a_fault():
    chance = np.random.default_rng(1)
    good = array(2, (1, 2), element(5, struct.pack("<i", 8)), element(1, b"x1\0\0\0\0\0\0"), nested(2), nested(0))
    passed = 0
    for _ in range(2000):
        data = bytearray(good)
        for at in chance.integers(0, len(data), chance.integers(1, 5)):
            data[at] = chance.integers(256)
        with contextlib.suppress(struct.error, zlib.error, ValueError):
            mat._check(bytes(128) + data, "<")
            passed += 1
    assert 50 < passed < 1950
