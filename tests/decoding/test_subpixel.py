"""Ways to read the peak of a map, between the cells too."""

from dataclasses import replace
from typing import get_args

import pytest
import torch

from poise.codecs.dark import Dark
from poise.codecs.decoders import methods_of, read_as
from poise.codecs.gaussian import Gaussian
from poise.codecs.regression import Regression
from poise.codecs.simcc import SimCC
from poise.codecs.soft_argmax import SoftArgmax
from poise.codecs.udp import UDPGaussian
from poise.codecs.udp_offset import UDPOffset
from poise.decoding.gaussian_fit import centre_of_mass, fit_gaussian, fit_gaussian_and_variance
from poise.decoding.subpixel import SubpixelMethod, dark_blur_kernel, quarter_offset, rounding_error, soft_argmax
from poise.errors import UnknownName

SIZE, CELLS = (256, 192), (64, 48)


def places(count=40, *, seed=0):
    room = torch.tensor([191.0, 255.0]) - 80
    return 40 + room * torch.rand(count, 3, 2, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("reading", get_args(SubpixelMethod))
def test_every_subpixel_method_finds_gaussians_centred_on_keypoints(reading):
    codec = Dark(SIZE, CELLS, 3, reading=reading)
    xy = places()
    off = (codec.decode(codec.encode(xy)).xy - xy).abs().max() / max(codec.grid.scale)
    assert off <= rounding_error(reading)
    assert codec.tolerance == pytest.approx(rounding_error(reading) * codec.grid.scale[0])


@pytest.mark.parametrize("reading", ["dark", "udp", "fit3", "fit5"])
def test_subpixel_methods_are_more_exact_than_a_quarter_offset(reading):
    codec = Dark(SIZE, CELLS, 3, reading="quarter")
    xy = places()
    output = codec.encode(xy)
    rough, fine = ((part.decode(output).xy - xy).norm(dim=-1).mean() for part in (codec, replace(codec, reading=reading)))
    assert fine < rough / 100


@pytest.mark.parametrize(("kind", "own"), [(Gaussian, "quarter"), (Dark, "dark"), (UDPGaussian, "udp")])
def test_a_codec_decodes_in_its_own_way_by_default(kind, own):
    codec = kind(SIZE, CELLS, 3)
    output = codec.encode(places()) + 0.05 * torch.randn(40, 3, *CELLS, generator=torch.Generator().manual_seed(1))
    assert torch.equal(codec.decode(output).xy, replace(codec, reading=own).decode(output).xy)


def test_another_reading_changes_neither_grid_nor_labels_nor_loss():
    codec = Gaussian(SIZE, CELLS, 3)
    other = read_as(codec, "dark")
    xy, visible = places(), torch.full((40, 3), 2)
    assert other.grid == codec.grid
    assert torch.equal(other.encode(xy), codec.encode(xy))
    assert torch.equal(other.loss(codec.encode(xy + 3), xy, visible), codec.loss(codec.encode(xy + 3), xy, visible))


def test_udp_is_hrnet_with_other_cells_gaussians_and_reading():
    hrnet = Gaussian(SIZE, CELLS, 3, exact=True, lattice="cornered", shift_flipped=False, reading="udp")
    udp = UDPGaussian(SIZE, CELLS, 3)
    xy = places()
    output = udp.encode(xy)
    assert torch.equal(hrnet.encode(xy), output)
    assert torch.equal(hrnet.decode(output).xy, udp.decode(output).xy)


@pytest.mark.parametrize(("codec", "message"), [
    (Gaussian(SIZE, CELLS, 3), "there is no reading 'drk'; did you mean 'dark'"),
    (UDPOffset(SIZE, CELLS, 3), "there is no reading 'drk'"),
    (SimCC(SIZE, CELLS, 3), "there is no reading 'drk'"),
])  # fmt: skip
def test_an_unknown_subpixel_method_is_refused(codec, message):
    with pytest.raises(UnknownName, match=message):
        read_as(codec, "drk")


def test_codecs_without_maps_have_one_way_of_decoding():
    codec = Regression(SIZE, CELLS, 3)
    assert methods_of(codec) == ()
    with pytest.raises(ValueError, match="outputs of Regression can be read in one way only"):
        read_as(codec, "dark")


@pytest.mark.parametrize("reach", [1, 2])
@pytest.mark.parametrize("at", [(0.3, 5.2), (0.0, 7.4), (9.2, 8.1), (5.4, 5.5)])
def test_a_noiseless_gaussian_is_fitted_exactly_at_the_border_too(at, reach):
    x, y = torch.meshgrid(torch.arange(10.0), torch.arange(12.0), indexing="xy")
    maps = 0.3 * torch.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 1.7**2)).double()[None]
    cells = torch.tensor([[round(at[0]), round(at[1])]])
    middle, variance = fit_gaussian_and_variance(maps, cells, reach=reach)
    assert torch.allclose(middle, torch.tensor([at]).double(), atol=1e-5)
    assert variance.item() == pytest.approx(1.7**2, rel=1e-4)


