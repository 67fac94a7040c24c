"""`EvalSet`: a data set with its labels as COCO annotations and its evaluation protocol."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.data.base import Dataset
from poise.data.coco import CocoDataset
from poise.data.coco_labels import BODY_SHARE, labelled
from poise.data.combined import CombinedDataset
from poise.data.document import read_document, read_labels_json
from poise.data.large import LargePeople, large_text
from poise.data.mpii import MpiiDataset, is_mpii
from poise.data.naming import Naming
from poise.data.records import stated_size
from poise.data.subset import Subset
from poise.dims import Size
from poise.errors import AnnotationError, InputError, SkeletonMismatch
from poise.evaluation.protocols import CocoProtocol, EvalProtocol, MpiiProtocol
from poise.fields import flag
from poise.metrics.coco_format import to_coco_annotations
from poise.models.values import LabelledImage
from poise.notes import note
from poise.skeletons import Skeleton, from_category
from poise.structures import CropRule


@final
@dataclass(frozen=True, eq=False)
class EvalSet:
    """A data set, its ground truth and its evaluation protocol.

    Attributes:
        dataset: Images and labels.
        truth: COCO annotations (images, annotations, categories).
        skeletons: Skeleton of each category id.
        ids: Image ids, in the order of the data set.
        protocol: Protocol: the people that are evaluated, their boxes, and the metrics beside COCO's.
        left_out: Number of annotations of the file that are of categories without keypoint names.
        min_area: Area (square pixels) below which whoever is found does not count; labelled people below it are crowds here.
    """

    dataset: Dataset
    truth: Mapping[str, Any]
    skeletons: Mapping[int, Skeleton]
    ids: tuple[int, ...]
    protocol: EvalProtocol = field(default_factory=CocoProtocol)
    left_out: int = 0
    min_area: float = 0.0

    @classmethod
    def of_file(
        cls,
        annotations: Path | str,
        images: Path | str | None,
        *,
        skeleton: Skeleton,
        heads: Path | str | None = None,
        naming: Naming | None = None,
    ) -> "EvalSet":
        """A COCO-style keypoint file, or one of MPII's, and its images.

        Args:
            annotations: The annotation file.
            images: Folder or zip file; None where no image will be read.
            skeleton: Skeleton of the keypoints where no category of the file names them.
            heads: A .mat file with MPII's head boxes.
            naming: Names of the keypoints where the file has none, and fields beside `keypoints`.

        Raises:
            ReadError: A file or folder is missing or unreadable.
            AnnotationError: The annotations are invalid.
            InputError: Head boxes are given for another data set than MPII.
        """
        read = read_labels_json(annotations, images=images)
        if is_mpii(read):
            return cls._of_mpii(MpiiDataset(annotations, images, heads=heads))
        if heads is not None:
            raise InputError(f"head boxes are for MPII's JSON, which {str(annotations)!r} is not; leave them out")
        truth = read_document(annotations, read, naming=naming)
        named = [c for c in truth["categories"] if c.get("keypoints")]
        nameless = next((c for c in named if not isinstance(c.get("id"), int)), None)
        if nameless is not None:
            raise AnnotationError(
                f"{str(annotations)!r}: category {nameless.get('name')!r} has the id {nameless.get('id')!r}; expected a whole "
                f"number, the `category_id` of its annotations; `poise data check FILE --fix OUT` numbers it"
            )
        known = bool(named)
        dataset = CocoDataset(annotations, images, skeleton=None if known else skeleton, naming=naming, document=truth)
        if known:
            skeletons = {int(c["id"]): from_category(c) for c in named}
        else:
            skeletons = {int(c): skeleton for c in {a.get("category_id", 1) for a in truth["annotations"]}}
            named = [{"id": c} for c in skeletons]
        only = next(iter(skeletons), 1)
        people = [
            {"category_id": only} | {name: value for name, value in a.items() if name != "segmentation"}
            for a in truth["annotations"]
            if a.get("category_id", only) in skeletons
        ]
        people = [{**a, "id": n} if not isinstance(a.get("id"), int) else a for n, a in enumerate(people, start=1)]
        people = _completed(people, dataset, annotations)
        lost = len(truth["annotations"]) - len(people)
        ids = tuple(dataset.key(i).image_id for i in range(len(dataset)))
        truth = {"images": truth["images"], "annotations": people, "categories": named}
        return cls(dataset, truth, skeletons, ids, left_out=lost)

    @classmethod
    def of_dataset(cls, dataset: Dataset) -> "EvalSet":
        """The evaluation set of any data set; its people are of one category.

        Raises:
            InputError: It has no images.
        """
        if not len(dataset):
            raise InputError("the data set has no images, so there is nothing to evaluate on")
        ids = tuple(dataset.key(i).image_id for i in range(len(dataset)))
        if len(set(ids)) < len(ids):
            ids = tuple(range(1, len(ids) + 1))
        truth = to_coco_annotations({i: dataset.labels(row) for row, i in enumerate(ids)}, dataset.skeleton)
        return cls(dataset, truth, {1: dataset.skeleton}, ids)

    @classmethod
    def _of_mpii(cls, dataset: MpiiDataset) -> "EvalSet":
        ids = tuple(dataset.key(i).image_id for i in range(len(dataset)))
        truth = to_coco_annotations({i: dataset.labels(row) for row, i in enumerate(ids)}, dataset.skeleton)
        return cls(dataset, truth, {1: dataset.skeleton}, ids, MpiiProtocol(dataset))

    def at_least(self, min_area: float) -> "EvalSet":
        """The set without people of a smaller area, labelled or found; how many labelled ones that are is said.

        Labelled ones count as crowds, as COCO's protocol treats people outside of its ranges of areas: finding them is neither
        right nor wrong.

        Args:
            min_area: Square pixels; 0 for everybody.

        Raises:
            InputError: The set has a protocol of its own (MPII's), which evaluates everybody.
        """
        if not min_area:
            return self
        if not isinstance(self.protocol, CocoProtocol):
            raise InputError("MPII's protocol evaluates everybody, and its people have no areas; leave --min-area out")
        dataset = LargePeople(self.dataset, min_area)
        note(large_text(dataset, done="evaluated"))
        people = [{**a, "iscrowd": 1} if float(a.get("area", 0)) < min_area else a for a in self.truth["annotations"]]
        return replace(self, dataset=dataset, truth={**self.truth, "annotations": people}, min_area=min_area)

    def one_class(self, finder: str) -> "EvalSet":
        """The set with all categories as one, which is said once; models that find people by themselves do not tell them apart.

        Args:
            finder: Name of the model.
        """
        if len(self.skeletons) == 1:
            return self
        names = [str(c.get("name", c["id"])) for c in self.truth["categories"]]
        note(f"{' and '.join(names)} are scored as one class with all their keypoints: {finder} does not tell them apart")
        labels = {i: self.dataset.labels(row) for row, i in enumerate(self.ids)}
        truth = to_coco_annotations(labels, self.dataset.skeleton) | {"images": self.truth["images"]}
        return replace(self, truth=truth, skeletons={1: self.dataset.skeleton})

    def shared_with(self, skeleton: Skeleton) -> "EvalSet":
        """The set with the keypoints of a model, by name: keypoints that it does not find are not scored, which is said once.

        Keypoints that the data set does not have count as not labelled. All categories become one.

        Args:
            skeleton: Skeleton of the model.

        Raises:
            SkeletonMismatch: None of the keypoints is the model's.
            InputError: The set has a protocol of its own (MPII's), which evaluates all of its keypoints.
        """
        lost = [name for name in self.skeleton.keypoints if name not in skeleton.keypoints]
        if not lost:
            return self
        if not isinstance(self.protocol, CocoProtocol):
            raise InputError("MPII's protocol evaluates all of its keypoints; leave --shared-keypoints out")
        dataset = CombinedDataset([self.dataset], skeleton=skeleton)
        kept = len(self.skeleton) - len(lost)
        note(f"{kept} of {len(self.skeleton)} labelled keypoints are scored; the model does not find {', '.join(lost)}")
        truth = to_coco_annotations({i: dataset.labels(row) for row, i in enumerate(self.ids)}, skeleton)
        return replace(self, dataset=dataset, truth=truth | {"images": self.truth["images"]}, skeletons={1: skeleton})

    @property
    def skeleton(self) -> Skeleton:
        """Skeleton of the data set: the keypoints of all categories."""
        return self.dataset.skeleton

    def known_to(self, skeleton: Skeleton) -> None:
        """Refuse a skeleton that lacks keypoints of the data set.

        Raises:
            SkeletonMismatch: Keypoints are missing; the message names them.
        """
        missing = [name for name in self.skeleton.keypoints if name not in skeleton.keypoints]
        if missing:
            raise SkeletonMismatch(
                f"the model's skeleton {skeleton.name!r} has no {', '.join(missing)}, which the annotations ask for; it finds "
                f"{', '.join(skeleton.keypoints)}. Score those alone that both have (--shared-keypoints), rename "
                "keypoints in the file's categories, or fine-tune the model on them"
            )

    def check_somebody(self) -> None:
        """Refuse a set in which nobody can be scored, and say where the annotations went; MPII's test set has no labels.

        Raises:
            AnnotationError: No single person has a labelled keypoint.
        """
        people = self.truth["annotations"]
        single = [a for a in people if not flag(a.get("iscrowd"))]
        if not isinstance(self.protocol, CocoProtocol) or any(map(labelled, single)):
            return
        names = ", ".join(repr(str(path)) for path in self.dataset.files_read) or "the data set"
        raise AnnotationError(
            f"{names}: there is nobody to score: of {len(people) + self.left_out} annotations {self.left_out} are of "
            f"categories without keypoint names, {len(people) - len(single)} are crowds, {len(single)} have no labelled "
            f"keypoint; `poise predict` needs no labels"
        )

    def people(self, index: int) -> list[int]:
        """Row indices of the labels of an image that are evaluated (`EvalProtocol.evaluated`)."""
        return self._people[range(len(self.dataset))[index]]

    @cached_property
    def _people(self) -> list[list[int]]:
        """`people` of every image, found for all of them at once."""
        counts = self.dataset.label_counts
        rows = self.protocol.evaluated(self.dataset.all_labels).nonzero().flatten()
        image = torch.repeat_interleave(torch.arange(len(counts)), counts)[rows]
        found: list[list[int]] = [[] for _ in range(len(counts))]
        for index, row in zip(image.tolist(), (rows - (counts.cumsum(0) - counts)[image]).tolist(), strict=True):
            found[index].append(row)
        return found

    def sample(self, people: int) -> "EvalSet":
        """The set where it has no more than some people to evaluate; else images that are drawn at random, each time the same.

        A set with a protocol of its own (MPII) stays whole.

        Args:
            people: Number of people of which there are enough.
        """
        counts = torch.tensor([len(rows) for rows in self._people])
        if int(counts.sum()) <= people or not isinstance(self.protocol, CocoProtocol):
            return self
        order = torch.randperm(len(counts), generator=torch.Generator().manual_seed(0))
        enough = int((counts[order].cumsum(0) < people).sum()) + 1
        chosen = sorted(order[:enough].tolist())
        ids = tuple(self.ids[index] for index in chosen)
        known = set(ids)
        images = [self.truth["images"][index] for index in chosen]
        labelled = [row for row in self.truth["annotations"] if row["image_id"] in known]
        truth = {**self.truth, "images": images, "annotations": labelled}
        return replace(self, dataset=Subset(self.dataset, chosen), truth=truth, ids=ids)

    @property
    def everybody(self) -> int:
        """Number of the people that are evaluated."""
        return sum(map(len, self._people))

    @property
    def sizeless(self) -> int:
        """Number of people with a labelled keypoint whose box has no size."""
        labels = self.dataset.all_labels
        known = (labels.visible > 0).any(dim=1) & ~labels.crowd
        return int((known & ~self.protocol.evaluated(labels)).sum())

    def categories(self, index: int) -> list[int]:
        """Category id of each of `people`."""
        rows = self.people(index)
        if len(self.skeletons) == 1:
            return [next(iter(self.skeletons))] * len(rows)
        found: list[int] = self.dataset.labels(index).categories[rows].tolist()
        return found

    def boxes(self, index: int, rule: CropRule) -> Float[Tensor, "n 4"]:
        """Boxes of `people`, x0 y0 x1 y1, as the release of a crop rule reads them."""
        return self.protocol.boxes(
            index, self.dataset.labels(index).boxes[self.people(index)], rule, size=self.known_size(index)
        )

    def known_size(self, index: int) -> Size | None:
        """Size (h, w) of an image in the annotations; None where they have none."""
        return stated_size(self.truth["images"][index])

    def size(self, index: int) -> Size:
        """Size (h, w) of an image: from the annotations, or by reading it."""
        known = self.known_size(index)
        if known is not None:
            return known
        image = self.dataset.image(index)
        return image.shape[1], image.shape[2]

    def labelled(self, index: int, rule: CropRule) -> LabelledImage:
        """An image without its pixels, for the round trip of a codec."""
        return LabelledImage(
            self.dataset.key(index),
            self.dataset.labels(index),
            self.people(index),
            self.boxes(index, rule),
            self.skeleton,
            partial(self.size, index),
        )


def _completed(people: list[dict[str, Any]], dataset: CocoDataset, path: Path | str) -> list[dict[str, Any]]:
    """Annotations of a file with the areas and boxes that the data set gives to those without, which is said once.

    Args:
        people: The annotations of categories with keypoints, in the order of the file.
        dataset: The data set of the file.
        path: The file.
    """
    if all(a.get("area") and a.get("bbox") for a in people):
        return people
    labels = dataset.all_labels
    image = {dataset.key(i).image_id: i for i in range(len(dataset))}
    after = dict(enumerate((dataset.label_counts.cumsum(0) - dataset.label_counts).tolist()))
    made = []
    for person in people:
        row = after[image[person["image_id"]]]
        after[image[person["image_id"]]] += 1
        x0, y0, x1, y1 = labels.boxes[row].tolist()
        box = {} if person.get("bbox") else {"bbox": [x0, y0, x1 - x0, y1 - y0]}
        known = person.get("area") or (labelled(person) and not labels.area[row] > 0)
        area = {} if known else {"area": float(labels.area[row])}
        made.append({**person, **box, **area})
    without = [a for a, old in zip(made, people, strict=True) if a.get("area") != old.get("area") and labelled(a)]
    if without:
        note(
            f"{str(path)!r}: {len(without)} labelled people, such as annotation {without[0].get('id')}, have no area, which "
            f"OKS needs; it is that of their segmentation, else {BODY_SHARE:g} of their box"
        )
    return made
