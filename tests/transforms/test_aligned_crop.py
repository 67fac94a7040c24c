import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from poise.errors import InputError, SkeletonMismatch
from poise.geometry import apply, rotation, translation
from poise.skeletons import COCO17, select
from poise.skeletons.alignment import CENTRE, CIRCLE, BodyAxis, alignment_points, box_points, with_alignment
from poise.structures import Key, Labels, Points, Preprocess, Sample
from poise.transforms.aligned_crop import AlignedPreprocess, circle_frame, person_frame, predicted_alignment
from poise.transforms.crop import frame_warp
from poise.transforms.jitter import Augmentation
from poise.transforms.person_crop import PersonCrop

SIZE = (256, 256)


def body() -> torch.Tensor:
    """An upright person, 17 keypoints about (200, 150), pixels."""
    generator = torch.Generator().manual_seed(3)
    xy = torch.rand(17, 2, generator=generator, dtype=torch.float64) * torch.tensor([60.0, 180.0]) + torch.tensor([170.0, 60.0])
    xy[COCO17.index("left_hip")], xy[COCO17.index("right_hip")] = torch.tensor([[190.0, 150.0], [210.0, 150.0]]).double()
    xy[COCO17.index("left_shoulder")], xy[COCO17.index("right_shoulder")] = torch.tensor(
        [[180.0, 95.0], [220.0, 95.0]]
    ).double()
    return xy


def labels_of(xy: torch.Tensor, visible: torch.Tensor | None = None) -> Labels:
    box = torch.cat((xy.amin(dim=0) - 10, xy.amax(dim=0) + 10))
    return Labels.of(xy[None], torch.full((1, len(xy)), 2) if visible is None else visible[None], box[None])


def turned(xy: torch.Tensor, degrees: float, about: tuple[float, float] = (230.0, 130.0)) -> torch.Tensor:
    return apply(translation(*about) @ rotation(degrees) @ translation(-about[0], -about[1]), xy)


@given(degrees=st.floats(-180, 180), rule=st.sampled_from(["unbiased", "hrnet", "dark", "udp", "mspn"]))
def test_a_person_turned_by_any_angle_gives_the_same_view(degrees, rule):
    preprocess = AlignedPreprocess(crop=rule)
    views = []
    for xy in (body(), turned(body(), degrees)):
        frame = person_frame(preprocess, labels_of(xy), COCO17, size=SIZE)
        views.append(apply(frame_warp(rule, frame, size=SIZE), xy))
    assert torch.allclose(views[0], views[1], atol=1e-6)


