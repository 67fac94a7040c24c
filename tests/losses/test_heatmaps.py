"""Losses of maps against plain autograd, and the targets that are never made."""

import pytest
import torch

from poise.losses.heatmaps import mean_squares, mse, ohkm, ohkm_squares, outer_squares, squares


@pytest.fixture
def parts():
    random = torch.Generator().manual_seed(0)
    output = torch.randn(3, 5, 7, 6, generator=random, dtype=torch.float64)
    column, row = (torch.rand(3, 5, n, generator=random, dtype=torch.float64) for n in (7, 6))
    weight = torch.rand(3, 5, generator=random, dtype=torch.float64)
    return output, column, row, weight


def test_mse_is_half_the_mean_of_weighted_squared_differences():
    output, target = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    weight = torch.tensor([[1.0, 0.0, 1.5], [2.0, 1.0, 0.0]])
    expected = 0.5 * ((output - target) * weight[..., None, None]).square().mean()
    assert torch.allclose(mse(output, target, weight), expected)


def test_ohkm_counts_the_hardest_keypoints_of_each_view_only():
    output = torch.zeros(2, 4, 2, 2)
    output[0, 1], output[0, 2], output[1, 3] = 1, 2, 4
    expected = torch.tensor([(4 + 1) / 2, (16 + 0) / 2]).mean() / 2
    assert torch.allclose(ohkm(output, torch.zeros_like(output), top=2), expected)


@pytest.mark.parametrize("top", [0, 5])
def test_ohkm_of_more_keypoints_than_there_are_is_refused(top):
    with pytest.raises(ValueError, match="choose between 1 and all of them"):
        ohkm(torch.zeros(1, 4, 2, 2), torch.zeros(1, 4, 2, 2), top=top)


def test_the_distance_from_a_product_is_that_from_the_map_it_makes(parts):
    output, column, row, _ = parts
    made = column[..., None] * row[..., None, :]
    assert torch.allclose(outer_squares(output, column, row), squares(output, made))


@pytest.mark.parametrize("worst", [None, 2])
def test_gradients_are_those_of_plain_autograd(parts, worst):
    output, column, row, weight = parts
    found, expected = output.clone().requires_grad_(), output.clone().requires_grad_()
    loss = mean_squares if worst is None else lambda *args, cells: ohkm_squares(*args, cells=cells, top=worst)
    (3 * loss(outer_squares(found, column, row), weight, cells=42)).backward()
    (3 * loss(squares(expected, column[..., None] * row[..., None, :]), weight, cells=42)).backward()
    assert torch.allclose(found.grad, expected.grad)


def test_a_retained_graph_can_be_differentiated_twice(parts):
    output, column, row, _ = parts
    output.requires_grad_()
    distance = outer_squares(output, column, row).sum()
    first = torch.autograd.grad(distance, output, retain_graph=True)[0].clone()
    second = torch.autograd.grad(distance, output)[0]
    assert torch.equal(first, second)


def test_the_output_is_left_as_it_was(parts):
    output, column, row, _ = parts
    before = output.clone()
    output.requires_grad_()
    outer_squares(output, column, row).sum().backward()
    assert torch.equal(output.detach(), before)
