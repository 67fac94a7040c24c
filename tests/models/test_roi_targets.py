"""Which proposals are whose."""

import torch

from poise.models.rcnn_config import Learning
from poise.models.roi_targets import CODER, ViewTruth, box_losses, jittered_like_detector, sampled_rois, view_truths
from poise.nn.heads.rpn import integral_image, share_in_region
from poise.scenes import Scenes

PEOPLE = torch.tensor([[10.0, 10, 50, 90], [60, 20, 100, 100]])
VIEW = ViewTruth(PEOPLE, torch.tensor([4, 7]))
BACKGROUND = ViewTruth(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))


def test_proposals_are_those_of_the_people_they_overlap():
    proposals = torch.cat((PEOPLE + 3, torch.tensor([[0.0, 0, 20, 20], [61, 61, 99, 99]])))
    rois = sampled_rois([proposals, proposals[:2]], [VIEW, BACKGROUND], Learning())
    assert rois.person.tolist() == [4, 7, -1, -1, -1, -1]
    assert torch.equal(rois.truth[:2], PEOPLE)
    assert torch.equal(rois.truth[2:4], proposals[2:])
    only = rois.positives
    assert (only.person.tolist(), [len(own) for own in only.boxes]) == ([4, 7], [2, 0])
    assert [len(own) for own in only.at_most(1).boxes] == [1, 0]
    assert only.at_most(None) is only


def test_as_many_are_drawn_as_asked_for_and_at_most_a_share_is_peoples():
    torch.manual_seed(0)
    proposals = torch.cat((PEOPLE.repeat(100, 1) + torch.rand(200, 4), torch.rand(400, 4) + torch.tensor([0.0, 0, 8, 8])))
    rois = sampled_rois([proposals], [VIEW], Learning(per_image=64, positive=0.25))
    assert len(rois.person) == 64
    assert int((rois.person >= 0).sum()) == 16
    few = sampled_rois([proposals[:3]], [VIEW], Learning(per_image=64))
    assert len(few.person) == 3


def test_nobodys_proposals_in_ignored_regions_are_left_out_and_peoples_are_not():
    region = torch.zeros(120, 120, dtype=torch.bool)
    region[:, 55:] = True
    proposals = torch.cat((PEOPLE, torch.tensor([[70.0, 0, 110, 30], [0, 90, 40, 118], [40, 0, 66, 20]])))
    rois = sampled_rois([proposals], [VIEW], Learning(), ignored=[integral_image(region)])
    assert rois.person.tolist() == [4, 7, -1, -1]
    assert torch.equal(rois.boxes[0][2:], proposals[3:])


def test_shares_within_a_region_are_counted_in_pixels():
    region = torch.rand(30, 40, generator=torch.Generator().manual_seed(0)) < 0.5
    boxes = torch.tensor(
        [[0.0, 0, 40, 30], [3, 4, 17, 21], [5, 5, 5, 5], [-10, -10, 3, 3], [39.5, 29.5, 60, 60], [50, 50, 60, 60]]
    )
    share = share_in_region(boxes, integral_image(region))
    expected = [region.float().mean(), region[4:21, 3:17].float().mean(), region[5, 5], region[:3, :3].float().mean()]
    expected += [region[29, 39], region[29, 39]]
    torch.testing.assert_close(share, torch.tensor([float(part) for part in expected]))


def test_people_of_a_view_end_where_it_is_filled_up():
    scenes = Scenes(
        xy=torch.zeros(3, 17, 2),
        visible=torch.zeros(3, 17, dtype=torch.int64),
        boxes=torch.tensor([[10.0, 10, 50, 90], [60.0, 20, 100, 100], [0, 0, 8, 8]]),
        extent=torch.ones(3),
        scene=torch.tensor([0, 0, 1]),
        ignore=torch.zeros(2, 128, 128, dtype=torch.bool),
    )
    first, second = view_truths(scenes, [(80, 40), (128, 128)])
    assert torch.equal(first.boxes, torch.tensor([[10.0, 10, 40, 80]]))
    assert (first.index.tolist(), second.index.tolist()) == ([0], [2])


def test_copies_are_off_like_the_boxes_that_the_detector_found():
    torch.manual_seed(0)
    found = PEOPLE + torch.tensor([[4.0, 0, 4, 0], [8, 0, 8, 0]])  # a tenth and a fifth of the width to the right
    copies, none = jittered_like_detector(found, PEOPLE, [VIEW, BACKGROUND], 50)
    assert (len(copies), len(none)) == (100, 0)
    shift = (copies - PEOPLE.repeat(50, 1))[:, 0] / 40
    assert set(shift.mul(10).round().long().tolist()) == {1, 2}
    torch.testing.assert_close(copies[:, 2:] - copies[:, :2], (PEOPLE[:, 2:] - PEOPLE[:, :2]).repeat(50, 1))
    assert len(jittered_like_detector(found[:0], PEOPLE[:0], [VIEW], 5)[0]) == 0


def test_a_head_without_fault_has_no_loss_of_boxes():
    rois = sampled_rois([torch.cat((PEOPLE + 3, PEOPLE * 0 + torch.tensor([0.0, 0, 9, 9])))], [VIEW], Learning())
    moves = torch.full((4, 8), 9.0)
    moves[:2, 4:] = CODER.encode_single(PEOPLE, PEOPLE + 3)
    logits = torch.tensor([[-50.0, 50], [-50, 50], [50, -50], [50, -50]])
    for value in box_losses(logits, moves, rois, person=1, smooth=1 / 9):
        assert float(value) < 1e-6
    none = sampled_rois([torch.zeros(0, 4)], [BACKGROUND], Learning())
    for value in box_losses(logits[:0], moves[:0], none, person=1, smooth=0.0):
        assert float(value) == 0
