import pytest
import torch

from poise.errors import InputError
from poise.nn.backbones.hourglass import HourglassStem
from poise.nn.base import Network
from poise.nn.heads.hourglass import Hourglass, HourglassHead


def network(stacks=2, blocks=1, channels=5, features=16):
    return Network(HourglassStem(features), HourglassHead(features, channels, stacks=stacks, blocks=blocks))


@pytest.mark.parametrize("size", [(64, 64), (128, 96), (100, 68), (76, 124)])
@pytest.mark.parametrize("stacks", [1, 3])
def test_every_stack_has_an_output_of_stride_4_also_if_levels_halve_unevenly(size, stacks):
    with torch.no_grad():
        answers = network(stacks).eval()(torch.randn(1, 3, *size))
    assert [tuple(a.shape) for a in answers] == [(1, 5, size[0] // 4, size[1] // 4)] * stacks


def test_views_whose_levels_halve_evenly_are_repeated_cell_by_cell_on_the_way_up():
    hourglass = Hourglass(8, 1).eval()
    with torch.no_grad():
        for past, *_ in hourglass.hg:  # only what comes from the bottom is left
            past[0].downsample = torch.nn.Conv2d(8, 8, 1, bias=False)
            for module in (past[0].downsample, past[0].conv3):
                torch.nn.init.zeros_(module.weight)
            torch.nn.init.zeros_(past[0].conv3.bias)
        answer = hourglass(torch.randn(1, 8, 32, 32))
    coarse = answer[..., ::2, ::2]
    assert torch.equal(answer, coarse.repeat_interleave(2, -1).repeat_interleave(2, -2))


def test_a_later_stack_reads_the_output_of_the_earlier_one():
    net = network(2).eval()
    view = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = net(view)
        net.head.final[0].bias += 1
        after = net(view)
    assert not torch.allclose(before[1], after[1])
    assert torch.allclose(before[0] + 1, after[0], atol=1e-5)


def test_the_first_output_does_not_depend_on_later_stacks():
    net = network(2).eval()
    view = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = net(view)[0]
        torch.nn.init.zeros_(net.head.final[1].weight)
        assert torch.equal(before, net(view)[0])


def test_impossible_numbers_are_refused():
    with pytest.raises(InputError, match="multiple of 4"):
        HourglassStem(6)
    with pytest.raises(InputError, match="at least 1"):
        HourglassHead(16, 5, stacks=0, blocks=1)
