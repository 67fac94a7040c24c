import pytest
import torch

from poise.metrics.accuracy import map_accuracy, peaks, released_accuracy


def spot(x: int, y: int, *, size=(64, 48)) -> torch.Tensor:
    maps = torch.zeros(1, 1, *size)
    maps[0, 0, y, x] = 1.0
    return maps


def test_distances_are_tenths_of_the_map_s_own_width_and_height():
    target = spot(20, 30)
    assert map_accuracy(spot(22, 30), target).keypoints.tolist() == [1.0]
    assert map_accuracy(spot(23, 30), target).keypoints.tolist() == [0.0]
    assert map_accuracy(spot(20, 33), target).keypoints.tolist() == [1.0]
    assert map_accuracy(spot(20, 33), target).distances.tolist() == [[pytest.approx(3 / 6.4)]]


def test_the_releases_swap_width_and_height():
    target = spot(20, 30)
    assert released_accuracy(spot(23, 30), target).keypoints.tolist() == [1.0]
    assert released_accuracy(spot(20, 33), target).keypoints.tolist() == [0.0]


def test_the_releases_leave_out_keypoints_of_the_first_rows_and_columns():
    target = spot(1, 30)
    assert map_accuracy(target, target).mean == 1
    assert released_accuracy(target, target).keypoints.tolist() == [-1.0]
    assert released_accuracy(target, target).mean == 0
    assert released_accuracy(target, target, first=1).keypoints.tolist() == [1.0]


def test_a_keypoint_without_a_target_does_not_count():
    both = torch.cat((spot(5, 5), spot(5, 5) * 0), dim=1)
    found = map_accuracy(torch.cat((spot(5, 5), spot(9, 9)), dim=1), both)
    assert found.keypoints.tolist() == [1.0, -1.0]
    assert found.mean == 1


def test_a_map_without_a_peak_is_read_at_the_corner():
    assert peaks(torch.full((1, 1, 4, 4), -1.0)).tolist() == [[[0.0, 0.0]]]
    assert peaks(spot(3, 2), first=1).tolist() == [[[4.0, 3.0]]]
