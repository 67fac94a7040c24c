"""Copy-paste: who is pasted is labelled, who is covered is hidden, too much is never covered."""

from dataclasses import replace

import pytest
import torch

from poise.data.figures import FigureDataset
from poise.data.pasted import PastedDataset, cut_out
from poise.data.wrapped import WrappedDataset
from poise.errors import InputError

PLAIN = FigureDataset(12, size=(96, 96), per_image=(1, 2), seed=5)
CUTOUTS = cut_out(FigureDataset(4, size=(96, 96), seed=6), skeleton=PLAIN.skeleton, least=16)
PASTED = PastedDataset(PLAIN, CUTOUTS, share=1.0)
CHANGED = [i for i in range(len(PLAIN)) if len(PASTED.labels(i)) > len(PLAIN.labels(i))]


def test_a_person_is_cut_out_with_the_keypoints_that_their_mask_contains():
    assert len(CUTOUTS) >= 3
    for one in CUTOUTS:
        assert one.mask.shape == one.image.shape[:2]
        assert one.mask[0].any()
        assert one.mask[:, 0].any()
        columns, rows = one.labels.xy[one.labels.visible == 2].round().long().T
        assert one.mask[rows, columns].mean() >= 0.8


def test_what_is_pasted_is_labelled_where_its_pixels_are():
    assert len(CHANGED) >= 6
    for i in CHANGED:
        sample, before = PASTED.sample_with_masks(i), PLAIN[i]
        assert len(sample.labels) == len(before.labels) + 1
        mask = sample.masks[-1]
        changed = (sample.image != before.image).any(dim=0)
        assert not changed[~mask].any()
        assert changed[mask].float().mean() > 0.5
        assert not (sample.masks[:-1] & mask).any()
        assert sample.labels.area[-1] == mask.sum()
        x0, y0, x1, y1 = sample.labels.boxes[-1].tolist()
        rows, columns = torch.nonzero(mask).unbind(dim=1)
        assert x0 - 2 <= columns.min() <= columns.max() <= x1 + 2
        assert y0 - 2 <= rows.min() <= rows.max() <= y1 + 2
        assert len(set(sample.labels.ids.tolist())) == len(sample.labels)


def test_covered_keypoints_are_hidden_and_nobody_loses_more_than_half():
    hidden = 0
    for i in CHANGED:
        before, after = PLAIN.labels(i), PASTED.labels(i)
        mask = PASTED.masks(i)[-1]
        old, new = before.visible, after.visible[:-1]
        changed = old != new
        hidden += int(changed.sum())
        assert (new[changed] == 1).all()
        columns, rows = before.xy[changed].round().long().T
        assert mask[rows, columns].all()
        assert (2 * (changed.sum(dim=1)) <= (old == 2).sum(dim=1)).all()
        assert after.xy[:-1].equal(before.xy)
    assert hidden


def test_an_image_of_unknown_size_and_a_share_of_nobody_stay_as_they_are():
    class Unsized(WrappedDataset):
        def labels(self, index):
            return self.dataset.labels(index)

        def image_size(self, index):
            return None

    for dataset in (PastedDataset(Unsized(PLAIN), CUTOUTS, share=1.0), PastedDataset(PLAIN, CUTOUTS, share=0.0)):
        assert dataset[3].image.equal(PLAIN[3].image)
        assert len(dataset.labels(3)) == len(PLAIN.labels(3))


def test_a_mirrored_cutout_has_left_and_right_exchanged():
    one = CUTOUTS[0]
    other = one.mirrored(PLAIN.skeleton)
    again = other.mirrored(PLAIN.skeleton)
    assert (again.image == one.image).all()
    assert torch.allclose(again.labels.xy, one.labels.xy, atol=1e-4)
    assert (other.labels.visible == one.labels.visible[:, PLAIN.skeleton.flip]).all()


def test_nobody_to_paste_and_a_share_out_of_range_are_refused():
    with pytest.raises(InputError, match="no person with keypoints has a segmentation mask"):
        PastedDataset(PLAIN, [])
    with pytest.raises(InputError, match="between 0 and 1, found 2"):
        PastedDataset(PLAIN, CUTOUTS, share=2.0)


def test_keypoints_that_the_image_does_not_annotate_are_not_labelled_on_who_is_pasted():
    class Headless(WrappedDataset):
        def labels(self, index):
            labels = self.dataset.labels(index)
            return replace(labels, visible=labels.visible * self.known(index))

        def known(self, index):
            return torch.arange(len(self.skeleton)) >= 5

    pasted = PastedDataset(Headless(PLAIN), CUTOUTS, share=1.0)
    assert not any(pasted.labels(i).visible[:, :5].any() for i in range(len(pasted)))
    assert any(len(pasted.labels(i)) > len(PLAIN.labels(i)) for i in range(len(pasted)))
