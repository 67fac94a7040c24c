from dataclasses import replace
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from poise.errors import InputError
from poise.geometry import apply, invert
from poise.scenes import Canvas
from poise.transforms.canvas import (
    CENTRED_RULES,
    box_warp,
    boxes_to_image,
    boxes_to_view,
    canvas_layout,
    fitted_layout,
    letterbox,
)
from poise.transforms.render import denormalise

RULES = get_args(get_type_hints(Canvas)["rule"])
FITTED = tuple(rule for rule in RULES if rule not in CENTRED_RULES)
"""Rules that fit one side and pad at the end or on both sides; the others have laws below."""

CENTRED = ("unbiased", "offsetguided")
"""Rules that move the corners' centres onto each other."""
SIZES = st.tuples(st.integers(1, 900), st.integers(1, 900))


def grey(size: tuple[int, int], level: int = 200) -> torch.Tensor:
    return torch.full((*size, 3), level, dtype=torch.uint8).permute(2, 0, 1)


@given(SIZES, st.sampled_from(FITTED), st.sampled_from(["long", "height", "short"]), st.sampled_from(["corner", "middle"]))
def test_a_view_holds_the_whole_image_its_sides_are_multiples_and_its_warp_can_be_inverted(size, rule, fit, lies):
    canvas = Canvas(side=96, multiple=32, rule=rule, fit=fit, place=lies)
    layout = canvas_layout(canvas, size)
    assert all(n % 32 == 0 and inside <= n < inside + 32 for n, inside in zip(layout.size, layout.inner, strict=True))
    corners = torch.tensor([[0.0, 0.0], [size[1] - 1.0, size[0] - 1.0]], dtype=torch.float64)
    moved = apply(layout.warp, corners)
    torch.testing.assert_close(apply(invert(layout.warp), moved), corners, atol=1e-9, rtol=0)
    way = box_warp(Canvas(rule=rule), layout.warp)
    torch.testing.assert_close(apply(way, corners)[0], torch.tensor(layout.corner, dtype=torch.float64), atol=1e-9, rtol=0)
    if rule not in CENTRED:
        corners[1] += 1
        moved = apply(way, corners)
        moved[1] -= 1
    last = moved[1] - moved[0] - torch.tensor([layout.inner[1] - 1.0, layout.inner[0] - 1.0], dtype=torch.float64)
    large = torch.tensor([size[1], size[0]]) > 1
    assert (last.abs()[large] < 1).all(), "the last pixel of the image is the last of its part of the view"
    reference = {"long": max(size), "short": min(size), "height": size[0]}[fit]
    if reference > 1:
        fitted = {"long": max(layout.inner), "short": min(layout.inner), "height": layout.inner[0]}[fit]
        assert fitted == 96 or (rule not in CENTRED and fitted == 95), "releases round what is no whole number down"


@pytest.mark.parametrize("rule", FITTED)
@pytest.mark.parametrize(("size", "expected"), [((300, 400), (240, 320)), ((400, 300), (320, 240)), ((100, 400), (100, 400))])
def test_a_short_side_is_fitted_as_long_as_the_long_one_stays_within_its_limit(rule, size, expected):
    layout = canvas_layout(Canvas(side=240, most=400, fit="short", multiple=1, rule=rule), size)
    assert all(abs(a - b) <= 1 for a, b in zip(layout.inner, expected, strict=True))


@given(SIZES, st.sampled_from(CENTRED_RULES))
def test_rules_about_the_middle_put_the_whole_image_into_the_view_with_its_middle_in_the_middle(size, rule):
    layout = canvas_layout(Canvas(side=96, multiple=32, rule=rule, fit="short"), size)
    assert all(n % 32 == 0 for n in layout.size)
    assert rule != "mmpose" or layout.size == (96, 96)
    ends = torch.tensor([[0.0, 0.0], [size[1], size[0]]], dtype=torch.float64)
    first, last = apply(layout.warp, ends)
    view = torch.tensor([layout.size[1], layout.size[0]], dtype=torch.float64)
    factor = float(layout.warp[0, 0])
    torch.testing.assert_close((first + last) / 2, view / 2, atol=0.51 * factor, rtol=0)
    assert ((last - first) <= view + 1e-6).all()
    torch.testing.assert_close(apply(invert(layout.warp), apply(layout.warp, ends)), ends, atol=1e-9, rtol=0)


def test_a_limit_of_the_long_side_without_a_short_one_is_refused():
    with pytest.raises(InputError, match="needs fit 'short'"):
        Canvas(most=1333)
    with pytest.raises(InputError, match="at least `side`"):
        Canvas(side=800, fit="short", most=640)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (2, 3), (30, 2000), (5, 5)])
