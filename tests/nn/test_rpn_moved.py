"""Anchors that overlap a copy of a labelled box are positive and are to move to the labelled box."""

import torch

from poise.nn.heads.rpn import _moved


def test_anchors_move_to_the_labelled_box_of_the_copy_they_overlap():
    truth, copy = torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[2.0, 0, 12, 10]])
    target = {"boxes": torch.cat((truth, copy)), "moved": torch.cat((truth, truth))}
    matched = torch.cat((copy, truth, copy))
    assert torch.equal(_moved(matched, target), truth.repeat(3, 1))
    assert _moved(matched, {"boxes": truth}) is matched
