"""Copy-paste: people who are cut out of photographs by their masks stand in other photographs, before those who are there."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import final

import cv2
import numpy as np
import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from poise.data.base import Dataset
from poise.data.label_ops import convert_labels, flip_labels, trainable
from poise.data.wrapped import WrappedDataset
from poise.dims import Size
from poise.errors import InputError
from poise.skeletons import Skeleton
from poise.structures import Labels, Sample

LARGEST = 320
"""Longer side of a cutout, pixels; larger ones are shrunk to it."""

HEIGHTS = (0.7, 1.3)
"""Height of who is pasted, in heights of the person beside whom they stand."""

ENLARGED = 1.5
"""Factor by which a cutout is enlarged at most; larger ones are blurred to the eye."""

BESIDE = (0.25, 0.8)
"""How far the two are apart sideways, in the sum of half their widths."""

MOST_HIDDEN = 0.5
"""Share of somebody's visible keypoints that may be covered; where it would be more, nobody is pasted."""


@final
@dataclass(frozen=True, eq=False)
class Cutout:
    """A person who was cut out of a photograph.

    Attributes:
        image: The pixels around the person, RGB, 0 to 255.
        mask: Which of them show the person.
        labels: Annotation of the person, in pixels of the cutout.
    """

    image: UInt8[np.ndarray, "H W 3"]
    mask: UInt8[np.ndarray, "H W"]
    labels: Labels

    def resized(self, factor: float) -> "Cutout":
        """The cutout, `factor` times as large."""
        high, wide = (max(round(factor * side), 1) for side in self.mask.shape)
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        image = cv2.resize(self.image, (wide, high), interpolation=how)
        mask = cv2.resize(self.mask, (wide, high), interpolation=cv2.INTER_LINEAR)
        scale = torch.tensor((wide / self.mask.shape[1], high / self.mask.shape[0]))
        xy = (self.labels.xy + 0.5) * scale - 0.5
        boxes = (self.labels.boxes + 0.5) * scale.repeat(2) - 0.5
        return Cutout(image, (mask > 0).astype(np.uint8), replace(self.labels, xy=xy, boxes=boxes))

    def mirrored(self, skeleton: Skeleton) -> "Cutout":
        """The cutout with left and right exchanged."""
        labels = flip_labels(self.labels, skeleton, self.mask.shape[1])
        return Cutout(np.ascontiguousarray(self.image[:, ::-1]), np.ascontiguousarray(self.mask[:, ::-1]), labels)


def cut_out(dataset: Dataset, *, skeleton: Skeleton, least: int = 32) -> list[Cutout]:
    """The people of a data set who have keypoints and a mask that contains those which are visible.

    Args:
        dataset: Images, labels and masks; people without a mask are left out.
        skeleton: Keypoints of the cutouts' labels.
        least: Height of a person, pixels, at least.
    """
    found: list[Cutout] = []
    for index in range(len(dataset)):
        rows = torch.nonzero(trainable(dataset.labels(index))).flatten().tolist()
        masks = dataset.masks(index) if rows else None
        if masks is None or not bool(masks[rows].any()):
            continue
        image = dataset.image(index).permute(1, 2, 0).numpy()
        labels = convert_labels(dataset.labels(index), source=dataset.skeleton, target=skeleton)
        for row in rows:
            if (one := _cut(image, masks[row].numpy(), labels.select(slice(row, row + 1)), least)) is not None:
                found.append(one)
    return found


def with_pasted(dataset: Dataset, share: float, *, of: Dataset | None = None) -> Dataset:
    """A data set in some of whose images somebody is pasted; the data set itself where the share is 0.

    Args:
        dataset: Images and labels.
        share: Share of the images in which somebody is pasted, 0 to 1.
        of: Images that people are cut out of, with masks; by default those of `dataset`.

    Raises:
        InputError: Nobody has a mask, or `share` is not between 0 and 1.
    """
    if share == 0:
        return dataset
    return PastedDataset(dataset, cut_out(dataset if of is None else of, skeleton=dataset.skeleton), share=share)


