import pytest
import torch
from torch import nn

from poise.codecs.udp import UDPGaussian
from poise.errors import InputError
from poise.models.topdown import Card, TopDown
from poise.skeletons import COCO17
from poise.structures import Architecture, Batch, Preprocess


def model_of(keypoints: int = 17) -> TopDown:
    codec = UDPGaussian(size=(64, 48), cells=(16, 12), keypoints=keypoints)
    network = nn.Conv2d(3, keypoints, 4, stride=4)
    return TopDown(network, codec, Preprocess(), COCO17, Card("tiny", Architecture("none:none")))


def batch_of(views: int = 3) -> Batch:
    xy = torch.rand(views, 17, 2) * 40
    warps = torch.eye(3, dtype=torch.float64).repeat(views, 1, 1)
    return Batch(torch.randn(views, 3, 64, 48), xy, torch.full((views, 17), 2), warps)


def test_loss_and_keypoints_are_computed_in_float32_inside_autocast():
    model, batch = model_of(), batch_of()
    output = model(batch.images).detach()
    plain_loss, plain_points = model.compare([output], batch), model.read(output)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, points = model.compare([output], batch), model.read(output)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, plain_loss)
    assert torch.equal(points.xy, plain_points.xy)


def test_the_flip_test_is_the_mean_of_both_views():
    model, batch = model_of(), batch_of()
    mirrored = model.codec.unflip(model(batch.images.flip(-1)), COCO17.flip)
    expected = (model(batch.images) + mirrored) / 2
    torch.testing.assert_close(model.answer(batch.images, flip=True), expected)


def test_a_codec_for_other_keypoints_is_refused():
    with pytest.raises(InputError, match="16 keypoints"):
        model_of(keypoints=16)
