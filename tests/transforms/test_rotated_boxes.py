"""Boxes of turned people: how far from their silhouettes."""

import math

import numpy as np
import pytest
import torch

from poise.data.figures import FigureDataset
from poise.errors import UnknownName
from poise.geometry import box_area, rotation, scaling, translation
from poise.transforms.rotated_boxes import check_box_rule, rotated_boxes


@pytest.fixture(scope="module")
def people():
    """Outlines, boxes and keypoints of drawn people, each about its middle."""
    drawings = FigureDataset(12, size=(256, 256), per_image=(1, 3), seed=3)
    found = []
    for scene in (drawings.scene(i) for i in range(len(drawings))):
        for silhouette, xy, visible in zip(scene.silhouettes, scene.xy, scene.visible, strict=True):
            rows, columns = np.nonzero(silhouette)
            if len(rows) and visible.all():
                outline = torch.tensor(np.stack((columns, rows), axis=1), dtype=torch.float32)
                keypoints = torch.from_numpy(xy)
                every = torch.cat((outline, keypoints))
                box = torch.cat((every.amin(0), every.amax(0)))
                middle = (box[:2] + box[2:]) / 2
                found.append((outline - middle, box - middle.repeat(2), keypoints - middle))
    return found


def overlap(one, other):
    sides = torch.minimum(one[:, 2:], other[:, 2:]) - torch.maximum(one[:, :2], other[:, :2])
    shared = sides.clamp(min=0).prod(dim=1)
    return shared / (box_area(one) + box_area(other) - shared)


def at(people, degrees, *, labelled=17, rule="body"):
    warp = rotation(degrees)
    matrix = warp[:2, :2].float()
    true, found = [], []
    for outline, box, xy in people:
        every = torch.cat((outline, xy)) @ matrix.T
        true.append(torch.cat((every.amin(0), every.amax(0))))
        visible = (torch.arange(17) < labelled).long()[None]
        found.append(rotated_boxes(warp, box[None], xy[None], visible, rule=rule)[0])
    return overlap(torch.stack(true), torch.stack(found)).mean()


@pytest.mark.parametrize("degrees", [15.0, 45.0, 60.0])
def test_boxes_of_rotated_people_are_tighter_than_those_around_their_corners(people, degrees):
    assert len(people) > 5
    corners, all_labelled, few, none = (
        at(people, degrees, **how) for how in ({"rule": "corners"}, {}, {"labelled": 5}, {"labelled": 0})
    )
    assert corners < 0.75 < none
    assert none - 0.02 < few
    assert few < all_labelled
    assert all_labelled > 0.85


@pytest.mark.parametrize("labelled", [0, 5, 17])
@pytest.mark.parametrize("degrees", [0.0, 90.0, 180.0, 270.0])
def test_whole_right_angles_are_exact(people, degrees, labelled):
    assert at(people, degrees, labelled=labelled) > 0.9999


def test_a_scale_a_mirror_and_a_shift_move_the_box_as_they_move_its_corners():
    box, xy = torch.tensor([[10.0, 20.0, 30.0, 80.0]]), torch.rand(1, 17, 2) * 10 + 20
    warp = translation(100.0, 3.0) @ scaling(-2.0, 2.0)
    for visible in (torch.zeros(1, 17, dtype=torch.long), torch.full((1, 17), 2)):
        torch.testing.assert_close(
            rotated_boxes(warp, box, xy, visible, rule="body"), torch.tensor([[40.0, 43.0, 80.0, 163.0]])
        )


def test_labels_outside_their_box_do_not_widen_it_beyond_its_corners():
    box, xy = torch.tensor([[-10.0, -10.0, 10.0, 10.0]]), torch.full((1, 17, 2), 500.0)
    found = rotated_boxes(rotation(45.0), box, xy, torch.full((1, 17), 2), rule="body")
    reach = 10 * math.sqrt(2) + 1e-3
    assert (found.abs() <= reach).all()


def test_no_people_give_no_boxes_and_unknown_rules_are_refused():
    empty = torch.zeros(0, 4)
    assert rotated_boxes(
        rotation(10.0), empty, torch.zeros(0, 17, 2), torch.zeros(0, 17, dtype=torch.long), rule="body"
    ).shape == (
        0,
        4,
    )
    with pytest.raises(UnknownName, match="way to turn boxes"):
        check_box_rule("tight")
