"""MATLAB files of labels: LSP's and LSPET's joints.mat, SLP's joints_gt_*.mat, MPII's mpii_human_pose_v1_u12_1.mat."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from poise.data.forms._form import Form, Person, Picture, Point, Source, document_of
from poise.data.mat import read_mat
from poise.data.mpii import each_struct
from poise.data.records import Document
from poise.errors import AnnotationError
from poise.skeletons import LSP14, MPII16

_IMAGES = {"joints": "im{:0{digits}d}.jpg", "joints_gt": "image_{:06d}.png"}
"""Names of the images, by the name of the variable."""


def _fits(source: Source) -> bool:
    return source.ends(".mat")


def _read(source: Source) -> Document:
    if source.first.startswith("MATLAB 7.3"):
        raise AnnotationError(
            f"{str(source.path)!r} is a MATLAB file of version 7.3 (HDF5); save it in MATLAB with -v7. COFW's, which has its "
            f"images inside, exists in COCO's form: MMPose's cofw_train.json, with --skeleton cofw"
        )
    content = read_mat(source.path)
    if "RELEASE" in content:
        return _mpii(content["RELEASE"], repr(str(source.path)))
    variable = next((name for name in _IMAGES if name in content), None)
    shape = np.shape(content[variable]) if variable else ()
    if variable is None or len(shape) not in (2, 3) or shape[:2] not in ((3, 14), (14, 3)):
        raise AnnotationError(
            f"{str(source.path)!r} is a MATLAB file with {_described(content)}; of these LSP's, LSPET's and SLP's (`joints`, "
            f"`joints_gt`: 3 x 14 x people) and MPII's (`RELEASE`) are read; of other sets take COCO's form, as MMPose has it"
        )
    return _lsp(np.asarray(content[variable], dtype=np.float64), variable)


def _described(content: Mapping[str, Any]) -> str:
    found = [f"{name} ({' x '.join(map(str, np.shape(value))) or type(value).__name__})" for name, value in content.items()]
    return ", ".join(found[:6]) or "nothing"


def _lsp(joints: np.ndarray, variable: str) -> Document:
    """A person in each image; keypoints without a place are not labelled.

    LSP and SLP (3 x 14) mark with 1 what is hidden, LSPET (14 x 3) with 0 what is not labelled. Positions are counted from 1.
    """
    joints = joints[..., None] if joints.ndim == 2 else joints
    extended = joints.shape[0] == 14
    rows = joints.transpose(2, 0, 1) if extended else joints.transpose(2, 1, 0)
    digits = 5 if extended else 4
    pictures = []
    for number, person in enumerate(rows, start=1):
        points = {name: _joint(row, extended) for name, row in zip(LSP14.keypoints, person, strict=True)}
        pictures.append(
            Picture(name=_IMAGES[variable].format(number, digits=digits), people=[Person(points=points, kind="person")])
        )
    return document_of(pictures, skeleton=LSP14)


def _joint(row: np.ndarray, extended: bool) -> Point:
    x, y, flag = map(float, row)
    if not np.isfinite(row).all() or (extended and not flag):
        return 0.0, 0.0, 0
    return x - 1, y - 1, 1 if flag and not extended else 2


def _mpii(release: Any, where: str) -> Document:
    """Images of the training set; people without joints are left out. Positions are counted from 1."""
    parts = each_struct(release)
    records = [record for part in parts for record in each_struct(part.get("annolist"))]
    train = np.concatenate([np.zeros(0), *(np.atleast_1d(np.asarray(part.get("img_train", []))).ravel() for part in parts)])
    pictures = []
    for index, record in enumerate(records):
        if len(train) == len(records) and not train[index]:
            continue
        name = next((str(part["name"]) for part in each_struct(record.get("image")) if "name" in part), None)
        if name is None:
            raise AnnotationError(f"{where}: image {index + 1} of `annolist` has no `image.name`")
        people = [found for person in each_struct(record.get("annorect")) if (found := _mpii_person(person))]
        pictures.append(Picture(name=name, people=people))
    return document_of(pictures, skeleton=MPII16)


def _mpii_person(person: Mapping[str, Any]) -> Person | None:
    points: dict[str, Point] = {}
    for joint in [point for part in each_struct(person.get("annopoints")) for point in each_struct(part.get("point"))]:
        seen = joint.get("is_visible", 1)
        hidden = np.size(seen) == 1 and str(np.ravel(seen)[0]) in ("0", "0.0", "False")
        points[MPII16.keypoints[int(joint["id"])]] = (float(joint["x"]) - 1, float(joint["y"]) - 1, 1 if hidden else 2)
    return Person(points=points, kind="person") if points else None


FORMS = (Form("a MATLAB file of labels", _fits, _read),)
