"""Where a network looks at views: on which device, in which numbers, and without learning from them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.models.device import Precision, autocast


@contextmanager
def eval_mode(
    model: nn.Module, views: Sequence[Float[Tensor, "3 h w"]], *, device: torch.device, precision: Precision
) -> Iterator[Float[Tensor, "b 3 h w"]]:
    """Some views of one size as a batch, and the model ready to look at it; a model in training is put back into it.

    Args:
        model: Moved to the device, and left there.
        views: Of any device.
        device: What computes.
        precision: In which numbers.
    """
    training = model.training
    model.eval().to(device).to(memory_format=torch.channels_last)
    try:
        with torch.inference_mode(), autocast(device, precision):
            yield torch.stack(list(views)).to(device).contiguous(memory_format=torch.channels_last)
    finally:
        model.train(training)
