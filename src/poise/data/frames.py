"""Unlabelled images with boxes, in order within their sequences: what a model adapts to (`poise adapt --target`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import final

import torch
from jaxtyping import UInt8
from torch import Tensor

from poise.data.base import Dataset
from poise.data.boxes import check_boxes
from poise.data.coco_labels import BODY_SHARE
from poise.data.files import ImageFiles
from poise.data.images import image_size
from poise.dims import Size
from poise.errors import AnnotationError, BoxError, ImageError
from poise.skeletons import Skeleton
from poise.structures import Key, Labels, Sample

Box = tuple[float, float, float, float]
"""A box x0 y0 x1 y1, pixels of the image."""


@final
@dataclass(frozen=True)
class FrameRecord:
    """An image without labels.

    Attributes:
        file_name: Name of the image file.
        image_id: Id of the image.
        sequence: Name of the sequence that it is part of; None for a photo.
        frame: Number of the frame in its sequence; None for a photo.
        boxes: Boxes x0 y0 x1 y1, pixels; None for the whole image.
        areas: Area of each box's animal, square pixels; nan for `BODY_SHARE` of the box. () for nan everywhere.
        categories: Category id of each box; () for 1 everywhere.
        ids: Id of each box's annotation; () for numbers from 1.
        size: Size (h, w) that the file of boxes states, pixels; None where it states none.
    """

    file_name: str
    image_id: int
    sequence: str | None = None
    frame: int | None = None
    boxes: tuple[Box, ...] | None = None
    areas: tuple[float, ...] = ()
    categories: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()
    size: Size | None = None


@final
class FramesDataset(Dataset):
    """Images with boxes and without labelled keypoints, sorted by sequence and frame; photos come last, in the order given.

    Nobody is in `people()`; `boxed` lists the boxes, `sequence` and `previous_images` say which images are neighbours.

    Args:
        frames: The images; each at least one box or None for the whole image.
        images: Folder or zip file of the images.
        skeleton: The keypoints that are unknown here.
        file: The file that lists the images, for messages and `files_read`; None for a folder.

    Raises:
        ReadError: The folder is missing, or it lacks images.
        AnnotationError: There are no images, a name comes twice, or two images have one place in a sequence.
    """

    def __init__(
        self, frames: Sequence[FrameRecord], images: Path | str, *, skeleton: Skeleton, file: Path | None = None
    ) -> None:
        self.skeleton = skeleton
        self.file = file
        self.files = ImageFiles(images, names=(one.file_name for one in frames))
        _check_frames(frames, str(images if file is None else file))
        order: dict[str | None, int] = {}
        for one in frames:
            order.setdefault(one.sequence, len(order))
        order[None] = len(order)
        self._frames = sorted(frames, key=lambda one: (order[one.sequence], one.frame or 0))
        self._sizes: dict[int, tuple[int, int]] = {}
        _check_files(self._frames, self.files)

    def __len__(self) -> int:
        """Number of images."""
        return len(self._frames)

    def key(self, index: int) -> Key:
        """File name, id and frame number of an image."""
        one = self._frames[index]
        return Key(one.file_name, one.image_id, frame=one.frame)

    def sequence(self, index: int) -> str | None:
        """Name of the sequence that an image is part of; None for a photo."""
        return self._frames[index].sequence

    @property
    def whole_images(self) -> int:
        """Number of images without a box of their own, each of which is one box."""
        return sum(one.boxes is None for one in self._frames)

    def labels(self, index: int) -> Labels:
        """The boxes of an image; no keypoint is labelled. For a box around the whole image the header of its file is read.

        Raises:
            ImageError: The file is no image.
        """
        one = self._frames[index]
        boxes = torch.tensor([self._whole(index)] if one.boxes is None else one.boxes, dtype=torch.float32).reshape(-1, 4)
        n, k = len(boxes), len(self.skeleton)
        filled = BODY_SHARE * (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
        stated = torch.tensor(one.areas or (float("nan"),) * n, dtype=torch.float32)
        return Labels(
            xy=torch.zeros(n, k, 2),
            visible=torch.zeros(n, k, dtype=torch.int64),
            boxes=boxes,
            area=torch.where(stated > 0, stated, filled),
            crowd=torch.zeros(n, dtype=torch.bool),
            ids=torch.tensor(one.ids or range(1, n + 1), dtype=torch.int64),
            categories=torch.tensor(one.categories or (1,) * n, dtype=torch.int64),
        )

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """An image, RGB, 0 to 255.

        Raises:
            ImageError: The image cannot be decoded.
        """
        frame = self._frames[index]
        if frame.boxes is None or frame.size is None:
            return self.files.read(frame.file_name)
        return self.files.read_labelled(frame.file_name, stated=frame.size)

    def __getitem__(self, index: int) -> Sample:
        """Image, boxes and key.

        Raises:
            BoxError: A box lies outside the image.
        """
        sample = super().__getitem__(index)
        try:
            check_boxes(sample.labels.boxes, sample.size)
        except BoxError as error:
            raise BoxError(f"image {sample.key.file_name!r}: {error}") from error
        return sample

    @property
    def files_read(self) -> tuple[Path, ...]:
        """The file that lists the images; () for a folder."""
        return () if self.file is None else (self.file,)

    def file_size(self, index: int) -> int | None:
        """Size of the stored image file, bytes."""
        return self.files.size(self._frames[index].file_name)

    def file_path(self, index: int) -> str | None:
        """Path of the image file."""
        return self.files.resolved_path(self._frames[index].file_name)

    def _whole(self, index: int) -> Box:
        """The box around the whole image."""
        index = range(len(self))[index]
        if index not in self._sizes:
            name = self._frames[index].file_name
            self._sizes[index] = image_size(self.files.bytes(name), name=name)
        height, width = self._sizes[index]
        return 0.0, 0.0, float(width), float(height)


def boxed(dataset: Dataset) -> list[tuple[int, int]]:
    """The boxes of a data set that can be cropped, labelled or not, as pairs of an image index and an index into its labels.

    Crowds and boxes without size are left out.

    Args:
        dataset: Any data set.
    """
    labels = dataset.all_labels
    good = ~labels.crowd & (labels.boxes[:, 2:] > labels.boxes[:, :2]).all(dim=1)
    rows = [(image, row) for image, count in enumerate(dataset.label_counts.tolist()) for row in range(count)]
    return [place for place, use in zip(rows, good.tolist(), strict=True) if use]


def previous_images(dataset: Dataset) -> list[int | None]:
    """For each image of a data set the index of the one before it in its sequence; None for the first, and for photos.

    `dataset.key(i).frame` says how many frames lie between them.

    Args:
        dataset: Any data set; those without sequences give None everywhere.
    """
    frames = [(dataset.sequence(i), dataset.key(i).frame, i) for i in range(len(dataset))]
    placed = sorted((name, frame, i) for name, frame, i in frames if name is not None and frame is not None)
    before: list[int | None] = [None] * len(dataset)
    for (name, _, i), (following, _, j) in pairwise(placed):
        before[j] = i if name == following else None
    return before


def _check_frames(frames: Sequence[FrameRecord], name: str) -> None:
    if not frames:
        raise AnnotationError(f"{name!r} has no images with boxes; there is nothing to learn from")
    names: dict[str, int] = {}
    places: dict[tuple[str, int], str] = {}
    for one in frames:
        if names.setdefault(one.file_name, one.image_id) != one.image_id:
            raise AnnotationError(f"{name!r}: two records name the image {one.file_name!r}; join them to one")
        if one.sequence is None or one.frame is None:
            continue
        other = places.setdefault((one.sequence, one.frame), one.file_name)
        if other != one.file_name:
            raise AnnotationError(
                f"{name!r}: {other!r} and {one.file_name!r} are both frame {one.frame} of sequence {one.sequence!r}; "
                "number each frame once"
            )


def _check_files(frames: Sequence[FrameRecord], files: ImageFiles) -> None:
    lost = [one.file_name for one in frames if not files.has(one.file_name)]
    if lost:
        raise ImageError(
            f"{len(lost)} of {len(frames)} images are not in {str(files.root)!r}, such as {lost[0]!r}; give the folder of the "
            "frames, or take them out of the list"
        )
