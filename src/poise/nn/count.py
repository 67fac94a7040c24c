"""How large a network is: parameters and true multiply-adds."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from poise.dims import Size


@dataclass(frozen=True)
class Count:
    """What one network costs.

    Attributes:
        parameters: Numbers that training changes.
        multiply_adds: Of one view, of convolutions, matrix products and attention; nothing else is counted.
    """

    parameters: int
    multiply_adds: int


def count(network: nn.Module, size: Size) -> Count:
    """Run one black view of `size` (h, w) through the network, on its device ("meta" computes nothing), and count."""
    parameters = list(network.parameters())
    training = network.training
    network.eval()
    counter = FlopCounterMode(display=False)
    view = torch.zeros(1, 3, *size, device=parameters[0].device, dtype=parameters[0].dtype)
    with torch.no_grad(), counter:
        network(view)
    network.train(training)
    return Count(sum(p.numel() for p in parameters), counter.get_total_flops() // 2)
