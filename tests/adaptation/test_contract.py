"""Source and target in one batch, and the hooks and the state of an adaptation in a run."""

import io
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
import torch
from rich.console import Console

from poise.adaptation.joint import JointViews
from poise.adaptation.target import Target
from poise.adaptation.task import AdaptTask, Domains
from poise.data.base import Dataset
from poise.errors import CheckpointError, InputError
from poise.skeletons import COCO17
from poise.structures import Labels
from poise.training.data import ResumableSampler, loader
from poise.training.fit import fit

pytestmark = pytest.mark.usefixtures("one_thread")

HERE = {"device": "cpu", "precision": "fp32", "workers": 0, "loggers": ()}


def silent():
    return Console(quiet=True, file=io.StringIO())


class Unlabelled(Dataset):
    """Images with boxes, one of a crowd and one empty."""

    def __init__(self, dataset):
        self.dataset, self.skeleton = dataset, dataset.skeleton

    def __len__(self):
        return len(self.dataset)

    def key(self, index):
        return self.dataset.key(index)

    def image(self, index):
        return self.dataset.image(index)

    def labels(self, index):
        boxes = torch.tensor([[0.0, 0.0, 63.0, 63.0], [3.0, 3.0, 9.0, 9.0], [5.0, 5.0, 5.0, 9.0]])
        made = Labels.of(torch.zeros(3, 2, 2), torch.zeros(3, 2, dtype=torch.int64), boxes)
        return replace(made, crowd=torch.tensor([False, True, False]))


def test_a_target_shows_every_box_and_hides_every_label(tiny):
    dots = tiny.Dots(4)
    target = Target(dots, skeleton=dots.skeleton)
    assert target.people() == [(i, 0) for i in range(4)]
    assert int(target.labels(2).visible.sum()) == 0
    assert float(target.labels(2).xy.abs().sum()) == 0
    assert torch.equal(target.labels(2).boxes, dots.labels(2).boxes)
    assert torch.equal(target.truth(2).xy, dots.labels(2).xy)
    assert Target(Unlabelled(dots), skeleton=dots.skeleton).people() == [(i, 0) for i in range(4)]


def test_a_target_of_other_keypoints_has_no_truth(tiny):
    target = Target(tiny.Dots(2), skeleton=COCO17)
    assert target.labels(0).xy.shape == (1, 17, 2)
    assert int(target.truth(0).visible.sum()) == 0


def test_a_target_without_boxes_is_one_sentence(tiny):
    class Nobody(Unlabelled):
        def labels(self, index):
            return super().labels(index).select(slice(1, 3))

    with pytest.raises(InputError, match="none of the 3 target images has a box"):
        Target(Nobody(tiny.Dots(3)), skeleton=tiny.DOTS)


def joint(tiny, sizes, *, length="longest", seed=3):
    model = tiny.recipe().model
    views = [model.val_views(tiny.Dots(n), seed=0) for n in sizes]
    return JointViews({f"part{i}": one for i, one in enumerate(views)}, seed=seed, length=length)


@pytest.mark.parametrize(("length", "expected"), [("longest", 10), ("shortest", 4), (7, 7)])
def test_an_epoch_is_as_long_as_asked_and_no_view_comes_much_oftener_than_another(tiny, length, expected):
    views = joint(tiny, (10, 4), length=length)
    assert len(views) == expected
    for part, size in enumerate((10, 4)):
        seen = Counter(views.place(part, (1, i))[1] for i in range(expected))
        assert max(seen.values()) - min(seen.get(i, 0) for i in range(size)) <= 1


def test_pairs_depend_on_seed_and_epoch_alone(tiny):
    a, b, c = joint(tiny, (10, 4)), joint(tiny, (10, 4)), joint(tiny, (10, 4), seed=4)
    places = [[views.place(1, (e, i)) for e in range(2) for i in range(10)] for views in (a, b, c)]
    assert places[0] == places[1] != places[2]
    assert places[0][:10] != places[0][10:]
    assert len({number for number, _ in places[0]}) == 6  # other chances at each repetition


def test_a_joint_batch_has_a_batch_of_each_part(tiny):
    views = joint(tiny, (10, 4))
    [loaded] = list(loader(views, ResumableSampler(len(views), 10, seed=0), workers=0, pin=False))
    batch = loaded.batch.to(torch.float32)
    assert len(batch) == 10
    assert batch.images.shape == (20, 3, 64, 64)
    assert len(batch.keys) == 20
    assert list(batch.parts) == ["part0", "part1"]


