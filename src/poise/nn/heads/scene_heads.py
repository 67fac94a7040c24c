"""Heads of bottom-up networks: convolutions for each kind of map and each stack (OffsetGuided)."""

from collections.abc import Mapping
from typing import final

from torch import Tensor, nn

from poise.errors import InputError
from poise.nn.base import Feature, Head
from poise.nn.heads.pyramid import Pyramid

KERNELS = (1, 3)


@final
class SceneHeads(Head):
    """One convolution, or two, for each kind of map, on each stack's feature map.

    With kernel 1 a head is a 1x1 convolution. With kernel 3 it is a 3x3 convolution that keeps the channels, a ReLU and a 1x1
    convolution, as in OffsetGuided's release. All convolutions have biases; weights are initialised with a deviation of 0.001.

    Args:
        channels: Channels of each feature map.
        parts: Channels of each kind of map by its name, in the codec's order.
        stacks: Number of feature maps; the maps of the last are decoded.
        kernel: 1 or 3.
        units: Factors on the outputs, by the name of the map; 1 by default. Maps of many pixels are learned faster if the
            convolution need not grow to that range.

    Raises:
        InputError: No map, a map without channels, no stack, another kernel, a unit that is not above 0 or of no map.
    """

    def __init__(
        self,
        channels: int,
        parts: Mapping[str, int],
        *,
        stacks: int = 1,
        kernel: int = 1,
        units: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        units = units or {}
        if not parts or min(*parts.values(), stacks) < 1 or kernel not in KERNELS:
            raise InputError(
                f"heads need maps of 1 and more channels, 1 and more stacks and kernel 1 or 3; found maps {dict(parts)}, "
                f"{stacks} stacks and kernel {kernel}"
            )
        if any(name not in parts or not 0 < unit < float("inf") for name, unit in units.items()):
            raise InputError(f"units are numbers above 0 for some of the maps {', '.join(parts)}; found {dict(units)}")
        self.maps = nn.ModuleDict(
            {name: nn.ModuleList(_layers(channels, outputs, kernel) for _ in range(stacks)) for name, outputs in parts.items()}
        )
        self.units = tuple(float(units.get(name, 1.0)) for name in parts)

    def forward(self, features: list[Feature]) -> list[Feature]:
        """The maps: kind by kind, of each kind those of all stacks."""
        outputs: list[Tensor] = []
        for unit, layers in zip(self.units, self.maps.values(), strict=True):
            for layer, x in zip(layers.children(), features, strict=True):
                output: Tensor = layer(x)
                outputs.append(output if unit == 1 else output * unit)
        return outputs


@final
class PyramidSceneHeads(Head):
    """A `Pyramid`, then `SceneHeads` on its feature map.

    Args:
        channels: Channels of the feature maps, finest first.
        width: Channels of the pyramid's sums.
        parts: Channels of each kind of map by its name, in the codec's order.
        kernel: Kernel of the heads, 1 or 3.
        units: Factors on the outputs, by the name of the map.

    Raises:
        InputError: As `SceneHeads`.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        width: int,
        parts: Mapping[str, int],
        *,
        kernel: int = 1,
        units: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.pyramid = Pyramid(channels, width)
        self.heads = SceneHeads(width, parts, kernel=kernel, units=units)

    def forward(self, features: list[Feature]) -> list[Feature]:
        """The maps, kind by kind."""
        outputs: list[Tensor] = self.heads([self.pyramid(features)])
        return outputs


def _layers(channels: int, outputs: int, kernel: int) -> nn.Module:
    """The layers of one head of one stack."""
    last = nn.Conv2d(channels, outputs, 1)
    layers = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(inplace=True), last)
    made = last if kernel == 1 else layers
    for module in made.modules():
        if type(module) is nn.Conv2d:
            nn.init.normal_(module.weight, std=0.001)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # a Conv2d's bias may be None; not here
    return made
