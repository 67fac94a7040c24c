"""The forms in which predictions are written: COCO's results, a table, or an object for each image."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch

from poise.errors import unknown
from poise.geometry import xyxy_to_xywh
from poise.models.rcnn_masks import pose_masks
from poise.skeletons import Skeleton
from poise.structures import Key, Poses

Row = Mapping[str, Any]
"""Values that are written of a person or an image, by name; plain types."""


def prediction_rows(poses: Poses, categories: Sequence[int]) -> list[Row]:
    """COCO's results: a row a person with file name, box (x, y, width, height) and box score, mask, size of the image, names.

    Args:
        poses: Poses of one image.
        categories: Category id of each person.
    """
    triples = np.concatenate((poses.xy.numpy(), poses.score.numpy()[..., None]), axis=-1).reshape(
        len(poses), 3 * poses.xy.shape[1]
    )
    boxes = xyxy_to_xywh(poses.boxes)
    size = {} if poses.size is None else {"width": poses.size[1], "height": poses.size[0]}
    names = {} if poses.skeleton is None else {"keypoint_names": list(poses.skeleton.keypoints)}
    masks = pose_masks(poses)
    return [
        {
            "image_id": poses.key.image_id,
            "file_name": poses.key.file_name,
            "category_id": categories[index],
            "keypoints": [round(v, 3) for v in triples[index].tolist()],
            "score": round(float(poses.pose_score[index]), 5),
            "bbox": [round(v, 2) for v in boxes[index].tolist()],
            "box_score": round(float(poses.box_score[index]), 5),
            **({} if masks is None else {"segmentation": masks[index]}),
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
    found = poses.to_dict(decimals=4)
    people = [{**person, "category_id": category} for person, category in zip(found["people"], categories, strict=True)]
    if (masks := pose_masks(poses)) is not None:
        people = [{**person, "segmentation": mask} for person, mask in zip(people, masks, strict=True)]
    return [{**found, "people": people}]


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a row, numbers with four decimals."""
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}


@final
@dataclass(frozen=True)
class ResultFormat:
    """A form of results, written row by row.

    Attributes:
        file: Name of the file.
        rows: The rows of the poses of one image, given the category id of each person.
        begin: First text of the file.
        line: The text of a row, given how many there were before.
        end: Gives the last text of the file from the number of rows.
    """

    file: str
    rows: Callable[[Poses, Sequence[int]], list[Row]]
    begin: str
    line: Callable[[Row, int], str]
    end: Callable[[int], str]


JSON_LIST = ResultFormat(
    "predictions.json",
    prediction_rows,
    "[",
    lambda row, before: (",\n" if before else "\n") + json.dumps(row),
    lambda count: "\n]\n" if count else "]\n",
)
"""One JSON list of COCO's results."""


def _coco(skeleton: Skeleton) -> ResultFormat:
    return JSON_LIST


def _csv(skeleton: Skeleton) -> ResultFormat:
    """A header, then a line for each person; numbers that are not there are empty."""
    one, xy, score = torch.zeros(1), torch.zeros(1, len(skeleton), 2), torch.zeros(1, len(skeleton))
    somebody = Poses(xy, score, torch.zeros(1, 4), one, one, Key(""), skeleton=skeleton, size=(0, 0))
    columns = list(table_rows(somebody, [1])[0])
    return ResultFormat(
        "predictions.csv",
        table_rows,
        _csv_line(columns),
        lambda row, before: _csv_line([row[column] for column in columns]),
        lambda count: "",
    )


def _csv_line(values: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def _jsonl(skeleton: Skeleton) -> ResultFormat:
    """A line of JSON for each image."""
    return ResultFormat("predictions.jsonl", image_rows, "", lambda row, before: json.dumps(row) + "\n", lambda count: "")


FORMATS: Mapping[str, Callable[[Skeleton], ResultFormat]] = {"coco": _coco, "csv": _csv, "jsonl": _jsonl}
"""The formats by the value of `--format`; the keypoints decide the columns of a table."""


def check_format(name: str) -> None:
    """Refuse a form of results that does not exist.

    Raises:
        UnknownName: There is none of that name.
    """
    if name not in FORMATS:
        raise unknown("format of results", name, FORMATS)


def result_format(name: str, skeleton: Skeleton) -> ResultFormat:
    """The form of a name.

    Args:
        name: One of `FORMATS`.
        skeleton: The keypoints of the results.

    Raises:
        UnknownName: There is none of that name.
    """
    check_format(name)
    return FORMATS[name](skeleton)
