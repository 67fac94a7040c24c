"""The labels of a data set in the coordinates of views, for round trips through codecs. No image is read, no network runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.dims import Size
from poise.evaluation.eval_set import EvalSet
from poise.geometry import apply
from poise.skeletons import Skeleton, convert
from poise.structures import Preprocess
from poise.transforms.crop import crop_warp


@final
@dataclass(frozen=True, eq=False)
class LabelledViews:
    """The labels of some people, each in the coordinates of a view of one person.

    Attributes:
        size: Size of the views (h, w), pixels.
        index: Index of the image of each person.
        rows: Row of each person in the labels of the image.
        boxes: x0 y0 x1 y1, pixels of the image.
        warps: Affine maps from image to view.
        xy: Labelled positions, pixels of the view.
        visible: 0 not labelled, 1 hidden, 2 in sight.
    """

    size: Size
    index: Int64[Tensor, " n"]
    rows: Int64[Tensor, " n"]
    boxes: Float[Tensor, "n 4"]
    warps: Float[Tensor, "n 3 3"]
    xy: Float[Tensor, "n k 2"]
    visible: Int64[Tensor, "n k"]

    def __len__(self) -> int:
        """Number of people."""
        return len(self.xy)

    @property
    def images(self) -> dict[int, Int64[Tensor, " p"]]:
        """Indices of the people of each image, by the index of the image."""
        found: dict[int, list[int]] = {}
        for person, index in enumerate(self.index.tolist()):
            found.setdefault(index, []).append(person)
        return {index: torch.tensor(people) for index, people in found.items()}

    @property
    def labelled(self) -> Bool[Tensor, "n k"]:
        """Mask of the labelled keypoints."""
        return self.visible > 0

    @property
    def inside(self) -> Bool[Tensor, "n k"]:
        """Mask of the labelled keypoints inside the view."""
        last = self.xy.new_tensor([self.size[1] - 1, self.size[0] - 1])
        return self.labelled & ((self.xy >= 0) & (self.xy <= last)).all(dim=-1)


def labelled_views(
    eval_set: EvalSet, cut: Preprocess, *, size: Size, skeleton: Skeleton, images: Sequence[int] | None = None
) -> LabelledViews:
    """The labels of all evaluated people in the coordinates of their views.

    Args:
        eval_set: The evaluation set.
        cut: How views are cropped.
        size: Size of the views (h, w), pixels.
        skeleton: The keypoints of the result, matched by name.
        images: Indices of the images; all by default.
    """
    index: list[int] = []
    rows: list[int] = []
    labels, boxes = [], [torch.zeros(0, 4)]
    for image in range(len(eval_set.dataset)) if images is None else images:
        own = eval_set.people(image)
        if own:
            index += [image] * len(own)
            rows += own
            labels.append(eval_set.dataset.labels(image).select(torch.tensor(own)))
            boxes.append(eval_set.boxes(image, cut.crop))
    every = torch.cat(boxes)
    warps = torch.stack([crop_warp(cut, box, size=size) for box in every]) if len(every) else torch.zeros(0, 3, 3)
    empty = torch.zeros(0, len(eval_set.skeleton), dtype=torch.int64)
    xy = torch.cat([empty.float()[..., None].expand(-1, -1, 2), *(part.xy for part in labels)])
    visible = torch.cat([empty, *(part.visible for part in labels)])
    xy, visible = convert(xy, visible, source=eval_set.skeleton, target=skeleton)
    seen = apply(warps.double(), xy.double()).float()
    return LabelledViews(size, torch.tensor(index).long(), torch.tensor(rows).long(), every, warps, seen, visible)
