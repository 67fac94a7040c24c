"""Who stays of several boxes or poses of one person; positions and scores are worked out by hand."""

import math

import pytest
import torch

from poise.codecs.one_hot import OneHot
from poise.models import rcnn_boxes
from poise.models.card import Card
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.postprocess import Detections, detections_from
from poise.models.rcnn_config import RCNNConfig
from poise.scenes import Canvas, People
from poise.skeletons import Skeleton
from poise.structures import Architecture, Points
from poise.zoo.rcnn.backbones import BackboneSpec
from poise.zoo.rcnn.heads import Heads, build_network
from poise.zoo.rcnn.variants import variant_of

WHOLE, HALF, PART, ELSEWHERE = [0.0, 0, 10, 10], [0.0, 0, 10, 5], [0.0, 0, 10, 4], [20.0, 0, 30, 10]
"""The overlap (IoU) of `WHOLE` and `HALF` is 0.5, of `WHOLE` and `PART` 0.4, of `HALF` and `PART` 0.8."""

PROPOSED = torch.tensor([PART, WHOLE, ELSEWHERE, HALF, WHOLE])
SURE = torch.tensor([0.7, 0.9, 0.6, 0.8, 0.03])


def found(config: RCNNConfig, *, proposed=PROPOSED, sure=SURE, moves=None, size=(100, 100)) -> Detections:
    """What becomes of proposals that are somebody's as surely as is said."""
    logits = torch.stack((torch.zeros(len(sure)), sure.logit()), dim=1)
    every = torch.zeros(len(sure), 8)
    if moves is not None:
        every[:, 4:] = moves
    [one] = detections_from(logits, every, [proposed], sizes=[size], config=config)
    return one


@pytest.mark.parametrize(
    ("options", "boxes", "scores"),
    [
        ({"nms": 0.5}, [WHOLE, HALF, ELSEWHERE], [0.9, 0.8, 0.6]),
        ({"nms": 0.45}, [WHOLE, PART, ELSEWHERE], [0.9, 0.7, 0.6]),
        ({"nms": 0.3}, [WHOLE, ELSEWHERE], [0.9, 0.6]),
        ({"nms": 0.5, "per_image": 2}, [WHOLE, HALF], [0.9, 0.8]),
        ({"nms": 1.0, "score": 0.65}, [WHOLE, HALF, PART], [0.9, 0.8, 0.7]),
    ],
)
def test_of_boxes_that_overlap_by_more_than_the_threshold_the_surest_stays(options, boxes, scores):
    one = found(RCNNConfig(**options))
    assert one.boxes.tolist() == boxes
    assert one.score.tolist() == pytest.approx(scores, abs=1e-6)


def test_soft_suppression_lowers_by_a_gaussian_of_the_overlap():
    """Each box that is taken lowers the others: first `WHOLE`, then `ELSEWHERE`, whom nobody overlaps, then `PART`."""
    one = found(RCNNConfig(suppression="soft", sigma=0.5))
    part = 0.7 * math.exp(-(0.4**2) / 0.5)
    half = 0.8 * math.exp(-(0.5**2) / 0.5) * math.exp(-(0.8**2) / 0.5)
    assert (part, half) == pytest.approx((0.508304, 0.134911), abs=1e-6)
    assert one.boxes.tolist() == [WHOLE, ELSEWHERE, PART, HALF]
    assert one.score.tolist() == pytest.approx([0.9, 0.6, part, half], abs=1e-6)


def test_softly_suppressed_boxes_go_where_their_score_falls_below_the_least():
    one = found(RCNNConfig(suppression="soft", sigma=0.5, score=0.14))
    assert one.boxes.tolist() == [WHOLE, ELSEWHERE, PART]
    steep = found(RCNNConfig(suppression="soft", sigma=0.05, score=0.02))
    assert steep.boxes.tolist() == [WHOLE, ELSEWHERE, PART]
    assert steep.score[2].item() == pytest.approx(0.7 * math.exp(-(0.4**2) / 0.05), abs=1e-6)


def test_moves_are_tenths_of_the_sides_and_fifths_of_their_logarithms_and_boxes_end_with_the_view():
    """Of a box of 10x10: the middle goes from 15, 15 to 16, 13, it becomes 40 wide, and 25 pixels of the view are there."""
    moves = torch.tensor([[1.0, -2.0, 5 * math.log(4), 0.0]])
    one = found(
        RCNNConfig(), proposed=torch.tensor([[10.0, 10, 20, 20]]), sure=torch.tensor([0.9]), moves=moves, size=(100, 25)
    )
    torch.testing.assert_close(one.boxes, torch.tensor([[0.0, 8.0, 25.0, 18.0]]))


