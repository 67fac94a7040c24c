"""Public sets and tools with forms of their own."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .made import BOX, HEIGHT, WIDTH, Fake, draw, points, triples, write_json

NAMES = ("snout", "left_ear", "right_ear", "tail")
_CORNERS = [BOX[0], BOX[1], BOX[0] + BOX[2], BOX[1] + BOX[3]]


def _files(folder: Path, names: Sequence[str] = ("a.jpg", "b.jpg")) -> Path:
    return draw(folder / "images", list(names))


def mpii_json(folder: Path, *, count: int = 16, shift: int = 1) -> Fake:
    rows = []
    for i, name in enumerate(("a.jpg", "b.jpg")):
        joints = [[x + shift, y + shift] for x, y in points(count, seed=i)]
        rows.append({"image": name, "center": [48.0, 32.0], "scale": 0.3, "joints": joints, "joints_vis": [1] * count})
    labels = write_json(folder / "train.json", rows)
    first = "right_ankle" if count == 16 else "Head_Mid_Top"
    return Fake(labels=labels, images=_files(folder), keypoints=count, first=first)


def mpii_mat(folder: Path) -> Fake:
    from scipy.io import savemat

    annolist = np.zeros((1, 2), dtype=[("image", object), ("annorect", object)])
    for i, name in enumerate(("a.jpg", "b.jpg")):
        joints = [{"x": x + 1, "y": y + 1, "id": k, "is_visible": 1} for k, (x, y) in enumerate(points(16, seed=i))]
        person = {"scale": 0.3, "objpos": {"x": 48.0, "y": 32.0}, "annopoints": {"point": joints}, "x1": 20, "y1": 10}
        annolist[0, i] = ({"name": name}, person)
    labels = folder / "mpii_human_pose_v1_u12_1.mat"
    savemat(labels, {"RELEASE": {"annolist": annolist, "img_train": np.array([[1, 1]])}})
    return Fake(labels=labels, images=_files(folder), keypoints=16, first="right_ankle")


def lsp(folder: Path, *, variable: str = "joints", extended: bool = False) -> Fake:
    from scipy.io import savemat

    seen = 1 if extended else 0
    rows = np.array([[(x + 1, y + 1, seen) for x, y in points(14, seed=i)] for i in range(2)])
    labels = folder / f"{variable}.mat"
    savemat(labels, {variable: rows.transpose(1, 2, 0) if extended else rows.transpose(2, 1, 0)})
    pattern = {"joints": "im%05d.jpg" if extended else "im%04d.jpg", "joints_gt": "image_%06d.png"}[variable]
    return Fake(labels=labels, images=_files(folder, [pattern % 1, pattern % 2]), keypoints=14, first="right_ankle")


def other_mat(folder: Path) -> Fake:
    from scipy.io import savemat

    labels = folder / "AFLWinfo_release.mat"
    savemat(labels, {"data": np.zeros((5, 38)), "bbox": np.zeros((5, 4)), "mask_new": np.ones((5, 19))})
    return Fake(labels=labels, images=_files(folder), refused=r"data \(5 x 38\).*LSP's.*COCO's form")


def new_mat(folder: Path) -> Fake:
    labels = folder / "COFW_train_color.mat"
    labels.write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + b"\x89HDF\r\n\x1a\n")
    return Fake(labels=labels, images=_files(folder), refused=r"version 7\.3 \(HDF5\).*cofw_train\.json.*--skeleton cofw")


def aic(folder: Path) -> Fake:
    rows = [
        {
            "image_id": name,
            "url": "http://example.org/x",
            "human_annotations": {"human1": _CORNERS},
            "keypoint_annotations": {"human1": [v if i % 3 < 2 else 1 for i, v in enumerate(triples(14, seed=k))]},
        }
        for k, name in enumerate(("a", "b"))
    ]
    labels = write_json(folder / "keypoint_train_annotations_20170902.json", rows)
    return Fake(labels=labels, images=_files(folder), keypoints=14, first="right_shoulder")


def ochuman(folder: Path) -> Fake:
    names = [f"right_{n}" for n in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "eye", "ear")]
    names += [n.replace("right", "left") for n in names] + ["head", "neck", "nose"]
    records = []
    for k, name in enumerate(("a.jpg", "b.jpg")):
        person = {"bbox": [int(v) for v in _CORNERS], "keypoints": triples(19, seed=k, seen=1), "segms": None, "max_iou": 0.8}
        people = [person, {"bbox": [0, 0, 9, 9], "keypoints": None}]
        records.append({"image_id": f"{k:06d}", "file_name": name, "width": WIDTH, "height": HEIGHT, "annotations": people})
    labels = write_json(folder / "ochuman.json", {"name": "OCHuman", "keypoint_names": names, "images": records})
    return Fake(labels=labels, images=_files(folder), keypoints=19, first="right_shoulder")


def stanford_extra(folder: Path) -> Fake:
    rows = [
        {
            "img_path": f"n02085620-Chihuahua/{name}",
            "img_width": WIDTH,
            "img_height": HEIGHT,
            "joints": [[x, y, 1.0] for x, y in points(24, seed=k)],
            "img_bbox": list(BOX),
            "is_multiple_dogs": False,
            "seg": "xx",
        }
        for k, name in enumerate(("a.jpg", "b.jpg"))
    ]
    labels = write_json(folder / "StanfordExtra_v12.json", rows)
    images = _files(folder, [row["img_path"] for row in rows])
    return Fake(labels=labels, images=images, keypoints=24, first="left_front_paw")


def panoptic(folder: Path) -> Fake:
    for k, name in enumerate(("a", "b")):
        rows = [[x, y, 1] for x, y in points(21, seed=k)]
        write_json(folder / "manual_train" / f"{name}.json", {"hand_pts": rows, "hand_box_center": [48, 32], "is_left": 1})
    draw(folder / "manual_train", ["a.jpg", "b.jpg"])
    return Fake(labels=folder / "manual_train", images=folder / "manual_train", keypoints=21, first="wrist")


def macaques(folder: Path) -> Fake:
    labels = folder / "annotations.csv"
    with labels.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image file name", "keypoints", "segmentation"])
        for k, name in enumerate(("a.jpg", "b.jpg")):
            monkey = [{"name": n, "position": xy} for n, xy in zip(NAMES, points(4, seed=k), strict=True)]
            monkey[-1]["position"] = None
            table.writerow([name, json.dumps([monkey]), "[]"])
    return Fake(labels=labels, images=_files(folder), keypoints=4, first="snout")


def pts(folder: Path) -> Fake:
    for k, name in enumerate(("a", "b")):
        lines = "\n".join(f"{x + 1} {y + 1}" for x, y in points(68, seed=k))
        (folder / f"{name}.pts").write_text(f"version: 1\nn_points:  68\n{{\n{lines}\n}}\n")
    draw(folder, ["a.png", "b.png"])
    return Fake(labels=folder, images=folder, keypoints=68, first="face-0")


def wflw(folder: Path) -> Fake:
    lines = []
    for k, name in enumerate(("0--Parade/a.jpg", "1--Rest/b.jpg")):
        places = " ".join(f"{v:.6f}" for xy in points(98, seed=k) for v in xy)
        lines.append(f"{places} {' '.join(str(int(v)) for v in _CORNERS)} 0 0 0 0 0 0 {name}")
    labels = folder / "list_98pt_rect_attr_train.txt"
    labels.write_text("\n".join(lines) + "\n")
    return Fake(labels=labels, images=_files(folder, ["0--Parade/a.jpg", "1--Rest/b.jpg"]), keypoints=98, first="wflw-0")


def lapa(folder: Path) -> Fake:
    (folder / "landmarks").mkdir()
    for k, name in enumerate(("a", "b")):
        lines = "\n".join(f"{x} {y}" for x, y in points(106, seed=k))
        (folder / "landmarks" / f"{name}.txt").write_text(f"106\n{lines}\n")
    return Fake(labels=folder / "landmarks", images=_files(folder), keypoints=106, first="lapa-0")


def celeba(folder: Path) -> Fake:
    names = ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")
    rows = [" ".join([n, *(f"{v}" for xy in points(5, seed=k) for v in xy)]) for k, n in enumerate(("a.jpg", "b.jpg"))]
    labels = folder / "list_landmarks_celeba.txt"
    labels.write_text("\n".join(["2", " ".join(f"{n}_{a}" for n in names for a in "xy"), *rows]))
    return Fake(labels=labels, images=_files(folder), keypoints=5, first="lefteye")


def deepfashion_list(folder: Path) -> Fake:
    labels = folder / "list_landmarks.txt"
    head = "image_name clothes_type variation_type landmark_visibility_1 landmark_location_x_1 landmark_location_y_1"
    labels.write_text(f"1\n{head}\nimg/a.jpg 1 1 0 10 20\n")
    return Fake(labels=labels, images=_files(folder), refused=r"DeepFashion's list.*fld_upper_train\.json.*--skeleton")


def labelme(folder: Path, *, grouped: bool = True) -> Fake:
    for k, name in enumerate(("a", "b")):
        group = {"group_id": 0 if grouped else None}
        shapes: list[dict[str, Any]] = [
            {"label": "mouse", "points": [_CORNERS[:2], _CORNERS[2:]], "shape_type": "rectangle", "flags": {}} | group
        ]
        for n, xy in zip(NAMES, points(4, seed=k), strict=True):
            shapes.append({"label": n, "points": [list(xy)], "shape_type": "point", "flags": {}} | group)
        content = {"version": "5.3.1", "flags": {}, "shapes": shapes, "imagePath": f"..\\images\\{name}.jpg", "imageData": None}
        write_json(folder / "labels" / f"{name}.json", content | {"imageHeight": HEIGHT, "imageWidth": WIDTH})
    return Fake(labels=folder / "labels", images=_files(folder), keypoints=4, first="snout")


def label_studio(folder: Path) -> Fake:
    tasks = []
    for k, name in enumerate(("a.jpg", "b.jpg")):
        size = {"original_width": WIDTH, "original_height": HEIGHT, "from_name": "kp", "to_name": "img"}
        x, y, w, h = BOX
        box = {"x": 100 * x / WIDTH, "y": 100 * y / HEIGHT, "width": 100 * w / WIDTH, "height": 100 * h / HEIGHT}
        result = [size | {"id": "r1", "type": "rectanglelabels", "value": box | {"rectanglelabels": ["mouse"]}}]
        for n, (px, py) in zip(NAMES, points(4, seed=k), strict=True):
            value = {"x": 100 * px / WIDTH, "y": 100 * py / HEIGHT, "width": 0.5, "keypointlabels": [n]}
            result.append(size | {"id": n, "parentID": "r1", "type": "keypointlabels", "value": value})
        data = {"img": f"/data/upload/1/0a1b2c3d-{name}"}
        tasks.append({"id": k + 1, "annotations": [{"id": 5, "was_cancelled": False, "result": result}], "data": data})
    return Fake(labels=write_json(folder / "project.json", tasks), images=_files(folder), keypoints=4, first="snout")


def label_studio_min(folder: Path) -> Fake:
    rows = []
    for k, name in enumerate(("a.jpg", "b.jpg")):
        size = {"original_width": WIDTH, "original_height": HEIGHT, "width": 0.5}
        spots = [
            size | {"x": 100 * x / WIDTH, "y": 100 * y / HEIGHT, "keypointlabels": [n]}
            for n, (x, y) in zip(NAMES, points(4, seed=k), strict=True)
        ]
        rows.append({"img": f"/data/local-files/?d=mice%2F{name}", "id": k, "kp": spots, "annotator": 1})
    return Fake(labels=write_json(folder / "min.json", rows), images=_files(folder), keypoints=4, first="snout")


def via(folder: Path) -> Fake:
    images = {}
    for k, name in enumerate(("a.jpg", "b.jpg")):
        regions: list[dict[str, Any]] = [
            {
                "shape_attributes": {"name": "point", "cx": x, "cy": y},
                "region_attributes": {"keypoint": n, "id": "1"},
            }
            for n, (x, y) in zip(NAMES, points(4, seed=k), strict=True)
        ]
        images[f"{name}123"] = {"filename": name, "size": 123, "regions": regions, "file_attributes": {}}
    project = {"_via_settings": {}, "_via_img_metadata": images, "_via_attributes": {}}
    return Fake(labels=write_json(folder / "via_project.json", project), images=_files(folder), keypoints=4, first="snout")


def cvat_xml(folder: Path, *, skeletons: bool = True) -> Fake:
    parts = []
    for k, name in enumerate(("a.jpg", "b.jpg")):
        group = "" if skeletons else ' group_id="1"'
        spots = "".join(
            f'<points label="{n}" outside="0" occluded="{int(n == "tail")}" points="{x},{y}"{group}/>'
            for n, (x, y) in zip(NAMES, points(4, seed=k), strict=True)
        )
        x0, y0, x1, y1 = _CORNERS
        box = f'<box label="mouse" xtl="{x0}" ytl="{y0}" xbr="{x1}" ybr="{y1}" group_id="1"/>'
        inside = f'<skeleton label="mouse" z_order="0">{spots}</skeleton>' if skeletons else box + spots
        parts.append(f'<image id="{k}" name="{name}" width="{WIDTH}" height="{HEIGHT}">{inside}</image>')
    labels = folder / "annotations.xml"
    labels.write_text(f'<?xml version="1.0"?><annotations><version>1.1</version><meta/>{"".join(parts)}</annotations>')
    return Fake(labels=labels, images=_files(folder), keypoints=4, first="snout")


def cvat_video(folder: Path) -> Fake:
    labels = folder / "annotations.xml"
    track = '<track id="0" label="mouse"><skeleton frame="0"><points label="snout" points="1,2"/></skeleton></track>'
    labels.write_text(f'<?xml version="1.0"?><annotations><version>1.1</version>{track}</annotations>')
    return Fake(labels=labels, images=_files(folder), refused=r"XML of a video.*'CVAT for images 1\.1'")


def yolo(folder: Path, *, named: bool = True, width: int = 3) -> Fake:
    x, y, w, h = BOX
    box = ((x + w / 2) / WIDTH, (y + h / 2) / HEIGHT, w / WIDTH, h / HEIGHT)
    (folder / "labels" / "train").mkdir(parents=True)
    for k, name in enumerate(("a", "b")):
        values = [v for px, py in points(4, seed=k) for v in (px / WIDTH, py / HEIGHT, 2)[:width]]
        (folder / "labels" / "train" / f"{name}.txt").write_text(f"0 {' '.join(f'{v:.6f}' for v in (*box, *values))}\n")
    stated = f"path: .\ntrain: images/train\nkpt_shape: [4, {width}]\nflip_idx: [0, 2, 1, 3]\nnames:\n  0: mouse\n"
    (folder / "data.yaml").write_text(stated + (f"kpt_names:\n  0: [{', '.join(NAMES)}]\n" if named else ""))
    (folder / "names.txt").write_text("\n".join(NAMES))
    draw(folder / "images" / "train", ["a.jpg", "b.jpg"])
    flags = {} if named else {"skeleton": str(folder / "names.txt"), "without": r"no names; .*--skeleton NAME or FILE"}
    return Fake(labels=folder / "labels" / "train", images=folder / "images" / "train", keypoints=4, first="snout", **flags)


def yolo_yaml(folder: Path) -> Fake:
    made = yolo(folder)
    return Fake(labels=folder / "data.yaml", images=made.images, refused=r"give the folder of its \.txt files.*labels/train")


def deeplabcut(folder: Path, *, many: bool = False) -> Fake:
    individuals = ["m1", "m2"] if many else ["m1"]
    count = len(individuals)
    head = [["scorer", "", "", *["Ann"] * 8 * count]]
    head += [["individuals", "", "", *(who for who in individuals for _ in range(8))]] if many else []
    head += [["bodyparts", "", "", *[n for n in NAMES for _ in "xy"] * count], ["coords", "", "", *["x", "y"] * 4 * count]]
    rows = []
    for k, name in enumerate(("img001.png", "img002.png")):
        places = [str(v) for i in range(count) for xy in points(4, seed=k + 2 * i) for v in xy]
        rows.append(["labeled-data", "mouse1", name, *places[:-2], "", ""])
    labels = folder / "labeled-data" / "mouse1" / "CollectedData_Ann.csv"
    draw(labels.parent, ["img001.png", "img002.png"])
    labels.write_text("\n".join(",".join(row) for row in head + rows))
    return Fake(labels=labels, images=labels.parent, keypoints=4, first="snout")


def deeplabcut_h5(folder: Path) -> Fake:
    made = deeplabcut(folder)
    labels = made.labels.with_suffix(".h5")
    labels.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    return Fake(labels=labels, images=made.images, refused=r"give 'CollectedData_Ann\.csv', which lies beside it")


def hdf(folder: Path, name: str, refused: str) -> Fake:
    labels = folder / name
    labels.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    return Fake(labels=labels, images=_files(folder), refused=refused)


def sleap_json(folder: Path) -> Fake:
    content = {"version": "2.0.0", "skeletons": [{}], "nodes": [{"name": "snout"}], "videos": [{}], "labels": []}
    return Fake(labels=write_json(folder / "labels.json", content), images=_files(folder), refused=r"SLEAP.*save_coco")


def freihand(folder: Path) -> Fake:
    rows = [[[0.1, 0.2, 0.7]] * 21] * 2
    return Fake(
        labels=write_json(folder / "training_xyz.json", rows),
        images=_files(folder),
        refused=r"3-D, MMPose.*freihand_train\.json",
    )


def interhand(folder: Path) -> Fake:
    person = {"id": 0, "image_id": 0, "bbox": list(BOX), "joint_valid": [[1]] * 42, "hand_type": "right"}
    images = [{"id": 0, "file_name": "a.jpg", "width": WIDTH, "height": HEIGHT, "capture": 0, "camera": "400262"}]
    labels = write_json(folder / "InterHand2.6M_train_data.json", {"images": images, "annotations": [person]})
    return Fake(labels=labels, images=_files(folder), refused=r"InterHand2\.6M.*joint_3d\.json")


def deepfashion2(folder: Path) -> Fake:
    content = {
        "source": "shop",
        "pair_id": 1,
        "item1": {"landmarks": triples(25), "bounding_box": [1, 2, 3, 4], "category_id": 1},
    }
    labels = write_json(folder / "annos" / "000001.json", content)
    return Fake(labels=labels, images=_files(folder), refused=r"DeepFashion2.*deepfashion2_to_coco\.py")


OWN_FORMS: dict[str, Callable[[Path], Fake]] = {
    "MPII, JSON": mpii_json,
    "MPII, .mat": mpii_mat,
    "LSP": lsp,
    "LSP extended": lambda folder: lsp(folder, extended=True),
    "SLP": lambda folder: lsp(folder, variable="joints_gt"),
    "AFLW, .mat": other_mat,
    "COFW, .mat": new_mat,
    "AI Challenger": aic,
    "OCHuman": ochuman,
    "StanfordExtra": stanford_extra,
    "Animal Kingdom": lambda folder: mpii_json(folder, count=23, shift=0),
    "Panoptic hands": panoptic,
    "MacaquePose": macaques,
    "300W": pts,
    "WFLW": wflw,
    "LaPa": lapa,
    "CelebA": celeba,
    "DeepFashion": deepfashion_list,
    "DeepFashion2": deepfashion2,
    "FreiHAND": freihand,
    "InterHand2.6M": interhand,
    "labelme": labelme,
    "labelme, no groups": lambda folder: labelme(folder, grouped=False),
    "Label Studio": label_studio,
    "Label Studio, JSON-MIN": label_studio_min,
    "VGG Image Annotator": via,
    "CVAT for images": cvat_xml,
    "CVAT for images, points": lambda folder: cvat_xml(folder, skeletons=False),
    "CVAT for video": cvat_video,
    "YOLO-pose": yolo,
    "YOLO-pose, no names": lambda folder: yolo(folder, named=False),
    "YOLO-pose, x and y": lambda folder: yolo(folder, width=2),
    "YOLO-pose, data.yaml": yolo_yaml,
    "DeepLabCut, CSV": deeplabcut,
    "DeepLabCut, several animals": lambda folder: deeplabcut(folder, many=True),
    "DeepLabCut, h5": deeplabcut_h5,
    "DeepPoseKit, h5": lambda folder: hdf(folder, "annotation_data_release.h5", r"HDF5.*DeepPoseKit"),
    "SLEAP, slp": lambda folder: hdf(folder, "labels.slp", r"SLEAP.*save_coco"),
    "SLEAP, JSON": sleap_json,
}
