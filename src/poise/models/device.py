"""Device and precision of a model.

bfloat16 is taken where it is known to be faster: on GPUs that compute in it, and on CPUs with AMX or AVX512_BF16
instructions (a ResNet-18 at 192x160 answers 10 to 20 times as many views a second there). Weights stay float32.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch

from poise.errors import InputError, unknown

Precision = Literal["fp32", "bf16"]

_DEVICES = ("auto", "cpu", "cuda", "mps")
_PRECISIONS = ("auto", "fp32", "bf16")


def choose_device(name: str | None = None) -> torch.device:
    """The device of that name; without a name (or with "auto") a GPU where there is one, else the CPU.

    Args:
        name: "cpu", "cuda", "cuda:1", "mps", "auto" or None.

    Raises:
        UnknownName: No such kind of device.
        InputError: This machine has no such device.
    """
    kind, _, number = (name or "auto").partition(":")
    if kind not in _DEVICES or (number and not number.isdigit()):
        raise unknown("device", name or "", _DEVICES)
    if kind == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[kind]
    if int(number or 0) >= there:
        raise InputError(f"this machine has {there} {kind} devices, so there is no {name!r}; use --device cpu or leave it out")
    return torch.device(name or "cpu")


def choose_precision(name: str | None, device: torch.device) -> Precision:
    """The precision; without a name (or with "auto") bfloat16 where it is faster, else float32.

    Args:
        name: "fp32", "bf16", "auto" or None.
        device: Device of the model.

    Raises:
        UnknownName: No such precision.
    """
    match name or "auto":
        case "fp32":
            return "fp32"
        case "bf16":
            return "bf16"
        case "auto":
            return "bf16" if fast_bf16(device) else "fp32"
        case other:
            raise unknown("precision", other, _PRECISIONS)


def fast_bf16(device: torch.device) -> bool:
    """Whether this device computes faster in bfloat16 than in float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and any(_cpu_abilities().get(name) for name in ("amx_bf16", "avx512_bf16"))


def _cpu_abilities() -> dict[str, Any]:
    # Torch tells since 2.10; an older one gets float32, which is right everywhere.
    ask = getattr(torch.cpu, "get_capabilities", dict)
    return dict(ask())


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    """The context a network runs in to compute in that precision."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
