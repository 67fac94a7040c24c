"""Writes small TensorFlow Lite files: convolutions in half precision, some stored sparse, as the official ones are."""

from collections.abc import Sequence

import numpy as np
import pytest

CONV, DEPTHWISE, DEQUANTIZE, DENSIFY = 3, 4, 6, 124


class TFLiteWriter:
    """A file of convolutions, in the order in which they are added."""

    def __init__(self) -> None:
        self.tflite = pytest.importorskip("tflite")
        import flatbuffers

        self.b = flatbuffers.Builder(1 << 16)
        self.buffers: list[int] = [self._buffer(b"")]
        self.tensors: list[int] = []
        self.operators: list[int] = []
        self.codes: list[int] = []

    def conv(self, weight: np.ndarray, bias: np.ndarray, *, sparse: bool = False, half: bool = True) -> None:
        """Add a convolution with torch's kernel (out, in, h, w), or (channels, 1, h, w) of a depthwise one."""
        depthwise = weight.shape[1] == 1 and weight.shape[0] > 1
        kernel = weight.transpose((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
        inputs = [self._activation(), self._constant(kernel, sparse=sparse, half=half), self._constant(bias, half=half)]
        self._operator(DEPTHWISE if depthwise else CONV, inputs, self._activation())

    def bytes(self) -> bytes:
        """The file."""
        t, b = self.tflite, self.b
        graph_parts = [self._vector(part) for part in (self.tensors, self.operators)]
        t.SubGraphStart(b)
        t.SubGraphAddTensors(b, graph_parts[0])
        t.SubGraphAddOperators(b, graph_parts[1])
        graphs = self._vector([t.SubGraphEnd(b)])
        codes, buffers = self._vector([self._code(code) for code in self.codes]), self._vector(self.buffers)
        t.ModelStart(b)
        t.ModelAddVersion(b, 3)
        t.ModelAddOperatorCodes(b, codes)
        t.ModelAddSubgraphs(b, graphs)
        t.ModelAddBuffers(b, buffers)
        b.Finish(t.ModelEnd(b), file_identifier=b"TFL3")
        return bytes(b.Output())

    def _constant(self, values: np.ndarray, *, sparse: bool = False, half: bool = True) -> int:
        """A constant as float32: stored in half precision and widened, and filled up where it is stored sparse."""
        values = np.ascontiguousarray(values, np.float16 if half else np.float32)
        flat, described = values, None
        if sparse:
            rows = values.reshape(-1, values.shape[-1])
            flat, described = rows[rows != 0], self._sparsity(values.shape, rows != 0)
        tensor = self._tensor(values.shape, 1 if half else 0, self._buffer(flat.tobytes()), described)
        for code, kind in ((DENSIFY, 1 if half else 0), (DEQUANTIZE, 0)):
            if sparse if code == DENSIFY else half:
                tensor = self._made_by(code, tensor, self._tensor(values.shape, kind, None))
        return tensor

    def _made_by(self, code: int, source: int, target: int) -> int:
        self._operator(code, [source], target)
        return target

    def _activation(self) -> int:
        return self._tensor((1, 1, 1, 1), 0, None)

    def _tensor(self, shape: Sequence[int], kind: int, buffer: int | None, sparsity: int | None = None) -> int:
        t, b = self.tflite, self.b
        name = b.CreateString(f"tensor{len(self.tensors)}")
        sides = b.CreateNumpyVector(np.array(shape, np.int32))
        if buffer is not None:
            self.buffers.append(buffer)
        t.TensorStart(b)
        t.TensorAddShape(b, sides)
        t.TensorAddType(b, kind)
        t.TensorAddBuffer(b, 0 if buffer is None else len(self.buffers) - 1)
        t.TensorAddName(b, name)
        if sparsity is not None:
            t.TensorAddSparsity(b, sparsity)
        self.tensors.append(t.TensorEnd(b))
        return len(self.tensors) - 1

    def _sparsity(self, shape: Sequence[int], there: np.ndarray) -> int:
        t, b = self.tflite, self.b
        starts = self._small(np.concatenate(([0], there.sum(axis=1).cumsum())))
        columns = self._small(np.nonzero(there)[1])
        axes = []
        for axis, side in enumerate(shape):
            t.DimensionMetadataStart(b)
            if axis < len(shape) - 1:
                t.DimensionMetadataAddDenseSize(b, int(side))
            else:
                t.DimensionMetadataAddFormat(b, 1)
                t.DimensionMetadataAddArraySegmentsType(b, 2)
                t.DimensionMetadataAddArraySegments(b, starts)
                t.DimensionMetadataAddArrayIndicesType(b, 2)
                t.DimensionMetadataAddArrayIndices(b, columns)
            axes.append(t.DimensionMetadataEnd(b))
        order, described = b.CreateNumpyVector(np.arange(len(shape), dtype=np.int32)), self._vector(axes)
        t.SparsityParametersStart(b)
        t.SparsityParametersAddTraversalOrder(b, order)
        t.SparsityParametersAddDimMetadata(b, described)
        return t.SparsityParametersEnd(b)

    def _small(self, values: np.ndarray) -> int:
        t, b = self.tflite, self.b
        numbers = b.CreateNumpyVector(values.astype(np.uint16))
        t.Uint16VectorStart(b)
        t.Uint16VectorAddValues(b, numbers)
        return t.Uint16VectorEnd(b)

    def _buffer(self, data: bytes) -> int:
        t, b = self.tflite, self.b
        numbers = b.CreateByteVector(data) if data else None
        t.BufferStart(b)
        if numbers is not None:
            t.BufferAddData(b, numbers)
        return t.BufferEnd(b)

    def _operator(self, code: int, inputs: Sequence[int], output: int) -> None:
        t, b = self.tflite, self.b
        if code not in self.codes:
            self.codes.append(code)
        given, made = (b.CreateNumpyVector(np.array(ids, np.int32)) for ids in (inputs, [output]))
        t.OperatorStart(b)
        t.OperatorAddOpcodeIndex(b, self.codes.index(code))
        t.OperatorAddInputs(b, given)
        t.OperatorAddOutputs(b, made)
        self.operators.append(t.OperatorEnd(b))

    def _code(self, code: int) -> int:
        t, b = self.tflite, self.b
        t.OperatorCodeStart(b)
        t.OperatorCodeAddDeprecatedBuiltinCode(b, min(code, 127))
        t.OperatorCodeAddBuiltinCode(b, code)
        return t.OperatorCodeEnd(b)

    def _vector(self, offsets: Sequence[int]) -> int:
        self.b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.b.PrependUOffsetTRelative(offset)
        return self.b.EndVector()


def official_like(network) -> bytes:
    """A file of a network of ours as an official one: in its order, in half precision, kernels with many zeros sparse."""
    writer = TFLiteWriter()
    for layer in network.release_order():
        weight, bias = (part.detach().numpy() for part in (layer.weight, layer.bias))
        writer.conv(weight, bias, sparse=bool((weight == 0).mean() > 0.5))
    return writer.bytes()
