from dataclasses import replace

import numpy as np
import pytest
import torch

from poise.errors import InputError
from poise.skeletons import COCO17, LSP14
from poise.skeletons.hands import HAND21
from poise.skeletons.wholebody import WHOLEBODY133
from poise.viz.draw import (
    LEFT,
    RIGHT,
    contact_sheet,
    draw_mask,
    draw_outline,
    draw_people,
    draw_view_outline,
    enlarged,
    fine_keypoints,
    titled,
)

WHITE = np.full((120, 100, 3), 255, np.uint8)


def body(*, seed=0):
    xy = torch.from_numpy(np.random.default_rng(seed).uniform(20, 80, (1, 17, 2))).float()
    return xy, torch.full((1, 17), 2)


def test_left_is_warm_and_right_is_cool():
    xy, visible = torch.zeros(1, 17, 2), torch.zeros(1, 17, dtype=torch.int64)
    for name, place in (("left_wrist", (20.0, 30.0)), ("right_wrist", (70.0, 90.0))):
        xy[0, COCO17.index(name)] = torch.tensor(place)
        visible[0, COCO17.index(name)] = 2
    drawn = draw_people(WHITE, xy, visible, COCO17)
    assert tuple(drawn[30, 20]) == LEFT
    assert tuple(drawn[90, 70]) == RIGHT
    assert (drawn[60, 45] == 255).all()


def test_the_image_given_stays_as_it_is():
    before = WHITE.copy()
    assert (draw_people(WHITE, *body(), COCO17) != WHITE).any()
    assert np.array_equal(WHITE, before)


def test_hidden_keypoints_are_hollow_and_unlabelled_ones_absent():
    xy = torch.full((1, 14, 2), 50.0)
    xy[0, 1] = torch.tensor([50.0, 110.0])
    big = torch.tensor([[0.0, 0.0, 100.0, 900.0]])
    state = torch.zeros(1, 14, dtype=torch.int64)
    state[0, 0] = 1
    drawn = draw_people(WHITE, xy, state, LSP14, boxes=big)
    assert (drawn[50, 50] == 255).all(), "hollow"
    assert (drawn[35:65, 35:65] != 255).any(), "but a ring"
    state[0, 0] = 2
    assert (draw_people(WHITE, xy, state, LSP14)[50, 50] != 255).any()
    state[0, 0] = 0
    assert (draw_people(WHITE, xy, state, LSP14) == 255).all()


def test_scores_decide_what_is_drawn_and_numbers_that_are_not_finite_are_not():
    xy, _ = body()
    assert (draw_people(WHITE, xy, torch.full((1, 17), 0.1), COCO17) == 255).all()
    assert (draw_people(WHITE, xy, torch.full((1, 17), 0.9), COCO17) != 255).any()
    assert (draw_people(WHITE, xy * float("nan"), torch.full((1, 17), 0.9), COCO17) == 255).all()


def test_points_far_outside_do_no_harm():
    xy, visible = body()
    assert draw_people(WHITE, xy * 1e9, visible, COCO17, boxes=torch.tensor([[-1e9, 0.0, 1e9, 5.0]])).shape == WHITE.shape


def test_lines_grow_with_the_person():
    small = draw_people(np.full((900, 900, 3), 255, np.uint8), *body(), COCO17)
    xy, visible = body()
    large = draw_people(np.full((900, 900, 3), 255, np.uint8), xy * 10, visible, COCO17)
    share = [(i != 255).any(axis=2).sum() for i in (small, large)]
    assert share[1] > 15 * share[0], "ten times as long, and wider"


def test_arrays_are_drawn_as_tensors_are():
    xy, visible = body()
    assert (draw_people(WHITE, xy.numpy(), visible.numpy(), COCO17) == draw_people(WHITE, xy, visible, COCO17)).all()
    assert (draw_people(WHITE, torch.zeros(0, 17, 2), torch.zeros(0, 17), COCO17) == 255).all()


