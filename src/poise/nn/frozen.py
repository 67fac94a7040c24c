"""Frozen batch norm: statistics, scale and shift are constants and not counted as parameters."""

from typing import Literal, TypeAlias, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Norm: TypeAlias = Literal["batch", "frozen", "bare", "kept"]
"""Type of a backbone's batch norms.

"batch": they are trained. All others are frozen: "frozen" adds 1e-5, or the epsilon of the norm, to the variance (torchvision,
Detectron2); "bare" adds nothing (maskrcnn-benchmark); "kept" adds what the weights hold, a number for each channel called `eps`
(HRNet-MaskRCNN-Benchmark).
"""


@final
class FrozenNorm(nn.Module):
    """(x - mean) / sqrt(variance + eps) * weight + bias, all of them constants.

    Args:
        channels: Channels of input and output.
        eps: Added to the variance.
        kept: Whether `eps` is one of the weights.
        after: Activation that follows, if the replaced batch norm contained one.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    eps: Tensor

    def __init__(self, channels: int, *, eps: float = 0.0, kept: bool = False, after: nn.Module | None = None) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        if kept:
            self.register_buffer("eps", torch.full((channels,), eps))
        self._eps = 0.0 if kept else eps
        self._kept = kept
        self.after: nn.Module = after or nn.Identity()

    def forward(self, x: Float[Tensor, "b c _ _"]) -> Float[Tensor, "b c _ _"]:
        """The maps, scaled and shifted."""
        variance = self.running_var + self.eps if self._kept else self.running_var
        scaled = functional.batch_norm(x, self.running_mean, variance, self.weight, self.bias, eps=self._eps)
        output: Tensor = self.after(scaled)
        return output


def replace_norms(module: nn.Module, norm: Norm) -> None:
    """Replace every batch norm in a module by another kind, in place; their values stay.

    Args:
        module: The module.
        norm: The kind of norm.
    """
    if norm == "batch":
        return
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, _frozen(child, norm))
        else:
            replace_norms(child, norm)


def _frozen(batch_norm: nn.BatchNorm2d, norm: Norm) -> FrozenNorm:
    after = [
        getattr(batch_norm, part) for part in ("drop", "act") if hasattr(batch_norm, part)
    ]  # timm's norms hold their activation
    eps = 0.0 if norm == "bare" else batch_norm.eps
    frozen = FrozenNorm(batch_norm.num_features, eps=eps, kept=norm == "kept", after=nn.Sequential(*after) if after else None)
    given = {key: value for key, value in batch_norm.state_dict().items() if key != "num_batches_tracked"}
    frozen.load_state_dict(given, strict=False)  # `eps` is new
    if _has_initial_values(frozen) and not bool(frozen.weight.any()):
        nn.init.ones_(frozen.weight)
    return frozen


def _has_initial_values(norm: FrozenNorm) -> bool:
    """Whether a norm still has its initial values; one without values yet (on "meta") does not.

    timm initialises the last norm of a block with 0, so that the block starts as the identity; frozen, it would stay the
    identity.
    """
    first = (norm.bias, norm.running_mean, norm.running_var - 1)
    return not norm.weight.is_meta and not any(bool(part.any()) for part in first)
