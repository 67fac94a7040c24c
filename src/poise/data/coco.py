"""Keypoint files in the form of COCO (cocodataset.org/#format-data), with any keypoints."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from poise.data.base import Dataset
from poise.data.coco_labels import MEND, read_labels
from poise.data.document import Document, read_document, stated_size
from poise.data.files import ImageFiles
from poise.data.masks import Segmentation, has_segmentation, mask
from poise.dims import Size
from poise.errors import AnnotationError, ImageError
from poise.geometry import box_mask
from poise.skeletons import Skeleton, check_shared, from_categories, from_category, union
from poise.structures import Key, Labels, Sample


@final
class CocoDataset(Dataset):
    """A COCO-style keypoint file and its images.

    Missing optional fields are filled: `iscrowd` 0, `area` from the segmentation, else `BODY_SHARE` of the box; `bbox` from
    the labelled keypoints, `BOX_MARGIN` wider; annotations without `keypoints` have none labelled; `num_keypoints` is not
    trusted but counted. Annotations of categories without keypoints are left out. All images count, also those without
    annotations.

    Args:
        annotations: The JSON file.
        images: The folder or zip file the images lie in; `file_name` may name sub-folders. None for the labels alone.
        skeleton: The keypoints wanted, found by name in the file; by default the union of the file's categories.
        complete: Whether every person in an image has an annotation. If not, and for images whose record says
            `all_persons_known: false`, all but the boxes of labelled people is `ignored`.

    Raises:
        ReadError: A file or folder is missing, empty or unreadable.
        AnnotationError: The file is of another kind, or damaged; the message names the annotation.
        SkeletonMismatch: The file has no keypoint of `skeleton`.
    """

    def __init__(
        self,
        annotations: Path | str,
        images: Path | str | None,
        *,
        skeleton: Skeleton | None = None,
        complete: bool = True,
    ) -> None:
        document = read_document(annotations)
        name = str(annotations)
        if not document["images"]:
            raise AnnotationError(f"{name!r} lists no images; a data set needs at least one record under `images`")
        sources = _sources(document, name, skeleton)
        self.annotations = Path(annotations)
        self.files = None if images is None else ImageFiles(images)
        self.skeleton = skeleton or from_categories(document["categories"])
        self.complete = complete
        labelled = union(list(sources.values()))
        check_shared(labelled, self.skeleton)
        self._known = torch.tensor([name in labelled.keypoints for name in self.skeleton.keypoints])
        self.categories = {c: str(r.get("name", c)) for r in document["categories"] if (c := r.get("id")) in sources}
        self._records = [_record(i, r, name) for i, r in enumerate(document["images"])]
        order = {r["id"]: i for i, r in enumerate(self._records)}
        if len(order) < len(self._records):
            raise AnnotationError(f"{name!r}: {len(self._records)} images share {len(order)} ids; {MEND}")
        kept = [a for a in document["annotations"] if a.get("category_id", next(iter(sources))) in sources]
        index = _image_index(kept, order, name)
        turn = np.argsort(index, kind="stable")
        kept = [kept[i] for i in turn]
        self._first = np.searchsorted(index[turn], np.arange(len(order) + 1))
        self._labels = read_labels(kept, self.skeleton, sources, [self._records[i] for i in index[turn]])

    def __len__(self) -> int:
        """How many images."""
        return len(self._records)

    def key(self, index: int) -> Key:
        """File name and id of an image."""
        return Key(self._records[index]["file_name"], self._records[index]["id"])

    def size(self, index: int) -> Size | None:
        """Height and width as the file states them, None where it does not."""
        size: Size | None = self._records[index]["size"]
        return size

    def labels(self, index: int) -> Labels:
        """The annotations of an image, in the order of the file."""
        index = range(len(self))[index]
        return self._labels.select(torch.arange(*self._first[index : index + 2].tolist()))

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """The image, RGB.

        Raises:
            ImageError: It is missing or cannot be decoded.
        """
        name: str = self._records[index]["file_name"]
        if self.files is None:
            raise ImageError(f"image {name!r} was asked of a data set opened without images; give their folder or zip file")
        return self.files.read(name)

    def known(self, index: int) -> Bool[Tensor, " k"]:
        """The keypoints that the file's categories have."""
        return self._known

    def ignore_mask(self, index: int, sample: Sample) -> Bool[Tensor, "H W"]:
        """Crowds and people without a labelled keypoint (`Labels.ignore_mask`): segmentations, or boxes of those who have none.

        Where not everybody is annotated, also whatever lies outside the labelled people's boxes. The first call reads the file
        again and keeps the segmentations of images with such people.

        Raises:
            AnnotationError: A segmentation is broken, or of another size than the image.
        """
        labels, image_id = sample.labels, self.key(index).image_id
        shapes = [self._unlabelled_segmentations.get((image_id, one)) for one in labels.ids.tolist()]

        def region(rows: Bool[Tensor, " n"]) -> Bool[Tensor, "H W"]:
            drawn = rows & torch.tensor([shape is not None for shape in shapes], dtype=torch.bool)
            covered = box_mask(labels.boxes[rows & ~drawn], sample.size)
            for row in drawn.nonzero().flatten().tolist():
                covered |= torch.from_numpy(mask(shapes[row], sample.size))
            return covered

        covered = labels.ignore_mask(region)
        if self.complete and self._records[index]["complete"]:
            return covered
        return covered | ~box_mask(labels.boxes[~labels.unlabelled], sample.size)

    @property
    def files_read(self) -> tuple[Path, ...]:
        """The annotation file."""
        return (self.annotations,)

    def file_size(self, index: int) -> int | None:
        """Bytes of the image's file."""
        return None if self.files is None else self.files.size(self._records[index]["file_name"])

    def file_path(self, index: int) -> str | None:
        """The image's file; None for labels alone."""
        return None if self.files is None else self.files.where(self._records[index]["file_name"])

    def people(self, *, crowd: bool = False) -> list[tuple[int, int]]:
        """The people one can train on: pairs of an image's index and a row of its labels."""
        people = self._labels
        sized = (people.boxes[:, 2:] > people.boxes[:, :2]).all(dim=1)
        good = sized & (people.visible > 0).any(dim=1) & (~people.crowd | crowd)
        image = self._image_of(good)
        return list(zip(image.tolist(), (good.numpy().nonzero()[0] - self._first[image]).tolist(), strict=True))

    def masks(self, index: int) -> Bool[Tensor, "n H W"]:
        """Which pixels each annotation of an image covers; none where it has no segmentation.

        The first call reads the file again and keeps its segmentations.

        Raises:
            AnnotationError: A segmentation is broken, or the file does not state the size of the image.
        """
        size = self.size(index)
        if size is None:
            raise AnnotationError(f"image {self.key(index).file_name!r} has no `width` and `height`; {MEND}")
        ids = self.labels(index).ids.tolist()
        out = torch.zeros((len(ids), *size), dtype=torch.bool)
        for row, annotation_id in enumerate(ids):
            segmentation = self._segmentations.get((self.key(index).image_id, annotation_id))
            if segmentation is not None:
                out[row] = torch.from_numpy(mask(segmentation, size))
        return out

    def _image_of(self, rows: Bool[Tensor, " n"]) -> Int64[np.ndarray, " m"]:
        """In which image each annotation of `rows` is."""
        image: Int64[np.ndarray, " m"] = np.searchsorted(self._first, rows.numpy().nonzero()[0], side="right") - 1
        return image

    @cached_property
    def _segmentations(self) -> Mapping[tuple[Any, Any], Segmentation]:
        """By image and annotation id. Larger than all other labels together, so read only when masks are wanted."""
        return self._read_segmentations()

    @cached_property
    def _unlabelled_segmentations(self) -> Mapping[tuple[Any, Any], Segmentation]:
        """Of everybody in images where somebody has no labelled keypoint."""
        silent = self._image_of(self._labels.unlabelled)
        if not len(silent):
            return {}
        wanted = {self._records[i]["id"] for i in set(silent.tolist())}
        return {key: found for key, found in self._read_segmentations().items() if key[0] in wanted}

    def _read_segmentations(self) -> dict[tuple[Any, Any], Segmentation]:
        everything = read_document(self.annotations)["annotations"]
        return {(a.get("image_id"), a.get("id")): a["segmentation"] for a in everything if has_segmentation(a)}


