"""Provenance of a run: data, seeds, versions and hardware, to repeat it and to explain differences."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from poise import __version__
from poise.data.base import Dataset
from poise.data.digest import digest
from poise.machine import cores
from poise.training.recipe import Recipe
from poise.training.run_plan import RunPlan

PACKAGES = ("torch", "torchvision", "lightning", "numpy", "opencv-python-headless", "pillow", "hotcoco", "numba", "timm")


def checksums(recipe: Recipe) -> dict[str, Any]:
    """Checksums of the data of a recipe, as plain values; labels are read, images are not."""
    more = {name: _data(dataset) for name, dataset in recipe.task(recipe.model).more_data.items()}
    return {"train": _data(recipe.train), "val": None if recipe.val is None else _data(recipe.val)} | more


def provenance(recipe: Recipe, plan: RunPlan, data: Mapping[str, Any]) -> dict[str, Any]:
    """Data (`checksums`), seeds, versions and hardware of a run, as plain values."""
    return {
        "data": dict(data),
        "folder": str(Path.cwd()),
        "seeds": {"run": plan.seed, "torch": torch.initial_seed()},
        "rate": {
            "rule": "linear in the batch",
            "recipe": recipe.optimizer.rate,
            "recipe_batch": recipe.base_batch or recipe.batch,
            "batch": plan.batch * plan.accumulate,
            "used": plan.rate,
        },
        "versions": {"poise": __version__, "python": platform.python_version()} | _versions(),
        "hardware": hardware(plan.device),
    }


def hardware(device: torch.device) -> dict[str, Any]:
    """Processor, cores and, where there is one, the GPU."""
    found: dict[str, Any] = {"platform": platform.platform(), "processor": processor(), "cores": cores()}
    found |= {"threads": torch.get_num_threads(), "capability": torch.backends.cpu.get_cpu_capability()}
    if device.type == "cuda":
        found |= {"gpu": torch.cuda.get_device_name(device), "cuda": torch.version.cuda, "gpus": torch.cuda.device_count()}
    return found


def processor() -> str:
    """Name of the processor."""
    listed = Path("/proc/cpuinfo")
    if os.name == "posix" and listed.exists():
        names = [line.partition(":")[2].strip() for line in listed.read_text().splitlines() if line.startswith("model name")]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def _data(dataset: Dataset) -> dict[str, Any]:
    return digest(dataset).to_plain()


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
