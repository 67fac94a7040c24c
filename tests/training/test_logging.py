"""What a run says of itself when it begins."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from poise.training.fit import fit

pytestmark = pytest.mark.usefixtures("one_thread")

HERE = {"device": "cpu", "precision": "fp32", "workers": 0}


@pytest.mark.parametrize("stages", [1, 2])
def test_the_score_to_expect_is_told_once_and_kept(tiny, tmp_path, stages):
    recipe = replace(tiny.recipe(tiny.Tiny(epochs=1, val=False)), expected={"pck@0.1": 0.9}, notes="of two dots")
    console = Console(record=True, width=200, file=io.StringIO())
    fit(recipe.staged(stages), out=tmp_path, steps=2, console=console, **HERE)
    assert console.export_text().count("expected: pck@0.1 0.9 (of two dots)\n") == 1
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert (settings["expected"], settings["notes"]) == ({"pck@0.1": 0.9}, "of two dots")


def test_nothing_is_expected_of_a_recipe_that_says_nothing(tiny, tmp_path):
    console = Console(record=True, width=200, file=io.StringIO())
    fit(tiny.recipe(tiny.Tiny(epochs=1, val=False)), out=tmp_path, steps=1, console=console, **HERE)
    assert "expected:" not in console.export_text()
    assert json.loads((tmp_path / "settings.json").read_text())["expected"] == {}
