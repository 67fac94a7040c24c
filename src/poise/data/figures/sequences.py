"""Data sets of drawn sequences: the same animals over the frames of videos."""

from functools import lru_cache
from typing import final

import numpy as np

from poise.data.figures.dataset import animal_layout
from poise.data.figures.drawn import DrawnDataset
from poise.data.figures.look import Look, named_look
from poise.data.figures.motion import Motion
from poise.data.figures.scene import Scene
from poise.data.figures.species import SPECIES
from poise.dims import Size
from poise.errors import InputError, unknown
from poise.structures import Key


@final
class FigureSequences(DrawnDataset):
    """Frames of drawn videos of four-legged animals, sequence by sequence and in order.

    Image `i` is frame `i % frames` of sequence `i // frames`; `sequence(i)` and `key(i).frame` say so. Row `n` of the labels is
    the same animal in all frames of a sequence. A frame depends on the seed, its sequence and its number, and on `frames`, over
    which the animals stay in the image.

    Args:
        count: Number of sequences.
        frames: Number of frames of each.
        size: Size of each frame (h, w), pixels.
        kind: Animals of any species ("animals"), or the name of one.
        per_image: Smallest and greatest number of animals in a sequence.
        seed: Seed of the random numbers.
        look: How the frames look, or the name of a look (`look.LOOKS`).
        keypoints: Name of the keypoints: "quadruped" or "animal18".

    Raises:
        InputError: `count` or `frames` is below 1, `size` below 32 pixels, `seed` below 0, or `per_image` not a range within 1
            to 100.
        UnknownName: There are no such animals, look or layout of keypoints.
    """

    def __init__(
        self,
        count: int,
        *,
        frames: int = 24,
        size: Size = (256, 256),
        kind: str = "animals",
        per_image: tuple[int, int] = (1, 1),
        seed: int = 0,
        look: Look | str = "default",
        keypoints: str | None = None,
    ) -> None:
        if frames < 1:
            raise InputError(f"found {frames} frames a sequence; ask for at least 1")
        super().__init__(count * frames, size=size, seed=seed)
        if not 1 <= per_image[0] <= per_image[1] <= 100:
            raise InputError(f"found per_image {per_image}; give the fewest and the most animals of a sequence, 1 to 100")
        if kind not in SPECIES and kind != "animals":
            raise unknown("animal that moves", kind, ("animals", *SPECIES))
        self._look = named_look(look) if isinstance(look, str) else look
        self.skeleton = animal_layout(keypoints)
        self._frames, self._kind, self._per_image = frames, kind, per_image

    def key(self, index: int) -> Key:
        """A file name of sequence and frame, an id, and the frame."""
        index = self._checked(index)
        frame = index % self._frames
        return Key(f"{self.sequence(index)}_{frame:05d}.jpg", index + 1, frame=frame)

    def sequence(self, index: int) -> str:
        """Name of the sequence that an image is part of."""
        return f"{self._kind}-{self._checked(index) // self._frames + 1:03d}"

    def figures(self, index: int) -> int:
        """Number of animals in an image; nothing is drawn."""
        return self._started(self._checked(index) // self._frames)[1]

    def scene(self, index: int) -> Scene:
        """Draw a frame, with its labels and the silhouettes of the animals."""
        number, frame = divmod(self._checked(index), self._frames)
        rng = np.random.default_rng(np.random.SeedSequence((self._seed, number, frame)))
        return _motion(self, number).scene(frame, rng)

    def motion(self, number: int) -> Motion:
        """What moves in a sequence.

        Args:
            number: Index of the sequence, from 0.
        """
        rng, count = self._started(number)
        kind, frames, look = self._kind, self._frames, self._look
        return Motion.random(rng, self._size, kind=kind, count=count, frames=frames, look=look, skeleton=self.skeleton)

    def _started(self, number: int) -> tuple[np.random.Generator, int]:
        low, high = self._per_image
        rng = np.random.default_rng(np.random.SeedSequence((self._seed, number)))
        return rng, low if low == high else int(rng.integers(low, high + 1))


@lru_cache(maxsize=4)
def _motion(dataset: FigureSequences, number: int) -> Motion:
    """The motion of a sequence, kept for its next frames."""
    return dataset.motion(number)
