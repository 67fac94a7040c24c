import pytest
import torch

from poise.errors import InputError
from poise.metrics.oks import decayed_scores, oks, oks_nms, pose_oks, rescore, soft_oks_nms
from poise.structures import Labels

SIGMAS = (0.05, 0.1)


def people() -> Labels:
    xy = torch.tensor([[[10.0, 10.0], [20.0, 10.0]], [[50.0, 50.0], [60.0, 50.0]]])
    visible = torch.tensor([[2, 1], [0, 0]])
    return Labels.of(xy, visible, torch.tensor([[0.0, 0.0, 30.0, 20.0], [40.0, 40.0, 70.0, 60.0]]))


def test_a_pose_on_its_label_has_oks_1_and_one_sigma_away_the_known_value():
    labels = people()
    moved = labels.xy[:1] + torch.tensor([[[2 * 0.05 * 600**0.5, 0.0], [0.0, 2 * 0.1 * 600**0.5]]])
    similar = oks(torch.cat((labels.xy[:1], moved)), labels, SIGMAS)
    assert similar[0, 0] == 1
    assert similar[1, 0] == pytest.approx(torch.exp(torch.tensor(-0.5)).item())


def test_a_person_without_labels_is_like_any_pose_inside_three_times_its_box():
    similar = oks(torch.tensor([[[11.0, 21.0], [99.0, 79.0]], [[300.0, 300.0], [300.0, 300.0]]]), people(), SIGMAS)
    assert similar[0, 1] == 1
    assert similar[1, 1] < 1e-6


def test_as_many_sigmas_as_keypoints_are_needed():
    with pytest.raises(InputError, match="3 sigmas for 2 keypoints"):
        oks(people().xy, people(), (0.1, 0.1, 0.1))


def test_of_near_poses_the_better_one_stays():
    xy = torch.tensor([[[10.0, 10.0], [20.0, 10.0]], [[10.1, 10.0], [20.0, 10.1]], [[90.0, 90.0], [99.0, 90.0]]])
    similar = pose_oks(xy, torch.full((3,), 600.0), SIGMAS)
    assert oks_nms(similar, torch.tensor([0.3, 0.9, 0.5]), 0.9).tolist() == [1, 2]
    assert soft_oks_nms(similar, torch.tensor([0.3, 0.9, 0.5]), 0.9).tolist() == [1, 2, 0]
    assert soft_oks_nms(similar, torch.tensor([0.3, 0.9, 0.5]), 0.9, max_count=2).tolist() == [1, 2]


def test_oks_of_poses_is_that_of_labels_and_symmetric():
    chance = torch.Generator().manual_seed(0)
    xy = torch.rand(6, 2, 2, generator=chance, dtype=torch.float64) * 30
    area = torch.full((6,), 600.0, dtype=torch.float64)
    similar = pose_oks(xy, area, SIGMAS)
    labels = Labels.of(xy, torch.full((6, 2), 2), torch.tensor([[0.0, 0.0, 30.0, 20.0]] * 6), area=area)
    assert (similar - oks(xy, labels, SIGMAS)).abs().max() < 1e-12
    assert torch.equal(similar, similar.T)


def test_keypoints_count_where_the_second_pose_or_both_know_them():
    xy = torch.tensor([[[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [500.0, 0.0]]])
    known = torch.tensor([[True, False], [True, True]])
    area = torch.full((2,), 100.0)
    assert pose_oks(xy, area, SIGMAS, known=known).tolist() == [[1.0, 0.5], [1.0, 1.0]]
    assert pose_oks(xy, area, SIGMAS, known=known, of="both").tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert pose_oks(xy, area, SIGMAS, known=torch.zeros(2, 2, dtype=torch.bool)).sum() == 0


def test_scores_fall_as_the_pose_taken_is_near():
    near = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    gauss = decayed_scores(torch.ones(3, dtype=torch.float64), near, 0.5)
    assert gauss.tolist() == pytest.approx([1.0, 0.6065306597, 0.1353352832])
    assert decayed_scores(torch.ones(3, dtype=torch.float64), near, 0.5, decay="linear").tolist() == [1.0, 0.5, 0.0]
    xy = torch.tensor([[[10.0, 10.0], [20.0, 10.0]], [[10.1, 10.0], [20.0, 10.1]], [[90.0, 90.0], [99.0, 90.0]]])
    similar = pose_oks(xy, torch.full((3,), 600.0), SIGMAS)
    assert soft_oks_nms(similar, torch.tensor([0.3, 0.9, 0.1]), 0.9, decay="linear").tolist() == [1, 2, 0]


def test_nobody_gives_nobody():
    similar = pose_oks(torch.zeros(0, 2, 2), torch.zeros(0), SIGMAS)
    assert oks_nms(similar, torch.zeros(0), 0.9).tolist() == []
    assert soft_oks_nms(similar, torch.zeros(0), 0.9).tolist() == []


def test_a_pose_is_rated_by_the_keypoints_that_are_sure():
    keypoints = torch.tensor([[0.9, 0.1, 0.5], [0.1, 0.2, 0.0]])
    assert rescore(torch.tensor([0.5, 1.0]), keypoints, 0.2).tolist() == pytest.approx([0.5 * 0.7, 0.0])
