"""A plain vision transformer (arXiv 2010.11929) as ViTPose has it (arXiv 2204.12484), with ViTPose++'s experts (2212.04246).

The weights are named as in MMPose 1.x.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from poise.dims import Size
from poise.errors import InputError
from poise.nn.base import Backbone, Feature, check_size, check_view

PATCH = 16
"""Side of a patch, pixels; also the stride of the map."""

PADDING = 2
"""Zeros around the view, pixels: patches of a view whose sides are multiples of 16 are then shifted by 2."""

EXPERTS = 6
"""Of ViTPose++, one for each of its data sets: COCO, AI Challenger, MPII, AP-10K, APT-36K, COCO-WholeBody."""


@final
class SelfAttention(nn.Module):
    """Attention between all tokens.

    Args:
        channels: Values of a token.
        heads: Number of heads.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        """What each token gets from all tokens."""
        query, key, value = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        output: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return output


@final
class FeedForward(nn.Module):
    """Two linear layers with GELU between them; of the last one's values some may come from experts.

    Args:
        channels: Values of a token.
        hidden: Values between the layers.
        part: Values that the experts give, the last ones; 0 for none.
    """

    def __init__(self, channels: int, hidden: int, part: int = 0) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Sequential(nn.Linear(channels, hidden), nn.GELU()), nn.Linear(hidden, channels - part))
        self.experts = nn.ModuleList(nn.Linear(hidden, part) for _ in range(EXPERTS if part else 0))

    def forward(self, x: Float[Tensor, "b n c"], expert: int) -> Float[Tensor, "b n c"]:
        """The tokens after both layers, with the values of an expert behind the shared ones."""
        hidden = self.layers[0](x)
        shared: Tensor = self.layers[1](hidden)
        return torch.cat((shared, self.experts[expert](hidden)), dim=-1) if self.experts else shared


@final
class TransformerBlock(nn.Module):
    """Attention and a feed-forward network, each behind a layer norm and added to its input.

    Args:
        channels: Values of a token.
        heads: Heads of the attention.
        part: Values of a token that experts give; 0 for none.
        eps: What layer norms add to variances.
    """

    def __init__(self, channels: int, heads: int, *, part: int = 0, eps: float = 1e-6) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(channels, eps=eps)
        self.attn = SelfAttention(channels, heads)
        self.ln2 = nn.LayerNorm(channels, eps=eps)
        self.ffn = FeedForward(channels, 4 * channels, part)

    def forward(self, x: Float[Tensor, "b n c"], expert: int, keep: float = 1.0) -> Float[Tensor, "b n c"]:
        """The tokens.

        Args:
            x: The tokens before.
            expert: Number of the expert, where there are some.
            keep: Probability that a view's branch is added, in training (stochastic depth, arXiv 1603.09382).
        """
        x = x + self._kept(self.attn(self.ln1(x)), keep)
        return x + self._kept(self.ffn(self.ln2(x), expert), keep)

    def _kept(self, branch: Float[Tensor, "b n c"], keep: float) -> Float[Tensor, "b n c"]:
        if not self.training or keep >= 1:
            return branch
        return branch * (branch.new_empty(len(branch), 1, 1).bernoulli_(keep) / keep)


@final
class PatchEmbedding(nn.Module):
    """One token of each patch.

    Args:
        channels: Values of a token.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(3, channels, PATCH, stride=PATCH, padding=PADDING)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c _ _"]:
        """The tokens, as a map."""
        output: Tensor = self.projection(images)
        return output


@final
class ViT(Backbone):
    """Tokens of patches with learned positions, and a stack of blocks; the map of the last tokens, or one for each expert.

    Args:
        size: Size of the views (h, w), which the positions are for.
        channels: Values of a token.
        depth: Number of blocks.
        heads: Heads of each attention.
        part: Values of a token that experts give, in each block; 0 for a network without experts.
        experts: Numbers of the experts, each of which gives a map of its own; (0,) without experts.
        eps: What layer norms add to variances: 1e-6, but 1e-12 in configurations of Hugging Face's.
        drop: Probability that the last block's branches are left out in training; that of the others is smaller in proportion.

    Raises:
        InputError: A size that is no multiple of 16, channels that the heads do not divide, or an expert that there is not.
    """

    multiple = PATCH

    def __init__(
        self,
        size: Size,
        channels: int,
        depth: int,
        heads: int,
        *,
        part: int = 0,
        experts: tuple[int, ...] = (0,),
        eps: float = 1e-6,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        check_size(size, PATCH, "ViT")
        if channels % heads or not set(experts) <= set(range(EXPERTS if part else 1)) or not experts:
            raise InputError(f"a ViT of {channels} channels, {heads} heads and experts {experts} cannot be")
        self.cells = (size[0] // PATCH, size[1] // PATCH)
        self.pos_embed = nn.Parameter(torch.zeros(1, self.cells[0] * self.cells[1], channels))
        self.patch_embed = PatchEmbedding(channels)
        self.layers = nn.ModuleList(TransformerBlock(channels, heads, part=part, eps=eps) for _ in range(depth))
        self.ln1 = nn.LayerNorm(channels, eps=eps)
        self.experts = experts
        self.keep = tuple(1 - drop * number / max(depth - 1, 1) for number in range(depth))
        self.channels = (channels,) * len(experts)
        self.strides = (PATCH,) * len(experts)
        self.apply(_initialise)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The map of the last tokens; with experts one map for each of them, in their order."""
        check_view(images, (self.cells[0] * PATCH, self.cells[1] * PATCH), "this ViT")
        tokens = self.patch_embed(images).flatten(2).transpose(1, 2) + self.pos_embed
        return [self._map(tokens, expert) for expert in self.experts]

    def _map(self, tokens: Float[Tensor, "b n c"], expert: int) -> Feature:
        """The map of the last tokens, by one expert."""
        for keep, layer in zip(self.keep, self.layers, strict=True):
            tokens = layer(tokens, expert, keep)
        last: Tensor = self.ln1(tokens)
        return last.transpose(1, 2).reshape(last.shape[0], -1, *self.cells)


def _initialise(module: nn.Module) -> None:
    """The first weights of ViTs: normal numbers cut off at two deviations, and no biases."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
