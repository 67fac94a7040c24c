"""`poise explain`: how one image gets its score."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from poise.cli._flags import given, refuse
from poise.cli._inputs import MODEL_OR_POSES
from poise.cli.options import BoxFileOptions, EvalFilesOptions, FlipOptions

ModelOrResults = Annotated[Path, arg(metavar="MODEL|FILE.json"), MODEL_OR_POSES]
ImageName = Annotated[str, arg(metavar="IMAGE")]


def run(
    model: Positional[ModelOrResults],
    image: Positional[ImageName],
    *,
    files: EvalFilesOptions,
    boxes: BoxFileOptions,
    running: FlipOptions,
    threshold: float = 0.5,
    area: Literal["all", "medium", "large"] = "all",
) -> int:
    """Show how one image gets its AP and AR: OKS of each prediction with each label, the matching, precision and recall.

    Predictions are matched in the order of their scores, not of their OKS, so a label may already be taken when its most
    similar prediction comes. --images is needed where IMAGE is not the path of a file. The last lines are the protocol's
    own numbers for this image.

    For example:

        poise explain model.safetensors val2017/000000000785.jpg --annotations person_keypoints_val2017.json

        poise explain results.json 785 --annotations person_keypoints_val2017.json --threshold 0.75

    Args:
        model: Model file; or poses in COCO's result format, as `poise evaluate --out` writes them.
        image: Image: its file, file_name or id in the annotations.
        files: Labels and images.
        boxes: Boxes of people.
        running: How the model is run.
        threshold: The OKS whose steps are shown: 0.5, 0.55 .. 0.95.
        area: Range of areas of the people that are evaluated.
    """
    from poise.analysis.explain import explain
    from poise.cli._explain import find_record, folder_of, poses_in, print_explanation
    from poise.cli._print import say
    from poise.evaluation.eval_set import EvalSet
    from poise.evaluation.results import read_results
    from poise.models.require import require_pose
    from poise.skeletons import COCO17
    from poise.terminal import Console
    from poise.weights.model_file import load

    console = Console()
    if model.suffix.lower() == ".json":
        flags = {"--images": files.images} | given(boxes, running)
        refuse(flags, why=f"the poses of {str(model)!r} are found already, and no model looks at the image")
        eval_set = EvalSet.of_file(files.annotations, None, skeleton=COCO17, naming=files.naming)
        record = find_record(eval_set.truth["images"], image)
        results = read_results(model)
    else:
        network = require_pose(load(model))
        skeleton = network.skeleton
        labels = EvalSet.of_file(files.annotations, None, skeleton=skeleton, naming=files.naming)
        record = find_record(labels.truth["images"], image)
        eval_set = EvalSet.of_file(
            files.annotations, files.images or folder_of(record, image), skeleton=skeleton, naming=files.naming
        )
        results = poses_in(network, eval_set, int(record["id"]), boxes=boxes, running=running)
    image_id = int(record["id"])
    say(console, f"image {image_id}, {record.get('file_name', '')}; people of {area} areas")
    found = {row["category_id"] for row in (*eval_set.truth["annotations"], *results) if row["image_id"] == image_id}
    for category in sorted(found & set(eval_set.skeletons)) or list(eval_set.skeletons)[:1]:
        if len(eval_set.skeletons) > 1:
            say(console, f"\ncategory {category}, {eval_set.skeletons[category].name}")
        steps = explain(eval_set.truth, results, eval_set.skeletons, image=image_id, category=category, area=area)
        print_explanation(console, steps, threshold)
    return 0
