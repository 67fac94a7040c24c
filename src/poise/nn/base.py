"""What the parts of a network are: a backbone gives feature maps, a head turns them into what a codec reads."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeAlias, final

from jaxtyping import Float
from torch import Tensor, nn

from poise.dims import Size
from poise.errors import InputError
from poise.nn.heads.readout import Readout

Feature: TypeAlias = Float[Tensor, "b _ _ _"]
"""One feature map of a batch; every map has its own channels and cells."""


class Backbone(nn.Module, ABC):
    """Images in, feature maps out, finest first.

    Laws, checked for every file of `nn/backbones/` (`tests/nn/test_backbone_laws.py`):

    1. Maps have the `channels` and `strides` that the backbone says, for views of every multiple of `multiple`.
    2. In evaluation mode a batch of two is two batches of one, and the views are not written into.
    3. bfloat16 gives what float32 gives, to within its rounding.
    4. A gradient of the feature maps reaches every weight.
    5. A copy with the weights of a file answers the same; it can be made on the device "meta".

    Attributes:
        channels: Of each feature map.
        strides: Pixels of the view per cell, of each feature map.
        multiple: Heights and widths of views must be multiples of this.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    multiple: int

    @abstractmethod
    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The feature maps of normalised views."""


class Head(nn.Module, ABC):
    """Feature maps in, maps for a codec out.

    Layers whose output channels are the codec's, told apart by keypoint, are called `final`, wherever in the head they are: the
    last layer of a plain head, the last of every answer of a head with several.

    Attributes:
        takes: Names of layers whose input channels are the codec's, in a head that reads its own earlier answers.
    """

    takes: tuple[str, ...] = ()

    @abstractmethod
    def forward(self, features: list[Feature]) -> Feature | list[Feature]:
        """What the codec reads; or a list of answers, of which it reads the last and the others only make losses."""


@final
class Network(nn.Module):
    """A backbone, a head that fits it, and what turns the head's last maps into vectors where the codec reads those.

    Attributes:
        readout: None where the codec reads maps; set when network and codec are joined.
    """

    def __init__(self, backbone: Backbone, head: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.readout: Readout | None = None

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Feature | list[Feature] | Float[Tensor, "b k n"]:
        """What the codec reads, for normalised views; or a list that ends with it."""
        answer: Tensor | list[Tensor] = self.head(self.backbone(images))
        if self.readout is None:
            return answer
        vectors: Tensor = self.readout(answer if isinstance(answer, Tensor) else answer[-1])
        return vectors


def check_size(size: Size, multiple: int, what: str) -> None:
    """Refuse views a network cannot take, and name the nearest it can.

    Raises:
        InputError: Height or width is not a positive multiple of `multiple`.
    """
    if min(size) > 0 and not any(side % multiple for side in size):
        return
    raise InputError(
        f"{what} takes views whose height and width are multiples of {multiple}, not {size[0]}x{size[1]} (height x width); "
        f"the nearest: {' or '.join(f'{h}x{w}' for h, w in nearest_sizes(size, multiple))}"
    )


def nearest_sizes(size: Size, multiple: int) -> Sequence[Size]:
    """The nearest sizes whose sides are multiples: rounded down and rounded up.

    >>> nearest_sizes((250, 192), 32)
    [(224, 192), (256, 192)]
    """
    down = tuple(max(side // multiple, 1) * multiple for side in size)
    up = tuple(max(-(-side // multiple), 1) * multiple for side in size)
    return sorted({(down[0], down[1]), (up[0], up[1])})
