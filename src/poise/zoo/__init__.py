"""The model zoo, one file per paper: builders, official releases, names of their weights, expected scores."""

from poise.zoo.find import build, names
from poise.zoo.importing import import_release
from poise.zoo.rcnn.builder import faster_rcnn, keypoint_rcnn
from poise.zoo.rcnn.keypoint_fcos import keypoint_fcos

__all__ = ["build", "faster_rcnn", "import_release", "keypoint_fcos", "keypoint_rcnn", "names"]
