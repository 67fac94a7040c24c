"""OpenVINO: Intel's runtime, fastest on processors with AVX2, AVX-512 or AMX."""

from collections.abc import Sequence
from pathlib import Path
from threading import local
from typing import Any, final

import torch
from torch import Tensor, nn

from poise.runtimes.engine import Engine, Session
from poise.runtimes.onnx import to_onnx
from poise.runtimes.parts import graph_form
from poise.runtimes.signal_stack import same_signal_stack


@final
class OpenVino(Engine):
    """OpenVINO on the CPU."""

    name, label, package, extra, suffix = "openvino", "OpenVINO", "openvino", "openvino", ".xml"

    def convert(self, module: nn.Module, inputs: Sequence[Tensor], free: Sequence[Sequence[int]]) -> Any:
        """The module through ONNX, which takes a quarter of the time of OpenVINO's own tracing."""
        import openvino

        names = [f"input{number}" for number in range(len(inputs))]
        return openvino.Core().read_model(to_onnx(graph_form(module, self.name), inputs, names=names, free=free))

    def save(self, program: Any, path: Path) -> None:
        """Write `.xml` and `.bin`; weights stay float32."""
        import openvino

        openvino.save_model(program, path, compress_to_fp16=False)

    def read(self, path: Path) -> Any:
        """The program of an `.xml` with its `.bin`."""
        import openvino

        return openvino.Core().read_model(path)

    def start(self, program: Any, *, threads: int, device: str, bf16: bool) -> Session:
        """Compile for this processor; threads that call have a request of their own."""
        import openvino

        options = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",  # by itself it takes bf16 where there is AMX
        }
        images = [number for number, one in enumerate(program.inputs) if _is_image(one.partial_shape)]
        with same_signal_stack():
            compiled = openvino.Core().compile_model(_channels_last(program, images), "CPU", options)
        requests, count = local(), len(compiled.outputs)

        def run(inputs: Sequence[Tensor]) -> list[Tensor]:
            if not hasattr(requests, "own"):
                requests.own = compiled.create_infer_request()
            with same_signal_stack():
                ordered = [one.permute(0, 2, 3, 1) if number in images else one for number, one in enumerate(inputs)]
                requests.own.infer([one.contiguous().numpy() for one in ordered], share_inputs=True)
            outputs = [requests.own.get_output_tensor(index).data for index in range(count)]
            return [torch.from_numpy(output.copy()) for output in outputs]  # the next run writes over them

        return run


def _is_image(shape: Any) -> bool:
    """Whether an input is a batch of images (b 3 h w)."""
    return bool(shape.rank.is_static and len(shape) == 4 and shape[1].is_static and shape[1].get_length() == 3)


def _channels_last(program: Any, images: Sequence[int]) -> Any:
    """A program that takes these inputs as poise has them in memory (b h w 3), so that nothing is copied for it."""
    from openvino import Layout
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(program.clone())
    for number in images:
        steps.input(number).tensor().set_layout(Layout("NHWC"))
        steps.input(number).model().set_layout(Layout("NCHW"))
    return steps.build()
