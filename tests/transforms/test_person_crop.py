import math
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from poise.errors import BoxError, InputError
from poise.geometry import apply, invert
from poise.skeletons import COCO17
from poise.structures import CropRule, Key, Labels, Preprocess, Sample
from poise.transforms.crop import pixel_warp
from poise.transforms.jitter import Augmentation, Draw
from poise.transforms.person_crop import PersonCrop
from poise.transforms.render import denormalise, resample

IMAGE = (300, 400)
RULES = get_args(CropRule)


def dot(x: float, y: float, *, radius: float = 5.0) -> torch.Tensor:
    """A grey image with one soft bright dot, exactly at (x, y)."""
    rows, columns = np.mgrid[0 : IMAGE[0], 0 : IMAGE[1]]
    gaussian = 255 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * radius**2))
    return torch.from_numpy(np.repeat(np.rint(gaussian).astype(np.uint8)[:, :, None], 3, axis=2)).permute(2, 0, 1)


def centre_of(pixels: np.ndarray) -> tuple[float, float]:
    weight = pixels[..., 0].astype(float)
    rows, columns = np.mgrid[0 : weight.shape[0], 0 : weight.shape[1]]
    return float((weight * columns).sum() / weight.sum()), float((weight * rows).sum() / weight.sum())


def sample_of(x: float, y: float) -> Sample:
    xy = torch.zeros(1, 17, 2, dtype=torch.float64)
    xy[0, :] = torch.tensor([x, y])
    visible = torch.full((1, 17), 2)
    return Sample(dot(x, y), Labels.of(xy, visible, torch.tensor([[100.0, 60.0, 300.0, 240.0]])), Key("dot"))


@given(
    rule=st.sampled_from(RULES),
    size=st.sampled_from([(256, 192), (192, 256), (160, 160), (201, 133)]),
    x=st.floats(170, 230),
    y=st.floats(120, 180),
    scale=st.floats(0.8, 1.3),
    degrees=st.floats(-80, 80),
    flip=st.booleans(),
    shift=st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)),
    stretch=st.tuples(st.floats(0.9, 1.1), st.floats(0.9, 1.1)),
    shear=st.tuples(st.floats(-10, 10), st.floats(-10, 10)),
)
def test_a_drawn_dot_and_its_keypoint_coincide_after_any_chain(rule, size, x, y, scale, degrees, flip, shift, stretch, shear):
    cutter = PersonCrop(size, Preprocess(crop=rule), COCO17, Augmentation())
    sample = sample_of(x, y)
    draw = Draw(
        scale=scale,
        degrees=degrees,
        flip=flip,
        shift=shift,
        half_body=False,
        prefer_upper=False,
        stretch=stretch,
        shear=shear,
    )
    warp, pixel = cutter.random_warps(draw, sample.labels, width=IMAGE[1])
    assert torch.equal(warp, pixel) == (rule != "cpn")
    dot_at = apply(pixel, sample.labels.xy)[0, 0].tolist()
    assert (apply(invert(warp), apply(warp, sample.labels.xy)) - sample.labels.xy).abs().max() < 1e-9
    margin = 35
    assume(margin < dot_at[0] < size[1] - margin and margin < dot_at[1] < size[0] - margin)
    assert math.dist(centre_of(resample(sample.image, pixel, size)), dot_at) < 0.06


@given(
    rule=st.sampled_from(RULES),
    size=st.sampled_from([(256, 192), (192, 256), (160, 160), (201, 133)]),
    marked=st.integers(0, 16),
    seed=st.integers(0, 2**31),
    half_body=st.sampled_from([0.0, 1.0]),
    colour=st.sampled_from([0.0, 0.3]),
    translation=st.floats(0, 0.2),
    rotation=st.floats(0, 60),
)
def test_a_dot_stays_on_its_keypoint_in_random_views(rule, size, marked, seed, half_body, colour, translation, rotation):
    chance = torch.Generator().manual_seed(seed)
    xy = torch.tensor([130.0, 90.0]) + torch.rand(1, 17, 2, generator=chance, dtype=torch.float64) * torch.tensor(
        [140.0, 120.0]
    )
    x, y = xy[0, marked].tolist()
    labels = Labels.of(xy, torch.full((1, 17), 2), torch.tensor([[100.0, 60.0, 300.0, 240.0]]))
    augmentation = Augmentation(
        rotation=rotation, translation=translation, half_body=half_body, half_body_joints=0, colour=colour
    )
    cutter = PersonCrop(size, Preprocess(crop=rule), COCO17, augmentation)
    view = cutter(Sample(dot(x, y), labels, Key("dot")), 0, chance)
    mirrored = bool(view.warp[:2, :2].det() < 0)
    keypoint = view.labels.xy[0, int(COCO17.flip[marked]) if mirrored else marked]
    keypoint = apply(pixel_warp(rule, view.warp) @ invert(view.warp), keypoint[None])[0]  # CPN's pixels lie apart
    margin = 25 * float(view.warp[:2, :2].det().abs().sqrt()) + 2
    room = torch.tensor([size[1] - 1.0, size[0] - 1.0]) - margin
    assume(bool(((keypoint > margin) & (keypoint < room)).all()))
    pixels = denormalise(view.image, cutter.preprocess).permute(1, 2, 0).numpy()
    assert math.dist(centre_of(pixels - pixels.min(axis=(0, 1))), keypoint.tolist()) < 0.05


