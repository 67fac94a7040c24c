import inspect
import re

import pytest

from poise.errors import InputError, UnknownName
from poise.recipes.find import find, recipes


def test_the_recipes_of_the_folder_are_found():
    assert {"finetune", "simple_baseline", "hrnet"} <= set(recipes())


@pytest.mark.parametrize("name", sorted(recipes()))
def test_every_recipe_says_its_command_and_documents_every_flag(name):
    text = inspect.getdoc(recipes()[name]) or ""
    assert f"poise train {name}" in text
    for argument in inspect.signature(recipes()[name]).parameters:
        assert f"\n    {argument}: " in text


BASELINES = {"source_only", "supervised", "mean_teacher"}
"""Of adaptation; no paper's animals were trained so."""


@pytest.mark.parametrize("name", sorted(set(recipes()) - {"finetune", "demo", "drawn_animals", "people"} - BASELINES))
def test_every_recipe_of_a_paper_says_a_score_what_a_practitioner_found_and_the_cost(name):
    text = inspect.getdoc(recipes()[name]) or ""
    assert re.search(r"Expected on|reports AP|No score is published", text)
    assert re.search(r"[Pp]ractitioner", text)
    assert re.search(r"GPU|cost", text)


def test_a_recipe_is_found_by_its_older_name_too():
    assert find("own") is find("finetune") is recipes()["finetune"]
    assert "own" not in recipes()


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'hrnet'"):
        find("hrnt")


def test_a_function_of_ones_own_module_is_a_recipe(tmp_path, monkeypatch):
    (tmp_path / "my_runs.py").write_text(
        "from poise.recipes.base import Recipe\n\ndef mine(*, people: int = 3) -> Recipe: ...\n\ndef other() -> int: ...\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find("my_runs:mine").__name__ == "mine"
    with pytest.raises(UnknownName, match="did you mean 'mine'"):
        find("my_runs:mime")
    with pytest.raises(InputError, match="annotated to return"):
        find("my_runs:other")
    with pytest.raises(InputError, match="no module 'nowhere'"):
        find("nowhere:mine")
