"""A training step of HRNet-W32 at 256x192 with 8 views: bfloat16 and channels-last beside float32 as PyTorch has it.

    python benchmarks/train_step.py [--name hrnet_w32_coco_256x192] [--batch 8] [--rounds 5] [--threads 2] [--device cpu]

One side is what `poise train` computes, with its fused Adam; both run turn about in one process, and the quickest round of
each counts, so that neighbours on the machine disturb both alike. Exit code 1 below the wanted ratio. A CPU with bfloat16 but
without matrix units (AMX) multiplies at most twice as fast in it; the wanted ratio needs AMX, or a GPU.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

import torch
import tyro
from rich.console import Console

from poise.models.device import Precision, autocast, choose_device
from poise.models.require import require_top_down
from poise.structures import Batch
from poise.zoo import build


@dataclass(frozen=True)
class Setting:
    """One way to compute the same step."""

    title: str
    precision: Precision
    layout: torch.memory_format
    fused: bool | None


SETTINGS = (
    Setting("fp32 eager", "fp32", torch.contiguous_format, fused=None),
    Setting("bf16 channels-last", "bf16", torch.channels_last, fused=True),
)


def drawn_batch(count: int, size: tuple[int, int], keypoints: int) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(
        images=torch.randn(count, 3, *size, generator=generator),
        xy=torch.rand(count, keypoints, 2, generator=generator) * torch.tensor(size[::-1]),
        visible=torch.full((count, keypoints), 2),
        warps=torch.eye(3).expand(count, 3, 3),
    )


def step_of(setting: Setting, name: str, count: int, device: torch.device) -> Callable[[], None]:
    model = require_top_down(build(name)).train().to(device).to(memory_format=setting.layout)
    drawn = drawn_batch(count, model.codec.size, model.codec.keypoints).to(device)
    batch = replace(drawn, images=drawn.images.contiguous(memory_format=setting.layout))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=setting.fused)

    def step() -> None:
        with autocast(device, setting.precision):
            loss = model.loss(batch)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return step


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(
    *,
    name: str = "hrnet_w32_coco_256x192",
    batch: int = 8,
    rounds: int = 5,
    threads: int | None = None,
    device: Annotated[str, tyro.conf.arg(help="cpu or cuda")] = "cpu",
    wanted: float = 2.5,
) -> int:
    """Time both settings and print their ratio."""
    torch.set_num_threads(threads or torch.get_num_threads())
    steps = [step_of(setting, name, batch, choose_device(device)) for setting in SETTINGS]
    for step in steps:
        step()
    times = [[seconds(step) for step in steps] for _ in range(rounds)]
    best = [min(column) for column in zip(*times, strict=True)]
    console = Console()
    for setting, found in zip(SETTINGS, best, strict=True):
        console.print(f"{setting.title:20} {1e3 * found:8.0f} ms a step  {batch / found:8.1f} views a second")
    ratio = best[0] / best[1]
    console.print(f"ratio {ratio:.2f}, wanted {wanted}; {torch.get_num_threads()} threads, {name}, batch {batch}")
    return 0 if ratio >= wanted else 1


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
