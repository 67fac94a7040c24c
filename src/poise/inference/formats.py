"""The forms in which predictions are written: COCO's results, a table, or an object for each image."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from poise.errors import unknown
from poise.geometry import xyxy_to_xywh
from poise.structures import Poses

Row = Mapping[str, Any]
"""What is written of a person, or of an image, by name; plain values."""


def prediction_rows(poses: Poses, categories: Sequence[int]) -> list[Row]:
    """COCO's results: a row a person with file name, box (x, y, width, height) and box score, size of the image, names.

    Args:
        poses: Of one image.
        categories: Category id of each person.
    """
    triples = np.concatenate((poses.xy.numpy(), poses.score.numpy()[..., None]), axis=-1).reshape(
        len(poses), 3 * poses.xy.shape[1]
    )
    boxes = xyxy_to_xywh(poses.boxes)
    size = {} if poses.size is None else {"width": poses.size[1], "height": poses.size[0]}
    names = {} if poses.skeleton is None else {"keypoint_names": list(poses.skeleton.keypoints)}
    return [
        {
            "image_id": poses.key.image_id,
            "file_name": poses.key.file_name,
            "category_id": categories[index],
            "keypoints": [round(v, 3) for v in triples[index].tolist()],
            "score": round(float(poses.pose_score[index]), 5),
            "bbox": [round(v, 2) for v in boxes[index].tolist()],
            "box_score": round(float(poses.box_score[index]), 5),
            **size,
            **names,
        }
        for index in range(len(poses))
    ]


def table_rows(poses: Poses, categories: Sequence[int]) -> list[Row]:
    """`Poses.to_rows`, each with its category id."""
    return [{**_rounded(row), "category_id": category} for row, category in zip(poses.to_rows(), categories, strict=True)]


def image_rows(poses: Poses, categories: Sequence[int]) -> list[Row]:
    """One row an image, also where nobody was found: `Poses.to_dict`, each person with a category id."""
    found = _rounded(poses.to_dict())
    people = [{**person, "category_id": category} for person, category in zip(found["people"], categories, strict=True)]
    return [{**found, "people": people}]


def _rounded(value: Any) -> Any:
    """Numbers with four decimals, all the way down."""
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


def json_text(rows: Sequence[Row]) -> str:
    """All rows as one JSON list."""
    return json.dumps(rows)


def csv_text(rows: Sequence[Row]) -> str:
    """A header and a line for each row; nothing where there is no row. Values that are not there are empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    if rows:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def lines_text(rows: Sequence[Row]) -> str:
    """A line of JSON for each row."""
    return "".join(json.dumps(row) + "\n" for row in rows)


@final
@dataclass(frozen=True)
class ResultFormat:
    """A form of results.

    Attributes:
        file: Name of the file.
        rows: The rows of the poses of one image, given the category id of each person.
        text: The content of the file, of the rows of all images.
    """

    file: str
    rows: Callable[[Poses, Sequence[int]], list[Row]]
    text: Callable[[Sequence[Row]], str]


FORMATS: Mapping[str, ResultFormat] = {
    "coco": ResultFormat("predictions.json", prediction_rows, json_text),
    "csv": ResultFormat("predictions.csv", table_rows, csv_text),
    "jsonl": ResultFormat("predictions.jsonl", image_rows, lines_text),
}
"""By the name of `--format`."""


def result_format(name: str) -> ResultFormat:
    """The form of a name.

    Raises:
        UnknownName: There is none of that name.
    """
    if name not in FORMATS:
        raise unknown("format of results", name, FORMATS)
    return FORMATS[name]
