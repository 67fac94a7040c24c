"""Smaller and faster forms of an ONNX program: half precision, and int8 calibrated on views."""

import tempfile
import warnings
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Float
from torch import Tensor

from poise.errors import MissingExtra

QUANTIZED = ("Conv", "Gemm")
"""Operations in int8: those of networks. Decoding and normalisation stay float32."""

BETWEEN = ("Add", "Relu", "MaxPool", "Resize")
"""What lies between convolutions is in int8, too: runtimes go from one to the next without float32. Not in transformers, whose
sums grow from layer to layer."""

TRANSFORMER = "LayerNormalization"


def half(program: bytes) -> bytes:
    """The program with weights and arithmetic in float16; its inputs and outputs stay float32.

    Args:
        program: Content of an ONNX file.

    Raises:
        MissingExtra: onnx or ONNX Runtime is not installed.
    """
    try:
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16
    except ImportError as error:
        raise MissingExtra("half precision needs onnx and ONNX Runtime; they come with: pip install 'poise[onnx]'") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that float16 rounds to 0
        made: bytes = convert_float_to_float16(onnx.load_from_string(program), keep_io_types=True).SerializeToString()
    return made


def calibrated(program: bytes, views: Float[Tensor, "b 3 h w"]) -> bytes:
    """The program with int8 weights and activations, whose ranges are those on the views.

    Args:
        program: Content of an ONNX file.
        views: As the program takes them.

    Raises:
        MissingExtra: onnx or ONNX Runtime is not installed.
    """
    try:
        import onnx
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise MissingExtra("int8 needs onnx and ONNX Runtime; they come with: pip install 'poise[onnx]'") from error

    @final
    class Views(CalibrationDataReader):  # type: ignore[misc]  # it has no types
        """One view after the other."""

        def __init__(self) -> None:
            self.left = iter(views.numpy())

        def get_next(self) -> dict[str, Any] | None:
            """The next view; None at the end."""
            view = next(self.left, None)
            return None if view is None else {"image": np.ascontiguousarray(view[None])}

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole, ready, made = (Path(folder) / f"{name}.onnx" for name in ("whole", "ready", "made"))
        whole.write_bytes(program)
        quant_pre_process(str(whole), str(ready), skip_symbolic_shape=True)
        kinds = {node.op_type for node in onnx.load(ready).graph.node}
        quantize_static(
            str(ready),
            str(made),
            Views(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*QUANTIZED, *(() if TRANSFORMER in kinds else BETWEEN)],
            per_channel=True,
            activation_type=QuantType.QUInt8,  # signed ones are computed in float32 by OpenVINO, and slowly by ONNX Runtime
            weight_type=QuantType.QInt8,
        )
        return made.read_bytes()
