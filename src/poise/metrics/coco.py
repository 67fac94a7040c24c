"""The COCO keypoint protocol: average precision and recall over OKS thresholds, for any keypoints and categories.

hotcoco computes it, with results equal to pycocotools' to the last digit (the tests check this). Its inputs are checked and
completed first (`metrics.coco_format`), because the two differ for invalid files.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from poise.counting import evaluation
from poise.errors import InputError
from poise.metrics.coco_format import (
    GroundTruth,
    Record,
    checked_annotations,
    checked_results,
    compact_ids,
    skeletons_by_category,
)
from poise.metrics.takeable import takeable
from poise.skeletons import Skeleton

NUMBERS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")
"""The ten metrics of the protocol: AP and recall over OKS 0.50 to 0.95, at 0.50, at 0.75, of medium and of large people; -1
where there are no labels."""


@dataclass(frozen=True, eq=False)
class CocoScores:
    """The result of an evaluation of keypoints.

    Attributes:
        numbers: The metrics `NUMBERS`, by name.
        categories: The metrics of each category, by the name of the category.
        precision: Precision by OKS threshold (0.50, 0.55 .. 0.95), recall (0, 0.01 .. 1), category, area (all, medium, large),
            and one number of results per image (20); -1 where there are no labels.
        recall: Recall by OKS threshold, category, area, number of results per image.
        scores: Score of the result at which each precision is reached.
    """

    numbers: dict[str, float]
    categories: dict[str, dict[str, float]]
    precision: Float[np.ndarray, "10 101 c 3 1"]
    recall: Float[np.ndarray, "10 c 3 1"]
    scores: Float[np.ndarray, "10 101 c 3 1"]

    def curve(self, threshold: float = 0.5) -> Float[np.ndarray, " 101"]:
        """The precision-recall curve at one OKS threshold, for people of every size, mean over categories.

        Precision is the best at that recall or any higher one, so the mean of the curve is the AP at the threshold.

        Args:
            threshold: OKS threshold, one of 0.5, 0.55 .. 0.95.

        Returns:
            Precision at recalls 0, 0.01 .. 1; -1 where there are no labels.

        Raises:
            InputError: It is another threshold.
        """
        index = round((threshold - 0.5) / 0.05)
        if not 0 <= index < 10 or abs(0.5 + 0.05 * index - threshold) > 1e-9:
            raise InputError(f"precision is known at OKS 0.5, 0.55 .. 0.95, not at {threshold:g}; choose one of them")
        found = self.precision[index, :, :, 0, 0]
        labelled = found[0] > -1
        return found[:, labelled].mean(axis=1) if labelled.any() else np.full(len(found), -1.0)


def evaluate(
    truth: GroundTruth,
    results: Sequence[Record],
    skeletons: Skeleton | Mapping[int, Skeleton],
    *,
    images: Sequence[int] | None = None,
) -> CocoScores:
    """Evaluate poses by the COCO protocol, with the OKS sigmas of the skeletons. The arguments are not changed.

    Crowds and people without labelled keypoints are ignored, 20 results per image count, and the area of a result is that of
    the box around its keypoints (a `bbox` in it is not read). `num_keypoints` is counted, not read; `iscrowd` may be missing,
    `area` may not.

    Args:
        truth: COCO annotations.
        results: Poses in COCO's format, in any order; of equal scores the first counts first.
        skeletons: The skeleton of all categories, or that of each category by its id.
        images: Ids of the images that count; by default all.

    Raises:
        AnnotationError: The annotations lack a field or have no valid value, or results are for images that they do not list.
        SkeletonMismatch: Annotations or results have another number of keypoints than the skeleton of their category.
        InputError: A result lacks a field or is not finite.
    """
    of = skeletons_by_category(truth, skeletons)
    people, poses = checked_annotations(truth, of), checked_results(truth, results, of)
    people = takeable(people, poses, of)
    return score_checked(truth, people, poses, of, images=images)


def score_checked(
    truth: GroundTruth,
    people: list[dict[str, Any]],
    poses: list[dict[str, Any]],
    of: Mapping[int, Skeleton],
    *,
    images: Sequence[int] | None = None,
) -> CocoScores:
    """Scores of annotations and results that were checked (`metrics.coco_format`); a `bbox` in a result says its area.

    Args:
        truth: COCO annotations, of which images and categories are read.
        people: The annotations that count.
        poses: The results.
        of: Skeleton of each category, by category id.
        images: Ids of the images that count; by default all.
    """
    names = {int(c["id"]): str(c.get("name", c["id"])) for c in truth["categories"]}
    tensors: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    for group, run in _runs(truth, people, poses, of, images=images):
        run.evaluate()
        run.accumulate()
        found = run.eval or {}
        for index, category in enumerate(group):
            precision, scores = (found[part][:, :, [index]] for part in ("precision", "scores"))
            tensors[category] = (precision, found["recall"][:, [index]], scores)
    order = sorted(tensors)
    precision = np.concatenate([tensors[i][0] for i in order], axis=2)
    recall = np.concatenate([tensors[i][1] for i in order], axis=1)
    scores = np.concatenate([tensors[i][2] for i in order], axis=2)
    by_name = {names[i]: _numbers(tensors[i][0], tensors[i][1]) for i in order}
    return CocoScores(_numbers(precision, recall), by_name, precision, recall, scores)


def coco_evaluations(
    truth: GroundTruth,
    results: Sequence[Record],
    skeletons: Skeleton | Mapping[int, Skeleton],
) -> Iterator[tuple[list[int], Any]]:
    """One hotcoco evaluation, which has not run yet, for each group of categories with equal sigmas.

    Args:
        truth: COCO annotations.
        results: Poses in COCO's format.
        skeletons: The skeleton of all categories, or that of each category by its id.

    Returns:
        The ids of the categories of each group, and the evaluation, in which images and categories have the ids of
        `compact_ids`.

    Raises:
        AnnotationError: The annotations are not valid (`evaluate`).
        SkeletonMismatch: Annotations or results have another number of keypoints than the skeleton of their category.
        InputError: A result lacks a field or is not finite.
    """
    of = skeletons_by_category(truth, skeletons)
    people, poses = checked_annotations(truth, of), checked_results(truth, results, of)
    yield from _runs(truth, takeable(people, poses, of), poses, of, images=None)


def _runs(
    truth: GroundTruth,
    people: list[dict[str, Any]],
    poses: list[dict[str, Any]],
    of: Mapping[int, Skeleton],
    *,
    images: Sequence[int] | None,
) -> Iterator[tuple[list[int], Any]]:
    """One evaluation for each group of categories with equal sigmas, because hotcoco takes one list of sigmas."""
    names = {int(c["id"]): str(c.get("name", c["id"])) for c in truth["categories"]}
    image_ids, category_ids = compact_ids(image["id"] for image in truth["images"]), compact_ids(of)
    ids = [{"id": i} for i in image_ids.values()]
    if any(old != new for ids_ in (image_ids, category_ids) for old, new in ids_.items()):
        people, poses = ([_compact(row, image_ids, category_ids) for row in rows] for rows in (people, poses))
    for sigmas in dict.fromkeys(skeleton.sigmas for skeleton in of.values()):
        group = sorted(i for i, skeleton in of.items() if skeleton.sigmas == sigmas)
        inside = {category_ids[i] for i in group}
        chosen = [person for person in people if person["category_id"] in inside]
        categories = [{"id": category_ids[i], "name": names[i]} for i in group]
        labels = {"images": ids, "annotations": chosen, "categories": categories}
        of_group = poses if len(group) == len(of) else [pose for pose in poses if pose["category_id"] in inside]
        run = evaluation(labels, of_group, "keypoints")
        run.params.kpt_oks_sigmas = list(sigmas)
        if images is not None:
            run.params.img_ids = sorted(image_ids[image] for image in images)
        yield group, run


def _compact(row: Mapping[str, Any], images: Mapping[int, int], categories: Mapping[int, int]) -> dict[str, Any]:
    return {**row, "image_id": images[row["image_id"]], "category_id": categories[row["category_id"]]}


def _numbers(precision: np.ndarray, recall: np.ndarray) -> dict[str, float]:
    parts: list[np.ndarray] = []
    for tensor in (precision, recall):
        parts += [tensor[..., 0, 0], tensor[:1, ..., 0, 0], tensor[5:6, ..., 0, 0], tensor[..., 1, 0], tensor[..., 2, 0]]
    means = [float(part[part > -1].mean()) if (part > -1).any() else -1.0 for part in parts]
    return dict(zip(NUMBERS, means, strict=True))


def table(name: str, numbers: Mapping[str, float], more: Mapping[str, float] | None = None) -> str:
    """The ten metrics as a Markdown table with the columns of the papers; "-" where there are no labels.

    Args:
        name: Text of the first column.
        numbers: The metrics, by the names of `NUMBERS`.
        more: Values of further columns, by the names of the columns.
    """
    cells = [f"{numbers[n]:.3f}" if numbers[n] >= 0 else "-" for n in NUMBERS]
    heads: tuple[str, ...] = ("AP", "AP .5", "AP .75", "AP (M)", "AP (L)", "AR", "AR .5", "AR .75", "AR (M)", "AR (L)")
    heads, cells = (*heads, *(more or {})), cells + [f"{value:.3f}" for value in (more or {}).values()]
    rows = (("Arch", *heads), ("---",) * (len(heads) + 1), (name, *cells))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
