"""Networks of top-down models in each runtime, milliseconds a view; in turns, so that all have the same load of the machine.

    python benchmarks/runtimes.py --models hrnet_w32_coco_256x192 poise_s_coco_256x192 --threads 2

Weights are random, since the time does not depend on them. The answers are compared with PyTorch's before anything is measured.
`Predictor` is the whole way from pixels in memory to keypoints, with its default runtime and batch, without the flip test;
`poise predict` the whole way from JPEG files to rows of JSON, 640x480 with a person each, with the flip test, as the command
itself tells it once the runtime has started.
"""

import re
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
import tyro
from folder import drawn_folder, run
from torch import Tensor

from poise.inference.predictor import Predictor
from poise.models.device import autocast, choose_precision
from poise.models.require import require_top_down
from poise.runtimes.choice import ENGINES
from poise.runtimes.engine import Session
from poise.runtimes.parts import Flat, difference, leaves
from poise.weights.model_file import save
from poise.zoo import build

FILES = 600
"""Images that the command is timed on."""


def sessions(network: torch.nn.Module, view: Tensor) -> dict[str, Session]:
    """PyTorch and every runtime that keeps what it converts, by name."""
    flat = Flat(network, "forward", (None,)).eval()
    with torch.inference_mode():
        right = leaves(network(view))

    def eager(inputs: object, *, bf16: bool = False) -> list[Tensor]:
        with torch.inference_mode(), autocast(torch.device("cpu"), "bf16" if bf16 else "fp32"):
            return list(flat(*inputs))  # type: ignore[misc]  # a list of tensors

    found: dict[str, Session] = {"PyTorch": eager}
    fast = choose_precision(None, torch.device("cpu")) == "bf16"
    if fast:
        found["PyTorch bf16"] = partial(eager, bf16=True)
    for engine in (one for one in ENGINES if one.suffix and one.installed):
        program = engine.convert(flat, [view], [(0,)])
        for bf16 in (False, True) if fast and engine.name == "openvino" else (False,):
            run = engine.start(program, threads=torch.get_num_threads(), device="cpu", bf16=bf16)
            wrong = difference(run([view]), right, bf16=bf16)
            assert not wrong, f"{engine.label}: {wrong}"
            found[f"{engine.label}{' bf16' if bf16 else ''}"] = run
    return found


def times(ways: dict[str, Callable[[], object]], turns: int, share: float) -> dict[str, float]:
    """Milliseconds of each way, the given share of the sorted ones."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if turn:  # the first one warms up
                spent[name].append(1000 * (time.perf_counter() - began))
    return {name: float(np.quantile(each, share)) for name, each in spent.items()}


def main(
    models: tuple[str, ...] = ("hrnet_w32_coco_256x192", "poise_s_coco_256x192"),
    threads: int = 1,
    turns: int = 8,
    share: float = 0.1,
    out: Path = Path("runs/runtimes.md"),
) -> None:
    """Measure and write a table.

    Args:
        models: Names of top-down models.
        threads: Of each runtime.
        turns: How often each way gets its turn.
        share: Which of the sorted times stands in the table: 0.5 for the median, 0.1 where others use the machine too.
        out: The table.
    """
    torch.set_num_threads(threads)
    out.parent.mkdir(parents=True, exist_ok=True)
    rows: list[str] = []
    for name in models:
        model = require_top_down(build(name).eval())
        high, wide = model.codec.size
        found = sessions(model.network, torch.rand(2, 3, high, wide))
        for batch in (1, 8):
            view = [torch.rand(batch, 3, high, wide)]
            spent = times({label: partial(run, view) for label, run in found.items()}, turns, share)
            rows.append(f"| {name}, batch {batch} | " + " | ".join(f"{each / batch:.1f}" for each in spent.values()) + " |")
        rows[-1] += f" {whole(name, turns, share):.1f} | {from_files(name):.1f} |"
        rows[-2] += " | |"
    labels = " | ".join(found)
    head = [f"| network | {labels} | Predictor | `poise predict` |", f"|---|{'---|' * (len(found) + 2)}"]
    out.write_text("\n".join((*head, *rows, "")))
    print(out.read_text())


def whole(name: str, turns: int, share: float) -> float:
    """Milliseconds a person of eight people in an image of 640x480, from pixels to keypoints."""
    predictor = Predictor(build(name), flip=False, runtime="auto")
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    boxes = [[40.0 * i, 20.0, 40.0 * i + 150, 400.0] for i in range(8)]
    return times({"whole": lambda: predictor(image, boxes=boxes)}, turns, share)["whole"] / 8


def from_files(name: str) -> float:
    """Milliseconds an image of `poise predict` with its defaults, once the runtime has started; a first run converts."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        file = save(build(name), folder / "model.safetensors")
        images, boxes = drawn_folder(folder, FILES, 1)
        words = [str(images), "--model", str(file), "--boxes", str(boxes), "--format", "jsonl", "--no-pictures"]
        rows = folder / "predictions.jsonl"
        told = [run([*words, "--out", str(folder / turn)], lines=rows)[2] for turn in ("first", "second")][1]
    found = re.search(r"([\d.]+) once the runtime had started", told)
    assert found, told
    return 1000 / float(found[1])


if __name__ == "__main__":
    tyro.cli(main)
