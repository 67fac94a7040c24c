import pytest
import torch
from torch import nn

from poise.nn.backbones.resnet import ResNet
from poise.nn.backbones.timm import TimmBackbone
from poise.nn.frozen import FrozenNorm, replace_norms


def settled(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    """With statistics and weights that are not those it starts with."""
    generator = torch.Generator().manual_seed(0)
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(norm, name).data.uniform_(0.1, 1, generator=generator)
    return norm.eval()


@pytest.mark.parametrize(("norm", "eps"), [("frozen", 1e-2), ("kept", 1e-2), ("bare", 0.0)])
def test_each_kind_is_the_formula_with_its_own_eps(norm, eps):
    learnt = settled(nn.BatchNorm2d(4, eps=1e-2))
    both = nn.Sequential(learnt)
    replace_norms(both, norm)
    x = torch.randn(2, 4, 3, 5)
    w, b, mean, var = (t[:, None, None] for t in (learnt.weight, learnt.bias, learnt.running_mean, learnt.running_var))
    assert torch.allclose(both(x), (x - mean) / (var + eps).sqrt() * w + b, atol=1e-5)
    assert torch.allclose(both.train()(x), both.eval()(x))


def test_nothing_of_a_frozen_norm_learns_or_counts():
    body = ResNet(18)
    before = sum(p.numel() for p in body.parameters())
    norms = sum(2 * m.num_features for m in body.modules() if isinstance(m, nn.BatchNorm2d))
    replace_norms(body, "kept")
    assert sum(p.numel() for p in body.parameters()) == before - norms
    assert list(body.bn1.state_dict()) == ["weight", "bias", "running_mean", "running_var", "eps"]
    assert not any("num_batches_tracked" in key for key in body.state_dict())


def test_bare_norms_keep_no_eps_among_the_weights():
    assert list(FrozenNorm(3).state_dict()) == ["weight", "bias", "running_mean", "running_var"]


def test_timms_norms_with_activations_within_give_the_same_answer_frozen():
    pytest.importorskip("timm")
    torch.manual_seed(0)
    body = TimmBackbone("mobilenetv4_conv_small", (64, 64)).eval()
    for module in body.modules():
        if isinstance(module, nn.BatchNorm2d):
            settled(module)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = body(x)
        replace_norms(body, "frozen")
        found = body(x)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in body.modules())
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(found, expected, strict=True))


def test_a_norm_that_begins_at_nothing_is_not_frozen_there_but_one_that_has_learnt_is():
    fresh = nn.BatchNorm2d(2)
    nn.init.zeros_(fresh.weight)  # as timm begins the last norm of a block
    trained = nn.BatchNorm2d(2)
    nn.init.zeros_(trained.weight)
    trained.running_mean.fill_(0.3)
    both = nn.Sequential(fresh, trained)
    replace_norms(both, "frozen")
    x = torch.randn(1, 2, 3, 3)
    torch.testing.assert_close(both[0](x), x, rtol=1e-4, atol=0)
    assert not both[1](x).any()
    with torch.device("meta"):
        replace_norms(nn.Sequential(nn.BatchNorm2d(2)), "frozen")
