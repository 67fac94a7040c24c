from typing import get_args

import pytest
import torch

from poise.errors import InputError
from poise.geometry import apply, horizontal_flip, invert
from poise.skeletons import COCO17
from poise.structures import CropRule, Preprocess
from poise.transforms.crop import (
    Frame,
    aspect_ratio,
    box_frame,
    crop_warp,
    frame_warp,
    integer_box,
    mirrored_frame_warp,
    pixel_warp,
)
from poise.transforms.person_crop import PersonCrop

RULES = get_args(CropRule)
BOX = torch.tensor([31.0, 22.0, 111.0, 187.0], dtype=torch.float64)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [(256, 192), (192, 256), (128, 128), (97, 131)])
def test_a_warp_and_its_inverse_bring_every_point_home(rule, size):
    points = torch.tensor([[0.0, 0.0], [50.3, 70.1], [-20.0, 400.0]], dtype=torch.float64)
    for degrees in (0.0, 33.0, -80.0):
        seen = box_frame(Preprocess(crop=rule), BOX, size=size)
        for warp in (
            frame_warp(rule, seen, size=size, degrees=degrees),
            mirrored_frame_warp(rule, seen, size=size, width=300, degrees=degrees),
        ):
            assert (apply(invert(warp), apply(warp, points)) - points).abs().max() < 1e-9


@pytest.mark.parametrize("rule", RULES)
def test_the_whole_box_is_seen_with_room_around_it(rule):
    corners = torch.tensor([[31.0, 22.0], [111.0, 187.0]], dtype=torch.float64)
    warp = crop_warp(Preprocess(crop=rule, padding=1.25), BOX, size=(256, 192))
    seen = apply(warp, corners)
    assert ((seen > 5) & (seen < torch.tensor([186.0, 250.0]))).all()


@pytest.mark.parametrize("rule", RULES)
def test_sides_grow_apart_before_the_aspect_is_fixed(rule):
    size = (128, 128)
    plain = box_frame(Preprocess(crop=rule, padding=1.0), BOX, size=size)
    grown = box_frame(Preprocess(crop=rule, padding=1.0, sides=(3.0, 1.0)), BOX, size=size)
    assert plain.extent[1] == pytest.approx(165.0)
    assert grown.extent[0] == pytest.approx(240.0)
    assert grown.extent[0] / grown.extent[1] == pytest.approx(aspect_ratio(rule, size))


@pytest.mark.parametrize("rule", RULES)
def test_pixels_and_keypoints_move_alike_but_for_cpn(rule):
    cut = Preprocess(crop=rule)
    for warp in (
        crop_warp(cut, BOX, size=(256, 192)),
        mirrored_frame_warp(rule, box_frame(cut, BOX, size=(256, 192)), size=(256, 192), width=300),
    ):
        assert torch.equal(pixel_warp(rule, warp), warp) == (not cut.two_warps) == (rule != "cpn")


def test_cpns_pixels_are_blocks_and_its_keypoints_are_not():
    seen = Frame((20.0, 40.0), (12.0, 16.0))  # 12 x 16 pixels become 48 x 64, four each
    assert integer_box(seen) == (14, 32, 26, 48)
    warp = frame_warp("cpn", seen, size=(64, 48))
    first = torch.tensor([[14.0, 32.0]], dtype=torch.float64)
    assert apply(warp, first).tolist() == [[0.0, 0.0]]
    assert apply(pixel_warp("cpn", warp), first).tolist() == [[1.5, 1.5]]
    mirrored = mirrored_frame_warp("cpn", seen, size=(64, 48), width=300)
    assert apply(mirrored, first).tolist() == [[47.0, 0.0]]
    assert apply(pixel_warp("cpn", mirrored), first).tolist() == [[45.5, 1.5]]
    turned = pixel_warp("cpn", frame_warp("cpn", seen, size=(64, 48), degrees=90.0))
    home = apply(turned, first) - torch.tensor([24.0, 32.0])
    assert torch.allclose(home, torch.tensor([[1.5 - 32.0, 24.0 - 1.5]], dtype=torch.float64), atol=1e-9)


def test_a_box_below_a_pixel_still_has_one_for_cpn():
    assert integer_box(Frame((5.5, 5.5), (0.1, 0.1))) == (5, 5, 6, 6)


def test_hourglass_frames_are_square_around_the_longer_side():
    seen = box_frame(Preprocess(crop="hourglass", padding=1.5), BOX, size=(256, 192))
    assert seen.extent == (247.5, 247.5)
    assert seen.centre == (71.0, 104.5)


def test_what_lies_outside_the_image_has_the_fill_colour():
    image = torch.zeros(50, 50, 3, dtype=torch.uint8).permute(2, 0, 1)
    cut = Preprocess(crop="cpn", padding=3.0, fill=(123.0, 116.0, 103.0), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    view, _ = PersonCrop((64, 48), cut, COCO17).crop_box(image, torch.tensor([10.0, 10.0, 40.0, 40.0]))
    assert (view[:, 0, 0] * 255).round().tolist() == [123.0, 116.0, 103.0]
    assert view[:, 32, 24].abs().max() == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"crop": "hourglas"}, "no crop rule is called 'hourglas'; there are unbiased, hrnet,"),
        ({"sides": (1.0, 0.0)}, "sides are two factors above 0"),
        ({"fill": (0.0, 0.0, 300.0)}, "fill is a colour"),
    ],
)
def test_preprocessing_that_cannot_be_is_refused(options, sentence):
    wrong = Preprocess()
    wrong.__dict__.update(options)  # the tests' type checks would otherwise speak before our own
    with pytest.raises(InputError, match=sentence):
        wrong.__post_init__()


def test_mirrors_of_the_image_come_before_the_cut():
    seen = Frame((60.0, 50.0), (40.0, 60.0))
    for rule in RULES:
        warp = mirrored_frame_warp(rule, seen, size=(96, 64), width=200)
        x, _ = apply(warp, torch.tensor([[60.0, 50.0]], dtype=torch.float64))[0].tolist()
        assert abs(x - 32) <= 1
        assert warp[:2, :2].det() < 0
        assert apply(horizontal_flip(200), torch.tensor([[60.0, 50.0]])).tolist() == [[139.0, 50.0]]
