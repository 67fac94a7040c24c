"""Any codec for views of one person, inside the boxes of a detector: a box is a view."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.codecs.base import InstanceCodec
from poise.codecs.roi import RoICodec, ScoreKind, check_answer, within
from poise.errors import InputError
from poise.geometry import Boxes
from poise.structures import Points


@final
@dataclass(frozen=True)
class RoIAdapter(RoICodec):
    """What another codec makes of a box that is stretched to one of its views.

    The borders of the box become the borders of the view's outermost pixels: x is pixel (x - x0) w / (x1 - x0) - 0.5 of w.
    With views of as many pixels as cells, every grid puts each cell on its part of the box.

    Attributes:
        codec: For views of one person, with the same maps and keypoints.
        weight: Factor of its loss; `roi_weight` of the codec is one that suits a detector. The squared errors of `Gaussian` and
            its kin are halved, so that 2000 is a mean squared error times 1000; those of `Megvii` are not.
        height: What the head answers where the codec would have 1: answers are divided by it, and the loss is multiplied by
            its square. A squared error then is one from labels of this height.
    """

    codec: InstanceCodec
    weight: float = 1.0
    height: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a codec of other maps, and values that make no loss."""
        super().__post_init__()
        if (self.codec.cells, self.codec.keypoints) != (self.cells, self.keypoints):
            raise InputError(
                f"RoIAdapter has maps of {self.cells} cells and {self.keypoints} keypoints, its {type(self.codec).__name__} "
                f"has {self.codec.cells} and {self.codec.keypoints}; they must be the same (RoIAdapter.of makes them so)"
            )
        if not (self.weight > 0 and self.height > 0):
            raise InputError(f"RoIAdapter needs a weight and a height above 0, found {self.weight} and {self.height}")

    @classmethod
    def of(cls, codec: InstanceCodec, *, weight: float = 1.0, height: float = 1.0) -> "RoIAdapter":
        """A codec inside boxes, with its own maps and keypoints."""
        return cls(codec.cells, codec.keypoints, codec, weight, height)

    @property
    def channels(self) -> int:
        """The codec's."""
        return self.codec.channels

    @property
    def vectors(self) -> tuple[int, ...]:
        """The codec's."""
        return self.codec.vectors

    @property
    def output_type(self) -> str:
        """The codec's."""
        return self.codec.output_type

    @property
    def quiet_start(self) -> bool:
        """True: losses weighted by up to thousands would send gradients into the trunk that drown those of the boxes."""
        return True

    @property
    def tolerance(self) -> float:
        """The codec's, in cells."""
        return self.codec.tolerance * self._cells_a_pixel

    @property
    def pixel_tolerance(self) -> float:
        """Nothing but rounding."""
        return 1e-3

    @property
    def exceptions(self) -> Mapping[int, float]:
        """The codec's: those of positions in cells, that of the loss times its factors."""
        unit = {1: self._cells_a_pixel, 3: self._cells_a_pixel, 4: self.weight * self.height**2}
        return {law: much * unit.get(law, 1) for law, much in self.codec.exceptions.items()}

    @property
    def score_kind(self) -> ScoreKind:
        """Peaks of maps that are 1 high, and the like; a little above 1 or below 0 where the head errs."""
        return "probability"

    def encode(self, xy: Float[Tensor, "n k 2"], boxes: Boxes) -> Float[Tensor, "n ..."]:
        """What the codec encodes, `height` high."""
        return self.codec.encode(self._to_view(xy, boxes)) * self.height

    def loss(
        self, output: Float[Tensor, "n ..."], xy: Float[Tensor, "n k 2"], visible: Int64[Tensor, "n k"], boxes: Boxes
    ) -> Float[Tensor, ""]:
        """`weight` times the codec's loss, averaged over the labelled keypoints inside their boxes; 0 if there is none.

        The codec averages over all keypoints; those that are not labelled count as nothing here, as with `OneHot`.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_answer(self, output)
        if len(boxes) == 0:
            return output.float().sum()  # of nothing
        there = visible * self._counts(xy, boxes)
        inside = torch.where((there > 0)[..., None], self._to_view(xy, boxes), 0)
        lost = self.codec.loss(output.float() / self.height, inside, there)
        return lost * (self.weight * self.height**2 * there.numel()) / (there > 0).sum().clamp(min=1)

    def decode(self, output: Float[Tensor, "n ..."], boxes: Boxes) -> Points:
        """What the codec reads, in pixels of the view that the boxes are in; a box without extent is a pixel wide.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_answer(self, output)
        found = self.codec.decode(output.float() / self.height)
        share = (found.xy + 0.5) / self._size(boxes)
        return Points((share * _sides(boxes)[:, None] + boxes[:, None, :2]).float(), found.score)

    def unflip(self, output: Float[Tensor, "n ..."], flip: Int64[Tensor, " k"]) -> Float[Tensor, "n ..."]:
        """The codec's way."""
        return self.codec.unflip(output, flip)

    def picture(self, output: Float[Tensor, "n ..."]) -> Float[Tensor, "n k h w"]:
        """The codec's, of answers 1 high."""
        return self.codec.picture(output.float() / self.height)

    @property
    def _cells_a_pixel(self) -> float:
        return max(cells / pixels for cells, pixels in zip(self.cells, self.codec.size, strict=True))

    def _size(self, boxes: Boxes) -> Float[Tensor, " d"]:
        return boxes.new_tensor((self.codec.size[1], self.codec.size[0]))

    def _to_view(self, xy: Float[Tensor, "n k 2"], boxes: Boxes) -> Float[Tensor, "n k 2"]:
        return (xy - boxes[:, None, :2]) / _sides(boxes)[:, None] * self._size(boxes) - 0.5

    def _counts(self, xy: Float[Tensor, "n k 2"], boxes: Boxes) -> Bool[Tensor, "n k"]:
        """Inside a box with an extent."""
        return within(xy, boxes) & (boxes[:, 2:] > boxes[:, :2]).all(dim=1)[:, None]


def _sides(boxes: Boxes) -> Float[Tensor, "n 2"]:
    """Width and height, pixels; one where there is none."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return torch.where(sides > 0, sides, 1)
