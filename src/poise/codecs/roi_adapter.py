"""Any codec for views of one person, inside the boxes of a detector: a box is a view."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.codecs.base import InstanceCodec
from poise.codecs.roi import RoICodec, ScoreKind, check_output, within
from poise.errors import InputError
from poise.geometry import Boxes
from poise.structures import Points


@final
@dataclass(frozen=True)
class RoIAdapter(RoICodec):
    """A codec for views of one person, applied to a box that is stretched to the size of a view.

    The borders of the box become the borders of the view's outermost pixels: x becomes pixel (x - x0) w / (x1 - x0) - 0.5 of w.
    If views have as many pixels as maps have cells, every grid puts each cell on its part of the box.

    Attributes:
        codec: Codec for views of one person, with the same cells and keypoints.
        weight: Factor of its loss; `roi_weight` of the codec is one that suits a detector. The squared errors of `Gaussian` and
            its kin are halved, so that 2000 is a mean squared error times 1000; those of `Megvii` are not.
        height: Output of the head where the codec has 1: outputs are divided by it, and the loss is multiplied by its square. A
            squared error is then that from labels of this height.
    """

    codec: InstanceCodec
    weight: float = 1.0
    height: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a codec of other cells or keypoints, and factors that are not above 0."""
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
        """The codec inside boxes, with its own cells and keypoints."""
        return cls(codec.cells, codec.keypoints, codec, weight, height)

    @property
    def channels(self) -> int:
        """Number of maps of the codec."""
        return self.codec.channels

    @property
    def vectors(self) -> tuple[int, ...]:
        """Lengths of the codec's vectors."""
        return self.codec.vectors

    @property
    def output_type(self) -> str:
        """That of the codec."""
        return self.codec.output_type

    @property
    def quiet_start(self) -> bool:
        """True: losses weighted by up to thousands would send gradients into the trunk that drown those of the boxes."""
        return True

    @property
    def tolerance(self) -> float:
        """Tolerance of the codec, in cells."""
        return self.codec.tolerance * self._cells_a_pixel

    @property
    def pixel_tolerance(self) -> float:
        """0.001: only rounding."""
        return 1e-3

    @property
    def exceptions(self) -> Mapping[int, float]:
        """Exceptions of the codec: those of laws 1 and 3 in cells, that of law 4 times the factors of the loss."""
        unit = {1: self._cells_a_pixel, 3: self._cells_a_pixel, 4: self.weight * self.height**2}
        return {law: much * unit.get(law, 1) for law, much in self.codec.exceptions.items()}

    @property
    def score_kind(self) -> ScoreKind:
        """Probabilities, such as the height of a peak; they may be a little above 1 or below 0."""
        return "probability"

    def encode(self, xy: Float[Tensor, "n k 2"], boxes: Boxes) -> Float[Tensor, "n ..."]:
        """The perfect output of the codec, times `height`."""
        return self.codec.encode(self._to_view(xy, boxes)) * self.height

    def loss(
        self, output: Float[Tensor, "n ..."], xy: Float[Tensor, "n k 2"], visible: Int64[Tensor, "n k"], boxes: Boxes
    ) -> Float[Tensor, ""]:
        """`weight` times the codec's loss, as a mean over the labelled keypoints inside their boxes; 0 without any.

        The codec's own loss is a mean over all keypoints, labelled or not; this one is not, as that of `OneHot`.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_output(self, output)
        if len(boxes) == 0:
            return output.float().sum()  # a sum over nothing, which has a gradient
        labelled = visible * self._counts(xy, boxes)
        inside = torch.where((labelled > 0)[..., None], self._to_view(xy, boxes), 0)
        lost = self.codec.loss(output.float() / self.height, inside, labelled)
        return lost * (self.weight * self.height**2 * labelled.numel()) / (labelled > 0).sum().clamp(min=1)

    def decode(self, output: Float[Tensor, "n ..."], boxes: Boxes) -> Points:
        """Keypoints read by the codec, in pixels of the view that the boxes are in; a box without extent is a pixel wide.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_output(self, output)
        found = self.codec.decode(output.float() / self.height)
        share = (found.xy + 0.5) / self._size(boxes)
        return Points((share * _sides(boxes)[:, None] + boxes[:, None, :2]).float(), found.score)

    def unflip(self, output: Float[Tensor, "n ..."], flip: Int64[Tensor, " k"]) -> Float[Tensor, "n ..."]:
        """The output unflipped by the codec."""
        return self.codec.unflip(output, flip)

    def picture(self, output: Float[Tensor, "n ..."]) -> Float[Tensor, "n k h w"]:
        """The picture of the codec, of the output divided by `height`."""
        return self.codec.picture(output.float() / self.height)

    @property
    def _cells_a_pixel(self) -> float:
        return max(cells / pixels for cells, pixels in zip(self.cells, self.codec.size, strict=True))

    def _size(self, boxes: Boxes) -> Float[Tensor, " d"]:
        return boxes.new_tensor((self.codec.size[1], self.codec.size[0]))

    def _to_view(self, xy: Float[Tensor, "n k 2"], boxes: Boxes) -> Float[Tensor, "n k 2"]:
        return (xy - boxes[:, None, :2]) / _sides(boxes)[:, None] * self._size(boxes) - 0.5

    def _counts(self, xy: Float[Tensor, "n k 2"], boxes: Boxes) -> Bool[Tensor, "n k"]:
        """True for keypoints inside a box with an extent."""
        return within(xy, boxes) & (boxes[:, 2:] > boxes[:, :2]).all(dim=1)[:, None]


def _sides(boxes: Boxes) -> Float[Tensor, "n 2"]:
    """Width and height of boxes, pixels; 1 where a side has no extent."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return torch.where(sides > 0, sides, 1)
