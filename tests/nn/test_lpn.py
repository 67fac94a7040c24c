import pytest
import torch

from poise.errors import InputError, UnknownName
from poise.nn.backbones.hrnet import HRNet
from poise.nn.backbones.lpn import LPN
from poise.nn.heads.heatmap import GroupedDeconv, LightDeconvHead, SubPixelDeconv


@pytest.mark.parametrize("size", [(64, 48), (80, 112)])
def test_feature_maps_have_the_channels_and_strides_a_backbone_says(size):
    backbone = LPN(50, "none").eval()
    with torch.no_grad():
        features = backbone(torch.zeros(1, 3, *size))
    assert [f.shape[1] for f in features] == list(backbone.channels)
    assert [(size[0] // f.shape[2], size[1] // f.shape[3]) for f in features] == [(s, s) for s in backbone.strides]


def test_the_head_brings_maps_back_to_stride_4():
    assert LightDeconvHead(512, 17)([torch.zeros(1, 512, 4, 3)]).shape == (1, 17, 16, 12)


@pytest.mark.parametrize("widths", [(256, 256), (96, 64)])
def test_transposed_convolutions_have_as_many_groups_as_divide_both_sides(widths):
    deconvs = [m for m in LightDeconvHead(512, 17, widths).layers if isinstance(m, torch.nn.ConvTranspose2d)]
    assert [d.groups for d in deconvs] == {(256, 256): [256, 256], (96, 64): [32, 32]}[widths]


@pytest.mark.parametrize("attention", ["gc", "se", "none"])
def test_attentions_cost_next_to_nothing(attention):
    with torch.device("meta"):
        plain, other = LPN(50, "none"), LPN(50, attention)
    count = [sum(p.numel() for p in network.parameters()) for network in (plain, other)]
    assert 1 <= count[1] / count[0] < 1.09


def test_other_depths_and_attentions_are_refused():
    with pytest.raises(InputError, match="50, 101, 152"):
        LPN(18)
    with pytest.raises(UnknownName, match="gc, none, se"):
        LPN(50, "cbam")


def test_wider_fusion_layers_of_hrnet_change_its_outputs_alone():
    with torch.device("meta"):
        plain, wide = HRNet(8), HRNet(8, gain=4)
    assert wide.channels == (32,)
    shapes = [{k: v.shape for k, v in network.state_dict().items()} for network in (plain, wide)]
    changed = {k for k in shapes[1] if shapes[0].get(k) != shapes[1][k]}
    assert all(k.startswith("stage4.2.fuse_layers.0.") for k in changed)
    assert set(shapes[1]) - set(shapes[0]) == {"stage4.2.fuse_layers.0.0.0.weight"}
    with pytest.raises(InputError, match="gain 0"):
        HRNet(8, gain=0)


@pytest.mark.parametrize(("channels", "width", "groups"), [(12, 6, 3), (6, 6, 6), (8, 4, 1)])
def test_phases_are_a_transposed_convolution_in_another_form(channels, width, groups):
    deconv = GroupedDeconv(channels, width, groups)
    x = torch.randn(2, channels, 5, 4)
    phases = deconv.as_graph("openvino")
    assert isinstance(phases, SubPixelDeconv)
    torch.testing.assert_close(phases(x), deconv(x))
    assert deconv.as_graph("onnxruntime") is deconv
