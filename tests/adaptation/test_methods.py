"""The methods in runs: labels in rounds, what a run leaves, and going on from the middle of a round."""

import csv
import io
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from rich.console import Console

from poise.adaptation.cc_ssl import CcSsl
from poise.adaptation.consensus import Consensus
from poise.adaptation.criteria import CRITERIA, ORACLE, TargetCheck
from poise.adaptation.ends import SourceOnly, Supervised
from poise.adaptation.mean_teacher import MeanTeacher
from poise.adaptation.pplo import Growth, Pplo
from poise.adaptation.pseudo import Labelling, PseudoLabels
from poise.adaptation.readings import CHANGES
from poise.adaptation.rounds import Round
from poise.adaptation.target import Target
from poise.adaptation.task import Domains
from poise.data.base import Dataset
from poise.errors import CheckpointError, InputError
from poise.models.views.base import TrainData
from poise.structures import Batch
from poise.training.fit import fit
from poise.training.task import TaskRun
from poise.transforms.jitter import Augmentation

pytestmark = pytest.mark.usefixtures("one_thread")

HERE = {"device": "cpu", "precision": "fp32", "workers": 0, "loggers": ()}
CHECK = TargetCheck(people=4, views=2)
LABELLING = Labelling(every=2, views=3, augmentation=CHANGES)
METHODS = {
    "source_only": partial(SourceOnly, check=CHECK),
    "supervised": partial(Supervised, check=CHECK, gamma=1.0),
    "mean_teacher": partial(MeanTeacher, check=CHECK, gamma=1.0, rise=4),
    "cc_ssl": partial(CcSsl, check=CHECK, gamma=1.0, labelling=LABELLING),
    "cc_ssl_published": partial(CcSsl, check=CHECK, gamma=10.0, labelling=Labelling(every=2, views=2, published=True)),
    "pplo": partial(Pplo, check=CHECK, gamma=1.0, labelling=LABELLING, growth=Growth()),
}


def silent():
    return Console(quiet=True, file=io.StringIO())


class Unlabelled(Dataset):
    """The images and boxes of a data set alone."""

    def __init__(self, dataset):
        self.dataset, self.skeleton = dataset, dataset.skeleton

    def __len__(self):
        return len(self.dataset)

    def key(self, index):
        return self.dataset.key(index)

    def image(self, index):
        return self.dataset.image(index)

    def labels(self, index):
        labels = self.dataset.labels(index)
        return replace(labels, visible=torch.zeros_like(labels.visible))


def adaptation(tiny, name, *, epochs=4, labelled=True, best="agreement", keep_norms=False, **changes):
    recipe = tiny.recipe(tiny.Tiny(people=16, batch=4, epochs=epochs))
    dots = tiny.Dots(12, seed=5)
    target = Target(dots if labelled else Unlabelled(dots), skeleton=recipe.model.skeleton)
    task = partial(METHODS[name], domains=Domains(target, keep_norms=keep_norms))
    return replace(recipe, name=name, task=task, best=best, val_every=1, **changes)


def run(tiny, name, folder, *, resume=False, steps=None, **options):
    flags = {"resume": folder} if resume else {}
    return fit(adaptation(tiny, name, **options), out=folder, steps=steps, console=silent(), **HERE, **flags)


