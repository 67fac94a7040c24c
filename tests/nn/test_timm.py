import importlib
import sys

import pytest
import torch

from poise import zoo
from poise.errors import InputError, MissingExtra, ReadError, UnknownName
from poise.nn.backbones.timm import TimmBackbone, whole_model
from poise.weights.model_file import load, save
from poise.zoo.timm import deconv

FEW = ["mobilenetv4_conv_small", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "convnext_atto"]


@pytest.mark.parametrize("name", FEW)
def test_any_backbone_gets_the_head_and_survives_a_file(name, tmp_path):
    pytest.importorskip("timm")
    model = zoo.build(f"timm_{name}_coco_128x96").eval()
    again = load(save(model, tmp_path / "model.safetensors"))
    view = torch.randn(1, 3, 128, 96)
    with torch.no_grad():
        answer = model(view)
        assert torch.equal(answer, again(view))
    assert answer.shape == (1, 17, 32, 24)
    assert again.preprocess == model.preprocess


HEADS = [("vit_small_patch16_dinov3", "simple", (64, 48)), ("vit_small_patch14_dinov2", "classic", (84, 56))]


@pytest.mark.parametrize(("name", "head", "size"), HEADS)
def test_vitposes_heads_stand_behind_the_last_norm_of_timms_transformers(name, head, size, tmp_path):
    pytest.importorskip("timm")
    model = zoo.build(f"timm_{name}_{head}_coco_{size[0]}x{size[1]}").eval()
    backbone = model.network.backbone
    again, view = load(save(model, tmp_path / "model.safetensors")), torch.randn(1, 3, *size)
    with torch.no_grad():
        [tokens] = backbone(view)
        answer = model(view)
        assert torch.equal(answer, again(view))
    cells = tuple(side // backbone.multiple for side in size)
    assert tokens.shape == (1, backbone.channels[-1], *cells)
    norm = backbone.body.model.norm  # its first weights are 1 and 0, so tokens have mean 0 and deviation 1
    assert isinstance(norm, torch.nn.LayerNorm)
    torch.testing.assert_close(tokens.mean(dim=1), torch.zeros(1, *cells), atol=1e-4, rtol=0)
    torch.testing.assert_close(tokens.std(dim=1, unbiased=False), torch.ones(1, *cells), atol=1e-2, rtol=0)
    assert answer.shape == (1, 17, cells[0] * 4, cells[1] * 4)
    assert isinstance(model.network.head.layers[0], torch.nn.ReLU) == (head == "simple")


def test_a_pyramid_gets_the_simple_head_on_its_last_map():
    pytest.importorskip("timm")
    model = deconv("test_convnext", head="simple", size=(64, 64)).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, 64, 64)).shape == (1, 17, 16, 16)


def test_an_unknown_backbone_names_the_nearest():
    pytest.importorskip("timm")
    with pytest.raises(UnknownName, match="resnet18"):
        zoo.build("timm_resnet18x_coco_256x192")


def test_names_of_foreign_repositories_are_no_backbones():
    pytest.importorskip("timm")
    with pytest.raises(UnknownName):
        deconv("hf-hub:someone/something")


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch, tmp_path):
    pytest.importorskip("timm")
    monkeypatch.setattr("poise.nn.backbones.timm.answers", lambda url: False)
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail(f"waits {seconds} seconds to try again"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ReadError, match="cannot be downloaded"):
        whole_model("hrnet_w18")
    assert not constants.HF_HUB_OFFLINE


def test_a_size_the_backbone_cannot_take_is_refused():
    pytest.importorskip("timm")
    with pytest.raises(InputError, match="multiples of 32"):
        deconv("resnet10t", size=(120, 96))


def test_without_timm_the_package_to_install_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtra, match="pip install"):
        deconv("resnet18")


@pytest.mark.parametrize(("name", "size"), [("vit_tiny_patch16_224", (48, 80)), ("swin_tiny_patch4_window7_224", (32, 96))])
def test_transformers_of_detectors_take_views_of_any_size(name, size):
    pytest.importorskip("timm")
    body = TimmBackbone(name).eval()
    with torch.no_grad():
        maps = body(torch.zeros(1, 3, *size))
    assert [tuple(f.shape[2:]) for f in maps] == [(size[0] // s, size[1] // s) for s in body.strides]


def test_a_backbone_that_takes_one_size_only_is_no_detectors():
    pytest.importorskip("timm")
    with pytest.raises(InputError, match="'tnt_s_patch16_224' takes views of one size only"):
        TimmBackbone("tnt_s_patch16_224")
