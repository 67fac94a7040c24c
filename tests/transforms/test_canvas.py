from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from poise.errors import InputError
from poise.geometry import apply, invert
from poise.scenes import Canvas
from poise.transforms.canvas import canvas_warp, fitted_warp, place
from poise.transforms.render import denormalise

RULES = get_args(get_type_hints(Canvas)["rule"])
SIZES = st.tuples(st.integers(1, 900), st.integers(1, 900))


def grey(size: tuple[int, int], level: int = 200) -> torch.Tensor:
    return torch.full((*size, 3), level, dtype=torch.uint8).permute(2, 0, 1)


@settings(max_examples=60, deadline=None)
@given(SIZES, st.sampled_from(RULES), st.sampled_from(["long", "height"]), st.sampled_from(["corner", "middle"]))
def test_an_image_lies_whole_in_a_view_of_the_multiple_and_finds_home(size, rule, fit, lies):
    canvas = Canvas(side=96, multiple=32, rule=rule, fit=fit, place=lies)
    layout = canvas_warp(canvas, size)
    assert all(n % 32 == 0 and inside <= n < inside + 32 for n, inside in zip(layout.size, layout.inner, strict=True))
    corners = torch.tensor([[0.0, 0.0], [size[1] - 1.0, size[0] - 1.0]], dtype=torch.float64)
    moved = apply(layout.warp, corners)
    assert (moved[0] == torch.tensor(layout.corner, dtype=torch.float64)).all()
    last = moved[1] - moved[0] - torch.tensor([layout.inner[1] - 1.0, layout.inner[0] - 1.0], dtype=torch.float64)
    large = torch.tensor([size[1], size[0]]) > 1
    assert (last.abs()[large] < 1).all(), "the last pixel of the image is the last of its part of the view"
    torch.testing.assert_close(apply(invert(layout.warp), moved), corners, atol=1e-9, rtol=0)
    reference = max(size) if fit == "long" else size[0]
    if reference > 1:
        assert (max(layout.inner) if fit == "long" else layout.inner[0]) == 96


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (2, 3), (30, 2000), (5, 5)])
def test_images_smaller_than_a_cell_and_very_long_ones_have_views(rule, size):
    canvas = Canvas(side=64, multiple=64, rule=rule)
    view, warp = place(grey(size), canvas)
    assert view.shape[1] % 64 == 0 == view.shape[2] % 64
    assert torch.isfinite(view).all()
    assert torch.isfinite(invert(warp)).all()
    x, y = apply(warp, torch.zeros(1, 2, dtype=torch.float64))[0].round().long().tolist()
    assert (denormalise(view, canvas)[:, y, x] == 200).all(), "the image's first pixel is where the warp says"


@settings(max_examples=100, deadline=None)
@given(SIZES, st.tuples(st.integers(4, 900), st.integers(4, 900)), st.sampled_from(RULES))
def test_a_fitted_image_just_fits(size, view, rule):
    layout = fitted_warp(Canvas(rule=rule), size, view)
    assert layout.size == view
    assert all(inner <= n for inner, n in zip(layout.inner, view, strict=True))
    if min(size) > 1 and min(view) > 1 and max(size) / min(size) < max(view):
        assert any(inner >= n - 1 - n / min(size) for inner, n in zip(layout.inner, view, strict=True))


def test_pixels_and_keypoints_take_one_warp():
    rows, columns = np.mgrid[0:120, 0:200]
    spot = 255 * np.exp(-((rows - 80.0) ** 2 + (columns - 150.0) ** 2) / (2 * 8.0**2))
    image = torch.from_numpy(np.repeat(np.rint(spot).astype(np.uint8)[:, :, None], 3, axis=2)).permute(2, 0, 1)
    canvas = Canvas(side=320, multiple=64, place="middle", fill=(0.0, 0.0, 0.0))
    view, warp = place(image, canvas)
    weight = denormalise(view, canvas)[0].double()
    y, x = ((weight * grid).sum() / weight.sum() for grid in torch.meshgrid(*map(torch.arange, weight.shape), indexing="ij"))
    expected = apply(warp, torch.tensor([[150.0, 80.0]], dtype=torch.float64))[0]
    torch.testing.assert_close(torch.stack((x, y)), expected, atol=0.05, rtol=0)


@pytest.mark.parametrize("rule", RULES)
def test_what_is_added_has_the_colour_of_the_canvas(rule):
    canvas = Canvas(side=64, multiple=64, rule=rule, fill=(10.0, 20.0, 30.0))
    pixels = denormalise(place(grey((32, 64)), canvas)[0], canvas)
    assert (pixels[:, :32] == 200).all()
    assert (pixels[:, 33:] == torch.tensor([10, 20, 30])[:, None, None]).all()


def test_several_scales_are_views_of_several_sizes_that_show_the_same():
    canvas = Canvas(side=128, multiple=32, scales=(0.5, 1.0, 1.5))
    xy = torch.tensor([[50.0, 70.0]], dtype=torch.float64)
    views = [place(grey((100, 200)), canvas, factor) for factor in canvas.scales]
    assert [tuple(view.shape[1:]) for view, _ in views] == [(32, 64), (64, 128), (96, 192)]
    for _, warp in views:
        torch.testing.assert_close(apply(invert(warp), apply(warp, xy)), xy)


def test_a_canvas_of_nothing_is_refused():
    with pytest.raises(InputError):
        Canvas(side=0)
    with pytest.raises(InputError):
        Canvas(scales=())
