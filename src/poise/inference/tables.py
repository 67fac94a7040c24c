"""Tables of a video, made of its `poses.jsonl`: COCO's results, CSV, Parquet. Memory does not grow with the length."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from poise.errors import MissingExtra
from poise.inference.video_results import read_frames
from poise.skeletons import Skeleton
from poise.writing import atomic_file

ROWS = 10_000
"""Rows of a group of a Parquet file."""

Table = Callable[[Path, Path, Skeleton], None]
"""Writes a file from the poses of a video, given their skeleton."""


def people_rows(poses: Path, skeleton: Skeleton) -> Iterator[dict[str, Any]]:
    """A flat row for each person in each frame: frame, time, track, scores, box, and x, y, score, filled of each keypoint.

    Args:
        poses: A `poses.jsonl`.
        skeleton: Of the poses.
    """
    for row in read_frames(poses):
        for person in row["people"]:
            filled = set(person.get("filled", ()))
            flat: dict[str, Any] = {
                "frame": row["frame"],
                "time": row["time"],
                "file_name": row["file_name"],
                "track": person.get("track", -1),
                "pose_score": person["pose_score"],
                "box_score": person["box_score"],
            }
            flat |= dict(zip(("box_x0", "box_y0", "box_x1", "box_y1"), person["box"], strict=True))
            for index, (name, values) in enumerate(zip(skeleton.keypoints, person["keypoints"], strict=True)):
                flat |= {f"{name}_{part}": value for part, value in zip(("x", "y", "score"), values, strict=True)}
                flat[f"{name}_filled"] = index in filled
            yield flat


def write_csv(poses: Path, out: Path, skeleton: Skeleton) -> None:
    """A line for each person in each frame, with a header."""
    with atomic_file(out) as file:
        text = _Lines(file)
        writer: Any = csv.writer(text, lineterminator="\n")
        writer.writerow(columns(skeleton))
        for row in people_rows(poses, skeleton):
            writer.writerow([int(v) if isinstance(v, bool) else v for v in row.values()])


def columns(skeleton: Skeleton) -> list[str]:
    """Names of the columns of `people_rows`."""
    parts = [f"{name}_{part}" for name in skeleton.keypoints for part in ("x", "y", "score", "filled")]
    boxes = ["box_x0", "box_y0", "box_x1", "box_y1"]
    return ["frame", "time", "file_name", "track", "pose_score", "box_score", *boxes, *parts]


def write_coco(poses: Path, out: Path, skeleton: Skeleton) -> None:
    """COCO's results, one list: image_id (frame number and 1), keypoints, score, bbox, track_id."""
    with atomic_file(out) as file:
        first = True
        for row in read_frames(poses):
            for person in row["people"]:
                x0, y0, x1, y1 = person["box"]
                result = {
                    "image_id": row["image_id"],
                    "file_name": row["file_name"],
                    "frame": row["frame"],
                    "category_id": 1,
                    "track_id": person.get("track", -1),
                    "keypoints": [round(v, 3) for keypoint in person["keypoints"] for v in keypoint],
                    "score": person["pose_score"],
                    "bbox": [round(v, 2) for v in (x0, y0, x1 - x0, y1 - y0)],
                    "box_score": person["box_score"],
                    "keypoint_names": list(skeleton.keypoints),
                }
                file.write((("[\n" if first else ",\n") + json.dumps(result)).encode())
                first = False
        file.write(b"[]\n" if first else b"\n]\n")


def write_parquet(poses: Path, out: Path, skeleton: Skeleton) -> None:
    """A Parquet file with the columns of `people_rows`.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("Parquet is written with pyarrow, which is not installed: pip install pyarrow") from error
    whole = {"frame": pyarrow.int64(), "track": pyarrow.int64(), "file_name": pyarrow.string()}
    fields = [
        (name, whole.get(name, pyarrow.bool_() if name.endswith("_filled") else pyarrow.float64()))
        for name in columns(skeleton)
    ]
    schema = pyarrow.schema(fields)
    rows = people_rows(poses, skeleton)
    with atomic_file(out) as file, parquet.ParquetWriter(file, schema) as writer:
        while group := list(islice(rows, ROWS)):
            writer.write_table(pyarrow.Table.from_pylist(group, schema=schema))


class _Lines:
    """Text written into a binary file."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, text: str) -> None:
        self._file.write(text.encode())


TABLES: Mapping[str, tuple[str, Table]] = {
    "coco": ("predictions.json", write_coco),
    "csv": ("poses.csv", write_csv),
    "parquet": ("poses.parquet", write_parquet),
}
"""File and writer of each table, by the name in `--also`."""
