"""The base of data sets that show another one."""

from pathlib import Path

from jaxtyping import Bool, UInt8
from torch import Tensor

from poise.data.base import Dataset
from poise.dims import Size
from poise.structures import Key, Sample


class WrappedDataset(Dataset):
    """Another data set, image by image; subclasses say what its labels are, what else differs, and whether it is `generated`.

    Args:
        dataset: The data set that is shown.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.skeleton = dataset.skeleton

    def _row(self, index: int) -> int:
        """Index of an image in the other data set."""
        return index

    def __len__(self) -> int:
        """Number of images."""
        return len(self.dataset)

    def key(self, index: int) -> Key:
        """File name and id of an image."""
        return self.dataset.key(self._row(index))

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """An image, RGB, 0 to 255."""
        return self.dataset.image(self._row(index))

    def ignore_mask(self, index: int, sample: Sample) -> Bool[Tensor, "H W"]:
        """Unlabelled pixels, which may show people."""
        return self.dataset.ignore_mask(self._row(index), sample)

    def known(self, index: int) -> Bool[Tensor, " k"]:
        """True for each keypoint that the source of this image annotates at all."""
        return self.dataset.known(self._row(index))

    def masks(self, index: int) -> Bool[Tensor, "n H W"] | None:
        """Segmentation mask of each person, empty for people without one; None for a data set without masks."""
        return self.dataset.masks(self._row(index))

    @property
    def files_read(self) -> tuple[Path, ...]:
        """The annotation files that were read; () for a data set that is generated."""
        return self.dataset.files_read

    def file_size(self, index: int) -> int | None:
        """Size of the stored image file, bytes; None for an image that is missing or generated."""
        return self.dataset.file_size(self._row(index))

    def image_size(self, index: int) -> Size | None:
        """Size of an image (h, w), pixels, as far as it is known without reading the image; else None."""
        return self.dataset.image_size(self._row(index))

    def file_path(self, index: int) -> str | None:
        """Path of the image file, equal for two names of one file; None for an image that is generated."""
        return self.dataset.file_path(self._row(index))

    def sequence(self, index: int) -> str | None:
        """Name of the sequence that an image is part of; None for a photo."""
        return self.dataset.sequence(self._row(index))

    def parts(self, index: int) -> UInt8[Tensor, "H W"] | None:
        """Number of the body part that each pixel of an image shows; None without part masks."""
        return self.dataset.parts(self._row(index))
