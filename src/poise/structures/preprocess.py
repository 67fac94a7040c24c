"""What a model file says beside its weights: how pixels are prepared, and how the network is built again."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from poise.dims import Size
from poise.errors import InputError


@dataclass(frozen=True)
class Normalization:
    """How RGB pixels become the input of a network: (value / 255 - mean) / std, in the network's order of channels.

    Attributes:
        channels: Order of the channels that the network reads; Simple Baselines reads "bgr".
        mean: Mean of each channel, of values 0..1, in that order.
        std: Standard deviation of each channel, of values 0..1, in that order.
        fill: Colour of what lies outside the image, RGB, 0 to 255 (CPN: the mean colour).

    Raises:
        InputError: `fill` is not a colour.
    """

    channels: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    fill: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        """Check `fill`."""
        if len(self.fill) != 3 or not all(0 <= value <= 255 for value in self.fill):
            raise InputError(f"preprocessing: `fill` must be a colour, three values from 0 to 255, found {self.fill}")


CropRule = Literal["unbiased", "hrnet", "dark", "udp", "mspn", "cpn", "hourglass"]


@dataclass(frozen=True)
class Preprocess(Normalization):
    """How the crops of a top-down model are made, and how its poses are rescored and suppressed.

    Attributes:
        crop: Release whose rule crops a box from the image (`transforms/crop.py`).
        padding: Factor by which the box grows before it is cut.
        sides: Factors by which width and height grow first, before the box gets the aspect ratio of the view (MSPN, CPN).
        flip_test: Whether the release averages the outputs of the view and its mirror image at test time.
        min_keypoint_score: Keypoints with a higher score count for the score of a pose (rescoring).
        oks_nms: OKS above which the worse of two poses is removed.
        stretch: Whether the values of each view, all channels together, are stretched to 0 to 255 before they are normalised,
            as the releases of stacked hourglasses do by resizing with scipy's `imresize` (golden t04).

    Raises:
        InputError: The crop rule does not exist, `sides` are not above 0, or `fill` is not a colour.
    """

    crop: CropRule = "unbiased"
    padding: float = 1.25
    sides: tuple[float, float] = (1.0, 1.0)
    flip_test: bool = True
    min_keypoint_score: float = 0.2
    oks_nms: float = 0.9
    stretch: bool = False

    def __post_init__(self) -> None:
        """Check the crop rule, the sides and the fill colour."""
        super().__post_init__()
        rules = get_args(CropRule)
        if self.crop not in rules:
            raise InputError(f"preprocessing: there is no crop rule {self.crop!r}; there are {', '.join(rules)}")
        if len(self.sides) != 2 or not all(0 < side < float("inf") for side in self.sides):
            raise InputError(f"preprocessing: `sides` must be two factors above 0 (width, height), found {self.sides}")

    @property
    def two_warps(self) -> bool:
        """Whether the release warps pixels and keypoints differently (CPN's do, by half a pixel of the image).

        Keypoints, and predictions on the way back to the image, use `View.warp`; pixels use `transforms.crop.pixel_warp`.
        """
        return self.crop == "cpn"


@dataclass(frozen=True)
class Architecture:
    """How to build a network again.

    Attributes:
        builder: Name of the builder, `file:function` under `poise.zoo`.
        arguments: Arguments of the builder, plain values by name.
        cells: Size of the feature map (h, w) that vectors are read from, in cells; None where the codec decodes maps.
        vectors: Lengths of those vectors, in bins.
        adaptation: Channels of the feature maps that a domain adaptation layer changes; () for none.
    """

    builder: str
    arguments: dict[str, Any] = field(default_factory=dict)
    cells: Size | None = None
    vectors: tuple[int, ...] = ()
    adaptation: tuple[int, ...] = ()
