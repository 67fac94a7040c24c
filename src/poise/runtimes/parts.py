"""A part of a network as a function of tensors alone, which is what runtimes take."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, final, runtime_checkable

import torch
from torch import Tensor, nn

TOLERANCE = {False: 1e-2, True: 0.1}
"""Largest difference to PyTorch as a share of the largest value, in float32 and in bfloat16. Maps differ by about 1e-6 and
1e-2. BlazePose's logits of pixels differ by up to 1e-3 between any two runtimes (3e-3 between the official one's two ways), as
all of them do from float64: sums of large terms, added in another order. A wrong conversion differs by about 1."""

ROUNDING = 1e-6
"""Difference that counts for nothing: of probabilities that are nearly 0, say."""


def leaves(value: Any) -> list[Tensor]:
    """The tensors of nested lists and tuples, in their order.

    >>> [len(one) for one in leaves([torch.zeros(1), (torch.zeros(2), [torch.zeros(3)])])]
    [1, 2, 3]
    """
    return [value] if isinstance(value, Tensor) else [leaf for one in value for leaf in leaves(one)]


def refilled(like: Any, tensors: Iterator[Tensor]) -> Any:
    """Nested lists and tuples as those of `like`, of other tensors.

    >>> refilled([None, (None,)], iter([1, 2]))
    [1, (2,)]
    """
    if isinstance(like, list | tuple):
        return type(like)(refilled(one, tensors) for one in like)
    return next(tensors)


def shape_of(value: Any) -> Any:
    """The nesting of tensors: their lists and tuples, with None for each tensor.

    >>> shape_of([torch.zeros(1), (torch.zeros(2),)])
    [None, (None,)]
    """
    return None if isinstance(value, Tensor) else type(value)(shape_of(one) for one in value)


@final
class Flat(nn.Module):
    """A method of a module, from tensors to tensors.

    Args:
        module: The module.
        method: Name of its method.
        like: Nesting of its arguments (`shape_of`).
    """

    def __init__(self, module: nn.Module, method: str, like: Any) -> None:
        super().__init__()
        self.module, self.method, self.like = module, method, like
        self.train(module.training)

    def forward(self, *inputs: Any) -> Any:
        """The outputs one after the other."""
        answer = getattr(type(self.module), self.method)(self.module, *refilled(self.like, iter(inputs)))
        return tuple(leaves(answer))


@runtime_checkable
class Rewritten(Protocol):
    """A part of a network that says how runtimes run it faster."""

    def as_graph(self, runtime: str) -> nn.Module:
        """A module of the same function for the runtime of this name."""


def graph_form(module: nn.Module, runtime: str) -> nn.Module:
    """The module with its parts (`Rewritten`) as a runtime runs them faster, in evaluation mode; the module itself stays.

    Args:
        module: In evaluation mode.
        runtime: Name of the runtime.
    """
    if not any(isinstance(part, Rewritten) for part in module.modules()):
        return module
    copied = copy.deepcopy(module)
    for parent in list(copied.modules()):
        for name, part in list(parent.named_children()):
            if isinstance(part, Rewritten):
                setattr(parent, name, part.as_graph(runtime).eval())
    return copied


def rows_of(inputs: list[Tensor], count: int) -> list[Tensor]:
    """So many rows of each input, the first ones over again where there are fewer."""
    return [one[torch.arange(count, device=one.device) % len(one)].contiguous() for one in inputs]


def difference(found: Sequence[Tensor], right: Sequence[Tensor], *, bf16: bool) -> str:
    """What is wrong of the answers of a runtime; "" where they are equal to within rounding.

    Args:
        found: Its answers.
        right: Those of PyTorch in float32.
        bf16: Whether it may compute in bfloat16.
    """
    if [one.shape for one in found] != [one.shape for one in right]:
        return f"it gives shapes {[tuple(one.shape) for one in found]}, not {[tuple(one.shape) for one in right]}"
    for one, other in zip(found, right, strict=True):
        away = (one.float() - other.float()).abs().max()
        largest = other.float().abs().max()
        if not bool(away <= TOLERANCE[bf16] * largest + ROUNDING):
            return f"its answers differ by {float(away):.3g} where the largest value is {float(largest):.3g}"
    return ""
