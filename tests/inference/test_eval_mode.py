import pytest
import torch
from torch import nn

from poise.inference.stream import batched, eval_mode

VIEWS = [torch.rand(3, 4, 6), torch.zeros(3, 4, 6)]
HERE = {"device": torch.device("cpu"), "precision": "fp32"}


@pytest.mark.parametrize("training", [False, True])
def test_a_model_looks_without_learning_and_is_left_in_training_where_it_was(training):
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)).train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with eval_mode(model, VIEWS, **HERE) as images:
        assert not model.training
        assert torch.equal(images, torch.stack(VIEWS))
        assert not model(images).requires_grad
    assert model.training == training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_model_goes_back_into_training_when_its_look_fails():
    model = nn.Conv2d(3, 1, 1).train()
    with pytest.raises(ZeroDivisionError), eval_mode(model, VIEWS, **HERE):
        1 / 0  # noqa: B018
    assert model.training


def test_bfloat16_is_computed_in_where_it_is_asked_for():
    model = nn.Conv2d(3, 1, 1)
    with eval_mode(model, VIEWS, device=torch.device("cpu"), precision="bf16") as images:
        assert images.dtype == torch.float32
        assert model(images).dtype == torch.bfloat16


def test_views_are_copied_into_the_memory_of_a_channels_last_batch_and_small_ones_are_padded_with_the_mean_colour():
    small = torch.rand(3, 2, 5)
    batch = batched([VIEWS[0], small], torch.device("cpu"))
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert batch[0].equal(VIEWS[0])
    assert batch[1, :, :2, :5].equal(small)
    assert not batch[1, :, 2:].any()
    assert not batch[1, :, :, 5:].any()
