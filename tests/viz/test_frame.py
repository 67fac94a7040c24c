import numpy as np
import torch

from poise.viz.frame import draw_frame


def test_a_frame_is_drawn_where_its_corners_are_and_the_image_stays():
    image = np.zeros((60, 80, 3), np.uint8)
    drawn = draw_frame(image, torch.tensor([[10.0, 20.0], [50.0, 20.0], [50.0, 40.0], [10.0, 40.0]]), colour=(255, 0, 0))
    assert image.max() == 0
    assert drawn[30, 10, 0] > 200
    assert drawn[30, 50, 0] > 200
    assert drawn[30, 30].max() == 0
    assert (drawn[:25, 30, 0] > 100).sum() > (drawn[35:, 30, 0] > 100).sum(), "the upper edge is thicker"


def test_a_frame_may_reach_beyond_the_image():
    image = np.zeros((20, 20, 3), np.uint8)
    drawn = draw_frame(image, torch.tensor([[-1e9, -5.0], [10.0, -5.0], [10.0, 1e9], [-1e9, 1e9]]))
    assert drawn[10, 10].max() > 200
