"""The OKS of all predictions with all labels of one image, ordered as COCO's protocol orders them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import torch
from jaxtyping import Float

from poise.geometry import xywh_to_xyxy
from poise.metrics.coco_format import Record
from poise.metrics.oks import oks
from poise.skeletons import Skeleton
from poise.structures import Labels

MAX_PREDICTIONS = 20
"""Number of predictions of an image that count: those of highest score."""

Area = Literal["all", "medium", "large"]

AREAS: Mapping[Area, tuple[float, float]] = {"all": (0.0, 1e10), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""Range of annotated areas, square pixels, of the people who count."""


@final
@dataclass(frozen=True, eq=False)
class OksTable:
    """OKS of all predictions with all labels of one image. Predictions are ordered by score; labels that count come first.

    Attributes:
        oks: OKS of each prediction with each label.
        scores: Score of each prediction; of equal ones the first in the file comes first.
        rows: Index of each prediction among the results of the image.
        out_of_area: Whether a prediction's own extent lies outside the range of areas; unmatched, it is ignored.
        ids: Annotation id of each label.
        ignored: Why a label does not count; "" if it counts.
        crowd: Whether a label stands for a group, which any number of predictions may be matched to.
        left_out: Number of predictions beyond the first `MAX_PREDICTIONS`.
    """

    oks: Float[np.ndarray, "m n"]
    scores: tuple[float, ...]
    rows: tuple[int, ...]
    out_of_area: tuple[bool, ...]
    ids: tuple[int, ...]
    ignored: tuple[str, ...]
    crowd: tuple[bool, ...]
    left_out: int = 0

    @property
    def people(self) -> int:
        """Number of labels that count."""
        return self.ignored.count("")


def build_oks_table(
    annotations: Sequence[Record], results: Sequence[Record], skeleton: Skeleton, *, area: Area = "all"
) -> OksTable:
    """The table of one image.

    Args:
        annotations: Annotations of the image in COCO's format, with areas and boxes.
        results: Results of the image in COCO's format.
        skeleton: Skeleton of both.
        area: Size of the people who count.
    """
    low, high = AREAS[area]
    labels = labels_from_coco(annotations, len(skeleton))
    reasons = [_ignored(annotation, labels, i, low=low, high=high) for i, annotation in enumerate(annotations)]
    order = sorted(range(len(reasons)), key=lambda i: bool(reasons[i]))
    best = sorted(range(len(results)), key=lambda i: -results[i]["score"])
    rows, left_out = best[:MAX_PREDICTIONS], len(best[MAX_PREDICTIONS:])
    flat = torch.tensor([results[i]["keypoints"] for i in rows], dtype=torch.float64)
    found = flat.reshape(len(rows), len(skeleton), 3)[..., :2]
    similarities = oks(found, labels.select(torch.tensor(order, dtype=torch.int64)), skeleton.sigmas)
    extent = (found.amax(dim=1) - found.amin(dim=1)).prod(dim=1).tolist() if rows else []
    return OksTable(
        similarities.numpy(),
        tuple(float(results[i]["score"]) for i in rows),
        tuple(rows),
        tuple(not low <= size <= high for size in extent),
        tuple(int(annotations[i].get("id", i + 1)) for i in order),
        tuple(reasons[i] for i in order),
        tuple(bool(labels.crowd[i]) for i in order),
        left_out,
    )


def labels_from_coco(annotations: Sequence[Record], keypoints: int) -> Labels:
    """Annotations in COCO's format as labels, in double precision, so that OKS at a threshold does not depend on rounding.

    Args:
        annotations: Annotations of one image.
        keypoints: Number of keypoints of the skeleton.
    """
    n = len(annotations)
    flat = [a.get("keypoints") or [0] * (3 * keypoints) for a in annotations]
    values = torch.tensor(flat, dtype=torch.float64).reshape(n, keypoints, 3)
    boxes = torch.tensor([a["bbox"] for a in annotations], dtype=torch.float64).reshape(n, 4)
    ones = torch.ones(n, dtype=torch.int64)
    crowd = torch.tensor([bool(a.get("iscrowd")) for a in annotations], dtype=torch.bool)
    areas = torch.tensor([a["area"] for a in annotations], dtype=torch.float64)
    return Labels(values[..., :2], values[..., 2].long(), xywh_to_xyxy(boxes), areas, crowd, ones, ones)


def _ignored(annotation: Record, labels: Labels, row: int, *, low: float, high: float) -> str:
    if labels.crowd[row]:
        return "crowd"
    if not bool((labels.visible[row] > 0).any()):  # counted, as the protocol here does; files count wrongly
        return "no keypoint labelled"
    return "" if low <= float(annotation["area"]) <= high else "another area"
