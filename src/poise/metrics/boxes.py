"""Average precision of boxes by the COCO protocol.

hotcoco computes it, with results equal to pycocotools' to the last digit (the tests check this). Its inputs are checked here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, final

import numpy as np
from jaxtyping import Float

from poise.counting import evaluation
from poise.errors import AnnotationError, InputError
from poise.fields import flag
from poise.metrics.coco_format import compact_ids, finite

BOX_NUMBERS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
"""The twelve metrics of the protocol: AP over IoU 0.50 to 0.95, at 0.50, at 0.75, of small, medium and large boxes; recall with
1, 10 and 100 boxes per image, and of small, medium and large boxes."""


@final
@dataclass(frozen=True, eq=False)
class BoxScores:
    """The result of an evaluation of boxes.

    Attributes:
        numbers: The metrics `BOX_NUMBERS`, by name; -1 where there are no labels.
        precision: Precision by IoU threshold (0.50, 0.55 .. 0.95), recall (0, 0.01 .. 1), category, area (all, small, medium,
            large), boxes per image (1, 10, 100).
        recall: Recall by IoU threshold, category, area, boxes per image.
        scores: Score of the box at which each precision is reached.
    """

    numbers: dict[str, float]
    precision: Float[np.ndarray, "10 101 c 4 3"]
    recall: Float[np.ndarray, "10 c 4 3"]
    scores: Float[np.ndarray, "10 101 c 4 3"]


def evaluate_boxes(
    truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], *, images: Sequence[int] | None = None
) -> BoxScores:
    """Evaluate a detector's boxes by the COCO protocol. The arguments are not changed.

    Crowds are ignored, 100 boxes per image count, and the area of a label is its annotated area.

    Args:
        truth: COCO annotations: images, annotations with `bbox` (x, y, width, height) and `area`, categories.
        results: Detections with image_id, category_id, bbox, score; of equal scores the first counts first. Without any the
            metrics are 0.
        images: Ids of the images that count; by default all.

    Raises:
        AnnotationError: The annotations lack a field or have no valid value, or results are for images that they do not list.
        InputError: A result lacks a field, is not finite, or has a negative width or height.
    """
    run = box_evaluation(truth, results)
    if images is not None:
        ids = compact_ids(image["id"] for image in truth["images"])
        run.params.img_ids = sorted(ids[image] for image in images)
    run.evaluate()
    run.accumulate()
    return box_scores(run.eval or {})


def box_scores(found: Mapping[str, Any]) -> BoxScores:
    """The scores of an evaluation of boxes or masks that was accumulated.

    Args:
        found: Its `precision`, `recall` and `scores`.
    """
    return BoxScores(_numbers(found["precision"], found["recall"]), found["precision"], found["recall"], found["scores"])


def box_evaluation(truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> Any:
    """A hotcoco evaluation that has not run yet.

    Args:
        truth: COCO annotations, as for `evaluate_boxes`.
        results: Detections, as for `evaluate_boxes`.

    Raises:
        AnnotationError: The annotations are not valid.
        InputError: A result is not valid.
    """
    labels = checked_box_annotations(truth)
    known, categories = ({one["id"] for one in truth[part]} for part in ("images", "categories"))
    boxes = [_result(index, result) for index, result in enumerate(results)]
    unknown = sorted({row["image_id"] for row in boxes} - known)
    if unknown:
        raise AnnotationError(f"results are for images {unknown[:5]} that the annotations do not list; is it another file?")
    image_ids, category_ids = compact_ids(known), compact_ids(categories)
    ids = [{"id": i} for i in image_ids.values()]
    named = [{"id": category_ids[c["id"]], "name": str(c.get("name", c["id"]))} for c in truth["categories"]]
    for row in (*labels, *(boxes := [row for row in boxes if row["category_id"] in categories])):
        row |= {"image_id": image_ids[row["image_id"]], "category_id": category_ids[row["category_id"]]}
    return evaluation({"images": ids, "annotations": labels, "categories": named}, boxes, "bbox")


def checked_box_annotations(truth: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The annotations, reduced to the fields that the protocol reads. Call it before inference to find errors early.

    Args:
        truth: COCO annotations.

    Raises:
        AnnotationError: An annotation lacks a field or has no valid value.
    """
    known = {image["id"] for image in truth["images"]}
    if not known:
        raise AnnotationError("the annotations list no images, so there is nothing to score")
    categories = {category["id"] for category in truth["categories"]}
    return [_label(i, found, known, categories) for i, found in enumerate(truth["annotations"], start=1)]


