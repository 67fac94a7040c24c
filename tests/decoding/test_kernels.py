"""The compiled blur against OpenCV's, and where numba can keep nothing."""

import cv2
import numba
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from poise import machine
from poise.decoding.blur import (
    _blurred_as_images,
    _peaks_of_images,
    blur_taps,
    blurred_at,
    blurred_extremes,
    blurred_peaks,
    iterate_blurred,
)

EDGES = {"zeros": cv2.BORDER_CONSTANT, "mirror": cv2.BORDER_REFLECT_101}
SHAPES = [(40, 64, 48), (3, 33, 45), (1, 2, 3), (2, 1, 1), (130, 4, 9)]


@pytest.fixture
def maps(request):
    return torch.randn(request.param, generator=torch.Generator().manual_seed(0))


def by_opencv(maps, size, border):
    taps = np.array(blur_taps(size), np.float32)
    return np.stack([cv2.sepFilter2D(m, -1, taps, taps, borderType=EDGES[border]) for m in maps.numpy()])


@pytest.mark.parametrize("border", ["zeros", "mirror"])
@pytest.mark.parametrize("size", [3, 7, 11])
@pytest.mark.parametrize("maps", SHAPES, indirect=True)
def test_maps_of_any_size_are_blurred_as_opencv_does(maps, size, border):
    expected = by_opencv(maps, size, border)
    for some, smooth in iterate_blurred(maps, size, border):
        np.testing.assert_allclose(smooth.permute(2, 0, 1), expected[some], atol=1e-6)
    low, high = blurred_extremes(maps, size, border)
    np.testing.assert_allclose(low, expected.min(axis=(1, 2)), atol=1e-6)
    np.testing.assert_allclose(high, expected.max(axis=(1, 2)), atol=1e-6)


@pytest.mark.parametrize("maps", SHAPES, indirect=True)
def test_the_cells_that_are_asked_for_are_those_of_the_blurred_map(maps):
    index = torch.randint(maps[0].numel(), (len(maps), 4), generator=torch.Generator().manual_seed(1))
    expected = torch.from_numpy(by_opencv(maps, 7, "mirror")).flatten(1).gather(1, index)
    assert torch.allclose(blurred_at(maps, index, 7, "mirror")[0], expected, atol=1e-6)


def test_a_nan_stays_in_its_map():
    maps = torch.ones(20, 16, 16)
    maps[3, 8, 8] = torch.nan
    values = torch.cat([smooth.permute(2, 0, 1).clone() for _, smooth in iterate_blurred(maps, 7, "mirror")])
    assert values.isnan().flatten(1).any(dim=1).nonzero().tolist() == [[3]]
    assert values.isnan().sum() == 49


def test_without_a_folder_that_can_be_written_the_blur_is_compiled_all_the_same(monkeypatch):
    compile_only = numba.njit

    def njit(*, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function")
        return compile_only(**options)

    maps = torch.randn(2, 9, 8, generator=torch.Generator().manual_seed(0))
    machine.compiled.cache_clear()
    monkeypatch.setattr(numba, "njit", njit)
    try:
        low, _ = blurred_extremes(maps, 3, "zeros")
    finally:
        machine.compiled.cache_clear()
    np.testing.assert_allclose(low, by_opencv(maps, 3, "zeros").min(axis=(1, 2)), atol=1e-6)


def highest_by_hand(maps, size, margin, count):
    """Cell after cell of what OpenCV smooths, each emptied before the next is looked for."""
    wide = np.pad(maps.numpy(), ((0, 0), (margin, margin), (margin, margin)))
    smooth = by_opencv(torch.from_numpy(wide), size, "zeros")
    found = np.empty((len(maps), count, 2), int)
    for i, one in enumerate(smooth):
        for peak in range(count):
            y, x = np.unravel_index(one.argmax(), one.shape)
            found[i, peak], one[y, x] = (x - margin, y - margin), 0
    return found


@pytest.mark.parametrize("margin", [0, 2, 10])
@pytest.mark.parametrize("size", [5, 21])
@pytest.mark.parametrize("maps", SHAPES, indirect=True)
def test_the_highest_cells_are_found_one_after_another_around_the_maps_too(maps, size, margin):
    maps = maps.abs()  # emptied cells are lower than all others
    cells, values = blurred_peaks(maps, size, "zeros", count=3, margin=margin)
    assert (values[:, 1:] <= values[:, :1]).all()
    expected = highest_by_hand(maps, size, margin, 3)
    many = maps[0].numel() > 6  # else blurs of this width are flat and rounding says which cell is higher
    assert not many or (cells.numpy() == expected).all(axis=-1).mean() > 0.99
    assert ((cells >= -margin) & (cells < torch.tensor(maps.shape[:0:-1]) + margin)).all()


def test_other_devices_find_the_same_cells():
    maps = torch.rand(40, 20, 15, generator=torch.Generator().manual_seed(3))
    maps[5, 4, 4] = torch.nan
    for margin in (0, 2):
        cells, values = blurred_peaks(maps, 5, "zeros", count=3, margin=margin, tie=1e-6)
        smooth = _blurred_as_images(F.pad(maps, (margin,) * 4), 5, "zeros")
        others, heights = _peaks_of_images(smooth, 3, tie=1e-6)
        torch.testing.assert_close(cells, others - margin)
        torch.testing.assert_close(values, heights)


def test_of_equally_high_cells_the_first_row_after_row_is_taken():
    maps = torch.zeros(2, 9, 12)
    maps[:, 2, 9] = maps[:, 6, 3] = 1
    maps[1, 6, 3] += 1e-5
    cells, values = blurred_peaks(maps, 3, "zeros", tie=1e-6)
    assert cells[:, 0].tolist() == [[9, 2], [3, 6]]
    assert blurred_peaks(maps, 3, "zeros", tie=1e-4)[0][:, 0].tolist() == [[9, 2], [9, 2]]
    assert values[0] == pytest.approx(0.25)


def test_peaks_pass_nans_over_and_find_infinite_cells():
    maps = torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(0))
    maps[0, 3, 3], maps[1, 3, 3], maps[2] = torch.nan, torch.inf, torch.nan
    maps[0, 8, 8] = 50
    cells, values = blurred_peaks(maps, 3, "mirror")
    assert cells[0, 0].tolist() == [8, 8]
    assert ((cells[1, 0] - 3).abs() <= 1).all()
    assert values[1] == torch.inf
    assert values[2] == -torch.inf
