"""AP-10K (arXiv 2108.12617) as it is unpacked, for recipes: its first split."""

from pathlib import Path

from poise.data.coco import CocoDataset
from poise.data.naming import Naming
from poise.errors import ReadError
from poise.skeletons.animal_sets import AP10K17


def check_ap10k(data: Path) -> None:
    """Refuse a folder that is not AP-10K: cheap, before a network is made.

    Args:
        data: Folder `ap-10k`, or the one that holds it.

    Raises:
        ReadError: Images or annotations are missing.
    """
    for part in ("train", "val"):
        if not _annotations(data, part).is_file():
            raise ReadError(
                f"there is no annotation file {str(_annotations(data, part))!r}; expected AP-10K as its archive unpacks "
                "(`poise data fetch ap10k`)"
            )
    if not (_base(data) / "data").is_dir():
        raise ReadError(f"there is no folder {str(_base(data) / 'data')!r} with AP-10K's images (`poise data fetch ap10k`)")


def animals(data: Path, part: str) -> CocoDataset:
    """The animals of `train`, `val` or `test`, of all species."""
    naming = Naming(skeleton=AP10K17, fields=("keypoints",))
    return CocoDataset(_annotations(data, part), _base(data) / "data", skeleton=AP10K17, naming=naming)


def _base(data: Path) -> Path:
    return data / "ap-10k" if (data / "ap-10k").is_dir() else data


def _annotations(data: Path, part: str) -> Path:
    return _base(data) / "annotations" / f"ap10k-{part}-split1.json"
