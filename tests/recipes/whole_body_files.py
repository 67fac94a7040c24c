"""COCO-WholeBody's annotation files, made from COCO's."""

import json
from pathlib import Path
from typing import Any

SIZES = {"foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}
WORDS = {"face_kpts": "face", "lefthand_kpts": "lefthand", "righthand_kpts": "righthand"}


def inside(box: list[float], count: int) -> list[float]:
    """Keypoints in a box, all different, as sure as COCO-WholeBody says it: not 1 or 2."""
    x, y, w, h = box
    return [v for i in range(count) for v in (x + w * (i % 7 + 1) / 9, y + h * (i // 7 + 1) / (count // 7 + 3), 0.75)]


def with_parts(person: dict[str, Any]) -> dict[str, Any]:
    """A person of COCO with the fields of COCO-WholeBody; the right hand is not valid."""
    x, y, w, h = person["bbox"]
    boxes = {name: [x + w * i / 4, y, max(w / 4, 8), max(h / 4, 8)] for i, name in enumerate(SIZES)}
    person = person | {name: inside(boxes[name], count) for name, count in SIZES.items()}
    person |= {f"{word}_box": boxes[name] for name, word in WORDS.items()}
    return person | {f"{word}_valid": word != "righthand" for word in (*WORDS.values(), "foot")}


def write_whole_bodies(coco: Path) -> None:
    """Write the annotations of both parts beside those of COCO, in a folder as its archives unpack."""
    for part in ("train", "val"):
        document = json.loads((coco / f"annotations/person_keypoints_{part}2017.json").read_text())
        document["annotations"] = [with_parts(person) for person in document["annotations"]]
        (coco / f"annotations/coco_wholebody_{part}_v1.0.json").write_text(json.dumps(document))
