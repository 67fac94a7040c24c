"""What a top-down network is trained on: `View`, the crop of one person, and `Batch`, views of one size."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.errors import InputError
from poise.structures.samples import Key, Labels


@dataclass(frozen=True, eq=False)
class View:
    """The crop of one person, resampled to the input size of a network.

    Attributes:
        image: Pixels, normalised as the model's `Preprocess` says.
        labels: Annotation of this person (n = 1), in pixels of the view.
        warp: Affine matrix from pixels of the sample to pixels of the view.
        key: File name and id of the image.
        person: Index of the person in the labels of the sample.
    """

    image: Float[Tensor, "3 H W"]
    labels: Labels
    warp: Float[Tensor, "3 3"]
    key: Key
    person: int = 0


@dataclass(frozen=True, eq=False)
class Batch:
    """Views of one size, stacked.

    Attributes:
        images: Pixels of the b views, normalised.
        xy: Keypoint positions, pixels of the view.
        visible: Visibility of each keypoint: 0 not labelled, 1 hidden, 2 visible.
        warps: Affine matrix of each view, from pixels of the sample to pixels of the view.
        keys: File name and id of the image of each view; () where they are not needed.
        people: Index of each person in the labels of its sample; () where they are not needed.
    """

    images: Float[Tensor, "b 3 h w"]
    xy: Float[Tensor, "b k 2"]
    visible: Int64[Tensor, "b k"]
    warps: Float[Tensor, "b 3 3"]
    keys: tuple[Key, ...] = ()
    people: tuple[int, ...] = ()

    @classmethod
    def of(cls, views: list[View]) -> "Batch":
        """Stack views of one person each.

        Args:
            views: At least one; all of one size.

        Raises:
            InputError: `views` is empty.
        """
        if not views:
            raise InputError("a batch needs at least one view, found none")
        return cls(
            images=torch.stack([v.image for v in views]),
            xy=torch.cat([v.labels.xy for v in views]),
            visible=torch.cat([v.labels.visible for v in views]),
            warps=torch.stack([v.warp for v in views]),
            keys=tuple(v.key for v in views),
            people=tuple(v.person for v in views),
        )

    def __len__(self) -> int:
        """Number of views, b."""
        return len(self.images)

    def to(self, *args: Any, **kwargs: Any) -> "Batch":
        """The batch on another device or with images of another dtype; arguments of `Tensor.to`. Lightning calls this.

        A dtype changes the images only.
        """
        images = self.images.to(*args, **kwargs)
        moved = {n: getattr(self, n).to(device=images.device) for n in ("xy", "visible", "warps")}
        return replace(self, images=images, **moved)

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory."""
        pinned = {n: getattr(self, n).pin_memory() for n in ("images", "xy", "visible", "warps")}
        return replace(self, **pinned)
