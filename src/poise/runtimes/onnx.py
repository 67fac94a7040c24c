"""ONNX Runtime: on CPUs, and on GPUs through its CUDA and TensorRT providers."""

import io
import warnings
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from poise.errors import InputError
from poise.runtimes.engine import Engine, Session
from poise.runtimes.parts import graph_form
from poise.writing import write_atomic

OPSET = 18
"""Version of ONNX's operators: read by ONNX Runtime 1.14 (2023) and later."""

BATCH = "batch"
"""Name of the first axis of inputs and outputs, whose length is free."""

ALONE_BYTES = 1 << 26
"""Programs up to this size have a second session for batches of one, which knows how large all maps are and lays them into less
memory: 5 % less time for BlazePose. Their weights are there twice."""

GPU_PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider")
"""Where a GPU runs it, the fastest first."""


@final
class OnnxRuntime(Engine):
    """ONNX Runtime."""

    name, label, package, extra, suffix = "onnxruntime", "ONNX Runtime", "onnxruntime", "onnx", ".onnx"
    bf16 = False

    def convert(self, module: nn.Module, inputs: Sequence[Tensor], free: Sequence[Sequence[int]]) -> bytes:
        """The traced module as an ONNX file."""
        names = [f"input{number}" for number in range(len(inputs))]
        return to_onnx(graph_form(module, self.name), inputs, names=names, free=free)

    def save(self, program: Any, path: Path) -> None:
        """Write the file."""
        write_atomic(path, program)

    def read(self, path: Path) -> bytes:
        """The content of the file."""
        return path.read_bytes()

    def start(self, program: Any, *, threads: int, device: str, bf16: bool) -> Session:
        """A session; on a CPU it computes in float32, whatever it may."""
        session = _session(program, threads=threads, device=device)
        names = [one.name for one in session.get_inputs()]
        twice = device == "cpu" and len(program) <= ALONE_BYTES
        alone = cache(partial(_session, program, threads=threads, device=device, batch=1)) if twice else None

        def run(inputs: Sequence[Tensor]) -> list[Tensor]:
            arrays = {name: one.cpu().contiguous().numpy() for name, one in zip(names, inputs, strict=True)}
            fitting = session if alone is None or len(inputs[0]) > 1 else alone()
            outputs = fitting.run(None, arrays)
            return [torch.from_numpy(output).to(inputs[0].device) for output in outputs]

        return run


def _session(program: bytes, *, threads: int, device: str, batch: int | None = None) -> Any:
    """A session, for batches of any length or of one."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.force_spinning_stop", "1")  # threads that wait for work keep a core from others
    if batch is not None:
        options.add_free_dimension_override_by_name(BATCH, batch)
    return onnxruntime.InferenceSession(program, options, providers=_providers(device))


def _providers(device: str) -> list[str]:
    """The providers of a kind of device.

    Raises:
        InputError: ONNX Runtime is here without any for it.
    """
    if device == "cpu":
        return ["CPUExecutionProvider"]
    import onnxruntime

    there = [name for name in GPU_PROVIDERS if name in onnxruntime.get_available_providers()]
    if not there:
        raise InputError(
            f"ONNX Runtime is installed without a provider for {device}; pip install onnxruntime-gpu in its place, or run it "
            "with --device cpu"
        )
    return [*there, "CPUExecutionProvider"]


def to_onnx(
    module: nn.Module,
    inputs: Sequence[Tensor],
    *,
    names: Sequence[str],
    free: Sequence[Sequence[int]],
    outputs: Sequence[str] = (),
    free_outputs: Sequence[Sequence[int]] = (),
    rows: str = BATCH,
) -> bytes:
    """A module as the content of an ONNX file.

    Args:
        module: From tensors to a tuple of tensors, in evaluation mode.
        inputs: An example of its inputs.
        names: Names of its inputs.
        free: Axes of each input that may have any length; the first is the batch.
        outputs: Names of its outputs.
        free_outputs: Axes of each output that may have any length, where they are to be named.
        rows: What the first axis of an output counts.
    """
    axes = [*zip(names, free, strict=True), *zip(outputs, free_outputs, strict=bool(free_outputs))]
    first = dict.fromkeys(names, BATCH) | dict.fromkeys(outputs, rows)
    named = {name: {axis: f"{name}_{axis}" if axis else first[name] for axis in own} for name, own in axes if own}
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of tracing: what depends on a size is checked afterwards
        torch.onnx.export(
            module,
            tuple(inputs),
            file,  # type: ignore[arg-type]  # the exporter by tracing writes into files that are open
            input_names=list(names),
            output_names=list(outputs) or None,
            dynamic_axes=named,
            opset_version=OPSET,
            dynamo=False,
        )
    return file.getvalue()
