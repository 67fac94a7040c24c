import pytest
import torch

from poise.errors import InputError
from poise.nn.backbones.hrnet import HRNet
from poise.nn.backbones.resnet import ResNet
from poise.nn.base import Network, check_size
from poise.nn.heads.heatmap import DeconvHead, PixelwiseHead
from poise.zoo.cost import measure_network


@pytest.mark.parametrize("backbone", [ResNet(18), ResNet(50, "caffe"), HRNet(4, branches=3)], ids=["r18", "r50", "hr"])
def test_feature_maps_have_the_channels_and_strides_a_backbone_says(backbone):
    features = backbone.eval()(torch.zeros(2, 3, 64, 96))
    assert [f.shape[1] for f in features] == list(backbone.channels)
    assert [(64 // f.shape[2], 96 // f.shape[3]) for f in features] == [(s, s) for s in backbone.strides]


def test_caffe_style_differs_from_pytorch_style_only_in_its_output():
    pytorch, caffe = ResNet(50).eval(), ResNet(50, "caffe").eval()
    caffe.load_state_dict(pytorch.state_dict())
    view = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert not torch.allclose(pytorch(view)[-1], caffe(view)[-1])


def test_caffe_style_of_a_network_without_bottlenecks_is_refused():
    with pytest.raises(InputError, match="no caffe style"):
        ResNet(34, "caffe")


def test_another_depth_is_refused_with_those_that_exist():
    with pytest.raises(InputError, match="18, 34, 50, 101, 152"):
        ResNet(51)


def test_a_size_between_multiples_is_refused_with_both_neighbours():
    with pytest.raises(InputError, match=r"224x192 or 256x192"):
        check_size((250, 192), 32, "this network")


def test_initial_outputs_of_heads_are_almost_zero_and_those_of_backbones_are_not():
    network = Network(ResNet(18), DeconvHead(512, 17)).eval()
    with torch.no_grad():
        features = network.backbone(torch.randn(1, 3, 64, 64))
        answer = network.head(features)
    assert features[-1].std() > 0.05
    assert answer.abs().max() < 0.01
    assert network.head.final.bias.abs().max() == 0


@pytest.mark.parametrize(
    "network",
    [Network(ResNet(18), DeconvHead(512, 5)), Network(HRNet(8), PixelwiseHead(8, 5))],
    ids=["simple-baseline", "hrnet"],
)
def test_bfloat16_and_channels_last_give_the_answer_of_float32(network):
    torch.manual_seed(0)
    for parameter in network.head.parameters():  # the initial head is too silent to compare
        torch.nn.init.normal_(parameter, std=0.05) if parameter.ndim > 1 else None
    view = torch.randn(8, 3, 64, 64)
    network.train()
    with torch.no_grad():
        expected = network(view)
        fast = network.to(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = fast(view.contiguous(memory_format=torch.channels_last))
    assert found.dtype == torch.bfloat16
    both = torch.stack((found.float().flatten(), expected.flatten()))
    assert torch.corrcoef(both)[0, 1] > 0.96  # errors of 50 and more layers: 0.98 and more in 24 draws of weights


def test_multiply_adds_of_one_convolution_are_those_of_the_formula():
    network = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1)
    found = measure_network(network, (32, 16))
    assert found.parameters == 8 * 3 * 9 + 8
    assert found.multiply_adds == 8 * 3 * 9 * 16 * 8
