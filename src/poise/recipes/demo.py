"""The run of `poise demo`: a tiny network on drawn people, on any machine, without a file."""

from poise.data.cached import CachedDataset, Progress
from poise.data.figures import FigureDataset
from poise.recipes.base import Optimizer, Recipe, Schedule
from poise.transforms.jitter import Augmentation
from poise.zoo.plain import plain

DRAWN = (160, 160)
"""Height and width of the drawings."""

PEOPLE = 4500
"""Drawings to train on; on two cores a further drawing costs half as much time as a view of one."""

SIZE = (128, 96)
"""Height and width of the views."""


def demo(*, people: int = PEOPLE, checked: int = 200, epochs: int = 12, seed: int = 0, size: tuple[int, int] = SIZE) -> Recipe:
    """Train `poise_t` on drawn people.

    For example:
        poise train demo --out runs/demo

    About a minute and a half on two CPU cores with bf16, three without; docs/results.md has pck@0.1 on unseen drawings.

    Args:
        people: Drawings to train on, one person each.
        checked: Drawings to validate on, every third epoch and at the end.
        epochs: Epochs.
        seed: Seed of the drawings.
        size: Height and width of the views.
    """
    return drawn(people=people, checked=checked, epochs=epochs, seed=seed, size=size)


def drawn(
    *,
    people: int,
    checked: int,
    epochs: int,
    seed: int,
    size: tuple[int, int],
    rate: float = 1e-2,
    watch: Progress | None = None,
) -> Recipe:
    """The recipe of `demo`; `watch` gets the progress of drawing."""
    train = CachedDataset(FigureDataset(people, size=DRAWN, seed=seed), progress=watch)
    return Recipe(
        name="demo",
        model=plain("t", skeleton=train.skeleton, size=size, name="poise_t_demo"),
        train=train,
        val=CachedDataset(FigureDataset(checked, size=DRAWN, seed=seed + 1)),
        epochs=epochs,
        batch=32,
        # The test is drawn as the training is, so every drawing is a new view already; little is added.
        augmentation=Augmentation(scale=0.05, rotation=5.0, rotation_probability=0.3),
        optimizer=Optimizer("adamw", rate=rate, decay=0.05),
        schedule=Schedule("cosine", warmup_steps=100, over_time=True),
        average=0.99,
        clip=1.0,
        val_every=3,
        expected={"pck@0.1": 0.90},
    )
