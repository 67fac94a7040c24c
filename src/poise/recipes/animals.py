"""Stacked hourglasses on animals, as Learning from Synthetic Animals (arXiv 1912.08265) trains them."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from poise.data.base import Dataset
from poise.data.stats import channel_statistics
from poise.data.synthetic_animals import SyntheticAnimals
from poise.data.tigdog import TigDogDataset
from poise.errors import ReadError
from poise.models.top_down import TopDown
from poise.recipes.base import Optimizer, Recipe, Schedule
from poise.skeletons import Skeleton
from poise.transforms.jitter import SUPER, Augmentation
from poise.weights.checkpoint import read_checkpoint
from poise.zoo.colours import Colour
from poise.zoo.hourglass import REAL_MEAN, SYNTHETIC_MEAN, hourglass, release_preprocess
from poise.zoo.hourglass_multitask import hourglass_multitask

MEASURED = 500
"""Images from which the mean of a set is measured, at most."""

MEAN_FILE = "mean.pth.tar"
"""File with `mean` and `std` beside the images of a set, as the release writes it."""


def synthetic_animals(
    *,
    data: Path,
    animal: Literal["horse", "tiger", "sheep", "hound", "elephant"] = "horse",
    lists: Path | None = None,
    real: Path | None = None,
    real_lists: Path | None = None,
    stacks: Literal[1, 2, 4, 8] = 4,
    multitask: bool = False,
) -> Recipe:
    """Stacked hourglasses on rendered animals, with the super augmentation: 100 epochs of RMSprop on batches of 6.

    For example:

        poise train synthetic_animals --data synthetic_animal --animal horse --lists animal-splits --out runs/horse

    Expected on TigDog's horses: PCK@0.05 0.608, of the released model at epoch 97, which was chosen by that score; a
    practitioner had 0.416 by CC-SSL without this start. `poise evaluate --pck 0.05:map` measures it, over people and not over
    batches of 6. With `--real` the validation is on TigDog's held-out shots, which is an oracle's choice too. `--multitask`
    also learns the parts of the `_partseg.png` masks; the factor of their loss stays that of the release's first epoch (the
    release divides it by the epoch). The cost: 8,000 images an epoch, on one GPU in the release.

    Args:
        data: Folder `synthetic_animal` (`poise data fetch synthetic_animals`).
        animal: The animal.
        lists: Folder with the release's index lists; without them a random fifth is held out.
        real: Folder of TigDog, to validate on its held-out shots of horses or tigers.
        real_lists: Folder with the release's index lists of TigDog.
        stacks: Number of stacked hourglasses.
        multitask: Learn body parts too.
    """
    train, held = (SyntheticAnimals(data, animal, part=part, lists=lists) for part in ("train", "val"))
    val = held if real is None else TigDogDataset(real, animal, part="val", lists=real_lists)
    model = _model(train.skeleton, _mean(train, animal), stacks, multitask=multitask, padding=1.25)
    return _run("synthetic_animals", model, train, val, SUPER)


def tigdog(
    *,
    data: Path,
    animal: Literal["horse", "tiger"] = "horse",
    lists: Path | None = None,
    stacks: Literal[1, 2, 4, 8] = 4,
) -> Recipe:
    """Stacked hourglasses on real horses or tigers: 100 epochs of RMSprop on batches of 6.

    For example:

        poise train tigdog --data behaviorDiscovery2.0 --animal horse --lists animal-splits --out runs/real_horse

    Expected on its held-out horses: PCK@0.05 0.790, of the released model at epoch 60, which was chosen by that score (`poise
    evaluate --pck 0.05:map`). No practitioner's figures are known. The cost: 8,380 frames an epoch, on one GPU in the release.

    Args:
        data: Folder `behaviorDiscovery2.0` (`poise data fetch tigdog`).
        animal: The animal.
        lists: Folder with the release's index lists; without them a random fifth of the shots is held out.
        stacks: Number of stacked hourglasses.
    """
    train, val = (TigDogDataset(data, animal, part=part, lists=lists) for part in ("train", "val"))
    mean = REAL_MEAN if animal == "horse" else _measured(train)
    views = Augmentation(scale=0.25, rotation=30.0, gain=0.2)
    return _run("tigdog", _model(train.skeleton, mean, stacks, multitask=False, padding=1.5), train, val, views)


def _model(skeleton: Skeleton, mean: Colour, stacks: int, *, multitask: bool, padding: float) -> TopDown:
    animals = release_preprocess(skeleton)
    colours = replace(animals, mean=mean, std=(1.0, 1.0, 1.0), padding=padding, stretch=True)
    make = hourglass_multitask if multitask else hourglass
    return make(stacks, 1, skeleton=skeleton, preprocess=colours)


def _run(
    name: str,
    model: TopDown,
    train: SyntheticAnimals | TigDogDataset,
    val: SyntheticAnimals | TigDogDataset,
    views: Augmentation,
) -> Recipe:
    return Recipe(
        name=name,
        model=model,
        train=train,
        val=val,
        epochs=100,
        batch=6,
        augmentation=views,
        optimizer=Optimizer("rmsprop", rate=2.5e-4),
        schedule=Schedule("steps", milestones=(60, 90)),
        notes="one GPU of 6 animals in the release",
    )


def _mean(dataset: SyntheticAnimals, animal: str) -> Colour:
    """The mean of the set: of its file, else the published one of horses, else measured."""
    file = dataset.folder / MEAN_FILE
    if not file.is_file():
        return SYNTHETIC_MEAN if animal == "horse" else _measured(dataset)
    values: Any = read_checkpoint(file).get("mean")
    found = [float(value) for value in values] if isinstance(values, torch.Tensor | list | tuple) else []
    if len(found) != 3 or not all(0 <= value <= 1 for value in found):
        raise ReadError(
            f"{str(file)!r} is no mean file: expected `mean`, three numbers from 0 to 1; take it away to measure it"
        )
    return found[0], found[1], found[2]


def _measured(dataset: Dataset) -> Colour:
    step = max(1, len(dataset) // MEASURED)
    return channel_statistics(dataset, range(0, len(dataset), step)).mean
