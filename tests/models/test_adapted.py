"""A domain adaptation layer in a model: it changes nothing at first, and the model file keeps it."""

import pytest
import torch

from poise.errors import InputError
from poise.models.adapted import LAYER, add_adaptation, is_adapted
from poise.training.checkpoint import add_layers, identity, load_best
from poise.weights.model_file import check_kept, load, save
from poise.weights.transfer import transfer
from poise.zoo import build

NAMES = ["poise_t_coco_64x64", "hourglass_2stack_b1_17j_64x64", "poseresnet_18_coco_64x64", "mspn_1stg_coco_64x64"]


def changed(model):
    with torch.no_grad():
        for name, value in model.network.named_parameters():
            if name.startswith(LAYER):
                value.add_(0.05)
    return model


@pytest.mark.parametrize("name", NAMES)
def test_any_network_takes_the_layer_and_answers_as_before(name):
    model, view = build(name).eval(), torch.randn(2, 3, 64, 64)
    before = model(view)
    add_adaptation(model)
    add_adaptation(model)
    assert is_adapted(model)
    assert torch.equal(model(view), before)
    assert not torch.allclose(changed(model)(view), before)


def test_a_model_file_keeps_the_layer_and_one_without_says_nothing_of_it(tmp_path):
    model = build("poise_t_coco_64x64")
    plain = save(model, tmp_path / "plain.safetensors")
    assert b'"adaptation"' not in plain.read_bytes()[:20000]
    assert not is_adapted(load(plain))
    add_adaptation(model)
    changed(model).eval()
    check_kept(model)
    again = load(save(model, tmp_path / "adapted.safetensors"))
    view = torch.randn(1, 3, 64, 64)
    assert is_adapted(again)
    assert torch.equal(again(view), model(view))


def test_a_model_that_starts_from_an_adapted_one_has_its_layer(tmp_path):
    start = build("poise_t_coco_64x64")
    add_adaptation(start)
    changed(start)
    target = build("poise_t_coco_64x64")
    assert transfer(start, target).layers == ()
    view = torch.randn(1, 3, 64, 64)
    assert torch.equal(target.eval()(view), start.eval()(view))


def test_an_adapted_model_starts_from_a_plain_one_with_the_layer_as_it_is():
    start, target = build("poise_t_coco_64x64").eval(), build("poise_t_coco_64x64").eval()
    add_adaptation(target)
    assert transfer(start, target).layers == ()
    view = torch.randn(1, 3, 64, 64)
    assert torch.equal(target(view), start(view))


def test_a_run_that_goes_on_gets_the_layer_of_its_start_again(tmp_path):
    model = build("poise_t_coco_64x64")
    add_adaptation(model)
    file = save(changed(model), tmp_path / "m.safetensors")
    fresh = build("poise_t_coco_64x64")
    add_layers({"model": identity(model)}, fresh)
    assert is_adapted(fresh)
    other = build("poise_t_coco_64x64")
    load_best(other, file)
    assert is_adapted(other)
    plain = build("poise_t_coco_64x64")
    add_layers({"model": identity(plain)}, plain)
    assert not is_adapted(plain)


def test_a_network_without_a_head_is_refused():
    with pytest.raises(InputError, match="domains cannot be told apart there"):
        add_adaptation(build("poise_rcnn_t_coco_96x96"))
