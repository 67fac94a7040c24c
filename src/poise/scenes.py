"""The values of models that read whole images (bottom-up models and whole detectors): their labels and their predictions.

Sample --transforms--> SceneView --training--> SceneBatch --model.loss--> number
                           |                       `-model.predict-> People --SceneView.warp^-1--> Poses
                           `- warp: 3x3, sample pixels -> view pixels
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError
from poise.structures import Key, Labels, Normalization

CanvasRule = Literal["unbiased", "offsetguided", "torchvision", "pillow", "detectron2", "mmdetection", "higherhrnet", "mmpose"]


@dataclass(frozen=True)
class Canvas(Normalization):
    """How a model that reads whole images wants them: the size they are resized to, and the padding added.

    Attributes:
        fill: Colour of the padding, RGB, 0 to 255 (OffsetGuided's, nearly the mean colour).
        side: Length that the fitted side of an image is resized to, pixels.
        fit: Side that is fitted: the longer one, the shorter one, or the height.
        most: Greatest length of the longer side where the shorter one is fitted, pixels; None for no limit.
        multiple: Height and width of a view are padded to a multiple of this, pixels.
        place: Position of the image in the padded view: in the upper left corner, or in the middle.
        rule: How pixels and keypoints are resampled (`transforms/canvas.py`). "unbiased" warps both by one matrix.
            "offsetguided" maps the centres of the corner pixels onto each other for keypoints, and the corners of the image for
            pixels. "torchvision" and "mmdetection" map the corners for both; so do "pillow" and "detectron2", which average
            pixels when they shrink an image. "higherhrnet" and "mmpose" warp both by one matrix that maps the middle of the
            image to that of the view: with "higherhrnet" the short side is `side`, with "mmpose" the view is a square of
            `side` into which the image fits.
        scales: Factors on `side`; with several the predictions are averaged (multi-scale test).
        flip_test: Whether the release averages the outputs of the view and its mirror image at test time.
        min_keypoint_score: Keypoints with a higher score are drawn.

    Raises:
        InputError: `side`, `most`, `multiple`, `scales` or `fill` has no valid value.
    """

    fill: tuple[float, float, float] = (124.0, 116.0, 104.0)
    side: int = 640
    fit: Literal["long", "height", "short"] = "long"
    most: int | None = None
    multiple: int = 128
    place: Literal["corner", "middle"] = "corner"
    rule: CanvasRule = "unbiased"
    scales: tuple[float, ...] = (1.0,)
    flip_test: bool = True
    min_keypoint_score: float = 0.05

    def __post_init__(self) -> None:
        """Check the sizes, the scales and the fill colour."""
        super().__post_init__()
        if min(self.side, self.multiple) < 1:
            raise InputError(f"canvas: side and multiple must be 1 pixel or more, found {self.side} and {self.multiple}")
        if self.most is not None and not (self.fit == "short" and self.most >= self.side):
            raise InputError(
                f"canvas: most limits the longer side, so it needs fit 'short' and a value of at least `side`; found most "
                f"{self.most} with fit {self.fit!r} and side {self.side}"
            )
        if not self.scales or not all(0 < scale < float("inf") for scale in self.scales):
            raise InputError(f"canvas: scales must be one or more factors above 0, found {self.scales}")

    @property
    def text(self) -> str:
        """The resize in words, for reports."""
        side = {"long": "long side", "short": "short side", "height": "height"}[self.fit]
        sizes = " and ".join(f"{max(1, round(self.side * scale))}" for scale in self.scales)
        return f"whole images, {side} {sizes} pixels, padded to multiples of {self.multiple}, resized as {self.rule}"


@dataclass(frozen=True, eq=False)
class SceneView:
    """A whole image, resized and padded to the input size of a network, with the labels of all people in it.

    Attributes:
        image: Pixels, normalised as the model's `Canvas` says.
        labels: Annotations of the people to be learnt, in pixels of the view; no crowds.
        extent: Side of the square that has the area of each person's annotated box, pixels of the view.
        ignore: Pixels that give no loss: crowds, and people without labelled keypoints.
        warp: Affine matrix from pixels of the sample to pixels of the view, for keypoints.
        key: File name and id of the image.
        known: True for each keypoint that the data set of this image annotates at all; None where it annotates all of them.
        inner: Size of the view without its padding at the right and below (h, w), pixels; None where there is none.
        masks: Segmentation mask of each person in the view, empty for people without one; None where masks were not asked for.
    """

    image: Float[Tensor, "3 H W"]
    labels: Labels
    extent: Float[Tensor, " n"]
    ignore: Bool[Tensor, "H W"]
    warp: Float[Tensor, "3 3"]
    key: Key
    known: Bool[Tensor, " k"] | None = None
    inner: Size | None = None
    masks: Bool[Tensor, "n H W"] | None = None

    @property
    def content_size(self) -> Size:
        """Size of the view without its padding (h, w), pixels."""
        return self.inner or (self.ignore.shape[0], self.ignore.shape[1])

    @property
    def supervised(self) -> Bool[Tensor, " k"]:
        """True for each keypoint that gives a loss in this view: those that its data set annotates."""
        return self.ignore.new_ones(self.labels.xy.shape[1]) if self.known is None else self.known


@dataclass(frozen=True, eq=False)
class Scenes:
    """The labels of b views of one size: n people in all, those of the first view before those of the second.

    Attributes:
        xy: Keypoint positions, pixels of their view.
        visible: Visibility of each keypoint: 0 not labelled, 1 hidden, 2 visible.
        boxes: Boxes x0 y0 x1 y1, pixels of their view.
        extent: Side of the square that has the area of each person's annotated box, pixels of the view.
        scene: Index of the view that each person is in, ascending.
        ignore: Pixels that give no loss; its shape is the number of views and their size.
        known: True for each keypoint that the data set of a view annotates at all. A keypoint that it does not annotate may be
            anywhere, so it gives no loss in that view (`supervised`). None where every data set annotates all of them.
        masks: Segmentation mask of each person in its view, empty for people without one, who then give no loss of masks; None
            where masks were not asked for.
    """

    xy: Float[Tensor, "n k 2"]
    visible: Int64[Tensor, "n k"]
    boxes: Float[Tensor, "n 4"]
    extent: Float[Tensor, " n"]
    scene: Int64[Tensor, " n"]
    ignore: Bool[Tensor, "b h w"]
    known: Bool[Tensor, "b k"] | None = None
    masks: Bool[Tensor, "n h w"] | None = None

    @property
    def supervised(self) -> Bool[Tensor, "b k"]:
        """True for each keypoint that gives a loss in a view: those that its data set annotates."""
        return self.ignore.new_ones(len(self), self.xy.shape[1]) if self.known is None else self.known

    @property
    def size(self) -> Size:
        """Size of the views (h, w), pixels."""
        return self.ignore.shape[1], self.ignore.shape[2]

    def __len__(self) -> int:
        """Number of views, b."""
        return len(self.ignore)

    def map_tensors(self, change: Callable[[Tensor], Tensor]) -> "Scenes":
        """A copy in which every tensor is the result of `change`, for instance moved to a device or pinned."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        changed: dict[str, Any] = {name: None if part is None else change(part) for name, part in parts.items()}
        return Scenes(**changed)


@dataclass(frozen=True, eq=False)
class SceneBatch:
    """Views of whole images, of one size, stacked.

    Attributes:
        images: Pixels of the b views, normalised.
        scenes: Labels of the people in them.
        warps: Affine matrix of each view, from pixels of the sample to pixels of the view, for keypoints.
        keys: File name and id of the image of each view; () where they are not needed.
        inner: Size of each view without its padding (h, w), pixels; () where no view has any.
    """

    images: Float[Tensor, "b 3 h w"]
    scenes: Scenes
    warps: Float[Tensor, "b 3 3"]
    keys: tuple[Key, ...] = ()
    inner: tuple[Size, ...] = ()

    @classmethod
    def of(cls, views: list[SceneView]) -> "SceneBatch":
        """Stack views.

        Args:
            views: At least one; all of one size.

        Raises:
            InputError: `views` is empty.
        """
        if not views:
            raise InputError("a batch needs at least one view, found none")
        scenes = Scenes(
            xy=torch.cat([v.labels.xy for v in views]),
            visible=torch.cat([v.labels.visible for v in views]),
            boxes=torch.cat([v.labels.boxes for v in views]),
            extent=torch.cat([v.extent for v in views]),
            scene=torch.repeat_interleave(torch.arange(len(views)), torch.tensor([len(v.labels) for v in views])),
            ignore=torch.stack([v.ignore for v in views]),
            known=torch.stack([v.supervised for v in views]),
            masks=_stacked([v.masks for v in views]),
        )
        images, warps = torch.stack([v.image for v in views]), torch.stack([v.warp for v in views])
        return cls(images, scenes, warps, tuple(v.key for v in views), tuple(v.content_size for v in views))

    def __len__(self) -> int:
        """Number of views, b."""
        return len(self.images)

    @property
    def content_size(self) -> tuple[Size, ...]:
        """Size of each view without its padding (h, w), pixels."""
        return self.inner or (self.scenes.size,) * len(self)

    def first(self, count: int) -> "SceneBatch":
        """A batch of the first `count` views, or of all where there are fewer."""
        scenes = self.scenes
        here = scenes.scene < count
        people = {n: getattr(scenes, n)[here] for n in ("xy", "visible", "boxes", "extent", "scene")}
        if scenes.masks is not None:
            people["masks"] = scenes.masks[here]
        known = None if scenes.known is None else scenes.known[:count]
        fewer = replace(scenes, ignore=scenes.ignore[:count], known=known, **people)
        keys, inner = self.keys[:count], self.inner[:count]
        return replace(self, images=self.images[:count], scenes=fewer, warps=self.warps[:count], keys=keys, inner=inner)

    def to(self, *args: Any, **kwargs: Any) -> "SceneBatch":
        """The batch on another device or with images of another dtype; arguments of `Tensor.to`. Lightning calls this.

        A dtype changes the images only.
        """
        images = self.images.to(*args, **kwargs)
        scenes = self.scenes.map_tensors(lambda part: part.to(device=images.device))
        return replace(self, images=images, scenes=scenes, warps=self.warps.to(device=images.device))

    def pin_memory(self) -> "SceneBatch":
        """The batch in page-locked memory."""
        scenes = self.scenes.map_tensors(lambda part: part.pin_memory())
        return replace(self, images=self.images.pin_memory(), scenes=scenes, warps=self.warps.pin_memory())


def _stacked(masks: list[Bool[Tensor, "_ h w"] | None]) -> Bool[Tensor, "n h w"] | None:
    """The masks of all views one after the other; None where a view has none."""
    asked = [own for own in masks if own is not None]
    return torch.cat(asked) if len(asked) == len(masks) else None


@dataclass(frozen=True, eq=False)
class People:
    """The people decoded from one view, best first, in pixels of the view.

    Attributes:
        xy: Keypoint positions. A keypoint that was not found has score 0 and position (0, 0), as in COCO's files.
        score: Confidence of each keypoint.
        pose_score: Confidence of each person.
        detected_boxes: Boxes x0 y0 x1 y1 from a detector; None for a model without a box head. With them every keypoint counts
            as found, whatever its score.
        box_score: Confidence of each detected box; None for a model without a box head.
        masks: Probability of each cell of each box that it shows the person; None for a model without a mask head.
    """

    xy: Float[Tensor, "n k 2"]
    score: Float[Tensor, "n k"]
    pose_score: Float[Tensor, " n"]
    detected_boxes: Float[Tensor, "n 4"] | None = None
    box_score: Float[Tensor, " n"] | None = None
    masks: Float[Tensor, "n mh mw"] | None = None

    def __len__(self) -> int:
        """Number of people, n."""
        return len(self.xy)

    def map_tensors(self, change: Callable[[Tensor], Tensor]) -> "People":
        """A copy in which every tensor is the result of `change`, for instance moved to a device."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        changed: dict[str, Any] = {name: None if part is None else change(part) for name, part in parts.items()}
        return People(**changed)

    @property
    def boxes(self) -> Float[Tensor, "n 4"]:
        """Boxes x0 y0 x1 y1: the detected ones, else around the keypoints that were found; 0 for a person without any."""
        if self.detected_boxes is not None:
            return self.detected_boxes
        found = (self.score > 0)[..., None]
        low = self.xy.masked_fill(~found, torch.inf).amin(dim=1)
        high = self.xy.masked_fill(~found, -torch.inf).amax(dim=1)
        return torch.cat((low, high), dim=1).nan_to_num(0.0, 0.0, 0.0)
