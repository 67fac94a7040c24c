import dataclasses
import math

import pytest
import torch

from poise.errors import InputError
from poise.metrics.pck import auc, epe, match_to_labels, nme, pck
from poise.metrics.sizes import torso_sizes
from poise.skeletons import ANIMAL18, MPII16
from poise.structures import Labels

LABELS = Labels.of(
    torch.tensor([[[10.0, 10.0], [30.0, 10.0], [0.0, 0.0]], [[5.0, 5.0], [6.0, 6.0], [7.0, 7.0]]]),
    torch.tensor([[2, 1, 0], [2, 0, 0]]),
    torch.tensor([[0.0, 0.0, 40.0, 100.0], [0.0, 0.0, 10.0, 10.0]]),
)


def test_a_keypoint_counts_where_it_is_nearer_than_a_share_of_the_longer_side():
    found = LABELS.xy.clone()
    found[0, 0, 0] += 9.99
    found[0, 1, 1] += 10.0
    count = pck(found, LABELS, 0.1)
    assert count.hits.tolist() == [2, 0, 0]
    assert count.labelled.tolist() == [2, 1, 0]
    assert count.mean == 2 / 3
    assert count.keypoints[:2] == [1.0, 0.0]
    assert math.isnan(count.keypoints[2])


def test_crowds_and_boxes_without_size_do_not_count_and_nan_is_a_miss():
    crowd = dataclasses.replace(LABELS, crowd=torch.tensor([True, False]))
    assert pck(LABELS.xy, crowd, 0.1).labelled.tolist() == [1, 0, 0]
    flat = dataclasses.replace(LABELS, boxes=torch.zeros(2, 4))
    assert pck(LABELS.xy, flat, 0.1).labelled.tolist() == [0, 0, 0]
    assert pck(LABELS.xy * torch.nan, LABELS, 0.1).hits.tolist() == [0, 0, 0]


def test_poses_are_given_to_people_by_oks_best_score_first():
    labels = dataclasses.replace(LABELS, visible=torch.full((2, 3), 2))
    near, far = labels.xy + 0.5, labels.xy + 2.0
    found = torch.stack((far[0], near[0], near[1] + 1000.0))
    given = match_to_labels(found, torch.tensor([0.9, 0.5, 0.4]), labels, (0.1, 0.1, 0.1))
    assert torch.equal(given[0], far[0])
    assert given[1].isnan().all()
    assert match_to_labels(torch.zeros(0, 3, 2), torch.zeros(0), labels, (0.1, 0.1, 0.1)).isnan().all()
    crowd = dataclasses.replace(labels, crowd=torch.tensor([True, True]))
    assert match_to_labels(found, torch.tensor([0.9, 0.5, 0.4]), crowd, (0.1, 0.1, 0.1)).isnan().all()


def test_distances_can_be_measured_in_torsos_numbers_and_sizes_along_each_axis():
    xy = torch.rand(2, 16, 2, generator=torch.Generator().manual_seed(0)) * 100
    labels = Labels.of(xy, torch.full((2, 16), 2), torch.tensor([[0.0, 0, 100, 100]] * 2))
    size = torso_sizes(labels, MPII16)
    ends = [MPII16.index(name) for name in ("left_shoulder", "right_hip")]
    torch.testing.assert_close(size.float(), (xy[:, ends[0]] - xy[:, ends[1]]).norm(dim=-1))
    found = xy + torch.stack((0.15 * size, torch.zeros(2)), dim=-1)[:, None].float()
    assert pck(found, labels, 0.2, size=size).mean == 1
    assert pck(found, labels, 0.1, size=size).mean == 0
    assert pck(xy + 3.0, labels, 0.1, size=50.0).mean == 1
    assert pck(xy + 3.0, labels, 0.1, size=40.0).mean == 0
    wide = torch.tensor([[1000.0, 10.0]] * 2)
    assert pck(xy + torch.tensor([50.0, 0.0]), labels, 0.1, size=wide).mean == 1
    assert pck(xy + torch.tensor([0.0, 2.0]), labels, 0.1, size=wide).mean == 0


def test_a_torso_is_measured_over_the_other_diagonal_or_not_at_all():
    xy = torch.rand(3, 16, 2, generator=torch.Generator().manual_seed(0)) * 100
    visible = torch.full((3, 16), 2)
    visible[1:, MPII16.index("left_shoulder")] = 0
    visible[2, MPII16.index("left_hip")] = 0
    labels = Labels.of(xy, visible, torch.tensor([[0.0, 0, 100, 100]] * 3))
    size = torso_sizes(labels, MPII16)
    ends = [MPII16.index(name) for name in ("right_shoulder", "left_hip")]
    assert size[1].item() == pytest.approx((xy[1, ends[0]] - xy[1, ends[1]]).norm().item(), rel=1e-6)
    assert size[2] == 0
    assert pck(xy, labels, 0.1, size=size).labelled.sum() == 16 + 15
    with pytest.raises(InputError, match="torsos have no size"):
        torso_sizes(LABELS, ANIMAL18)


def test_the_mean_over_keypoints_weighs_each_the_same():
    found = LABELS.xy.clone()
    found[0, 0] += 50
    count = pck(found, LABELS, 0.1)
    assert count.mean == 2 / 3
    assert count.over_keypoints == (0.5 + 1) / 2


def test_areas_and_means_of_known_errors():
    found = LABELS.xy + torch.tensor([3.0, 4.0])
    assert epe(found, LABELS) == 5
    assert nme(found, LABELS) == pytest.approx((0.05 + 0.05 + 0.5) / 3)
    assert auc(LABELS.xy, LABELS) == pytest.approx(19 / 20)  # nothing is nearer than 0
    assert auc(found, LABELS, size=10.0) == pytest.approx(9 / 20)


def test_sizes_and_positions_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="finite and not negative"):
        pck(LABELS.xy, LABELS, 0.1, size=torch.tensor([1.0, -1.0]))
    with pytest.raises(InputError, match="3 of 3 labelled keypoints"):
        epe(LABELS.xy * torch.nan, LABELS)
