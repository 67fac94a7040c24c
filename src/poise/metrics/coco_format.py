"""Annotations and results in COCO's format: made from poise's values, or checked and completed.

Files may lack fields, repeat ids and contain invalid numbers; whatever would silently change a score is refused.
"""

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from poise.errors import AnnotationError, InputError, SkeletonMismatch
from poise.fields import flag
from poise.geometry import xyxy_to_xywh
from poise.skeletons import Skeleton
from poise.structures import Labels

GroundTruth = Mapping[str, Any]
"""A COCO annotation file: images, annotations, categories."""

Record = dict[str, Any]
"""One result: image_id, category_id, keypoints (flat x, y, score), score; or one annotation."""

RESULT_FIELDS = {"image_id", "category_id", "keypoints", "score"}
"""Fields of a result that the protocol reads."""


def check_annotations(truth: GroundTruth, skeletons: Skeleton | Mapping[int, Skeleton]) -> None:
    """Refuse invalid annotations. Call it before inference to find errors early.

    Args:
        truth: COCO annotations.
        skeletons: The skeleton of all categories, or that of each category by its id.

    Raises:
        AnnotationError: The annotations lack a field or have no valid value.
        SkeletonMismatch: Annotations have another number of keypoints than the skeleton of their category.
    """
    checked_annotations(truth, skeletons_by_category(truth, skeletons))


def skeletons_by_category(truth: GroundTruth, skeletons: Skeleton | Mapping[int, Skeleton]) -> dict[int, Skeleton]:
    """The skeleton of every category, by category id.

    Args:
        truth: COCO annotations.
        skeletons: The skeleton of all categories, or that of each category by its id.

    Raises:
        AnnotationError: There is no list of images, annotations or categories, or a category has no skeleton.
    """
    for part in ("images", "annotations", "categories"):
        if not isinstance(truth.get(part), list):
            raise AnnotationError(
                f"the annotations have no list {part!r}; a COCO keypoint file has images, annotations, categories"
            )
    ids = [int(category["id"]) for category in truth["categories"]]
    if isinstance(skeletons, Skeleton):
        return dict.fromkeys(ids, skeletons)
    missing = [i for i in ids if i not in skeletons]
    if missing:
        raise AnnotationError(f"categories {missing} have no skeleton; give one for each of {ids}")
    return {i: skeletons[i] for i in ids}


def to_coco_annotations(labels: Mapping[int, Labels], skeleton: Skeleton) -> dict[str, Any]:
    """Labels as COCO annotations, all in one category of id 1, with annotation ids from 1.

    Args:
        labels: Labels of each image, by image id.
        skeleton: The keypoints of the labels.
    """
    annotations: list[dict[str, Any]] = []
    for image, people in labels.items():
        keypoints = np.concatenate((people.xy.double().numpy(), people.visible.double().numpy()[..., None]), axis=-1)
        boxes = np.concatenate((people.boxes[:, :2].double(), (people.boxes[:, 2:] - people.boxes[:, :2]).double()), axis=1)
        for person in range(len(people)):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": int(image),
                    "category_id": 1,
                    "bbox": boxes[person].tolist(),
                    "area": float(people.area[person]),
                    "iscrowd": int(people.crowd[person]),
                    "keypoints": (keypoints[person] * (keypoints[person, :, 2:] > 0)).reshape(-1).tolist(),
                }
            )
    category = {"id": 1, "name": skeleton.name, "keypoints": list(skeleton.keypoints)}
    return {"images": [{"id": int(i)} for i in labels], "annotations": annotations, "categories": [category]}


