"""The contract between people in a whole view and a network's output, and its laws."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

from jaxtyping import Float, Int64
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError
from poise.scenes import People, Scenes


@dataclass(frozen=True)
class SceneCodec(ABC):
    """Codec for views with any number of people. Batched, on the device of its input; views of any multiple of its stride.

    An output is one tensor of maps (b c h w), one cell for every `stride` pixels each way; `parts` says what its channels are.

    Laws, up to the order of people, checked for every file of this folder:

    1. decode(encode(scenes)) finds every person with keypoints in the view, each keypoint to within `tolerance` pixels, where
       people do not stand in each other's keypoints.
    2. merge(encode(scenes), encode(mirrored scenes)) finds the same.
    3. loss(encode(scenes), scenes) is below the loss of any shifted output.
    4. What is not labelled (visible 0) changes no loss, wherever it is; cells to be ignored, and keypoints that a view's data
       set does not label, send no gradient back.
    5. With nobody in a view, its maps are empty, its loss is finite and nobody is found.

    Attributes:
        keypoints: How many.
    """

    keypoints: int

    def __post_init__(self) -> None:
        """Refuse a codec of nothing."""
        if self.keypoints < 1:
            raise InputError(f"{type(self).__name__} needs at least one keypoint, found {self.keypoints}")

    @property
    @abstractmethod
    def stride(self) -> int:
        """Pixels from cell to cell."""

    @property
    @abstractmethod
    def parts(self) -> tuple[int, ...]:
        """Channels of each head the network must have, in the order in which they stand in an output."""

    @final
    @property
    def channels(self) -> int:
        """Of all heads."""
        return sum(self.parts)

    @property
    @abstractmethod
    def tolerance(self) -> float:
        """What laws 1 and 2 allow, pixels."""

    @final
    def cells(self, size: Size) -> Size:
        """Of the maps of a view (h, w).

        Raises:
            InputError: The view is no multiple of the stride.
        """
        if size[0] % self.stride or size[1] % self.stride or min(size) < self.stride:
            raise InputError(
                f"{type(self).__name__} has a cell for every {self.stride} pixels, so views are multiples of that, not "
                f"{size[0]}x{size[1]} (height x width)"
            )
        return size[0] // self.stride, size[1] // self.stride

    @abstractmethod
    def encode(self, scenes: Scenes) -> Float[Tensor, "b c h w"]:
        """What a network without fault would answer."""

    @abstractmethod
    def loss(self, output: Float[Tensor, "b c h w"], scenes: Scenes) -> Float[Tensor, ""]:
        """How far an answer is from the labels."""

    @abstractmethod
    def decode(self, output: Float[Tensor, "b c h w"]) -> list[People]:
        """The people of each view."""

    @abstractmethod
    def merge(
        self, output: Float[Tensor, "b c h w"], mirrored: Float[Tensor, "b c h w"], flip: Int64[Tensor, " k"]
    ) -> Float[Tensor, "b c h w"]:
        """An answer averaged with that for the mirrored views. `flip` is `Skeleton.flip`."""

    @abstractmethod
    def resized(self, output: Float[Tensor, "b c h w"], cells: Size) -> Float[Tensor, "b c hh ww"]:
        """The answer for views brought to another size, of `cells` cells: what is measured in pixels grows with them."""

    @abstractmethod
    def picture(self, output: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Maps of the keypoints for people to look at, 0..1."""

    def arrows(self, output: Float[Tensor, "b c h w"], scenes: Scenes) -> Float[Tensor, "n m 4"]:
        """For people to look at: from labelled keypoints to where the answer says that others of the same person are.

        x0 y0 x1 y1, pixels of the views, nan for what is not labelled; none (m = 0) where an answer says no such thing.
        """
        return output.new_zeros(len(scenes.xy), 0, 4)
