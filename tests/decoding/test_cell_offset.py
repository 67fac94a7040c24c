"""Peaks of the small map at the centre of their cell, or where a user's offset puts them."""

import torch

from poise.decoding.grouping_config import GroupingConfig
from poise.decoding.peaks import find_peaks


def test_a_cell_is_read_at_its_centre_or_times_the_stride_alone():
    maps = torch.zeros(1, 1, 8, 8)
    maps[0, 0, 3, 5] = 1.0
    found = [
        find_peaks(maps, GroupingConfig("cell", cell_offset=offset), stride=4).xy[0, 0, 0].tolist() for offset in (None, 0.0)
    ]
    assert found == [[21.5, 13.5], [20.0, 12.0]]
