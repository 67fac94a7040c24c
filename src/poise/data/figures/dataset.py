"""Drawn figures as a data set: nothing to download, every label exact."""

from typing import Literal, final

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from poise.data.base import Dataset
from poise.data.figures.animal import random_animal
from poise.data.figures.person import random_person
from poise.data.figures.scene import Scene, draw_scene
from poise.dims import Size
from poise.errors import InputError, unknown
from poise.skeletons import COCO17, QUADRUPED
from poise.structures import Key, Labels, Sample

FigureType = Literal["people", "animals"]


@final
class FigureDataset(Dataset):
    """People (COCO-17) or four-legged animals (`QUADRUPED`), drawn when they are asked for.

    Image i of seed s is the same whenever, wherever and in whatever order it is asked for, and the same for data sets of
    different length. Keypoints hidden by other figures, things in front or the body itself have `visible` 1, those outside the
    image 0. Boxes and areas are of the drawn silhouette inside the image, hidden pixels included.

    Args:
        count: How many images.
        size: Height and width of each, pixels.
        kind: What is drawn.
        per_image: Fewest and most figures in an image.
        seed: Another seed gives other images.

    Raises:
        InputError: A count below 1, a size below 32 pixels, a range of figures that is empty or reaches beyond 1 to 100.
        UnknownName: A kind that cannot be drawn.
    """

    def __init__(
        self,
        count: int,
        *,
        size: Size = (256, 256),
        kind: FigureType = "people",
        per_image: tuple[int, int] = (1, 1),
        seed: int = 0,
    ) -> None:
        bodies = {"people": (random_person, COCO17), "animals": (random_animal, QUADRUPED)}
        if kind not in bodies:
            raise unknown("kind of figure", kind, bodies)
        if count < 1:
            raise InputError(f"found a count of {count} drawn images; ask for at least 1")
        if min(size) < 32:
            raise InputError(f"found an image size of {size} (h, w); a figure needs at least 32 pixels each way")
        if not 1 <= per_image[0] <= per_image[1] <= 100:
            raise InputError(f"found per_image {per_image}; give the fewest and the most figures of an image, 1 to 100")
        if seed < 0:
            raise InputError(f"found seed {seed}; a seed is 0 or more")
        self._body, self.skeleton = bodies[kind]
        self._count, self._size, self._per_image, self._seed = count, size, per_image, seed
        self._labels: dict[int, Labels] = {}

    def __len__(self) -> int:
        """How many images."""
        return self._count

    def key(self, index: int) -> Key:
        """Its file name would be its number."""
        number = self._checked(index) + 1
        return Key(f"{number:06d}.jpg", number)

    def scene(self, index: int) -> Scene:
        """Draw image `index`, with silhouettes."""
        rng, count = self._started(self._checked(index))
        return draw_scene(rng, self._size, body=self._body, count=count)

    def labels(self, index: int) -> Labels:
        """What is in it. Drawn once, then remembered."""
        known = self._labels.get(self._checked(index))
        return known if known is not None else self[index].labels

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """The image, RGB."""
        return self[index].image

    def __getitem__(self, index: int) -> Sample:
        """Image and labels, drawn together."""
        index = self._checked(index)
        scene = self.scene(index)
        labels = self._labels.setdefault(index, _labelled(scene))
        return Sample(torch.from_numpy(scene.image).permute(2, 0, 1), labels, self.key(index))

    def masks(self, index: int) -> Bool[Tensor, "n H W"]:
        """The silhouettes; what is hidden belongs to them. Drawn anew."""
        return torch.from_numpy(self.scene(index).silhouettes)

    def people(self, *, crowd: bool = False) -> list[tuple[int, int]]:
        """All figures, without drawing any: each has a labelled keypoint and a box, and none is a crowd."""
        return [(i, row) for i in range(self._count) for row in range(self._started(i)[1])]

    def _started(self, index: int) -> tuple[np.random.Generator, int]:
        """The random numbers of one image, and its number of figures."""
        low, high = self._per_image
        rng = np.random.default_rng(np.random.SeedSequence((self._seed, index)))
        return rng, low if low == high else int(rng.integers(low, high + 1))

    def _checked(self, index: int) -> int:
        if not -self._count <= index < self._count:
            raise IndexError(f"there is no image {index}; there are {self._count}, counted from 0")
        return index % self._count


def _labelled(scene: Scene) -> Labels:
    return Labels.of(
        torch.from_numpy(scene.xy),
        torch.from_numpy(scene.visible),
        torch.from_numpy(scene.boxes),
        area=torch.from_numpy(scene.area),
    )
