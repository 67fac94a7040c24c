import pytest
import torch

from poise.errors import UnknownName
from poise.nn.attention import GlobalContext, SqueezeExcite, hidden_channels


def maps(channels=32):
    return torch.randn(2, channels, 5, 7, generator=torch.Generator().manual_seed(0))


def stirred(module):
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return module


def test_a_new_block_that_adds_changes_nothing():
    x = maps()
    assert torch.equal(GlobalContext(32)(x), x)


def test_what_is_added_is_the_same_in_every_cell_and_what_multiplies_lies_between_0_and_1():
    x = maps()
    added = stirred(GlobalContext(32, fusion="add"))(x) - x
    assert (added - added[..., :1, :1]).abs().max() < 1e-5
    factor = stirred(GlobalContext(32, fusion="multiply"))(x) / x
    assert (factor - factor[..., :1, :1]).abs().max() < 1e-4
    assert factor.min() > 0
    assert factor.max() < 1


def test_both_fusions_scale_first_and_then_add():
    x, block = maps(), stirred(GlobalContext(32, fusion="multiply_add"))
    scaled = x * block.channel_mul_conv(block._pooled(x)).sigmoid()
    assert torch.allclose(block(x), scaled + block.channel_add_conv(block._pooled(x)), atol=1e-6)


def test_attention_that_sees_no_difference_is_the_average():
    x, attention = maps(), stirred(GlobalContext(32, "attention"))
    average = GlobalContext(32, "average")
    torch.nn.init.zeros_(attention.conv_mask.weight)
    average.load_state_dict({k: v for k, v in attention.state_dict().items() if "conv_mask" not in k})
    assert torch.allclose(attention(x), average(x), atol=1e-5)
    torch.nn.init.normal_(attention.conv_mask.weight)
    assert not torch.allclose(attention(x), average(x), atol=1e-2)


def test_squeeze_and_excite_scales_channels():
    x = maps()
    factor = stirred(SqueezeExcite(32))(x) / x
    assert (factor - factor[..., :1, :1]).abs().max() < 1e-4
    assert factor.max() <= 1


@pytest.mark.parametrize(("channels", "width"), [(16, 16), (64, 16), (256, 16), (512, 32)])
def test_blocks_are_a_sixteenth_as_wide_inside_and_at_least_16(channels, width):
    assert hidden_channels(channels) == width


def test_errors_for_unknown_poolings_and_fusions_list_the_known_ones():
    with pytest.raises(UnknownName, match="'average'"):
        GlobalContext(32, "averge")
    with pytest.raises(UnknownName, match="add, multiply"):
        GlobalContext(32, fusion="xyz")
