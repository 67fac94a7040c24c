"""The run that makes poise's own model of people: rendered bodies and photographs, from random weights."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from poise.data.base import Dataset
from poise.data.bodies import BodyDataset
from poise.data.cached import CachedDataset
from poise.data.naming import naming_of
from poise.data.pasted import with_pasted
from poise.recipes.base import Optimizer, Recipe, Schedule
from poise.recipes.files import mixture
from poise.recipes.ranges import check_count, check_positive
from poise.skeletons import COCO17
from poise.transforms.jitter import Augmentation
from poise.zoo.plain import plain

VIEWS = Augmentation(scale=0.25, rotation=20.0, half_body=0.3, translation=0.05, colour=0.3)
"""Half bodies, since people in photographs are often cut off by the border; little else, since rendered people differ enough:
after 12,000 views of 64x64, 0.42 of keypoints were found in photographs, and 0.33 with rotations of 40 degrees."""

RENDERED_SIZE = (256, 256)
"""Height and width of rendered images."""


def people(
    *,
    annotations: list[Path],
    images: list[Path],
    copies: list[int] | None = None,
    skeleton: str | None = None,
    fields: list[str] | None = None,
    rendered: int = 0,
    pasted: float = 0.0,
    val_share: float = 0.15,
    split_seed: int = 0,
    tiny_epochs: int = 40,
    small_epochs: int = 30,
    epochs: int = 20,
    seed: int = 0,
    width: Literal["t", "s"] = "t",
    tiny: tuple[int, int] = (64, 64),
    small: tuple[int, int] = (128, 96),
    size: tuple[int, int] = (256, 192),
    rate: float = 1e-2,
    batch: int = 16,
) -> Recipe:
    """Train `poise_people`: COCO's keypoints from rendered people and photographs together, first on tiny and small views.

    For example:

        poise data draw --kind bodies --count 20000 --per-image 1 2 --out bodies
        poise train people --annotations coco.json lsp.json bodies/annotations.json --images coco lsp bodies/images \
            --copies 4 1 1 --minutes 130 --out runs/people

    Keypoints that a file does not label are learnt from the others. The run is validated on images of the first file that are
    not trained on, with labelled boxes. Score and time: docs/results.md.

    Args:
        annotations: COCO-style keypoint files; keypoints are joined to COCO's by name.
        images: For each annotation file the folder or zip file of its images, or one for all.
        copies: For each file, how often its people are shown in an epoch; once by default.
        skeleton: Names of the keypoints where files have none: of a public data set, or a JSON or text file with the names.
        fields: Fields of the annotations that hold the keypoints, one after the other, such as keypoints foot_kpts.
        rendered: Images of one or two rendered people besides, held in memory (0.2 MB each; needs `poise[bodies]`).
        pasted: Augmentation: share of the images in which somebody is pasted, who is cut out of the first file's images by
            their segmentation mask; the same person in every epoch.
        val_share: Share of the first file's images kept for validation.
        split_seed: Seed of that split.
        tiny_epochs: Epochs on tiny views, where the network learns what is where: a view costs a sixth of a full one.
        small_epochs: Epochs on small views, from the best weights on tiny ones.
        epochs: Epochs on full views, from the best weights on small ones.
        seed: Seed of the rendered images.
        width: "t" (2.9 million parameters) or "s" (7.9 million).
        tiny: Height and width of the tiny views, multiples of 32.
        small: Height and width of the small views, multiples of 32.
        size: Height and width of the full views, multiples of 32.
        rate: Learning rate for batches of 32 tiny views; 0.3 of it for small and 0.2 for full views.
        batch: Views in a step.

    Raises:
        InputError: Numbers of files, folders and copies differ, a share that leaves a part empty, or a size that is no
            multiple of 32.
        SkeletonMismatch: A file has none of COCO's keypoints, or the names do not fit it.
        MissingExtra: Rendered people without `poise[bodies]`.
    """
    check_positive("--rate", rate)
    for flag, count in (("--tiny-epochs", tiny_epochs), ("--small-epochs", small_epochs), ("--epochs", epochs)):
        check_count(flag, count)
    check_count("--rendered", rendered, minimum=0)
    stages = ((tiny, tiny_epochs, 1.0), (small, small_epochs, 0.3), (size, epochs, 0.2))
    models = [plain(width, size=views, name="poise_people") for views, _, _ in stages]
    real, val = mixture(
        annotations,
        images,
        complete=None,
        copies=copies,
        more=lambda: _rendered(rendered, seed),
        skeleton=COCO17,
        val_share=val_share,
        split_seed=split_seed,
        naming=naming_of(skeleton, fields or ()),
    )
    train = with_pasted(real, pasted, of=real.datasets[0])
    first, *rest = (
        Recipe(
            name="people",
            model=model,
            train=train,
            val=val,
            epochs=length,
            batch=batch,
            base_batch=32,
            augmentation=VIEWS,
            optimizer=Optimizer("adamw", rate=rate * share, decay=0.05),
            schedule=Schedule("cosine", floor=0.0 if views == size else 0.1, warmup_steps=300, over_time=True),
            average=0.998,
            clip=1.0,
            best="AP",
        )
        for model, (views, length, share) in zip(models, stages, strict=True)
    )
    return replace(first, then=tuple(rest))


def _rendered(count: int, seed: int) -> list[Dataset]:
    return [CachedDataset(BodyDataset(count, size=RENDERED_SIZE, per_image=(1, 2), seed=seed))] if count else []
