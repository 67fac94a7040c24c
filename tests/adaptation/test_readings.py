"""What several views of a person agree on."""

from dataclasses import replace

import pytest
import torch

from poise.adaptation.consensus import agree
from poise.adaptation.criteria import CRITERIA, ORACLE, TargetCheck
from poise.adaptation.published import published_consensus
from poise.adaptation.readings import CHANGES, VIEWS, Readings, read_target
from poise.adaptation.target import Target
from poise.codecs.simcc import SimCC
from poise.errors import ImageError, InputError
from poise.training.task import TaskRun

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def see(tiny):
    """A model that sees dots, the dots, and a run."""
    from eyes import EYES, eyes

    class Seen(tiny.Dots):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.skeleton = EYES

    return eyes(), Target(Seen(12, seed=2), skeleton=EYES), run_of


def run_of(model, **changes):
    values = {"best": model, "average": None, "folder": None, "seed": 0, "epochs": 4, "batch": 8, "workers": 0}
    return TaskRun(**values | {"device": torch.device("cpu"), "precision": "fp32", "say": print, "progress": float} | changes)


@pytest.mark.parametrize("views", [VIEWS, CHANGES])
def test_readings_of_changed_views_are_those_of_the_unchanged_one(see, views):
    model, target, run = see
    found = read_target(model, target, run(model), views=5, seed=3, augmentation=views)
    truth = target.people_truth.xy
    assert found.xy.shape == (5, 12, 2, 2)
    assert float((found.xy[0] - truth).norm(dim=-1).max()) < 4
    inside = found.score > 0.4  # a view may not show the dot
    assert float((found.xy - truth).norm(dim=-1)[inside].max()) < 6
    assert float(inside.float().mean()) > 0.8
    assert not torch.equal(found.xy[1], found.xy[2])


def test_reading_leaves_the_model_and_the_chance_of_the_run_alone(see):
    model, target, run = see
    model.train()
    before = torch.random.get_rng_state()
    a = read_target(model, target, run(model), views=2, seed=3)
    assert model.training
    assert torch.equal(torch.random.get_rng_state(), before)
    b = read_target(model, target, run(model, batch=5), views=2, seed=3)
    assert torch.allclose(a.xy, b.xy, atol=1e-4)
    model.eval()


def test_an_image_that_cannot_be_read_has_no_label_and_moves_no_other(see):
    model, target, run = see

    class Broken(type(target.dataset)):
        def image(self, index):
            if index == 4:
                raise ImageError("gone")
            return super().image(index)

    broken = Target(Broken(12, seed=2), skeleton=target.skeleton)
    whole, part = (read_target(model, one, run(model), views=2, seed=3) for one in (target, broken))
    rest = [i for i in range(12) if i != 4]
    assert torch.equal(whole.xy[:, rest], part.xy[:, rest])
    assert float(part.score[:, 4].abs().sum()) == 0


def readings(xy, score, extent=64.0):
    """Readings of one keypoint of one person."""
    t = len(score)
    return Readings(torch.tensor(xy).reshape(t, 1, 1, 2), torch.tensor(score).reshape(t, 1, 1), torch.tensor([extent]))


def test_the_place_that_most_views_answer_wins_and_the_stray_one_does_not_move_it():
    found = agree(readings([[50.0, 50.0], [10.0, 10.0], [10.4, 10.0], [9.6, 10.0]], [0.9, 0.6, 0.6, 0.6]))
    assert found.xy[0, 0].tolist() == pytest.approx([10.0, 10.0], abs=0.05)
    assert 0.4 < float(found.score) < 0.45
    assert 0.7 < float(found.agreement) <= 0.75
    assert float(found.confidence) == pytest.approx(0.9)


def test_one_view_is_its_own_consensus():
    found = agree(readings([[3.0, 4.0]], [0.25]))
    assert found.xy[0, 0].tolist() == [3.0, 4.0]
    assert (float(found.score), float(found.agreement)) == (0.25, 1.0)


def test_negative_and_zero_confidences_give_a_finite_place_of_no_confidence():
    found = agree(readings([[3.0, 4.0], [8.0, 9.0]], [-0.2, 0.0]))
    assert bool(torch.isfinite(found.xy).all())
    assert float(found.score) == 0.0


def test_a_model_that_always_answers_the_middle_of_its_view_does_not_agree(see):
    model, target, run = see

    class Middle(torch.nn.Module):
        def forward(self, images):
            maps = torch.zeros(len(images), 2, 16, 16)
            maps[:, :, 8, 8] = 1
            return maps

    blind = replace_network(model, Middle())
    check = TargetCheck(people=12, views=4)
    scores = [check.scores(check.part(target), run(one)) for one in (model, blind)]
    assert set(scores[0]) == {*CRITERIA, ORACLE}
    assert scores[0]["agreement"] > 0.6 > 0.5 > scores[1]["agreement"]
    assert scores[0][ORACLE] == 1.0


def replace_network(model, network):
    from poise.models.top_down import TopDown

    return TopDown(network, model.codec, model.preprocess, model.skeleton, model.card)


def test_a_check_looks_at_as_many_images_as_asked_and_needs_no_labels(see, tiny):
    model, target, run = see
    check = TargetCheck(people=5)
    assert len(check.part(target)) == 5
    hidden = Target(target, skeleton=target.skeleton)
    assert set(check.scores(check.part(hidden), run(model))) == set(CRITERIA)
    assert TargetCheck(people=0).names == ()
    with pytest.raises(InputError, match="2 or more views"):
        TargetCheck(views=1)


def test_the_release_averages_maps_and_finds_the_same_dots(see):
    model, target, run = see
    found, extent = published_consensus(model, target, run(model), views=5, augmentation=VIEWS, seed=3)
    truth = target.people_truth.xy
    assert float((found.xy - truth).norm(dim=-1).median()) < 4
    plain = read_target(model, target, run(model), views=1, seed=3)
    assert torch.equal(extent, plain.extent)
    turned = published_consensus(model, target, run(model), views=1, augmentation=VIEWS, seed=3)[0]
    assert torch.allclose(turned.xy, plain.xy[0], atol=1e-3)


def test_the_release_does_not_average_what_are_no_square_maps(see):
    model, target, run = see
    other = replace_network(model, model.network)
    other.codec = SimCC((64, 64), (16, 16), 2)
    with pytest.raises(InputError, match="averages square heatmaps"):
        published_consensus(other, target, run(other), views=2, augmentation=VIEWS, seed=0)
    with pytest.raises(InputError, match="averages square heatmaps"):
        published_consensus(model, target, run(model), views=2, augmentation=replace(VIEWS, flip=0.5), seed=0)
