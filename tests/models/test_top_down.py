from dataclasses import replace

import pytest
import torch
from torch import nn

from poise.codecs.udp import UDPGaussian
from poise.errors import InputError, SkeletonMismatch
from poise.models.card import Card
from poise.models.dense import TOGETHER
from poise.models.losses import total_loss
from poise.models.require import require_top_down
from poise.models.top_down import TopDown
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture, Batch, Preprocess
from poise.zoo import build


def model_of(keypoints: int = 17, skeleton: Skeleton = COCO17) -> TopDown:
    codec = UDPGaussian(size=(64, 48), cells=(16, 12), keypoints=keypoints)
    network = nn.Conv2d(3, keypoints, 4, stride=4)
    return TopDown(network, codec, Preprocess(), skeleton, Card("tiny", Architecture("none:none")))


def batch_of(views: int = 3) -> Batch:
    xy = torch.rand(views, 17, 2) * 40
    warps = torch.eye(3, dtype=torch.float64).repeat(views, 1, 1)
    return Batch(torch.randn(views, 3, 64, 48), xy, torch.full((views, 17), 2), warps)


def test_loss_and_keypoints_are_computed_in_float32_inside_autocast():
    model, batch = model_of(), batch_of()
    output = model(batch.images).detach()
    plain_loss, plain_points = total_loss(model.compared([output], batch)), model.read(output)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, points = total_loss(model.compared([output], batch)), model.read(output)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, plain_loss)
    assert torch.equal(points.xy, plain_points.xy)


def test_the_flip_test_is_the_mean_of_both_views():
    model, batch = model_of(), batch_of()
    mirrored = model.codec.unflip(model(batch.images.flip(-1)), COCO17.flip)
    expected = (model(batch.images) + mirrored) / 2
    torch.testing.assert_close(model.output(batch.images, flip=True), expected)


def test_a_codec_for_other_keypoints_is_refused():
    with pytest.raises(InputError, match="16 keypoints"):
        model_of(keypoints=16)


def test_the_flip_test_of_many_views_is_that_of_few():
    model = require_top_down(build("poise_t_coco_64x64").eval())
    views = torch.rand(TOGETHER, 3, 64, 64)
    with torch.inference_mode():
        few = torch.cat([model.output(half, flip=True) for half in views.chunk(2)])
        assert torch.allclose(model.output(views, flip=True), few, atol=1e-5)


def test_the_flip_test_needs_to_know_what_a_mirror_exchanges():
    ears = Skeleton("ears", ("one", "other"), sigmas=(0.1, 0.1))
    images = batch_of().images
    with pytest.raises(
        SkeletonMismatch, match=r"skeleton 'ears' has no mirror pairs; give it some .* or turn the flip test off"
    ):
        model_of(2, ears).predict(images, flip=True)
    assert model_of(2, ears).predict(images, flip=False).xy.shape == (3, 2, 2)
    for pair in (("one", "other"), ("one", "one")):
        assert model_of(2, replace(ears, mirror=(pair,))).predict(images, flip=True).xy.shape == (3, 2, 2)
    nose = Skeleton("nose", ("nose",), sigmas=(0.1,))
    assert model_of(1, nose).predict(images, flip=True).xy.shape == (3, 1, 2)
