"""A gated attention unit (GAU, arXiv 2202.10447) between the keypoints of a person, as RTMPose and RTMO have it.

The weights are named as in their releases.
"""

import math
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

LEAST_NORM = 1e-5


@final
class ScaleNorm(nn.Module):
    """Divides each vector by the root of its mean square and multiplies it by one learned number (arXiv 1910.05895)."""

    def __init__(self) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(1))

    def forward(self, x: Float[Tensor, "*b i"]) -> Float[Tensor, "*b i"]:
        """The vectors with their new length."""
        size: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True) / math.sqrt(x.shape[-1])
        normed: Tensor = x / size.clamp(min=LEAST_NORM) * self.g
        return normed


@final
class ChannelScale(nn.Module):
    """Multiplies each channel by a learned number.

    Args:
        channels: Number of channels; 0 for one number for all.
    """

    def __init__(self, channels: int, value: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,) if channels else (), value))

    def forward(self, x: Float[Tensor, "*b i"]) -> Float[Tensor, "*b i"]:
        """The scaled vectors."""
        return x * self.scale


@final
class GatedAttention(nn.Module):
    """Each token is changed by all tokens; weights are squares of what is above 0 of the scaled products (no softmax).

    Args:
        channels: Values of a token.
        expanded: Values of a token inside.
        shared: Values of a token that weights are computed from.
    """

    def __init__(self, channels: int, expanded: int, shared: int) -> None:
        super().__init__()
        self.widths = [expanded, expanded, shared]
        self.gamma = nn.Parameter(torch.rand(2, shared))
        self.beta = nn.Parameter(torch.rand(2, shared))
        self.o = nn.Linear(expanded, channels, bias=False)
        self.uv = nn.Linear(channels, 2 * expanded + shared, bias=False)
        self.ln = ScaleNorm()
        self.res_scale = ChannelScale(channels)
        nn.init.xavier_uniform_(self.uv.weight)

    def forward(self, tokens: Float[Tensor, "b k c"], positions: Float[Tensor, "k s"] | None = None) -> Float[Tensor, "b k c"]:
        """The changed tokens.

        Args:
            tokens: One for each keypoint.
            positions: Added to what the weights are computed from; None for nothing.
        """
        gate, value, base = torch.split(nn.functional.silu(self.uv(self.ln(tokens))), self.widths, dim=-1)
        query, key = (base[..., None, :] * self.gamma + self.beta).unbind(dim=-2)
        if positions is not None:
            query, key = query + positions, key + positions
        weights = (query @ key.transpose(1, 2) / math.sqrt(self.widths[2])).relu().square()
        output: Tensor = self.res_scale(tokens) + self.o(gate * (weights @ value))
        return output