EARS = Skeleton("ears", ("one", "other"), sigmas=(0.5, 0.5))
"""At a distance of 10 pixels a keypoint of a person of 100 square pixels is exp(-100 / (2 * 100)) = 0.61 right."""

BOXES = torch.tensor([[0.0, 0, 10, 10], [1.0, 0, 11, 10], [50.0, 50, 60, 60]])
POSES = torch.tensor([[[2.0, 2.0], [8.0, 8.0]], [[2.0, 2.0], [18.0, 8.0]], [[52.0, 52.0], [58.0, 58.0]]])
"""The OKS of the first two is (1 + 0.61) / 2 = 0.80."""

LIKELY = torch.tensor([[0.5, 0.5], [1.0, 0.8], [0.2, 0.4]])


def people(monkeypatch, *, probability=LIKELY, boxes=BOXES, **options) -> People:
    """Whom a model finds whose boxes and keypoints are the above."""
    config = RCNNConfig(**options)
    network = build_network(
        BackboneSpec.parse("hrnet_w4"), variant_of("poise"), Heads(channels=2, features=8, convolutions=1, width=8)
    )
    card = Card("ears", Architecture("tests:ears"), licence="MIT")
    model = KeypointRCNN(network, OneHot((56, 56), 2, score="mass"), Canvas(side=64, multiple=32), EARS, card, config).eval()
    answer = Detections(boxes, torch.tensor([0.9, 0.8, 0.7]))
    monkeypatch.setattr(rcnn_boxes, "find_boxes", lambda *_: [answer])
    with torch.no_grad():
        [[one]] = model.read(torch.zeros(1, 3, 64, 64), flip=False, decoders=[lambda *_: Points(POSES, probability)])
    return one


@pytest.mark.parametrize(
    ("options", "stay", "rated"),
    [
        ({"keypoint_nms": 0.80}, [1, 2], [0.8 * 0.9, 0.7 * 0.3]),
        ({"keypoint_nms": 0.81}, [1, 0, 2], [0.8 * 0.9, 0.9 * 0.5, 0.7 * 0.3]),
        ({"keypoint_nms": None}, [1, 0, 2], [0.8 * 0.9, 0.9 * 0.5, 0.7 * 0.3]),
        ({"keypoint_nms": 0.80, "rating": "box"}, [0, 2], [0.9, 0.7]),
        ({"keypoint_nms": 0.80, "rating": "keypoints"}, [1, 2], [0.9, 0.3]),
    ],
)
def test_of_two_poses_nearer_than_the_threshold_the_one_that_is_rated_better_stays(monkeypatch, options, stay, rated):
    assert (1 + math.exp(-0.5)) / 2 == pytest.approx(0.803265, abs=1e-6)
    one = people(monkeypatch, **options)
    assert torch.equal(one.xy, POSES[stay])
    assert torch.equal(one.boxes, BOXES[stay])
    assert one.pose_score.tolist() == pytest.approx(rated)
    assert one.box_score.tolist() == pytest.approx([[0.9, 0.8, 0.7][row] for row in stay])
    torch.testing.assert_close(one.score, LIKELY[stay])


def test_how_near_two_poses_are_is_told_by_the_mean_of_their_boxes_areas(monkeypatch):
    """100 and 300 square pixels: the OKS is (1 + exp(-100 / 400)) / 2 = 0.889."""
    wide = BOXES.clone()
    wide[1] = torch.tensor([1.0, 0.0, 31.0, 10.0])
    assert len(people(monkeypatch, boxes=wide, keypoint_nms=0.88)) == 2
    assert len(people(monkeypatch, boxes=wide, keypoint_nms=0.89)) == 3


@pytest.mark.parametrize("threshold", [0.8, 0.9, None])
def test_of_poses_rated_alike_the_one_in_the_surer_box_comes_first(monkeypatch, threshold):
    alike = torch.full((3, 2), 0.5)
    one = people(monkeypatch, probability=alike, rating="keypoints", keypoint_nms=threshold)
    assert one.box_score.tolist() == pytest.approx([0.9, 0.7] if threshold == 0.8 else [0.9, 0.8, 0.7])
