"""What data sets of drawings share: labels are drawn with their image."""

from abc import abstractmethod

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from poise.data.base import Dataset
from poise.data.figures.scene import Scene
from poise.dims import Size
from poise.errors import InputError
from poise.structures import Labels, Sample


class DrawnDataset(Dataset):
    """Images that are drawn when they are asked for.

    Args:
        count: Number of images.
        size: Size of each image (h, w), pixels.
        seed: Seed of the random numbers.

    Raises:
        InputError: `count` is below 1, `size` below 32 pixels, or `seed` below 0.
    """

    def __init__(self, count: int, *, size: Size, seed: int) -> None:
        if count < 1:
            raise InputError(f"found a count of {count} drawn images; ask for at least 1")
        if min(size) < 32:
            raise InputError(f"found an image size of {size} (h, w); a figure needs at least 32 pixels each way")
        if seed < 0:
            raise InputError(f"found seed {seed}; a seed is 0 or more")
        self._count, self._size, self._seed = count, size, seed
        self._labels: dict[int, Labels] = {}

    @abstractmethod
    def scene(self, index: int) -> Scene:
        """Draw an image, with its labels and the silhouettes of the figures."""

    @abstractmethod
    def figures(self, index: int) -> int:
        """Number of figures in an image; nothing is drawn."""

    @property
    def generated(self) -> bool:
        """True: labels are drawn with their image."""
        return True

    def __len__(self) -> int:
        """Number of images."""
        return self._count

    def labels(self, index: int) -> Labels:
        """The annotations of an image. The image is drawn for the first call; later calls are answered from memory."""
        known = self._labels.get(self._checked(index))
        return known if known is not None else self[index].labels

    def image_size(self, index: int) -> Size | None:
        """Size of an image (h, w), pixels."""
        return self._size

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """An image, RGB, 0 to 255."""
        return self[index].image

    def __getitem__(self, index: int) -> Sample:
        """Image, labels and key."""
        index = self._checked(index)
        scene = self.scene(index)
        labels = self._labels.setdefault(index, labels_of(scene))
        return Sample(torch.from_numpy(scene.image).permute(2, 0, 1), labels, self.key(index))

    def masks(self, index: int) -> Bool[Tensor, "n H W"]:
        """Silhouette of each figure, with its occluded pixels; the image is drawn again."""
        return torch.from_numpy(self.scene(index).silhouettes)

    def people(self, *, crowd: bool = False) -> list[tuple[int, int]]:
        """All figures, as pairs of an image index and an index into its labels; nothing is drawn.

        Args:
            crowd: Without effect, as no figure is a crowd.
        """
        return [(i, person) for i in range(self._count) for person in range(self.figures(i))]

    def _checked(self, index: int) -> int:
        if not -self._count <= index < self._count:
            raise IndexError(f"there is no image {index}; there are {self._count}, counted from 0")
        return index % self._count


def labels_of(scene: Scene) -> Labels:
    """The labels of a scene."""
    return Labels.of(
        torch.from_numpy(scene.xy),
        torch.from_numpy(scene.visible),
        torch.from_numpy(scene.boxes),
        area=torch.from_numpy(scene.area),
    )
