"""The contract between keypoints in a detector's boxes and its keypoint head, and its laws."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError
from poise.geometry import Boxes
from poise.structures import Points

ScoreKind = Literal["logit", "probability"]
"""`logit`: any number, higher for more confident keypoints; it can only rank keypoints of one model. `probability`: about 0 to
1, so that it may be multiplied with the score of a box."""


@dataclass(frozen=True)
class RoICodec(ABC):
    """Codec for the keypoint head of a detector: its outputs are for boxes, x0 y0 x1 y1 in pixels of the view.

    All methods work on the boxes of all views at once, on the device of their input. The cells of a map tile the box: cell i of
    w along x has its middle at x0 + (i + 0.5) (x1 - x0) / w, so that a mirrored box has mirrored cells. An output is one
    tensor: maps (n c h w), or vectors (n k m) if `vectors` is not empty. Boxes have any size.

    Laws, checked for every file of this folder, for keypoints inside boxes that have an extent:

    1. decode(encode(xy, boxes), boxes).xy is xy, to within `tolerance` cells of its box plus `pixel_tolerance` pixels.
    2. unflip(unflip(output)) is output.
    3. decode(unflip(encode(mirrored xy, mirrored boxes)), boxes).xy is xy, to within the same tolerance.
    4. loss(encode(xy, boxes), xy, visible, boxes) is 0, and below the loss of any shifted output.
    5. A keypoint that is not labelled (visible 0), or is outside of its box, sends no gradient back. Without any other
       keypoint, and without any box, the loss is 0.

    A codec that breaks a law on purpose says so in `exceptions`, as `InstanceCodec` does; for laws 1 and 3 in cells.

    Attributes:
        cells: Size of a map (h, w), cells.
        keypoints: Number of keypoints, k.
    """

    cells: Size
    keypoints: int

    def __post_init__(self) -> None:
        """Refuse maps without extent."""
        if min(*self.cells, self.keypoints) < 1:
            raise InputError(
                f"{type(self).__name__} needs positive sizes, found cells {self.cells} and {self.keypoints} keypoints"
            )

    @property
    @abstractmethod
    def channels(self) -> int:
        """Number of maps that the head must give, c."""

    @property
    def vectors(self) -> tuple[int, ...]:
        """Lengths of the vectors that a readout layer makes of each keypoint's map, as in `InstanceCodec`; empty for maps."""
        return ()

    @property
    @abstractmethod
    def tolerance(self) -> float:
        """Largest error that laws 1 and 3 allow, cells of the box."""

    @property
    @abstractmethod
    def pixel_tolerance(self) -> float:
        """Error that they allow beside that, pixels of the view: 0.5 where maps are read at whole pixels."""

    @property
    def exceptions(self) -> Mapping[int, float]:
        """Laws that this codec breaks on purpose, and by how much; none by default."""
        return {}

    @property
    @abstractmethod
    def score_kind(self) -> ScoreKind:
        """Type of the scores of `decode`."""

    @property
    def output_type(self) -> str:
        """Type of a keypoint's channels, as `InstanceCodec.output_type`; by default the name of the class."""
        return type(self).__name__

    @property
    def quiet_start(self) -> bool:
        """Whether the weights of the layer that makes the outputs start near 0 (`zoo.rcnn.presets`); by default they do not."""
        return False

    @abstractmethod
    def encode(self, xy: Float[Tensor, "n k 2"], boxes: Boxes) -> Float[Tensor, "n ..."]:
        """The perfect output for keypoints at `xy` (pixels of the view), all of them labelled."""

    @abstractmethod
    def loss(
        self, output: Float[Tensor, "n ..."], xy: Float[Tensor, "n k 2"], visible: Int64[Tensor, "n k"], boxes: Boxes
    ) -> Float[Tensor, ""]:
        """Loss of an output for keypoints at `xy`. `visible`: 0 not labelled, 1 labelled but hidden, 2 visible."""

    @abstractmethod
    def decode(self, output: Float[Tensor, "n ..."], boxes: Boxes) -> Points:
        """Keypoints (pixels of the view) and scores. Where a score is not finite it is 0, at the highest cell."""

    @abstractmethod
    def unflip(self, output: Float[Tensor, "n ..."], flip: Int64[Tensor, " k"]) -> Float[Tensor, "n ..."]:
        """The output for the mirrored boxes of a mirrored view, converted to one for the boxes. `flip` is `Skeleton.flip`."""

    @abstractmethod
    def picture(self, output: Float[Tensor, "n ..."]) -> Float[Tensor, "n k h w"]:
        """Maps to look at, 0 to 1."""


def within(xy: Float[Tensor, "n k 2"], boxes: Boxes) -> Bool[Tensor, "n k"]:
    """True for keypoints inside their boxes, the border included."""
    return ((xy >= boxes[:, None, :2]) & (xy <= boxes[:, None, 2:])).all(dim=-1)


def has_labelled_keypoint(xy: Float[Tensor, "n k 2"], visible: Int64[Tensor, "n k"], boxes: Boxes) -> Bool[Tensor, " n"]:
    """True for proposals with a labelled keypoint inside of `boxes`: the keypoint head is trained on these.

    Args:
        xy: Keypoints of the person that each proposal was matched with, pixels of the view.
        visible: 0 not labelled, 1 labelled but hidden, 2 visible.
        boxes: The proposals themselves; or, as in Mask R-CNN's releases, the labelled boxes of those people.
    """
    return (within(xy, boxes) & (visible > 0)).any(dim=1)


def check_output(codec: RoICodec, output: Float[Tensor, "n ..."]) -> None:
    """Check that an output has the number and the size of the codec's maps or vectors.

    Raises:
        InputError: It has others; the message says both.
    """
    expected = (codec.keypoints, sum(codec.vectors)) if codec.vectors else (codec.channels, *codec.cells)
    if output.shape[1:] != expected:
        raise InputError(
            f"{type(codec).__name__} reads outputs of shape {expected} for each box, found {tuple(output.shape[1:])}; "
            "the network must be built for this codec"
        )
