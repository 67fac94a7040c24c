"""Parts of a network: a backbone makes feature maps of images, a head makes of them the output that a codec decodes."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeAlias, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.dims import Size
from poise.errors import InputError


@final
class Readout(nn.Module):
    """Vectors for each keypoint from its map, by one linear layer per vector (SimCC, arXiv 2107.03332, section 3.1).

    All keypoints share the layers.

    Args:
        cells: Cells of a map (h, w).
        lengths: Lengths of the vectors, which are concatenated in the output.
    """

    def __init__(self, cells: Size, lengths: tuple[int, ...]) -> None:
        super().__init__()
        self.cells = cells
        self.vectors = nn.ModuleList(nn.Linear(cells[0] * cells[1], length) for length in lengths)

    def forward(self, maps: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k n"]:
        """The concatenated vectors of each keypoint."""
        return torch.cat(self.each(maps), dim=2)

    def each(self, maps: Float[Tensor, "b k h w"]) -> list[Float[Tensor, "b k _"]]:
        """The vectors of each keypoint: all first ones, all second ones."""
        check_cells(maps, self.cells, "the readout of vectors")
        flat = maps.flatten(2)
        return [layer(flat) for layer in self.vectors]


Feature: TypeAlias = Float[Tensor, "b _ _ _"]
"""One feature map of a batch; every map has its own number of channels and cells."""


class Backbone(nn.Module, ABC):
    """Makes feature maps of images, finest first.

    Laws, checked for every file of `nn/backbones/` (`tests/nn/test_backbone_laws.py`):

    1. Maps have the `channels` and `strides` that the backbone says, for views of every multiple of `multiple`.
    2. In evaluation mode a batch of two is two batches of one, and the views are not written into.
    3. bfloat16 gives what float32 gives, to within its rounding.
    4. A gradient of the feature maps reaches every weight.
    5. A copy with the weights of a file answers the same; it can be made on the device "meta".

    Attributes:
        channels: Channels of each feature map.
        strides: Stride of each feature map, pixels of the view per cell.
        multiple: Height and width of views must be multiples of this, pixels.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    multiple: int

    @abstractmethod
    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The feature maps of normalised views, finest first."""


class Head(nn.Module, ABC):
    """Makes the output that a codec decodes of feature maps.

    Layers whose output channels are the codec's, one or more for each keypoint, are called `final`, wherever in the head they
    are: the last layer of a plain head, the last of every output of a head with several.

    Attributes:
        takes: Names of layers whose input channels are the codec's, in a head that reads its own earlier outputs.
        makes_vectors: Whether it makes the vectors of a codec that decodes vectors itself, so that no readout follows it. Then
            it answers a list of them, one for each of the codec's `vectors`.
    """

    takes: tuple[str, ...] = ()
    makes_vectors: bool = False

    @abstractmethod
    def forward(self, features: list[Feature]) -> Tensor | list[Tensor]:
        """The output that the codec decodes; or a list whose last output is decoded and whose others only enter the loss.

        Where it `makes_vectors`, all of the list is decoded together. In evaluation a head may leave out the first outputs of
        its list.
        """


@final
class Network(nn.Module):
    """A backbone, a head, and a readout if the codec decodes vectors.

    Attributes:
        readout: Makes vectors of the head's last maps; None if the codec decodes maps. Set when network and codec are joined.
        adaptation: Changes the feature maps (list to list) between backbone and head; None for most networks, and set by
            adversarial domain adaptation (`nn.adaptation.AdaptationLayer`).
    """

    def __init__(self, backbone: Backbone, head: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.readout: Readout | None = None
        self.adaptation: nn.Module | None = None

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Tensor | list[Tensor]:
        """The output that the codec decodes, for normalised views; or a list that ends with it, or of the codec's vectors."""
        return self.answer(self.adapted(self.backbone(images)))

    def adapted(self, features: list[Feature]) -> list[Feature]:
        """The backbone's feature maps as the head reads them."""
        return features if self.adaptation is None else self.adaptation(features)

    def answer(self, features: list[Feature]) -> Feature | list[Feature | Float[Tensor, "b k n"]] | Float[Tensor, "b k n"]:
        """The output that the codec decodes, for feature maps; or a list that ends with it, or of the codec's vectors."""
        output: Tensor | list[Tensor] = self.head(features)
        if self.readout is None:
            return output
        vectors = self.readout.each(output if isinstance(output, Tensor) else output[-1])
        return vectors if len(vectors) > 1 else vectors[0]


def check_size(size: Size, multiple: int, what: str) -> None:
    """Refuse views that a network cannot take, and name the nearest sizes that it can.

    Args:
        size: Size of the views (h, w).
        multiple: Number of pixels that height and width must be multiples of.
        what: The network, for the message.

    Raises:
        InputError: Height or width is not a positive multiple of `multiple`.
    """
    if min(size) > 0 and not any(side % multiple for side in size):
        return
    raise InputError(
        f"{what} takes views whose height and width are multiples of {multiple}, not {size[0]}x{size[1]} (height x width); "
        f"the nearest: {' or '.join(f'{h}x{w}' for h, w in nearest_sizes(size, multiple))}"
    )


def check_view(images: Float[Tensor, "b 3 h w"], size: Size, what: str) -> None:
    """Refuse views of another size than the one that a network takes.

    Args:
        images: The views.
        size: Their size (h, w).
        what: The network, for the message.

    Raises:
        InputError: Another size.
    """
    height, width = images.shape[-2:]
    if (height, width) != size:
        raise InputError(
            f"{what} takes views of {size[0]}x{size[1]} pixels alone (height x width), not {height}x{width}; cut or resize "
            "them to that size"
        )


def check_cells(maps: Feature, cells: Size, what: str) -> None:
    """Refuse maps of views of another size than the one that a part of a network was made for.

    Args:
        maps: What it reads.
        cells: Their size (h, w).
        what: The part, for the message.

    Raises:
        InputError: Another size.
    """
    height, width = maps.shape[-2:]
    if (height, width) != cells:
        raise InputError(
            f"{what} reads maps of {cells[0]}x{cells[1]} cells alone (height x width), and these views give {height}x{width}; "
            "cut or resize them to the size that the network was made for (`model.codec.size`)"
        )


def nearest_sizes(size: Size, multiple: int) -> Sequence[Size]:
    """The nearest sizes (h, w) whose sides are multiples: rounded down and rounded up.

    >>> nearest_sizes((250, 192), 32)
    [(224, 192), (256, 192)]
    """
    down = tuple(max(side // multiple, 1) * multiple for side in size)
    up = tuple(max(-(-side // multiple), 1) * multiple for side in size)
    return sorted({(down[0], down[1]), (up[0], up[1])})
