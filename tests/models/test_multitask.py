"""The multitask hourglass: keypoints and parts from one network, their losses, its file."""

from math import isnan

import numpy as np
import pytest
import torch

from poise.codecs.registry import codec_types
from poise.data.base import Dataset
from poise.data.subset import Subset
from poise.errors import InputError
from poise.models.multitask import MultitaskTopDown, mean_iou, part_loss
from poise.models.views.base import TrainData
from poise.models.views.parts import UNKNOWN, PartsBatch
from poise.skeletons import ANIMAL18
from poise.structures import Batch, Key, Labels
from poise.transforms.jitter import SUPER, Augmentation
from poise.weights.model_file import load, save
from poise.zoo import build
from poise.zoo.hourglass_multitask import hourglass_multitask

NAME = "hourglass_multitask_1stack_b1_18j_64x64"


class Parts(Dataset):
    """Two images, a part in the left and another in the right half of the box; the second may have no masks."""

    skeleton = ANIMAL18

    def __init__(self, *, both=True):
        self.both = both

    def __len__(self):
        return 2

    def key(self, index):
        return Key(f"{index}.png", index + 1)

    def labels(self, index):
        xy = torch.rand(1, 18, 2, generator=torch.Generator().manual_seed(index)) * 40 + 20
        return Labels.of(xy, torch.full((1, 18), 2), torch.tensor([[20.0, 20.0, 60.0, 60.0]]))

    def image(self, index):
        pixels = self.shown().numpy() * np.array([100, 60, 80], np.uint8)
        return torch.from_numpy(pixels.astype(np.uint8)).permute(2, 0, 1)

    @staticmethod
    def shown():
        parts = torch.zeros(80, 80, 1, dtype=torch.uint8)
        parts[20:60, 20:40], parts[20:60, 40:60] = 1, 2
        return parts

    def parts(self, index):
        return self.shown()[..., 0] if self.both or index == 0 else None


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build(NAME)


def batch_of(views, count=2):
    return views.collate([views[(0, i)] for i in range(count)]).batch


def views_of(model, augmentation=None, **options):
    return model.train_views(TrainData("test", Parts(**options), augmentation), seed=0)


def test_the_network_answers_with_keypoints_and_with_parts_of_the_views_size(model):
    images = torch.zeros(2, 3, 64, 64)
    assert isinstance(model, MultitaskTopDown)
    assert [tuple(x.shape) for x in model.raw(images)] == [(2, 18, 16, 16), (2, 10, 64, 64)]
    assert [tuple(x.shape) for x in model.outputs(images)] == [(2, 18, 16, 16)]
    assert model.parts(images).shape == (2, 64, 64)
    assert "18 keypoints and 9 parts" in model.output_text


def test_part_masks_go_the_way_of_their_pixels(model):
    batch = batch_of(views_of(model))
    assert isinstance(batch, PartsBatch)
    left, right = batch.parts[0, 32, 26], batch.parts[0, 32, 38]
    assert (int(left), int(right)) == (1, 2)
    for seed in range(4):
        views = model.train_views(TrainData("test", Parts(), Augmentation(scale=0.2, rotation=40.0)), seed=seed)
        view = views[(0, 0)].view
        red = (view.image[0] + model.preprocess.mean[0]) * 255
        inside = (view.parts == 2) & (red > 0)
        assert float(red[inside].median()) > 1.5 * float(red[(view.parts == 1)].median())


def test_legs_change_sides_in_a_mirrored_view(model, monkeypatch):
    legs = Parts.shown().clone()
    legs[legs > 0] += 4  # left front, right front
    monkeypatch.setattr(Parts, "shown", staticmethod(lambda: legs))
    views = [views_of(model, Augmentation(scale=0.0, rotation=0.0, flip=flip)) for flip in (0.0, 1.0)]
    plain, mirrored = (one[(0, 0)].view.parts for one in views)
    assert (int(plain[32, 26]), int(plain[32, 38])) == (5, 6)
    assert (int(mirrored[32, 26]), int(mirrored[32, 38])) == (5, 6)


def test_a_step_lowers_both_losses(model):
    batch = batch_of(views_of(model))
    own = hourglass_multitask(1, size=(64, 64))
    own.parts_weight = 1.0
    optimizer = torch.optim.Adam(own.parameters(), 1e-3)
    seen = []
    for _ in range(4):
        parts = own.losses(batch)
        assert set(parts) == set(own.loss_parts)
        sum(parts.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
        seen.append({name: float(value.detach()) for name, value in parts.items()})
    assert all(seen[-1][name] < seen[0][name] for name in seen[0])


def test_without_part_masks_keypoints_are_learnt_alone(model):
    plain = batch_of(views_of(model))
    alone = Batch(plain.images, plain.xy, plain.visible, plain.warps)
    assert model.losses(alone)["parts"].item() == 0
    half = batch_of(views_of(model, both=False))
    assert (half.parts[1] == UNKNOWN).all()
    assert model.losses(half)["parts"].item() > 0
    logits = torch.randn(1, 10, 4, 4)
    assert part_loss(logits, torch.full((1, 4, 4), UNKNOWN, dtype=torch.uint8)).item() == 0


def test_the_validation_scores_parts_beside_keypoints(model):
    dataset = Parts()
    model.eval()
    views = model.val_views(dataset, seed=0)
    losses, found = model.validate(batch_of(views))
    scores = model.score(model.truth(dataset), dict(enumerate(found)))
    assert list(scores) == list(model.val_scores)
    assert 0 <= scores["part IoU"] <= 1
    assert losses.keys() == {"keypoints", "parts"}
    assert all(torch.isfinite(part) for part in losses.values())
    assert int(found[0].counts.sum()) == int((batch_of(views).parts[0] != UNKNOWN).sum())
    nobody = Subset(Parts(both=False), [1])
    [_, rows] = model.validate(batch_of(model.val_views(nobody, seed=0), 1))
    assert isnan(model.score(model.truth(nobody), {0: rows[0]})["part IoU"])
    assert mean_iou(torch.eye(10).long()) == 1


def test_its_file_keeps_the_factor_of_the_parts(model, tmp_path):
    model.parts_weight = 0.5
    again = load(save(model, tmp_path / "m.safetensors"))
    assert isinstance(again, MultitaskTopDown)
    assert again.parts_weight == 0.5
    images = torch.rand(1, 3, 64, 64)
    model.eval()
    for ours, theirs in zip(model.raw(images), again.raw(images), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_codecs_of_vectors_are_refused():
    with pytest.raises(InputError, match="answers with maps, which SimCC does not decode"):
        hourglass_multitask(1, size=(64, 64), codec=codec_types()["SimCC"].for_size((64, 64), (16, 16), 18))


def test_the_super_augmentation_bends_masks_along(model):
    views = model.train_views(TrainData("test", Parts(), SUPER), seed=0)
    shown = [views[(epoch, 0)].view for epoch in range(12)]
    assert all({1, 2} <= set(view.parts.unique().tolist()) for view in shown)
