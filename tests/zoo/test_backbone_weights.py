"""Backbones from ImageNet files of others: weights made by rule in the names of each code base."""

import pickle
import re

import pytest
import torch

from poise.cli.main import main
from poise.errors import CheckpointError
from poise.nn.backbones.hrnet import HRNet
from poise.nn.backbones.resnet import ResNet
from poise.zoo import build
from poise.zoo.backbone_weights import start_backbone
from poise.zoo.simple_baselines import poseresnet
from poise.zoo.udp import udp_hrnet


def made(body, *, seed=1) -> dict[str, torch.Tensor]:
    """Weights for every layer of a backbone, by rule: no two are alike, variances are above 0."""
    generator = torch.Generator().manual_seed(seed)
    return {
        key: torch.rand(value.shape, generator=generator) + 0.5 if value.is_floating_point() else torch.tensor(7)
        for key, value in body.state_dict().items()
    }


def detectron2_name(key: str) -> str:
    key = re.sub(r"layer(\d)", lambda m: f"res{int(m[1]) + 1}", key)
    key = key.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")
    key = re.sub(r"bn(\d)", r"conv\1.norm", key)
    return key if key.startswith("res") else f"stem.{key}"


def caffe2_name(key: str) -> str | None:
    """None for statistics, which Caffe2's files have multiplied into factor and summand."""
    if key.startswith(("conv1", "bn1")):
        return {"conv1.weight": "conv1_w", "bn1.weight": "res_conv1_bn_s", "bn1.bias": "res_conv1_bn_b"}.get(key)
    stage, block, rest = re.fullmatch(r"layer(\d)\.(\d+)\.(.+)", key).groups()
    part = rest.replace("downsample.0", "conv0").replace("downsample.1", "bn0")
    kind, number, value = re.fullmatch(r"(conv|bn)(\d)\.(\w+)", part).groups()
    branch = "branch1" if number == "0" else f"branch2{'abc'[int(number) - 1]}"
    ends = {("conv", "weight"): "w", ("bn", "weight"): "bn_s", ("bn", "bias"): "bn_b"}
    end = ends.get((kind, value))
    return None if end is None else f"res{int(stage) + 1}_{block}_{branch}_{end}"


FC = {"fc.weight": torch.zeros(10, 512), "fc.bias": torch.zeros(10)}

FORMS = {
    "torchvision's": lambda weights: {**weights, **FC},
    "Simple Baselines' caffe": lambda weights: {
        "epoch": 90,
        "state_dict": {f"module.{key}": value for key, value in {**weights, **FC}.items()},
    },
    "before the counters": lambda weights: {k: v for k, v in weights.items() if not k.endswith("tracked")},
    "OpenMMLab's": lambda weights: {
        "meta": {"epoch": 100},
        "state_dict": {**{f"backbone.{key}": value for key, value in weights.items()}, "head.fc.weight": torch.zeros(10, 512)},
    },
    "Detectron2's": lambda weights: {
        "model": {detectron2_name(key): value for key, value in weights.items() if not key.endswith("tracked")}
    },
}


@pytest.mark.parametrize("form", list(FORMS))
@pytest.mark.parametrize("depth", [18, 50])
def test_a_resnet_is_filled_from_the_file_of_each_code_base(tmp_path, form, depth):
    model = poseresnet(depth, size=(64, 64))
    weights = made(ResNet(depth))
    torch.save(FORMS[form](weights), tmp_path / "imagenet.pth")
    said = start_backbone(model, tmp_path / "imagenet.pth")
    own = {key: value for key, value in weights.items() if not key.endswith("tracked")}
    assert said.taken == len(own)
    assert said.anew == ()
    state = model.network.state_dict()
    assert all(torch.equal(state[f"backbone.{key}"], value) for key, value in own.items())
    assert ("fc.weight" in str(said)) == (form in ("torchvision's", "Simple Baselines' caffe", "OpenMMLab's"))


