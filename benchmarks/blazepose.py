"""BlazePose's landmark networks: ours against the official `.tflite` in the official runtime, in one run; milliseconds a view.

    poise get blazepose_full
    python -m venv tflite && tflite/bin/pip install ai-edge-litert numpy
    python benchmarks/blazepose.py --python tflite/bin/python

The official runtime (LiteRT, XNNPACK) is measured by the other Python, for its packages need not fit ours; without --python in
this one. All take turns, a few views each, so that all have the same load of the machine; a row has the medians over all turns
(`--share`), and in brackets their share of the official runtime's.
Ours: as written, in channels_last, compiled (`torch.compile`, frozen weights), in ONNX Runtime and in OpenVINO
(`poise[onnx]`, `poise[openvino]`), each with all heads and with those that keypoints need. The answers are compared first.
"""

import copy
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor, nn

from poise.nn.blaze.landmark import SIDE, LandmarkNet
from poise.runtimes.engine import Engine
from poise.runtimes.onnx import OnnxRuntime
from poise.runtimes.openvino import OpenVino
from poise.runtimes.parts import Flat, difference, leaves
from poise.weights.cache import kept_file
from poise.zoo import import_release

WORKER = """
import sys, time, json
import numpy as np
from ai_edge_litert.interpreter import Interpreter
path, view, threads = sys.argv[1], np.load(sys.argv[2]), int(sys.argv[3])
clock = getattr(time, sys.argv[4])
net = Interpreter(model_path=path, num_threads=threads)
net.allocate_tensors()
entry, outs = net.get_input_details()[0]["index"], net.get_output_details()
first = next(o["index"] for o in outs if o["shape"][-1] == 195)
for line in sys.stdin:
    spent = []
    for _ in range(int(line)):
        net.set_tensor(entry, view)
        began = clock()
        net.invoke()
        spent.append(1000 * (clock() - began))
    print(json.dumps({"spent": spent, "numbers": net.get_tensor(first).ravel().tolist()}), flush=True)
"""

Turn = Callable[[int], list[float]]
"""Runs so many views, and gives the milliseconds of each."""


@dataclass(frozen=True)
class How:
    """How the ways are measured; as the arguments of `main`."""

    turns: int
    share: float
    pytorch: bool
    compiled: bool
    processor: bool

    def clock(self) -> float:
        """Seconds."""
        return time.process_time() if self.processor else time.perf_counter()


