"""A run's folder may be of somebody else: no code that it names runs without being named by the user, and nobody goes there."""

import json
import sys
from pathlib import Path

import pytest

from poise.cli._runs import RunCommand
from poise.cli.main import main
from poise.errors import CheckpointError
from poise.weights.model_file import save
from poise.zoo import build


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The folder of a run that names a module, which would leave a trace, and one of that name in its own folder."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    here, home = tmp_path / "here", tmp_path / "home"
    for folder in (here, home):
        folder.mkdir()
        trace = f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).write_text('')\n"
        (folder / "strange_runs.py").write_text(trace)
    monkeypatch.chdir(here)
    folder = home / "run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"")
    model = build("poise_t_coco_64x64")
    model.card.scores["val/AP"] = 0.5
    save(model, folder / "model.safetensors")
    data = {"images": 1, "people": 1, "labels": "a", "pictures": "b", "files": {}}
    settings = {"settings": {"command": ["strange_runs:mine"]}, "folder": str(home), "data": {"train": data, "val": data}}
    (folder / "settings.json").write_text(json.dumps(settings | {"plan": {"device": "cpu", "precision": "fp32"}}))
    yield folder
    sys.modules.pop("strange_runs", None)


COMMANDS = [["verify"], ["train", "--resume"]]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_module_that_a_run_names_is_not_imported_without_the_users_own_flag(run, command, tmp_path, capsys):
    before = Path.cwd()
    assert main([*command, str(run)]) == 1
    said = capsys.readouterr().err
    assert "add --plugin strange_runs\n" in said
    assert "strange_runs:mine" in said
    assert not (tmp_path / "ran").exists()
    assert Path.cwd() == before
    assert "strange_runs" not in sys.modules


@pytest.mark.parametrize("command", COMMANDS)
def test_with_the_flag_the_users_own_module_is_taken_and_not_that_of_the_run(run, command, tmp_path, capsys, monkeypatch):
    from poise import plugins

    monkeypatch.setattr(plugins, "_named", {})
    assert main([*command, str(run), "--plugin", "strange_runs"]) == 1
    assert "function of module strange_runs" in capsys.readouterr().err
    assert (tmp_path / "ran").exists()
    assert Path(sys.modules["strange_runs"].__file__).parent == tmp_path / "here"


FORMS = [
    "",
    "[]",
    "3",
    "{}",
    '{"settings": 3}',
    '{"settings": {"command": 3}}',
    '{"settings": {"command": []}}',
    '{"settings": {"command": [3]}}',
    '{"settings": {"command": "train"}}',
    '{"settings": {"command": ["finetune"], "plugins": 3}}',
    '{"settings": {"command": ["finetune"], "plugins": ["no_such_package"]}}',
    '{"settings": {"command": ["../x:y"]}}',
    '{"settings": {"command": [":"]}}',
    '{"settings": {"command": ["finetune", "--what"]}, "data": {"val": 3}}',
    '{"settings": {"command": ["nobody"]}, "data": 3}',
    100_000 * "[",
    "\xff",
]


@pytest.mark.parametrize("text", FORMS)
@pytest.mark.parametrize("command", COMMANDS)
def test_settings_of_another_form_are_one_sentence(run, command, text, capsys):
    kept = json.loads((run / "settings.json").read_text())
    given = json.loads(text) if text.startswith('{"settings"') else None
    (run / "settings.json").write_text(text if given is None else json.dumps(kept | given), encoding="latin-1")
    assert main([*command, str(run)]) in (1, 2)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "Traceback" not in said


def test_paths_of_a_command_lead_from_here_to_where_it_was_typed():
    command = RunCommand.of({"settings": {"command": ["finetune"]}, "folder": "/there"}, Path("run"))
    assert command.from_here([Path("a.json"), Path("/b.json")]) == [Path("/there/a.json"), Path("/b.json")]
    assert command.from_here({"epochs": 3}) == {"epochs": 3}
    assert command.files_from_here({"a.json": "0"}) == {"/there/a.json": "0"}
    with pytest.raises(CheckpointError, match="which command made it"):
        RunCommand.of({}, Path("run"))
