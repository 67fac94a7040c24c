"""The frame of MSPN (arXiv 1901.00148, section 3): stages of an encoder and a way up, each fed by the one before.

A stage passes three things on: the finest map of its way up, which is the next stage's input, and at every resolution two maps
that are added to the next encoder's (cross-stage aggregation, section 3.2). The weights are named as the official checkpoints
name them. RSN (arXiv 2003.04030) shares the frame; only the blocks of its encoder are others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.errors import InputError
from poise.nn.base import Backbone, Feature
from poise.nn.blocks import ConvBN, resize_maps

WIDTH = 256
"""Channels of the way up (the releases' UPSAMPLE_CHANNEL_NUM)."""

ENTRY = 64
"""Channels that enter a stage."""

STRIDES = (4, 8, 16, 32)

Block: TypeAlias = Callable[[int, int, int], nn.Module]
"""Makes a block from the channels that come in, those that leave, and its stride."""


@dataclass(frozen=True)
class Encoder:
    """What the encoders of all stages are made of.

    Attributes:
        block: Makes one block.
        blocks: How many, of each resolution.
        channels: That leave each resolution, finest first.
    """

    block: Block
    blocks: tuple[int, int, int, int]
    channels: tuple[int, int, int, int]


@final
class Stem(nn.Module):
    """What all stages share: views to maps of stride 4."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = ConvBN(3, ENTRY, 7, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Feature:
        """The input of the first stage."""
        answer: Tensor = self.maxpool(self.conv(images))
        return answer


@final
class DownsampleModule(nn.Module):
    """One encoder.

    Args:
        encoder: Its blocks.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        layers, entering = [], ENTRY
        for number, (blocks, channels) in enumerate(zip(encoder.blocks, encoder.channels, strict=True)):
            first = encoder.block(entering, channels, 1 if number == 0 else 2)
            layers.append(nn.Sequential(first, *(encoder.block(channels, channels, 1) for _ in range(blocks - 1))))
            entering = channels
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        _initialise(self)

    def forward(self, x: Feature, aids: list[Feature]) -> list[Feature]:
        """The maps of its four resolutions, finest first; `aids` (none or four) are added to them on the way."""
        features = []
        for number, layer in enumerate((self.layer1, self.layer2, self.layer3, self.layer4)):
            x = layer(x)
            if aids:
                x = x + aids[number]
            features.append(x)
        return features


@final
class UpsampleUnit(nn.Module):
    """One step of the way up.

    Args:
        channels: Of the encoder at this resolution.
        coarsest: Whether this is the first step, with nothing below.
        aids: Whether the next stage's encoder gets help from here.
        entry: Whether the next stage starts from here.
    """

    def __init__(self, channels: int, *, coarsest: bool, aids: bool, entry: bool) -> None:
        super().__init__()
        self.u_skip = ConvBN(channels, WIDTH, 1, relu=False)
        self.up_conv = None if coarsest else ConvBN(WIDTH, WIDTH, 1, relu=False)
        self.skip1 = ConvBN(channels, channels, 1) if aids else None
        self.skip2 = ConvBN(WIDTH, channels, 1) if aids else None
        self.cross_conv = ConvBN(WIDTH, ENTRY, 1) if entry else None

    def forward(self, x: Feature, below: Feature | None) -> Feature:
        """The map of this step, from the encoder's and that of the step below."""
        out: Tensor = self.u_skip(x)
        if self.up_conv is not None and below is not None:
            out = out + self.up_conv(resize_maps(below, (x.shape[-2], x.shape[-1])))
        return torch.relu(out)

    def aid(self, x: Feature, out: Feature) -> Feature | None:
        """What is added to the next encoder at this resolution."""
        if self.skip1 is None or self.skip2 is None:
            return None
        both: Tensor = self.skip1(x) + self.skip2(out)
        return both


@final
class UpsampleModule(nn.Module):
    """The way up of a stage.

    Args:
        channels: Of the encoder, finest first.
        last: Whether no stage follows.
    """

    def __init__(self, channels: tuple[int, int, int, int], *, last: bool) -> None:
        super().__init__()
        self.up1, self.up2, self.up3, self.up4 = (
            UpsampleUnit(width, coarsest=level == 3, aids=not last, entry=level == 0 and not last)
            for level, width in reversed(list(enumerate(channels)))
        )

    def forward(self, features: list[Feature]) -> tuple[list[Feature], list[Feature], Feature | None]:
        """The maps of the steps and what helps the next encoder, both finest first; and what enters the next stage."""
        outs: list[Tensor] = []
        aids: list[Tensor] = []
        below: Tensor | None = None
        for step, x in zip((self.up1, self.up2, self.up3, self.up4), reversed(features), strict=True):
            below = step(x, below)
            outs.insert(0, below)
            aid = step.aid(x, below)
            if aid is not None:
                aids.insert(0, aid)
        entry = None if self.up4.cross_conv is None else self.up4.cross_conv(outs[0])
        return outs, aids, entry


@final
class SingleStage(nn.Module):
    """An encoder and a way up.

    Args:
        encoder: Of what the encoder is made.
        last: Whether no stage follows.
    """

    def __init__(self, encoder: Encoder, *, last: bool) -> None:
        super().__init__()
        self.downsample = DownsampleModule(encoder)
        self.upsample = UpsampleModule(encoder.channels, last=last)

    def forward(self, x: Feature, aids: list[Feature]) -> tuple[list[Feature], list[Feature], Feature | None]:
        """As `UpsampleModule`."""
        answer: tuple[list[Tensor], list[Tensor], Tensor | None] = self.upsample(self.downsample(x, aids))
        return answer


@final
class MultiStage(Backbone):
    """All stages.

    The feature maps are those of the ways up: the last stage's first, finest first; then those of the stage before, and so on.

    Args:
        encoder: Of what the encoders are made.
        stages: How many; published are 1 to 4.

    Raises:
        InputError: No stage at all.
    """

    multiple = 32

    def __init__(self, encoder: Encoder, stages: int) -> None:
        super().__init__()
        if stages < 1:
            raise InputError(f"a network of stages needs at least one of them, not {stages}")
        self.top = Stem()
        self.stages = nn.ModuleList(SingleStage(encoder, last=number == stages - 1) for number in range(stages))
        self.channels = (WIDTH,) * (4 * stages)
        self.strides = STRIDES * stages

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The maps of the ways up, the last stage's first."""
        x: Tensor | None = self.top(images)
        features: list[Tensor] = []
        aids: list[Tensor] = []
        for stage in self.stages:
            outs, aids, x = stage(x, aids)
            features = [*outs, *features]
        return features


def _initialise(network: nn.Module) -> None:
    """He's initial weights (arXiv 1502.01852), by the channels that leave, as the release draws them for encoders."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
