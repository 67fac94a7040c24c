"""Box average precision by the COCO protocol.

hotcoco does the counting (equal to pycocotools to the last digit; the tests hold it to that). What it is given is checked.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import hotcoco
import numpy as np
from jaxtyping import Float

from poise.errors import AnnotationError, InputError

BOX_NUMBERS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
"""The twelve numbers: over all overlaps from 0.50 to 0.95, one of them, small, medium and large; recall at 1, 10, 100 boxes."""


@final
@dataclass(frozen=True, eq=False)
class BoxScores:
    """What an evaluation of boxes found.

    Attributes:
        numbers: The twelve of `BOX_NUMBERS`; -1 where there is nobody.
        precision: At overlap, recall (0, 0.01 .. 1), category, area (all, small, medium, large), count (1, 10, 100).
        recall: At overlap, category, area, count.
        scores: Of the box where each precision is reached.
    """

    numbers: dict[str, float]
    precision: Float[np.ndarray, "10 101 c 4 3"]
    recall: Float[np.ndarray, "10 c 4 3"]
    scores: Float[np.ndarray, "10 101 c 4 3"]


def evaluate_boxes(
    truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], *, images: Sequence[int] | None = None
) -> BoxScores:
    """Score a detector's boxes by the COCO protocol. Neither argument is changed.

    Crowds are ignored, 100 boxes count in an image, the area of a label is the annotated one.

    Args:
        truth: COCO annotations: images, annotations with `bbox` (x, y, width, height) and `area`, categories.
        results: Rows of image_id, category_id, bbox, score; of equal scores the first counts first. None give 0.
        images: Ids of the images that count; all by default.

    Raises:
        AnnotationError: The annotations cannot be scored against, or results name images that are not there.
        InputError: A result is no such row, is not finite, or has a negative width or height.
    """
    run = box_evaluation(truth, results)
    if images is not None:
        run.params.img_ids = sorted(images)
    run.evaluate()
    run.accumulate()
    found = run.eval or {}
    return BoxScores(_numbers(found["precision"], found["recall"]), found["precision"], found["recall"], found["scores"])


def box_evaluation(truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> Any:
    """A run of hotcoco, not yet evaluated. Arguments and errors as `evaluate_boxes`."""
    labels = checked_box_annotations(truth)
    known, categories = ({one["id"] for one in truth[part]} for part in ("images", "categories"))
    boxes = [_result(place, row) for place, row in enumerate(results)]
    strange = sorted({row["image_id"] for row in boxes} - known)
    if strange:
        raise AnnotationError(f"results are for images {strange[:5]} that the annotations do not list; is it another file?")
    ids = [{"id": image["id"]} for image in truth["images"]]
    kinds = [{"id": category["id"], "name": str(category.get("name", category["id"]))} for category in truth["categories"]]
    gt = hotcoco.COCO({"images": ids, "annotations": labels, "categories": kinds})
    return hotcoco.COCOeval(gt, gt.load_res([row for row in boxes if row["category_id"] in categories]), "bbox")


def checked_box_annotations(truth: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every annotation with just what the protocol reads; to be asked before there are results, for it refuses the others.

    Raises:
        AnnotationError: The annotations cannot be scored against.
    """
    known = {image["id"] for image in truth["images"]}
    if not known:
        raise AnnotationError("the annotations list no images, so there is nothing to score")
    categories = {category["id"] for category in truth["categories"]}
    return [_label(number, found, known, categories) for number, found in enumerate(truth["annotations"], start=1)]


def table(name: str, numbers: Mapping[str, float]) -> str:
    """The twelve numbers as rows of a Markdown table; "-" where there is nobody.

    Args:
        name: Of the first column.
        numbers: By their names.
    """
    heads = ("box AP", "AP .5", "AP .75", "AP (S)", "AP (M)", "AP (L)", "AR 1", "AR 10", "AR 100", "AR (S)", "AR (M)", "AR (L)")
    cells = tuple(f"{numbers[n]:.3f}" if numbers[n] >= 0 else "-" for n in BOX_NUMBERS)
    rows = (("Boxes", *heads), ("---",) * (len(heads) + 1), (name, *cells))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _label(number: int, found: Mapping[str, Any], known: set[int], categories: set[int]) -> dict[str, Any]:
    where = f"annotation {found.get('id', number)}"
    if found.get("image_id") not in known or found.get("category_id") not in categories:
        raise AnnotationError(
            f"{where} names image {found.get('image_id')} and category {found.get('category_id')}; one of them is not listed"
        )
    box, area = found.get("bbox"), found.get("area")
    if box is None or area is None:
        raise AnnotationError(f"{where} has no {'bbox' if box is None else 'area'}; `poise data check FILE --fix OUT` adds it")
    if len(box) != 4 or not math.isfinite(sum(box, area)) or min(*box[2:], area) < 0:
        raise AnnotationError(f"{where} has the box {box} and the area {area}; expected finite sizes of 0 or more")
    return {
        "id": number,
        "image_id": found["image_id"],
        "category_id": found["category_id"],
        "bbox": box,
        "area": area,
        "iscrowd": int(found.get("iscrowd") or 0),
    }


def _result(place: int, row: Mapping[str, Any]) -> dict[str, Any]:
    missing = [name for name in ("image_id", "category_id", "bbox", "score") if name not in row]
    if missing:
        raise InputError(f"result {place} has no {missing[0]}; expected image_id, category_id, bbox and score")
    box, score = row["bbox"], row["score"]
    if len(box) != 4 or not math.isfinite(sum(box, score)) or min(box[2:]) < 0:
        raise InputError(
            f"result {place} has the box {box} and the score {score}; expected four finite numbers, sizes of 0 or more"
        )
    return {"image_id": row["image_id"], "category_id": row["category_id"], "bbox": box, "score": score}


def _numbers(precision: np.ndarray, recall: np.ndarray) -> dict[str, float]:
    parts = [precision[..., 0, 2], precision[:1, ..., 0, 2], precision[5:6, ..., 0, 2]]
    parts += [precision[..., area, 2] for area in (1, 2, 3)]
    parts += [recall[..., 0, count] for count in (0, 1, 2)]
    parts += [recall[..., area, 2] for area in (1, 2, 3)]
    means = [float(part[part > -1].mean()) if (part > -1).any() else -1.0 for part in parts]
    return dict(zip(BOX_NUMBERS, means, strict=True))