@final
class PastedDataset(WrappedDataset):
    """A data set in some of whose images somebody is pasted, beside a labelled person and before everybody.

    Keypoints that are covered become hidden, and the pasted person is labelled like the others. An image whose size is not
    known without reading it (`image_size`), and one in which too much would be covered, stays as it is.

    Args:
        dataset: Images and labels.
        cutouts: People to paste, in the keypoints of `dataset` (`cut_out`).
        share: Share of the images in which somebody is pasted, 0 to 1.
        seed: Seed of all choices; an image always gets the same person at the same place.

    Raises:
        InputError: There is nobody to paste, or `share` is not between 0 and 1.
    """

    def __init__(self, dataset: Dataset, cutouts: Sequence[Cutout], *, share: float = 0.3, seed: int = 0) -> None:
        super().__init__(dataset)
        if not cutouts:
            raise InputError(
                "nobody can be pasted: no person with keypoints has a segmentation mask that contains them; give labels with "
                "masks, or paste nobody"
            )
        if not 0 <= share <= 1:
            raise InputError(f"the share of images in which somebody is pasted must lie between 0 and 1, found {share}")
        self.cutouts = tuple(cutouts)
        self._heights = np.array([len(one.mask) for one in cutouts])
        self.share = share
        self.seed = seed

    @property
    def generated(self) -> bool:
        """Whether labels are made by a program, image by image."""
        return self.dataset.generated

    def labels(self, index: int) -> Labels:
        """The annotations of an image, the pasted person last; the image is not read."""
        labels = self.dataset.labels(index)
        pasted = self._pasted(index, labels)
        return labels if pasted is None else pasted.joined(labels, self.known(index))

    def __getitem__(self, index: int) -> Sample:
        """Image, labels and key."""
        sample = self.dataset[index]
        pasted = self._pasted(index, sample.labels)
        if pasted is None:
            return sample
        return replace(sample, image=pasted.drawn(sample.image), labels=pasted.joined(sample.labels, self.known(index)))

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """An image with the pasted person, RGB, 0 to 255."""
        image = self.dataset.image(index)
        pasted = self._pasted(index, self.dataset.labels(index))
        return image if pasted is None else pasted.drawn(image)

    def ignore_mask(self, index: int, sample: Sample) -> Bool[Tensor, "H W"]:
        """Unlabelled pixels, without those of the pasted person."""
        labels = self.dataset.labels(index)
        covered = self.dataset.ignore_mask(index, replace(sample, labels=labels))
        pasted = self._pasted(index, labels)
        return covered if pasted is None else covered & ~pasted.mask(sample.size)

    def masks(self, index: int) -> Bool[Tensor, "n H W"] | None:
        """Segmentation mask of each person, without what the pasted person covers; None for a data set without masks."""
        masks = self.dataset.masks(index)
        pasted = None if masks is None else self._pasted(index, self.dataset.labels(index))
        if masks is None or pasted is None:
            return masks
        own = pasted.mask((masks.shape[1], masks.shape[2]))
        return torch.cat((masks & ~own, own[None]))

    def parts(self, index: int) -> UInt8[Tensor, "H W"] | None:
        """Number of the body part that each pixel of an image shows, 0 where somebody is pasted; None without part masks."""
        parts = self.dataset.parts(index)
        pasted = None if parts is None else self._pasted(index, self.dataset.labels(index))
        return parts if parts is None or pasted is None else parts * ~pasted.mask((parts.shape[0], parts.shape[1]))

    def _pasted(self, index: int, labels: Labels) -> "_Pasted | None":
        """Who is pasted into an image, and where."""
        rng = np.random.default_rng((self.seed, range(len(self))[index]))
        size = self.image_size(index)
        rows = torch.nonzero(trainable(labels)).flatten().tolist()
        if rng.random() >= self.share or size is None or not rows:
            return None
        x0, y0, x1, y1 = labels.boxes[rng.choice(rows)].tolist()
        height = rng.uniform(*HEIGHTS) * max(y1 - y0, 16.0)
        large = np.flatnonzero(self._heights * ENLARGED >= height)
        if not len(large):
            return None
        cutout = self.cutouts[rng.choice(large)]
        if rng.random() < 0.5:
            cutout = cutout.mirrored(self.skeleton)
        own = cutout.resized(height / len(cutout.mask))
        high, wide = own.mask.shape
        sideways = rng.choice((-1, 1)) * rng.uniform(*BESIDE) * (x1 - x0 + wide) / 2
        left, top = round((x0 + x1) / 2 + sideways - wide / 2), round(y1 + rng.uniform(-0.15, 0.1) * (y1 - y0) - high)
        return _Pasted.within(own, left, top, size, labels)


