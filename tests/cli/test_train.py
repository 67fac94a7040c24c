import json
import re
import subprocess
import sys
import typing

import pytest
import torch

from poise.cli._recipe_command import RecipeCommand
from poise.cli.main import main
from poise.data.figures import FigureDataset, write_coco
from poise.errors import ReadError
from poise.recipes.find import recipes
from poise.weights import torch_cache
from poise.weights.model_file import load


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    write_coco(FigureDataset(12, size=(96, 96)), folder)
    return folder


def words(drawn, *more):
    """A short run; flags among `more` take the place of those here."""
    files = [("--annotations", drawn / "annotations.json"), ("--images", drawn / "images"), ("--val-share", 0.3)]
    small = [("--model", "poise_t"), ("--size", 64, 64), ("--epochs", 2), ("--workers", 0), ("--batch", 4), ("--device", "cpu")]
    own = [flag for flag in (*files, *small, ("--repeats", 1)) if flag[0] not in more]
    return ["train", "finetune", *(str(word) for flag in own for word in flag), *map(str, more)]


@pytest.fixture(scope="module")
def trained(drawn, tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("trained") / "run"
    assert main(words(drawn, "--out", out, "--steps", 3)) == 0
    return out


def test_the_flags_are_the_recipes_and_the_runs(trained):
    settings = json.loads((trained / "settings.json").read_text())
    assert settings["epochs"] == 2
    assert settings["plan"]["batch"] == 4
    assert settings["settings"]["command"][0] == "finetune"
    assert load(trained / "model.safetensors").codec.size == (64, 64)


def test_a_run_goes_on_without_naming_its_recipe_again(trained, capsys):
    settings = json.loads((trained / "settings.json").read_text())
    older = {name: value for name, value in settings.items() if name not in ("expected", "notes", "differs")}
    assert len(older) == len(settings) - 3
    (trained / "settings.json").write_text(json.dumps(older))
    assert main(["train", "--resume", str(trained), "--steps", "4"]) == 0
    assert main(["train", "--resume", str(trained)]) == 1
    assert "4 of its 4 steps; --resume with more --steps goes on" in capsys.readouterr().err
    command = json.loads((trained / "settings.json").read_text())["settings"]["command"]
    assert command.count("--resume") <= 1
    assert (trained / "metrics.csv").read_text().count("\n") == 3


@pytest.mark.parametrize("named", [False, True])
def test_flags_of_a_new_run_are_refused_where_one_goes_on(drawn, trained, tmp_path, named, capsys):
    first = words(drawn, "--steps", 1) if named else ["train"]
    assert main([*first, "--resume", str(trained), "--out", str(tmp_path / "other")]) == 1
    assert f"--out {tmp_path / 'other'} is another; leave --out out\n" in capsys.readouterr().err
    assert main([*first, f"--resume={trained}", f"--out={trained}", "--start=x.safetensors"]) == 1
    assert "--start begins a run; leave --start out\n" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_model_can_be_the_start_of_another(drawn, trained, tmp_path, capsys):
    start = trained / "model.safetensors"
    assert main(words(drawn, "--out", tmp_path / "tuned", "--start", start, "--steps", 1, "--freeze-epochs", 1)) == 0
    assert "kept the backbone and 17 keypoints" in capsys.readouterr().out
    old, new = load(start), load(tmp_path / "tuned" / "model.safetensors")
    for name, value in old.network.backbone.state_dict().items():
        assert torch.equal(value, new.network.backbone.state_dict()[name]), name


def test_a_start_from_the_model_that_comes_with_poise_brings_its_network(drawn, tmp_path, capsys):
    flags = ["--annotations", str(drawn / "annotations.json"), "--images", str(drawn / "images"), "--device", "cpu"]
    flags += ["--start", "poise_people", "--steps", "1", "--workers", "0", "--logger", "none", "--size", "64", "64"]
    assert main(["train", "finetune", *flags, "--out", str(tmp_path / "run")]) == 0
    assert "finetune: poise_t on cpu" in capsys.readouterr().out
    kept = json.loads((tmp_path / "run" / "settings.json").read_text())["settings"]["command"]
    assert kept[-4:] == ["--model", "poise_t", "--rate", "0.004"]
    assert main(["train", "finetune", *flags, "--model", "poise_s", "--out", str(tmp_path / "other")]) == 1
    assert "backbone is another one" in capsys.readouterr().err


def test_a_wrong_flag_names_the_nearest(drawn, capsys):
    assert main(words(drawn, "--epoch", 3)) == 2
    assert "--epochs" in capsys.readouterr().err


def test_a_wrong_flag_names_the_nearest_also_where_a_required_one_lacks(capsys):
    assert main(["train", "finetune", "--epoch=3"]) == 2
    assert "no flag '--epoch'; did you mean '--epochs'" in capsys.readouterr().err
    assert main(["train", "finetune", "--vall_share", "3"]) == 2
    assert "'--val-share'" in capsys.readouterr().err


def test_the_seed_decides_the_weights_a_network_begins_with(drawn, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        "poise.training.fit.fit", lambda recipe, **flags: made.append(recipe.model.network.backbone.stem[0].weight)
    )
    for seed in (1, 1, 2):
        assert main(words(drawn, "--out", tmp_path, "--seed", seed)) == 0
    first, again, other = made
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_model_of_another_skeleton_is_a_start_and_what_is_kept_is_told(trained, tmp_path, capsys):
    write_coco(FigureDataset(12, size=(96, 96), kind="animals"), tmp_path)
    start = trained / "model.safetensors"
    assert main(words(tmp_path, "--out", tmp_path / "tuned", "--start", start, "--steps", 1, "--freeze-epochs", 1)) == 0
    old, new = load(start), load(tmp_path / "tuned" / "model.safetensors")
    both = [name for name in new.skeleton.keypoints if name in old.skeleton.keypoints]
    anew = [name for name in new.skeleton.keypoints if name not in both]
    assert both
    assert anew
    text = capsys.readouterr().out
    assert f"kept the backbone and {len(both)} keypoints of the head ({', '.join(both)})" in text
    assert f"{len(anew)} start anew ({', '.join(anew)})" in text
    for name, value in old.network.backbone.state_dict().items():
        assert torch.equal(value, new.network.backbone.state_dict()[name]), name


def test_two_processes_start_from_the_command_line(drawn, tmp_path):
    command = [sys.executable, "-m", "poise.cli.main", *words(drawn, "--out", tmp_path / "two", "--epochs", 1)]
    both = [*command, "--devices", "2", "--strategy", "ddp", "--precision", "fp32"]
    done = subprocess.run(both, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("people to learn from") == 1
    assert json.loads((tmp_path / "two" / "settings.json").read_text())["plan"]["world"] == 2


def test_a_command_that_was_taken_once_is_told_to_be_the_runs_where_it_is_refused_now(trained, tmp_path, capsys):
    settings = json.loads((trained / "settings.json").read_text())
    settings["settings"]["command"] += ["--drop-from", "0.5"]
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    assert main(["train", "--resume", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "this poise refuses the command of the run: " in said
    assert "--drop-from" in said
    assert "name the recipe and its flags without that, beside --resume" in said


def test_there_must_be_a_run_to_go_on_with(tmp_path, capsys):
    assert main(["train", f"--resume={tmp_path / 'nowhere'}"]) == 1
    assert "nowhere; --resume wants the folder of a run" in capsys.readouterr().err
    assert main(["train", "--resume", str(tmp_path)]) == 1
    assert "holds no run: it has no settings.json" in capsys.readouterr().err
    (tmp_path / "settings.json").write_text("{}")
    assert main(["train", "--resume", str(tmp_path)]) == 1
    assert "does not say which command made it" in capsys.readouterr().err


@pytest.mark.parametrize("more", [(), ("--stages", "2")])
def test_what_cannot_be_a_start_leaves_nothing_behind(drawn, tmp_path, more, capsys):
    assert main(words(drawn, "--out", tmp_path / "run", "--start", tmp_path / "none.safetensors", *more)) == 1
    assert "there is no model file" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_wrong_folder_of_images_is_told_in_one_sentence_and_leaves_nothing_behind(drawn, tmp_path, workers, capsys):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "holiday.png").write_bytes(b"")
    files = ["--images", str(tmp_path / "other"), "--workers", workers]
    assert main(words(drawn, "--out", tmp_path / "run", *files)) == 1
    error = capsys.readouterr().err
    assert "cannot be read; the first:" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_wrong_recipe_names_the_nearest(capsys):
    assert main(["train", "hrnt"]) == 1
    assert "did you mean 'hrnet'" in capsys.readouterr().err


def test_help_lists_the_recipes_and_each_shows_its_flags(capsys):
    assert main(["train", "--help"]) == 0
    assert "simple_baseline" in capsys.readouterr().out
    assert main(["train", "finetune", "--help"]) == 0
    text = capsys.readouterr().out
    assert "--val-share" in text
    assert "--minutes" in text
    assert "--val-annotations PATH [PATH ...]" in text
    assert "{None}" not in text
    assert "poise train finetune --annotations" in text


def test_without_a_recipe_there_must_be_a_run(capsys):
    assert main(["train", "--epochs", "3"]) == 1
    assert "wants a recipe" in capsys.readouterr().err


def test_stages_are_one_command_and_go_on_with_resume(drawn, tmp_path, capsys):
    out = tmp_path / "staged"
    assert main(words(drawn, "--out", out, "--stages", 2, "--epochs", 1)) == 0
    text = capsys.readouterr().out
    assert "finetune, stage 1: poise_t" in text
    assert "stage 1 of 0 to 1 is done: pck@0.1" in text
    assert load(out / "model.safetensors").codec.size == (64, 64)
    assert json.loads((out / "settings.json").read_text())["stages"] == 2
    assert main(["train", "--resume", str(out)]) == 0
    assert "2 of 2 stages are done" in capsys.readouterr().out
    assert main(["train", "--resume", str(out / "stage1")]) == 1
    assert "is a stage of the run in" in capsys.readouterr().err


def test_codec_and_dropping_are_flags(drawn, tmp_path, capsys):
    more = ["--codec", "UDPOffset", "--codec-set", "ohkm=8", "radius=3", "--drop", "hide-and-seek", "--steps", 2]
    assert main(words(drawn, "--out", tmp_path / "dropped", *more)) == 0
    settings = [json.loads((tmp_path / "dropped" / f"stage{i}" / "settings.json").read_text()) for i in (0, 1)]
    assert settings[0]["augmentation"]["drop"] is None
    assert settings[1]["augmentation"]["drop"]["name"] == "hide_and_seek"
    codec = load(tmp_path / "dropped" / "model.safetensors").codec
    assert (type(codec).__name__, codec.ohkm, codec.radius) == ("UDPOffset", 8, 3.0)
    assert main(words(drawn, "--out", tmp_path / "wrong", "--codec", "UDPOfset")) == 1
    assert "did you mean 'UDPOffset'" in capsys.readouterr().err


def test_what_differs_from_a_recipe_is_printed_kept_and_made_again(drawn, tmp_path, capsys):
    out, more = tmp_path / "run", ["--optimizer", "sgd", "--augmentation", "gain=0.2", "--clip", 3, "--sigma", 1.5]
    assert main(words(drawn, "--out", out, "--steps", 1, *more)) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "not the recipe as it stands: clip 3.0 (" in said
    assert "optimizer.kind sgd (adamw)" in said
    settings = json.loads((out / "settings.json").read_text())
    assert (settings["optimizer"]["kind"], settings["augmentation"]["gain"], settings["clip"]) == ("sgd", 0.2, 3.0)
    assert "codec.sigma 1.5 (" in settings["differs"]
    assert main(["train", "--resume", str(out), "--steps", "2"]) == 0
    assert json.loads((out / "settings.json").read_text())["differs"] == settings["differs"]


def test_a_wrong_flag_is_told_before_weights_that_cannot_be_had(drawn, tmp_path, capsys, monkeypatch):
    def no_network(url, path, *, instead):
        raise ReadError(f"{url} cannot be downloaded; {instead}")

    monkeypatch.setattr(torch_cache, "download", no_network)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    files = [
        "--annotations",
        str(drawn / "annotations.json"),
        "--images",
        str(drawn / "images"),
        "--out",
        str(tmp_path / "run"),
    ]
    network = ["train", "finetune", "--model", "poseresnet_18_coco_64x64", "--pretrained", *files]
    assert main([*network, "--augmentation", "gian=0.2"]) == 1
    assert "did you mean 'gain'" in capsys.readouterr().err
    assert main(network) == 1
    assert "cannot be downloaded" in capsys.readouterr().err


def test_flags_of_a_recipe_and_of_every_run_mean_the_same():
    for maker in recipes().values():
        flags = typing.get_type_hints(RecipeCommand.of(maker, []).parser)
        assert set(typing.get_args(flags["steps"])) == {int, type(None)}
        assert flags["seed"] is int


def flags_of(model, capsys) -> set[str]:
    assert main(["train", "finetune", "--model", model, "--help"]) == 0
    return set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))


def test_help_shows_the_flags_that_a_kind_of_model_reads(capsys):
    detector, scene, person = (flags_of(model, capsys) for model in ("poise_rcnn_t", "poise_scene_t", "poise_s"))
    shared = {"--annotations", "--size", "--rotation", "--codec-set", "--drop-from", "--minutes", "--seed"}
    assert shared <= detector & scene & person
    assert {"--empty", "--no-empty", "--detecting-set"} == detector - person - {"--half-body"}
    assert {"--half-body", "--align", "--padding"} <= person - scene
    assert not {"--empty", "--detecting-set"} & person
    assert not {"--empty", "--detecting-set"} & scene


@pytest.mark.parametrize(
    ("model", "flag", "kinds"),
    [
        ("poise_s", ("--mosaic", "0.5"), "detectors"),
        ("poise_s", ("--no-empty",), "detectors"),
        ("poise_s", ("--detecting-set=nms=0.6",), "detectors"),
        ("poise_scene_t", ("--no-empty",), "detectors"),
        ("poise_scene_t", ("--half-body", "0.3"), "top-down models"),
        ("poise_rcnn_t", ("--half_body", "0.3"), "top-down models"),
    ],
)
def test_a_flag_of_another_kind_of_model_is_refused_and_says_whose_it_is(drawn, tmp_path, capsys, model, flag, kinds):
    files = ("--annotations", drawn / "annotations.json", "--images", drawn / "images", "--out", tmp_path / "run")
    assert main(["train", "finetune", *map(str, files), "--model", model, *flag]) == 1
    name = flag[0].split("=")[0]
    assert capsys.readouterr().err == f"poise train: {name} is for {kinds}, and {model} is not one of them; leave it out\n"
    assert not (tmp_path / "run").exists()


def test_a_run_of_the_older_name_goes_on_also_with_a_flag_of_another_kind_that_changed_nothing(drawn, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(words(drawn, "--out", out, "--steps", 1)) == 0
    settings = json.loads((out / "settings.json").read_text())
    command = settings["settings"]["command"]
    settings["recipe"], command[0] = "own", "own"
    command[1:1] = ["--mosaic", "0.0", "--empty"]
    (out / "settings.json").write_text(json.dumps(settings))
    assert main(["train", "--resume", str(out), "--steps", "2"]) == 0
    assert "go" in capsys.readouterr().out
    assert (out / "metrics.csv").read_text().count("\n") >= 2


def test_the_older_name_of_finetune_is_taken(drawn, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr("poise.training.fit.fit", lambda recipe, **flags: made.append((recipe, flags)))
    new = words(drawn, "--out", tmp_path)
    assert main(new) == main(["train", "own", *new[2:]]) == 0
    (first, flags), (second, others) = made
    assert (first.name, flags) == (second.name, others)
    assert second.settings["command"][0] == "own"


def test_a_recipe_that_takes_a_flag_of_every_run_for_something_else_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = "from poise.recipes.base import Recipe\ndef mine(*, steps: tuple[int, ...] = (1,)) -> Recipe:\n    return steps\n"
    (tmp_path / "own_recipe_of_steps.py").write_text(text)
    assert main(["train", "own_recipe_of_steps:mine"]) == 1
    assert "'mine' and every run have a flag --steps, of different types" in capsys.readouterr().err


def test_the_width_of_an_hrnet_is_one_of_the_releases(tmp_path, capsys):
    assert main(["train", "keypoint_rcnn_hrnet", "--data", str(tmp_path), "--width", "33"]) == 2
    assert "33" in capsys.readouterr().err
    assert main(["train", "keypoint_rcnn_hrnet", "--data", str(tmp_path), "--width", "40"]) == 1
    assert "no images of COCO" in capsys.readouterr().err


@pytest.mark.parametrize("flag", [("--devices", 0), ("--save-minutes", -1), ("--minutes", -1), ("--batch", 0)])
def test_a_run_of_nothing_is_refused(drawn, tmp_path, flag, capsys):
    assert main(words(drawn, "--out", tmp_path / "run", *flag)) == 1
    assert f"found {flag[1]}" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_is_repeated_with_changes(drawn, trained, tmp_path, capsys):
    again = ["train", "--settings", str(trained / "settings.json"), "--out", str(tmp_path / "again")]
    assert main([*again, "--steps", "1", "--batch", "2", "--logger", "csv"]) == 0
    settings = json.loads((tmp_path / "again" / "settings.json").read_text())
    first = json.loads((trained / "settings.json").read_text())
    assert (settings["plan"]["batch"], settings["plan"]["steps"], settings["epochs"]) == (2, 1, first["epochs"])
    assert settings["data"] == first["data"]
    command = settings["settings"]["command"]
    assert (command.count("--batch"), command.count("--out"), command.count("--settings")) == (1, 1, 0)
    assert list((tmp_path / "again" / "csv").iterdir())
    assert not (tmp_path / "again" / "tensorboard").exists()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ((), "say where with --out NEW"),
        (("--out", "x", "--resume", "x"), "leave one of them out"),
        (("--out", "x", "--half-bodi", "1"), "there is no flag '--half-bodi'"),
        (("--out", "x", "--logger", "carrier-pigeon"), "no logger 'carrier-pigeon'"),
    ],
)
def test_a_repeated_run_is_a_run_of_its_own(more, says, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--settings", str(trained), *more]) != 0
    assert says in capsys.readouterr().err
    assert main(["train", "finetune", "--settings", str(trained), "--out", "x"]) == 1
    assert "says which recipe it is; leave finetune out" in capsys.readouterr().err
    assert main(["train", "--settings", "nowhere.json", "--out", "x"]) == 1
    assert "there is no file nowhere.json" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_python_began_cannot_be_repeated_by_a_command(tmp_path, capsys):
    (tmp_path / "settings.json").write_text('{"settings": {}}')
    assert main(["train", "--settings", str(tmp_path), "--out", str(tmp_path / "new")]) == 1
    assert "does not say which command made it" in capsys.readouterr().err


def test_a_run_goes_on_without_the_model_it_once_began_with(trained, tmp_path, monkeypatch):
    settings = json.loads((trained / "settings.json").read_text())
    settings["settings"]["command"] += ["--start", str(tmp_path / "gone.safetensors")]
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    trains = []
    monkeypatch.setattr("poise.cli.options.TrainingOptions.train", lambda options, recipe: trains.append(options.resume))
    assert main(["train", "--resume", str(tmp_path)]) == 0
    assert trains == [tmp_path]
