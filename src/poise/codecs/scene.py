"""The contract between people in a whole view and a network's output, and its laws."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError
from poise.scenes import People, Scenes


@dataclass(frozen=True)
class SceneCodec(ABC):
    """Codec for views with any number of people: what a network's output means, its loss, and how people are read out of it.

    All methods work on batches, on the device of their input; the sides of views are multiples of `stride`. An output is one
    tensor of maps (b c h w), one cell for every `stride` pixels each way; `parts` lists its channels.

    Laws, up to the order of people, checked for every file of this folder:

    1. decode(encode(scenes)) finds every person with keypoints in the view, each keypoint to within `tolerance` pixels, if no
       two people have a keypoint of one type at the same place.
    2. decode(merge(encode(scenes), encode(mirrored scenes))) finds the same people.
    3. loss(encode(scenes), scenes) is below the loss of any shifted output.
    4. The position of an unlabelled keypoint (visible 0) changes no loss; ignored cells, and keypoints that the data set of a
       view does not annotate, send no gradient back.
    5. For a view without people the maps are empty, the loss is finite and nobody is found.

    Attributes:
        keypoints: Number of keypoints, k.
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
        """Channels of each head of the network, in their order in an output."""

    @property
    def origin(self) -> float:
        """The pixel that the first cell stands for, along both axes: the middle of its pixels, unless a release has another."""
        return (self.stride - 1) / 2

    @property
    def mirror_shift(self) -> int:
        """Pixels that a mirrored view is moved to the left, so that its cells lie on those of the view (flip test)."""
        return 0

    @final
    @property
    def channels(self) -> int:
        """Channels of all heads together, c."""
        return sum(self.parts)

    @property
    @abstractmethod
    def tolerance(self) -> float:
        """Largest error of a keypoint that laws 1 and 2 allow, pixels."""

    @final
    def cells(self, size: Size) -> Size:
        """Size (h, w) of the maps of a view, cells.

        Raises:
            InputError: A side of the view is no multiple of the stride.
        """
        if size[0] % self.stride or size[1] % self.stride or min(size) < self.stride:
            raise InputError(
                f"{type(self).__name__} has a cell for every {self.stride} pixels, so views are multiples of that, not "
                f"{size[0]}x{size[1]} (height x width)"
            )
        return size[0] // self.stride, size[1] // self.stride

    @abstractmethod
    def encode(self, scenes: Scenes) -> Float[Tensor, "b c h w"]:
        """The perfect output."""

    @abstractmethod
    def loss(self, output: Float[Tensor, "b c h w"], scenes: Scenes) -> Float[Tensor, ""]:
        """Loss of an output for the people of the views."""

    @abstractmethod
    def decode(self, output: Float[Tensor, "b c h w"]) -> list[People]:
        """The people of each view."""

    @abstractmethod
    def merge(
        self, output: Float[Tensor, "b c h w"], mirrored: Float[Tensor, "b c h w"], flip: Int64[Tensor, " k"]
    ) -> Float[Tensor, "b _ h w"]:
        """The mean of an output and of that for the mirrored views (flip test). `flip` is `Skeleton.flip`.

        Maps that have no mean (tags) follow those of the view as further channels.
        """

    def averaged(self, outputs: list[Float[Tensor, "b c h w"]], *, main: int) -> Float[Tensor, "b c h w"]:
        """The mean of outputs for one view at several scales, which were `resized` to the same cells.

        Args:
            outputs: One for each scale.
            main: Index of the scale that counts where there is no mean: that nearest to 1.
        """
        return torch.stack(outputs).mean(dim=0)

    @abstractmethod
    def resized(self, output: Float[Tensor, "b c h w"], cells: Size) -> Float[Tensor, "b c hh ww"]:
        """The output resized to maps of `cells`; values in pixels are scaled with it."""

    @abstractmethod
    def picture(self, output: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Maps of the keypoints to look at, 0 to 1."""

    def arrows(self, output: Float[Tensor, "b c h w"], scenes: Scenes) -> Float[Tensor, "n m 4"]:
        """Lines to look at, from labelled keypoints to where the output has other keypoints of the same person.

        Each is x0 y0 x1 y1, pixels of the views, NaN for unlabelled keypoints; m is 0 for codecs without such outputs.
        """
        return output.new_zeros(len(scenes.xy), 0, 4)
