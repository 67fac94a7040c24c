"""Views of whole images with boxes in them, for detectors: as tested, or random, or four in one."""

from collections.abc import Sequence
from typing import final

import torch

from poise.data.base import Dataset
from poise.models.views.base import ViewDataset
from poise.models.views.scene import grown
from poise.scenes import SceneBatch, SceneView
from poise.structures import Sample
from poise.transforms.detector_crop import DetectorCrop


@final
class DetectorViews(ViewDataset[SceneView, SceneBatch]):
    """Images of a data set as views with boxes, each of its own size: for validation, or augmented, or mosaics of four.

    Args:
        dataset: Data set of the images.
        crop: Warps an image to a view.
        seed: Seed of all random choices.
        images: Indices of the images in the data set.
        random: Whether the crop's augmentation is used.
        masks: Whether the views have people's masks.
    """

    def __init__(
        self,
        dataset: Dataset,
        crop: DetectorCrop,
        *,
        seed: int,
        images: Sequence[int],
        random: bool = True,
        masks: bool = False,
    ) -> None:
        super().__init__(dataset, seed=seed)
        self.crop = crop
        self.images = images
        self.random = random
        self.masks = masks

    def __len__(self) -> int:
        """Number of views in an epoch."""
        return len(self.images)

    def image(self, index: int) -> int:
        """The image at that index."""
        return self.images[index]

    def sample(self, image: int) -> Sample:
        """The image, and where it is unlabelled."""
        return self.dataset.sample_with_masks(image) if self.masks else self.dataset.sample_with_ignore(image)

    def cut(self, sample: Sample, index: int, generator: torch.Generator) -> SceneView:
        """The view of the image at that index; in a mosaic with three others at random."""
        if not self.random:
            return self.crop.test_view(sample)
        meeting = self.crop.augmentation.mosaic_centre(generator)
        if meeting is None:
            return self.crop(sample, generator)
        others = torch.randint(len(self), (3,), generator=generator).tolist()
        samples = [sample, *(self.sample(self.image(other)) for other in others)]
        return self.crop.mosaic(samples, meeting, generator)

    def stack(self, views: list[SceneView]) -> SceneBatch:
        """Views to one batch, whose sides are multiples as the canvas says; smaller ones grow to the right and downwards."""
        multiple = self.crop.canvas.multiple
        height, width = (-(-max(v.ignore.shape[side] for v in views) // multiple) * multiple for side in (0, 1))
        return SceneBatch.of([grown(view, (height, width)) for view in views])
