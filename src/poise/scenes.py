"""The values of models that find people by themselves, in whole images: what is labelled there, what was read out of it.

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


@dataclass(frozen=True)
class Canvas(Normalization):
    """How a model that looks at whole images wants them: to which size they are brought, and what is added around.

    Attributes:
        fill: Colour of what is added (OffsetGuided's, nearly the mean colour).
        side: Pixels that one side of an image gets.
        fit: Which side: the long or the short one, or the height.
        most: Pixels the long side gets at most where the short one is fitted; None for no limit.
        multiple: Each side of a view is a multiple of this; what is missing is added.
        place: Where the image lies in the view: in its left upper corner, or in the middle.
        rule: "unbiased" moves pixels and keypoints by one warp; OffsetGuided's release moves the corners' centres onto each
            other for keypoints and the corners for pixels; detectors' releases move corners onto each other for both
            ("torchvision", and with averaged pixels "pillow" and "detectron2") (`transforms/canvas.py`).
        scales: Factors on `side`; with several the answers are averaged (multi-scale test).
        flip_test: Whether the release averages with the mirrored view when it tests.
        min_keypoint_score: Keypoints above it are drawn.

    Raises:
        InputError: A side, multiple or factor that cannot be.
    """

    fill: tuple[float, float, float] = (124.0, 116.0, 104.0)
    side: int = 640
    fit: Literal["long", "height", "short"] = "long"
    most: int | None = None
    multiple: int = 128
    place: Literal["corner", "middle"] = "corner"
    rule: Literal["unbiased", "offsetguided", "torchvision", "pillow", "detectron2"] = "unbiased"
    scales: tuple[float, ...] = (1.0,)
    flip_test: bool = True
    min_keypoint_score: float = 0.05

    def __post_init__(self) -> None:
        """Check what views are made with."""
        super().__post_init__()
        if min(self.side, self.multiple) < 1:
            raise InputError(f"a canvas cannot be: side {self.side} and multiple {self.multiple} are pixels, 1 and more")
        if self.most is not None and not (self.fit == "short" and self.most >= self.side):
            raise InputError(
                f"a canvas cannot be: most limits the long side where the short one is fitted, and is not below it; found "
                f"most {self.most} with fit {self.fit!r} and side {self.side}"
            )
        if not self.scales or not all(0 < scale < float("inf") for scale in self.scales):
            raise InputError(f"a canvas cannot be: scales are factors above 0, at least one, not {self.scales}")


@dataclass(frozen=True, eq=False)
class SceneView:
    """A whole sample brought to the size of a view, ready for a network that finds people by itself.

    Attributes:
        image: Normalised as the model's `Canvas` says.
        labels: Of everybody to be learnt, in pixels of the view; no crowds.
        extent: Side of the square as large as each person's annotated box, pixels of the view.
        ignore: Where nothing is to be learnt: crowds, and people whose keypoints nobody labelled.
        warp: Sample pixels to view pixels, of the keypoints.
        key: Of the sample.
        known: Keypoints that the sample's data set labels at all; None for all of them.
        inner: How much of the view, from its left upper corner, is no filling (h, w); None for all of it.
        masks: Where each of the people is in the view, nowhere if nobody outlined them; None where nobody asked.
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
        """How much of the view is no filling (h, w)."""
        return self.inner or (self.ignore.shape[0], self.ignore.shape[1])

    @property
    def supervised(self) -> Bool[Tensor, " k"]:
        """Which keypoints can be learnt from this view."""
        return self.ignore.new_ones(self.labels.xy.shape[1]) if self.known is None else self.known


@dataclass(frozen=True, eq=False)
class Scenes:
    """Who is in each of b views of one size: n people in all, those of one view after those of the one before.

    Attributes:
        xy: Pixels of their view.
        visible: 0 not labelled, 1 hidden, 2 in sight.
        boxes: x0 y0 x1 y1, pixels of their view.
        extent: Side of the square as large as each person's annotated box, pixels of the view.
        scene: In which view each person is, ascending.
        ignore: Where nothing is to be learnt; its shape is the number of views and their size.
        known: Keypoints that the data set a view comes from labels at all: where it does not, nobody can say that a place
            holds none, so nothing is to be learnt of them in this view (`supervised`). None for all.
        masks: Where each person is in its view; nowhere if nobody outlined them, and then nothing is to be learnt of it. None
            where nobody asked.
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
        """Which keypoints can be learnt from each view: those that its data set labels."""
        return self.ignore.new_ones(len(self), self.xy.shape[1]) if self.known is None else self.known

    @property
    def size(self) -> Size:
        """Of the views (h, w), pixels."""
        return self.ignore.shape[1], self.ignore.shape[2]

    def __len__(self) -> int:
        """How many views."""
        return len(self.ignore)

    def map_tensors(self, change: Callable[[Tensor], Tensor]) -> "Scenes":
        """The same with every tensor changed: moved to a device, pinned."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        changed: dict[str, Any] = {name: None if part is None else change(part) for name, part in parts.items()}
        return Scenes(**changed)


@dataclass(frozen=True, eq=False)
class SceneBatch:
    """Views of whole samples, of one size, stacked.

    Attributes:
        images: The views.
        scenes: Who is in them.
        warps: Of each, sample pixels to view pixels, of the keypoints.
        keys: Of the samples.
        inner: How much of each view, from its left upper corner, is no filling (h, w); () for all of them.
    """

    images: Float[Tensor, "b 3 h w"]
    scenes: Scenes
    warps: Float[Tensor, "b 3 3"]
    keys: tuple[Key, ...] = ()
    inner: tuple[Size, ...] = ()

    @classmethod
    def of(cls, views: list[SceneView]) -> "SceneBatch":
        """Stack views; all of one size."""
        if not views:
            raise InputError("a batch needs at least one view")
        scenes = Scenes(
            xy=torch.cat([v.labels.xy for v in views]),
            visible=torch.cat([v.labels.visible for v in views]),
            boxes=torch.cat([v.labels.boxes for v in views]),
            extent=torch.cat([v.extent for v in views]),
            scene=torch.repeat_interleave(torch.arange(len(views)), torch.tensor([len(v.labels) for v in views])),
            ignore=torch.stack([v.ignore for v in views]),
            known=torch.stack([v.supervised for v in views]),
            masks=_together([v.masks for v in views]),
        )
        images, warps = torch.stack([v.image for v in views]), torch.stack([v.warp for v in views])
        return cls(images, scenes, warps, tuple(v.key for v in views), tuple(v.content_size for v in views))

    def __len__(self) -> int:
        """How many views."""
        return len(self.images)

    @property
    def content_size(self) -> tuple[Size, ...]:
        """How much of each view is no filling (h, w)."""
        return self.inner or (self.scenes.size,) * len(self)

    def first(self, count: int) -> "SceneBatch":
        """The first views of it, at most `count`."""
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
        """The same batch elsewhere, as `Tensor.to`; a dtype is for the images alone. Lightning asks for this."""
        images = self.images.to(*args, **kwargs)
        scenes = self.scenes.map_tensors(lambda part: part.to(device=images.device))
        return replace(self, images=images, scenes=scenes, warps=self.warps.to(device=images.device))

    def pin_memory(self) -> "SceneBatch":
        """The same batch in page-locked memory."""
        scenes = self.scenes.map_tensors(lambda part: part.pin_memory())
        return replace(self, images=self.images.pin_memory(), scenes=scenes, warps=self.warps.pin_memory())


def _together(masks: list[Bool[Tensor, "_ h w"] | None]) -> Bool[Tensor, "n h w"] | None:
    """Masks of all views; None if those of a view were not asked for."""
    asked = [own for own in masks if own is not None]
    return torch.cat(asked) if len(asked) == len(masks) else None


@dataclass(frozen=True, eq=False)
class People:
    """The people read out of one view, best first, in pixels of the view.

    Attributes:
        xy: Positions; a keypoint that was not found has score 0 and stands at 0, 0, as COCO writes it.
        score: Of each keypoint.
        pose_score: Of each person.
        detected_boxes: Boxes x0 y0 x1 y1 from the detector, pixels of the view; None for a model without a box branch.
            With them every keypoint counts as found, whatever its score.
        box_score: Of those.
    """

    xy: Float[Tensor, "n k 2"]
    score: Float[Tensor, "n k"]
    pose_score: Float[Tensor, " n"]
    detected_boxes: Float[Tensor, "n 4"] | None = None
    box_score: Float[Tensor, " n"] | None = None

    def __len__(self) -> int:
        """How many people."""
        return len(self.xy)

    @property
    def boxes(self) -> Float[Tensor, "n 4"]:
        """x0 y0 x1 y1: those that were found, or around the keypoints that were found; 0 where none was."""
        if self.detected_boxes is not None:
            return self.detected_boxes
        found = (self.score > 0)[..., None]
        low = self.xy.masked_fill(~found, torch.inf).amin(dim=1)
        high = self.xy.masked_fill(~found, -torch.inf).amax(dim=1)
        return torch.cat((low, high), dim=1).nan_to_num(0.0, 0.0, 0.0)