def to_coco_results(
    xy: Float[Tensor, "n k 2"],
    keypoint_score: Float[Tensor, "n k"],
    score: Float[Tensor, " n"],
    *,
    image: int,
    categories: Int64[Tensor, " n"],
) -> list[dict[str, Any]]:
    """Poses of one image as results in COCO's format.

    Args:
        xy: Keypoint positions, pixels of the image.
        keypoint_score: Confidence of each keypoint.
        score: Confidence of each pose.
        image: Id of the image.
        categories: Category id of each pose.
    """
    flat = np.concatenate((xy.double().numpy(), keypoint_score.double().numpy()[..., None]), axis=-1).reshape(
        len(xy), 3 * xy.shape[1]
    )
    values = zip(categories.tolist(), flat.tolist(), score.double().tolist(), strict=True)
    return [{"image_id": image, "category_id": c, "keypoints": k, "score": s} for c, k, s in values]


def to_coco_box_results(
    boxes: Float[Tensor, "n 4"], score: Float[Tensor, " n"], *, image: int, categories: Sequence[int]
) -> list[dict[str, Any]]:
    """Boxes of one image as a detector's results in COCO's format.

    Args:
        boxes: Boxes x0 y0 x1 y1, pixels of the image.
        score: Confidence of each box.
        image: Id of the image.
        categories: Category id of each box.
    """
    values = zip(categories, xyxy_to_xywh(boxes.double()).tolist(), score.double().tolist(), strict=True)
    return [{"image_id": image, "category_id": c, "bbox": b, "score": s} for c, b, s in values]


def finite(values: Sequence[Any]) -> bool:
    """Whether all values of a list are finite numbers.

    >>> finite([1, 2.5]), finite([1, float("nan")]), finite([1, "2"]), finite([1, None])
    (True, False, False, False)
    """
    # A sum is finite if all values are, unless they are too large to be pixels; three times faster than an array.
    try:
        return math.isfinite(sum(values))
    except (TypeError, OverflowError):
        return False


def checked_annotations(truth: GroundTruth, of: Mapping[int, Skeleton]) -> list[dict[str, Any]]:
    """The annotations, reduced to the fields that the protocol reads, with ids from 1.

    Ids are new because files repeat them, and because hotcoco takes id 0 for no match.

    Args:
        truth: COCO annotations.
        of: Skeleton of each category, by category id.

    Raises:
        AnnotationError: An annotation lacks a field or has no valid value.
        SkeletonMismatch: An annotation has another number of keypoints than the skeleton of its category.
    """
    known = {image["id"] for image in truth["images"]}
    if not known:
        raise AnnotationError("the annotations list no images, so there is nothing to score")
    people = []
    for annotation_id, found in enumerate(truth["annotations"], start=1):
        where = f"annotation {found.get('id', annotation_id)}"
        category = found.get("category_id")
        if not _listed(found.get("image_id"), known) or not _listed(category, of):
            raise AnnotationError(
                f"{where} names image {found.get('image_id')!r} and category {category!r}; one of them is not listed"
            )
        missing = [field for field in ("area", "bbox") if found.get(field) is None]
        if missing:
            raise AnnotationError(f"{where} has no {missing[0]}, which OKS needs; `poise data check FILE --fix OUT` adds it")
        k = len(of[category])
        keypoints = found.get("keypoints") or [0] * (3 * k)
        if not isinstance(keypoints, list | tuple):
            raise AnnotationError(f"{where} has `keypoints` {str(keypoints)[:60]!r}; expected a flat list of x, y, visible")
        if len(keypoints) != 3 * k:
            raise SkeletonMismatch(f"{where} has {len(keypoints) / 3:g} keypoints and skeleton {of[category].name!r} has {k}")
        _check_numbers(where, found["area"], found["bbox"], keypoints)
        crowd = flag(found.get("iscrowd"))
        if crowd is None:
            raise AnnotationError(f"{where} has `iscrowd` {str(found['iscrowd'])[:60]!r}; expected 0 or 1")
        people.append(
            {
                "id": annotation_id,
                "image_id": found["image_id"],
                "category_id": category,
                "bbox": found["bbox"],
                "area": found["area"],
                "iscrowd": crowd,
                "num_keypoints": sum(v > 0 for v in keypoints[2::3]),
                "keypoints": keypoints,
            }
        )
    return people


