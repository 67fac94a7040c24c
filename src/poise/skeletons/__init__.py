"""Skeletons: which keypoints there are, how they mirror, how exactly people can point at them."""

from poise.skeletons._skeleton import Skeleton
from poise.skeletons.coco import COCO17
from poise.skeletons.quadruped import QUADRUPED

__all__ = ["COCO17", "QUADRUPED", "Skeleton"]
