import math
from typing import get_args

import pytest
import torch

from poise.errors import InputError
from poise.geometry import apply, boxes_around, horizontal_flip, invert, rotation, scaling, translation
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
from poise.transforms.render import resample
from poise.transforms.rotated_boxes import rotated_boxes

RULES = get_args(CropRule)
BOX = torch.tensor([31.0, 22.0, 111.0, 187.0], dtype=torch.float64)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [(256, 192), (192, 256), (128, 128), (97, 131)])
def test_the_inverse_of_a_warp_maps_every_point_back(rule, size):
    points = torch.tensor([[0.0, 0.0], [50.3, 70.1], [-20.0, 400.0]], dtype=torch.float64)
    for degrees in (0.0, 33.0, -80.0):
        frame = box_frame(Preprocess(crop=rule), BOX, size=size)
        for warp in (
            frame_warp(rule, frame, size=size, degrees=degrees),
            mirrored_frame_warp(rule, frame, size=size, width=300, degrees=degrees),
        ):
            assert (apply(invert(warp), apply(warp, points)) - points).abs().max() < 1e-9


@pytest.mark.parametrize("rule", RULES)
def test_the_whole_box_is_seen_with_room_around_it(rule):
    corners = torch.tensor([[31.0, 22.0], [111.0, 187.0]], dtype=torch.float64)
    warp = crop_warp(Preprocess(crop=rule, padding=1.25), BOX, size=(256, 192))
    seen = apply(warp, corners)
    assert ((seen > 5) & (seen < torch.tensor([186.0, 250.0]))).all()


@pytest.mark.parametrize("rule", RULES)
def test_sides_are_scaled_before_the_aspect_is_fixed(rule):
    size = (128, 128)
    plain = box_frame(Preprocess(crop=rule, padding=1.0), BOX, size=size)
    grown = box_frame(Preprocess(crop=rule, padding=1.0, sides=(3.0, 1.0)), BOX, size=size)
    assert plain.extent[1] == pytest.approx(165.0)
    assert grown.extent[0] == pytest.approx(240.0)
    assert grown.extent[0] / grown.extent[1] == pytest.approx(aspect_ratio(rule, size))


@pytest.mark.parametrize("rule", RULES)
def test_pixels_and_keypoints_have_the_same_warp_except_in_cpn(rule):
    cut = Preprocess(crop=rule)
    for warp in (
        crop_warp(cut, BOX, size=(256, 192)),
        mirrored_frame_warp(rule, box_frame(cut, BOX, size=(256, 192)), size=(256, 192), width=300),
    ):
        assert torch.equal(pixel_warp(rule, warp), warp) == (not cut.two_warps) == (rule != "cpn")


def test_cpns_pixels_are_blocks_and_its_keypoints_are_not():
    frame = Frame((20.0, 40.0), (12.0, 16.0))  # 12 x 16 pixels become 48 x 64, four each
    assert integer_box(frame) == (14, 32, 26, 48)
    warp = frame_warp("cpn", frame, size=(64, 48))
    first = torch.tensor([[14.0, 32.0]], dtype=torch.float64)
    assert apply(warp, first).tolist() == [[0.0, 0.0]]
    assert apply(pixel_warp("cpn", warp), first).tolist() == [[1.5, 1.5]]
    mirrored = mirrored_frame_warp("cpn", frame, size=(64, 48), width=300)
    assert apply(mirrored, first).tolist() == [[47.0, 0.0]]
    assert apply(pixel_warp("cpn", mirrored), first).tolist() == [[45.5, 1.5]]
    turned = pixel_warp("cpn", frame_warp("cpn", frame, size=(64, 48), degrees=90.0))
    home = apply(turned, first) - torch.tensor([24.0, 32.0])
    assert torch.allclose(home, torch.tensor([[1.5 - 32.0, 24.0 - 1.5]], dtype=torch.float64), atol=1e-9)


def test_a_box_below_a_pixel_still_has_one_for_cpn():
    assert integer_box(Frame((5.5, 5.5), (0.1, 0.1))) == (5, 5, 6, 6)


def test_hourglass_frames_are_square_around_the_longer_side():
    frame = box_frame(Preprocess(crop="hourglass", padding=1.5), BOX, size=(256, 192))
    assert frame.extent == (247.5, 247.5)
    assert frame.centre == (71.0, 104.5)


