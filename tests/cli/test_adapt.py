"""`poise adapt`, as a user types it."""

import csv
import json
import shutil

import pytest
import torch

from poise.cli.main import main
from poise.data.figures import FigureDataset
from poise.data.figures.export import write_coco
from poise.recipes.domains import arguments_of
from poise.weights.model_file import load

HERE = ["--workers", "0", "--device", "cpu", "--precision", "fp32", "--logger", "none", "--check-people", "4"]
SMALL = ["--size", "64", "64", *HERE]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A labelled source, the same as a labelled target of other images, and a folder of frames."""
    folder = tmp_path_factory.mktemp("adapt")
    for name, seed in (("source", 0), ("target", 9)):
        write_coco(FigureDataset(24 if name == "source" else 10, size=(64, 64), seed=seed), folder / name)
    (folder / "frames").mkdir()
    for i, image in enumerate(sorted((folder / "target" / "images").iterdir())[:6]):
        shutil.copy(image, folder / "frames" / f"walk_{i:03d}{image.suffix}")
    return folder


def adapt(method, data, out, *more, target="frames"):
    words = [method, "--source", data / "source" / "annotations.json", "--target", data / target, "--out", out]
    return main(["adapt", *map(str, words), *map(str, more)])


def test_a_folder_of_frames_adapts_a_model_and_the_run_can_be_verified(data, tmp_path, capsys, monkeypatch):
    out = tmp_path / "run"
    assert adapt("cc-ssl", data, out, *SMALL, "--epochs", 3, "--every", 1, "--source-epochs", 1, "--batch", 4) == 0
    said = capsys.readouterr().out
    assert "round 0: pseudo-labels of 6" in said
    assert "6 of 6 target images have no box, so each is taken as that of one person" in " ".join(said.split())
    with (out / "rounds.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2
    assert {path.name.rpartition("-")[2] for path in (out / "pictures").glob("round-*")} == {"accepted.png", "refused.png"}
    assert json.loads((out / "settings.json").read_text())["settings"]["command"][0] == "cc_ssl"
    assert main(["adapt", "--resume", str(out), "--epochs", "4"]) == 0
    assert "round 2" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    assert main(["verify", str(out), "--tolerance", "0.05", "--resamples", "100"]) == 0
    assert "PASS" in capsys.readouterr().out


def test_a_model_file_starts_an_adaptation_with_its_own_network(data, tmp_path, capsys):
    out = tmp_path / "source"
    assert adapt("source-only", data, out, *SMALL, "--epochs", 1, "--batch", 8, "--codec", "SimCC") == 0
    assert "have no box" in capsys.readouterr().out
    start = out / "model.safetensors"
    more = ["--start", start, "--epochs", 1, "--batch", 8]
    assert adapt("mean-teacher", data, tmp_path / "taught", *more, *HERE, target="target/annotations.json") == 0
    assert "have no box" not in capsys.readouterr().out
    made = load(tmp_path / "taught" / "model.safetensors")
    assert type(made.codec).__name__ == "SimCC"
    assert made.card.scores["val/target_pck@0.1"] >= 0
    capsys.readouterr()
    assert adapt("cc-ssl", data, tmp_path / "no", *more, "--size", 64, 64, *HERE) == 1
    assert "own views and codec; leave --size out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "more", "text"),
    [
        ("cc-ssl", ["--target", "gone"], "there is no target 'gone'"),
        ("cc-ssl", ["--source", "gone.json"], "there is no source 'gone.json'"),
        ("cc-ssl", ["--source", "demmo"], "did you mean 'demo'"),
        ("cc-ssl", ["--source", "finetune"], "give the COCO file itself"),
        ("cc-ssl", ["--source", "mine:run"], "code of your own"),
        ("cc-ssl", ["--source", "demo", "--source-images", "."], "demo is a recipe; leave it out"),
        ("cc-ssl", ["--source", "demo", "--source-set", "peeple=3"], "sets nothing; recipe 'demo' has people=, "),
        ("cc-ssl", ["--source", "demo", "--source-set", "people=many"], "expected int after the ="),
        ("cc-ssl", ["--source-set", "people=3"], "is a file; leave it out"),
        ("cc-ssl", ["--oracle"], "--oracle chooses by the target's labels"),
        ("cc-ssl", ["--model", "poise_scene_t"], "is not top-down"),
        ("cc-ssl", ["--source-epochs", "50"], "--source-epochs 50 leaves none of 30 epochs"),
        ("cc-ssl", ["--first-share", "0.9"], "grows within 0 to 1"),
        ("cc-ssl", ["--epochs", "0"], "--epochs is a whole number"),
        ("cc-ssl", ["--categories", "horse"], "no COCO file, so it has no categories"),
        ("supervised", [], "supervised training needs a target with labels"),
        ("pplo", ["--first-share", "0.9"], "share of accepted animals grows"),
        ("cc-sll", [], "did you mean 'cc-ssl'"),
    ],
)
def test_a_mistake_is_one_sentence_and_writes_nothing(data, tmp_path, capsys, method, more, text):
    given = dict(zip(more[::2], more[1::2], strict=False)) if "--oracle" not in more else {}
    words = {"--source": data / "source" / "annotations.json", "--target": data / "frames"} | given
    flags = [str(part) for pair in words.items() for part in pair] + [flag for flag in more if flag == "--oracle"]
    assert main(["adapt", method, "--out", str(tmp_path / "run"), "--size", "64", "64", *flags]) == 1
    err = capsys.readouterr().err
    assert text in " ".join(err.split())
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_the_methods_are_listed_and_a_method_comes_first(capsys):
    assert main(["adapt"]) == 0
    said = capsys.readouterr().out
    assert all(f"\n  {name} " in said for name in ("source-only", "mean-teacher", "cc-ssl", "pplo", "supervised"))
    assert main(["adapt", "--source", "a.json"]) == 2
    assert "a method comes before --source" in capsys.readouterr().err


def test_the_help_of_start_is_that_of_adaptations(capsys):
    assert main(["adapt", "cc-ssl", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Model file that learnt from the source" in said
    assert "Model file to fine-tune" not in said


def test_arguments_of_a_source_recipe_have_their_types():
    hints = {"people": int, "share": float, "fast": bool, "name": str}
    assert arguments_of(["people=3", "share=0.5", "fast=true", "name=a"], hints, "demo") == {
        "people": 3,
        "share": 0.5,
        "fast": True,
        "name": "a",
    }
