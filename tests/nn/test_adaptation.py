import pytest
import torch

from poise.errors import InputError
from poise.nn.adaptation import AdaptationLayer, DomainDiscriminator, reverse_gradient


def features(*channels, size=8):
    torch.manual_seed(0)
    return [torch.randn(3, width, size >> i, size >> i, requires_grad=True) for i, width in enumerate(channels)]


def test_an_adaptation_layer_begins_as_the_identity_and_learns():
    layer, given = AdaptationLayer((6, 32)), features(6, 32)
    for training in (True, False):
        layer.train(training)
        assert all(torch.equal(a, b) for a, b in zip(layer(given), given, strict=True))
    layer.train()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        sum((one - 1).square().sum() for one in layer(given)).backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())
    assert not torch.equal(layer(given)[0], given[0])


def test_what_comes_before_a_reversal_raises_the_loss_that_what_comes_after_lowers():
    x = torch.full((1, 1, 1, 1), 2.0, requires_grad=True)
    weight = torch.tensor(3.0, requires_grad=True)
    (reverse_gradient(x) * weight).sum().backward()
    assert torch.equal(reverse_gradient(x), x)
    assert x.grad.item() == -3
    assert weight.grad.item() == 2


def test_a_discriminator_gives_two_answers_of_each_view_by_itself():
    made, given = DomainDiscriminator((6, 32), width=8, layers=1), features(6, 32)
    answer = made(given)
    assert answer.shape == (3, 2)
    alone = made([one[:1] for one in given])
    assert torch.allclose(alone, answer[:1], atol=1e-6)
    answer.sum().backward()
    assert all(p.grad is not None for p in made.parameters())
    assert all(one.grad.abs().sum() > 0 for one in given), "it looks at every map"


@pytest.mark.parametrize("channels", [(), (0,)])
def test_parts_without_feature_maps_are_refused(channels):
    with pytest.raises(InputError, match="found"):
        AdaptationLayer(channels)
    with pytest.raises(InputError, match="found"):
        DomainDiscriminator(channels)


@pytest.mark.parametrize("sizes", [{"width": 0}, {"layers": -1}])
def test_a_discriminator_that_cannot_be_is_refused(sizes):
    with pytest.raises(InputError, match="found"):
        DomainDiscriminator((3,), **sizes)


def test_features_cannot_raise_the_loss_of_a_discriminator_by_growing():
    made, given = DomainDiscriminator((6, 32)), features(6, 32)
    with torch.no_grad():
        assert torch.allclose(made([1000 * one for one in given]), made(given), atol=1e-5)
        assert made([0 * one for one in given]).isfinite().all()
    made(given).square().sum().backward()
    for one in given:
        assert (one * one.grad).sum().abs() < 1e-3 * (one.norm() * one.grad.norm()), "the gradient turns features, no more"
