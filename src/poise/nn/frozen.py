"""Batch norm that does not learn: statistics, scale and shift are constants, and count as no parameters."""

from typing import Literal, TypeAlias, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Norm: TypeAlias = Literal["batch", "frozen", "bare", "kept"]
"""What a backbone's batch norms are.

"batch": they learn. All others are frozen: "frozen" adds 1e-5, or what the norm had, to the variance (torchvision, Detectron2);
"bare" adds nothing (maskrcnn-benchmark); "kept" adds what the weights hold, a number for each channel called `eps`
(HRNet-MaskRCNN-Benchmark).
"""


@final
class FrozenNorm(nn.Module):
    """(x - mean) / sqrt(variance + eps) * weight + bias, all of them constants.

    Args:
        channels: That come in and leave.
        eps: Added to the variance.
        kept: Whether `eps` stands among the weights.
        after: What follows, where the batch norm had an activation within.
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
        """The same maps, scaled and shifted."""
        variance = self.running_var + self.eps if self._kept else self.running_var
        scaled = functional.batch_norm(x, self.running_mean, variance, self.weight, self.bias, eps=self._eps)
        answer: Tensor = self.after(scaled)
        return answer


def replace_norms(module: nn.Module, norm: Norm) -> None:
    """Turn every batch norm within a module into another kind, in place; their values stay."""
    if norm == "batch":
        return
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, _frozen(child, norm))
        else:
            replace_norms(child, norm)


def _frozen(learnt: nn.BatchNorm2d, norm: Norm) -> FrozenNorm:
    after = [getattr(learnt, part) for part in ("drop", "act") if hasattr(learnt, part)]  # timm's norms hold their activation
    eps = 0.0 if norm == "bare" else learnt.eps
    frozen = FrozenNorm(learnt.num_features, eps=eps, kept=norm == "kept", after=nn.Sequential(*after) if after else None)
    given = {key: value for key, value in learnt.state_dict().items() if key != "num_batches_tracked"}
    frozen.load_state_dict(given, strict=False)  # `eps` is new
    if _has_initial_values(frozen) and not bool(frozen.weight.any()):
        nn.init.ones_(frozen.weight)
    return frozen


def _has_initial_values(norm: FrozenNorm) -> bool:
    """Whether a norm has its first values; one without values yet (on "meta") has not.

    timm begins the last norm of a block at 0, so that the block begins as nothing; frozen there it would stay nothing.
    """
    first = (norm.bias, norm.running_mean, norm.running_var - 1)
    return not norm.weight.is_meta and not any(bool(part.any()) for part in first)
