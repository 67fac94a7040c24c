"""Networks that find people by themselves: hourglass-104, HRNet and our own, with a head for each kind of map."""

import pytest
import torch
from torchvision.ops import deform_conv2d

from poise.errors import InputError
from poise.nn.backbones.hourglass104 import Hourglass104
from poise.nn.backbones.plain import PlainNet
from poise.nn.base import Network
from poise.nn.heads.disentangled import deform_conv3x3
from poise.nn.heads.scene_heads import PyramidSceneHeads, SceneHeads
from poise.nn.imhn import IdentityMappingHourglass
from poise.zoo.offset_guided import BLOCKS

PARTS = {"heat": 3, "offset": 4}


def hourglasses(stacks=2, kernel=1):
    torch.manual_seed(0)
    backbone = Hourglass104(stacks, (8, 8, 12), (1, 1, 2))
    return Network(backbone, SceneHeads(8, PARTS, stacks=stacks, kernel=kernel))


def own(kernel=1, units=None):
    torch.manual_seed(0)
    backbone = PlainNet((8, 8, 12, 16), (1, 1, 1, 1))
    return Network(backbone, PyramidSceneHeads(backbone.channels, 8, PARTS, kernel=kernel, units=units))


@pytest.mark.parametrize("network", [hourglasses(), hourglasses(3, kernel=3), own(), own(kernel=3)])
def test_a_batch_of_two_is_twice_one_and_every_map_has_its_channels(network):
    views = torch.randn(2, 3, 64, 96)
    network.eval()
    with torch.no_grad():
        both, single = network(views), network(views[:1])
    stacks = len(both) // 2
    assert [tuple(part.shape) for part in both] == [(2, c, 16, 24) for c in PARTS.values() for _ in range(stacks)]
    for pair, alone in zip(both, single, strict=True):
        assert torch.allclose(pair[:1], alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [hourglasses, own])
def test_every_weight_learns_and_a_few_steps_fit_a_view(make):
    network = make().train()
    views = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    wanted = [torch.rand(part.shape, generator=torch.Generator().manual_seed(2)) for part in network(views)]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = torch.stack([(a - b).square().mean() for a, b in zip(network(views), wanted, strict=True)]).sum()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in network.parameters())
    assert losses[-1] < 0.5 * losses[0]


def test_a_unit_multiplies_its_map_and_no_other():
    plain, scaled = own().eval(), own(units={"offset": 16.0}).eval()
    view = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        (heat, offset), (same, wide) = plain(view), scaled(view)
    assert torch.equal(heat, same)
    assert torch.allclose(16 * offset, wide)


def test_what_a_cell_sees_is_about_as_large_as_a_person():
    torch.manual_seed(0)
    network = PlainNet((8, 8, 8, 8), BLOCKS).eval()
    view = torch.randn(1, 3, 640, 640, generator=torch.Generator().manual_seed(0)).requires_grad_()
    middle = network(view)[-1][0, :, 10, 10].sum()
    (gradient,) = torch.autograd.grad(middle, view)
    rows = gradient[0].abs().sum((0, 2)).nonzero()
    assert int(rows.max() - rows.min()) + 1 > 400


@pytest.mark.parametrize(
    "options", [{"stacks": 0}, {"widths": (8,), "blocks": (1,)}, {"widths": (8, 8), "blocks": (1,)}, {"widths": (8, 0)}]
)
def test_impossible_hourglasses_are_refused(options):
    with pytest.raises(InputError, match="residual hourglasses need"):
        Hourglass104(**{"blocks": (1, 1), "widths": (8, 8)} | options)


@pytest.mark.parametrize(
    "options",
    [{"parts": {}}, {"parts": {"heat": 0}}, {"kernel": 2}, {"stacks": 0}, {"units": {"x": 1.0}}, {"units": {"heat": 0.0}}],
)
def test_impossible_heads_are_refused(options):
    options = {"parts": PARTS} | options
    with pytest.raises(InputError, match=r"heads need|units are"):
        SceneHeads(8, options.pop("parts"), **options)


def test_identity_mapping_hourglasses_have_five_outputs_a_stack():
    torch.manual_seed(0)
    network = IdentityMappingHourglass(2, outputs=5, width=16, increase=4).eval()
    views = torch.randn(2, 3, 64, 128)
    with torch.no_grad():
        both, single = network(views), network(views[1:])
    assert [tuple(part.shape) for part in both] == [(2, 5, 16 >> i, 32 >> i) for i in range(5)] * 2
    for pair, alone in zip(both, single, strict=True):
        assert torch.allclose(pair[1:], alone, rtol=1e-4, atol=1e-6)
    with pytest.raises(InputError, match="an even number more at each level"):
        IdentityMappingHourglass(2, increase=3)


@pytest.mark.parametrize("spread", [0.0, 0.7, 5.0])
def test_a_graphs_deformable_convolution_is_torchvisions(spread):
    x, offsets, weight = torch.randn(2, 5, 7, 9), spread * torch.randn(2, 18, 7, 9), torch.randn(6, 5, 3, 3)
    assert torch.allclose(deform_conv3x3(x, offsets, weight), deform_conv2d(x, offsets, weight, padding=1), atol=1e-4)