def test_what_lies_outside_the_image_has_the_fill_colour():
    image = torch.zeros(50, 50, 3, dtype=torch.uint8).permute(2, 0, 1)
    cut = Preprocess(crop="cpn", padding=3.0, fill=(123.0, 116.0, 103.0), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    view, _ = PersonCrop((64, 48), cut, COCO17).crop_box(image, torch.tensor([10.0, 10.0, 40.0, 40.0]))
    assert (view[:, 0, 0] * 255).round().tolist() == [123.0, 116.0, 103.0]
    assert view[:, 32, 24].abs().max() == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"crop": "hourglas"}, "there is no crop rule 'hourglas'; there are unbiased, hrnet,"),
        ({"sides": (1.0, 0.0)}, "`sides` must be two factors above 0"),
        ({"fill": (0.0, 0.0, 300.0)}, "`fill` must be a colour"),
    ],
)
def test_impossible_preprocessing_is_refused(options, sentence):
    wrong = Preprocess()
    wrong.__dict__.update(options)  # the tests' type checks would otherwise speak before our own
    with pytest.raises(InputError, match=sentence):
        wrong.__post_init__()


def test_mirrors_of_the_image_come_before_the_cut():
    frame = Frame((60.0, 50.0), (40.0, 60.0))
    for rule in RULES:
        warp = mirrored_frame_warp(rule, frame, size=(96, 64), width=200)
        x, _ = apply(warp, torch.tensor([[60.0, 50.0]], dtype=torch.float64))[0].tolist()
        assert abs(x - 32) <= 1
        assert warp[:2, :2].det() < 0
        assert apply(horizontal_flip(200), torch.tensor([[60.0, 50.0]])).tolist() == [[139.0, 50.0]]


def turned_about(point, degrees):
    """The warp that turns an image clockwise about a point."""
    return translation(*point) @ rotation(degrees) @ translation(-point[0], -point[1])


