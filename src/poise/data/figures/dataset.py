"""A data set of drawn figures: nothing is downloaded, and all labels are exact."""

from functools import partial
from typing import TypeAlias, final

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from poise.data.base import Dataset
from poise.data.figures.animal import LAYOUTS, random_animal
from poise.data.figures.look import Look, named_look
from poise.data.figures.person import random_person
from poise.data.figures.scene import Body, Scene, draw_scene
from poise.data.figures.species import SPECIES
from poise.dims import Size
from poise.errors import InputError, unknown
from poise.skeletons import COCO17, QUADRUPED, Skeleton
from poise.structures import Key, Labels, Sample

FigureType: TypeAlias = str
"""What is drawn: "people", "animals" of any species, or the name of a species, such as "horse"."""

KINDS = ("people", "animals", *SPECIES)
"""All kinds of figures."""


@final
class FigureDataset(Dataset):
    """Images of people (COCO-17) or four-legged animals (`QUADRUPED`, `ANIMAL18`), drawn when they are asked for.

    An image depends only on its index and the seed, not on the order of calls, the machine or the number of images. Keypoints
    hidden by other figures, by objects in front or by the body itself have visibility 1, keypoints outside the image 0. Boxes
    and areas are those of the silhouette inside the image, with its occluded pixels.

    Args:
        count: Number of images.
        size: Size of each image (h, w), pixels.
        kind: What is drawn: people, animals of any species, or animals of one of `KINDS`.
        per_image: Smallest and greatest number of figures in an image.
        seed: Seed of the random numbers; another seed gives other images.
        look: How the images look, or the name of a look (`look.LOOKS`).
        keypoints: Name of the keypoints of animals: "quadruped" or "animal18"; people have COCO's.

    Raises:
        InputError: `count` is below 1, `size` below 32 pixels, `seed` below 0, or `per_image` not a range within 1 to 100; or
            people with keypoints of animals.
        UnknownName: There is no such kind of figure, look or layout of keypoints.
    """

    def __init__(
        self,
        count: int,
        *,
        size: Size = (256, 256),
        kind: FigureType = "people",
        per_image: tuple[int, int] = (1, 1),
        seed: int = 0,
        look: Look | str = "default",
        keypoints: str | None = None,
    ) -> None:
        if count < 1:
            raise InputError(f"found a count of {count} drawn images; ask for at least 1")
        if min(size) < 32:
            raise InputError(f"found an image size of {size} (h, w); a figure needs at least 32 pixels each way")
        if not 1 <= per_image[0] <= per_image[1] <= 100:
            raise InputError(f"found per_image {per_image}; give the fewest and the most figures of an image, 1 to 100")
        if seed < 0:
            raise InputError(f"found seed {seed}; a seed is 0 or more")
        self._look = named_look(look) if isinstance(look, str) else look
        self._body, self.skeleton = _body(kind, keypoints, self._look)
        self._count, self._size, self._per_image, self._seed = count, size, per_image, seed
        self._labels: dict[int, Labels] = {}

    @property
    def generated(self) -> bool:
        """True: labels are drawn with their image."""
        return True

    def __len__(self) -> int:
        """Number of images."""
        return self._count

    def key(self, index: int) -> Key:
        """A file name and an id, both the index of the image plus 1."""
        image_id = self._checked(index) + 1
        return Key(f"{image_id:06d}.jpg", image_id)

    def scene(self, index: int) -> Scene:
        """Draw an image, with its labels and the silhouettes of the figures."""
        rng, count = self._started(self._checked(index))
        return draw_scene(rng, self._size, body=self._body, count=count, look=self._look)

    def labels(self, index: int) -> Labels:
        """The annotations of an image. The image is drawn for the first call; later calls are answered from memory."""
        known = self._labels.get(self._checked(index))
        return known if known is not None else self[index].labels

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """An image, RGB, 0 to 255."""
        return self[index].image

    def __getitem__(self, index: int) -> Sample:
        """Image, labels and key."""
        index = self._checked(index)
        scene = self.scene(index)
        labels = self._labels.setdefault(index, _labelled(scene))
        return Sample(torch.from_numpy(scene.image).permute(2, 0, 1), labels, self.key(index))

    def masks(self, index: int) -> Bool[Tensor, "n H W"]:
        """Silhouette of each figure, with its occluded pixels; the image is drawn again."""
        return torch.from_numpy(self.scene(index).silhouettes)

    def people(self, *, crowd: bool = False) -> list[tuple[int, int]]:
        """All figures, as pairs of an image index and an index into its labels; nothing is drawn.

        Args:
            crowd: Without effect, as no figure is a crowd.
        """
        return [(i, person) for i in range(self._count) for person in range(self._started(i)[1])]

    def _started(self, index: int) -> tuple[np.random.Generator, int]:
        """The random number generator of an image, and its number of figures."""
        low, high = self._per_image
        rng = np.random.default_rng(np.random.SeedSequence((self._seed, index)))
        return rng, low if low == high else int(rng.integers(low, high + 1))

    def _checked(self, index: int) -> int:
        if not -self._count <= index < self._count:
            raise IndexError(f"there is no image {index}; there are {self._count}, counted from 0")
        return index % self._count


def _body(kind: FigureType, keypoints: str | None, look: Look) -> tuple[Body, Skeleton]:
    """What draws a figure, and its keypoints."""
    if kind not in KINDS:
        raise unknown("kind of figure", kind, KINDS)
    if kind == "people":
        if keypoints not in (None, COCO17.name):
            raise InputError(
                f"found keypoints {keypoints!r} for people; drawn people have those of {COCO17.name}, so leave them out"
            )
        return random_person, COCO17
    if keypoints is not None and keypoints not in LAYOUTS:
        raise unknown("layout of keypoints of drawn animals", keypoints, LAYOUTS)
    skeleton = LAYOUTS[keypoints] if keypoints else QUADRUPED
    return partial(
        random_animal, kind=kind, coats=look.coats, views=look.views, riders=look.riders, skeleton=skeleton
    ), skeleton


def _labelled(scene: Scene) -> Labels:
    return Labels.of(
        torch.from_numpy(scene.xy),
        torch.from_numpy(scene.visible),
        torch.from_numpy(scene.boxes),
        area=torch.from_numpy(scene.area),
    )