def test_another_number_of_keypoints_is_refused():
    with pytest.raises(InputError, match="17 keypoints cannot be drawn as 'lsp14'"):
        draw_people(WHITE, *body(), LSP14)


def test_masks_titles_sheets_and_enlarging():
    mask = np.zeros((120, 100), bool)
    mask[:10] = True
    assert (draw_mask(WHITE, mask)[10:] == 255).all()
    assert (draw_mask(WHITE, mask)[:10] != 255).any(axis=2).all()
    line = (draw_outline(WHITE, mask) != 255).any(axis=2)
    assert line[9].all(), "around the mask"
    assert not line[3:8, 3:97].any(), "not within it"
    assert titled(WHITE, "größer").shape == (142, 100, 3)
    sheet = contact_sheet([WHITE, WHITE[:60], WHITE], 2, gap=4)
    assert sheet.shape == (244, 204, 3)
    assert (sheet[30 + 5, 150] == 255).all()
    with pytest.raises(InputError, match="needs images"):
        contact_sheet([])
    image, factor = enlarged(WHITE, 240)
    assert (image.shape, factor) == ((240, 200, 3), 2.0)
    assert enlarged(WHITE, 50)[1] == 1.0


def test_a_view_outline_is_drawn_where_its_corners_are_and_the_image_stays():
    image = np.zeros((60, 80, 3), np.uint8)
    drawn = draw_view_outline(image, torch.tensor([[10.0, 20.0], [50.0, 20.0], [50.0, 40.0], [10.0, 40.0]]), colour=(255, 0, 0))
    assert image.max() == 0
    assert drawn[30, 10, 0] > 200
    assert drawn[30, 50, 0] > 200
    assert drawn[30, 30].max() == 0
    assert (drawn[:25, 30, 0] > 100).sum() > (drawn[35:, 30, 0] > 100).sum(), "the upper edge is thicker"


def test_a_view_outline_may_reach_beyond_the_image():
    image = np.zeros((20, 20, 3), np.uint8)
    drawn = draw_view_outline(image, torch.tensor([[-1e9, -5.0], [10.0, -5.0], [10.0, 1e9], [-1e9, 1e9]]))
    assert drawn[10, 10].max() > 200


def test_uncertain_keypoints_are_thin_where_that_is_wanted_and_lost_ones_absent():
    xy, _ = body()
    low, high = torch.full((1, 17), 0.1), torch.full((1, 17), 0.9)
    thin, thick = (int((draw_people(WHITE, xy, score, COCO17, faint=True) != 255).sum()) for score in (low, high))
    assert 0 < thin < 0.6 * thick
    assert (draw_people(WHITE, xy * 0, low * 0, COCO17, faint=True) == 255).all(), "not found: score 0 at 0, 0"
    assert (draw_people(WHITE, xy, low * 0, COCO17, faint=True) != 255).any(), "a guess of score 0"
    mixed = torch.where(torch.arange(17) < 5, high, low)
    assert (draw_people(WHITE, xy, mixed, COCO17) != draw_people(WHITE, xy, mixed, COCO17, faint=True)).any()


def test_face_and_hands_of_a_whole_body_are_drawn_thin_and_a_hand_alone_is_not():
    spread = torch.rand(1, 133, 2, generator=torch.Generator().manual_seed(0)) * 380 + 10
    page = np.zeros((400, 400, 3), np.uint8)
    seen = torch.full((1, 133), 2)
    body, rest = seen.clone(), seen.clone()
    body[:, 23:], rest[:, :23] = 0, 0
    one = replace(WHOLEBODY133, bones=())
    painted = [(draw_people(page, spread, part, one).any(axis=-1)).sum() / (part > 0).sum().item() for part in (body, rest)]
    assert painted[1] < 0.4 * painted[0]
    assert sum(fine_keypoints(WHOLEBODY133)) == 68 + 42
    assert not any(fine_keypoints(HAND21))
    assert not any(fine_keypoints(COCO17))
