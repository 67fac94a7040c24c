"""Layers that mixed precision would break."""

from collections.abc import Callable

import torch
from torch import Tensor


def in_float32(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """What a function gives in float32, whatever precision the network computes in.

    Args:
        function: A layer, or a function without a kernel for bfloat16.
        inputs: Its inputs.
    """
    device = inputs[0].device.type
    if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
        return function(*inputs)
    with torch.autocast(device, enabled=False):
        return function(*(part.float() for part in inputs))
