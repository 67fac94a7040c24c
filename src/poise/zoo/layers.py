"""The layers of a network one by one: kind, kernel, shape of the output, parameters, multiply-adds."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from poise.dims import Size
from poise.zoo.cost import countable, unbuilt, view_size_of


@final
@dataclass(frozen=True)
class Layer:
    """A layer of a network, on one view.

    Attributes:
        name: Its name in the network.
        kind: Name of its class.
        kernel: Kernel, stride, dilation and groups of a convolution or pooling as text, such as "3x3 /2"; "" for others.
        output: Shape of its last output without the batch.
        parameters: Number of its parameters; of one that stands at several places, where it is named first.
        multiply_adds: Multiply-adds of all of its calls.
        calls: How often it is called for one view.
    """

    name: str
    kind: str
    kernel: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int
    calls: int


def measure_layers(network: nn.Module, size: Size) -> list[Layer]:
    """The layers of a network that are called for one view, in the order of their first call; on "meta" nothing is computed.

    What a network computes outside of layers (attention by plain products) stands in a last row, "between layers", so that the
    multiply-adds of all rows are those of `measure_network`.

    Args:
        network: The network.
        size: Size of the view (h, w).
    """
    first = next(network.parameters())
    was, counter = network.training, FlopCounterMode(display=False)
    calls: dict[str, _Calls] = {}
    network.eval()
    view = torch.zeros(1, 3, *size, device=first.device, dtype=first.dtype)
    with torch.no_grad(), counter, _heard(network, calls, counter.get_total_flops):
        network(view)
    network.train(was)
    counted: set[int] = set()
    rows = [_layer(name, one, counted) for name, one in calls.items()]
    spare = counter.get_total_flops() // 2 - sum(row.multiply_adds for row in rows)
    left = sum(p.numel() for p in network.parameters() if id(p) not in counted)
    return rows if not (spare or left) else [*rows, Layer("between layers", "", "", (), left, spare, 1)]


def layers_of(name: str) -> list[Layer]:
    """The layers of a model of the zoo, built without weights; the heads of a detector are called for one box.

    Raises:
        UnknownName: No family has such a name.
        InputError: A part of a detector, which takes no images by itself.
    """
    return measure_layers_of(unbuilt(name).network, view_size_of(name))


def measure_layers_of(network: nn.Module, size: Size) -> list[Layer]:
    """`measure_layers` of a network on any device, nothing of which is computed; of a detector with a single box.

    Args:
        network: The network.
        size: Size of the view (h, w).
    """
    shell = countable(copy.deepcopy(network).to("meta"))
    own = "" if type(shell) is type(network) else "network."
    return [replace(one, name=one.name.removeprefix(own)) for one in measure_layers(shell, size)]


@final
class _Calls:
    """The calls of one layer."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer
        self.count = self.flops = self.begun = 0
        self.output: tuple[int, ...] = ()


@contextmanager
def _heard(network: nn.Module, calls: dict[str, _Calls], flops: Callable[[], int]) -> Iterator[None]:
    """While this lasts, calls of the layers of a network are noted: modules without parts, or with weights of their own."""
    handles: list[Any] = []
    for name, layer in network.named_modules():
        if next(layer.children(), None) is not None:
            continue

        def begin(module: nn.Module, inputs: object, name: str = name) -> None:
            calls.setdefault(name, _Calls(module)).begun = flops()

        def end(module: nn.Module, inputs: object, output: Any, name: str = name) -> None:
            one = calls[name]
            one.count, one.flops = one.count + 1, one.flops + flops() - one.begun
            shown = output[-1] if isinstance(output, list | tuple) and output else output
            one.output = tuple(shown.shape[1:]) if isinstance(shown, Tensor) else ()

        handles += [layer.register_forward_pre_hook(begin), layer.register_forward_hook(end)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _layer(name: str, one: _Calls, counted: set[int]) -> Layer:
    own = [p for p in one.layer.parameters() if id(p) not in counted]
    counted.update(map(id, own))
    kind = type(one.layer).__name__
    return Layer(name, kind, kernel_text(one.layer), one.output, sum(p.numel() for p in own), one.flops // 2, one.count)


def kernel_text(layer: nn.Module) -> str:
    """Kernel of a convolution or pooling, and its stride, dilation and groups where they are not 1.

    >>> kernel_text(nn.Conv2d(8, 8, 3, stride=2, groups=8)), kernel_text(nn.ReLU())
    ('3x3 /2 groups 8', '')
    """
    size = getattr(layer, "kernel_size", None)
    if size is None:
        return ""
    text = [_sides(size)]
    stride, dilation, groups = (getattr(layer, name, 1) for name in ("stride", "dilation", "groups"))
    text += [f"/{_sides(stride, short=True)}"] if set(_both(stride)) != {1} else []
    text += [f"dilation {_sides(dilation, short=True)}"] if set(_both(dilation)) != {1} else []
    return " ".join([*text, *([f"groups {groups}"] if groups != 1 else [])])


def _both(size: Any) -> tuple[int, ...]:
    return tuple(size) if isinstance(size, tuple) else (size, size)


def _sides(size: Any, *, short: bool = False) -> str:
    sides = _both(size)
    return str(sides[0]) if short and len(set(sides)) == 1 else "x".join(map(str, sides))
