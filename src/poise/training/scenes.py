"""Training on whole images, in which a model finds people by itself; checked on whole images too."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from poise.data.base import Dataset
from poise.dims import Size
from poise.errors import InputError
from poise.geometry import apply, invert
from poise.metrics import coco, coco_format
from poise.models.bottom_up import BottomUp
from poise.scenes import Canvas, People, SceneBatch, SceneView
from poise.skeletons import Skeleton
from poise.structures import Sample
from poise.training.data import Views
from poise.training.pictures import Picture, scene_picture
from poise.training.recipe import Recipe
from poise.training.task import StagedTask
from poise.transforms.scene_crop import SceneCrop
from poise.transforms.scene_jitter import SceneAugmentation

MOST = 20
"""People of an image that are rated: as many as the protocol looks at."""

T = TypeVar("T")
"""What is said about a view."""

Cutting = Callable[[Sample, torch.Generator], SceneView]
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
        return SceneCrop((side, side), self.canvas, self.skeleton).tested(sample)


@final
class SceneViews(Views[SceneView, SceneBatch]):
    """Images of a data set as views.

    Args:
        dataset: Where the images are.
        cutter: Brings them to the size of views.
        seed: Of all chances.
        images: Which of them, by their indices.
    """

    def __init__(self, dataset: Dataset, cutter: Cutting, *, seed: int, images: Sequence[int]) -> None:
        super().__init__(dataset, seed=seed)
        self.cutter = cutter
        self.images = images

    def __len__(self) -> int:
        """How many views an epoch has."""
        return len(self.images)

    def image(self, row: int) -> int:
        """The image in that place."""
        return self.images[row]

    def sample(self, image: int) -> Sample:
        """The image, and where its labels say nothing: empty places are learnt from too."""
        return self.dataset.sample_with_ignore(image)

    def cut(self, sample: Sample, row: int, generator: torch.Generator) -> SceneView:
        """The view of the image in that place."""
        return self.cutter(sample, generator)

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


def each_among_alike(
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


@final
class SceneTask(StagedTask[SceneView, SceneBatch, People, Mapping[str, Any]]):
    """How a model for whole images is trained."""

    one = "image"
    unit = "images"
    checked = "whole images"
    scores = ("AP", "AP50", "AR")

    def __init__(self, model: BottomUp) -> None:
        self.model: BottomUp = model

    def size(self, recipe: Recipe) -> Size:
        """The recipe's, or the side of the canvas both ways."""
        side = self.model.preprocess.side
        return recipe.size or (side, side)

    def train_views(self, recipe: Recipe, *, seed: int) -> SceneViews:
        """Random views of the images with somebody to learn from."""
        if recipe.select or not isinstance(recipe.augmentation, SceneAugmentation | None):
            raise InputError(
                f"recipe {recipe.name!r}: {self.model.card.name} sees whole images, which are changed by a SceneAugmentation, "
                f"not by {type(recipe.augmentation).__name__}, and from which no people are selected"
            )
        cutter = SceneCrop(self.size(recipe), self.model.preprocess, self.model.skeleton, recipe.augmentation)
        images = list(dict.fromkeys(image for image, _ in recipe.train.people()))
        if not images:
            raise InputError(
                f"none of the {len(recipe.train)} images has a person with a labelled keypoint and a box of positive size; "
                "`poise data check` tells why"
            )
        return SceneViews(recipe.train, cutter, seed=seed, images=images)

    def val_views(self, dataset: Dataset, *, seed: int) -> SceneViews:
        """All images as the model's canvas says."""
        if not dataset.people():
            raise InputError(f"none of the {len(dataset)} images to check on has a person with a labelled keypoint")
        return SceneViews(
            dataset, WholeImageCrop(self.model.preprocess, self.model.skeleton), seed=seed, images=range(len(dataset))
        )

    def labelled(self, batch: SceneBatch) -> Float[Tensor, "_ 2"]:
        """All labelled keypoints of a batch."""
        return batch.scenes.xy[batch.scenes.visible > 0]

    def find(self, output: Tensor, batch: SceneBatch) -> list[People]:
        """The best people of each view, in pixels of its image; of several sizes, each is answered anew among its own."""
        mixed = len(set(batch.content_size)) > 1
        found = each_among_alike(batch, self.model.preprocess.multiple, self._read) if mixed else self.model.read(output)
        home = invert(batch.warps.cpu())
        return [_at_home(people, warp) for people, warp in zip(found, home, strict=True)]

    def _read(self, images: Float[Tensor, "_ 3 h w"], sizes: list[Size]) -> list[People]:
        """Who is in some views; nothing here ends where filling begins."""
        return self.model.read(self.model(images))

    def truth(self, dataset: Dataset) -> Mapping[str, Any]:
        """The labels of all images as COCO annotations, the index of an image its id."""
        return coco_format.to_coco_annotations(
            {image: dataset.labels(image) for image in range(len(dataset))}, dataset.skeleton
        )

    def score(self, truth: Mapping[str, Any], found: Mapping[int, People]) -> dict[str, float]:
        """AP and AR of the COCO protocol."""
        rows = [row for image in sorted(found) for row in _rows(found[image], image)]
        numbers = coco.evaluate(truth, rows, self.model.skeleton).numbers
        return {name: numbers[name] for name in self.scores}

    def picture(self, batch: SceneBatch) -> Picture:
        """Labels, target maps, predicted people, predicted maps."""
        return scene_picture(self.model, batch)


def _at_home(people: People, home: Float[Tensor, "3 3"]) -> People:
    best = people.pose_score.argsort(descending=True)[:MOST]
    xy, score, rating = (part[best].float().cpu() for part in (people.xy, people.score, people.pose_score))
    moved = apply(home, xy.to(home.dtype)).float() * (score > 0)[..., None]
    return People(moved, score, rating)


def _rows(people: People, image: int) -> list[dict[str, Any]]:
    categories = torch.ones(len(people), dtype=torch.int64)
    return coco_format.to_coco_results(people.xy, people.score, people.pose_score, image=image, categories=categories)