def test_images_smaller_than_a_cell_and_very_long_ones_have_views(rule, size):
    canvas = Canvas(side=64, multiple=64, rule=rule)
    view, warp = letterbox(grey(size), canvas)
    assert view.shape[1] % 64 == 0 == view.shape[2] % 64
    assert torch.isfinite(view).all()
    assert torch.isfinite(invert(warp)).all()
    if rule in CENTRED_RULES:
        return  # a thin image has no pixel of its own in a view that is sampled at other places
    x, y = apply(warp, torch.zeros(1, 2, dtype=torch.float64))[0].round().long().tolist()
    assert (denormalise(view, canvas)[:, y, x] == 200).all(), "the image's first pixel is where the warp says"


@given(SIZES, st.tuples(st.integers(4, 900), st.integers(4, 900)), st.sampled_from(RULES))
@example(size=(39, 108), view=(4, 11), rule="unbiased")
@example(size=(103, 17), view=(16, 4), rule="torchvision")
def test_a_fitted_image_just_fits(size, view, rule):
    layout = fitted_layout(Canvas(rule=rule), size, view)
    assert layout.size == view
    assert all(inner <= n for inner, n in zip(layout.inner, view, strict=True))
    if min(size) > 1 and min(view) > 1 and max(size) / min(size) < max(view):
        assert any(inner >= n - 1 - n / min(size) for inner, n in zip(layout.inner, view, strict=True))


def test_pixels_and_keypoints_take_one_warp():
    rows, columns = np.mgrid[0:120, 0:200]
    spot = 255 * np.exp(-((rows - 80.0) ** 2 + (columns - 150.0) ** 2) / (2 * 8.0**2))
    image = torch.from_numpy(np.repeat(np.rint(spot).astype(np.uint8)[:, :, None], 3, axis=2)).permute(2, 0, 1)
    canvas = Canvas(side=320, multiple=64, place="middle", fill=(0.0, 0.0, 0.0))
    view, warp = letterbox(image, canvas)
    weight = denormalise(view, canvas)[0].double()
    y, x = ((weight * grid).sum() / weight.sum() for grid in torch.meshgrid(*map(torch.arange, weight.shape), indexing="ij"))
    expected = apply(warp, torch.tensor([[150.0, 80.0]], dtype=torch.float64))[0]
    torch.testing.assert_close(torch.stack((x, y)), expected, atol=0.05, rtol=0)


