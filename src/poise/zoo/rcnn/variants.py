"""What releases of two-stage detectors do each in its own way, by the name of the release."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from poise.errors import unknown
from poise.nn.anchors import AnchorRule
from poise.nn.blocks import Style
from poise.nn.frozen import Norm
from poise.nn.necks.base import BackboneWithNeck


@dataclass(frozen=True)
class Reading:
    """How many boxes are proposed, and how they are read off the maps.

    Attributes:
        sampling: Points a cell of a box is averaged from, along each side; 0 for as many as there are cells below.
        looked: How many boxes of each map are looked at, the surest: in training, in testing.
        kept: How many of an image are kept: in training, in testing.
        shared: How many of these a batch keeps in training for each of its images, the surest of all; None for all of them.
    """

    sampling: int = 2
    looked: tuple[int, int] = (2000, 1000)
    kept: tuple[int, int] = (2000, 1000)
    shared: int | None = None


SHARED = Reading(shared=1000)
"""Of maskrcnn-benchmark where there are several maps: on a device with 2 images, as it trains, 2000 of both together."""

ALONE = Reading(0, looked=(12000, 6000))
"""Of maskrcnn-benchmark and Detectron2 where there is one map (C4)."""


@dataclass(frozen=True)
class Dialect:
    """What releases of Keypoint R-CNN do each in its own way.

    Attributes:
        style: Where bottlenecks stride; ResNeXt's stride as "pytorch" says in all of them.
        norm: What the trunk's batch norms are.
        anchors: By which rule anchors are made.
        pyramid: How boxes are proposed and read where there are several maps ...
        alone: ... and where there is one.
        aligned: Whether the middle of a map's first cell is at half a stride when boxes are cut out.
        inclusive: Whether heads read boxes without their last row and column.
        smooth: Up to where errors of proposals count by their square; of boxes, `Learning.smooth` says it.
        hrfpn: Whether an HRNet has one where a model's name says nothing of a neck (`resolved`).
        inside: Whether proposals learn only from anchors that nowhere reach over the image's border.
        by_size: Whether a cell's anchors stand size by size, which shows where there is one map; else ratio by ratio.
    """

    style: Style = "pytorch"
    norm: Norm = "frozen"
    anchors: AnchorRule = "exact"
    pyramid: Reading = Reading()
    alone: Reading = Reading()
    aligned: bool = True
    inclusive: bool = False
    smooth: float = 1 / 9
    hrfpn: bool = False
    inside: bool = False
    by_size: bool = False

    def reading(self, trunk: BackboneWithNeck) -> Reading:
        """How boxes are proposed and read on a trunk."""
        return self.pyramid if len(trunk.strides) > 1 else self.alone


DIALECTS: Mapping[str, Dialect] = {
    "poise": Dialect(),
    "maskrcnn": Dialect("caffe", "bare", "legacy", SHARED, ALONE, aligned=False, inclusive=True, inside=True),
    "hrnet": Dialect("caffe", "kept", "legacy", SHARED, ALONE, aligned=False, inclusive=True, inside=True, hrfpn=True),
    "torchvision": Dialect("pytorch", "bare", "rounded", aligned=False),
    "detectron2": Dialect("caffe", "frozen", "exact", Reading(0, kept=(1500, 1000)), ALONE, smooth=0.0, by_size=True),
}
"""Ours and those of maskrcnn-benchmark, HRNet-MaskRCNN-Benchmark, torchvision (its COCO_V1 weights) and Detectron2."""


def dialect_of(name: str, norm: Norm | None = None) -> Dialect:
    """By name; with other norms if asked for.

    Raises:
        UnknownName: There is none of that name.
    """
    if name not in DIALECTS:
        raise unknown("dialect of detectors", name, DIALECTS)
    return DIALECTS[name] if norm is None else replace(DIALECTS[name], norm=norm)
