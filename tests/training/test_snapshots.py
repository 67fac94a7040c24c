"""Snapshots of a run, and the table that `poise evaluate RUN --snapshots` makes of them."""

import csv
import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

from poise.cli._snapshots import bars
from poise.cli.main import main
from poise.errors import InputError, ReadError
from poise.training.fit import fit
from poise.training.snapshots import find_snapshots, snapshot_epochs
from poise.weights.model_file import read_weights, save
from poise.zoo import build

HERE = {"device": "cpu", "precision": "fp32", "workers": 0, "loggers": ()}


@pytest.fixture(scope="module")
def kept(tiny, tmp_path_factory):
    """A run of five epochs that keeps every second one."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("kept")
    result = fit(tiny.recipe(tiny.Tiny(people=8, epochs=5)), out=folder, snapshots=2, **HERE)
    return folder, result


def noted(file) -> str:
    """What a model file says of itself; the network of these runs is one of nobody's package, so it is not built."""
    with safe_open(file, framework="pt") as opened:
        return opened.metadata()["poise"]


def same(one, other) -> bool:
    """Whether two files hold the same weights."""
    first, second = (read_weights(file) for file in (one, other))
    return all(torch.equal(first[name], value) for name, value in second.items())


def test_every_so_many_epochs_a_model_is_kept_that_is_that_of_the_epoch(kept):
    folder, _ = kept
    found = find_snapshots(folder)
    assert [one.epoch for one in found] == [2, 4]
    assert not same(found[0].file, found[1].file)
    assert "snapshot of epoch 4" in noted(found[1].file)
    with (folder / "metrics.csv").open() as file:
        rows = {row["epoch"]: row for row in csv.DictReader(file)}
    scores = json.loads(noted(found[0].file))["card"]["scores"]
    assert scores["val/pck@0.1"] == pytest.approx(float(rows["2"]["val/pck@0.1"]), abs=1e-6)
    assert "snapshot" not in noted(folder / "model.safetensors")


def test_a_list_keeps_these_epochs_and_a_resumed_run_the_same(tiny, tmp_path):
    def trained(folder, **more):
        fit(tiny.recipe(tiny.Tiny(people=8, epochs=3)), out=tmp_path / folder, snapshots=[1, 3], **more, **HERE)
        return find_snapshots(tmp_path / folder)

    whole = trained("whole")
    assert [one.epoch for one in trained("cut", steps=2)] == [1]
    cut = trained("cut", resume=tmp_path / "cut")
    assert [one.epoch for one in whole] == [one.epoch for one in cut] == [1, 3]
    assert all(same(one.file, other.file) for one, other in zip(whole, cut, strict=True))


def test_stages_have_snapshots_of_their_own(tiny, tmp_path):
    fit(tiny.recipe(tiny.Tiny(people=8, epochs=2)).staged(2), out=tmp_path, snapshots=[2], **HERE)
    assert [one.name for one in find_snapshots(tmp_path)] == ["stage 0, epoch 2", "stage 1, epoch 2"]


@pytest.mark.parametrize("wrong", [0, 6, [1, 6], [0], -1])
def test_epochs_that_the_run_does_not_have_are_refused_before_anything_is_written(tiny, tmp_path, wrong):
    with pytest.raises(InputError, match="is no epoch of this run of 5"):
        fit(tiny.recipe(tiny.Tiny(epochs=5)), out=tmp_path / "run", snapshots=wrong, **HERE)
    assert not (tmp_path / "run").exists()


def test_a_run_without_snapshots_says_how_to_keep_some(tiny, tmp_path):
    assert snapshot_epochs(None, epochs=3) == frozenset()
    with pytest.raises(ReadError, match="train with --snapshots 50"):
        find_snapshots(tmp_path)


@pytest.fixture(scope="module")
def run_of_three(tmp_path_factory):
    """The folder of a run with snapshots of two epochs, and labels with images."""
    from poise.data.figures import FigureDataset
    from poise.data.figures.export import write_coco

    home = tmp_path_factory.mktemp("home")
    for epoch in (200, 350):
        torch.manual_seed(epoch)
        model = build("poise_t_coco_64x64", codec="Gaussian")
        model.card = replace(model.card, notes="")
        save(model, home / "run" / "snapshots" / f"epoch-{epoch:04d}.safetensors")
    labels = write_coco(FigureDataset(3, size=(96, 96)), home / "drawn")
    return home / "run", labels


def evaluate(*words) -> int:
    return main(["evaluate", *map(str, words)])


def test_the_snapshots_of_a_run_become_one_table_with_bars_and_a_page_with_the_curve(run_of_three, tmp_path, capsys):
    run, labels = run_of_three
    words = ("--annotations", labels, "--images", labels.parent / "images", "--no-flip", "--pck", "0.2:box")
    out, report = tmp_path / "scores.json", tmp_path / "epochs.html"
    assert evaluate(run, "--snapshots", *words, "--out", out, "--report", report) == 0
    said = capsys.readouterr().out.splitlines()
    heads = [line for line in said if line.startswith("| Arch")]
    rows = [line for line in said if line.startswith("| epoch")]
    assert len(heads) == 1
    assert [row.split("|")[1].strip() for row in rows] == ["epoch 200", "epoch 350"]
    assert {row.count("|") for row in rows} == {heads[0].count("|")}
    assert sum("AP by epoch, bars from" in line for line in said) == 1
    written = json.loads(out.read_text())
    assert [row["epoch"] for row in written["snapshots"]] == [200, 350]
    assert {"AP", "AR", "pck@0.1"} < set(written["snapshots"][0]["scores"])
    page = report.read_text(encoding="utf-8")
    assert page.count("<polyline") >= 1
    assert "epoch 350" in page


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--self-test",), "leave out --self-test"),
        (("--out", "x.mat"), "written as JSON"),
        (("--boxes", "gt", "--detector", "fasterrcnn_resnet50_fpn_v2"), "both say where to look"),
    ],
)
def test_what_snapshots_have_no_use_for_is_refused(run_of_three, capsys, more, says):
    run, labels = run_of_three
    assert evaluate(run, "--snapshots", "--annotations", labels, "--images", labels.parent / "images", *more) == 1
    assert says in capsys.readouterr().err


def test_bars_lie_between_round_numbers_so_that_a_plateau_shows():
    lines = bars(["epoch 350", "epoch 400", "epoch 600"], [0.599, 0.606, 0.613], what="AP")
    assert lines[0] == "AP by epoch, bars from 0.595 to 0.615:"
    lengths = [line.count("█") for line in lines[1:]]
    assert lengths == sorted(lengths)
    assert lines[-1].endswith(" best")
    assert bars(["epoch 1"], [-1.0], what="AP") == []


def test_bars_of_scores_that_are_all_0_do_not_begin_below_it():
    lines = bars(["epoch 1", "epoch 2"], [0.0, 0.0], what="AP")
    assert lines[0].startswith("AP by epoch, bars from 0 to ")
    assert "█" not in "".join(lines)
