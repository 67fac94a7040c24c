import contextlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from poise.errors import CheckpointError, MissingExtra
from poise.weights.checkpoint import read_checkpoint
from poise.weights.tflite_file import read_tflite

from .tflite_writer import TFLiteWriter


@pytest.fixture
def kernels():
    rng = np.random.default_rng(0)
    thin = rng.standard_normal((6, 9, 1, 1)) * (rng.random((6, 9, 1, 1)) > 0.7)
    shapes = (rng.standard_normal((4, 3, 3, 3)), rng.standard_normal((4, 1, 5, 5)), thin, rng.standard_normal((2, 6, 2, 2)))
    return [(weight.astype(np.float16).astype(np.float32), np.float32(rng.integers(-9, 9, len(weight)))) for weight in shapes]


def written(path: Path, kernels, **options) -> Path:
    writer = TFLiteWriter()
    for number, (weight, bias) in enumerate(kernels):
        writer.conv(weight, bias, sparse=number == 2, **options)
    path.write_bytes(writer.bytes())
    return path


@pytest.mark.parametrize("half", [True, False])
def test_kernels_come_as_torch_has_them_wherever_and_however_they_are_stored(tmp_path, kernels, half):
    found = read_checkpoint(written(tmp_path / "x.tflite", kernels, half=half))
    assert list(found) == [f"{i:03}.{part}" for i in range(4) for part in ("weight", "bias")]
    for number, (weight, bias) in enumerate(kernels):
        assert torch.equal(found[f"{number:03}.weight"], torch.from_numpy(weight))
        assert torch.equal(found[f"{number:03}.bias"], torch.from_numpy(bias))
        assert found[f"{number:03}.weight"].dtype == torch.float32


def test_a_file_is_known_by_its_bytes_whatever_it_is_called(tmp_path, kernels):
    assert len(read_checkpoint(written(tmp_path / "model.task", kernels))) == 8


def test_other_files_and_files_with_lost_bytes_are_told_in_one_sentence(tmp_path, kernels):
    data = written(tmp_path / "x.tflite", kernels).read_bytes()
    for number, wrong in enumerate((b"", b"a web page", data[:200], data[: len(data) // 2], data[:8] + bytes(len(data)))):
        path = tmp_path / f"{number}.tflite"
        path.write_bytes(wrong)
        with pytest.raises(CheckpointError, match=r"\.tflite"):
            read_tflite(path)


def test_no_changed_byte_ends_in_another_error(tmp_path, kernels):
    data = bytearray(written(tmp_path / "x.tflite", kernels).read_bytes())
    path, rng = tmp_path / "y.tflite", np.random.default_rng(1)
    for place in rng.integers(8, len(data), 150):
        changed = bytearray(data)
        changed[place] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(changed))
        with contextlib.suppress(CheckpointError):
            read_tflite(path)


def test_the_missing_package_is_named(tmp_path, kernels, monkeypatch):
    path = written(tmp_path / "x.tflite", kernels)
    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(MissingExtra, match=r"pip install 'poise\[tflite\]'"):
        read_tflite(path)
