"""The COCO keypoint protocol: average precision and recall over OKS thresholds, for any keypoints and categories.

hotcoco does the counting (equal to pycocotools to the last digit; the tests hold it to that). What it is given is checked and
made complete first (`metrics.coco_format`), because the two differ on broken files.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import hotcoco
import numpy as np
from jaxtyping import Float

from poise.errors import InputError
from poise.metrics.coco_format import (
    GroundTruth,
    Record,
    checked_annotations,
    checked_results,
    skeletons_by_category,
    with_one_keypoint,
)
from poise.skeletons import Skeleton

NUMBERS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")
"""The ten numbers: all OKS thresholds from 0.50 to 0.95, one of them, medium and large people; -1 where there is nobody."""


@dataclass(frozen=True, eq=False)
class CocoScores:
    """What an evaluation found.

    Attributes:
        numbers: The ten of `NUMBERS`.
        categories: The ten for each category, by name.
        precision: At OKS threshold, recall (0, 0.01 .. 1), category, area (all, medium, large), one count; -1 where nobody is.
        recall: At OKS threshold, category, area, one count.
        scores: Of the result where each precision is reached.
    """

    numbers: dict[str, float]
    categories: dict[str, dict[str, float]]
    precision: Float[np.ndarray, "10 101 c 3 1"]
    recall: Float[np.ndarray, "10 c 3 1"]
    scores: Float[np.ndarray, "10 101 c 3 1"]

    def curve(self, threshold: float = 0.5) -> Float[np.ndarray, " 101"]:
        """The best precision at recalls 0, 0.01 .. 1 at one OKS threshold, people of every size, mean over categories.

        Its mean is the AP at that threshold. -1 where nobody is.

        Args:
            threshold: One of 0.5, 0.55 .. 0.95.

        Raises:
            InputError: It is another.
        """
        place = round((threshold - 0.5) / 0.05)
        if not 0 <= place < 10 or abs(0.5 + 0.05 * place - threshold) > 1e-9:
            raise InputError(f"precision is known at OKS 0.5, 0.55 .. 0.95, not at {threshold:g}")
        found = self.precision[place, :, :, 0, 0]
        there = found[0] > -1
        return found[:, there].mean(axis=1) if there.any() else np.full(len(found), -1.0)


def evaluate(
    truth: GroundTruth,
    results: Sequence[Record],
    skeletons: Skeleton | Mapping[int, Skeleton],
    *,
    images: Sequence[int] | None = None,
) -> CocoScores:
    """Score results by the COCO protocol, with the OKS sigmas of the skeletons. Neither argument is changed.

    Crowds and people without labelled keypoints are ignored, 20 results count in an image, the area of a result is the extent
    of its keypoints (a `bbox` in it is not read). `num_keypoints` and `iscrowd` may be missing, `area` may not.

    Args:
        truth: The annotations.
        results: Any number, in any order; of equal scores the first counts first.
        skeletons: Of all categories, or of each by category id.
        images: Ids of the images that count; all by default.

    Raises:
        AnnotationError: The annotations cannot be scored against, or results name images that are not there.
        SkeletonMismatch: Annotations or results have another number of keypoints than their category's skeleton.
        InputError: A result is not finite.
    """
    of = skeletons_by_category(truth, skeletons)
    people = checked_annotations(truth, of)
    poses = checked_results(truth, results, of)
    return _score(truth, people, poses, of, images=images)


def evaluate_keypoints(
    truth: GroundTruth, results: Sequence[Record], skeletons: Skeleton | Mapping[int, Skeleton]
) -> dict[str, dict[str, float]]:
    """The ten numbers for every keypoint alone, by its name: the protocol as if no other keypoint were labelled.

    A result is then as good as this one keypoint of it, and a person on whom it is not labelled is ignored. All images
    count; the arguments and errors are those of `evaluate`.
    """
    of = skeletons_by_category(truth, skeletons)
    people = checked_annotations(truth, of)
    poses = checked_results(truth, results, of)
    names = dict.fromkeys(name for skeleton in of.values() for name in skeleton.keypoints)
    return {name: _score(truth, with_one_keypoint(people, of, name), poses, of, images=None).numbers for name in names}


def _score(
    truth: GroundTruth,
    people: list[dict[str, Any]],
    poses: list[dict[str, Any]],
    of: Mapping[int, Skeleton],
    *,
    images: Sequence[int] | None,
) -> CocoScores:
    names = {int(c["id"]): str(c.get("name", c["id"])) for c in truth["categories"]}
    tensors: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    for group, run in _runs(truth, people, poses, of, images=images):
        run.evaluate()
        run.accumulate()
        found = run.eval or {}
        for place, category in enumerate(group):
            precision, scores = (found[part][:, :, [place]] for part in ("precision", "scores"))
            tensors[category] = (precision, found["recall"][:, [place]], scores)
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
    """A run of hotcoco, not yet evaluated, for the categories that share their sigmas. Arguments and errors as `evaluate`."""
    of = skeletons_by_category(truth, skeletons)
    yield from _runs(truth, checked_annotations(truth, of), checked_results(truth, results, of), of, images=None)


def _runs(
    truth: GroundTruth,
    people: list[dict[str, Any]],
    poses: list[dict[str, Any]],
    of: Mapping[int, Skeleton],
    *,
    images: Sequence[int] | None,
) -> Iterator[tuple[list[int], Any]]:
    """One run for all categories that share their sigmas; hotcoco takes one list of them."""
    names = {int(c["id"]): str(c.get("name", c["id"])) for c in truth["categories"]}
    ids = [{"id": image["id"]} for image in truth["images"]]
    for sigmas in dict.fromkeys(skeleton.sigmas for skeleton in of.values()):
        group = sorted(i for i, skeleton in of.items() if skeleton.sigmas == sigmas)
        chosen = [person for person in people if person["category_id"] in group]
        categories = [{"id": i, "name": names[i]} for i in group]
        gt = hotcoco.COCO({"images": ids, "annotations": chosen, "categories": categories})
        of_group = poses if len(group) == len(of) else [pose for pose in poses if pose["category_id"] in group]
        run = hotcoco.COCOeval(gt, gt.load_res(of_group), "keypoints")
        run.params.kpt_oks_sigmas = list(sigmas)
        if images is not None:
            run.params.img_ids = sorted(images)
        yield group, run


def _numbers(precision: np.ndarray, recall: np.ndarray) -> dict[str, float]:
    parts: list[np.ndarray] = []
    for tensor in (precision, recall):
        parts += [tensor[..., 0, 0], tensor[:1, ..., 0, 0], tensor[5:6, ..., 0, 0], tensor[..., 1, 0], tensor[..., 2, 0]]
    means = [float(part[part > -1].mean()) if (part > -1).any() else -1.0 for part in parts]
    return dict(zip(NUMBERS, means, strict=True))


def table(name: str, numbers: Mapping[str, float], more: Mapping[str, float] | None = None) -> str:
    """The ten numbers as rows of a Markdown table, in the columns of the papers; "-" where there is nobody.

    Args:
        name: Of the first column.
        numbers: By their names.
        more: For further columns.
    """
    cells = [f"{numbers[n]:.3f}" if numbers[n] >= 0 else "-" for n in NUMBERS]
    heads: tuple[str, ...] = ("AP", "AP .5", "AP .75", "AP (M)", "AP (L)", "AR", "AR .5", "AR .75", "AR (M)", "AR (L)")
    heads, cells = (*heads, *(more or {})), cells + [f"{value:.3f}" for value in (more or {}).values()]
    rows = (("Arch", *heads), ("---",) * (len(heads) + 1), (name, *cells))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