@pytest.mark.parametrize("size", [(120, 150), (97, 64), (427, 640), (40, 30)])
def test_torchvisions_rule_gives_torchvisions_views(size):
    theirs = GeneralizedRCNNTransform(96, 160, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    image = torch.randint(0, 256, (3, *size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    expected, _ = theirs([image / 255])
    canvas = Canvas(side=96, most=160, fit="short", multiple=32, rule="torchvision")
    view, warp = letterbox(image.permute(1, 2, 0).contiguous().permute(2, 0, 1), canvas)
    assert (canvas_layout(canvas, size).inner, view.shape) == (expected.image_sizes[0], expected.tensors[0].shape)
    torch.testing.assert_close(view, expected.tensors[0], atol=1e-5, rtol=0)
    ratio = [new / old for new, old in zip(expected.image_sizes[0], size, strict=True)]
    torch.testing.assert_close(warp.diagonal(), torch.tensor([ratio[1], ratio[0], 1.0], dtype=torch.float64))


def test_pillows_rule_antialiases_when_it_shrinks():
    board = (torch.arange(96)[:, None] + torch.arange(96)[None]) % 2 * 255
    image = board.to(torch.uint8)[:, :, None].expand(-1, -1, 3).contiguous().permute(2, 0, 1)
    canvas = Canvas(side=32, fit="short", multiple=32, rule="pillow")
    assert (denormalise(letterbox(image, canvas)[0], canvas)[:, 2:-2, 2:-2].int() - 127).abs().max() <= 20


@pytest.mark.parametrize("rule", CENTRED)
def test_padding_has_the_fill_colour_of_the_canvas(rule):
    canvas = Canvas(side=64, multiple=64, rule=rule, fill=(10.0, 20.0, 30.0))
    pixels = denormalise(letterbox(grey((32, 64)), canvas)[0], canvas)
    assert (pixels[:, :32] == 200).all()
    assert (pixels[:, 33:] == torch.tensor([10, 20, 30])[:, None, None]).all()


def test_several_scales_are_views_of_several_sizes_that_show_the_same():
    canvas = Canvas(side=128, multiple=32, scales=(0.5, 1.0, 1.5))
    xy = torch.tensor([[50.0, 70.0]], dtype=torch.float64)
    views = [letterbox(grey((100, 200)), canvas, factor) for factor in canvas.scales]
    assert [tuple(view.shape[1:]) for view, _ in views] == [(32, 64), (64, 128), (96, 192)]
    for _, warp in views:
        torch.testing.assert_close(apply(invert(warp), apply(warp, xy)), xy)


def test_an_impossible_canvas_is_refused():
    with pytest.raises(InputError):
        Canvas(side=0)
    with pytest.raises(InputError):
        Canvas(scales=())


def of_maskrcnn(size):
    """The size rule of maskrcnn-benchmark, short side 800, long side at most 1333."""
    short, long = min(size), max(size)
    side = round(1333 * short / long) if long / short * 800 > 1333 else 800
    return tuple(side if length == short else int(side * length / short) for length in size)


def of_detectron2(size):
    """The same of Detectron2."""
    scale = 800 / min(size)
    sides = [800 if length == min(size) else scale * length for length in size]
    factor = 1333 / max(sides) if max(sides) > 1333 else 1.0
    return tuple(int(side * factor + 0.5) for side in sides)


@pytest.mark.parametrize(("rule", "expected"), [("pillow", of_maskrcnn), ("detectron2", of_detectron2)])
@pytest.mark.parametrize("size", [(333, 1000), (1000, 333), (427, 640), (640, 425), (391, 2666), (480, 640), (50, 900)])
def test_sides_are_rounded_as_each_release_does(rule, expected, size):
    canvas = Canvas(side=800, fit="short", most=1333, multiple=32, rule=rule)
    assert canvas_layout(canvas, size).inner == expected(size)


def test_detectron2_counts_keypoints_and_boxes_from_the_edge_of_the_first_pixel():
    canvas = Canvas(side=200, fit="short", multiple=32, rule="detectron2")
    warp = canvas_layout(canvas, (100, 150)).warp
    pixel = torch.tensor([[10.0, 20.0]], dtype=torch.float64)
    assert apply(warp, pixel).tolist() == [[21.0, 41.0]], "the middle of the pixel, which is from 20 to 22 in the view"
    assert apply(box_warp(canvas, warp), pixel).tolist() == [[20.0, 40.0]]
    usual = replace(canvas, rule="pillow")
    assert torch.equal(box_warp(usual, canvas_layout(usual, (100, 150)).warp), canvas_layout(usual, (100, 150)).warp)


@pytest.mark.parametrize("size", [(100, 150), (427, 640), (1000, 333)])
def test_maskrcnns_boxes_are_scaled_as_their_first_and_last_pixel(size):
    """The release turns a corner and sides into a first and a last pixel, scales both, and counts the pixels again."""
    canvas = Canvas(side=200, fit="short", most=300, multiple=32, rule="pillow")
    layout = canvas_layout(canvas, size)
    ratio = torch.tensor([layout.inner[1] / size[1], layout.inner[0] / size[0]], dtype=torch.float64)
    corner, sides = torch.tensor([[10.0, 20.0], [0.0, 3.5]]).double(), torch.tensor([[30.0, 40.0], [1.0, 62.5]]).double()
    last = (corner + sides - 1) * ratio
    there = boxes_to_view(canvas, layout.warp, torch.cat((corner, corner + sides), dim=1))
    torch.testing.assert_close(there, torch.cat((corner * ratio, last + 1), dim=1))
    back = boxes_to_image(canvas, layout.warp, torch.tensor([[8.0, 6.0, 31.0, 40.0]]).double())
    first, last = torch.tensor([[8.0, 6.0]]).double() / ratio, torch.tensor([[30.0, 39.0]]).double() / ratio
    torch.testing.assert_close(back, torch.cat((first, first + (last - first + 1)), dim=1))
    if size == (100, 150):
        assert there[0].tolist() == [20.0, 40.0, 79.0, 119.0], "two pixels for one, but for the last"


@pytest.mark.parametrize("rule", RULES)
def test_boxes_return_to_the_image_unchanged(rule):
    canvas = Canvas(side=200, fit="short", most=300, multiple=32, rule=rule)
    warp = canvas_layout(canvas, (427, 640)).warp
    boxes = torch.tensor([[0.0, 0.0, 640.0, 427.0], [10.5, 20.25, 11.5, 300.0]])
    torch.testing.assert_close(boxes_to_image(canvas, warp, boxes_to_view(canvas, warp, boxes)), boxes)


@pytest.mark.parametrize("size", [(425, 640), (97, 64), (391, 2666)])
def test_maskrcnns_keypoints_are_scaled_by_the_ratio_of_each_axis(size):
    canvas = Canvas(side=200, fit="short", most=300, multiple=32, rule="pillow")
    layout = canvas_layout(canvas, size)
    ratio = torch.tensor([layout.inner[1] / size[1], layout.inner[0] / size[0], 1.0], dtype=torch.float64)
    assert torch.equal(layout.warp, torch.diag(ratio))
