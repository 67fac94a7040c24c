"""The runs of Learning from Synthetic Animals, on made-up copies of its data."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from poise.errors import InputError, ReadError
from poise.models.multitask import MultitaskTopDown
from poise.recipes.animals import synthetic_animals, tigdog
from poise.recipes.finetune import TopDownOptions
from poise.transforms.jitter import SUPER, Augmentation

FAKE = Path(__file__).parents[1] / "data" / "fakes" / "animals.py"


@pytest.fixture(scope="module")
def fake():
    spec = importlib.util.spec_from_file_location("fake_animals", FAKE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rendered_horses_train_as_in_the_release(fake, tmp_path):
    recipe = synthetic_animals(data=fake.write_synthetic(tmp_path, count=5), stacks=1)
    assert (recipe.epochs, recipe.batch, recipe.schedule.milestones, recipe.schedule.factor) == (100, 6, (60, 90), 0.1)
    assert (recipe.optimizer.kind, recipe.optimizer.rate, recipe.optimizer.decay) == ("rmsprop", 2.5e-4, 0.0)
    assert recipe.augmentation == SUPER
    assert (len(recipe.train), len(recipe.val)) == (4, 1)
    cut = recipe.model.preprocess
    assert (cut.padding, cut.mean, cut.std, cut.stretch) == (1.25, (0.4038, 0.3956, 0.3925), (1.0, 1.0, 1.0), True)
    views = recipe.model.train_views(recipe.data, seed=0)
    batch = views.collate([views[(0, 0)]]).batch
    assert torch.isfinite(recipe.model.loss(batch))


def test_parts_are_learnt_beside_keypoints(fake, tmp_path):
    recipe = synthetic_animals(data=fake.write_synthetic(tmp_path, count=3), stacks=1, multitask=True)
    assert isinstance(recipe.model, MultitaskTopDown)
    views = recipe.model.train_views(recipe.data, seed=0)
    losses = recipe.model.losses(views.collate([views[(0, 0)]]).batch)
    assert all(value.item() > 0 for value in losses.values())


def test_other_animals_have_the_mean_of_their_file_or_of_their_images(fake, tmp_path):
    data = fake.write_synthetic(tmp_path, animal="elephant", count=3)
    recipe = synthetic_animals(data=data, animal="elephant", stacks=1)
    assert len(recipe.model.skeleton) == 25
    assert all(0.3 < value < 0.7 for value in recipe.model.preprocess.mean)
    file = data / "elephant_combineds5r5_texture" / "mean.pth.tar"
    torch.save({"mean": torch.tensor([0.1, 0.2, 0.3]), "std": torch.ones(3)}, file)
    assert synthetic_animals(data=data, animal="elephant", stacks=1).model.preprocess.mean == pytest.approx((0.1, 0.2, 0.3))
    torch.save({"mean": torch.tensor([100.0, 120.0, 130.0])}, file)
    with pytest.raises(ReadError, match="is no mean file"):
        synthetic_animals(data=data, animal="elephant", stacks=1)


def test_real_animals_train_as_in_the_release(fake, tmp_path):
    pytest.importorskip("scipy")
    ranges = tuple((shot, shot * 10, shot * 10 + 2) for shot in range(3, 8))
    real = fake.write_tigdog(tmp_path, ranges=ranges)
    with fake.scipy_here():
        recipe = tigdog(data=real, stacks=1)
        mixed = synthetic_animals(data=fake.write_synthetic(tmp_path, count=2), real=real, stacks=1)
    assert (recipe.batch, recipe.schedule.milestones) == (6, (60, 90))
    assert recipe.augmentation == Augmentation(scale=0.25, rotation=30.0, gain=0.2)
    assert (recipe.model.preprocess.padding, recipe.model.preprocess.mean) == (1.5, (0.5319, 0.5107, 0.4206))
    assert {recipe.val.sequence(i) for i in range(len(recipe.val))}.isdisjoint(
        {recipe.train.sequence(i) for i in range(len(recipe.train))}
    )
    assert [mixed.val.key(i) for i in range(len(mixed.val))] == [recipe.val.key(i) for i in range(len(recipe.val))]


def test_ones_own_drawings_take_the_super_augmentation():
    options = TopDownOptions(annotations=[Path("a.json")], images=[Path("i")], super_augmentation=True)
    options._refuse_amounts()
    with pytest.raises(InputError, match="--super-augmentation has amounts of its own; leave --rotation out"):
        replace(options, rotation=80.0)._refuse_amounts()
