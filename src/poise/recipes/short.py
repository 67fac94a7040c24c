"""Short runs of our own small networks for whole images, with or without boxes: what they have in common."""

from poise.data.base import Dataset
from poise.models.base import PoseModel
from poise.recipes.base import Optimizer, Recipe, Schedule
from poise.transforms.detector_jitter import DetectorAugmentation
from poise.transforms.scene_jitter import SceneAugmentation


def short_run(
    name: str,
    model: PoseModel,
    train: Dataset,
    val: Dataset,
    *,
    epochs: int,
    rate: float,
    augmentation: SceneAugmentation | DetectorAugmentation,
    clip: float,
    empty: bool = False,
    expected: dict[str, float] | None = None,
) -> Recipe:
    """A short run of a small network: AdamW, a cosine over the epochs or the time, an average of the weights.

    Args:
        name: Name of the recipe.
        model: Model to train, from the weights that it has.
        train: Training set.
        val: Validation set.
        epochs: Epochs.
        rate: Learning rate for batches of 16.
        augmentation: Augmentation of the views.
        clip: Largest norm of the gradient.
        empty: Whether a detector is trained on images without people too.
        expected: Scores to expect.
    """
    return Recipe(
        name=name,
        model=model,
        train=train,
        val=val,
        epochs=epochs,
        batch=16,
        augmentation=augmentation,
        optimizer=Optimizer("adamw", rate=rate, decay=0.02),
        schedule=Schedule("cosine", warmup_steps=200, over_time=True),
        average=0.998,
        clip=clip,
        best="AP",
        empty=empty,
        expected=expected or {},
    )
