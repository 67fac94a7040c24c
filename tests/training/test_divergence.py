import io
import math
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from poise.errors import TrainingError
from poise.models.top_down import TopDown
from poise.training.fit import fit

pytestmark = pytest.mark.usefixtures("one_thread")

HERE = {"device": "cpu", "precision": "fp32", "workers": 0}


def run(tiny, folder, *, change=None, rate=1e-2):
    console = Console(record=True, width=300, file=io.StringIO())
    recipe = tiny.recipe(tiny.Tiny(people=24, epochs=2, rate=rate, average=None))
    recipe = replace(recipe, clip=None) if change is None else change(recipe)
    return fit(recipe, out=folder, console=console, **HERE), console


@pytest.fixture
def spoilt(monkeypatch):
    """Multiply the loss of training or of validations by what a list says, one after another."""

    def spoil(*, train=(), val=()):
        losses, validate, training, checks = TopDown.losses, TopDown.validate, list(train), list(val)

        def worse_losses(model, batch):
            factor = training.pop(0) if training else 1.0
            return {name: part * factor for name, part in losses(model, batch).items()}

        def worse_validate(model, batch):
            parts, found = validate(model, batch)
            factor = checks.pop(0) if checks else 1.0
            return {name: part * factor for name, part in parts.items()}, found

        monkeypatch.setattr(TopDown, "losses", worse_losses)
        monkeypatch.setattr(TopDown, "validate", worse_validate)

    return spoil


def test_a_sound_run_warns_of_nothing(tiny, tmp_path):
    assert "warning" not in run(tiny, tmp_path / "run")[1].export_text()


def test_a_loss_a_hundred_times_its_start_is_told_once_with_rate_batch_and_flags(tiny, spoilt, tmp_path):
    spoilt(train=(1.0, 3000.0, 5000.0))
    said = run(tiny, tmp_path / "run")[1].export_text()
    [line] = [line for line in said.splitlines() if line.startswith("warning")]
    assert all(word in line for word in ("training loss", "times its", "batches of 8", "--rate 0.001", "--clip"))


def test_losses_count_from_the_first_step_after_the_warm_up_where_that_is_lower(tiny, spoilt, tmp_path):
    # The first step, of the warm-up, has a loss so high that the third is below it; the second is the first at the full rate.
    spoilt(train=(1e4, 1.0, 3000.0))
    said = run(tiny, tmp_path / "run")[1].export_text()
    assert "step 3: the training loss" in said
    spoilt(train=(1e4, 1e4, 3000.0))
    assert "warning" not in run(tiny, tmp_path / "other")[1].export_text()


def test_a_validation_loss_a_hundred_times_its_first_is_told(tiny, spoilt, tmp_path):
    spoilt(val=(1.0, 1.0, 1000.0, 1000.0))
    assert "validation loss is" in run(tiny, tmp_path / "run")[1].export_text()


@pytest.mark.parametrize(("factor", "kept"), [(50.0, 1), (1000.0, 0)])
def test_a_model_that_diverged_is_never_the_best_whatever_its_score(tiny, spoilt, monkeypatch, tmp_path, factor, kept):
    spoilt(val=(1.0, 1.0, factor, factor))
    monkeypatch.setattr(TopDown, "val_scores", ("loss",))
    result = run(tiny, tmp_path / "run", change=lambda recipe: replace(recipe, best="loss"))[0]  # the greatest is the best
    assert result.metrics["loss"] == result.history[kept]["val/loss"]


def test_a_part_of_the_validation_loss_a_hundred_times_its_first_is_told_by_its_name(tiny, monkeypatch, tmp_path):
    validate, checks = TopDown.validate, []

    def with_a_part(model, batch):
        checks.append(1)
        parts, found = validate(model, batch)
        [whole] = parts.values()
        return {"maps": whole, "more": whole * (1.5 if len(checks) > 2 else 0.01)}, found

    monkeypatch.setattr(TopDown, "validate", with_a_part)
    said = run(tiny, tmp_path / "run")[1].export_text()
    [line] = [line for line in said.splitlines() if line.startswith("warning")]
    assert "the validation loss of more is" in line


def test_a_validation_that_is_not_finite_never_gives_the_best_model(tiny, spoilt, tmp_path):
    spoilt(val=(1.0, 1.0, math.nan, 1.0))
    result, console = run(tiny, tmp_path / "run", rate=3e-2)
    said = console.export_text()
    assert "the validation loss is nan, so this model is not kept" in said
    assert "--rate" in said
    assert math.isfinite(result.metrics["loss"])
    first, second = result.history
    assert result.metrics["pck@0.1"] == first["val/pck@0.1"]
    assert math.isnan(second["val/loss"])


def test_a_run_without_any_finite_validation_ends_in_an_error_and_without_a_model(tiny, spoilt, tmp_path):
    spoilt(val=(math.nan,) * 4)
    with pytest.raises(TrainingError, match=r"no validation of this run gave a finite loss and pck@0\.1.*--rate 0\.001"):
        run(tiny, tmp_path / "run")
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_the_start_of_losses_is_that_of_the_run_after_resuming_too(tiny, spoilt, tmp_path):
    recipe = tiny.recipe(tiny.Tiny(people=24, epochs=2, average=None))
    fit(recipe, out=tmp_path / "run", steps=3, console=Console(quiet=True), **HERE)
    state = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    kept = next(value for name, value in state["callbacks"].items() if "DivergenceWarnings" in name)
    assert kept["start"].keys() >= {"", "whole"}
    spoilt(train=(3000.0,))
    console = Console(record=True, width=300, file=io.StringIO())
    fit(
        tiny.recipe(tiny.Tiny(people=24, epochs=2, average=None)),
        out=tmp_path / "run",
        resume=tmp_path / "run",
        console=console,
        **HERE,
    )
    assert "times its" in console.export_text()
