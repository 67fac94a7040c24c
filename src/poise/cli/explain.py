"""`poise explain`: how one image gets its score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from poise.evaluation.eval_set import EvalSet
    from poise.metrics.coco_format import Record

_Model = Annotated[Path, arg(metavar="MODEL|FILE.json")]
_Image = Annotated[str, arg(metavar="IMAGE")]
_File = Annotated[Path, arg(metavar="FILE")]
_Images = Annotated[Path | None, arg(metavar="DIR")]
_Boxes = Annotated[str | None, arg(metavar="gt|FILE")]
_Name = Annotated[str | None, arg(metavar="NAME")]


def run(
    model: Positional[_Model],
    image: Positional[_Image],
    *,
    annotations: _File,
    images: _Images = None,
    boxes: _Boxes = None,
    threshold: float = 0.5,
    area: Literal["all", "medium", "large"] = "all",
    flip: bool = True,
    device: _Name = None,
    precision: _Name = None,
) -> int:
    """Show how one image gets its AP and AR: OKS of everybody with everybody, who takes whom, precision and recall by score.

    A prediction takes a label in the order of the scores, not of the similarities; what is most similar to a label may come
    too late. The last lines are the protocol's own numbers for this image.

    For example:

        poise explain model.safetensors val2017/000000000785.jpg --annotations person_keypoints_val2017.json

        poise explain results.json 785 --annotations person_keypoints_val2017.json --threshold 0.75

    Args:
        model: Model file; or poses in COCO's result format, as `poise evaluate --out` writes them.
        image: Of the annotations: its file, its file_name or its id.
        annotations: COCO-style keypoint file.
        images: Folder or zip file of its images, where IMAGE is not the path of a file.
        boxes: Where the model looks: "gt" for the labelled boxes (the default), or a detector's JSON list; none for whole
            images.
        threshold: The OKS whose steps are shown: 0.5, 0.55 .. 0.95.
        area: Which people count.
        flip: Average with the mirrored view, where the model does that.
        device: cpu, cuda, cuda:1, mps; by default a GPU where there is one.
        precision: fp32 or bf16; by default bf16 where it is faster.
    """
    from rich.console import Console

    from poise.analysis.explain import explain
    from poise.cli._explain import print_explanation
    from poise.cli._flags import refuse
    from poise.cli._scores import say
    from poise.evaluation.eval_set import EvalSet
    from poise.evaluation.results import read_results
    from poise.models.base import require_pose
    from poise.skeletons import COCO17
    from poise.weights.model_file import load

    console = Console()
    if model.suffix.lower() == ".json":
        looks = {"--images": images, "--boxes": boxes, "--no-flip": not flip, "--device": device, "--precision": precision}
        refuse(looks, why=f"the poses of {str(model)!r} are found already, and no model looks at the image")
        eval_set = EvalSet.of_file(annotations, None, skeleton=COCO17)
        record = find_record(eval_set.truth["images"], image)
        results: Sequence[Record] = read_results(model)
    else:
        network = require_pose(load(model))
        skeleton = network.skeleton
        record = find_record(EvalSet.of_file(annotations, None, skeleton=skeleton).truth["images"], image)
        eval_set = EvalSet.of_file(annotations, images or folder_of(record, image), skeleton=skeleton)
        results = predicted(network, eval_set, int(record["id"]), boxes, flip=flip, device=device, precision=precision)
    number = int(record["id"])
    say(console, f"image {number}, {record.get('file_name', '')}; people of {area} areas")
    there = {row["category_id"] for row in (*eval_set.truth["annotations"], *results) if row["image_id"] == number}
    for category in sorted(there & set(eval_set.skeletons)) or list(eval_set.skeletons)[:1]:
        if len(eval_set.skeletons) > 1:
            say(console, f"\ncategory {category}, {eval_set.skeletons[category].name}")
        found = explain(eval_set.truth, results, eval_set.skeletons, image=number, category=category, area=area)
        print_explanation(console, found, threshold)
    return 0


def find_record(records: Sequence[dict[str, Any]], word: str) -> dict[str, Any]:
    """The record of an image by its id, its `file_name`, or a path that ends with it.

    Raises:
        InputError: None or several fit.
    """
    from poise.errors import InputError

    named = [r for r in records if r.get("file_name")]
    ways = (
        [r for r in records if str(r["id"]) == word],
        [r for r in named if ends_with(Path(word), r["file_name"])],
        [r for r in named if Path(r["file_name"]).name == Path(word).name],
    )
    found = next((fitting for fitting in ways if fitting), [])
    if len(found) != 1:
        known = ", ".join(str(r.get("file_name", r["id"])) for r in records[:3])
        raise InputError(
            f"{len(found) or 'none'} of the {len(records)} images of the annotations is called {word!r}; give an id or a "
            f"file_name, such as {known}"
        )
    return found[0]


def ends_with(path: Path, name: str) -> bool:
    """Whether the last parts of a path are those of a name."""
    parts = Path(name).parts
    return path.parts[-len(parts) :] == parts


def folder_of(record: dict[str, Any], word: str) -> Path:
    """The folder that `file_name` starts from, for an image given as a path.

    Raises:
        InputError: The path does not end with the file_name, or there is no such file.
    """
    from poise.errors import InputError

    path, parts = Path(word), Path(record["file_name"]).parts
    if not path.is_file() or not ends_with(path, record["file_name"]):
        raise InputError(f"image {record['file_name']!r} must be read; give its path, or its folder or zip file with --images")
    return Path(*path.parts[: -len(parts)])


def predicted(
    network: Any, eval_set: EvalSet, image: int, boxes: str | None, *, flip: bool, device: str | None, precision: str | None
) -> list[Record]:
    """The poses a model finds on one image, as `poise evaluate` would rate them."""
    from dataclasses import replace

    from poise.cli._decoder import only_for_views
    from poise.data.subset import Subset
    from poise.evaluation.boxes import detections
    from poise.evaluation.evaluate import evaluate
    from poise.inference.settings import InferenceSettings

    place = eval_set.ids.index(image)
    record = eval_set.truth["images"][place]
    people = [a for a in eval_set.truth["annotations"] if a["image_id"] == image]
    truth = {**eval_set.truth, "images": [record], "annotations": people}
    one = replace(eval_set, dataset=Subset(eval_set.dataset, [place]), truth=truth, ids=(image,))
    setting = InferenceSettings.of(network, device=device, precision=precision, flip=None if flip else False)
    only_for_views(network, {"--boxes": boxes})
    found = None if boxes in (None, "gt") else detections(str(boxes), one, min_score=0.0)
    return evaluate(network, one, setting, boxes=found).results
