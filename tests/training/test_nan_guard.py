from dataclasses import replace

import pytest
import torch

from poise.codecs.udp import UDPGaussian
from poise.errors import TrainingError
from poise.structures import Batch, Key
from poise.training.nan_guard import Step, check_finite, first_fault
from poise.training.task import ModelTask


@pytest.fixture
def batch():
    images = torch.rand(2, 3, 64, 64)
    keys = (Key("a.png"), Key("b.png"))
    return Batch(images, torch.full((2, 2, 2), 30.0), torch.full((2, 2), 2), torch.eye(3).repeat(2, 1, 1), keys)


def checked(step, model, batch, tiny, precision="fp32", **changes):
    check_finite(step, ModelTask(model), batch, recipe=replace(tiny.recipe(), **changes), precision=precision)


def test_finite_steps_pass(tiny, batch):
    checked(Step(3, 1e-3, 0.5, 1.0), tiny.recipe().model, batch, tiny)


def test_the_first_layer_at_fault_is_named_not_a_later_one(tiny, batch):
    model = tiny.recipe().model
    model.network.backbone[2].register_forward_hook(lambda m, i, o: o * float("inf"))
    assert first_fault(ModelTask(model), batch) == "the answer of layer backbone.2"


def test_labels_and_images_are_looked_at_first(tiny, batch):
    batch.xy[0, 0, 0] = float("nan")
    assert first_fault(ModelTask(tiny.recipe().model), batch) == "the labels of the batch"
    batch.visible[0, 0] = 0
    batch.images[1, 0, 0, 0] = float("inf")
    assert first_fault(ModelTask(tiny.recipe().model), batch) == "the images of the batch"


def test_a_gradient_that_explodes_alone_is_named(tiny, batch):
    model = tiny.recipe().model
    model.loss(batch).backward()
    model.network.head.weight.grad.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"step 7.*the gradient of head\.weight.*Learning rate 0\.001.*a\.png, b\.png"):
        checked(Step(7, 1e-3, 0.5, float("nan")), model, batch, tiny)


@pytest.mark.parametrize(
    ("clip", "precision", "flags"),
    [
        (None, "bf16", "--rate 0.001, or clip the gradient, --clip 1, or train in full precision, --precision fp32"),
        (1.0, "fp32", "--rate 0.001"),
    ],
)
def test_rate_batch_and_the_flags_that_help_are_named(clip, precision, flags, tiny, batch):
    with pytest.raises(TrainingError) as failed:
        checked(Step(7, 2e-3, float("nan"), 1.0), tiny.recipe().model, batch, tiny, precision, clip=clip)
    said = str(failed.value)
    assert said.endswith(flags)
    assert "Learning rate 0.002; batch of 2: a.png, b.png." in said


class Several(torch.nn.Module):
    """A network with three answers."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        answer = self.network(images)
        return [answer, 2 * answer, answer]


def several(model, codecs):
    model.network, model.deep, model.codec = Several(model.network), tuple(codecs[:-1]), codecs[-1]
    return model


def test_of_several_answers_the_codec_whose_loss_is_at_fault_is_named(tiny, batch):
    # A weight that overflows only in the loss: every layer's answer is finite.
    size = {"size": (64, 64), "cells": (16, 16), "keypoints": 2}
    codecs = [UDPGaussian(**size), UDPGaussian(**size, joint_weights=(1e30, 1e30)), UDPGaussian(**size)]
    model = several(tiny.recipe().model, codecs)
    with pytest.raises(TrainingError, match=r"First at fault: the loss of codec UDPGaussian for output 2 of 3\."):
        checked(Step(7, 1e-3, float("inf"), float("nan")), model, batch, tiny)


def test_with_one_answer_its_codec_is_named(tiny, batch):
    model = tiny.recipe().model
    model.codec = UDPGaussian(size=(64, 64), cells=(16, 16), keypoints=2, joint_weights=(1e30, 1e30))
    assert first_fault(ModelTask(model), batch) == "the loss of codec UDPGaussian"


def test_a_layer_at_fault_is_named_in_a_network_with_several_answers(tiny, batch):
    size = {"size": (64, 64), "cells": (16, 16), "keypoints": 2}
    model = several(tiny.recipe().model, [UDPGaussian(**size)] * 3)
    model.network.network.head.register_forward_hook(lambda m, i, o: o * float("nan"))
    assert first_fault(ModelTask(model), batch) == "the answer of layer network.head"
