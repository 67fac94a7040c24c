"""Losses of several outputs, named and added up."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def total_loss(parts: Mapping[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
    """The parts of a loss added up; a single one as it is."""
    values = list(parts.values())
    return torch.stack(values).sum() if len(values) > 1 else values[0]


def codec_losses(codecs: Sequence[Any], outputs: Sequence[Tensor], *labels: Any) -> dict[str, Float[Tensor, ""]]:
    """The loss of each output of a network by its codec, by a name for messages.

    Args:
        codecs: One for each output.
        outputs: Outputs of the network, the one for predictions last.
        labels: Further arguments of the codecs' `loss`.
    """
    count = len(codecs)
    names = [
        f"codec {type(codec).__name__}" + (f" for output {number} of {count}" if count > 1 else "")
        for number, codec in enumerate(codecs, start=1)
    ]
    return {name: codec.loss(output, *labels) for name, codec, output in zip(names, codecs, outputs, strict=True)}
