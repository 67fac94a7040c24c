import numpy as np
import pytest

from poise.data.mat import read_mat, write_mat
from poise.errors import ReadError


def test_arrays_come_back_as_they_were_written(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"a": rng.normal(size=(3, 4, 2)), "longer_name": rng.normal(size=(5, 1)), "none": np.zeros((0, 3))}
    write_mat(tmp_path / "x.mat", arrays)
    found = read_mat(tmp_path / "x.mat")
    assert list(found) == list(arrays)
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)


@pytest.mark.parametrize("compressed", [False, True])
def test_files_of_somebody_else_are_read(tmp_path, compressed):
    io = pytest.importorskip("scipy.io")
    people = np.empty((1, 2), dtype=[("x1", "O"), ("name", "O")])
    people[0, 0], people[0, 1] = (3.0, "abc"), (np.zeros((0, 0)), "dé")
    cells = np.array([[1, "x"]], dtype=object)
    given = {"i": np.arange(5, dtype=np.int32), "b": np.ones((2, 2), bool), "f": np.ones((2, 3), np.float32), "s": "hello"}
    io.savemat(tmp_path / "x.mat", given | {"c": cells, "people": people}, do_compression=compressed)
    found = read_mat(tmp_path / "x.mat")
    assert found["s"] == "hello"
    assert found["i"].tolist() == [[0, 1, 2, 3, 4]]
    assert found["i"].dtype == np.int32
    assert found["f"].dtype == np.float32
    assert found["c"][0, 1] == "x"
    assert [row["name"] for row in found["people"].flat] == ["abc", "dé"]
    assert found["people"][0, 1]["x1"].size == 0


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
