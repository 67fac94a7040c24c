"""Commands run where nothing else is."""

from collections.abc import Callable

import pytest

from poise.cli.main import main


@pytest.fixture(autouse=True)
def no_models(tmp_path_factory, monkeypatch):
    """A cache without models, whatever the user of this machine has got."""
    monkeypatch.setenv("POISE_HOME", str(tmp_path_factory.getbasetemp() / "no-models"))


@pytest.fixture
def run(places, tmp_path, monkeypatch, capsys) -> Callable[[str], tuple[int, str]]:
    """Runs a command whose words may be names of `places`; answers its exit code and its error."""
    monkeypatch.chdir(tmp_path)

    def words(text: str) -> tuple[int, str]:
        code = main([str(places.get(word, word)) for word in text.split()])
        return code, capsys.readouterr().err

    return words