class Keypoints(nn.Module):
    """The heads that keypoints need."""

    def __init__(self, network: LandmarkNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Landmarks, presence, heatmaps."""
        found: tuple[Tensor, ...] = self.network.keypoint_outputs(images)
        return found


def ours(network: Callable[[Tensor], object], view: Tensor, how: How) -> Turn:
    def turn(count: int) -> list[float]:
        spent = []
        for _ in range(count):
            began = how.clock()
            with torch.inference_mode():
                network(view)
            spent.append(1000 * (how.clock() - began))
        return spent

    return turn


@contextmanager
def official(python: str, file: Path, view: Tensor, threads: int, folder: Path, numbers: Tensor, how: How) -> Iterator[Turn]:
    stored = folder / "view.npy"
    np.save(stored, np.ascontiguousarray(view.permute(0, 2, 3, 1).numpy()))
    command = [python, "-c", WORKER, str(file), str(stored), str(threads), "process_time" if how.processor else "perf_counter"]
    pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=quiet, text=True) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None

        def ask(count: int) -> dict[str, list[float]]:
            assert worker.stdin is not None
            assert worker.stdout is not None
            worker.stdin.write(f"{count}\n")
            worker.stdin.flush()
            answer: dict[str, list[float]] = json.loads(worker.stdout.readline())
            return answer

        away = np.abs(np.array(ask(2)["numbers"]) - numbers.numpy().ravel()).max()
        assert away < 0.05, f"the two networks differ by {away}"
        yield lambda count: ask(count)["spent"]
        worker.stdin.close()


def compiled_network(network: nn.Module) -> nn.Module:
    made: nn.Module = torch.compile(network)  # type: ignore[assignment]  # a module of a module
    return made


def variants(network: LandmarkNet, view: Tensor, how: How) -> dict[str, Turn]:
    found = by_pytorch(network, view, how) if how.pytorch else {}
    for engine in (OnnxRuntime(), OpenVino()):
        if engine.installed:
            found[engine.label] = by_engine(engine, network, "forward", view, how)
            found[f"{engine.label}, keypoints"] = by_engine(engine, network, "keypoint_outputs", view, how)
    return found


def by_pytorch(network: LandmarkNet, view: Tensor, how: How) -> dict[str, Turn]:
    last = view.to(memory_format=torch.channels_last)
    found = {"eager": ours(network, view, how), "eager, keypoints": ours(Keypoints(network), view, how)}
    laid = copy.deepcopy(network).to(memory_format=torch.channels_last)
    found |= {"channels_last": ours(laid, last, how), "channels_last, keypoints": ours(Keypoints(laid), last, how)}
    if how.compiled:
        torch._inductor.config.freezing = True
        found["compiled"] = ours(compiled_network(network), view, how)
        found["compiled, keypoints"] = ours(compiled_network(Keypoints(laid)), last, how)
    return found


def by_engine(engine: Engine, network: LandmarkNet, method: str, view: Tensor, how: How) -> Turn:
    program = engine.convert(Flat(network, method, (None,)), [view.expand(2, -1, -1, -1).contiguous()], [(0,)])
    session = engine.start(program, threads=torch.get_num_threads(), device="cpu", bf16=False)
    with torch.inference_mode():
        right = leaves(getattr(network, method)(view))
    wrong = difference(session([view]), right, bf16=False)
    assert not wrong, f"{engine.label}: {wrong}"

    return ours(lambda one: session([one]), view, how)


def measure(name: str, threads: int, python: str, folder: Path, how: How) -> dict[str, float]:
    release = f"blazepose_landmark_{name}"
    file = kept_file(f"pose_landmark_{name}.tflite")
    assert file is not None, f"poise get {release}"
    torch.set_num_threads(threads)
    network = import_release(release, file).network.eval()
    assert isinstance(network, LandmarkNet)
    view = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        numbers = network(view)[0]
    spent: dict[str, list[float]] = {}
    with official(python, file, view, threads, folder, numbers, how) as theirs:
        ways = {"official runtime": theirs, **variants(network, view, how)}
        for turn in ways.values():
            turn(3)
        for _ in range(how.turns):
            for way, turn in ways.items():
                spent.setdefault(way, []).extend(turn(4))
    return {way: round(float(np.quantile(each, how.share)), 1) for way, each in spent.items()}


def main(
    python: str = sys.executable,
    networks: tuple[str, ...] = ("lite", "full", "heavy"),
    threads: tuple[int, ...] = (1, 2),
    turns: int = 8,
    out: Path = Path("runs/blazepose"),
    pytorch: bool = True,
    compiled: bool = True,
    share: float = 0.5,
    processor: bool = False,
) -> None:
    """Measure all of them and write a table.

    Args:
        python: Python that has ai-edge-litert.
        networks: Of lite, full and heavy, whose official files are in the cache.
        threads: Numbers of threads.
        turns: How often each way gets its turn of four views.
        out: Folder of speed.json.
        pytorch: Also run ours in PyTorch.
        compiled: There also compile ours.
        share: Which of the sorted times stands in the table: 0.5 for the median, 0.1 where others use the machine too.
        processor: Time of the processor in place of the clock's: of one thread they are the same, but for what others take.
    """
    out.mkdir(parents=True, exist_ok=True)
    how = How(turns, share, pytorch, compiled, processor)
    rows = {f"{name}, {count} threads": measure(name, count, python, out, how) for name in networks for count in threads}
    (out / "speed.json").write_text(json.dumps(rows, indent=1) + "\n")
    ways = list(next(iter(rows.values())))
    print("\n".join(["| network | " + " | ".join(ways) + " |", "|" + "---|" * (len(ways) + 1)]))
    for name, row in rows.items():
        print(f"| {name} | " + " | ".join(f"{row[way]:.1f} ({row[way] / row[ways[0]]:.2f})" for way in ways) + " |")


if __name__ == "__main__":
    tyro.cli(main)
