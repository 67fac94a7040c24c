"""The labels of a data set as views show them, and what comes back through a codec. No image is read, no network asked."""

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
    """The people of some images, each in a view of their own.

    Attributes:
        size: Of the views (h, w).
        index: Of the image of each person.
        rows: Of the person in the image's labels.
        boxes: x0 y0 x1 y1, pixels of the image.
        warps: From the image to the view.
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
        """How many people."""
        return len(self.xy)

    @property
    def images(self) -> dict[int, Int64[Tensor, " p"]]:
        """The people of each image, by its place."""
        found: dict[int, list[int]] = {}
        for person, index in enumerate(self.index.tolist()):
            found.setdefault(index, []).append(person)
        return {index: torch.tensor(people) for index, people in found.items()}

    @property
    def labelled(self) -> Bool[Tensor, "n k"]:
        """Which keypoints are labelled."""
        return self.visible > 0

    @property
    def inside(self) -> Bool[Tensor, "n k"]:
        """Which keypoints are labelled, and inside of their view."""
        last = self.xy.new_tensor([self.size[1] - 1, self.size[0] - 1])
        return self.labelled & ((self.xy >= 0) & (self.xy <= last)).all(dim=-1)


def labelled_views(
    eval_set: EvalSet, cut: Preprocess, *, size: Size, skeleton: Skeleton, images: Sequence[int] | None = None
) -> LabelledViews:
    """The views of everybody one can look for.

    Args:
        eval_set: The data set.
        cut: How views are cut.
        size: Of the views (h, w).
        skeleton: The keypoints wanted, found by name.
        images: Places of the images that count; all by default.
    """
    index: list[int] = []
    rows: list[int] = []
    labels, boxes = [], [torch.zeros(0, 4)]
    for place in range(len(eval_set.dataset)) if images is None else images:
        own = eval_set.people(place)
        if own:
            index += [place] * len(own)
            rows += own
            labels.append(eval_set.dataset.labels(place).select(torch.tensor(own)))
            boxes.append(eval_set.boxes(place, cut.crop))
    where = torch.cat(boxes)
    warps = torch.stack([crop_warp(cut, box, size=size) for box in where]) if len(where) else torch.zeros(0, 3, 3)
    empty = torch.zeros(0, len(eval_set.skeleton), dtype=torch.int64)
    found = torch.cat([empty.float()[..., None].expand(-1, -1, 2), *(part.xy for part in labels)])
    visible = torch.cat([empty, *(part.visible for part in labels)])
    xy, visible = convert(found, visible, source=eval_set.skeleton, target=skeleton)
    seen = apply(warps.double(), xy.double()).float()
    return LabelledViews(size, torch.tensor(index).long(), torch.tensor(rows).long(), where, warps, seen, visible)
