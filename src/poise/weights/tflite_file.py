"""The weights of TensorFlow Lite files (`.tflite`): read without TensorFlow, as plain tensors.

A file holds no names that another framework could use: batch norms are folded into convolutions and tensors are named after
several layers at once. So the convolutions are numbered in the order in which the file executes them.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from poise.errors import CheckpointError, MissingExtra

MARK = b"TFL3"
"""Bytes 4 to 8 of every file."""

BROKEN = (
    *(struct.error, ValueError, TypeError, LookupError, AttributeError, OverflowError, AssertionError, RuntimeError),
    *(MemoryError, RecursionError, UnicodeDecodeError),
)
"""What reading a file of which bytes are lost or changed may raise."""


def is_tflite(path: Path) -> bool:
    """Whether a file begins as one of TensorFlow Lite does, whatever it is called."""
    with path.open("rb") as file:
        return file.read(8)[4:] == MARK


def read_tflite(path: Path) -> dict[str, Tensor]:
    """The convolutions of a file in the order of execution: `000.weight`, `000.bias`, `001.weight`, ...

    Kernels have torch's order of axes: (out, in, h, w), of depthwise convolutions (channels, 1, h, w). Half precision becomes
    float32, and what is stored sparse is filled up with zeros.

    Raises:
        MissingExtra: The package `tflite` is not installed.
        CheckpointError: The file is truncated, no `.tflite`, or stores a kernel in a form that is not known here.
    """
    library, data = _library(), path.read_bytes()
    if data[4:8] != MARK:
        raise CheckpointError(f"{path} is no TensorFlow Lite file (its bytes 4 to 8 are not 'TFL3'); fetch it again")
    try:
        return _convolutions(library, data)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except BROKEN as error:
        raise CheckpointError(f"{path} is truncated or damaged ({type(error).__name__}); fetch it again") from error


def require_library() -> None:
    """Refuse to begin where the package that reads the files is not installed.

    Raises:
        MissingExtra: It is not.
    """
    _library()


def _library() -> Any:
    try:
        import tflite
    except ImportError as error:
        raise MissingExtra("files of TensorFlow Lite need the package tflite: pip install 'poise[tflite]'") from error
    return tflite


def _convolutions(library: Any, data: bytes) -> dict[str, Tensor]:
    model = library.Model.GetRootAs(data, 0)
    graph, codes = model.Subgraphs(0), library.BuiltinOperator
    made_by, kernels = {}, []
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        described = model.OperatorCodes(operator.OpcodeIndex())
        code = max(described.BuiltinCode(), described.DeprecatedBuiltinCode())
        made_by[operator.Outputs(0)] = (code, operator.Inputs(0))
        if code in (codes.CONV_2D, codes.DEPTHWISE_CONV_2D):
            kernels.append((code == codes.DEPTHWISE_CONV_2D, operator.Inputs(1), operator.Inputs(2)))

    def stored(tensor: int) -> Float[np.ndarray, "..."]:
        while tensor in made_by and made_by[tensor][0] in (codes.DEQUANTIZE, codes.DENSIFY):
            tensor = made_by[tensor][1]
        return _values(library, model, graph.Tensors(tensor))

    found: dict[str, Tensor] = {}
    for number, (depthwise, kernel, bias) in enumerate(kernels):
        order = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
        found[f"{number:03}.weight"] = torch.from_numpy(np.ascontiguousarray(stored(kernel).transpose(order)))
        found[f"{number:03}.bias"] = torch.from_numpy(stored(bias))
    if not found:
        raise CheckpointError("it has no convolutions, so it is none of the files that are read here")
    return found


def _values(library: Any, model: Any, tensor: Any) -> Float[np.ndarray, "..."]:
    """The values of a constant, float32."""
    kinds = {library.TensorType.FLOAT32: np.float32, library.TensorType.FLOAT16: np.float16}
    if tensor.Type() not in kinds:
        raise CheckpointError(f"a weight is stored as type {tensor.Type()}; float16 and float32 are read, not quantised files")
    raw = model.Buffers(tensor.Buffer()).DataAsNumpy()
    values = np.frombuffer(raw.tobytes(), kinds[tensor.Type()]).astype(np.float32)
    shape = tuple(int(side) for side in tensor.ShapeAsNumpy())
    sparse = tensor.Sparsity()
    return values.reshape(shape) if sparse is None else _filled(library, sparse, values, shape)


def _filled(library: Any, sparse: Any, values: Float[np.ndarray, " n"], shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    """A kernel whose last axis is stored as compressed sparse rows, and all others dense."""
    axes = [sparse.DimMetadata(axis) for axis in range(sparse.DimMetadataLength())]
    dense, csr = library.DimensionType.DENSE, library.DimensionType.SPARSE_CSR
    order = list(sparse.TraversalOrderAsNumpy())
    if order != list(range(len(shape))) or [axis.Format() for axis in axes] != [dense] * (len(shape) - 1) + [csr]:
        raise CheckpointError("a kernel is stored sparse along other axes than its last; that form is not read here")
    starts, columns = (
        _indices(library, kind, table)
        for kind, table in (
            (axes[-1].ArraySegmentsType(), axes[-1].ArraySegments()),
            (axes[-1].ArrayIndicesType(), axes[-1].ArrayIndices()),
        )
    )
    filled = np.zeros((int(np.prod(shape[:-1])), shape[-1]), np.float32)
    if len(starts) != len(filled) + 1 or len(columns) != len(values):
        raise CheckpointError("a sparse kernel has more or fewer rows than its shape says; the file is damaged")
    filled[np.repeat(np.arange(len(filled)), np.diff(starts)), columns] = values
    return filled.reshape(shape)


def _indices(library: Any, kind: int, table: Any) -> Any:
    """Whole numbers, stored in as few bytes as they need."""
    name = {1: "Int32Vector", 2: "Uint16Vector", 3: "Uint8Vector"}[kind]
    vector = getattr(library, name)()
    vector.Init(table.Bytes, table.Pos)
    return vector.ValuesAsNumpy().astype(np.int64)