@final
@dataclass(frozen=True, eq=False)
class _Pasted:
    """A cutout at its place, clipped to the image.

    Attributes:
        image: Pixels.
        shape: Which of them show the person.
        labels: Annotation of the person, in pixels of the image.
        left: Column of the first pixel in the image.
        top: Row of the first pixel in the image.
    """

    image: UInt8[np.ndarray, "H W 3"]
    shape: UInt8[np.ndarray, "H W"]
    labels: Labels
    left: int
    top: int

    @classmethod
    def within(cls, cutout: Cutout, left: int, top: int, size: Size, labels: Labels) -> "_Pasted | None":
        """Place a cutout; None where little of it is inside the image, or too much of somebody would be covered."""
        high, wide = cutout.mask.shape
        rows = slice(max(-top, 0), min(high, size[0] - top))
        columns = slice(max(-left, 0), min(wide, size[1] - left))
        shape = cutout.mask[rows, columns]
        if 2 * shape.sum() < cutout.mask.sum():
            return None
        xy = cutout.labels.xy + torch.tensor((left, top))
        limit = torch.tensor((size[1] - 1, size[0] - 1))
        inside = ((xy >= 0) & (xy <= limit)).all(dim=2)
        boxes = (cutout.labels.boxes + torch.tensor((left, top, left, top))).clamp(min=0).minimum(limit.repeat(2))
        own = replace(
            cutout.labels, xy=xy, visible=cutout.labels.visible * inside, boxes=boxes, area=torch.tensor([float(shape.sum())])
        )
        placed = cls(cutout.image[rows, columns], shape, own, left + columns.start, top + rows.start)
        seen = labels.visible == 2
        hidden = (placed.covers(labels) & seen).sum(dim=1)
        return None if bool((hidden > MOST_HIDDEN * seen.sum(dim=1)).any()) else placed

    def covers(self, labels: Labels) -> Bool[Tensor, "n k"]:
        """True for each keypoint of others that lies behind the person."""
        at = (labels.xy.round() - torch.tensor((self.left, self.top))).long()
        limit = torch.tensor((self.shape.shape[1], self.shape.shape[0]))
        inside = ((at >= 0) & (at < limit)).all(dim=2)
        columns, rows = at.clamp(min=0).minimum(limit - 1).unbind(dim=2)
        return inside & torch.from_numpy(self.shape > 0)[rows, columns]

    def joined(self, labels: Labels, known: Bool[Tensor, " k"]) -> Labels:
        """Everybody's annotations: of those who were there, with what is covered as hidden, and of the person."""
        there = replace(labels, visible=torch.where(self.covers(labels), labels.visible.clamp(max=1), labels.visible))
        number = labels.ids.max().reshape(1) + 1
        category = labels.categories[:1]
        own = replace(self.labels, visible=self.labels.visible * known, ids=number, categories=category)
        return Labels(**{f.name: torch.cat((getattr(there, f.name), getattr(own, f.name))) for f in fields(Labels)})

    def mask(self, size: Size) -> Bool[Tensor, "H W"]:
        """The pixels of an image that show the person."""
        whole = torch.zeros(size, dtype=torch.bool)
        whole[self._rows, self._columns] = torch.from_numpy(self.shape > 0)
        return whole

    def drawn(self, image: UInt8[Tensor, "3 H W"]) -> UInt8[Tensor, "3 H W"]:
        """The image with the person, whose outline is softened by a pixel."""
        pixels = np.array(image.permute(1, 2, 0).numpy())
        soft = cv2.GaussianBlur(self.shape.astype(np.float32), (3, 3), 0)[..., None] * self.shape[..., None]
        under = pixels[self._rows, self._columns].astype(np.float32)
        pixels[self._rows, self._columns] = (soft * self.image + (1 - soft) * under + 0.5).astype(np.uint8)
        return torch.from_numpy(pixels).permute(2, 0, 1)

    @property
    def _rows(self) -> slice:
        return slice(self.top, self.top + self.shape.shape[0])

    @property
    def _columns(self) -> slice:
        return slice(self.left, self.left + self.shape.shape[1])


def _cut(image: UInt8[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"], labels: Labels, least: int) -> Cutout | None:
    """A person as a cutout; None where the mask is small or does not contain the visible keypoints."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows) or rows[-1] - rows[0] + 1 < least:
        return None
    at = labels.xy[labels.visible == 2].round().long().numpy()
    at = at[(at >= 0).all(axis=1) & (at < mask.shape[::-1]).all(axis=1)]
    near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8))
    if not len(at) or near[at[:, 1], at[:, 0]].mean() < 0.8:
        return None
    part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    corner = torch.tensor((columns[0], rows[0]), dtype=torch.float32)
    moved = replace(labels, xy=labels.xy - corner, boxes=labels.boxes - corner.repeat(2))
    whole = Cutout(np.array(image[part]), mask[part].astype(np.uint8), moved)
    return whole.resized(min(1.0, LARGEST / max(whole.mask.shape)))
