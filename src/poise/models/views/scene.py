"""Views of whole images, in which a model finds people by itself."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from poise.data.base import Dataset
from poise.dims import Size
from poise.models.views.base import ViewDataset
from poise.scenes import Canvas, SceneBatch, SceneView
from poise.skeletons import Skeleton
from poise.structures import Sample
from poise.transforms.scene_crop import SceneCrop

T = TypeVar("T")
"""What is said about a view."""

Crop = Callable[[Sample, torch.Generator], SceneView]
"""Brings a sample to a view."""


@final
@dataclass(frozen=True)
class WholeImageCrop:
    """Brings whole images to views as they are tested: as large as the model's canvas says, each of its own size."""

    canvas: Canvas
    skeleton: Skeleton

    def __call__(self, sample: Sample, generator: torch.Generator) -> SceneView:
        """The view of a sample; chance has no part in it."""
        side = self.canvas.side
        return SceneCrop((side, side), self.canvas, self.skeleton).test_view(sample)


@final
class SceneViews(ViewDataset[SceneView, SceneBatch]):
    """Images of a data set as views.

    Args:
        dataset: Where the images are.
        crop: Brings them to the size of views.
        seed: Of all chances.
        images: Which of them, by their indices.
    """

    def __init__(self, dataset: Dataset, crop: Crop, *, seed: int, images: Sequence[int]) -> None:
        super().__init__(dataset, seed=seed)
        self.crop = crop
        self.images = images

    def __len__(self) -> int:
        """How many views an epoch has."""
        return len(self.images)

    def image(self, index: int) -> int:
        """The image in that place."""
        return self.images[index]

    def sample(self, image: int) -> Sample:
        """The image, and where its labels say nothing: empty places are learnt from too."""
        return self.dataset.sample_with_ignore(image)

    def cut(self, sample: Sample, index: int, generator: torch.Generator) -> SceneView:
        """The view of the image in that place."""
        return self.crop(sample, generator)

    def stack(self, views: list[SceneView]) -> SceneBatch:
        """Views to one batch; smaller ones grow to the right and downwards."""
        size = max(v.ignore.shape[0] for v in views), max(v.ignore.shape[1] for v in views)
        return SceneBatch.of([grown(v, size) for v in views])


def grown(view: SceneView, size: Size) -> SceneView:
    """A view with as much of the mean colour at its right and lower edge as brings it to `size` (h, w)."""
    h, w = view.ignore.shape
    more = (0, size[1] - w, 0, size[0] - h)
    if not any(more):
        return view
    masks = None if view.masks is None else pad(view.masks, more)
    return replace(view, image=pad(view.image, more), ignore=pad(view.ignore, more), inner=view.content_size, masks=masks)


def answered_alike(
    batch: SceneBatch, multiple: int, answer: Callable[[Float[Tensor, "_ 3 h w"], list[Size]], Iterable[T]]
) -> list[T]:
    """What is said about each view as inference asks: without what fills it up to the largest, beside others of its size.

    Args:
        batch: Views, perhaps filled up (`grown`).
        multiple: The sides of views are multiples of it before they are.
        answer: To some views of one size, of which so much is no filling (h, w).
    """
    alike: dict[Size, list[int]] = {}
    for view, (height, width) in enumerate(batch.content_size):
        alike.setdefault((-(-height // multiple) * multiple, -(-width // multiple) * multiple), []).append(view)
    said: dict[int, T] = {}
    for (height, width), views in alike.items():
        answers = answer(batch.images[views, :, :height, :width], [batch.content_size[view] for view in views])
        said |= zip(views, answers, strict=True)
    return [said[view] for view in range(len(batch))]
