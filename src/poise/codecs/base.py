"""The contract between keypoints and a network's output, and its laws."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float, Int64
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError
from poise.geometry import Grid
from poise.structures import Points


@dataclass(frozen=True)
class InstanceCodec(ABC):
    """Codec for views of ONE person. Batched, on the device of its input.

    An output is one tensor: maps (b c h w), the channels of a keypoint one after another; or vectors (b k n) where `vectors`
    says so.

    Laws, checked for every file of this folder:

    1. decode(encode(xy)).xy is xy, to within `tolerance` input pixels.
    2. unflip(unflip(output)) is output.
    3. decode(unflip(encode(mirrored xy))).xy is xy, to within `tolerance`.
    4. loss(encode(xy), xy, visible) is 0, and below the loss of any shifted output.
    5. A keypoint that is not labelled (visible 0) sends no gradient back.

    Some published releases break a law on purpose. Their codec says so in `exceptions`, by the law's number:

    1 and 3: how many input pixels off a keypoint may be, in place of `tolerance`.
    2: in which share of an output's values it changes.
    4: how large the loss of an answer without fault may be; a shifted output's is still larger.
    5: which share of the keypoints that are not labelled may send a gradient.

    Attributes:
        size: Of a view, pixels (h, w).
        cells: Of a map (h, w).
        keypoints: How many.
    """

    size: Size
    cells: Size
    keypoints: int

    def __post_init__(self) -> None:
        """Refuse sizes without extent."""
        if min(*self.size, *self.cells, self.keypoints) < 1:
            raise InputError(
                f"{type(self).__name__} needs positive sizes, found size {self.size}, cells {self.cells}, "
                f"{self.keypoints} keypoints"
            )

    @property
    @abstractmethod
    def grid(self) -> Grid:
        """How the cells lie on the view."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """Maps the network must give."""

    @property
    def vectors(self) -> tuple[int, ...]:
        """Lengths of the vectors this codec reads of each keypoint, made from its map (`nn.heads.readout`); none for maps.

        Vectors stand one after another in an output of shape (b, k, their sum).
        """
        return ()

    @property
    @abstractmethod
    def tolerance(self) -> float:
        """What law 1 and 3 allow, input pixels."""

    @property
    def exceptions(self) -> Mapping[int, float]:
        """Laws this codec breaks on purpose, and by how much; none by default."""
        return {}

    @abstractmethod
    def encode(self, xy: Float[Tensor, "b k 2"]) -> Float[Tensor, "b ..."]:
        """What a network without fault would answer for keypoints at `xy` (input pixels), all of them labelled."""

    @abstractmethod
    def loss(
        self, output: Float[Tensor, "b ..."], xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]
    ) -> Float[Tensor, ""]:
        """How far an answer is from the labels. `visible`: 0 not labelled, 1 hidden, 2 in sight."""

    @abstractmethod
    def decode(self, output: Float[Tensor, "b ..."]) -> Points:
        """Positions (input pixels) and scores. Non-finite scores come back as 0, with the highest cell."""

    @abstractmethod
    def unflip(self, output: Float[Tensor, "b ..."], flip: Int64[Tensor, " k"]) -> Float[Tensor, "b ..."]:
        """The answer for a mirrored view, as an answer for the view itself. `flip` is `Skeleton.flip`."""

    @abstractmethod
    def picture(self, output: Float[Tensor, "b ..."]) -> Float[Tensor, "b k h w"]:
        """Maps for people to look at, 0..1."""
