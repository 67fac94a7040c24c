"""Mistakes that can be told without torch are told without torch, and soon."""

import json
import os
import subprocess
import sys

import pytest

from poise.cli._flags import SYNONYMS as FLAGS
from poise.cli._flags import flag_names, wrong_flag
from poise.cli.main import COMMANDS, NOT_THERE, SYNONYMS, main
from poise.recipes.find import outlined

HELP = [[*name.split(), "--help"] for name in COMMANDS]
RECIPES = [["train", name, "--help"] for name in sorted(outlined())]
MODELS = ["poise_t", "poise_scene_s", "poise_rcnn_t", "hrnet_w32_coco_256x192", "timm_resnet18_coco_256x192"]
OF_MODELS = [["train", "finetune", "--model", name, "--help"] for name in MODELS]

WRONG_FLAGS = [[*name.split(), "--flagg"] for name in COMMANDS if name != "train"] + [
    ["adapt", "cc-ssl", "--flagg"],
    ["train", "finetune", "--anotations", "a.json"],
    ["train", "finetune", "--model", "hrnet_w32_coco_256x192", "--flagg"],
    ["train", "udp", "--datta", "coco"],
    ["train", "finetune", "--annotations", "a.json", "--images", ".", "--epochs", "many"],
]

MISSING = [
    text.split()
    for text in (
        "predict",
        "predict gone.jpg",
        "predict gone.jpg --model here.safetensors",
        "predict here.jpg --model gone.safetensors",
        "predict here.jpg --model here.safetensors --boxes gone.json",
        "predict here.jpg --model here.safetensors --boxes here.json --detector here.safetensors",
        "predict here.jpg --model here.safetensors --min-score nan",
        "detect gone.jpg --detector here.safetensors",
        "detect here.jpg --detector gone.safetensors",
        "evaluate gone.safetensors --annotations here.json --images .",
        "evaluate here.safetensors --annotations gone.json --images .",
        "evaluate here.safetensors --annotations here.json --images gone",
        "evaluate here.safetensors --annotations here.json --images . --boxes gone.json",
        "evaluate here.safetensors --annotations here.json --images . --detector gone.safetensors",
        "evaluate here.safetensors --annotations here.json --images . --heads gone.mat",
        "evaluate here.safetensors --annotations here.json",
        "evaluate here.safetensors --annotations here.json --images . --out .",
        "evaluate here.safetensors --annotations here.json --images . --self-test --no-flip",
        "explain gone.safetensors 1 --annotations here.json",
        "explain here.json 1 --annotations gone.json",
        "compare gone.json here.json --annotations here.json",
        "compare-decoders gone.safetensors --annotations here.json --images .",
        "calibrate gone.safetensors --annotations here.json --images . --out m.safetensors",
        "codec --annotations gone.json",
        "verify gone",
        "import hrnet_w32_coco_256x192 gone.pth --out m.safetensors",
        "data check gone.json",
        "data check here.json --images gone",
        "data split gone.json --out parts",
        "data stats gone.json",
        "data draw gone.json --images . --out parts",
        "data walk --annotations gone.json --images .",
        "data sigmas here.json gone.json",
        "train",
        "train nothing-of-the-kind",
        "train --resume gone",
        "train finetune --annotations gone.json --images .",
        "train finetune --annotations here.json --images gone",
        "train finetune --annotations here.json --images . --val-annotations gone.json",
        "train finetune --annotations here.json --images . --start gone.safetensors",
        "train finetune --annotations here.json --images . --model hrnet_w32_coco_256x192 --mosaic 0.5",
        "train udp --data gone",
        "train detector_mixed --annotations gone.json --images .",
        "train finetune --annotations here.json --images . --logger gone",
        "zoo --fetch folder",
        "zoo nope",
        "get nope",
        "evaluate nope --annotations here.json --images .",
        "evaluate hrnet_w32_coc --annotations here.json --images .",
        "predict here.jpg --model nope",
        "predict here.jpg --model hrnet_w32",
        "compare-decoders nope --annotations here.json --images .",
        "train finetune --model nope --annotations here.json --images .",
        "train finetune --model hrnet_w32_coc --annotations here.json --images .",
        "train finetune --model hourglass_999999stack_coco_256x256 --annotations here.json --images .",
        "train finetune --model hourglass_999999stack_b1_17j_256x256 --annotations here.json --images .",
        "train finetune --model hrnet_w999_coco_256x192 --annotations here.json --images .",
        "train finetune --model poise_s_coco_100000x64 --annotations here.json --images .",
        "train finetune --model udp_hrnet_w32_coco --annotations here.json --images .",
        "zoo mspn_99999stg_coco_256x192",
        "export model.safetensors",
    )
]

