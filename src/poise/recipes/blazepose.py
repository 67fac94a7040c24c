"""BlazePose's training in stages (arXiv 2006.10204, section 2.3) on a user's own COCO-style keypoint files."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from poise.codecs.udp import UDPGaussian
from poise.codecs.udp_offset import UDPOffset
from poise.errors import InputError
from poise.models.base import PoseModel
from poise.models.require import require_pose
from poise.models.top_down import TopDown
from poise.recipes.base import Recipe
from poise.recipes.finetune import TopDownOptions
from poise.recipes.start import start_model


def blazepose(
    *,
    annotations: list[Path],
    images: list[Path],
    val_annotations: list[Path] | None = None,
    val_images: list[Path] | None = None,
    skeleton: str | None = None,
    size: tuple[int, int] = (256, 256),
    align: Literal["circle", "rotated"] | None = "rotated",
    alignment_keypoints: bool = True,
    missing: Literal["keep", "mask", "drop"] | None = None,
    padding: float | None = None,
    epochs: tuple[int, int, int] = (25, 25, 50),
    rate: float = 1e-3,
) -> Recipe:
    """Heatmaps, then heatmaps with offsets, then a regression on maps that these alone change, in aligned views.

    For example:

        poise train blazepose --annotations mine.json --images photos --out runs/blazepose

    Each stage starts from the best weights of the one before. In the last the heatmaps go on learning beside the regression,
    whose gradients stop at their maps; the model then gives coordinates and visibility alone. docs/results.md has what each
    part changes at equal budget.

    No score is published for the authors' own training on COCO; a third party's networks report AP 0.623 (lite) and 0.653
    (full). A practitioner's CPN in such views was at AP 0.077, after changes at 0.131 (docs/concepts/blazepose.md). The cost:
    100 passes over the people in three stages, 4.0 million parameters (256x256).

    `--start` takes a trained model of the same trunk, `blazepose_paper` or `blazepose_wang`.

    Args:
        annotations: COCO-style keypoint files.
        images: For each annotation file the folder or zip file of its images, or one for all.
        val_annotations: Files to validate on; by default a tenth of the training images is kept for that.
        val_images: Folders or zip files of their images.
        skeleton: Names of the keypoints where files have none: of a public data set, or a JSON or text file with the names.
        size: Height and width of the views, multiples of 32.
        align: Views around the circle of the body (`circle`), also turned upright (`rotated`); None for the box.
        alignment_keypoints: Learn and predict the circle's centre and top beside the body's keypoints.
        missing: Treatment of people whose labels do not give the alignment: `mask` (by default), `keep` or `drop`, as of
            `poise train finetune`.
        padding: Factor on the circle, or on the box; 1.25 by default.
        epochs: Epochs of heatmaps, of heatmaps with offsets, and of everything; 0 leaves one of the first two out.
        rate: Learning rate for batches of 32.

    Raises:
        InputError: Numbers of files and folders differ, or epochs or a size that cannot be.
    """
    if min(epochs) < 0 or epochs[2] < 1:
        raise InputError(f"--epochs are those of three stages, of the last at least 1; found {' '.join(map(str, epochs))}")
    options = TopDownOptions(
        annotations=annotations,
        images=images,
        val_annotations=val_annotations,
        val_images=val_images,
        skeleton=skeleton,
        model=f"blazepose_paper_17j_{size[0]}x{size[1]}",
        align=align,
        alignment_keypoints=alignment_keypoints,
        missing=missing,
        padding=padding,
        epochs=epochs[2],
        rate=rate,
    )
    last = replace(options.recipe(), name="blazepose")
    names = (UDPGaussian.__name__, UDPOffset.__name__)
    first = [
        replace(last, model=_branch(require_pose(last.model), name), epochs=n)
        for name, n in zip(names, epochs[:2], strict=True)
        if n
    ]
    stages = [*first, last]
    return replace(stages[0], then=tuple(stages[1:]))


def _branch(whole: PoseModel, codec: str) -> TopDown:
    """The first branch alone, which sees what the whole network sees."""
    alone = start_model(whole.card.name, skeleton=whole.skeleton, codec=codec)
    assert isinstance(whole, TopDown), "a model of the zoo for views of one person"
    assert isinstance(alone, TopDown), "a model of the zoo for views of one person"
    return type(whole)(alone.network, alone.codec, whole.preprocess, whole.skeleton, alone.card)
