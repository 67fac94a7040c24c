"""A data set of drawn figures: nothing is downloaded, and all labels are exact."""

from functools import partial
from typing import TypeAlias, final

import numpy as np

from poise.data.figures.animal import LAYOUTS, random_animal
from poise.data.figures.drawn import DrawnDataset
from poise.data.figures.look import Look, named_look
from poise.data.figures.person import random_person
from poise.data.figures.scene import Body, Scene, draw_scene
from poise.data.figures.species import SPECIES
from poise.dims import Size
from poise.errors import InputError, unknown
from poise.skeletons import COCO17, QUADRUPED, Skeleton
from poise.structures import Key

FigureType: TypeAlias = str
"""What is drawn: "people", "animals" of any species, or the name of a species, such as "horse"."""

KINDS = ("people", "animals", *SPECIES)
"""All kinds of figures."""


@final
class FigureDataset(DrawnDataset):
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
        super().__init__(count, size=size, seed=seed)
        if not 1 <= per_image[0] <= per_image[1] <= 100:
            raise InputError(f"found per_image {per_image}; give the fewest and the most figures of an image, 1 to 100")
        self._look = named_look(look) if isinstance(look, str) else look
        self._body, self.skeleton = _body(kind, keypoints, self._look)
        self._per_image = per_image

    def key(self, index: int) -> Key:
        """A file name and an id, both the index of the image plus 1."""
        image_id = self._checked(index) + 1
        return Key(f"{image_id:06d}.jpg", image_id)

    def scene(self, index: int) -> Scene:
        """Draw an image, with its labels and the silhouettes of the figures."""
        rng, count = self._started(self._checked(index))
        return draw_scene(rng, self._size, body=self._body, count=count, look=self._look)

    def figures(self, index: int) -> int:
        """Number of figures in an image; nothing is drawn."""
        return self._started(self._checked(index))[1]

    def _started(self, index: int) -> tuple[np.random.Generator, int]:
        """The random number generator of an image, and its number of figures."""
        low, high = self._per_image
        rng = np.random.default_rng(np.random.SeedSequence((self._seed, index)))
        return rng, low if low == high else int(rng.integers(low, high + 1))


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
    skeleton = animal_layout(keypoints)
    return partial(
        random_animal, kind=kind, coats=look.coats, views=look.views, riders=look.riders, skeleton=skeleton
    ), skeleton


def animal_layout(keypoints: str | None) -> Skeleton:
    """The keypoints of animals of a name; those of `QUADRUPED` by default.

    Raises:
        UnknownName: There is no such layout.
    """
    if keypoints is not None and keypoints not in LAYOUTS:
        raise unknown("layout of keypoints of drawn animals", keypoints, LAYOUTS)
    return LAYOUTS[keypoints] if keypoints else QUADRUPED
