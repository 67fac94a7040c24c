"""Skeletons: the keypoints of a data set, their left-right pairs, bones and OKS sigmas."""

from poise.skeletons._skeleton import Skeleton
from poise.skeletons.animals import ANIMAL18
from poise.skeletons.blazepose import BLAZEPOSE33, BLAZEPOSE39
from poise.skeletons.category import from_categories, from_category, usable_bones
from poise.skeletons.coco import COCO17
from poise.skeletons.convert import check_shared, convert, keypoint_indices, keypoint_partners, select, union
from poise.skeletons.lsp import LSP14
from poise.skeletons.mirror import mirror_pairs
from poise.skeletons.mpii import MPII16
from poise.skeletons.quadruped import QUADRUPED

__all__ = [
    "ANIMAL18",
    "BLAZEPOSE33",
    "BLAZEPOSE39",
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
    "keypoint_partners",
    "mirror_pairs",
    "select",
    "union",
    "usable_bones",
]