def test_pixels_of_a_turned_person_are_those_of_the_upright_one_to_half_a_pixel():
    """A soft dot on each wrist, drawn anew at the turned place: the view has it at the same place."""

    def picture(xy):
        rows, columns = np.mgrid[0:360, 0:460]
        dots = sum(
            np.exp(-((rows - float(y)) ** 2 + (columns - float(x)) ** 2) / 32)
            for x, y in xy[[COCO17.index("left_wrist"), COCO17.index("right_ankle")]]
        )
        return torch.from_numpy(np.repeat(np.rint(200 * dots).astype(np.uint8)[None], 3, axis=0))

    crop = PersonCrop(SIZE, AlignedPreprocess(mean=(0.0,) * 3, std=(1.0,) * 3), COCO17)
    upright, lying = (
        crop(Sample(picture(xy), labels_of(xy), Key("dots")), 0).image[0].numpy() for xy in (body(), turned(body(), 77.0))
    )
    shift = [np.abs(upright - np.roll(lying, (dy, dx), (0, 1))).mean() for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    assert np.argmin(shift) == 4, shift  # nearer than any shift by a pixel
    assert np.abs(upright - lying).max() < 0.06


def test_the_body_stands_upright_inside_the_view_with_the_circle_centred():
    frame = person_frame(AlignedPreprocess(), labels_of(turned(body(), 130.0)), COCO17, size=SIZE)
    points, usable = alignment_points(turned(body(), 130.0)[None], torch.full((1, 17), 2), COCO17, BodyAxis())
    assert usable.all()
    centre, top = apply(frame_warp("unbiased", frame, size=SIZE), points[0])
    assert centre.tolist() == pytest.approx([127.5, 127.5], abs=1e-6)
    assert top[0].item() == pytest.approx(127.5, abs=1e-6)
    assert (centre - top)[1].item() == pytest.approx(255 / 2 / 1.25, abs=1e-6)


def test_without_rotation_the_circle_is_cut_as_it_is():
    preprocess = AlignedPreprocess(rotate=False)
    xy = turned(body(), 90.0)
    frame = person_frame(preprocess, labels_of(xy), COCO17, size=SIZE)
    assert frame.angle == 0
    assert frame.centre == pytest.approx(xy[[11, 12]].mean(dim=0).tolist())


@pytest.mark.parametrize("padding", [0.8, 1.0, 1.25, 2.0])
def test_padding_grows_and_shrinks_the_circle(padding):
    points = torch.tensor([[10.0, 20.0], [10.0, 0.0]])
    assert circle_frame(AlignedPreprocess(padding=padding), points, size=SIZE).extent == pytest.approx((40 * padding,) * 2)


def test_a_view_that_is_not_square_holds_the_whole_circle():
    frame = circle_frame(AlignedPreprocess(padding=1.0), torch.tensor([[0.0, 0.0], [0.0, -10.0]]), size=(256, 192))
    assert frame.extent[0] == pytest.approx(20)
    assert frame.extent[1] > 20


@pytest.mark.parametrize("name", ["left_hip", "right_shoulder"])
def test_people_without_a_keypoint_of_the_axis_are_seen_around_the_circle_of_their_box(name):
    visible = torch.full((17,), 2)
    visible[COCO17.index(name)] = 0
    labels = labels_of(turned(body(), 40.0), visible)
    frame = person_frame(AlignedPreprocess(), labels, COCO17, size=SIZE)
    x0, y0, x1, y1 = labels.boxes[0].tolist()
    assert frame.angle == 0
    assert frame.centre == pytest.approx(((x0 + x1) / 2, (y0 + y1) / 2))
    assert frame.extent[0] == pytest.approx(1.25 * max(x1 - x0, y1 - y0))


def test_keypoints_that_are_not_labelled_do_not_widen_the_circle():
    far, visible = body(), torch.full((17,), 2)
    far[0], visible[0] = torch.tensor([9000.0, 9000.0]), 0
    points, _ = alignment_points(far[None], visible[None], COCO17, BodyAxis())
    assert (points[0, 1] - points[0, 0]).norm() < 200


def test_points_of_a_box_are_its_centre_and_half_its_longer_side_above():
    assert box_points(torch.tensor([[0.0, 0.0, 10.0, 40.0]])).tolist() == [[[5.0, 20.0], [5.0, 0.0]]]


def test_random_views_of_an_aligned_person_turn_and_flip_with_their_labels():
    crop = PersonCrop(SIZE, AlignedPreprocess(), COCO17, Augmentation(rotation=30.0, scale=0.2, flip=0.5))
    sample = Sample(torch.zeros(3, 300, 400, dtype=torch.uint8), labels_of(turned(body(), 120.0)), Key("x"))
    left, right = COCO17.index("left_shoulder"), COCO17.index("right_shoulder")
    for seed in range(8):
        view = crop(sample, 0, torch.Generator().manual_seed(seed))
        xy = view.labels.xy[0]
        up = xy[[5, 6]].mean(dim=0) - xy[[11, 12]].mean(dim=0)
        assert abs(math.degrees(math.atan2(up[0], -up[1]))) < 61
        assert xy[left, 0] < xy[right, 0]  # as drawn; a mirror exchanges the names with the sides


def test_predicted_alignment_keypoints_or_the_bodys_own_tell_the_view():
    skeleton = with_alignment(COCO17)
    xy = torch.cat((body(), torch.tensor([[5.0, 6.0], [5.0, -14.0]])))[None]
    points, usable = predicted_alignment(AlignedPreprocess(), Points(xy, torch.ones(1, 19)), skeleton)
    assert points[0].tolist() == [[5.0, 6.0], [5.0, -14.0]]
    assert usable.all()
    points, _ = predicted_alignment(AlignedPreprocess(), Points(xy[:, :17], torch.ones(1, 17)), COCO17)
    assert points[0, 0].tolist() == pytest.approx([200.0, 150.0])


def test_an_alignment_of_low_score_is_none():
    score = torch.ones(1, 17)
    score[0, COCO17.index("left_hip")] = 0.1
    _, usable = predicted_alignment(AlignedPreprocess(), Points(body()[None], score), COCO17)
    assert not usable.any()


def test_a_skeleton_without_the_axis_is_refused_and_other_keypoints_can_be_named():
    paws = select(COCO17, ["nose", "left_ankle", "right_ankle"])
    with pytest.raises(SkeletonMismatch, match=r"has no left_hip, right_hip.*--axis-centre"):
        BodyAxis().indices(paws)
    assert BodyAxis(("left_ankle",), ("nose",)).indices(paws) == ([1], [0])


def test_alignment_keypoints_stand_at_the_end_and_keep_mirror_and_bones():
    skeleton = with_alignment(COCO17)
    assert skeleton.keypoints[-2:] == (CENTRE, CIRCLE)
    assert skeleton.flip.tolist() == [*COCO17.flip.tolist(), 17, 18]


def test_passes_are_one_or_two():
    with pytest.raises(InputError, match="1 or 2 passes, found 3"):
        AlignedPreprocess(passes=3)


def test_other_models_are_shown_boxes_as_before():
    labels = labels_of(body())
    frame = person_frame(Preprocess(), labels, COCO17, size=(256, 192))
    x0, y0, x1, y1 = labels.boxes[0].tolist()
    assert frame.centre == pytest.approx(((x0 + x1) / 2, (y0 + y1) / 2))
