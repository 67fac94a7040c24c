"""Aligned crops by the flags of `poise train finetune`."""

import pytest

from poise.errors import InputError, SkeletonMismatch
from poise.models.aligned import AlignedTopDown
from poise.models.top_down import TopDown
from poise.skeletons.alignment import CENTRE, CIRCLE
from poise.training.fit import fit

from .finetuned import finetuned


def files(drawn):
    return {"annotations": [drawn / "annotations.json"], "images": [drawn / "images"], "model": "poise_t", "size": (64, 64)}


def test_flags_make_an_aligned_model_with_two_more_keypoints(drawn):
    recipe = finetuned(**files(drawn), align="rotated", padding=1.1)
    assert type(recipe.model) is AlignedTopDown
    assert recipe.model.skeleton.keypoints[-2:] == (CENTRE, CIRCLE)
    assert recipe.model.skeleton == recipe.train.skeleton == recipe.val.skeleton
    assert (recipe.model.preprocess.rotate, recipe.model.preprocess.padding) == (True, 1.1)
    circle = finetuned(**files(drawn), align="circle", alignment_keypoints=False, missing="drop")
    assert len(circle.model.skeleton) == 17
    assert circle.model.preprocess.rotate is False


def test_it_learns_is_checked_says_who_lacks_the_alignment_and_its_file_predicts(drawn, tmp_path, capsys):
    recipe = finetuned(**files(drawn), align="rotated", epochs=1)
    result = fit(recipe, out=tmp_path / "run", seed=0, workers=0, steps=2)
    assert result.file.is_file()
    assert 0 <= result.metrics["pck@0.1"] <= 1
    assert "people lack one of left_hip, right_hip, left_shoulder, right_shoulder: they are learnt without" in " ".join(
        capsys.readouterr().out.split()
    )


def test_padding_is_the_factor_on_boxes_of_any_top_down_model(drawn):
    recipe = finetuned(**files(drawn), padding=1.5)
    assert type(recipe.model) is TopDown
    assert recipe.model.preprocess.padding == 1.5
    with pytest.raises(InputError, match="--padding is a number above 0; found 0"):
        finetuned(**files(drawn), padding=0.0)


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"missing": "drop"}, "--missing"),
        ({"axis_top": ("nose",)}, "--axis-top"),
        ({"alignment_keypoints": False}, "--alignment-keypoints"),
    ],
)
def test_flags_of_an_alignment_that_is_not_asked_for_are_refused(drawn, options, flag):
    with pytest.raises(InputError, match=f"{flag} change nothing without --align"):
        finetuned(**files(drawn), **options)


def test_keypoints_of_an_axis_must_be_those_of_the_files(drawn):
    with pytest.raises(SkeletonMismatch, match="has no withers"):
        finetuned(**files(drawn), align="circle", axis_top=("withers",))
    recipe = finetuned(**files(drawn), align="circle", axis_top=("nose",))
    assert recipe.model.preprocess.axis_top == ("nose",)
