"""The laws of `PoseModel` (`models/base.py`), for the kind of `fourth/` and those of packages that are named with `--plugin`.

A module of such a package has a function `models()`, which gives small ones with random weights.
"""

import inspect
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from poise import plugins
from poise.data.base import Dataset
from poise.evaluation.eval_set import EvalSet
from poise.geometry import apply
from poise.inference.predictor import Predictor
from poise.models.base import PoseModel
from poise.models.views.base import TrainData
from poise.plugins import modules, named, use_plugin
from poise.structures import Key, Labels
from poise.weights.model_file import load, save
from poise.zoo.plain import plain

FOURTH = Path(__file__).parent / "fourth" / "single_animal.py"
SIZE = (72, 96)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "models" in metafunc.fixturenames:
        ours = [module for package in named() for module in modules(package) if inspect.isfunction(vars(module).get("models"))]
        made = {module.__name__: module.models for module in ours}
        metafunc.parametrize("models", [top_down, fourth, *made.values()], ids=["top-down", "fourth", *made], indirect=True)


def top_down() -> list[PoseModel]:
    return [plain("t", size=(64, 64))]


def fourth() -> list[PoseModel]:
    from mykind.single_animal import model

    return [model()]


@pytest.fixture
def models(request, tmp_path, monkeypatch):
    if request.param is fourth:
        (tmp_path / "mykind").mkdir()
        (tmp_path / "mykind" / "__init__.py").touch()
        shutil.copy(FOURTH, tmp_path / "mykind")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(plugins, "_named", dict(plugins._named))
        use_plugin("mykind")
    yield [model.eval() for model in request.param()]
    for name in [name for name in sys.modules if name.partition(".")[0] == "mykind"]:
        del sys.modules[name]


class Frames(Dataset):
    """Four frames of noise, in each one animal with all keypoints around the middle."""

    def __init__(self, skeleton):
        self.skeleton = skeleton

    def __len__(self):
        return 4

    def key(self, index):
        return Key(f"{index}.png", index + 1)

    def labels(self, index):
        chance = torch.Generator().manual_seed(index)
        xy = torch.tensor([30.0, 22.0]) + torch.tensor([36.0, 28.0]) * torch.rand(1, len(self.skeleton), 2, generator=chance)
        return Labels.of(xy, torch.full((1, len(self.skeleton)), 2), torch.tensor([[4.0, 4.0, 92.0, 68.0]]))

    def image(self, index):
        pixels = np.random.default_rng(index).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        return torch.from_numpy(pixels).permute(2, 0, 1)


def views_of(model, frames, index):
    return model.views(frames.image(index), *([frames.labels(index).boxes] if model.takes_boxes else []))


def batch_of(model, frames):
    """All of an epoch's training views as a batch."""
    views = model.train_views(TrainData("laws", frames), seed=0)
    return views.collate([views[0, index] for index in range(len(views))]).batch


def predict(model, frames, index, **options):
    boxes = {"boxes": frames.labels(index).boxes.tolist()} if model.takes_boxes else {}
    return Predictor(model, device="cpu", workers=0, **options)(frames.image(index).permute(1, 2, 0).numpy(), **boxes)


@torch.no_grad()
def test_a_batch_of_two_views_gives_what_two_batches_of_one_give(models):
    for model in models:
        frames = Frames(model.skeleton)
        views = [views_of(model, frames, index).views[0] for index in (0, 1)]
        together = model.raw(torch.stack(views))
        alone = zip(*(model.raw(view[None]) for view in views), strict=True)
        for both, each in zip(together, alone, strict=True):
            assert torch.allclose(both, torch.cat(each), atol=1e-5 * float(both.abs().max()) + 1e-9)


def test_a_model_that_was_saved_and_loaded_is_the_same(models, tmp_path):
    for model in models:
        frames = Frames(model.skeleton)
        again = load(save(model, tmp_path / "model.safetensors"))
        assert type(again) is type(model)
        assert again.to_plain() == model.to_plain()
        assert again.input_text == model.input_text
        before, after = (predict(one, frames, 0) for one in (model, again))
        assert torch.equal(before.xy, after.xy)
        assert torch.equal(before.score, after.score)


def test_labels_come_back_to_within_the_codecs_tolerance(models):
    for model in models:
        frames = Frames(model.skeleton)
        labelled = [EvalSet.of_dataset(frames).labelled(index, model.crop_rule) for index in range(len(frames))]
        # Along each axis, as in the laws of codecs.
        allowed = model.codec.exceptions.get(1, model.codec.tolerance) * (1 + 1e-6)
        for image, trip in zip(labelled, model.round_trip(labelled), strict=True):
            assert trip.outside == 0
            assert trip.poses.key == image.key
            back, there = (apply(trip.warps, xy) for xy in (trip.poses.xy, image.labels.xy))
            assert (back - there).abs().max() <= allowed
            assert trip.errors is None or trip.errors.max() <= 2**0.5 * allowed


def test_a_few_steps_on_a_batch_lower_its_loss(models):
    for model in models:
        batch, losses = batch_of(model.train(), Frames(model.skeleton)), []
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for _ in range(20):
            optimizer.zero_grad()
            losses.append(model.loss(batch))
            losses[-1].backward()
            optimizer.step()
        assert losses[-1] < losses[0]


def test_a_validation_has_the_scores_that_the_model_names(models):
    for model in models:
        frames = Frames(model.skeleton)
        views, found, losses = model.val_views(frames, seed=0), {}, []
        for index in range(len(views)):
            with torch.no_grad():
                parts, [one] = model.validate(views.collate([views[0, index]]).batch)
            losses += parts.values()
            found[index] = one
        assert torch.stack(losses).isfinite().all()
        assert set(model.score(model.truth(frames), found)) == set(model.val_scores)


def test_a_batch_has_its_labelled_keypoints_and_a_picture(models):
    for model in models:
        batch = batch_of(model, Frames(model.skeleton))
        assert len(model.labelled(batch)) == 4 * len(model.skeleton)
        picture = model.picture(batch)
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3


@torch.no_grad()
def test_there_are_poses_for_every_decoder_with_and_without_a_flip_test(models):
    for model in models:
        frames = Frames(model.skeleton)
        views = views_of(model, frames, 0)
        which = [(views, index) for index in range(len(views.views))]
        for flip in (False, True) if model.skeleton.mirrors else (False,):
            decoders = [model.codec.decode, replace(model.codec).decode]
            answers = model.answer(torch.stack(list(views.views)), which, flip=flip, decoders=decoders)
            assert len(answers) == len(which)
            first, second = model.poses(views, answers, frames.key(0), decoders=decoders)
            assert first.key == frames.key(0)
            assert first.xy.shape == (len(first), len(model.skeleton), 2)
            assert torch.equal(first.xy, second.xy)
            alike = model.similarity(first, model.skeleton.sigmas)
            assert alike.shape == (len(first), len(first))


def test_a_predictor_takes_the_model(models):
    for model in models:
        poses = predict(model, Frames(model.skeleton), 0)
        assert poses.xy.isfinite().all()
        assert poses.score.isfinite().all()
