"""Reading poses from a file in COCO's result format."""

from pathlib import Path

from poise.errors import AnnotationError
from poise.fields import number, whole
from poise.metrics.coco_format import RESULT_FIELDS, Record, finite
from poise.reading import read_json


def read_results(path: Path | str) -> list[Record]:
    """The list [{image_id, category_id, keypoints, score}, ...] that `poise evaluate --out` and others write.

    Raises:
        ReadError: The file is missing or unreadable.
        AnnotationError: It is no such list; the message names the first faulty row.
    """
    name = repr(str(path))
    rows = read_json(path, what="file of poses")
    if not isinstance(rows, list):
        raise AnnotationError(f"{name} is no list of poses; expected [{{image_id, category_id, keypoints, score}}, ...]")
    for index, row in enumerate(rows):
        missing = sorted(RESULT_FIELDS - set(row)) if isinstance(row, dict) else sorted(RESULT_FIELDS)
        if missing:
            raise AnnotationError(
                f"{name}: pose {index} has no {', '.join(missing)}; each needs {', '.join(sorted(RESULT_FIELDS))}"
            )
        if isinstance(row["keypoints"], list):
            row |= {"keypoints": [number(v) for v in row["keypoints"]], "score": number(row["score"])}
        if not isinstance(row["keypoints"], list) or not finite(row["keypoints"]) or not finite([row["score"]]):
            raise AnnotationError(
                f"{name}: pose {index} needs `keypoints`, a flat list of finite numbers x, y, score, and a finite `score`"
            )
        ids = {name: whole(row[name]) for name in ("image_id", "category_id")}
        row |= {name: found for name, found in ids.items() if found is not None}
        if None in ids.values():
            raise AnnotationError(
                f"{name}: pose {index} has image_id {str(row['image_id'])[:60]!r} and category_id "
                f"{str(row['category_id'])[:60]!r}; both must be "
                f"whole numbers"
            )
    return rows
