"""Public sets whose files are COCO's form with fields of their own."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from poise.skeletons import COCO17
from poise.skeletons.animal_sets import ANIMALPOSE20, AP10K17, ATRW15, FLY32, HORSE22, LOCUST35, ZEBRA9
from poise.skeletons.people import CROWDPOSE14, JRDB17, POSETRACK17

from .made import BOX, HEIGHT, WIDTH, Fake, draw, triples, write_json


def coco(
    folder: Path,
    *,
    count: int,
    names: tuple[str, ...] | None = None,
    images: tuple[str, str] = ("000001.jpg", "000002.jpg"),
    image: dict[str, Any] | None = None,
    person: dict[str, Any] | None = None,
    without: tuple[str, ...] = (),
    category: dict[str, Any] | None = None,
    top: dict[str, Any] | None = None,
    seen: int = 2,
    **fake: Any,
) -> Fake:
    """A file with two images and a person in each.

    Args:
        count: Keypoints.
        names: Their names in `categories`.
        images: File names.
        image: More fields of the images.
        person: More fields of the annotations.
        without: Fields that annotations lack.
        category: More fields of the category.
        top: More parts of the file.
        seen: Visibility of all keypoints.
        fake: Fields of `Fake`.
    """
    records = [
        {"id": i, "file_name": name, "width": WIDTH, "height": HEIGHT} | (image or {}) for i, name in enumerate(images, start=1)
    ]
    people = []
    for i in (1, 2):
        full = {
            "id": 10 + i,
            "image_id": i,
            "category_id": 1,
            "iscrowd": 0,
            "area": 2000.0,
            "bbox": list(BOX),
            "num_keypoints": count,
            "keypoints": triples(count, seed=i - 1, seen=seen),
        } | (person or {})
        people.append({key: value for key, value in full.items() if key not in without})
    kind = (
        {"id": 1, "name": "person", "supercategory": "person"}
        | ({"keypoints": list(names)} if names else {})
        | (category or {})
    )
    content = {"images": records, "annotations": people, "categories": [kind]} | (top or {})
    labels = write_json(folder / "annotations.json", content)
    first = names[0] if names else None
    return Fake(labels=labels, images=draw(folder / "images", list(images)), keypoints=count, **{"first": first} | fake)


def named(skeleton: Any, **more: Any) -> Callable[[Path], Fake]:
    """A set whose categories have the names."""
    return partial(coco, count=len(skeleton), names=skeleton.keypoints, **more)


def nameless(count: int, skeleton: str, **more: Any) -> Callable[[Path], Fake]:
    """A set without names, as MMPose's conversions are."""
    fields = {"skeleton": skeleton, "without": rf"no names; .*--skeleton NAME or FILE( \(.*have {count}\))?"} | more.pop(
        "fake", {}
    )
    return lambda folder: coco_nameless(folder, count, fields, more)


def coco_nameless(folder: Path, count: int, fields: dict[str, Any], more: dict[str, Any]) -> Fake:
    words = fields.pop("without") if "without" in fields else None
    made = coco(folder, count=count, **more, **fields)
    return Fake(**vars(made) | {"without": words})


_PART = {
    "foot_kpts": triples(6),
    "face_kpts": triples(68),
    "lefthand_kpts": triples(21),
    "righthand_kpts": triples(21),
    "foot_valid": True,
    "face_valid": True,
    "lefthand_valid": True,
    "righthand_valid": True,
    "face_box": list(BOX),
    "lefthand_box": list(BOX),
    "righthand_box": list(BOX),
}
_VIDEO = {"frame_id": 1, "vid_id": "000342", "is_labeled": True, "nframes": 2, "image_id": 10003420000}
_WHOLE = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")


def roboflow(folder: Path) -> Fake:
    """Its category 0 is a heading; names of files have an ending of its own."""
    names = ("snout", "left-ear", "right-ear", "tail")
    images = ("a_jpg.rf.0123456789abcdef.jpg", "b_jpg.rf.fedcba9876543210.jpg")
    made = coco(
        folder, count=4, names=names, images=images, image={"license": 1, "date_captured": "", "extra": {"name": "a.jpg"}}
    )
    content = json.loads(made.labels.read_text())
    content["categories"].insert(0, {"id": 0, "name": "mice", "supercategory": "none"})
    target = write_json(folder / "_annotations.coco.json", content)
    return Fake(labels=target, images=made.images, keypoints=4, first="snout")


def animal_pose(folder: Path) -> Fake:
    """Animal-Pose's keypoints.json: images by id, boxes as corners, keypoints as rows."""
    made = coco(folder, count=20, names=ANIMALPOSE20.keypoints)
    content = json.loads(made.labels.read_text())
    content["images"] = {str(record["id"]): record["file_name"] for record in content["images"]}
    for person in content["annotations"]:
        flat = person["keypoints"]
        person["keypoints"] = [[flat[i], flat[i + 1], 1] for i in range(0, len(flat), 3)]
        for field in ("id", "iscrowd", "area"):
            del person[field]
    return Fake(labels=write_json(folder / "keypoints.json", content), images=made.images, keypoints=20, first="L_Eye")


