from collections import OrderedDict

import pytest
import torch
from torch.nn import functional
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from poise.errors import InputError
from poise.nn.backbones.hrnet import HRNet
from poise.nn.necks.base import BackboneWithNeck, pyramid_levels
from poise.nn.necks.fpn import FPN
from poise.nn.necks.hrfpn import HRFPN

CHANNELS, STRIDES = (6, 8, 10), (8, 16, 32)


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, c, -(-100 // s), -(-76 // s), generator=generator) for c, s in zip(CHANNELS, STRIDES, strict=True)]


def test_fpn_is_torchvisions_also_where_sides_are_odd(features):
    ours, theirs = FPN(CHANNELS, STRIDES, 4), FeaturePyramidNetwork(list(CHANNELS), 4, LastLevelMaxPool())
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    expected = theirs(OrderedDict((str(i), f) for i, f in enumerate(features))).values()
    found = ours(features)
    assert ours.strides == (8, 16, 32, 64)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_hrfpn_pools_the_joined_map_by_averages_or_maxima(features):
    for pooling, shrunk in (("average", functional.avg_pool2d), ("max", functional.max_pool2d)):
        torch.manual_seed(0)
        neck = HRFPN(CHANNELS, STRIDES, 4, maps=3, pooling=pooling)
        assert neck.strides == (8, 16, 32)
        found = neck(features)
        size = features[0].shape[-2:]
        same = [functional.interpolate(f, size=size, mode="bilinear", align_corners=False) for f in features]
        joined = neck.join(torch.cat(same, dim=1))
        assert torch.allclose(found[0], neck.output[0](joined), atol=1e-6)
        assert torch.allclose(found[2], neck.output[2](shrunk(joined, 4)), atol=1e-6)


def test_maps_of_several_widths_need_a_neck():
    with pytest.raises(InputError, match=r"\(4, 8\) channels; put a neck on them"):
        BackboneWithNeck(HRNet(4, branches=2))


def test_a_pyramid_stands_on_the_deepest_map_of_each_stride():
    assert pyramid_levels((2, 4, 8, 16, 32)) == (1, 2, 3, 4)
    assert pyramid_levels((2, 4, 4, 8, 16, 16)) == (2, 3, 5)
    assert pyramid_levels((14, 14, 14)) == (2,)
    assert pyramid_levels((1, 2)) == (1,)


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("size", [(32, 96), (96, 32), (32, 32)])
def test_hrfpn_has_a_cell_of_its_coarsest_map_for_the_smallest_views(pooling, size):
    neck = HRFPN((4, 8), (4, 8), 4, pooling=pooling)
    maps = neck([torch.randn(1, c, size[0] // s, size[1] // s) for c, s in ((4, 4), (8, 8))])
    assert [tuple(f.shape[2:]) for f in maps] == [tuple(max(1, n // s) for n in size) for s in neck.strides]