def test_a_caffe_style_resnet_is_filled_from_caffe2s_file(tmp_path):
    weights = made(ResNet(50, "caffe"))
    named = {name: value.numpy() for key, value in weights.items() if (name := caffe2_name(key)) is not None}
    blobs = {**named, "fc1000_w": FC["fc.weight"].numpy(), "fc1000_b": FC["fc.bias"].numpy()}
    (tmp_path / "R-50.pkl").write_bytes(pickle.dumps({"blobs": blobs}, protocol=2))
    model = poseresnet(50, size=(64, 64), style="caffe")
    said = start_backbone(model, tmp_path / "R-50.pkl")
    assert said.source == "Caffe2's"
    assert set(said.left) == {"fc1000_w", "fc1000_b"}
    state = model.network.state_dict()
    assert torch.equal(state["backbone.layer4.2.conv3.weight"], weights["layer4.2.conv3.weight"])
    assert torch.equal(state["backbone.layer1.0.downsample.1.bias"], weights["layer1.0.downsample.1.bias"])
    assert bool((state["backbone.bn1.running_mean"] == 0).all())
    assert bool((state["backbone.bn1.running_var"] == 1).all())


@pytest.fixture(scope="module")
def hrnet_file(tmp_path_factory):
    """HRNet-W32's classifier in the names of its release and of timm, which have all four outputs of the last stage."""
    weights = made(HRNet(32))
    spare = {
        "stage4.2.fuse_layers.1.0.0.0.weight": torch.ones(64, 32, 3, 3),
        "incre_modules.0.0.conv1.weight": torch.ones(32, 32, 1, 1),
        "classifier.weight": torch.ones(10, 2048),
    }
    path = tmp_path_factory.mktemp("hrnet") / "hrnet_w32-36af842e.pth"
    torch.save({**weights, **spare}, path)
    return path, weights, spare


def test_an_hrnet_is_filled_from_its_releases_file_and_what_is_left_is_named(hrnet_file):
    path, weights, spare = hrnet_file
    model = build("hrnet_w32_coco_64x64")
    said = start_backbone(model, path)
    assert set(said.left) == set(spare)
    state = model.network.state_dict()
    assert all(torch.equal(state[f"backbone.{key}"], value) for key, value in weights.items() if not key.endswith("tracked"))
    assert f"all {said.taken} weights of the backbone, by torchvision's, timm's or HRNet's names" in str(said)


def test_udps_wider_last_fusion_starts_anew_and_that_is_said(hrnet_file):
    said = start_backbone(udp_hrnet(32, size=(64, 64)), hrnet_file[0])
    assert said.anew
    assert all(key.startswith("stage4.2.fuse_layers.") for key in said.anew)
    assert "start anew" in str(said)


def test_every_stage_of_mspn_is_filled_from_a_resnet(tmp_path):
    weights = made(ResNet(50))
    torch.save(weights, tmp_path / "resnet50.pth")
    model = build("mspn_2stg_coco_64x64")
    start_backbone(model, tmp_path / "resnet50.pth")
    state = model.network.state_dict()
    own = [
        value
        for key, value in state.items()
        if re.search(r"stages\.\d\.downsample\.layer2\.1\.conv_bn_relu2\.conv\.weight", key)
    ]
    assert len(own) == 2
    assert all(torch.equal(value, weights["layer2.1.conv2.weight"]) for value in own)


def test_a_backbone_of_timm_is_filled_from_the_file_of_its_whole_model(tmp_path):
    timm = pytest.importorskip("timm", reason="timm comes with an extra")
    whole = timm.create_model("convnext_atto", pretrained=False)
    weights = made(whole)
    torch.save(weights, tmp_path / "convnext.pth")
    model = build("timm_convnext_atto_coco_64x64")
    said = start_backbone(model, tmp_path / "convnext.pth")
    assert torch.equal(model.network.state_dict()["backbone.body.stem_0.weight"], weights["stem.0.weight"])
    assert any(key.startswith("head.") for key in said.left)


