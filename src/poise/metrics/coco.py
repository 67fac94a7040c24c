"""The COCO keypoint protocol: average precision and recall over OKS thresholds, for any keypoints and categories.

hotcoco does the counting (equal to pycocotools to the last digit; the tests hold it to that). What it is given is checked and
made complete first, because the two differ on broken files.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import hotcoco
import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from poise.errors import AnnotationError, InputError, SkeletonMismatch
from poise.skeletons import Skeleton
from poise.structures import Labels

NUMBERS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")
"""The ten numbers: all OKS thresholds from 0.50 to 0.95, one of them, medium and large people; -1 where there is nobody."""

Truth = Mapping[str, Any]
"""What stands in a COCO annotation file: images, annotations, categories."""

Row = dict[str, Any]
"""A result: image_id, category_id, keypoints (flat x, y, score), score."""

READ = {"image_id", "category_id", "keypoints", "score"}
"""The fields of a result that the protocol reads."""


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
    truth: Truth,
    results: Sequence[Row],
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
    of = skeletons_of(truth, skeletons)
    people = _people(truth, of)
    poses = _poses(truth, results, of)
    return _score(truth, people, poses, of, images=images)


def evaluate_keypoints(
    truth: Truth,
    results: Sequence[Row],
    skeletons: Skeleton | Mapping[int, Skeleton],
    *,
    images: Sequence[int] | None = None,
) -> dict[str, dict[str, float]]:
    """The ten numbers for every keypoint alone, by its name: the protocol as if no other keypoint were labelled.

    A result is then as good as this one keypoint of it, and a person on whom it is not labelled is ignored. The arguments and
    errors are those of `evaluate`.
    """
    of = skeletons_of(truth, skeletons)
    people = _people(truth, of)
    poses = _poses(truth, results, of)
    names = dict.fromkeys(name for skeleton in of.values() for name in skeleton.keypoints)
    return {name: _score(truth, _only(people, of, name), poses, of, images=images).numbers for name in names}


def check(truth: Truth, skeletons: Skeleton | Mapping[int, Skeleton]) -> None:
    """Refuse annotations that results cannot be scored against, before there are results. Errors as `evaluate`."""
    _people(truth, skeletons_of(truth, skeletons))


def skeletons_of(truth: Truth, skeletons: Skeleton | Mapping[int, Skeleton]) -> dict[int, Skeleton]:
    """The skeleton of every category, by its id.

    Raises:
        AnnotationError: There is no list of images, annotations or categories, or a category has no skeleton.
    """
    for part in ("images", "annotations", "categories"):
        if not isinstance(truth.get(part), list):
            raise AnnotationError(
                f"the annotations have no list {part!r}; a COCO keypoint file has images, annotations, categories"
            )
    ids = [int(category["id"]) for category in truth["categories"]]
    if isinstance(skeletons, Skeleton):
        return dict.fromkeys(ids, skeletons)
    missing = [i for i in ids if i not in skeletons]
    if missing:
        raise AnnotationError(f"categories {missing} have no skeleton; give one for each of {ids}")
    return {i: skeletons[i] for i in ids}


def truth_of(labels: Mapping[int, Labels], skeleton: Skeleton) -> dict[str, Any]:
    """Labels by image id as COCO annotations, all in one category of id 1; ids are new."""
    annotations: list[dict[str, Any]] = []
    for image, people in labels.items():
        keypoints = np.concatenate((people.xy.double().numpy(), people.visible.double().numpy()[..., None]), axis=-1)
        boxes = np.concatenate((people.boxes[:, :2].double(), (people.boxes[:, 2:] - people.boxes[:, :2]).double()), axis=1)
        for row in range(len(people)):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": int(image),
                    "category_id": 1,
                    "bbox": boxes[row].tolist(),
                    "area": float(people.area[row]),
                    "iscrowd": int(people.crowd[row]),
                    "keypoints": (keypoints[row] * (keypoints[row, :, 2:] > 0)).reshape(-1).tolist(),
                }
            )
    category = {"id": 1, "name": skeleton.name, "keypoints": list(skeleton.keypoints)}
    return {"images": [{"id": int(i)} for i in labels], "annotations": annotations, "categories": [category]}


def rows_of(
    xy: Float[Tensor, "n k 2"],
    keypoint_score: Float[Tensor, "n k"],
    score: Float[Tensor, " n"],
    *,
    image: int,
    categories: Int64[Tensor, " n"],
) -> list[dict[str, Any]]:
    """Poses of one image as results in COCO's form."""
    flat = np.concatenate((xy.double().numpy(), keypoint_score.double().numpy()[..., None]), axis=-1).reshape(
        len(xy), 3 * xy.shape[1]
    )
    values = zip(categories.tolist(), flat.tolist(), score.double().tolist(), strict=True)
    return [{"image_id": image, "category_id": c, "keypoints": k, "score": s} for c, k, s in values]


