"""What codecs with maps share: the highest cell, the blur, weights."""

import cv2
import numpy as np
import pytest
import torch

from poise.codecs.dark import Dark
from poise.codecs.gaussian import Gaussian
from poise.codecs.maps import gaussian, round_half_up
from poise.codecs.udp import UDPGaussian
from poise.decoding.blur import _blurred_as_images as blurred_as_images
from poise.decoding.blur import blur_taps, iterate_blurred
from poise.decoding.subpixel import argmax_cells

KINDS = [Gaussian, Dark, UDPGaussian]


def test_the_first_of_equal_cells_is_the_highest():
    maps = torch.zeros(1, 3, 4)
    maps[0, 1, 2] = maps[0, 2, 0] = 5
    cells, score = argmax_cells(maps)
    assert cells.tolist() == [[2, 1]]
    assert score.tolist() == [5]


def test_a_map_without_a_positive_cell_is_highest_at_the_origin():
    maps = torch.full((1, 3, 4), -2.0)
    maps[0, 2, 3] = -1
    cells, score = argmax_cells(maps)
    assert cells.tolist() == [[0, 0]]
    assert score.tolist() == [-1]


def test_halves_are_rounded_up_and_negatives_towards_zero():
    assert round_half_up(torch.tensor([0.49, 0.5, 1.5, -0.4, -1.6, -7.25])).tolist() == [0, 1, 2, 0, -1, -6]


def test_gaussians_never_underflow():
    values = gaussian(torch.arange(2000.0).view(1, 1, -1), 2.0)
    product = values[0, 0, :, None] * values[0, 0]
    smallest = product[product > 0].min()
    assert smallest >= torch.finfo(torch.float32).tiny
    assert (values[0, 0, 100:] == 0).all()


@pytest.mark.parametrize("size", [3, 5, 7, 9, 11, 17])
def test_taps_are_those_of_opencv(size):
    assert sum(blur_taps(size)) == pytest.approx(1)
    impulse = np.zeros((1, 41), np.float32)
    impulse[0, 20] = 1
    expected = cv2.GaussianBlur(impulse, (size, 1), 0)[0, 20 - size // 2 : 21 + size // 2]
    if size != 9:  # in OpenCV's table only since version 4.11
        np.testing.assert_allclose(blur_taps(size), expected, atol=1e-6)


@pytest.mark.parametrize("border", ["zeros", "mirror"])
@pytest.mark.parametrize("shape", [(1, 64, 48), (70, 33, 45), (3, 9, 8)])
def test_both_ways_to_blur_agree(border, shape):
    maps = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    expected = blurred_as_images(maps, 7, border)
    seen = torch.zeros(len(maps))
    for some, smooth in iterate_blurred(maps, 7, border):
        assert torch.allclose(smooth.permute(2, 0, 1), expected[some], atol=1e-6)
        seen[some] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_keypoints_out_of_reach_have_no_weight_and_an_empty_map(kind):
    codec = kind((256, 192), (64, 48), 3)
    xy = torch.tensor([[[96.0, 128.0], [96.0, -40.0], [250.0, 128.0]]])
    assert codec.weights(xy, torch.ones(1, 3, dtype=torch.int64)).tolist() == [[1, 0, 0]]
    assert codec.encode(xy).amax(dim=(-2, -1))[0].tolist() == pytest.approx([1, 0, 0], abs=0.1)


def test_a_keypoint_that_just_misses_the_map_keeps_its_weight():
    # As the releases: the window ends exactly before cell 0, and the test lets it pass.
    codec = Gaussian((256, 192), (64, 48), 1)
    xy = torch.tensor([[[-30.0, 128.0]]])
    assert codec.weights(xy, torch.ones(1, 1, dtype=torch.int64)).tolist() == [[1]]
    assert codec.encode(xy).max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_joint_weights_and_ohkm_change_the_loss(kind):
    size, cells = (64, 48), (16, 12)
    xy = torch.rand(2, 4, 2, generator=torch.Generator().manual_seed(0)) * 40
    visible = torch.tensor([[2, 1, 0, 2], [2, 2, 2, 0]])
    output = torch.rand(2, 4, *cells, generator=torch.Generator().manual_seed(1))
    plain = kind(size, cells, 4, sigma=1.0)
    weighted = kind(size, cells, 4, sigma=1.0, joint_weights=(2.0,) * 4)
    assert torch.allclose(weighted.loss(output, xy, visible), 4 * plain.loss(output, xy, visible))
    hardest = [kind(size, cells, 4, sigma=1.0, ohkm=n).loss(output, xy, visible) for n in (1, 2, 4)]
    assert hardest[0] > hardest[1] > hardest[2]
    assert torch.allclose(hardest[2], plain.loss(output, xy, visible))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sigma": 0.0}, "sigma above 0"),
        ({"joint_weights": (1.0,)}, "1 joint weights were given for 3"),
        ({"ohkm": 4}, "must be 1 to 3"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_fields_that_make_no_loss_are_refused(kind, changed, message):
    with pytest.raises(ValueError, match=message):
        kind((64, 48), (16, 12), 3, **changed)


def test_dark_refuses_an_even_kernel():
    with pytest.raises(ValueError, match="odd kernel"):
        Dark((64, 48), (16, 12), 3, kernel=10)


def test_dark_steps_in_the_whole_map_as_it_does_around_the_peak():
    # Noise around the peaks goes below 0, so the floor under the logarithm and the scale of the whole map count.
    codec = Dark((256, 192), (64, 48), 17)
    maps = torch.randn(4, 17, 64, 48, generator=torch.Generator().manual_seed(0))
    found = codec.grid.to_cells(codec.decode(maps).xy)
    smooth = codec.smooth(maps.flatten(0, 1)).clamp(min=1e-10)
    cells, _ = argmax_cells(maps.flatten(0, 1))
    for n, (x, y) in enumerate(cells.tolist()):
        if 1 < x < 46 and 1 < y < 62:
            log = smooth[n, y - 2 : y + 3, x - 2 : x + 3].log().double()
            gradient = torch.stack((log[2, 3] - log[2, 1], log[3, 2] - log[1, 2])) / 2
            dxy = (log[3, 3] - log[1, 3] - log[3, 1] + log[1, 1]) / 4
            dxx, dyy = (log[2, 4] - 2 * log[2, 2] + log[2, 0]) / 4, (log[4, 2] - 2 * log[2, 2] + log[0, 2]) / 4
            hessian = torch.stack((torch.stack((dxx, dxy)), torch.stack((dxy, dyy))))
            step = -torch.linalg.solve(hessian, gradient) if hessian.det() != 0 else torch.zeros(2)
            expected = torch.tensor([x, y]) + step.double()
            assert torch.allclose(found.flatten(0, 1)[n].double(), expected, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_highest_value_is_the_score(kind):
    codec = kind((256, 192), (64, 48), 5)
    output = codec.encode(40 + 100 * torch.rand(12, 5, 2, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(codec.decode(output).score, output.amax(dim=(-2, -1)))