def test_a_random_view_warps_its_labels_along():
    cutter = PersonCrop((256, 192), Preprocess(), COCO17, Augmentation(flip=1.0, rotation_probability=1.0, translation=0.05))
    sample = sample_of(200.0, 150.0)
    view = cutter(sample, 0, torch.Generator().manual_seed(3))
    found = centre_of(denormalise(view.image, cutter.preprocess).permute(1, 2, 0).numpy())
    assert math.dist(found, view.labels.xy[0, 0].tolist()) < 0.1
    back = apply(invert(view.warp), view.labels.xy)
    assert (back - sample.labels.xy[:, COCO17.flip]).abs().max() < 1e-6


def test_a_mirrored_view_swaps_left_and_right():
    xy = torch.rand(1, 17, 2, dtype=torch.float64) * 100 + 100
    sample = Sample(dot(200, 150), Labels.of(xy, torch.full((1, 17), 2), torch.tensor([[90.0, 90.0, 210.0, 210.0]])), Key("x"))
    plain = PersonCrop((256, 192), Preprocess(), COCO17)(sample, 0)
    still = Augmentation(scale=0.0, rotation=0.0, flip=1.0)
    mirrored = PersonCrop((256, 192), Preprocess(), COCO17, still)(sample, 0, torch.Generator().manual_seed(0))
    expected = plain.labels.xy[:, COCO17.flip] * torch.tensor([-1.0, 1.0]) + torch.tensor([191.0, 0.0])
    assert (mirrored.labels.xy - expected).abs().max() < 1e-6


def test_the_same_seed_gives_the_same_crop():
    cutter = PersonCrop((128, 128), Preprocess(), COCO17, Augmentation(half_body=0.5, colour=0.3))
    sample = sample_of(200.0, 150.0)
    first, second = (cutter(sample, 0, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.warp, second.warp)


def test_unbiased_views_end_on_the_corners_of_the_padded_box():
    cutter = PersonCrop((101, 201), Preprocess(padding=1.0), COCO17)
    box = torch.tensor([10.0, 20.0, 210.0, 120.0])
    _, warp = cutter.crop_box(dot(50, 50), box)
    corners = apply(warp, torch.tensor([[10.0, 20.0], [210.0, 120.0]]))
    assert torch.allclose(corners, torch.tensor([[0.0, 0.0], [200.0, 100.0]]), atol=1e-4)


def test_colour_changes_no_geometry_and_stays_in_range():
    sample = sample_of(200.0, 150.0)
    options = {"scale": 0.0, "rotation": 0.0, "flip": 0.0}
    plain = PersonCrop((128, 128), Preprocess(), COCO17, Augmentation(**options))(sample, 0, torch.Generator().manual_seed(1))
    vivid = PersonCrop((128, 128), Preprocess(), COCO17, Augmentation(**options, colour=0.5))
    other = vivid(sample, 0, torch.Generator().manual_seed(1))
    assert torch.equal(plain.warp, other.warp)
    assert not torch.equal(plain.image, other.image)


@pytest.mark.parametrize("box", [[5.0, 5.0, 5.0, 40.0], [5.0, 5.0, float("nan"), 40.0], [50.0, 5.0, 20.0, 40.0]])
def test_a_box_without_extent_is_refused(box):
    with pytest.raises(BoxError, match="no extent"):
        PersonCrop((64, 64), Preprocess(), COCO17).crop_box(dot(5, 5), torch.tensor(box))


def test_augmentation_needs_a_generator_and_sane_amounts():
    with pytest.raises(InputError, match=r"needs a torch\.Generator"):
        PersonCrop((64, 64), Preprocess(), COCO17, Augmentation())(sample_of(1.0, 1.0), 0)
    with pytest.raises(InputError, match="probability"):
        Augmentation(flip=2.0)


def test_bgr_models_get_their_channels_in_that_order():
    image = torch.zeros(3, 20, 20, dtype=torch.uint8).permute(1, 2, 0).contiguous().permute(2, 0, 1).clone()
    image[0] = 255
    box = torch.tensor([2.0, 2.0, 17.0, 17.0])
    kwargs = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "padding": 1.0}
    rgb, _ = PersonCrop((8, 8), Preprocess(**kwargs), COCO17).crop_box(image, box)
    bgr, _ = PersonCrop((8, 8), Preprocess(channels="bgr", **kwargs), COCO17).crop_box(image, box)
    assert rgb[:, 4, 4].tolist() == [1.0, 0.0, 0.0]
    assert bgr[:, 4, 4].tolist() == [0.0, 0.0, 1.0]
