"""Any data set as a COCO-style keypoint file, so that every command takes it."""

from typing import Any

from poise.data.base import Dataset
from poise.data.naming import to_category
from poise.data.records import Document
from poise.geometry import xyxy_to_xywh


def coco_document(dataset: Dataset, *, name: str = "animal") -> Document:
    """The labels of a data set in COCO's form; images of a video have `sequence` and `frame`.

    Images are not read, so records have no size. Ids of annotations are counted from 1.

    Args:
        dataset: The data set.
        name: Name of the category.
    """
    images: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    for index in range(len(dataset)):
        key, labels = dataset.key(index), dataset.labels(index)
        image: dict[str, Any] = {"id": key.image_id, "file_name": key.file_name}
        sequence = dataset.sequence(index)
        if sequence is not None:
            image |= {"sequence": sequence, "frame": key.frame}
        images.append(image)
        boxes = xyxy_to_xywh(labels.boxes).tolist()
        for row, box in enumerate(boxes):
            seen = labels.visible[row].tolist()
            flat = [
                value
                for (x, y), v in zip(labels.xy[row].tolist(), seen, strict=True)
                for value in (round(x, 3), round(y, 3), v)
            ]
            people.append(
                {
                    "id": len(people) + 1,
                    "image_id": key.image_id,
                    "category_id": 1,
                    "bbox": [round(value, 3) for value in box],
                    "area": round(float(labels.area[row]), 2),
                    "iscrowd": int(labels.crowd[row]),
                    "keypoints": flat,
                    "num_keypoints": sum(v > 0 for v in seen),
                }
            )
    category = {"id": 1, "name": name, **{k: v for k, v in to_category(dataset.skeleton).items() if v is not None}}
    return {"images": images, "annotations": people, "categories": [category]}
