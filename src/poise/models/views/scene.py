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
"""An answer to one view."""

Crop = Callable[[Sample, torch.Generator], SceneView]
"""Makes a view of a sample."""


@final
@dataclass(frozen=True)
class WholeImageCrop:
    """Makes validation views of whole images, resized by the model's canvas, each of its own size."""

    canvas: Canvas
    skeleton: Skeleton

    def __call__(self, sample: Sample, generator: torch.Generator) -> SceneView:
        """The view of a sample; nothing is random."""
        side = self.canvas.side
        return SceneCrop((side, side), self.canvas, self.skeleton).test_view(sample)


@final
class SceneViews(ViewDataset[SceneView, SceneBatch]):
    """Images of a data set as views.

    Args:
        dataset: Data set of the images.
        crop: Warps an image to a view.
        seed: Seed of all random choices.
        images: Indices of the images in the data set.
    """

    def __init__(self, dataset: Dataset, crop: Crop, *, seed: int, images: Sequence[int]) -> None:
        super().__init__(dataset, seed=seed)
        self.crop = crop
        self.images = images

    def __len__(self) -> int:
        """Number of views in an epoch."""
        return len(self.images)

    def image(self, index: int) -> int:
        """The image at that index."""
        return self.images[index]

    def sample(self, image: int) -> Sample:
        """The image, and where it is unlabelled; the rest of the background is trained on too."""
        return self.dataset.sample_with_ignore(image)

    def cut(self, sample: Sample, index: int, generator: torch.Generator) -> SceneView:
        """The view of the image at that index."""
        return self.crop(sample, generator)

    def stack(self, views: list[SceneView]) -> SceneBatch:
        """A batch of views; smaller ones are padded at the right and below."""
        size = max(v.ignore.shape[0] for v in views), max(v.ignore.shape[1] for v in views)
        return SceneBatch.of([grown(v, size) for v in views])


def grown(view: SceneView, size: Size) -> SceneView:
    """A view padded with the mean colour at the right and below to `size` (h, w)."""
    h, w = view.ignore.shape
    more = (0, size[1] - w, 0, size[0] - h)
    if not any(more):
        return view
    masks = None if view.masks is None else pad(view.masks, more)
    return replace(view, image=pad(view.image, more), ignore=pad(view.ignore, more), inner=view.content_size, masks=masks)


def answered_alike(
    batch: SceneBatch, multiple: int, answer: Callable[[Float[Tensor, "_ 3 h w"], list[Size]], Iterable[T]]
) -> list[T]:
    """The answer to each view as in inference: without the padding of the batch, in batches of views of one size.

    Args:
        batch: Views, padded to the largest (`grown`).
        multiple: Number of pixels that the sides of views are multiples of before padding.
        answer: Gives the answers to views of one size; its second argument is their content sizes (h, w), without padding.
    """
    alike: dict[Size, list[int]] = {}
    for view, (height, width) in enumerate(batch.content_size):
        alike.setdefault((-(-height // multiple) * multiple, -(-width // multiple) * multiple), []).append(view)
    said: dict[int, T] = {}
    for (height, width), views in alike.items():
        answers = answer(batch.images[views, :, :height, :width], [batch.content_size[view] for view in views])
        said |= zip(views, answers, strict=True)
    return [said[view] for view in range(len(batch))]