def test_joining_nothing_is_one_sentence():
    with pytest.raises(InputError, match="at least one data set"):
        JointViews({}, seed=0)


class Anew(AdaptTask):
    """Makes a label for every box at epochs divisible by 2, and pulls towards it."""

    target_parts = ("pull",)
    val_scores = ("pck@0.1", "AP", "calm")

    def __init__(self, model, domains, log):
        super().__init__(model, domains)
        self.labels, self.log, self.steps = None, log, 0
        self.extra = torch.nn.Linear(2, 1)

    def begin_epoch(self, epoch):
        self.log.append(epoch)
        if epoch % 2 == 0:
            self.labels = torch.randn(len(self.domains.target), generator=torch.Generator().manual_seed(self.run.seed + epoch))

    def target_losses(self, batch):
        self.steps += 1
        rows = torch.tensor([key.image_id for key in batch.target.keys])
        mean = self.model.raw(batch.target.images)[0].flatten(1).mean(dim=1)
        beside = self.extra(torch.stack((mean, mean), dim=1)).square().mean()
        return {"pull": (mean - self.labels[rows]).square().mean() + beside}

    def check(self):
        return {"calm": -float(self.labels.square().mean())}

    @property
    def done(self):
        return self.steps >= 30

    def state(self):
        return {"labels": self.labels, "steps": self.steps}

    def load_state(self, state):
        self.labels, self.steps = state["labels"], state["steps"]


def adaptation(tiny, log, *, target=12, epochs=4, **changes):
    recipe = tiny.recipe(tiny.Tiny(people=16, batch=4, epochs=epochs))
    domains = Domains(Target(tiny.Dots(target, seed=5), skeleton=recipe.model.skeleton))
    return replace(recipe, task=partial(Anew, domains=domains, log=log), best="calm", **changes)


def weights(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def test_a_run_that_goes_on_within_a_round_ends_as_an_uninterrupted_one(tiny, tmp_path):
    whole, parts = [], []
    fit(adaptation(tiny, whole), out=tmp_path / "whole", console=silent(), **HERE)
    for steps in (2, 4, 7, None):
        flags = {"resume": tmp_path / "parts"} if (tmp_path / "parts").exists() else {}
        fit(adaptation(tiny, parts), out=tmp_path / "parts", steps=steps, console=silent(), **HERE, **flags)
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert one["state_dict"].keys() == two["state_dict"].keys()
    assert any(name.startswith("extra.") for name in one["state_dict"])
    assert all(torch.equal(one["state_dict"][n], two["state_dict"][n]) for n in one["state_dict"])
    assert torch.equal(one["poise"]["task"]["labels"], two["poise"]["task"]["labels"])
    assert whole == parts == [0, 1, 2, 3]


def test_parts_of_the_task_are_trained_and_its_scores_select_the_best(tiny, tmp_path):
    found = fit(adaptation(tiny, [], epochs=2), out=tmp_path / "run", console=silent(), **HERE)
    torch.manual_seed(0)
    assert set(found.metrics) >= {"pck@0.1", "calm", "loss"}
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert {"train/source", "train/pull", "val/calm"} <= set(rows[0].split(","))
    assert weights(tmp_path / "run")["optimizer_states"][0]["state"].keys() >= set(range(8))
    assert list((tmp_path / "run" / "pictures").glob("epoch-*.png"))


def test_a_task_can_end_the_run(tiny, tmp_path):
    log = []
    fit(adaptation(tiny, log, epochs=20), out=tmp_path / "run", console=silent(), **HERE)
    assert len(log) == 8
    fit(adaptation(tiny, log, epochs=20), out=tmp_path / "run", resume=tmp_path / "run", console=silent(), **HERE)
    assert len(log) == 8  # it has ended and does not begin again


def test_a_target_that_has_changed_is_refused_by_name(tiny, tmp_path):
    fit(adaptation(tiny, []), out=tmp_path / "run", steps=3, console=silent(), **HERE)
    with pytest.raises(CheckpointError, match="the target data of the run"):
        fit(adaptation(tiny, [], target=9), out=tmp_path / "run", resume=tmp_path / "run", console=silent(), **HERE)
