"""Which pseudo-labels are accepted, and what neighbouring frames do to them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from poise.adaptation.consensus import Consensus
from poise.adaptation.selection import accept_people, accept_share, accepted_share
from poise.adaptation.target import Target
from poise.adaptation.temporal import carry, flow_of, follow
from poise.data.base import Dataset
from poise.errors import InputError
from poise.skeletons import Skeleton
from poise.structures import Key, Labels

SPOT = Skeleton("spot", ("spot",), sigmas=(0.1,))


def test_the_share_grows_evenly_to_the_middle_of_the_run():
    assert accepted_share(0.0) == 0.2
    assert accepted_share(0.25) == pytest.approx(0.5)
    assert accepted_share(0.5) == accepted_share(1.0) == pytest.approx(0.8)
    assert accepted_share(0.0, full_at=0.0) == pytest.approx(0.8)


def test_a_share_of_each_keypoint_gives_labels_to_one_the_model_is_never_sure_of():
    score = torch.cat((torch.linspace(0.5, 1.0, 10)[:, None], torch.linspace(0.01, 0.1, 10)[:, None]), dim=1)
    together, each = (accept_share(score, 0.4, by_keypoint=by) for by in (False, True))
    assert together.sum(dim=0).tolist() == [8, 0]
    assert each.sum(dim=0).tolist() == [4, 4]
    assert bool(each[-4:].all())


def test_keypoints_of_no_confidence_are_never_accepted_and_equal_ones_fill_the_share():
    score = torch.tensor([[0.0, 0.0], [0.0, 0.3], [0.3, 0.3]])
    assert accept_share(score, 1.0, by_keypoint=False).sum() == 3
    assert accept_share(torch.ones(10, 1), 0.3, by_keypoint=True).sum() == 3
    assert not accept_share(score, 0.0, by_keypoint=False).any()
    with pytest.raises(InputError, match="0 to 1"):
        accept_share(score, 1.5, by_keypoint=False)


def test_the_surest_animals_are_taken_whole_but_for_their_least_sure_keypoints():
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([1.0, 0.1, 10.0, 1.0])  # a keypoint's own scale of confidence does not count
    score = (torch.rand(20, 4, generator=generator) * 0.1 + torch.linspace(0.1, 1, 20)[:, None]) * scale
    kept = accept_people(score, 0.25, keypoints=0.75)
    assert {16, 17, 18, 19} <= set(kept.any(dim=1).nonzero().flatten().tolist()) <= {15, 16, 17, 18, 19}
    assert int(kept.sum()) == 15
    assert accept_people(score, 0.0, keypoints=1.0).any(dim=1).sum() == 1


def test_a_keypoint_is_carried_where_the_frame_before_was_surer():
    xy = torch.tensor([[10.0, 10.0], [20.0, 20.0], [30.0, 30.0], [40.0, 40.0], [50.0, 50.0]])
    before = torch.zeros(5, 2)
    flow = torch.tensor([[1.0, 0.0], [1.0, 0.0], [40.0, 0.0], [float("nan"), 0.0], [1.0, 0.0]])
    confidence = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0])
    found = carry(xy, torch.tensor([0.5, 0.95, 0.5, 0.5, 0.5]), previous=before, confidence=confidence, flow=flow)
    assert found.xy.tolist() == [[1.0, 0.0], *xy[1:].tolist()]
    assert found.score.tolist() == pytest.approx([0.9, 0.95, 0.5, 0.5, 0.5])
    assert found.previous.tolist() == [1.0, 1.0, 0.0, 0.0, 0.0]


class Film(Dataset):
    """A textured patch that moves 3 pixels to the right from frame to frame; two sequences, one after the other."""

    def __init__(self, frames=4):
        self.skeleton, self.frames = SPOT, frames
        self.texture = np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8)

    def __len__(self):
        return 2 * self.frames

    def key(self, index):
        return Key(f"{index}.png", index, frame=index % self.frames)

    def sequence(self, index):
        return "ab"[index // self.frames]

    def corner(self, index):
        return 40 + 3 * (index % self.frames), 50 + 40 * (index // self.frames)

    def image(self, index):
        image = np.full((200, 200, 3), 90, np.uint8)
        x, y = self.corner(index)
        image[y : y + 40, x : x + 40] = self.texture
        image = np.ascontiguousarray(image)
        return torch.from_numpy(image).permute(2, 0, 1)

    def labels(self, index):
        x, y = self.corner(index)
        return Labels.of(
            torch.tensor([[[x + 20.0, y + 20.0]]]),
            torch.tensor([[2]]),
            torch.tensor([[x - 10.0, y - 10.0, x + 50.0, y + 50.0]]),
        )


def labelled(target, wrong):
    """Sure and right labels, but unsure and wrong ones in some images."""
    xy, score = target.people_truth.xy.clone(), torch.full((len(target), 1), 0.8)
    xy[wrong] += 25.0
    score[wrong] = 0.1
    return Consensus(xy, score, score, score)


def test_a_frame_that_the_model_does_not_understand_gets_the_label_of_the_one_before():
    target = Target(Film(), skeleton=SPOT)
    wrong = [2, 3, 4]  # the last two of the first sequence, and the first of the second
    before = labelled(target, wrong)
    found = follow(before, target, extent=torch.full((8,), 80.0))
    away = (found.xy - target.people_truth.xy).norm(dim=-1)[:, 0]
    assert float(away[[0, 1, 2, 3, 5, 6, 7]].max()) < 1.5
    assert float(away[4]) > 20  # nothing comes before the first frame of a sequence
    assert found.score[:, 0].tolist() == pytest.approx([0.8, 0.8, 0.72, 0.648, 0.1, 0.8, 0.8, 0.8], abs=1e-4)
    assert float(before.score[2]) == pytest.approx(0.1)  # what went in stays


def test_photos_are_left_alone():
    class Photos(Film):
        def sequence(self, index):
            return None

    target = Target(Photos(), skeleton=SPOT)
    before = labelled(target, [2])
    assert torch.equal(follow(before, target, extent=torch.full((8,), 80.0)).xy, before.xy)


def test_the_release_goes_over_the_borders_of_sequences_and_forgets_what_the_flow_lost():
    film = Film()
    target = Target(film, skeleton=SPOT)
    before = labelled(target, [4])
    found = follow(before, target, extent=torch.full((8,), 80.0), published=True)
    crossed = float(found.score[4]) > 0.1 or float(found.score[3]) == 0.0
    assert crossed
    mended = follow(before, target, extent=torch.full((8,), 80.0))
    assert (float(mended.score[4]), float(mended.score[3])) == pytest.approx((0.1, 0.8))


def test_flow_finds_a_moved_texture_and_says_where_it_is_lost():
    film = Film()
    first, second = (np.ascontiguousarray(film.image(i).permute(1, 2, 0).numpy()) for i in (0, 1))
    moved = flow_of(first, second, torch.tensor([[60.0, 70.0]]))
    assert moved[0].tolist() == pytest.approx([63.0, 70.0], abs=0.3)
    assert not bool(torch.isfinite(flow_of(first, second, torch.tensor([[1e5, 1e5]]))).all())


def test_the_animal_of_the_overlapping_box_is_followed():
    class Two(Film):
        def labels(self, index):
            own = super().labels(index)
            away = replace(own, xy=own.xy + 60, boxes=own.boxes + 60)
            order = (own, away) if index % 2 else (away, own)
            names = ("xy", "visible", "boxes", "area", "crowd", "ids", "categories")
            return Labels(**{name: torch.cat([getattr(one, name) for one in order]) for name in names})

    target = Target(Two(), skeleton=SPOT)
    xy = target.people_truth.xy.clone()
    score = torch.full((16, 1), 0.8)
    near = next(row for row, (image, _) in enumerate(target.people()) if image == 1)
    xy[near] += 25.0
    score[near] = 0.1
    found = follow(Consensus(xy, score, score, score), target, extent=torch.full((16,), 80.0))
    assert float((found.xy[near] - target.people_truth.xy[near]).norm()) < 1.5
