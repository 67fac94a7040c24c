"""Keypoint files in COCO's format (cocodataset.org/#format-data), with any keypoints."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from poise.data.base import Dataset
from poise.data.coco_labels import FIX, read_labels
from poise.data.coco_records import (
    image_index,
    image_record,
    kept_annotations,
    names_file,
    note_unreadable,
    shared_id,
    sources_of,
)
from poise.data.document import read_document
from poise.data.files import ImageFiles
from poise.data.masks import Segmentation, check_segmentation, has_segmentation, mask
from poise.data.naming import Naming, note_unread_fields
from poise.data.recognise import refuse_mistaken
from poise.data.records import Document
from poise.dims import Size
from poise.errors import AnnotationError, ImageError
from poise.geometry import box_mask
from poise.notes import note
from poise.skeletons import Skeleton, check_shared, from_categories, union
from poise.structures import Key, Labels, Sample


@final
class CocoDataset(Dataset):
    """A COCO-style keypoint file and its images.

    Missing optional fields are filled in: `iscrowd` is 0; `area` is that of the segmentation, else `BODY_SHARE` of the box;
    `bbox` is the box around the labelled keypoints, grown by `BOX_MARGIN`; annotations without `keypoints` have none labelled.
    `num_keypoints` is not read but counted. Annotations of categories without keypoints are left out. Images without
    annotations are kept.

    Args:
        annotations: The JSON file.
        images: Folder or zip file of the images; `file_name` may contain sub-folders. None to read labels only.
        skeleton: The keypoints of the labels, found by name in the file; by default the union of the file's categories.
        complete: Whether every person in an image has an annotation. If not, and for images whose record has
            `all_persons_known: false`, the ignore mask covers everything outside the boxes of labelled people.
        naming: Names of the keypoints where the file has none, fields beside `keypoints`, and further mirror pairs.
        document: The content of the file (`read_document`), with these names, where it was read already.

    Raises:
        ReadError: A file or folder is missing, empty or cannot be read.
        AnnotationError: The file is not a COCO keypoint file, or a field has no valid value; the message names the annotation.
        SkeletonMismatch: The file has no keypoint of `skeleton`.
    """

    def __init__(
        self,
        annotations: Path | str,
        images: Path | str | None,
        *,
        skeleton: Skeleton | None = None,
        complete: bool = True,
        naming: Naming | None = None,
        document: Document | None = None,
    ) -> None:
        document = read_document(annotations, naming=naming, images=images) if document is None else document
        self.naming = naming
        with names_file(annotations):
            self._read(document, annotations, images, skeleton, complete)

    def _read(
        self, document: Document, annotations: Path | str, images: Path | str | None, skeleton: Skeleton | None, complete: bool
    ) -> None:
        name = str(annotations)
        if not document["images"]:
            raise AnnotationError(f"{name!r} lists no images; a data set needs at least one record under `images`")
        sources = sources_of(document, name, skeleton)
        self.annotations = Path(annotations)
        self.skeleton = skeleton or from_categories(document["categories"])
        self.complete = complete
        stated = union(list(sources.values()))
        check_shared(stated, self.skeleton)
        self._known = torch.tensor([name in stated.keypoints for name in self.skeleton.keypoints])
        self.categories = {c: str(r.get("name", c)) for r in document["categories"] if (c := r.get("id")) in sources}
        if len(self.categories) > 1:
            named = " and ".join(self.categories.values())
            note(
                f"{name!r}: {named} are joined by keypoint name ({len(self.skeleton)} keypoints in all); "
                "models for whole images find them as one class"
            )
        self._records = [image_record(i, r, name) for i, r in enumerate(document["images"])]
        self._root = images
        self.files = None if images is None else ImageFiles(images, names=(r["file_name"] for r in self._records))
        order = {r["id"]: i for i, r in enumerate(self._records)}
        if len(order) < len(self._records):
            raise AnnotationError(f"{name!r}: {shared_id(self._records)}; give each image an id of its own")
        refuse_mistaken(document, annotations, fix=FIX)
        note_unread_fields(document["annotations"], self.naming, annotations)
        kept = kept_annotations(document, sources, name)
        index = image_index(kept, order, name)
        turn = np.argsort(index, kind="stable")
        kept = [kept[i] for i in turn]
        self._first = np.searchsorted(index[turn], np.arange(len(order) + 1))
        faults: list[str] = []
        self._labels = read_labels(kept, self.skeleton, sources, [self._records[i] for i in index[turn]], faults=faults)
        note_unreadable(annotations, faults)

    def __len__(self) -> int:
        """Number of images."""
        return len(self._records)

    def key(self, index: int) -> Key:
        """File name and id of an image, and its frame where the file says of which sequence it is."""
        record = self._records[index]
        return Key(record["file_name"], record["id"], frame=record["place"][1])

    def sequence(self, index: int) -> str | None:
        """Name of the sequence that an image is part of (`records.SEQUENCE_FIELDS`); None where the file states none."""
        name: str | None = self._records[index]["place"][0]
        return name

    def image_size(self, index: int) -> Size | None:
        """Size of an image (h, w) as the file states it, pixels; None where it does not."""
        size: Size | None = self._records[index]["size"]
        return size

    def labels(self, index: int) -> Labels:
        """The annotations of an image, in the order of the file."""
        index = range(len(self))[index]
        return self._labels.select(torch.arange(*self._first[index : index + 2].tolist()))

    @property
    def all_labels(self) -> Labels:
        """The annotations of all images, image by image."""
        return self._labels

    @property
    def label_counts(self) -> Int64[Tensor, " i"]:
        """Number of annotations of each image."""
        return torch.from_numpy(np.diff(self._first))

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """An image, RGB, 0 to 255: as its labels count its pixels (`data.orientation`).

        Raises:
            ImageError: The image is missing or cannot be decoded, or the data set has labels only.
        """
        name: str = self._records[index]["file_name"]
        if self.files is None:
            raise ImageError(
                f"image {name!r} cannot be read: the data set was opened without images; give their folder or zip file"
            )
        return self.files.read_labelled(name, stated=self.image_size(index))

    def known(self, index: int) -> Bool[Tensor, " k"]:
        """True for each keypoint that a category of the file has."""
        return self._known

    def ignore_mask(self, index: int, sample: Sample) -> Bool[Tensor, "H W"]:
        """Unlabelled pixels, which may show people (`Labels.ignore_mask`).

        These are the segmentations, or else the boxes, of crowds and of people without a labelled keypoint. For an image in
        which not everybody is annotated they are also all pixels outside the boxes of labelled people. The first call reads
        the file again and keeps the segmentations of images with unlabelled people.

        Args:
            index: Index of the image.
            sample: `dataset[index]`, which the caller has read already.

        Raises:
            AnnotationError: A segmentation cannot be read, or has another size than the image.
        """
        labels, image_id = sample.labels, self.key(index).image_id
        shapes = [self._unlabelled_segmentations.get((image_id, one)) for one in labels.ids.tolist()]

        def region(people: Bool[Tensor, " n"]) -> Bool[Tensor, "H W"]:
            segmented = people & torch.tensor([shape is not None for shape in shapes], dtype=torch.bool)
            covered = box_mask(labels.boxes[people & ~segmented], sample.size)
            for person in segmented.nonzero().flatten().tolist():
                covered |= torch.from_numpy(mask(shapes[person], sample.size))
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
        """Size of the stored image file, bytes; None for an image that is missing."""
        return None if self.files is None else self.files.size(self._records[index]["file_name"])

    def file_path(self, index: int) -> str | None:
        """Path of the image file; None for a data set opened without images."""
        return None if self.files is None else self.files.resolved_path(self._records[index]["file_name"])

    def people(self, *, crowd: bool = False) -> list[tuple[int, int]]:
        """The people that can be trained on, as pairs of an image index and an index into its labels.

        Args:
            crowd: Whether annotations of groups count as people.
        """
        people = self._labels
        sized = (people.boxes[:, 2:] > people.boxes[:, :2]).all(dim=1)
        good = sized & (people.visible > 0).any(dim=1) & (~people.crowd | crowd)
        image = self._image_of(good)
        return list(zip(image.tolist(), (good.numpy().nonzero()[0] - self._first[image]).tolist(), strict=True))

    def masks(self, index: int) -> Bool[Tensor, "n H W"]:
        """Segmentation mask of each annotation of an image, empty where it has none.

        The first call reads the file again and keeps its segmentations.

        Raises:
            AnnotationError: A segmentation cannot be read, or the file does not state the size of the image.
        """
        size = self.image_size(index)
        if size is None:
            raise AnnotationError(
                f"{str(self.annotations)!r}: image {self.key(index).file_name!r} has no `width` and `height`; "
                f"`poise data check FILE --images IMAGES --fix OUT` adds them"
            )
        ids = self.labels(index).ids.tolist()
        out = torch.zeros((len(ids), *size), dtype=torch.bool)
        for person, annotation_id in enumerate(ids):
            segmentation = self._segmentations.get((self.key(index).image_id, annotation_id))
            if segmentation is not None:
                out[person] = torch.from_numpy(mask(segmentation, size))
        return out

    def _image_of(self, annotations: Bool[Tensor, " n"]) -> Int64[np.ndarray, " m"]:
        """Index of the image of each selected annotation."""
        image: Int64[np.ndarray, " m"] = np.searchsorted(self._first, annotations.numpy().nonzero()[0], side="right") - 1
        return image

    @cached_property
    def _segmentations(self) -> Mapping[tuple[Any, Any], Segmentation]:
        """All segmentations, by image id and annotation id. They are larger than all other labels, so read only on demand."""
        return self._read_segmentations()

    @cached_property
    def _unlabelled_segmentations(self) -> Mapping[tuple[Any, Any], Segmentation]:
        """Segmentations of all people in images with unlabelled people, by image id and annotation id."""
        images = self._image_of(self._labels.unlabelled)
        if not len(images):
            return {}
        wanted = {self._records[i]["id"] for i in set(images.tolist())}
        return {key: found for key, found in self._read_segmentations().items() if key[0] in wanted}

    def _read_segmentations(self) -> dict[tuple[Any, Any], Segmentation]:
        """Segmentations that cannot be read are left out, which is said once."""
        sizes = {record["id"]: record["size"] for record in self._records}
        found, faults = {}, []
        for annotation in read_document(self.annotations, naming=self.naming, images=self._root)["annotations"]:
            size = sizes.get(annotation.get("image_id"))
            if not has_segmentation(annotation) or size is None:
                continue
            try:
                check_segmentation(annotation["segmentation"], size)
            except AnnotationError as error:
                faults.append(f"annotation {annotation.get('id')}: {error}")
                continue
            found[(annotation.get("image_id"), annotation.get("id"))] = annotation["segmentation"]
        note_unreadable(self.annotations, faults)
        return found