SCRIPT = """
import io, json, sys, time
from contextlib import redirect_stderr, redirect_stdout
from poise.cli.main import main
for words in json.loads(sys.argv[1]):
    begin, out, err = time.perf_counter(), io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(words)
    heavy = [name for name in ("torch", "torchvision", "cv2", "numpy", "lightning") if name in sys.modules]
    print(json.dumps([words, code, out.getvalue(), err.getvalue(), time.perf_counter() - begin, heavy]))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Exit code, output, errors, seconds and heavy modules of each command line, in one fresh process."""
    folder = tmp_path_factory.mktemp("here")
    for name in ("here.jpg", "here.json", "here.safetensors"):
        (folder / name).write_bytes(b"")
    asked = [*HELP, *RECIPES, *OF_MODELS, *WRONG_FLAGS, *MISSING]
    command = [sys.executable, "-c", SCRIPT, json.dumps(asked)]
    alone = {**os.environ, "POISE_HOME": str(tmp_path_factory.mktemp("home"))}  # whatever models this machine has
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=True, env=alone)
    assert sorted(p.name for p in folder.iterdir()) == ["here.jpg", "here.json", "here.safetensors"]
    return {tuple(words): rest for words, *rest in map(json.loads, done.stdout.splitlines())}


def name_of(words):
    return " ".join(words)


@pytest.mark.parametrize("words", [*HELP, *RECIPES, *OF_MODELS], ids=name_of)
def test_help_needs_no_torch(answers, words):
    code, out, _, _, heavy = answers[tuple(words)]
    assert (code, heavy) == (0, [])
    assert "example" in out.lower()


@pytest.mark.parametrize("words", WRONG_FLAGS, ids=name_of)
def test_a_wrong_flag_is_told_without_torch(answers, words):
    code, out, err, _, heavy = answers[tuple(words)]
    assert (code, heavy) == (2, [])
    assert "flagg" in out + err or "--anotations" in err or "--datta" in err or "many" in out + err


@pytest.mark.parametrize("words", MISSING, ids=name_of)
def test_a_missing_file_or_model_is_told_in_one_sentence_without_torch(answers, words):
    code, out, err, _, heavy = answers[tuple(words)]
    assert heavy == []
    if words == ["train"]:
        assert (code, err) == (0, "")
        return
    assert code in (1, 2)
    assert err.startswith("poise") or (code == 2 and out + err)  # what is left out altogether tyro says in a frame
    gone = [word for word in words if "gone" in word]
    assert not gone or repr(gone[0]) in err or gone[0] in err


def test_a_name_near_to_one_of_the_zoo_is_answered_with_it(answers):
    near = {" ".join(words): rest[2] for words, rest in answers.items() if "hrnet_w32" in words or "hrnet_w32_coc" in words}
    assert len(near) == 3
    assert all("did you mean" in said and "'hrnet_w32_coco_256x192'" in said for said in near.values())
    assert all("nope" in rest[2] for words, rest in answers.items() if "nope" in words)


def test_the_stored_names_are_those_of_the_zoo():
    from poise.recipes.finetune import FinetuneOptions
    from poise.recipes.start import SMALL
    from poise.weights.zoo_names import STORED, zoo_names
    from poise.zoo.index import index

    assert index() == json.loads(STORED.read_text(encoding="utf-8")), "run python -m poise.zoo.index to renew them"
    assert all(FinetuneOptions.by_name(name) for name in SMALL)
    assert all(map(zoo_names().can_build, zoo_names().models))


def test_every_refusal_takes_less_than_half_a_second(answers):
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # this suite runs on all cores
    slow = {name_of(words): seconds for words, (_, _, _, seconds, _) in answers.items() if seconds > 0.4 * busy}
    assert not slow, f"with a tenth of a second to start Python these take too long: {slow}"


@pytest.mark.parametrize("word", [*SYNONYMS, *NOT_THERE])
def test_what_other_tools_call_a_command_is_understood(word, capsys):
    assert word not in COMMANDS
    assert main([word]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert (f"did you mean poise {SYNONYMS[word]}?" if word in SYNONYMS else NOT_THERE[word]) in said


@pytest.mark.parametrize("meant", sorted({*SYNONYMS.values()}))
def test_synonyms_lead_to_commands_that_are_there(meant):
    assert meant.startswith("--") or any(f"{meant} ".startswith(f"{name} ") for name in COMMANDS)


def test_what_other_tools_call_a_flag_is_understood():
    assert wrong_flag(["--lr", "1"], ["rate", "epochs"]) == "there is no flag '--lr'; did you mean '--rate'?"
    assert wrong_flag(["--weights=m"], ["annotations", "start"]) == "there is no flag '--weights'; did you mean '--start'?"
    assert "did you mean '--bath'" not in str(wrong_flag(["--lr", "1"], ["out"]))


def test_synonyms_of_flags_lead_to_flags_that_are_there():
    import importlib

    from poise.cli._recipe_command import RecipeCommand

    known = {name for recipe in outlined() for name in RecipeCommand.outlined(recipe, []).names}
    for where, function in (place.split(":") for place, _ in COMMANDS.values()):
        if where not in ("train", "adapt"):
            known.update(flag_names(getattr(importlib.import_module(f"poise.cli.{where}"), function)))
    assert not {name for names in FLAGS.values() for name in names} - known
    assert not {flag for flag in FLAGS if flag.replace("-", "_") in known} - {
        "weights",
        "ckpt",
        "backbone",
        "threshold",
        "fp16",
        "gpus",
        "labels",
    }
