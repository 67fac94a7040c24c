"""Checkpoints of others: what is read, and that nothing in one can run code, crash Python or take all memory."""

import io
import pickle
import random
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from poise.errors import CheckpointError
from poise.weights.checkpoint import read_checkpoint, unwrap


def of_a_run():
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight])
    weight.grad = torch.ones(3)
    optimizer.step()
    return {
        "epoch": np.int64(3),
        "model": "pose_hrnet",
        "state_dict": OrderedDict(a=torch.arange(6.0).reshape(2, 3), b=torch.ones(3)),
        "perf": np.float64(0.75),
        "best": np.bool_(True),
        "history": np.arange(5, dtype=np.float32).reshape(5, 1),
        "swapped": np.arange(4, dtype=">i4"),
        "none": np.zeros((0, 3)),
        "nested": [np.float32(1), (np.int32(2), None)],
        "optimizer": optimizer.state_dict(),
    }


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_with_numbers_and_arrays_of_numpy_beside_its_weights_is_read(tmp_path, zipped):
    path = tmp_path / "checkpoint.pth.tar"
    torch.save(of_a_run(), path, _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(path)
    assert (found["epoch"], found["perf"], found["best"], found["nested"]) == (3, 0.75, True, [1.0, (2, None)])
    assert found["history"].tolist() == [[0], [1], [2], [3], [4]]
    assert found["swapped"].tolist() == [0, 1, 2, 3]
    assert found["none"].shape == (0, 3)
    assert found["optimizer"]["state"][0]["step"] == 1
    assert list(unwrap(found)) == ["a", "b"]


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_of_any_protocol_is_read(tmp_path, protocol):
    arrays = {"a": np.arange(6.0).reshape(2, 3).T, "b": np.float32(2), "c": np.zeros((0, 2)), "d": np.arange(3, dtype=">f8")}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"model": OrderedDict(arrays)}, protocol=protocol))
    found = read_checkpoint(tmp_path / "x.pkl")
    assert found["a"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert (found["b"], found["c"].shape, found["d"].tolist()) == (2.0, (0, 2), [0, 1, 2])


def array_pickle(kind: bytes, shape: bytes, content: bytes) -> bytes:
    """A pickle that builds an array through `__setstate__` with a state of the writer's choice."""
    dtype = b"cnumpy\ndtype\n(" + kind + b"I00\nI01\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
    make = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    return b"(dS'a'\n" + make + b"(I1\n" + shape + dtype + b"I00\n" + content + b"tbs."


LIES = {
    "objects out of bytes": array_pickle(b"S'O8'\n", b"(I2\nt", b"S'" + b"A" * 16 + b"'\n"),
    "more numbers than bytes": array_pickle(b"S'f8'\n", b"(I1000000\nt", b"S'abcdefgh'\n"),
    "a negative side": array_pickle(b"S'f8'\n", b"(I-1\nt", b"S'abcdefgh'\n"),
    "no number as side": array_pickle(b"S'f8'\n", b"(S'x'\nt", b"S'abcdefgh'\n"),
    "a shape without end": array_pickle(b"S'f8'\n", b"(" + b"I1\n" * 80 + b"t", b"S'abcdefgh'\n"),
    "records": array_pickle(b"S'V8'\n", b"(I1\nt", b"S'abcdefgh'\n"),
    "no bytes": array_pickle(b"S'f8'\n", b"(I1\nt", b"I5\n"),
    "a place far away": b"(dr\xff\xff\xff\x7f.",
    "a named place far away": b"(dp99999999999\n.",
    "bytes that are not there": b"\x80\x05\x8e" + (2**40).to_bytes(8, "little") + b"x.",
    "a bytearray that is not there": b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b"x.",
    "very deep": b"(dS'a'\n" + b"(l" * 50_000 + b"a" * 49_999 + b"s.",
    "a state of nothing": b"(dS'a'\ncnumpy\nndarray\n(tRNbs.",
}


def test_the_array_of_these_lies_is_read_where_it_is_true(tmp_path):
    (tmp_path / "x.pkl").write_bytes(array_pickle(b"S'f8'\n", b"(I1\nt", b"S'\\x00\\x00\\x00\\x00\\x00\\x00\\xf0\\x3f'\n"))
    assert read_checkpoint(tmp_path / "x.pkl")["a"].tolist() == [1.0]


@pytest.mark.parametrize("lie", LIES)
def test_a_pickle_that_lies_about_its_arrays_is_refused(tmp_path, lie):
    (tmp_path / "x.pkl").write_bytes(LIES[lie])
    with pytest.raises(CheckpointError, match=r"x\.pkl"):
        read_checkpoint(tmp_path / "x.pkl")


def test_what_a_pickle_repeats_is_made_once_and_not_without_end(tmp_path):
    lists = [1.0]
    for _ in range(60):
        lists = [lists, lists]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"a": lists, "b": np.zeros(3)}))
    assert read_checkpoint(tmp_path / "x.pkl")["b"].tolist() == [0, 0, 0]
    circle: dict = {}
    circle["model"] = circle
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(circle))
    with pytest.raises(CheckpointError):
        unwrap(read_checkpoint(tmp_path / "x.pkl"))


@pytest.mark.parametrize("kind", ["pkl", "pth", "tar"])
def test_mutations_of_a_checkpoint_are_read_or_refused_in_a_sentence(tmp_path, kind):
    """The same with 140,000 mutations of `.pkl` and 38,000 of `.pth` found nothing more."""
    chance, state = random.Random(5), of_a_run()
    if kind == "pkl":
        good = pickle.dumps(
            {"a": np.arange(6.0).reshape(2, 3), "b": OrderedDict(c=np.float32(1))}, protocol=chance.randrange(6)
        )
    else:
        buffer = io.BytesIO()
        torch.save({k: state[k] for k in ("epoch", "perf", "state_dict")}, buffer, _use_new_zipfile_serialization=kind == "pth")
        good = buffer.getvalue()
    path = tmp_path / f"x.{'pkl' if kind == 'pkl' else 'pth'}"
    refused = 0
    for _ in range(400 if kind == "pkl" else 100):
        data = bytearray(good)
        for _ in range(chance.choice((1, 1, 2, 8))):
            at = chance.randrange(len(data))
            data[at : at + chance.choice((0, 1, 1, 3))] = chance.randbytes(chance.choice((0, 1, 1, 4)))
        path.write_bytes(data)
        try:
            read_checkpoint(path)
        except CheckpointError:
            refused += 1
    assert refused > 50


def test_weights_that_repeat_one_number_without_end_are_refused(tmp_path):
    torch.save({"a": torch.ones(1).expand(10**12)}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="its weights say to have 4,000,000,000,000 bytes"):
        read_checkpoint(tmp_path / "x.pth")


def test_a_bomb_in_a_checkpoint_is_refused_before_it_is_unpacked(tmp_path):
    torch.save({"a": torch.ones(1)}, tmp_path / "x.pth")
    with zipfile.ZipFile(tmp_path / "x.pth", "a", zipfile.ZIP_DEFLATED) as file, file.open("x/data/1", "w") as member:
        for _ in range(80):
            member.write(bytes(2**22))
    with pytest.raises(CheckpointError, match=r"its [\d,]+ bytes would become 335,"):
        read_checkpoint(tmp_path / "x.pth")


def test_what_is_no_file_is_no_checkpoint(tmp_path):
    for path, says in ((tmp_path, "a folder"), (Path("/dev/zero"), "a device"), (tmp_path / "x", "there is no checkpoint")):
        with pytest.raises(CheckpointError, match=says):
            read_checkpoint(path)
