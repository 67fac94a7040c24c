"""Networks of their real sizes are built in a fraction of the time: large weights repeat a block of drawn numbers.

Mean, spread and bounds are those of the initialisation, and the same seed gives the same network. Small weights are drawn as
ever. On the device "meta", where there is nothing to draw, nothing is done (PyTorch goes a long way to do that).
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

BLOCK = 131_071
"""A prime, so that no row of a weight is that of another."""


def install() -> None:
    """Draw large tensors cheaply from now on; `torch.rand` and its kin stay as they are."""
    for name in ("normal_", "uniform_"):
        setattr(Tensor, name, _repeating(getattr(Tensor, name)))


def _repeating(draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @functools.wraps(draw)
    def drawn(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if tensor.is_meta:
            return tensor
        if not _is_large(tensor):
            return draw(tensor, *args, **kwargs)
        block, flat = draw(tensor.new_empty(BLOCK), *args, **kwargs), tensor.view(-1)
        whole = len(flat) // BLOCK
        flat[: whole * BLOCK].view(whole, BLOCK).copy_(block)
        flat[whole * BLOCK :] = block[: len(flat) % BLOCK]
        return tensor

    return drawn


def _is_large(tensor: Tensor) -> bool:
    plain = type(tensor) in (Tensor, torch.nn.Parameter) and tensor.device.type == "cpu" and tensor.is_contiguous()
    return plain and tensor.numel() > 2 * BLOCK and not (tensor.requires_grad and torch.is_grad_enabled())
