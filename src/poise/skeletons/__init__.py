"""Skeletons: the keypoints of a data set, their left-right pairs, bones and OKS sigmas."""

from poise.skeletons._skeleton import Skeleton
from poise.skeletons.animals import ANIMAL18
from poise.skeletons.category import from_categories, from_category, mirror_pairs, usable_bones
from poise.skeletons.coco import COCO17
from poise.skeletons.convert import check_shared, convert, keypoint_indices, select, union
from poise.skeletons.lsp import LSP14
from poise.skeletons.mpii import MPII16
from poise.skeletons.quadruped import QUADRUPED

__all__ = [
    "ANIMAL18",
    "COCO17",
    "LSP14",
    "MPII16",
    "QUADRUPED",
    "Skeleton",
    "check_shared",
    "convert",
    "from_categories",
    "from_category",
    "keypoint_indices",
    "mirror_pairs",
    "select",
    "union",
    "usable_bones",
]