def _sources(document: Document, name: str, skeleton: Skeleton | None) -> dict[Any, Skeleton]:
    """The skeleton of each category that has keypoints, by id."""
    with_keypoints = [c for c in document["categories"] if c.get("keypoints")]
    if with_keypoints:
        return {c.get("id", 1): from_category(c) for c in with_keypoints}
    if skeleton is None:
        raise AnnotationError(
            f"{name!r}: no category lists its `keypoints`, so nobody knows what they are called; "
            f"add the names to `categories`, or give a skeleton"
        )
    return dict.fromkeys({a.get("category_id", 1) for a in document["annotations"]} or {1}, skeleton)


def _record(place: int, record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What is needed of an image's record; COCO's own `file_name` has no folder, its `coco_url` says which."""
    file_name = record.get("file_name") or "/".join(str(record.get("coco_url", "")).split("/")[-2:])
    if not file_name or not isinstance(file_name, str) or not isinstance(record.get("id"), int):
        raise AnnotationError(
            f"{name!r}: image number {place} needs a `file_name` and a whole number `id`, found {record}; {MEND}"
        )
    complete = bool(record.get("all_persons_known", True))
    return {"id": record["id"], "file_name": file_name, "size": stated_size(record), "complete": complete}


def _image_index(annotations: Sequence[Mapping[str, Any]], order: Mapping[int, int], name: str) -> np.ndarray:
    index = [order.get(a.get("image_id", -1), -1) for a in annotations]
    if -1 in index:
        wrong = annotations[index.index(-1)]
        raise AnnotationError(
            f"{name!r}: annotation {wrong.get('id')} is of image {wrong.get('image_id')}, which is not among `images`; {MEND}"
        )
    return np.array(index, dtype=np.int64)
