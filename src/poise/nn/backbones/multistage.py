"""The multi-stage backbone of MSPN (arXiv 1901.00148, section 3): stages of an encoder and a decoder.

A stage passes three things on: the finest map of its decoder, which is the next stage's input, and at every resolution two maps
that are added to the next encoder (cross-stage feature aggregation, section 3.2). The weights are named as in the official
checkpoints. RSN (arXiv 2003.04030) has the same backbone with other encoder blocks.
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
"""Channels of the decoder (the releases' UPSAMPLE_CHANNEL_NUM)."""

ENTRY = 64
"""Input channels of a stage."""

STRIDES = (4, 8, 16, 32)

Block: TypeAlias = Callable[[int, int, int], nn.Module]
"""Makes a block from its input channels, output channels and stride."""


@dataclass(frozen=True)
class Encoder:
    """The blocks of all encoders.

    Attributes:
        block: Makes one block.
        blocks: Number of blocks of each resolution, finest first.
        channels: Output channels of each resolution, finest first.
    """

    block: Block
    blocks: tuple[int, int, int, int]
    channels: tuple[int, int, int, int]


@final
class Stem(nn.Module):
    """Makes maps of stride 4 of views, once for all stages."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = ConvBN(3, ENTRY, 7, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Feature:
        """The input of the first stage."""
        output: Tensor = self.maxpool(self.conv(images))
        return output


@final
class DeepStem(nn.Module):
    """Three convolutions in place of one and a pooling (UDP's RSN): 3x3 of stride 2, 7x7, 3x3 of stride 2."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(ConvBN(3, ENTRY, 3, stride=2), ConvBN(ENTRY, ENTRY, 7), ConvBN(ENTRY, ENTRY, 3, stride=2))

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Feature:
        """The input of the first stage."""
        output: Tensor = self.conv(images)
        return output


@final
class PoseRefine(nn.Module):
    """A pose refine machine (RSN, arXiv 2003.04030, section 3.3): each cell weighed by attention to its channel and its place.

    Args:
        channels: Channels of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_bn_relu_prm_1 = ConvBN(channels, channels, 3)
        self.conv_bn_relu_prm_2_1 = ConvBN(channels, channels, 1)
        self.conv_bn_relu_prm_2_2 = ConvBN(channels, channels, 1)
        self.conv_bn_relu_prm_3_1 = ConvBN(channels, channels, 1)
        self.conv_bn_relu_prm_3_2 = ConvBN(channels, channels, 9, groups=channels)

    def forward(self, x: Feature) -> Feature:
        """The refined map."""
        out: Tensor = self.conv_bn_relu_prm_1(x)
        channel = self.conv_bn_relu_prm_2_2(self.conv_bn_relu_prm_2_1(out.mean(dim=(2, 3), keepdim=True))).sigmoid()
        place = self.conv_bn_relu_prm_3_2(self.conv_bn_relu_prm_3_1(out)).sigmoid()
        refined: Tensor = out * (1 + channel * place)
        return refined


@final
class DownsampleModule(nn.Module):
    """The encoder of a stage.

    Args:
        encoder: Its blocks.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        layers, in_channels = [], ENTRY
        for number, (blocks, channels) in enumerate(zip(encoder.blocks, encoder.channels, strict=True)):
            first = encoder.block(in_channels, channels, 1 if number == 0 else 2)
            layers.append(nn.Sequential(first, *(encoder.block(channels, channels, 1) for _ in range(blocks - 1))))
            in_channels = channels
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        _initialise(self)

    def forward(self, x: Feature, aids: list[Feature]) -> list[Feature]:
        """The maps of the four resolutions, finest first.

        Args:
            x: Input of the stage.
            aids: Maps that are added at each resolution, from the stage before; an empty list for the first stage.
        """
        features = []
        for number, layer in enumerate((self.layer1, self.layer2, self.layer3, self.layer4)):
            x = layer(x)
            if aids:
                x = x + aids[number]
            features.append(x)
        return features


@final
class UpsampleUnit(nn.Module):
    """One resolution of the decoder.

    Args:
        channels: Channels of the encoder at this resolution.
        coarsest: Whether this is the first unit, with none below.
        aids: Whether it makes maps for the encoder of the next stage.
        entry: Whether it makes the input of the next stage.
        refined: Whether a pose refine machine ends it.
    """

    def __init__(self, channels: int, *, coarsest: bool, aids: bool, entry: bool, refined: bool = False) -> None:
        super().__init__()
        self.u_skip = ConvBN(channels, WIDTH, 1, relu=False)
        self.up_conv = None if coarsest else ConvBN(WIDTH, WIDTH, 1, relu=False)
        self.skip1 = ConvBN(channels, channels, 1) if aids else None
        self.skip2 = ConvBN(WIDTH, channels, 1) if aids else None
        self.cross_conv = ConvBN(WIDTH, ENTRY, 1) if entry else None
        self.prm = PoseRefine(WIDTH) if refined else None

    def forward(self, x: Feature, below: Feature | None) -> Feature:
        """The map of this resolution.

        Args:
            x: Map of the encoder.
            below: Map of the coarser unit; None for the coarsest.
        """
        out: Tensor = self.u_skip(x)
        if self.up_conv is not None and below is not None:
            out = out + self.up_conv(resize_maps(below, (x.shape[-2], x.shape[-1])))
        output: Tensor = torch.relu(out) if self.prm is None else self.prm(torch.relu(out))
        return output

    def aid(self, x: Feature, out: Feature) -> Feature | None:
        """The map that is added to the encoder of the next stage at this resolution.

        Args:
            x: Map of the encoder.
            out: Map of this unit.
        """
        if self.skip1 is None or self.skip2 is None:
            return None
        both: Tensor = self.skip1(x) + self.skip2(out)
        return both


@final
class UpsampleModule(nn.Module):
    """The decoder of a stage.

    Args:
        channels: Channels of the encoder, finest first.
        last: Whether this is the last stage.
        refined: Whether a pose refine machine ends the finest unit of the last stage.
    """

    def __init__(self, channels: tuple[int, int, int, int], *, last: bool, refined: bool = False) -> None:
        super().__init__()
        self.up1, self.up2, self.up3, self.up4 = (
            UpsampleUnit(
                width,
                coarsest=level == 3,
                aids=not last,
                entry=level == 0 and not last,
                refined=level == 0 and last and refined,
            )
            for level, width in reversed(list(enumerate(channels)))
        )

    def forward(self, features: list[Feature]) -> tuple[list[Feature], list[Feature], Feature | None]:
        """The maps of the units and those for the next encoder, both finest first; and the input of the next stage."""
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
    """An encoder and a decoder.

    Args:
        encoder: Blocks of the encoder.
        last: Whether this is the last stage.
        refined: Whether a pose refine machine ends the last stage.
    """

    def __init__(self, encoder: Encoder, *, last: bool, refined: bool = False) -> None:
        super().__init__()
        self.downsample = DownsampleModule(encoder)
        self.upsample = UpsampleModule(encoder.channels, last=last, refined=refined)

    def forward(self, x: Feature, aids: list[Feature]) -> tuple[list[Feature], list[Feature], Feature | None]:
        """The maps of the decoder and those for the next encoder, both finest first; and the input of the next stage.

        Args:
            x: Input of the stage.
            aids: Maps that are added to the encoder, from the stage before.
        """
        output: tuple[list[Tensor], list[Tensor], Tensor | None] = self.upsample(self.downsample(x, aids))
        return output


@final
class MultiStage(Backbone):
    """All stages.

    The feature maps are those of the decoders: of the last stage first, finest first; then of the stage before, and so on.

    Args:
        encoder: Blocks of the encoders.
        stages: Number of stages; published are 1 to 4.
        deep_stem: Whether the stem has three convolutions.
        refined: Whether a pose refine machine ends the last stage.

    Raises:
        InputError: Fewer than one stage.
    """

    multiple = 32

    def __init__(self, encoder: Encoder, stages: int, *, deep_stem: bool = False, refined: bool = False) -> None:
        super().__init__()
        if stages < 1:
            raise InputError(f"a network of stages needs at least one of them, not {stages}")
        self.top = DeepStem() if deep_stem else Stem()
        self.stages = nn.ModuleList(SingleStage(encoder, last=n == stages - 1, refined=refined) for n in range(stages))
        self.channels = (WIDTH,) * (4 * stages)
        self.strides = STRIDES * stages

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The maps of the decoders, of the last stage first."""
        x: Tensor | None = self.top(images)
        features: list[Tensor] = []
        aids: list[Tensor] = []
        for stage in self.stages:
            outs, aids, x = stage(x, aids)
            features = [*outs, *features]
        return features


def _initialise(network: nn.Module) -> None:
    """He initialisation (arXiv 1502.01852) by fan-out, as the release initialises encoders."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