def _check_numbers(where: str, area: Any, box: Sequence[Any], keypoints: Sequence[Any]) -> None:
    fix = "`poise data check FILE --fix OUT` corrects it"
    if not finite([area]) or area < 0:
        raise AnnotationError(f"{where} has an area of {area!r}; expected a finite number of 0 or more; {fix}")
    if not isinstance(box, list | tuple) or len(box) != 4 or not finite(box):
        raise AnnotationError(f"{where} has a bbox of {box!r}; expected four finite numbers x, y, width, height; {fix}")
    if not finite(keypoints):
        raise AnnotationError(f"{where} has keypoints that are not finite numbers; {fix}")


def checked_results(truth: GroundTruth, results: Sequence[Record], of: Mapping[int, Skeleton]) -> list[dict[str, Any]]:
    """The results in categories that the annotations list, reduced to the fields that the protocol reads.

    Args:
        truth: COCO annotations.
        results: Poses in COCO's format.
        of: Skeleton of each category, by category id.

    Raises:
        AnnotationError: Results are for images that the annotations do not list, or all are of other categories.
        SkeletonMismatch: A result has another number of keypoints than the skeleton of its category.
        InputError: A result lacks a field or is not finite.
    """
    known = {image["id"] for image in truth["images"]}
    _check_ids(results)
    incomplete = next(
        ((i, RESULT_FIELDS - row.keys()) for i, row in enumerate(results) if not row.keys() >= RESULT_FIELDS), None
    )
    if incomplete is not None:
        raise InputError(f"result {incomplete[0]} has no {min(incomplete[1])}; expected {', '.join(sorted(RESULT_FIELDS))}")
    unknown = sorted({row["image_id"] for row in results} - known)
    if unknown:
        raise AnnotationError(f"results are for images {unknown[:5]} that the annotations do not list; is it another file?")
    # Other fields are removed, because hotcoco would read a bbox. Results without any are not copied, as copying is slow.
    chosen = (row for row in results if row["category_id"] in of)
    poses: list[dict[str, Any]] = [
        row if row.keys() == RESULT_FIELDS else {name: row[name] for name in RESULT_FIELDS} for row in chosen
    ]
    if results and not poses:
        found = sorted({str(row["category_id"]) for row in results})[:5]
        raise AnnotationError(
            f"all results are of categories {found}, and the annotations have {sorted(of)}; is it another file?"
        )
    wrong = next((p for p in poses if len(p["keypoints"]) != 3 * len(of[p["category_id"]])), None)
    if wrong is not None:
        k = len(of[wrong["category_id"]])
        raise SkeletonMismatch(f"a result has {len(wrong['keypoints'])} values in its keypoints; {k} keypoints need {3 * k}")
    if not all(isinstance(p["keypoints"], list | tuple) for p in poses):
        raise InputError("a result has `keypoints` that are no flat list of x, y, score")
    if not all(finite(p["keypoints"]) and finite((p["score"],)) for p in poses):
        raise InputError("a result has a position or a score that is not finite; every number must be")
    return poses


def _listed(value: Any, known: Container[Any]) -> bool:
    return not isinstance(value, list | dict) and value in known


def _check_ids(results: Sequence[Record]) -> None:
    for index, row in enumerate(results):
        for name in ("image_id", "category_id"):
            if (
                name in row
                and type(row[name]) is not int
                and (isinstance(row[name], bool) or not isinstance(row[name], Integral))
            ):
                raise InputError(f"result {index} has {name} {str(row[name])[:60]!r}; expected a whole number")


def compact_ids(ids: Iterable[int]) -> dict[int, int]:
    """Ids that hotcoco takes, in the order of the old ones, by these: neither negative nor very large.

    Args:
        ids: Ids of images or of categories; they stay where all can be taken.

    >>> compact_ids([7, -3, 10**18]), compact_ids([7, 3])
    ({-3: 1, 7: 2, 1000000000000000000: 3}, {3: 3, 7: 7})
    """
    order = sorted(set(ids))
    if not order or (order[0] >= 0 and order[-1] < 2**53):
        return {i: i for i in order}
    return {old: new for new, old in enumerate(order, start=1)}
