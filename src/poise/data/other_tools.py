"""Label files of other tools, recognised by their names and first bytes, so that the message says what a file is."""

import zipfile
from collections.abc import Set
from pathlib import Path
from typing import Any

SEE = "docs/concepts/data.md lists what is read"
WAY = (
    "poise reads COCO's keypoint files: JSON with `images`, `annotations` (`keypoints` as x, y, visible) and `categories` with "
    "the names; most tools export it (CVAT: 'COCO Keypoints 1.0'), and 'Labels of other tools' in docs/concepts/data.md lists "
    "the other forms that are read"
)
"""How one comes from the files of other tools to a file that is read."""

Tool = tuple[str, str]
"""What a file is, and the way from it to one that is read."""

_YAML = (
    "a YAML file",
    "of a data set of Ultralytics YOLO give the folder of its .txt files, such as labels/train, of a project of DeepLabCut the "
    f"tables labeled-data/*/CollectedData_*.csv; {SEE}",
)
_SLEAP = (
    "a label file of SLEAP",
    "in Python `import sleap_io; sleap_io.save_coco(sleap_io.load_slp('labels.slp'), 'labels.json')` (pip install sleap-io) "
    f"makes COCO's form, whose images are to be saved by the names in it; {SEE}",
)
_RHD = ("a pickle", f"of Rendered Hand Pose MMPose has COCO's form, rhd_train.json; {SEE}")
_HDF = (
    "an HDF5 file",
    "of DeepLabCut give the CollectedData_*.csv that lies beside it, of DeepPoseKit's zebras, flies and locusts MMPose's COCO "
    f"files; {SEE}",
)
_XML = ("an XML file", f"CVAT's 'CVAT for images 1.1' is read, Pascal VOC's have no keypoints; {SEE}")
_BY_SUFFIX: dict[str, Tool] = {
    ".slp": _SLEAP,
    ".csv": (
        "a table of a form that is not known",
        f"DeepLabCut's (it begins with `scorer`) and MacaquePose's are; {SEE}",
    ),
    ".h5": _HDF,
    ".xml": _XML,
    ".yaml": _YAML,
    ".yml": _YAML,
    ".txt": ("a text file", f"of Ultralytics YOLO, which has one for each image, give the folder; {SEE}"),
    ".mat": ("a MATLAB file", WAY),
    ".npy": ("a NumPy file", WAY),
    ".npz": ("a NumPy file", WAY),
    ".pkl": _RHD,
    ".pickle": _RHD,
    ".parquet": ("a Parquet file", WAY),
}


def named_by_path(path: Path | str) -> str | None:
    """What a file that is no JSON is, and the way from it to COCO's form; None where nothing tells.

    Args:
        path: The file; it exists.
    """
    place = Path(path)
    if place.is_dir():
        return None
    if zipfile.is_zipfile(place):
        return f"{str(path)!r} is a zip file; {_inside(place)}"
    table = place.with_suffix(".csv")
    if place.suffix.lower() == ".h5" and table.is_file():
        return f"{str(path)!r} is an HDF5 file of DeepLabCut; give {table.name!r}, which lies beside it and says the same"
    what = _BY_SUFFIX.get(place.suffix.lower()) or _by_bytes(place)
    return None if what is None else _said(path, what)


def _said(path: Path | str, tool: Tool) -> str:
    what, way = tool
    return f"{str(path)!r} is {what}, not a file of COCO's; {way}"


def named_by_content(path: Path | str, document: Any) -> str | None:
    """What a JSON file of another tool is, and the way from it to COCO's form; None where nothing tells.

    Args:
        path: The file.
        document: Its content.
    """
    what = _tool(document)
    return None if what is None else _said(path, what)


def _tool(document: Any) -> Tool | None:
    rows = document if isinstance(document, list) else [document]
    keys = set(rows[0]) if rows and isinstance(rows[0], dict) else set()
    if rows and isinstance(rows[0], list):
        return "a list of lists", f"of FreiHAND, whose are 3-D, MMPose has COCO's form, freihand_train.json; {SEE}"
    if "item1" in keys and "pair_id" in keys:
        return "a file of DeepFashion2, for one image", f"its authors' deepfashion2_to_coco.py makes COCO's form of all; {SEE}"
    if {"skeletons", "nodes"} & keys and "videos" in keys:
        return _SLEAP
    what = _with_way(document, keys)
    return None if what is None else (what, WAY)


def _with_way(document: Any, keys: Set[str]) -> str | None:
    """Tools that export COCO's form, or whose form is read where it is whole."""
    if {"shapes", "imagePath"} <= keys:
        return "a label file of labelme"
    if "annotations" in keys and "data" in keys and isinstance(document, list):
        return "an export of Label Studio"
    if "_via_img_metadata" in keys or {"filename", "regions"} <= keys:
        return "a project of VGG Image Annotator"
    if "regions" in next((v for v in _values(document) if isinstance(v, dict)), {}):
        return "a file of VGG Image Annotator"
    if {"data_rows", "projects"} & keys or "data_row" in keys:
        return "an export of Labelbox"
    return None


def _values(document: Any) -> list[Any]:
    return list(document.values())[:1] if isinstance(document, dict) else []


def _by_bytes(path: Path) -> Tool | None:
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(b"\x89HDF"):
        return _HDF
    return _XML if head.lstrip().startswith(b"<?xml") else None


def _inside(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            found = next((n for n in archive.namelist() if n.lower().endswith(".json")), None)
    except (OSError, zipfile.BadZipFile):
        found = None
    if found is not None:
        return f"unpack it and give the label file inside, {found!r}"
    return f"it holds no JSON; {WAY}"
