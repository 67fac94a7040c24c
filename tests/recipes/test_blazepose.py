"""BlazePose's stages of training, and CPN in its pipeline, as they are typed."""

import pytest
import torch

from poise.cli.main import main
from poise.codecs.regression import Regression
from poise.codecs.udp import UDPGaussian
from poise.codecs.udp_offset import UDPOffset
from poise.errors import InputError
from poise.models.aligned import AlignedTopDown
from poise.recipes.blazepose import blazepose
from poise.training.checkpoint import load_fitting
from poise.training.fit import fit
from poise.weights.model_file import load


def files(drawn):
    return {"annotations": [drawn / "annotations.json"], "images": [drawn / "images"], "size": (64, 64)}


def test_heatmaps_come_first_then_offsets_then_the_regression_in_the_same_views(drawn):
    recipe = blazepose(**files(drawn), epochs=(1, 2, 3), padding=1.1)
    stages = [recipe, *recipe.then]
    assert [type(stage.model.codec) for stage in stages] == [UDPGaussian, UDPOffset, Regression]
    assert [stage.epochs for stage in stages] == [1, 2, 3]
    assert {type(stage.model) for stage in stages} == {AlignedTopDown}
    assert len({stage.model.preprocess for stage in stages}) == 1
    assert len(blazepose(**files(drawn), epochs=(0, 2, 3)).then) == 1
    assert blazepose(**files(drawn), epochs=(0, 0, 3), align=None).then == ()
    with pytest.raises(InputError, match=r"--epochs .* found 1 1 0"):
        blazepose(**files(drawn), epochs=(1, 1, 0))


def test_what_a_stage_learnt_is_what_the_next_begins_with(drawn):
    recipe = blazepose(**files(drawn))
    heatmaps, offsets, whole = (stage.model for stage in (recipe, *recipe.then))
    load_fitting(offsets, heatmaps)
    load_fitting(whole, offsets)
    first, second, last = (model.network.state_dict() for model in (heatmaps, offsets, whole))
    assert all(torch.equal(second[key], last[key]) for key in second), "the layer of heatmaps with offsets goes on learning"
    assert all(torch.equal(first[key], last[key]) for key in first if "heatmaps" not in key)


def test_the_command_trains_all_stages_and_its_model_is_that_of_the_last(drawn, tmp_path, capsys):
    words = ["--annotations", str(drawn / "annotations.json"), "--images", str(drawn / "images"), "--size", "64", "64"]
    out = tmp_path / "run"
    assert (
        main(["train", "blazepose", *words, "--epochs", "1", "1", "1", "--steps", "3", "--workers", "0", "--out", str(out)])
        == 0
    )
    model = load(out / "model.safetensors")
    assert isinstance(model.codec, Regression)
    assert len(model.skeleton) == 19
    assert torch.equal(
        model.network.state_dict()["head.numbers.final.weight"],
        load(out / "stage2" / "model.safetensors").network.state_dict()["head.numbers.final.weight"],
    )
    resumed = fit(blazepose(**files(drawn), epochs=(1, 1, 1)), out=out, resume=out, workers=0)
    assert isinstance(resumed.model.codec, Regression)
    capsys.readouterr()


def test_cpn_then_blazepose_is_one_command_after_another(drawn, tmp_path, capsys):
    words = ["--annotations", str(drawn / "annotations.json"), "--images", str(drawn / "images")]
    words += ["--model", "cpn_50_coco_64x64", "--batch", "2", "--steps", "2", "--epochs", "1", "--workers", "0"]
    cpn, out = tmp_path / "cpn", tmp_path / "aligned"
    assert main(["train", "finetune", *words, "--out", str(cpn)]) == 0
    start = ["--start", str(cpn / "model.safetensors")]
    assert main(["train", "finetune", *words, *start, "--align", "rotated", "--missing", "mask", "--out", str(out)]) == 0
    assert "kept the backbone and 17 keypoints" in " ".join(capsys.readouterr().out.split())
    model = load(out / "model.safetensors")
    assert isinstance(model, AlignedTopDown)
    assert len(model.skeleton) == 19
