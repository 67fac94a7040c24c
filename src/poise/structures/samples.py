"""An image and its annotations: `Key`, `Labels`, `Sample`."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from poise.dims import Size


@dataclass(frozen=True)
class Key:
    """The image of a sample.

    Attributes:
        file_name: Name of the image file, as the annotation file or the caller gives it.
        image_id: Id of the image in its annotation file.
        source: Index of its data set among several that are trained together (`data.combined`).
        frame: Index of the frame, from 0, where the image is one of a video; None for a photo.
        time: Seconds from the start of the video; None for a photo.
    """

    file_name: str
    image_id: int = 0
    source: int = 0
    frame: int | None = None
    time: float | None = None


@dataclass(frozen=True, eq=False)
class Labels:
    """The annotations of one image: n people (or animals) with k keypoints each.

    Attributes:
        xy: Keypoint positions, pixels of the image; meaningless where `visible` is 0.
        visible: Visibility of each keypoint as in COCO: 0 not labelled, 1 labelled but hidden, 2 labelled and visible.
        boxes: Boxes x0 y0 x1 y1, pixels of the image.
        area: Annotated area of each person, square pixels (the s^2 of OKS).
        crowd: True for an annotation that stands for a group (COCO's `iscrowd`).
        ids: Annotation id of each person.
        categories: Category id of each person.
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
        """Labels that do not come from an annotation file: no crowds, ids from 1, category 1.

        Args:
            xy: Keypoint positions, pixels of the image.
            visible: Visibility of each keypoint: 0 not labelled, 1 hidden, 2 visible.
            boxes: Boxes x0 y0 x1 y1, pixels of the image.
            area: Area of each person, square pixels; by default the area of the box.
        """
        n = len(xy)
        size = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) if area is None else area
        ones = torch.ones(n, dtype=torch.int64)
        return cls(xy, visible, boxes, size, torch.zeros(n, dtype=torch.bool), torch.arange(1, n + 1), ones)

    def __len__(self) -> int:
        """Number of people, n."""
        return len(self.xy)

    @property
    def unlabelled(self) -> Bool[Tensor, " n"]:
        """True for annotations without keypoint positions: crowds, and people with no labelled keypoint."""
        return self.crowd | (self.visible == 0).all(dim=1)

    def ignore_mask(self, region: Callable[[Bool[Tensor, " n"]], Bool[Tensor, "H W"]]) -> Bool[Tensor, "H W"]:
        """Pixels where an unlabelled keypoint may be, so that they are no background for the loss.

        These are the pixels of crowds, without those of labelled people inside them, and the pixels of unlabelled people.

        Args:
            region: Returns the pixels covered by the people that a mask selects.
        """
        crowd = region(self.crowd) & ~region(~self.unlabelled) if bool(self.crowd.any()) else region(self.crowd)
        return crowd | region(self.unlabelled & ~self.crowd)

    def select(self, index: Tensor | slice) -> "Labels":
        """Labels of some of the people, chosen by indices, a bool mask or a slice."""
        return Labels(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass(frozen=True, eq=False)
class Sample:
    """A whole image and its labels.

    Attributes:
        image: RGB, 0 to 255; stored row by row, so that a view of shape (H, W, 3) needs no copy.
        labels: Annotations of all people in the image.
        key: File name and id of the image.
        ignore: Unlabelled pixels, which may show people (`Dataset.sample_with_ignore`); None where
            that was not asked for.
        known: True for each keypoint that this data set annotates at all; None where it annotates all of them.
        masks: Segmentation mask of each person (`Dataset.sample_with_masks`); None where that was not asked for.
    """

    image: UInt8[Tensor, "3 H W"]
    labels: Labels
    key: Key
    ignore: Bool[Tensor, "H W"] | None = None
    known: Bool[Tensor, " k"] | None = None
    masks: Bool[Tensor, "n H W"] | None = None

    @property
    def size(self) -> Size:
        """Size of the image (h, w), pixels."""
        return self.image.shape[1], self.image.shape[2]