def state(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def same(one, two):
    """Whether two values of a state are equal bit by bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[name], two[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(two) and all(map(same, one, two))
    return one == two or (one != one and two != two)


@pytest.mark.parametrize("name", ["cc_ssl", "mean_teacher", "pplo"])
def test_a_run_that_goes_on_from_the_middle_of_a_round_ends_as_an_uninterrupted_one(tiny, tmp_path, name):
    run(tiny, name, tmp_path / "whole")
    for steps in (2, 5, 11, None):  # within the first round, at its last step, within the second
        run(tiny, name, tmp_path / "parts", resume=(tmp_path / "parts").exists(), steps=steps)
    whole, parts = state(tmp_path / "whole"), state(tmp_path / "parts")
    assert same(whole["state_dict"], parts["state_dict"])
    assert same(whole["poise"]["task"], parts["poise"]["task"])
    assert same(whole["optimizer_states"], parts["optimizer_states"])
    rounds = tmp_path / "whole" / "rounds.csv"
    assert not rounds.exists() or rounds.read_bytes() == (tmp_path / "parts" / "rounds.csv").read_bytes()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_trains_tells_its_scores_and_keeps_a_best_model(tiny, tmp_path, name):
    average = {"average": None} if name == "cc_ssl_published" else {}
    found = run(tiny, name, tmp_path / "run", epochs=2, **average)
    assert set(found.metrics) >= {"pck@0.1", "AP", *CRITERIA, ORACLE}
    assert found.file.is_file()
    columns = set((tmp_path / "run" / "metrics.csv").read_text().splitlines()[0].split(","))
    assert "train/source" in columns
    assert ("train/target" in columns) == (name != "source_only")


def test_a_run_tells_shares_and_precisions_of_its_rounds_and_draws_them(tiny, tmp_path):
    run(tiny, "cc_ssl", tmp_path / "run")
    with (tmp_path / "run" / "rounds.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["round"], row["epoch"]) for row in rows] == [("0", "1"), ("1", "3")]
    assert {"precision", "share/left_dot", "precision/right_dot"} <= set(rows[0])
    assert float(rows[0]["share"]) <= 0.25 < float(rows[1]["share"])
    assert all(0 <= float(row["precision"]) <= 1 for row in rows)
    drawn = {path.name for path in (tmp_path / "run" / "pictures").glob("round-*")}
    assert drawn == {f"round-000{n}-{what}.png" for n in (0, 1) for what in ("accepted", "refused")}


def test_without_labels_of_the_target_nothing_is_told_of_precision_and_no_oracle(tiny, tmp_path):
    found = run(tiny, "cc_ssl", tmp_path / "run", epochs=2, labelled=False)
    assert ORACLE not in found.metrics
    header, row = (tmp_path / "run" / "rounds.csv").read_text().splitlines()
    assert "precision" not in header
    assert "nan" not in row


def test_the_target_s_labels_change_nothing_but_reports(tiny, tmp_path):
    for labelled in (True, False):
        run(tiny, "cc_ssl", tmp_path / str(labelled), epochs=2, labelled=labelled)
    with_labels, without = (state(tmp_path / name) for name in ("True", "False"))
    assert same(with_labels["state_dict"], without["state_dict"])


def test_a_state_without_pseudo_labels_is_one_sentence(tiny, tmp_path):
    task = adaptation(tiny, "cc_ssl")
    made = task.task(task.model)
    with pytest.raises(CheckpointError, match="no pseudo-labels to go on with"):
        made.load_state({})
    labels = {"xy": torch.zeros(3, 2, 2), "score": torch.zeros(3, 2), "accepted": torch.zeros(3, 2, dtype=torch.bool)}
    with pytest.raises(CheckpointError, match="pseudo-labels of 3 people, and the target has 12"):
        made.load_state({"labels": labels, "rounds": []})
    with pytest.raises(CheckpointError, match="how many steps its teacher"):
        METHODS["mean_teacher"](task.model, domains=made.domains).load_state({})


def test_labels_that_join_a_batch_are_those_of_labelled_data(tiny):
    recipe = tiny.recipe()
    dots, skeleton = tiny.Dots(10, seed=4), recipe.model.skeleton
    target = Target(dots, skeleton=skeleton)
    views = Augmentation(scale=0.2, rotation=40.0, flip=0.5, translation=0.1)
    batches = []
    for dataset in (dots, target):
        own = recipe.model.train_views(TrainData("test", dataset, views), seed=7)
        batches.append(Batch.of([own[(3, i)].view for i in range(10)]))
    truth = target.people_truth
    joined = PseudoLabels(truth.xy, torch.ones(10, 2), truth.visible > 0).joined(batches[1], target.rows, skeleton)
    assert int(batches[1].visible.sum()) == 0
    assert torch.allclose(joined.xy, batches[0].xy, atol=1e-3)
    assert torch.equal(joined.visible, batches[0].visible)
    assert any(torch.linalg.det(w[:2, :2]) < 0 for w in joined.warps)  # some are mirrored
    one = torch.tensor([[True, False]]).expand(10, 2)
    half = PseudoLabels(truth.xy, torch.ones(10, 2), one).joined(batches[1], target.rows, skeleton)
    mirrored = torch.linalg.det(half.warps[:, :2, :2]) < 0
    assert torch.equal(half.visible[:, 0] == 0, mirrored)  # the left dot is the right one of a mirrored view


def test_supervised_without_labels_of_the_target_is_one_sentence(tiny):
    recipe = adaptation(tiny, "supervised", labelled=False)
    with pytest.raises(InputError, match="supervised training needs a target with labels"):
        recipe.task(recipe.model)


def test_a_mean_teacher_without_an_average_is_one_sentence(tiny, tmp_path):
    with pytest.raises(InputError, match="moving average of the weights"):
        run(tiny, "mean_teacher", tmp_path / "run", average=None)


def consensus(agreement, people=10):
    one = torch.full((people, 2), agreement)
    return Consensus(torch.zeros(people, 2, 2), torch.rand(people, 2, generator=torch.Generator().manual_seed(0)), one, one)


def test_rounds_follow_the_time_of_a_run_that_its_budget_ends_before_its_epochs(tiny, monkeypatch):
    recipe = adaptation(tiny, "cc_ssl", epochs=12)
    task = recipe.task(recipe.model)
    spent = iter((0.0, 0.1, 0.2, 0.35, 0.5, 0.95))
    run = TaskRun(
        best=recipe.model, average=None, folder=None, seed=0, epochs=12, batch=4, workers=0, device=torch.device("cpu"),
        precision="fp32", say=print, progress=lambda: next(spent),
    )  # fmt: skip
    task.start(run)
    monkeypatch.setattr(CcSsl, "consensus", lambda self, epoch: consensus(0.5, people=12))
    for epoch in range(6):
        task.begin_epoch(epoch)
    assert [one.epoch for one in task.rounds] == [0, 2, 3, 4, 5]
    assert [round(one.share, 2) for one in task.rounds] == pytest.approx([0.2, 0.44, 0.62, 0.8, 0.8], abs=0.05)


def test_pplo_learns_from_source_and_target_in_turn_and_ends_by_its_rule(tiny):
    recipe = adaptation(tiny, "pplo")
    task = recipe.task(recipe.model)
    task.growth = Growth(first=0.5, step=0.3, last=0.8, patience=2)
    counts = []
    for number, agreement in enumerate((0.3, 0.5, 0.6, 0.6, 0.55)):
        assert not task.done
        kept = task.accept(consensus(agreement), progress=0.0)
        counts.append(int(kept.any(dim=1).sum()))
        task.rounds.append(Round(number, 0, 10, 0.0, 0.0, {}, {}))
    assert counts == [5, 7, 7, 7, 7]  # of 5, 8, 8, ...: one has no keypoint among the surest 80 %
    assert task.done
    batch = next(iter_batches(task, recipe))
    recipe.model.train()
    task.labels = PseudoLabels(torch.full((12, 2, 2), 30.0), torch.ones(12, 2), torch.ones(12, 2, dtype=torch.bool))
    parts = [{name: float(value.detach()) for name, value in task.losses(batch).items()} for _ in range(4)]
    assert [(p["source"] > 0, p["target"] > 0) for p in parts] == [(True, False), (False, True)] * 2


@pytest.mark.parametrize("name", ["mean_teacher", "pplo"])
def test_a_model_that_was_loaded_learns_the_target_too(tiny, tmp_path, name):
    """A model of a file comes in evaluation mode, and trains in it: steps were not counted then."""
    recipe = adaptation(tiny, name, epochs=2)
    recipe.model.eval()
    fit(recipe, out=tmp_path / "run", console=silent(), **HERE)
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert state(tmp_path / "run")["poise"]["task"]["steps"] == int(rows[-1]["step"])
    assert float(rows[-1]["train/target"]) > 0


def test_the_mean_teachers_weight_rises_by_design_which_is_no_divergence(tiny, tmp_path):
    recipe = adaptation(tiny, "mean_teacher", epochs=8)
    console = Console(record=True, width=200, file=io.StringIO())
    fit(recipe, out=tmp_path / "run", console=console, **HERE)
    assert recipe.task(recipe.model).rising_parts == ("target",)
    assert "diverges" not in console.export_text()


def test_learning_from_source_and_target_in_turn_is_no_divergence(tiny, tmp_path):
    recipe = adaptation(tiny, "pplo", epochs=3)
    first_target = replace(recipe.schedule, warmup_steps=1)  # the first step at the full rate is one of the target
    recipe = replace(recipe, schedule=first_target)
    console = Console(record=True, width=200, file=io.StringIO())
    task = recipe.task
    gamma = 1e-4  # the target's loss is far below a hundredth of the source's
    fit(replace(recipe, task=lambda model: weighed(task(model), gamma)), out=tmp_path / "run", console=console, **HERE)
    assert "diverges" not in console.export_text()


def weighed(task, gamma):
    task.gamma = gamma
    return task


@pytest.mark.parametrize("keep_norms", [True, False])
def test_batch_norms_keep_their_statistics_where_that_is_asked_for(tiny, tmp_path, keep_norms):
    recipe = adaptation(tiny, "cc_ssl", epochs=2, keep_norms=keep_norms)
    before = recipe.model.network.backbone[1].running_mean.clone()
    weights = recipe.model.network.backbone[1].weight.detach().clone()
    trained = fit(recipe, out=tmp_path / "run", console=silent(), **HERE).model.network.backbone[1]
    assert torch.equal(trained.running_mean, before) == keep_norms
    assert not torch.equal(trained.weight, weights)  # what they learn is learnt


def iter_batches(task, recipe):
    views = task.train_views(recipe.data, seed=0)
    yield views.collate([views[(0, i)] for i in range(4)]).batch


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Labelling(every=0), "every 1 or more epochs"),
        (lambda: Labelling(views=0), "1 or more views"),
        (lambda: Growth(first=0.9, last=0.5), "share of accepted animals grows"),
        (lambda: Growth(patience=0), "patience is 1 or more"),
    ],
)
def test_settings_that_cannot_be_are_one_sentence(make, text):
    with pytest.raises(InputError, match=text):
        make()


def test_source_only_makes_as_many_steps_as_an_adaptation(tiny):
    recipe = adaptation(tiny, "source_only")
    views = recipe.task(recipe.model).train_views(recipe.data, seed=0)
    other = adaptation(tiny, "cc_ssl")
    assert len(views) == len(other.task(other.model).train_views(other.data, seed=0)) == 16
    assert list(views.collate([views[(0, 0)]]).batch.parts) == ["source"]


def test_an_epoch_of_the_release_ends_with_the_shorter_data(tiny):
    recipe = tiny.recipe(tiny.Tiny(people=16, batch=4))
    target = Target(tiny.Dots(12, seed=5), skeleton=recipe.model.skeleton)
    task = METHODS["cc_ssl_published"](recipe.model, domains=Domains(target, length="shortest"))
    assert len(task.train_views(recipe.data, seed=0)) == 12


def test_a_picture_of_a_batch_has_all_parts(tiny):
    recipe = adaptation(tiny, "mean_teacher")
    task = recipe.task(recipe.model.eval())
    picture = task.picture(next(iter_batches(task, recipe)))
    assert picture.dtype == np.uint8
    assert picture.shape[0] > 3 * 64
