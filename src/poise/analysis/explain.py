"""How the COCO score of one image comes about: OKS of all pairs, matching at each threshold, average precision.

The protocol of COCO's keypoint task (cocodataset.org/#keypoints-eval), step by step. `metrics/coco.py` computes the same for a
whole data set at once; the tests compare the two.
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
    """The score of one image.

    Attributes:
        table: OKS of all predictions with all labels.
        rounds: Matching and scores at each threshold.
        protocol: COCO's ten scores of this image, as `metrics.coco.evaluate` computes them.
    """

    table: OksTable
    rounds: tuple[ThresholdResult, ...]
    protocol: dict[str, float]

    @property
    def ap(self) -> float:
        """AP, the mean over the thresholds; -1 where no person counts."""
        return float(np.mean([one.ap for one in self.rounds]))

    @property
    def ar(self) -> float:
        """AR, the mean over the thresholds; -1 where no person counts."""
        return float(np.mean([one.ar for one in self.rounds]))

    def at(self, threshold: float) -> ThresholdResult:
        """Matching and scores at a threshold.

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
        results: Results in COCO's format; those of other images are not used.
        skeletons: Skeleton of all categories, or of each by its id.
        image: Id of the image.
        category: Id of the category; the only one by default.
        area: Size of the people who count; others are ignored.

    Raises:
        InputError: There is no such image or category, or several categories and none is named; a result is not finite.
        AnnotationError: The annotations cannot be evaluated against, or do not list the images of the results.
        SkeletonMismatch: Annotations or results have another number of keypoints than the skeleton.
    """
    of = skeletons_by_category(truth, skeletons)
    chosen = _category(of, category)
    part = one_image(truth, image, chosen)
    strange = sorted({repr(row["image_id"]) for row in results} - {repr(record["id"]) for record in truth["images"]})
    if strange:
        raise AnnotationError(f"results are for images {strange[:5]} that the annotations do not list; is it another file?")
    own = [row for row in results if row["image_id"] == image and row["category_id"] == chosen]
    protocol = evaluate(part, own, {chosen: of[chosen]}).numbers  # refuses invalid results before anything is explained
    table = build_oks_table(part["annotations"], own, of[chosen], area=area)
    return Explanation(table, tuple(score_at_threshold(table, t) for t in THRESHOLDS), protocol)


def _category(of: Mapping[int, Skeleton], category: int | None) -> int:
    if category is None and len(of) == 1:
        return next(iter(of))
    if category is None or category not in of:
        raise InputError(f"category {category} was asked for and the annotations have {', '.join(map(str, of))}; name one")
    return category


def one_image(truth: GroundTruth, image: int, category: int) -> dict[str, list[Record]]:
    """The annotations of one image and category.

    Raises:
        InputError: There is no such image.
    """
    images = [record for record in truth["images"] if record["id"] == image]
    if not images:
        raise InputError(f"the annotations have no image {image}")
    people = [a for a in truth["annotations"] if a.get("image_id") == image and a.get("category_id") == category]
    categories = [c for c in truth["categories"] if c["id"] == category]
    return {"images": images, "annotations": people, "categories": categories}
