"""Views of one person each with the body part that each pixel shows."""

from dataclasses import dataclass, fields, replace
from typing import Any, final

import cv2
import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from poise.data.synthetic_animals import MIRRORED_PARTS, NO_PART
from poise.models.views.base import ViewDataset
from poise.models.views.person import PersonViews
from poise.structures import Batch, Sample, View

UNKNOWN = NO_PART
"""Value of pixels whose part is not known: outside the image, and of images without part masks."""

_MIRRORED = np.arange(UNKNOWN + 1, dtype=np.uint8)
_MIRRORED[: len(MIRRORED_PARTS)] = MIRRORED_PARTS


@dataclass(frozen=True, eq=False)
class PartsView(View):
    """A view and the part that each of its pixels shows, 0 for the background, `UNKNOWN` where nobody knows."""

    parts: UInt8[Tensor, "H W"] = None  # type: ignore[assignment]  # fields of `View` have defaults


@dataclass(frozen=True, eq=False)
class PartsBatch(Batch):
    """Views of one size, stacked, and the parts of their pixels; None where they are not needed."""

    parts: UInt8[Tensor, "b h w"] | None = None

    def to(self, *args: Any, **kwargs: Any) -> "PartsBatch":
        """The batch on another device or with images of another dtype; arguments of `Tensor.to`."""
        moved = super().to(*args, **kwargs)
        return replace(moved, parts=None if self.parts is None else self.parts.to(device=moved.images.device))  # type: ignore[call-arg, return-value]  # it is one

    def pin_memory(self) -> "PartsBatch":
        """The batch in page-locked memory."""
        pinned = super().pin_memory()
        return replace(pinned, parts=None if self.parts is None else self.parts.pin_memory())  # type: ignore[call-arg, return-value]  # it is one


@final
class PartsViews(ViewDataset[PartsView, PartsBatch]):
    """The people of a data set as views with part masks (`Dataset.parts`).

    In a mirrored view left and right parts change their numbers (`data.synthetic_animals.MIRRORED_PARTS`), which CC-SSL's
    release leaves out.

    Args:
        people: The views without part masks.
    """

    def __init__(self, people: PersonViews) -> None:
        super().__init__(people.dataset, seed=people.seed)
        self.people = people

    def __len__(self) -> int:
        """Number of views in an epoch."""
        return len(self.people)

    def image(self, index: int) -> int:
        """The image of the person at that index."""
        return self.people.image(index)

    def cut(self, sample: Sample, index: int, generator: torch.Generator) -> PartsView:
        """The view of the person at that index."""
        view = self.people.cut(sample, index, generator)
        height, width = view.image.shape[1:]
        parts = self.dataset.parts(self.image(index))
        shown = torch.full((height, width), UNKNOWN, dtype=torch.uint8)
        if parts is not None:
            warp = view.warp[:2].double().numpy()
            cut = cv2.warpAffine(parts.numpy(), warp, (width, height), flags=cv2.INTER_NEAREST, borderValue=UNKNOWN)
            shown = torch.from_numpy(_MIRRORED[cut] if torch.linalg.det(view.warp[:2, :2]) < 0 else cut)
        return PartsView(**{field.name: getattr(view, field.name) for field in fields(view)}, parts=shown)

    def stack(self, views: list[PartsView]) -> PartsBatch:
        """A batch of views."""
        plain = Batch.of(list(views))
        values = {field.name: getattr(plain, field.name) for field in fields(plain)}
        return PartsBatch(**values, parts=torch.stack([view.parts for view in views]))