COCO_FORMS: dict[str, Callable[[Path], Fake]] = {
    "COCO": named(COCO17, person={"segmentation": [[8, 6, 88, 6, 88, 56]]}),
    "COCO-WholeBody, the body": named(COCO17, person=_PART),
    "COCO-WholeBody": lambda folder: Fake(
        **vars(coco(folder, count=17, names=COCO17.keypoints, person=_PART)) | {"keypoints": 133, "fields": _WHOLE}
    ),
    "CrowdPose": named(CROWDPOSE14, image={"crowdIndex": 0.4}, without=("area",), category={"skeleton": [[16, 14], [14, 12]]}),
    "OCHuman, COCO form": named(COCO17),
    "Halpe-26": nameless(26, "halpe26"),
    "Halpe-136": nameless(136, "halpe136"),
    "PoseTrack18": named(
        POSETRACK17,
        images=("images/val/000342_mpii_test/000000.jpg", "images/val/000342_mpii_test/000001.jpg"),
        image=_VIDEO,
        person={"track_id": 0, "bbox_head": [30, 10, 9, 9], "scores": []},
        without=("area", "num_keypoints"),
        seen=1,
    ),
    "PoseTrack21": named(
        POSETRACK17,
        image=_VIDEO | {"ignore_regions_x": [[1, 5, 5]], "ignore_regions_y": [[1, 1, 5]]},
        person={"track_id": 0, "person_id": 4, "bbox_head": []},
        without=("area", "num_keypoints", "iscrowd"),
        seen=1,
    ),
    "JRDB-Pose": named(JRDB17, person={"track_id": 3, "num_keypoints": 17}, without=("iscrowd",)),
    "MPII, COCO form": nameless(16, "mpii"),
    "AI Challenger, COCO form": nameless(14, "aic"),
    "300W, COCO form": nameless(68, "300w", person={"center": [48, 32], "scale": 0.4}),
    "WFLW, COCO form": nameless(98, "wflw", person={"center": [48, 32], "scale": 0.4, "blur": 0, "pose": 1}),
    "COFW, COCO form": nameless(29, "cofw", person={"center": [48, 32], "scale": 0.4}),
    "AFLW, COCO form": nameless(19, "aflw", person={"box_size": 60, "center": [48, 32], "scale": 0.3}),
    "LaPa, COCO form": nameless(106, "lapa"),
    "OneHand10K, COCO form": nameless(21, "onehand10k"),
    "FreiHAND, COCO form": nameless(21, "freihand"),
    "Rendered Hand Pose, COCO form": nameless(21, "rhd"),
    "Panoptic hands, COCO form": nameless(21, "panoptic", person={"head_size": 30.0}),
    "DeepFashion, upper, COCO form": nameless(6, "deepfashion_upper"),
    "DeepFashion, lower, COCO form": nameless(4, "deepfashion_lower"),
    "DeepFashion, full, COCO form": nameless(8, "deepfashion_full"),
    "Animal-Pose": animal_pose,
    "AP-10K": named(AP10K17, image={"background": 1}, category={"name": "antelope", "supercategory": "Bovidae"}),
    "APT-36K": named(AP10K17, image={"video_id": "/clip/1", "frame_id": 0}, person={"track_id": 1}),
    "ATRW": named(ATRW15, category={"name": "tiger"}, without=("segmentation",)),
    "Animal Kingdom, COCO form": nameless(23, "animal_kingdom"),
    "MacaquePose, COCO form": named(COCO17, category={"name": "macaque"}),
    "Horse-10, COCO form": named(HORSE22, category={"name": "horse"}),
    "Grevy's zebra": named(ZEBRA9, category={"name": "zebra"}),
    "Desert locust": named(LOCUST35, category={"name": "locust"}),
    "Vinegar fly": named(FLY32, category={"name": "fly"}),
    "Human-Art": named(COCO17, person={"keypoints_21": triples(21), "description": "a drawing"}),
    "Human-Art, 21 keypoints": lambda folder: Fake(
        **vars(coco(folder, count=17, names=COCO17.keypoints, person={"keypoints_21": triples(21)}))
        | {"keypoints": 21, "fields": ("keypoints_21",), "skeleton": "humanart21", "first": None}
    ),
    "ExLPose": named(CROWDPOSE14, image={"crowdIndex": 0}),
    "CVAT, COCO Keypoints 1.0": named(
        COCO17, person={"attributes": {"occluded": False, "keyframe": False}, "area": 0}, category={"skeleton": [[1, 2]]}
    ),
    "Roboflow, COCO": roboflow,
}
