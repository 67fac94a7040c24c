"""What each idea behind `poise_people` gains, from equal short runs: data, augmentation, size of the views.

    scripts/people "$POISE_DATA" runs/people 0         # data alone: stop it when the first training begins
    python benchmarks/people_ideas.py "$POISE_DATA" runs/people --views 24000 --rows both "real only" "rendered only"

Every row trains the same network from the same random weights on as many views, of 64x64 unless it says otherwise, with one
thread, and is scored without the flip test on photographs that were held out: a tenth of Leeds Sports Pose extended and
15 % of coco-subset (PCK@0.1: the share of keypoints within a tenth of the box's longer side).
"""

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from poise.data.base import Dataset
from poise.data.combined import CombinedDataset
from poise.data.pasted import with_pasted
from poise.data.subset import Subset
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import evaluate
from poise.inference.settings import InferenceSettings
from poise.models.require import require_pose
from poise.recipes.base import Recipe
from poise.recipes.people import people
from poise.training.fit import fit
from poise.transforms.jitter import Augmentation


@dataclass(frozen=True)
class Idea:
    """A row of the table.

    Attributes:
        copies: How often the people of each part are shown: coco-subset, LSP extended, coco-more, coco-small, rendered (twice).
        arguments: Of the recipe.
        views: Fields of its augmentation.
        pasted: Share of the images in which somebody of coco-subset is pasted.
    """

    copies: tuple[int, ...] = (10, 2, 10, 10, 1, 1)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    views: Mapping[str, Any] = field(default_factory=dict)
    pasted: float = 0.0


IDEAS: Mapping[str, Idea] = {
    "both": Idea(),
    "real only": Idea((10, 2, 10, 10, 0, 0)),
    "rendered only": Idea((0, 0, 0, 0, 1, 1)),
    "COCO alone": Idea((1, 0, 1, 1, 0, 0)),
    "each person once": Idea((1, 1, 1, 1, 1, 1)),
    "rotations of 40 degrees, scale 0.35": Idea(views={"rotation": 40.0, "scale": 0.35}),
    "people pasted into 0.3 of the images": Idea(pasted=0.3),
    "no half bodies": Idea(views={"half_body": 0.0}),
    "half of the rate": Idea(arguments={"rate": 5e-3}),
    "batches of 32": Idea(arguments={"batch": 32}),
    "views of 128x96": Idea(arguments={"tiny": (128, 96)}),
}


def sources(data: Path, out: Path) -> list[tuple[Path, Path]]:
    """Annotation files and images, in the order of `Idea.copies`."""
    bodies = [(out / f"bodies{seed}" / "annotations.json", out / f"bodies{seed}" / "images") for seed in (11, 12)]
    coco = data / "coco-subset"
    return [
        (coco / "annotations" / "person_keypoints_train2017.json", coco / "images"),
        (out / "lsp" / "train.json", data / "lspet" / "images"),
        *((data / name / "annotations.json", data / name / "images") for name in ("coco-more", "coco-small")),
        *bodies,
    ]


def recipe_of(idea: Idea, files: list[tuple[Path, Path]], *, views: int) -> Recipe:
    """The first stage of the recipe, as an idea has it.

    Args:
        idea: The idea.
        files: Annotation files and images.
        views: Views to train on: one epoch of images drawn at random, each as often as the others.
    """
    annotations, images = (list(paths) for paths in zip(*files, strict=True))
    copies = [max(count, 1) for count in idea.copies]
    made = people(annotations=annotations, images=images, copies=copies, tiny_epochs=1, **idea.arguments)
    assert isinstance(made.train, CombinedDataset)
    assert isinstance(made.augmentation, Augmentation)
    # What is not shown is taken out here: the recipe validates on a part of the first file.
    kept = [count > 0 for count, times in zip(idea.copies, copies, strict=True) for _ in range(times)]
    parts = [part for part, use in zip(made.train.datasets, kept, strict=True) if use]
    shown = with_pasted(CombinedDataset(parts, skeleton=made.train.skeleton), idea.pasted, of=made.train.datasets[0])
    train = drawn(shown, views)
    return replace(made, train=train, then=(), augmentation=replace(made.augmentation, **idea.views))


def drawn(dataset: Dataset, views: int) -> Dataset:
    """Images at random, each as often as the others, until they have so many people with keypoints."""
    people = [int((~dataset.labels(i).unlabelled).sum()) for i in range(len(dataset))]
    order = torch.Generator().manual_seed(0)
    images: list[int] = []
    while views > 0:
        for i in torch.randperm(len(dataset), generator=order).tolist():
            if views > 0 and people[i]:
                images.append(i)
                views -= people[i]
    return Subset(dataset, images)


def scores(idea: Idea, files: list[tuple[Path, Path]], lsp: Path, *, views: int) -> tuple[float, float]:
    """PCK@0.1 on LSP extended and on coco-subset after a short training.

    Args:
        idea: What is tried.
        files: Annotation files and images.
        lsp: Annotation file of the part of LSP extended that is not trained on; its images are those of the other part.
        views: Views to train on.
    """
    recipe = recipe_of(idea, files, views=views)
    with tempfile.TemporaryDirectory() as folder:
        found = fit(recipe, out=folder, workers=0, save_minutes=1e6, loggers=())
    settings = InferenceSettings.of(found.model, flip=False)
    held = EvalSet.of_file(lsp, files[1][1], skeleton=found.model.skeleton).shared_with(found.model.skeleton)
    measured = evaluate(require_pose(found.model), held, settings)
    return measured.pck["pck@0.1"], found.metrics["pck@0.1"]


def main() -> None:
    """Train each row and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, help="folder that scripts/people made")
    parser.add_argument("--views", type=int, default=24_000)
    parser.add_argument("--rows", nargs="+", default=list(IDEAS), choices=list(IDEAS))
    given = parser.parse_args()
    torch.set_num_threads(1)
    files, lsp = sources(given.data, given.out), given.out / "lsp" / "val.json"
    lines = ["| idea | LSP extended | coco-subset |", "|---|---|---|"]
    for name in given.rows:
        on_lsp, on_coco = scores(IDEAS[name], files, lsp, views=given.views)
        lines.append(f"| {name} | {on_lsp:.3f} | {on_coco:.3f} |")
        print(lines[-1], flush=True)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
