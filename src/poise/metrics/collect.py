"""Collecting poses and labels during a validation, and their metrics at its end."""

from collections.abc import Sequence
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.errors import SkeletonMismatch
from poise.metrics import coco, coco_format
from poise.metrics.pck import PCK, THRESHOLDS, pck
from poise.skeletons import Skeleton
from poise.structures import Labels


@final
class Collector:
    """Collects the poses predicted in the boxes of labelled people, with their labels.

    Args:
        skeleton: The keypoints of poses and labels.
        thresholds: Thresholds of PCK, as shares of the longer side of the box.
    """

    def __init__(self, skeleton: Skeleton, *, thresholds: Sequence[float] = THRESHOLDS) -> None:
        self.skeleton = skeleton
        self.thresholds = tuple(thresholds)
        self._labels: dict[int, list[Labels]] = {}
        self._results: list[dict[str, Any]] = []
        self._counts: dict[float, PCK] = {}

    def __len__(self) -> int:
        """Number of people collected."""
        return sum(len(part) for parts in self._labels.values() for part in parts)

    def add(self, image: int, xy: Float[Tensor, "n k 2"], score: Float[Tensor, "n k"], labels: Labels) -> None:
        """Add one pose for each of some people of an image; other people of the image may be added later.

        Args:
            image: Id of the image.
            xy: Keypoint positions, pixels of the image.
            score: Confidence of each keypoint; their mean is the score of the pose.
            labels: Labels of the same people, in the same order.

        Raises:
            SkeletonMismatch: Poses and labels differ in the number of people or keypoints.
        """
        if xy.shape[:2] != labels.visible.shape or xy.shape[1] != len(self.skeleton):
            raise SkeletonMismatch(
                f"{tuple(xy.shape[:2])} poses and keypoints were found for {tuple(labels.visible.shape)} labelled ones of "
                f"skeleton {self.skeleton.name!r} ({len(self.skeleton)} keypoints); they must agree"
            )
        self._labels.setdefault(image, []).append(labels)
        ones = torch.ones(len(xy), dtype=torch.int64)
        self._results += coco_format.to_coco_results(xy, score, score.mean(dim=1), image=image, categories=ones)
        for threshold in self.thresholds:
            self._count(threshold, pck(xy, labels, threshold))

    def merge(self, other: "Collector") -> None:
        """Add everything that another collector has collected, for instance in another process.

        Args:
            other: A collector of other images.
        """
        for image, parts in other._labels.items():
            self._labels.setdefault(image, []).extend(parts)
        self._results += other._results
        for threshold, count in other._counts.items():
            self._count(threshold, count)

    def compute(self) -> dict[str, float]:
        """PCK at every threshold ("pck@0.1", ...) and COCO's ten metrics ("AP", ...), by name; {} if no person was added."""
        if not self._labels:
            return {}
        return {f"pck@{t:g}": count.mean for t, count in self._counts.items()} | coco.evaluate(
            self._truth(), self._results, self.skeleton
        ).numbers

    def keypoints(self) -> dict[str, dict[str, float]]:
        """PCK at every threshold ("pck@0.1", ...), by the name of the keypoint."""
        table: dict[str, dict[str, float]] = {name: {} for name in self.skeleton.keypoints}
        for threshold, count in self._counts.items():
            for name, value in zip(self.skeleton.keypoints, count.keypoints, strict=True):
                table[name][f"pck@{threshold:g}"] = value
        return table

    def _count(self, threshold: float, count: PCK) -> None:
        old = self._counts.get(threshold)
        self._counts[threshold] = count if old is None else old + count

    def _truth(self) -> dict[str, Any]:
        parts = [
            coco_format.to_coco_annotations({image: part}, self.skeleton)
            for image, all_ in self._labels.items()
            for part in all_
        ]
        images = [{"id": image} for image in self._labels]
        return parts[0] | {"images": images, "annotations": [a for part in parts for a in part["annotations"]]}
