"""Reading poses from a file in COCO's result format."""

import json
from pathlib import Path
from typing import Any

from poise.errors import AnnotationError, ReadError
from poise.fields import number, whole
from poise.metrics.coco_format import RESULT_FIELDS, Record, finite


def read_results(path: Path | str) -> list[Record]:
    """The list [{image_id, category_id, keypoints, score}, ...] that `poise evaluate --out` and others write.

    Raises:
        ReadError: The file is missing or unreadable.
        AnnotationError: It is no such list; the message names the first faulty row.
    """
    name = repr(str(path))
    rows = _parsed(Path(path), name)
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


def _parsed(path: Path, name: str) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ReadError(f"there is no file of poses {name}; check the path") from None
    except OSError as error:
        raise ReadError(f"the file of poses {name} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise AnnotationError(f"{name} is not valid JSON ({error}); is the file complete?") from error
