"""The values that travel through the house. Frozen; no files, no drawing.

    files --data--> Sample --transforms--> View --training--> Batch --model.loss--> number
                                             |                     `-model.predict-> Points --View.warp^-1--> Poses
                                             `- warp: 3x3, sample pixels -> view pixels

What is labelled (`Labels`) and what is believed (`Points`, `Poses`) are different types.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar, get_args

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError


@dataclass(frozen=True)
class Key:
    """Which image a sample is: its file name, its id in the annotations, and which of several joined files it is from."""

    file_name: str
    image_id: int = 0
    source: int = 0


@dataclass(frozen=True, eq=False)
class Labels:
    """What is labelled in one image: n people (or animals) with k keypoints each.

    Attributes:
        xy: Positions in pixels; meaningless where `visible` is 0.
        visible: 0 not labelled, 1 labelled but hidden, 2 labelled and in sight (as COCO).
        boxes: x0 y0 x1 y1, pixels.
        area: Annotated area in square pixels (the s^2 of OKS).
        crowd: True where one annotation stands for a group.
        ids: Annotation ids.
        categories: Category ids.
    """

    xy: Float[Tensor, "n k 2"]
    visible: Int64[Tensor, "n k"]
    boxes: Float[Tensor, "n 4"]
    area: Float[Tensor, " n"]
    crowd: Bool[Tensor, " n"]
    ids: Int64[Tensor, " n"]
    categories: Int64[Tensor, " n"]

    @classmethod
    def of(
        cls,
        xy: Float[Tensor, "n k 2"],
        visible: Int64[Tensor, "n k"],
        boxes: Float[Tensor, "n 4"],
        *,
        area: Float[Tensor, " n"] | None = None,
    ) -> "Labels":
        """Labels without an annotation file behind them: area of the boxes, no crowds, ids from 1, category 1."""
        n = len(xy)
        size = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) if area is None else area
        ones = torch.ones(n, dtype=torch.int64)
        return cls(xy, visible, boxes, size, torch.zeros(n, dtype=torch.bool), torch.arange(1, n + 1), ones)

    def __len__(self) -> int:
        """How many people."""
        return len(self.xy)

    @property
    def unlabelled(self) -> Bool[Tensor, " n"]:
        """Which rows say that somebody is there, but not where the keypoints are: crowds, and people with none labelled."""
        return self.crowd | (self.visible == 0).all(dim=1)

    def ignore_mask(self, region: Callable[[Bool[Tensor, " n"]], Bool[Tensor, "H W"]]) -> Bool[Tensor, "H W"]:
        """Where an unlabelled keypoint may be: in crowds, but not on labelled people among them, and on silent people.

        Args:
            region: Which pixels the people of some rows cover.
        """
        crowd = region(self.crowd) & ~region(~self.unlabelled) if bool(self.crowd.any()) else region(self.crowd)
        return crowd | region(self.unlabelled & ~self.crowd)

    def select(self, rows: Tensor | slice) -> "Labels":
        """The people of `rows` (indices or a bool mask)."""
        return Labels(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True, eq=False)
class Sample:
    """A whole image and its labels.

    Attributes:
        image: RGB; its memory is rows of pixels, so a (H, W, 3) view costs nothing.
        labels: Of everybody in it.
        key: Which image.
        ignore: Where the labels say nothing about who is there (`Dataset.sample_with_ignore`); None where nobody asked.
        known: Keypoints that its data set labels at all; None for all.
        masks: Which pixels everybody covers (`Dataset.masks`); None where nobody asked.
    """

    image: UInt8[Tensor, "3 H W"]
    labels: Labels
    key: Key
    ignore: Bool[Tensor, "H W"] | None = None
    known: Bool[Tensor, " k"] | None = None
    masks: Bool[Tensor, "n H W"] | None = None

    @property
    def size(self) -> Size:
        """Height and width, pixels."""
        return self.image.shape[1], self.image.shape[2]


@dataclass(frozen=True, eq=False)
class View:
    """One person cut out of a sample, ready for a network.

    Attributes:
        image: Normalised as the model's `Preprocess` says.
        labels: Of this one person (n = 1), in pixels of the view.
        warp: Sample pixels to view pixels.
        key: Of the sample.
        person: Row of the person in the sample's labels.
    """

    image: Float[Tensor, "3 H W"]
    labels: Labels
    warp: Float[Tensor, "3 3"]
    key: Key
    person: int = 0


_T = TypeVar("_T", bound="Batch")


@dataclass(frozen=True, eq=False)
class Batch:
    """Views of one size, stacked."""

    images: Float[Tensor, "b 3 h w"]
    xy: Float[Tensor, "b k 2"]
    visible: Int64[Tensor, "b k"]
    warps: Float[Tensor, "b 3 3"]
    keys: tuple[Key, ...] = ()
    people: tuple[int, ...] = ()

    @classmethod
    def of(cls, views: list[View]) -> "Batch":
        """Stack views of one person each; all of one size."""
        if not views:
            raise InputError("a batch needs at least one view")
        return cls(
            images=torch.stack([v.image for v in views]),
            xy=torch.cat([v.labels.xy for v in views]),
            visible=torch.cat([v.labels.visible for v in views]),
            warps=torch.stack([v.warp for v in views]),
            keys=tuple(v.key for v in views),
            people=tuple(v.person for v in views),
        )

    def __len__(self) -> int:
        """How many views."""
        return len(self.images)

    def to(self, *args: Any, **kwargs: Any) -> "Batch":
        """The same batch elsewhere, as `Tensor.to`; a dtype is for the images alone. Lightning asks for this."""
        images = self.images.to(*args, **kwargs)
        moved = {n: getattr(self, n).to(device=images.device) for n in ("xy", "visible", "warps")}
        return replace(self, images=images, **moved)

    def pin_memory(self) -> "Batch":
        """The same batch in page-locked memory."""
        pinned = {n: getattr(self, n).pin_memory() for n in ("images", "xy", "visible", "warps")}
        return replace(self, **pinned)


@dataclass(frozen=True, eq=False)
class Points:
    """What a codec reads out of a network's answer: positions in pixels of the view, and how sure it is."""

    xy: Float[Tensor, "b k 2"]
    score: Float[Tensor, "b k"]