@pytest.mark.parametrize("values", [torch.zeros(5, 5), torch.ones(5, 5), torch.full((5, 5), torch.nan), -torch.ones(5, 5)])
def test_a_map_that_no_gaussian_fits_is_decoded_at_its_highest_cell(values):
    cells = torch.tensor([[2, 3]])
    assert fit_gaussian(values[None], cells, reach=1).tolist() == [[2, 3]]


def test_a_valley_is_no_gaussian():
    x = torch.arange(-3.0, 4)
    valley = 0.1 + x[:, None] ** 2 + x**2
    assert fit_gaussian(valley[None], torch.tensor([[3, 3]]), reach=1).tolist() == [[3, 3]]


def test_the_centre_of_mass_leaves_out_what_is_below_0():
    maps = torch.zeros(1, 5, 5)
    maps[0, 2, 2], maps[0, 2, 3], maps[0, 1, 2] = 3, 1, -5
    assert centre_of_mass(maps, torch.tensor([[2, 2]]), reach=1).tolist() == [[2.25, 2]]


@pytest.mark.parametrize("beta", [1.0, 10.0, 160.0])
@pytest.mark.parametrize("shape", [(6, 64, 48), (3, 7, 5), (2, 1, 1), (0, 8, 6)])
def test_soft_argmax_is_the_mean_under_a_softmax(beta, shape):
    maps = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    share = (beta * maps.double()).flatten(1).softmax(dim=1).view(shape)
    x = (share.sum(dim=1) * torch.arange(shape[2])).sum(dim=1)
    y = (share.sum(dim=2) * torch.arange(shape[1])).sum(dim=1)
    assert torch.allclose(soft_argmax(maps, beta=beta).double(), torch.stack((x, y), dim=1), atol=1e-4)


def test_the_score_of_soft_argmax_is_the_value_at_the_mean():
    codec = SoftArgmax((40, 40), (10, 10), 1)
    output = torch.zeros(1, 1, 10, 10)
    output[0, 0, 5, 1] = output[0, 0, 5, 7] = 1  # the mean is between them, where nothing is
    found = codec.decode(output)
    assert found.score.item() == 0
    assert codec.grid.to_cells(found.xy)[0, 0].tolist() == pytest.approx([4, 5], abs=1e-4)


def test_soft_argmax_refuses_a_softmax_upside_down():
    with pytest.raises(ValueError, match="beta above 0"):
        SoftArgmax(SIZE, CELLS, 3, beta=-1.0)


def test_the_usual_kernels_of_dark():
    assert [dark_blur_kernel(sigma) for sigma in (0.5, 1.0, 2.0, 3.0)] == [3, 5, 11, 17]


def test_a_quarter_offset_depends_on_both_axes_or_on_each():
    maps = torch.zeros(1, 6, 6)
    maps[0, 3, 1], maps[0, 2, 1], maps[0, 3, 2] = 2, 1, 1
    cells = torch.tensor([[1, 3]])
    assert quarter_offset(maps, cells, cells).tolist() == [[1, 3]]
    assert quarter_offset(maps, cells, cells, border="each axis").tolist() == [[1, 2.75]]


@pytest.mark.parametrize(
    ("form", "off"),
    [
        ({"shift_flipped": False}, -1.5),
        ({}, 0.5),
        ({"compensate": True}, 0.0),
        ({"shift_flipped": False, "compensate": True}, 0.0),
        ({"shift_flipped": False, "lattice": "cornered"}, 0.0),
    ],
    ids=["flip", "shift", "shift-compensated", "flip-compensated", "unbiased"],
)
def test_the_error_of_the_flip_test_is_that_of_udps_paper(form, off):
    # Of a stride of 4: (s - 1) / 2s cells without a shift, 1 / 2s with one.
    codec = Gaussian(SIZE, CELLS, 3, exact=True, reading="fit5", sigma=3.0, **form)
    xy, flip = places(), torch.tensor([0, 2, 1])
    mirrored = torch.stack((SIZE[1] - 1 - xy[..., 0], xy[..., 1]), dim=-1)[:, flip]
    mean = (codec.encode(xy) + codec.unflip(codec.encode(mirrored), flip)) / 2
    error = (codec.decode(mean).xy - xy).mean(dim=(0, 1))
    assert error[0].item() == pytest.approx(off, abs=0.02)
    assert error[1].item() == pytest.approx(0, abs=0.02)