def test_a_detectors_trunk_is_filled_too(tmp_path):
    weights = made(ResNet(18))
    torch.save(weights, tmp_path / "resnet18.pth")
    model = build("keypoint_rcnn_r18_fpn")
    start_backbone(model, tmp_path / "resnet18.pth")
    state = model.network.state_dict()
    assert torch.equal(state["backbone.body.conv1.weight"], weights["conv1.weight"])


@pytest.mark.parametrize(
    ("other", "says"), [(ResNet(34), "fits .* of .* weights.*lacks .*depth or width"), (HRNet(32), "lacks")]
)
def test_a_file_of_another_network_is_refused_and_the_model_stays(tmp_path, other, says):
    torch.save(made(other), tmp_path / "other.pth")
    model = poseresnet(50, size=(64, 64))
    before = {key: value.clone() for key, value in model.network.state_dict().items()}
    with pytest.raises(CheckpointError, match=says):
        start_backbone(model, tmp_path / "other.pth")
    assert all(torch.equal(value, before[key]) for key, value in model.network.state_dict().items())


def test_a_file_that_is_not_there_is_told_before_anything_else(tmp_path, capsys):
    words = ["train", "hrnet", "--data", str(tmp_path), "--backbone-weights", str(tmp_path / "no.pth")]
    assert main(words) == 1
    assert "there is no checkpoint" in capsys.readouterr().err


def test_a_transformers_file_for_other_views_is_taken_with_its_positions_resized(tmp_path):
    timm = pytest.importorskip("timm")
    given = timm.create_model("test_vit", img_size=96, num_classes=5).state_dict()
    torch.save({"state_dict": given}, tmp_path / "vit.pth")
    model = build("timm_test_vit_simple_coco_64x32")
    said = start_backbone(model, tmp_path / "vit.pth")
    state, own = model.network.backbone.body.model.state_dict(), timm.create_model("test_vit", img_size=(64, 32))
    expected = timm.layers.resample_abs_pos_embed(given["pos_embed"], list(own.patch_embed.grid_size))
    torch.testing.assert_close(state["pos_embed"], expected)
    assert torch.equal(state["blocks.5.mlp.fc2.weight"], given["blocks.5.mlp.fc2.weight"])
    assert torch.equal(state["norm.weight"], given["norm.weight"])
    assert set(said.left) <= {"head.weight", "head.bias", "fc_norm.weight", "fc_norm.bias"}


MAE = (
    (r"^layers\.(\d+)\.ln([12])", r"blocks.\1.norm\2"),
    (r"^layers\.", "blocks."),
    (r"ffn\.layers\.0\.0", "mlp.fc1"),
    (r"ffn\.layers\.1", "mlp.fc2"),
    (r"embed\.projection", "embed.proj"),
    (r"^ln1\.", "norm."),
)
"""Our names of a transformer's weights, and those of a masked autoencoder."""


def mae_name(key: str) -> str:
    for mine, theirs in MAE:
        key = re.sub(mine, theirs, key)
    return key


def test_a_vitpose_starts_from_an_autoencoder_with_its_positions_resized(tmp_path):
    model = build("vitpose_s_64x32")
    own = made(model.network.backbone)
    given = {mae_name(key): value for key, value in own.items()}
    square = torch.rand(1, 1 + 3 * 3, 384)
    torch.save({"model": given | {"pos_embed": square, "cls_token": torch.rand(1, 1, 384)}}, tmp_path / "mae.pth")
    said = start_backbone(model, tmp_path / "mae.pth")
    assert said.left == ("cls_token",)
    state = model.network.backbone.state_dict()
    assert all(torch.equal(state[key], value) for key, value in own.items() if key != "pos_embed")
    grid = square[0, 1:].T.reshape(1, 384, 3, 3)
    expected = torch.nn.functional.interpolate(grid, (4, 2), mode="bicubic").flatten(2)[0].T
    torch.testing.assert_close(state["pos_embed"][0], expected)
