"""The compiled blur against OpenCV's, and where numba can keep nothing."""

import cv2
import numba
import numpy as np
import pytest
import torch

from poise import machine
from poise.codecs.blur import blur_taps, blurred, blurred_at, blurred_extremes

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
    for some, smooth in blurred(maps, size, border):
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
    values = torch.cat([smooth.permute(2, 0, 1).clone() for _, smooth in blurred(maps, 7, "mirror")])
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
