"""A data set of rendered people: bodies of all ages and shapes with exact labels."""

from typing import Final, final

import numpy as np

from poise.data.bodies.body_poses import BodyPoses
from poise.data.bodies.model import body_model
from poise.data.bodies.scene import draw_bodies
from poise.data.figures.drawn import DrawnDataset
from poise.data.figures.look import Look, named_look
from poise.data.figures.scene import Scene
from poise.dims import Size
from poise.errors import InputError, unknown
from poise.skeletons import COCO17, Skeleton
from poise.skeletons.wholebody import HALPE26
from poise.structures import Key

LAYOUTS: Final = {skeleton.name: skeleton for skeleton in (COCO17, HALPE26)}
"""Keypoints that rendered people have."""


@final
class BodyDataset(DrawnDataset):
    """Images of people (COCO-17 or Halpe-26), rendered from the parametric body `anny` when they are asked for.

    An image depends only on its index and the seed. As in COCO, boxes, areas and masks are those of what is seen of a person;
    keypoints in the image that are hidden by the person, other people or objects have visibility 1.

    Args:
        count: Number of images.
        size: Size of each image (h, w), pixels.
        per_image: Smallest and greatest number of people in an image.
        seed: Seed of the random numbers; another seed gives other images.
        look: Backgrounds, what stands in front and faults of the camera, or the name of a look (`figures.LOOKS`).
        keypoints: Name of the keypoints: "coco17", or "halpe26" with head, neck, hip and feet.
        poses: Fitted poses, which most people take theirs from; None for the built-in mixtures alone.

    Raises:
        InputError: `count` is below 1, `size` below 32 pixels, `seed` below 0, or `per_image` not a range within 1 to 20.
        UnknownName: There is no such look or layout of keypoints.
        MissingExtra: `anny` is not installed.
    """

    def __init__(
        self,
        count: int,
        *,
        size: Size = (256, 256),
        per_image: tuple[int, int] = (1, 1),
        seed: int = 0,
        look: Look | str = "wild",
        keypoints: str | None = None,
        poses: BodyPoses | None = None,
    ) -> None:
        super().__init__(count, size=size, seed=seed)
        if not 1 <= per_image[0] <= per_image[1] <= 20:
            raise InputError(f"found per_image {per_image}; give the fewest and the most people of an image, 1 to 20")
        if keypoints is not None and keypoints not in LAYOUTS:
            raise unknown("layout of keypoints of rendered people", keypoints, LAYOUTS)
        self.skeleton: Skeleton = LAYOUTS[keypoints or COCO17.name]
        self._look = named_look(look) if isinstance(look, str) else look
        self._per_image, self._poses = per_image, poses
        known = body_model().keypoints
        self._kept = [known.index(name) for name in self.skeleton.keypoints]

    def key(self, index: int) -> Key:
        """A file name and an id, both the index of the image plus 1."""
        image_id = self._checked(index) + 1
        return Key(f"{image_id:06d}.jpg", image_id)

    def scene(self, index: int) -> Scene:
        """Render an image, with its labels and the masks of the people."""
        rng, count = self._started(self._checked(index))
        return draw_bodies(rng, self._size, count=count, look=self._look, kept=self._kept, poses=self._poses)

    def figures(self, index: int) -> int:
        """Number of people in an image; nothing is rendered."""
        return self._started(self._checked(index))[1]

    def _started(self, index: int) -> tuple[np.random.Generator, int]:
        """The random number generator of an image, and its number of people."""
        low, high = self._per_image
        rng = np.random.default_rng(np.random.SeedSequence((self._seed, index)))
        return rng, low if low == high else int(rng.integers(low, high + 1))
