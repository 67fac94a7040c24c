"""Average precision of masks by the COCO protocol (`segm`), with results equal to pycocotools' to the last digit."""

from collections.abc import Mapping, Sequence
from typing import Any

from poise.counting import evaluation
from poise.errors import AnnotationError, InputError
from poise.metrics.boxes import BoxScores, box_scores
from poise.metrics.coco_format import Record, compact_ids, finite

FIELDS = ("image_id", "category_id", "segmentation", "score")
"""Fields of a result."""


def evaluate_masks(truth: Mapping[str, Any], results: Sequence[Record]) -> BoxScores:
    """Evaluate masks by the COCO protocol. The arguments are not changed.

    Args:
        truth: COCO annotations: images, annotations with `segmentation` as compressed run lengths and `area`, categories; an
            annotation without a mask counts for nothing.
        results: Masks with image_id, category_id, segmentation as compressed run lengths, score.

    Returns:
        The twelve metrics, as of boxes.

    Raises:
        AnnotationError: No annotation has a mask, or results are for images that the annotations do not list.
        InputError: A result lacks a field, or its score is not finite.
    """
    image_ids = compact_ids(image["id"] for image in truth["images"])
    category_ids = compact_ids(int(category["id"]) for category in truth["categories"])
    people = [
        {
            "id": number,
            "image_id": image_ids[row["image_id"]],
            "category_id": category_ids[row["category_id"]],
            "segmentation": dict(row["segmentation"]),
            "area": row["area"],
            "bbox": row["bbox"],
            "iscrowd": int(bool(row.get("iscrowd"))),
        }
        for number, row in enumerate((one for one in truth["annotations"] if one.get("segmentation")), start=1)
    ]
    if not people:
        raise AnnotationError("no annotation has a mask (`segmentation`), so masks cannot be scored")
    found = [
        _result(i, row, image_ids, category_ids) for i, row in enumerate(results) if row.get("category_id") in category_ids
    ]
    images = [{"id": image_ids[image["id"]], **_size(image)} for image in truth["images"]]
    named = [{"id": category_ids[c["id"]], "name": str(c.get("name", c["id"]))} for c in truth["categories"]]
    run = evaluation({"images": images, "annotations": people, "categories": named}, found, "segm")
    run.evaluate()
    run.accumulate()
    return box_scores(run.eval or {})


def _size(image: Mapping[str, Any]) -> dict[str, Any]:
    return {name: image[name] for name in ("width", "height") if image.get(name)}


def _result(index: int, row: Record, images: Mapping[int, int], categories: Mapping[int, int]) -> dict[str, Any]:
    missing = next((name for name in FIELDS if name not in row), None)
    if missing is not None:
        raise InputError(f"mask {index} has no {missing}; expected {', '.join(FIELDS)}")
    if row["image_id"] not in images:
        raise AnnotationError(f"a mask is for image {row['image_id']}, which the annotations do not list; is it another file?")
    if not finite([row["score"]]):
        raise InputError(f"mask {index} has the score {row['score']!r}; expected a finite number")
    return {
        "image_id": images[row["image_id"]],
        "category_id": categories[row["category_id"]],
        "segmentation": dict(row["segmentation"]),
        "score": row["score"],
    }
