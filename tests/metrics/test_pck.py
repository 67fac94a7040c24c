import dataclasses
import math

import torch

from poise.metrics.pck import matched, pck
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
    given = matched(found, torch.tensor([0.9, 0.5, 0.4]), labels, (0.1, 0.1, 0.1))
    assert torch.equal(given[0], far[0])
    assert given[1].isnan().all()
    assert matched(torch.zeros(0, 3, 2), torch.zeros(0), labels, (0.1, 0.1, 0.1)).isnan().all()
    crowd = dataclasses.replace(labels, crowd=torch.tensor([True, True]))
    assert matched(found, torch.tensor([0.9, 0.5, 0.4]), crowd, (0.1, 0.1, 0.1)).isnan().all()
