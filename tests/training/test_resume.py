"""What a run goes on from: a state that is whole, of the same data, with its best model, in a folder of its own."""

import io
import json
import shutil
import signal

import pytest
import torch
from rich.console import Console

from poise.errors import CheckpointError, InputError, PoiseError, Stopped, WriteError
from poise.training import module as module_file
from poise.training.checkpoint import AtomicIO, check_state
from poise.training.fit import fit
from poise.training.run_plan import rank_of_process
from poise.writing import locked

pytestmark = pytest.mark.usefixtures("one_thread")

HERE = {"device": "cpu", "precision": "fp32", "workers": 0}


def silent() -> Console:
    return Console(quiet=True, file=io.StringIO())


@pytest.fixture(scope="module")
def stopped(tiny, tmp_path_factory):
    """A run that was stopped in its second epoch, with a best model."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("stopped")
    fit(tiny.recipe(), out=folder, steps=7, console=silent(), **HERE)
    return folder


@pytest.fixture
def run(stopped, tmp_path):
    """The same, where it may be changed."""
    return shutil.copytree(stopped, tmp_path / "run")


def go_on(tiny, run, **flags):
    return fit(tiny.recipe(**flags), out=run, resume=run, steps=8, console=silent(), **HERE)


def state_of(run):
    return run / "checkpoints" / "last.ckpt"


def everywhere(run):
    """Where bytes are damaged: at the beginning, in the weights, at the end."""
    size = state_of(run).stat().st_size
    return [size * share // 20 for share in range(20)]


def test_a_damaged_byte_of_a_state_is_noticed_wherever_it_matters(run):
    data, noticed = state_of(run).read_bytes(), 0
    original = torch.load(state_of(run), weights_only=True)
    for place in everywhere(run):
        state_of(run).write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            check_state(run)
        except CheckpointError:
            noticed += 1
        else:  # padding between the parts of the file
            read = torch.load(state_of(run), weights_only=True)
            assert all(torch.equal(read["state_dict"][n], v) for n, v in original["state_dict"].items())
    assert noticed > 12


def without(*names):
    def change(state):
        inner = state
        for name in names[:-1]:
            inner = inner[name]
        del inner[names[-1]]

    return change


def replaced(value, *names):
    def change(state):
        inner = state
        for name in names[:-1]:
            inner = inner[name]
        inner[names[-1]] = value

    return change


def shorter(state):
    state["optimizer_states"][0]["state"] = {}


CHANGES = [
    *(without(name) for name in ("optimizer_states", "state_dict", "poise", "loops", "callbacks", "epoch", "global_step")),
    *(without("poise", name) for name in ("epoch", "batch", "elapsed", "scores", "plan")),
    *(without("callbacks", name) for name in ("Keeper", "Journal")),
    without("callbacks", "Keeper", "best_score"),
    without("callbacks", "Journal", "rows"),
    replaced("three", "poise", "epoch"),
    replaced(-1, "poise", "batch"),
    replaced(float("nan"), "poise", "elapsed"),
    replaced([1], "poise", "scores"),
    replaced({3: 3}, "poise", "model"),
    replaced("none", "poise", "data"),
    replaced({"train": {"what": 1}, "val": None}, "poise", "data"),
    replaced([], "optimizer_states"),
    replaced([{"state": 3}], "optimizer_states"),
    replaced({"state": {}}, "optimizer_states"),
    replaced({"a": 3}, "state_dict"),
    replaced(3, "loops"),
    replaced(7, "callbacks", "Journal"),
    shorter,
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("resealed", [False, True])
def test_a_state_with_holes_or_other_types_is_one_sentence(tiny, run, change, resealed):
    state = torch.load(state_of(run), weights_only=True)
    change(state)
    if resealed and "poise" in state:  # as another version might have written it
        AtomicIO().save_checkpoint(state, state_of(run))
    else:
        torch.save(state, state_of(run))
    if change is shorter and resealed:
        return  # an optimizer without momentum has such a state
    with pytest.raises(CheckpointError) as error:
        go_on(tiny, run)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02}q\x00.", b"\x80\x02K\x05.", 4096 * b"\0"])
def test_what_is_no_state_is_one_sentence(run, content):
    state_of(run).write_bytes(content)
    with pytest.raises(CheckpointError) as error:
        check_state(run)
    assert str(error.value).count("\n") == 0


def missing(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def flipped(path):
    data = path.read_bytes()
    path.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])


@pytest.mark.parametrize("harm", [missing, cut, flipped])
def test_a_missing_or_damaged_best_model_is_told_before_training(tiny, run, harm):
    harm(run / "model.safetensors")
    before = state_of(run).read_bytes()
    with pytest.raises(CheckpointError, match=r"best model.*model\.safetensors back from a copy"):
        go_on(tiny, run)
    assert state_of(run).read_bytes() == before


@pytest.mark.parametrize("part", ["train", "val"])
def test_data_that_changed_since_are_told(tiny, run, monkeypatch, part):
    labels, seed = tiny.Dots.labels, {"train": 0, "val": 1}[part]

    def moved(self, index):
        found = labels(self, index)
        return found.moved(found.xy + 1) if self.seed == seed and hasattr(found, "moved") else shifted(found, self.seed == seed)

    def shifted(found, yes):
        from dataclasses import replace

        return replace(found, xy=found.xy + 0.5) if yes else found

    monkeypatch.setattr(tiny.Dots, "labels", moved)
    with pytest.raises(CheckpointError, match=rf"the {part}\w* data of the run in .* have changed.*labels have changed"):
        go_on(tiny, run)


def test_a_state_of_an_older_version_without_checksums_goes_on(tiny, run):
    state = torch.load(state_of(run), weights_only=True)
    del state["poise"]["sha256"], state["poise"]["data"]
    torch.save(state, state_of(run))
    assert go_on(tiny, run).history


def test_two_trainings_into_one_folder_are_one_too_many(tiny, run, tmp_path):
    for folder, flags in ((run, {"resume": run}), (tmp_path / "new", {})):
        with locked(folder, what="it"), pytest.raises(WriteError, match="another training is writing into"):
            fit(tiny.recipe(), out=folder, console=silent(), **HERE, **flags)


@pytest.mark.parametrize(
    "name", ["model.safetensors", "metrics.csv", "stages.json", "settings.json", "pictures/epoch-0001.png"]
)
def test_a_folder_with_files_that_a_run_would_replace_is_refused_and_stays(tiny, tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    for recipe in (tiny.recipe(), tiny.recipe().staged(2)):
        with pytest.raises(WriteError, match="already holds a run"):
            fit(recipe, out=tmp_path, console=silent(), **HERE)
    assert [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] == ["mine"]


def test_a_run_that_was_killed_before_its_first_state_begins_again(tiny, stopped, tmp_path):
    shutil.copy(stopped / "settings.json", tmp_path)
    fit(tiny.recipe(), out=tmp_path, steps=1, console=silent(), **HERE)
    assert state_of(tmp_path).exists()


def test_a_link_in_place_of_the_state_is_told_before_training(tiny, run, tmp_path):
    state_of(run).rename(tmp_path / "elsewhere.ckpt")
    state_of(run).symlink_to(tmp_path / "elsewhere.ckpt")
    with pytest.raises(WriteError, match="is a link to"):
        go_on(tiny, run)


@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_saves_and_tells_which_it_was(tiny, tmp_path, monkeypatch, kind):
    number = getattr(signal, kind)
    before = signal.signal(number, signal.default_int_handler)  # where the tests run in the background it is ignored
    step = module_file.Module.training_step

    def ask(self, loaded, batch_idx):
        signal.raise_signal(number)
        return step(self, loaded, batch_idx)

    monkeypatch.setattr(module_file.Module, "training_step", ask)
    with pytest.raises(Stopped) as error:
        fit(tiny.recipe(), out=tmp_path, console=silent(), **HERE)
    assert error.value.number == number
    assert check_state(tmp_path)[1]["batch"] == 1
    assert signal.signal(number, before) == signal.default_int_handler


def test_a_hangup_that_is_ignored_stays_so(tiny, tmp_path, monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    step = module_file.Module.training_step

    def hang_up(self, loaded, batch_idx):
        signal.raise_signal(signal.SIGHUP)
        return step(self, loaded, batch_idx)

    monkeypatch.setattr(module_file.Module, "training_step", hang_up)
    try:
        result = fit(tiny.recipe(tiny.Tiny(epochs=1)), out=tmp_path, console=silent(), **HERE)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert len(result.history) == 1


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("RANK", "1", "not started by torchrun"),
        ("RANK", "first", "a rank is a whole number"),
        ("LOCAL_RANK", "-1", "a rank is a whole number"),
        ("LOCAL_RANK", "1", "process 1 of a run of 1"),
        ("SLURM_PROCID", "3", "process 3 of a run of 1"),
        ("RANK", "²", "a rank is a whole number"),
    ],
)
def test_a_rank_that_was_set_by_hand_is_told(tiny, tmp_path, monkeypatch, name, text, says):
    monkeypatch.setenv(name, text)
    with pytest.raises(InputError, match=says):
        fit(tiny.recipe(), out=tmp_path, console=silent(), **HERE)
    assert not list(tmp_path.iterdir())


def test_ranks_of_launchers_are_taken(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert rank_of_process() == 3


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"done": 3}',
        '{"done": [3]}',
        '{"done": [{"recipe": "a"}]}',
        "\x00",
        '{"done": [{"recipe": "a", "epochs": 1, "scores": [3]}]}',
        '{"done": [{"recipe": "a", "epochs": "x", "scores": {}}]}',
    ],
)
def test_a_record_of_stages_of_another_form_is_one_sentence(tiny, tmp_path, content):
    (tmp_path / "stages.json").write_text(content)
    with pytest.raises(PoiseError, match=r"does not say which stages are done|is not valid JSON"):
        fit(tiny.recipe().staged(2), out=tmp_path, resume=tmp_path, console=silent(), **HERE)


def test_finished_stages_with_a_damaged_model_or_table_are_one_sentence(tiny, tmp_path):
    done = [{"recipe": "tiny", "epochs": 1, "scores": {"pck@0.1": 0.5}}] * 2
    for harm, says in (("model.safetensors", "truncated"), ("metrics.csv", "metrics of the run")):
        folder = tmp_path / harm
        for stage in ("stage0", "stage1"):
            (folder / stage).mkdir(parents=True)
            fit_once = tmp_path / "once"
            if not fit_once.exists():
                fit(tiny.recipe(), out=fit_once, steps=1, console=silent(), **HERE)
            for name in ("model.safetensors", "metrics.csv"):
                shutil.copy(fit_once / name, folder / stage)
        (folder / "stages.json").write_text(json.dumps({"done": done}))
        (folder / "stage1" / harm).write_bytes(b"\xff\xfe damaged\nx,y\n")
        with pytest.raises(PoiseError, match=says):
            fit(tiny.recipe().staged(2), out=folder, resume=folder, console=silent(), **HERE)