def blobs(points, *, side=240):
    """A black image with a small bright blob around each point (x, y)."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    image = sum(torch.exp(-((x - px) ** 2 + (y - py) ** 2) / 8) for px, py in points)
    return (255 * image).round().clamp(0, 255).to(torch.uint8)[None].repeat(3, 1, 1)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("angle", [-150.0, -20.0, 7.5, 90.0, 180.0])
def test_a_turned_frame_gives_the_upright_frame_of_the_turned_image(rule, angle):
    points = torch.tensor([[31.0, 22.0], [71.0, 104.0], [111.0, 187.0], [60.0, 30.0]], dtype=torch.float64)
    preprocess = Preprocess(crop=rule)
    for size in ((256, 192), (128, 128)):
        upright, turned = (box_frame(preprocess, BOX, size=size, angle=a) for a in (0.0, angle))
        there = turned_about(turned.centre, -angle)  # brings the content of the turned frame upright
        for degrees in (0.0, 25.0):
            expected = apply(frame_warp(rule, upright, size=size, degrees=degrees) @ there, points)
            found = apply(frame_warp(rule, turned, size=size, degrees=degrees), points)
            assert (found - expected).abs().max() < 1e-6
        assert torch.equal(crop_warp(preprocess, BOX, size=size, angle=angle), frame_warp(rule, turned, size=size))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("angle", [-70.0, 35.0])
def test_the_pixels_of_a_turned_frame_are_where_its_keypoints_are(rule, angle):
    dots = [(108.0, 114.0), (124.0, 110.0), (115.0, 136.0)]
    box = torch.tensor([85.0, 80.0, 145.0, 160.0], dtype=torch.float64)
    preprocess = Preprocess(crop=rule, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    crop = PersonCrop((256, 192), preprocess, COCO17)
    turned_image = resample(blobs(dots), turned_about(box_frame(preprocess, box, size=(256, 192)).centre, -angle), (240, 240))
    twice, _ = crop.crop_box(torch.from_numpy(turned_image).permute(2, 0, 1), box)
    for dot in dots:
        view, warp = crop.crop_box(blobs([dot]), box, angle=angle)
        pixels = apply(pixel_warp(rule, warp, angle=angle), torch.tensor([dot], dtype=torch.float64))[0]
        weight = view[0].double()
        y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in weight.shape), indexing="ij")
        centre = torch.stack(((x * weight).sum(), (y * weight).sum())) / weight.sum()
        assert (centre - pixels).abs().max() < 0.5
        at = pixels.round().long()
        assert twice[0, at[1], at[0]] > 0.8  # the same blob is bright there in the crop of the turned image


@pytest.mark.parametrize("rule", RULES)
def test_a_frame_at_angle_0_is_cropped_as_by_the_formula_of_its_rule(rule):
    frame, size = Frame((61.3, 50.9), (40.7, 60.1)), (96, 64)
    (cx, cy), (w, h), (rows, columns) = frame.centre, frame.extent, size
    home, middle, half = translation(-cx, -cy), ((columns - 1) / 2, (rows - 1) / 2), (columns / 2, rows / 2)
    for degrees in (0.0, -30.0):
        against = translation(*half) @ rotation(-degrees) @ translation(-half[0], -half[1])
        x0, y0, x1, y1 = (math.floor(v) for v in (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2))
        cpn = scaling(columns / (x1 - x0), rows / (y1 - y0)) @ translation(-float(x0), -float(y0))
        hourglass = translation(*half) @ scaling(columns / w, rows / h) @ home
        formulas = {
            "hrnet": translation(*half) @ scaling(columns / w, columns / w) @ rotation(-degrees) @ home,
            "cpn": against @ cpn if degrees else cpn,
            "hourglass": against @ hourglass if degrees else hourglass,
            "dark": translation(*middle)
            @ scaling((columns - 1) / (w - 1), (columns - 1) / (w - 1))
            @ rotation(-degrees)
            @ home,
            "udp": translation(*middle) @ scaling((columns - 1) / w, (rows - 1) / h) @ rotation(degrees) @ home,
        }
        formula = formulas[{"mspn": "hrnet", "unbiased": "udp"}.get(rule, rule)]
        assert torch.equal(frame_warp(rule, frame, size=size, degrees=degrees), formula)


def test_a_turned_frame_moves_along_its_own_axes_and_turns_the_other_way_in_a_mirror():
    frame = Frame((50.0, 40.0), (20.0, 10.0), 90.0)
    assert frame.shifted(0.5, 0.0).centre == pytest.approx((50.0, 50.0))
    assert frame.scaled(2.0) == Frame((50.0, 40.0), (40.0, 20.0), 90.0)
    assert frame.mirrored(200) == Frame((149.0, 40.0), (20.0, 10.0), -90.0)
    turned = Frame((50.0, 40.0), (20.0, 10.0), 30.0)
    for rule in RULES:
        plain = frame_warp(rule, turned, size=(64, 128))
        mirrored = mirrored_frame_warp(rule, turned, size=(64, 128), width=200)
        moved = apply(mirrored, turned.corners) - apply(horizontal_flip(128) @ plain, turned.corners)
        assert moved.abs().max() <= 2 * 128 / 20  # a pixel of the image, where a rule's mirror is off by one
    unbiased = mirrored_frame_warp("unbiased", turned, size=(64, 128), width=200)
    assert torch.allclose(unbiased, horizontal_flip(128) @ frame_warp("unbiased", turned, size=(64, 128)))


@pytest.mark.parametrize("angle", [0.0, 40.0, -120.0])
def test_the_corners_of_a_frame_are_those_of_its_view_and_its_upright_box_is_around_them(angle):
    frame = Frame((50.0, 40.0), (20.0, 40.0), angle)
    expected = torch.tensor([[0.0, 0.0], [63.0, 0.0], [63.0, 127.0], [0.0, 127.0]], dtype=torch.float64)
    assert torch.allclose(apply(frame_warp("udp", frame, size=(128, 64)), frame.corners), expected)
    box = torch.tensor([[40.0, 20.0, 60.0, 60.0]], dtype=torch.float64)
    nothing = torch.zeros(1, 17, 2, dtype=torch.float64), torch.zeros(1, 17, dtype=torch.int64)
    around = boxes_around(frame.corners[None], torch.ones(1, 4, dtype=torch.bool))
    assert torch.allclose(rotated_boxes(invert(frame.upright_warp), box, *nothing, rule="corners"), around)
    back = rotated_boxes(frame.upright_warp, around, *nothing, rule="corners")
    assert (back[:, :2] <= box[:, :2] + 1e-9).all()
    assert (back[:, 2:] >= box[:, 2:] - 1e-9).all()
