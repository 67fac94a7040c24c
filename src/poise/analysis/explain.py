"""How one image gets its COCO score: who is compared with whom, who takes whom, and how average precision comes of it.

The protocol of COCO's keypoint task (cocodataset.org/#keypoints-eval), step by step and slowly. `metrics/coco.py` computes the
same for a data set at once; the tests hold the two to each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from poise.analysis.matching import THRESHOLDS, ThresholdResult, score_at_threshold
from poise.analysis.oks_table import Area, OksTable, build_oks_table
from poise.errors import AnnotationError, InputError
from poise.metrics.coco import evaluate
from poise.metrics.coco_format import GroundTruth, Record, skeletons_by_category
from poise.skeletons import Skeleton


@final
@dataclass(frozen=True, eq=False)
class Explanation:
    """One image's score.

    Attributes:
        table: Who is compared with whom.
        rounds: One per threshold.
        protocol: COCO's ten numbers of this image, as `metrics.coco.evaluate` gives them.
    """

    table: OksTable
    rounds: tuple[ThresholdResult, ...]
    protocol: dict[str, float]

    @property
    def ap(self) -> float:
        """The mean over the thresholds; -1 where nobody counts."""
        return float(np.mean([one.ap for one in self.rounds]))

    @property
    def ar(self) -> float:
        """The mean over the thresholds; -1 where nobody counts."""
        return float(np.mean([one.ar for one in self.rounds]))

    def at(self, threshold: float) -> ThresholdResult:
        """What happened at a threshold.

        Raises:
            InputError: It is none of the ten.
        """
        near = min(self.rounds, key=lambda one: abs(one.threshold - threshold))
        if abs(near.threshold - threshold) > 1e-9:
            raise InputError(f"the protocol has no threshold {threshold:g}; it has {', '.join(f'{t:.2f}' for t in THRESHOLDS)}")
        return near


def explain(
    truth: GroundTruth,
    results: Sequence[Record],
    skeletons: Skeleton | Mapping[int, Skeleton],
    *,
    image: int,
    category: int | None = None,
    area: Area = "all",
) -> Explanation:
    """Score one image by the COCO protocol, and keep every step.

    Args:
        truth: The annotations.
        results: Of any images; those of this one count.
        skeletons: Of all categories, or of each by category id.
        image: Its id.
        category: Of the people; the only one by default.
        area: Which people count; others are ignored.

    Raises:
        InputError: There is no such image or category, or several and none is named; a result is not finite.
        AnnotationError: The annotations cannot be scored against, or do not list the images of the results.
        SkeletonMismatch: Annotations or results have another number of keypoints than the skeleton.
    """
    of = skeletons_by_category(truth, skeletons)
    chosen = _category(of, category)
    part = one_image(truth, image, chosen)
    strange = sorted({repr(row["image_id"]) for row in results} - {repr(record["id"]) for record in truth["images"]})
    if strange:
        raise AnnotationError(f"results are for images {strange[:5]} that the annotations do not list; is it another file?")
    own = [row for row in results if row["image_id"] == image and row["category_id"] == chosen]
    protocol = evaluate(part, own, {chosen: of[chosen]}).numbers  # refuses what cannot be scored, before it is explained
    board = build_oks_table(part["annotations"], own, of[chosen], area=area)
    return Explanation(board, tuple(score_at_threshold(board, t) for t in THRESHOLDS), protocol)


def _category(of: Mapping[int, Skeleton], category: int | None) -> int:
    if category is None and len(of) == 1:
        return next(iter(of))
    if category is None or category not in of:
        raise InputError(f"category {category} was asked for and the annotations have {', '.join(map(str, of))}; name one")
    return category


def one_image(truth: GroundTruth, image: int, category: int) -> dict[str, list[Record]]:
    """The annotations of one image and category alone.

    Raises:
        InputError: There is no such image.
    """
    images = [record for record in truth["images"] if record["id"] == image]
    if not images:
        raise InputError(f"the annotations have no image {image}")
    people = [a for a in truth["annotations"] if a.get("image_id") == image and a.get("category_id") == category]
    categories = [c for c in truth["categories"] if c["id"] == category]
    return {"images": images, "annotations": people, "categories": categories}
