import math

import numpy as np
import pytest
import torch
import torchvision

from poise.metrics.nms import box_iou, box_nms, nearby_nms, soft_box_nms


def boxes(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 100, (n, 2))
    return torch.from_numpy(np.concatenate((low, low + rng.uniform(5, 60, (n, 2))), axis=1)), torch.from_numpy(rng.random(n))


def test_overlaps_and_suppression_are_those_of_torchvision():
    found, score = boxes(40)
    assert (box_iou(found, found) - torchvision.ops.box_iou(found, found)).abs().max() < 1e-9
    for threshold in (0.1, 0.3, 0.7):
        assert box_nms(found, score, threshold).tolist() == torchvision.ops.nms(found, score, threshold).tolist()


def test_corners_that_are_pixels_make_boxes_a_pixel_larger():
    one = torch.tensor([[0.0, 0, 9, 9]])
    assert box_iou(one, torch.tensor([[5.0, 0, 14, 9]]), pixel=1.0).item() == pytest.approx(50 / 150)
    assert box_iou(torch.zeros(1, 4), torch.zeros(1, 4)).item() == 0


def test_of_poses_that_share_keypoints_the_best_stays():
    pose = torch.rand(1, 8, 2, generator=torch.Generator().manual_seed(0)) * 100
    far = pose.clone()
    far[0, :5] += 60
    poses = torch.cat((pose, pose + 0.1, far))
    score = torch.tensor([0.4, 0.6, 0.5])
    assert nearby_nms(poses, score).tolist() == [1, 2]
    assert nearby_nms(poses, score, min_shared=2).tolist() == [1]
    assert nearby_nms(poses, score, max_count=1).tolist() == [1]
    assert nearby_nms(torch.zeros(0, 8, 2), torch.zeros(0)).tolist() == []


def test_a_pose_without_extent_stays():
    assert nearby_nms(torch.zeros(1, 4, 2), torch.ones(1)).tolist() == [0]


def test_linear_soft_nms_lowers_by_one_minus_the_iou_from_its_threshold_on():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [5, 0, 15, 10], [50, 50, 60, 60]])
    score = torch.tensor([0.9, 0.8, 0.7, 0.1])
    rows, lowered = soft_box_nms(boxes, score, linear=0.3)
    assert rows.tolist() == [0, 2, 3]  # the copy of the first has nothing left
    assert lowered.tolist() == pytest.approx([0.9, 0.7 * 2 / 3, 0.1])
    assert soft_box_nms(boxes, score, linear=0.5)[1].tolist() == pytest.approx([0.9, 0.7, 0.1])


def test_softly_suppressed_boxes_stay_with_lower_scores():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [5, 0, 15, 10], [50, 50, 60, 60]])
    rows, score = soft_box_nms(boxes, torch.tensor([0.9, 0.8, 0.7, 0.1]), sigma=0.5)
    assert rows.tolist() == [0, 2, 3, 1]
    third = 1 / 3  # of the union both share
    fallen = math.exp(-2 * third**2)
    expected = [0.9, 0.7 * fallen, 0.1, 0.8 * math.exp(-2) * fallen]
    assert score.tolist() == pytest.approx(expected)
    assert soft_box_nms(boxes, torch.tensor([0.9, 0.8, 0.7, 0.1]), min_score=0.11)[0].tolist() == [0, 2]
    assert soft_box_nms(boxes, torch.tensor([0.9, 0.8, 0.7, 0.1]), max_count=1)[0].tolist() == [0]
    assert len(soft_box_nms(boxes[:0], torch.zeros(0))[0]) == 0
