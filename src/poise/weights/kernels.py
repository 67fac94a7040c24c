"""Kernels of a model file in fewer bits: float16, or int8 with a scale for each output channel."""

from collections.abc import Mapping
from typing import Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor

from poise.errors import CheckpointError, InputError, unknown

Kernels: TypeAlias = Literal["float32", "float16", "int8"]
"""How weights with two axes or more are kept: 4, 2 or 1 bytes each. Biases and the statistics of norms are few, and stay."""

SCALE = ".int8_scale"
"""Ending of the name of the scales of a kernel in int8, one for each of its first axis."""

STEPS = 127


def check_kernels(name: str) -> Kernels:
    """The precision of that name.

    Raises:
        UnknownName: There is none.
    """
    if name not in get_args(Kernels):
        raise unknown("precision of kernels", name, get_args(Kernels))
    return cast(Kernels, name)


def packed(weights: Mapping[str, Tensor], kernels: Kernels) -> dict[str, Tensor]:
    """The weights as a file keeps them.

    Args:
        weights: Weights by name.
        kernels: How kernels are kept.

    Raises:
        UnknownName: In no such way.
        InputError: A weight is beyond the range of float16.
    """
    check_kernels(kernels)
    found: dict[str, Tensor] = {}
    for name, value in weights.items():
        if kernels == "float32" or not value.is_floating_point() or value.ndim < 2:
            found[name] = value
        elif kernels == "float16":
            found[name] = _halved(name, value)
        else:
            found |= _in_steps(name, value)
    return found


def unpacked(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a file, those in int8 as float32.

    Args:
        weights: As `packed` gave them.

    Raises:
        CheckpointError: Scales are missing, or are not those of a kernel.
    """
    scales = {name.removesuffix(SCALE): value for name, value in weights.items() if name.endswith(SCALE)}
    kernels = {name for name, value in weights.items() if value.dtype == torch.int8}
    if scales.keys() != kernels or any(scale.shape != weights[name].shape[:1] for name, scale in scales.items()):
        raise CheckpointError("its kernels in int8 and their scales do not belong together; was it edited?")
    return {
        name: value.float() * scales[name].view(-1, *[1] * (value.ndim - 1)) if name in scales else value
        for name, value in weights.items()
        if not name.endswith(SCALE)
    }


def _halved(name: str, value: Tensor) -> Tensor:
    short = value.half()
    if not short.isfinite().all():
        raise InputError(f"the weight {name} has values beyond those of float16, 65504; keep the kernels in float32")
    return short


def _in_steps(name: str, value: Tensor) -> dict[str, Tensor]:
    scale = value.float().flatten(1).abs().amax(dim=1).clamp(min=1e-12) / STEPS
    whole = (value.float() / scale.view(-1, *[1] * (value.ndim - 1))).round().clamp(-STEPS, STEPS)
    return {name: whole.to(torch.int8), name + SCALE: scale}