def table(name: str, numbers: Mapping[str, float], *, what: str = "box") -> str:
    """The twelve metrics as a Markdown table; "-" where there are no labels.

    Args:
        name: Text of the first column.
        numbers: The metrics, by the names of `BOX_NUMBERS`.
        what: What was found, `box` or `mask`.
    """
    heads = (
        f"{what} AP",
        "AP .5",
        "AP .75",
        "AP (S)",
        "AP (M)",
        "AP (L)",
        "AR 1",
        "AR 10",
        "AR 100",
        "AR (S)",
        "AR (M)",
        "AR (L)",
    )
    cells = tuple(f"{numbers[n]:.3f}" if numbers[n] >= 0 else "-" for n in BOX_NUMBERS)
    rows = (("Masks" if what == "mask" else "Boxes", *heads), ("---",) * (len(heads) + 1), (name, *cells))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _label(annotation_id: int, found: Mapping[str, Any], known: set[int], categories: set[int]) -> dict[str, Any]:
    where = f"annotation {found.get('id', annotation_id)}"
    if found.get("image_id") not in known or found.get("category_id") not in categories:
        raise AnnotationError(
            f"{where} names image {found.get('image_id')} and category {found.get('category_id')}; one of them is not listed"
        )
    box, area = found.get("bbox"), found.get("area")
    if box is None or area is None:
        raise AnnotationError(f"{where} has no {'bbox' if box is None else 'area'}; `poise data check FILE --fix OUT` adds it")
    if not isinstance(box, list | tuple) or len(box) != 4 or not finite([*box, area]) or min(*box[2:], area) < 0:
        raise AnnotationError(
            f"{where} has the box {str(box)[:80]} and the area {str(area)[:60]}; expected finite sizes of 0 or more; "
            f"`poise data check FILE --fix OUT` corrects it"
        )
    crowd = flag(found.get("iscrowd"))
    if crowd is None:
        raise AnnotationError(f"{where} has `iscrowd` {str(found['iscrowd'])[:60]!r}; expected 0 or 1")
    return {
        "id": annotation_id,
        "image_id": found["image_id"],
        "category_id": found["category_id"],
        "bbox": box,
        "area": area,
        "iscrowd": crowd,
    }


def _result(index: int, row: Mapping[str, Any]) -> dict[str, Any]:
    missing = [name for name in ("image_id", "category_id", "bbox", "score") if name not in row]
    if missing:
        raise InputError(f"result {index} has no {missing[0]}; expected image_id, category_id, bbox and score")
    box, score = row["bbox"], row["score"]
    for name in ("image_id", "category_id"):
        if isinstance(row[name], bool) or not isinstance(row[name], Integral):
            raise InputError(f"result {index} has {name} {str(row[name])[:60]!r}; expected a whole number")
    if not isinstance(box, list | tuple) or len(box) != 4 or not finite([*box, score]) or min(box[2:]) < 0:
        raise InputError(
            f"result {index} has the box {str(box)[:80]} and the score {str(score)[:60]!r}; expected four finite numbers, "
            f"sizes of 0 or more"
        )
    return {"image_id": row["image_id"], "category_id": row["category_id"], "bbox": box, "score": score}


def _numbers(precision: np.ndarray, recall: np.ndarray) -> dict[str, float]:
    parts = [precision[..., 0, 2], precision[:1, ..., 0, 2], precision[5:6, ..., 0, 2]]
    parts += [precision[..., area, 2] for area in (1, 2, 3)]
    parts += [recall[..., 0, count] for count in (0, 1, 2)]
    parts += [recall[..., area, 2] for area in (1, 2, 3)]
    means = [float(part[part > -1].mean()) if (part > -1).any() else -1.0 for part in parts]
    return dict(zip(BOX_NUMBERS, means, strict=True))
