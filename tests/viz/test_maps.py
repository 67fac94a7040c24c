import numpy as np
import pytest
import torch

from poise.errors import InputError
from poise.viz.maps import colour_map, grid, max_over_keypoints, overlay


def test_higher_values_are_brighter_and_odd_ones_are_cut_off():
    row = colour_map(torch.tensor([[0.0, 0.25, 0.5, 0.75, 1.0]]))[0].sum(axis=-1)
    assert (np.diff(row.astype(int)) > 0).all()
    odd = colour_map(torch.tensor([[torch.nan, -3.0, 7.0]]))[0]
    assert (odd[0] == odd[1]).all()
    assert (odd[2] == colour_map(torch.ones(1, 1))[0, 0]).all()


def test_an_empty_map_leaves_the_image_and_a_peak_covers_it():
    image = np.full((40, 30, 3), 100, np.uint8)
    values = torch.zeros(10, 10)
    assert (overlay(image, values) == image).all()
    values[5, 5] = 1
    mixed = overlay(image, values)
    assert (mixed[22, 16] != 100).any()
    assert (mixed[2, 2] == 100).all()


def test_a_grid_shows_every_map_with_its_name():
    maps = torch.rand(7, 12, 9)
    assert max_over_keypoints(maps).shape == (12, 9)
    picture = grid(maps, [f"k{i}" for i in range(7)], columns=3, side=64)
    assert picture.shape == (3 * 86 + 8, 3 * 48 + 8, 3)
    over = grid(maps, list("abcdefg"), image=np.zeros((64, 48, 3), np.uint8), columns=7, side=64)
    assert over.shape[0] == 86
    with pytest.raises(InputError, match="a name for each"):
        grid(maps, ["one"])
