"""Runs on drawn four-legged animals: the start of an adaptation to real ones."""

from poise.data.cached import CachedDataset
from poise.data.figures import FigureDataset
from poise.recipes.base import Optimizer, Recipe, Schedule
from poise.recipes.start import start_from_people
from poise.transforms.jitter import Augmentation
from poise.zoo.plain import plain

DRAWN = (160, 160)
"""Height and width of the drawings."""


def drawn_animals(
    *,
    kind: str = "animals",
    look: str = "wild",
    keypoints: str = "animal18",
    images: int = 3000,
    checked: int = 200,
    epochs: int = 10,
    seed: int = 0,
    size: tuple[int, int] = (128, 128),
    width: str = "t",
    from_scratch: bool = False,
) -> Recipe:
    """Train a small network on drawn animals; `poise adapt` goes on from it with frames of real ones.

    For example:
        poise train drawn_animals --out runs/animals
        poise train drawn_animals --kind horse --look textured --out runs/horses

    About ten minutes on one CPU core. The backbone starts from `poise_people`, which knows photographs: on frames of real
    animals that is worth more than any number of drawings (docs/results.md, adaptation to animals).

    Args:
        kind: Animals of any species, or one such as horse, dog, cow, tiger or camel.
        look: How they look: wild, everything, textured, plain or default.
        keypoints: Their keypoints: animal18 or quadruped.
        images: Drawings to train on, one animal each.
        checked: Drawings to validate on, every third epoch and at the end.
        epochs: Epochs.
        seed: Seed of the drawings.
        size: Height and width of the views.
        width: Width of the network: t or s.
        from_scratch: Start from random weights, and not, in width t, with the backbone of `poise_people`, which comes with
            poise.
    """
    train, val = (
        CachedDataset(FigureDataset(count, size=DRAWN, kind=kind, look=look, keypoints=keypoints, seed=seed + n))
        for n, count in enumerate((images, checked))
    )
    model = plain(width, skeleton=train.skeleton, size=size, name=f"poise_{width}_drawn_animals")
    if not from_scratch:
        start_from_people(model, f"poise_{width}")
    return Recipe(
        name="drawn_animals",
        model=model,
        train=train,
        val=val,
        epochs=epochs,
        batch=32,
        augmentation=Augmentation(scale=0.2, rotation=20.0, rotation_probability=0.5, flip=0.5, colour=0.3),
        optimizer=Optimizer("adamw", rate=6e-3, decay=0.05),
        schedule=Schedule("cosine", warmup_steps=100, over_time=True),
        average=0.99,
        clip=1.0,
        val_every=3,
    )