@dataclass(frozen=True, eq=False)
class Poses:
    """The people found in one image, in pixels of the image. Never clipped to it.

    Nothing is zeroed, but for what a model for whole images did not find of a person: such keypoints have score 0 and stand at
    0, 0 as in COCO's files.

    Attributes:
        xy: Positions.
        score: Of each keypoint.
        boxes: x0 y0 x1 y1 the people were looked for in; or around the keypoints that were found, where there were none.
        box_score: Of each box; 1 for boxes that are given, the pose's where there were none.
        pose_score: Of each person, after rescoring.
        key: Of the sample.
    """

    xy: Float[Tensor, "n k 2"]
    score: Float[Tensor, "n k"]
    boxes: Float[Tensor, "n 4"]
    box_score: Float[Tensor, " n"]
    pose_score: Float[Tensor, " n"]
    key: Key

    def __len__(self) -> int:
        """How many people."""
        return len(self.xy)

    def select(self, rows: Tensor) -> "Poses":
        """The people of `rows` (indices or a bool mask)."""
        names = ("xy", "score", "boxes", "box_score", "pose_score")
        return replace(self, **{n: getattr(self, n)[rows] for n in names})


@dataclass(frozen=True)
class Normalization:
    """What a network reads in place of RGB pixels: (value / 255 - mean) / std, in its order of channels.

    Attributes:
        channels: Order of the channels; Simple Baselines reads "bgr".
        mean: Of each channel, of values 0..1, in that order.
        std: Of each channel.
        fill: Colour of what lies outside the image, RGB of 0..255 (CPN: the mean colour).

    Raises:
        InputError: No colour.
    """

    channels: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    fill: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        """Check the colour outside."""
        if len(self.fill) != 3 or not all(0 <= value <= 255 for value in self.fill):
            raise InputError(f"preprocessing cannot be: fill is a colour, three values of 0 to 255, not {self.fill}")


CropRule = Literal["unbiased", "hrnet", "dark", "udp", "mspn", "cpn", "hourglass"]


@dataclass(frozen=True)
class Preprocess(Normalization):
    """How a model wants its views cut, and its answers rated.

    Attributes:
        crop: Whose rule cuts a box out of the image (`transforms/crop.py`).
        padding: The box grows by this factor before it is cut.
        sides: Its width and height grow by these factors first, before the box gets the aspect of the view (MSPN, CPN).
        flip_test: Whether the release averages with the mirrored view when it tests.
        min_keypoint_score: Keypoints above it make the score of a pose (rescoring).
        oks_nms: Of two poses nearer than this OKS only the better one stays.

    Raises:
        InputError: A crop rule nobody knows, sides without extent or no colour.
    """

    crop: CropRule = "unbiased"
    padding: float = 1.25
    sides: tuple[float, float] = (1.0, 1.0)
    flip_test: bool = True
    min_keypoint_score: float = 0.2
    oks_nms: float = 0.9

    def __post_init__(self) -> None:
        """Check what views are cut with."""
        super().__post_init__()
        rules = get_args(CropRule)
        if self.crop not in rules:
            raise InputError(f"preprocessing cannot be: no crop rule is called {self.crop!r}; there are {', '.join(rules)}")
        if len(self.sides) != 2 or not all(0 < side < float("inf") for side in self.sides):
            raise InputError(f"preprocessing cannot be: sides are two factors above 0 (width, height), not {self.sides}")

    @property
    def two_warps(self) -> bool:
        """Whether the release moves pixels by another warp than keypoints (CPN's, by half a pixel of the image).

        Keypoints, and predictions on their way home, go through `View.warp`; only pixels through `transforms.crop.pixel_warp`.
        """
        return self.crop == "cpn"


@dataclass(frozen=True)
class Architecture:
    """How to build a network again.

    Attributes:
        builder: Its name, `file:function` under `poise.zoo`.
        arguments: Of the builder, plain values.
        cells: Of the maps (h, w) that vectors are read off; None where the codec reads maps.
        vectors: Lengths of those vectors.
    """

    builder: str
    arguments: dict[str, Any] = field(default_factory=dict)
    cells: Size | None = None
    vectors: tuple[int, ...] = ()
