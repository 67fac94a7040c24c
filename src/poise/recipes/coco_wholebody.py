"""COCO-WholeBody (arXiv 2007.11858): bodies, hands and faces in the images of COCO 2017, for recipes."""

from pathlib import Path

from poise.data.base import Dataset
from poise.data.coco import CocoDataset
from poise.data.combined import CombinedDataset
from poise.data.naming import Naming
from poise.errors import ReadError
from poise.recipes.coco import images2017
from poise.skeletons import Skeleton
from poise.skeletons.faces import FACE68
from poise.skeletons.hands import HAND21
from poise.skeletons.wholebody import FIELDS, WHOLEBODY133

PARTS = ("train", "val")


def check_wholebody(data: Path) -> None:
    """Refuse a folder that is not COCO 2017 with COCO-WholeBody's annotations: cheap, before a network is made.

    Args:
        data: Folder with `annotations/coco_wholebody_{train,val}_v1.0.json`, and COCO's images.

    Raises:
        ReadError: Images or annotations are missing.
    """
    for part in PARTS:
        images2017(data, f"{part}2017")
        if not _annotations(data, part).is_file():
            raise ReadError(
                f"there is no annotation file {str(_annotations(data, part))!r}; COCO-WholeBody offers it on "
                "https://github.com/jin-s13/COCO-WholeBody (its terms: research, not commercial)"
            )


def bodies(data: Path, part: str) -> Dataset:
    """The people of `train` or `val` with all 133 keypoints."""
    return _read(data, part, WHOLEBODY133, tuple(FIELDS))


def hands(data: Path, part: str) -> Dataset:
    """Each hand that is labelled, in its own box; the images come twice, for left and for right hands."""
    sides = [_read(data, part, HAND21, (field,)) for field in ("lefthand_kpts", "righthand_kpts")]
    return CombinedDataset(sides, skeleton=HAND21)


def faces(data: Path, part: str) -> Dataset:
    """Each face that is labelled, in its own box."""
    return _read(data, part, FACE68, ("face_kpts",))


def _read(data: Path, part: str, skeleton: Skeleton, fields: tuple[str, ...]) -> CocoDataset:
    naming = Naming(skeleton=skeleton, fields=fields)
    return CocoDataset(_annotations(data, part), images2017(data, f"{part}2017"), skeleton=skeleton, naming=naming)


def _annotations(data: Path, part: str) -> Path:
    return data / "annotations" / f"coco_wholebody_{part}_v1.0.json"