def _people(truth: Truth, of: Mapping[int, Skeleton]) -> list[dict[str, Any]]:
    """Every annotation with just what the protocol reads, under ids of our own: files repeat them, and 0 reads as no match."""
    known = {image["id"] for image in truth["images"]}
    if not known:
        raise AnnotationError("the annotations list no images, so there is nothing to score")
    people = []
    for number, found in enumerate(truth["annotations"], start=1):
        where = f"annotation {found.get('id', number)}"
        category = found.get("category_id")
        if found.get("image_id") not in known or category not in of:
            raise AnnotationError(
                f"{where} names image {found.get('image_id')} and category {category}; one of them is not listed"
            )
        missing = [field for field in ("area", "bbox") if found.get(field) is None]
        if missing:
            raise AnnotationError(f"{where} has no {missing[0]}, which OKS needs; `poise data check FILE --fix OUT` adds it")
        k = len(of[category])
        keypoints = found.get("keypoints") or [0] * (3 * k)
        if len(keypoints) != 3 * k:
            raise SkeletonMismatch(f"{where} has {len(keypoints) / 3:g} keypoints and skeleton {of[category].name!r} has {k}")
        if not math.isfinite(sum(keypoints, sum(found["bbox"], found["area"]))) or found["area"] < 0:
            raise AnnotationError(
                f"{where} has an area of {found['area']}, a box or keypoints that cannot be; expected finite numbers and an "
                f"area of 0 or more; `poise data check FILE --fix OUT` mends it"
            )
        counted = found.get("num_keypoints")
        people.append(
            {
                "id": number,
                "image_id": found["image_id"],
                "category_id": category,
                "bbox": found["bbox"],
                "area": found["area"],
                "iscrowd": int(found.get("iscrowd") or 0),
                "num_keypoints": sum(v > 0 for v in keypoints[2::3]) if counted is None else counted,
                "keypoints": keypoints,
            }
        )
    return people


def _poses(truth: Truth, results: Sequence[Row], of: Mapping[int, Skeleton]) -> list[dict[str, Any]]:
    known = {image["id"] for image in truth["images"]}
    bare = next(((i, READ - row.keys()) for i, row in enumerate(results) if not row.keys() >= READ), None)
    if bare is not None:
        raise InputError(f"result {bare[0]} has no {min(bare[1])}; expected {', '.join(sorted(READ))}")
    strange = sorted({row["image_id"] for row in results} - known)
    if strange:
        raise AnnotationError(f"results are for images {strange[:5]} that the annotations do not list; is it another file?")
    # Other fields go, for hotcoco would read a bbox; rows without any stay as they are: copies cost most of the time.
    chosen = (row for row in results if row["category_id"] in of)
    poses: list[dict[str, Any]] = [row if row.keys() == READ else {name: row[name] for name in READ} for row in chosen]
    wrong = next((p for p in poses if len(p["keypoints"]) != 3 * len(of[p["category_id"]])), None)
    if wrong is not None:
        k = len(of[wrong["category_id"]])
        raise SkeletonMismatch(f"a result has {len(wrong['keypoints'])} values in its keypoints; {k} keypoints need {3 * k}")
    # A sum is finite if all its parts are; three times faster than an array of them.
    if not all(math.isfinite(sum(p["keypoints"], p["score"])) for p in poses):
        raise InputError("a result has a position or a score that is not finite; every number must be")
    return poses


def _only(people: list[dict[str, Any]], of: Mapping[int, Skeleton], name: str) -> list[dict[str, Any]]:
    """The same people with one keypoint labelled; the others' positions are not read."""
    return [{**person, **_one_labelled(person, of[person["category_id"]], name)} for person in people]


def _one_labelled(person: dict[str, Any], skeleton: Skeleton, name: str) -> dict[str, Any]:
    keypoints = [0.0] * len(person["keypoints"])
    if name not in skeleton.keypoints:
        return {"keypoints": keypoints, "num_keypoints": 0}
    place = 3 * skeleton.index(name)
    keypoints[place : place + 3] = person["keypoints"][place : place + 3]
    return {"keypoints": keypoints, "num_keypoints": int(keypoints[place + 2] > 0 and person["num_keypoints"] > 0)}


def _score(
    truth: Truth,
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


def runs(
    truth: Truth,
    results: Sequence[Row],
    skeletons: Skeleton | Mapping[int, Skeleton],
) -> Iterator[tuple[list[int], Any]]:
    """A run of hotcoco, not yet evaluated, for the categories that share their sigmas. Arguments and errors as `evaluate`."""
    of = skeletons_of(truth, skeletons)
    yield from _runs(truth, _people(truth, of), _poses(truth, results, of), of, images=None)


def _runs(
    truth: Truth,
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


def table(name: str, numbers: Mapping[str, float]) -> str:
    """The ten numbers as rows of a Markdown table, in the columns of the papers; "-" where there is nobody."""
    cells = [f"{numbers[n]:.3f}" if numbers[n] >= 0 else "-" for n in NUMBERS]
    heads = ("AP", "AP .5", "AP .75", "AP (M)", "AP (L)", "AR", "AR .5", "AR .75", "AR (M)", "AR (L)")
    rows = (("Arch", *heads), ("---",) * (len(heads) + 1), (name, *cells))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
