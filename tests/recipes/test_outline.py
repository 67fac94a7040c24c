"""Outlines say of recipes what the recipes themselves say, and load nothing."""

import dataclasses
import inspect

import pytest

from poise.cli._inputs import check_flags
from poise.cli._recipe_command import RecipeCommand
from poise.errors import ReadError
from poise.recipes import find, outline
from poise.recipes.finetune import FinetuneOptions
from poise.recipes.start import SMALL
from poise.zoo.find import releases

NAMES = sorted(find.recipes())
ON_A_FOLDER = [name for name in NAMES if "data" in inspect.signature(find.recipes()[name]).parameters]


def test_every_recipe_has_an_outline():
    assert sorted(find.outlined()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_outline_has_the_flags_and_the_text_of_its_recipe(name):
    real, drawn = find.find(name), find.find_outlined(name)
    assert drawn is not real
    assert drawn.__doc__ == real.__doc__
    (flags, text), (drawn_flags, drawn_text) = (
        ([(f.name, f.type, f.default) for f in dataclasses.fields(command.parser)], command.parser.__doc__)
        for command in (RecipeCommand.of(real, []), RecipeCommand.outlined(name, []))
    )
    assert drawn_flags == flags
    assert drawn_text == text


@pytest.mark.parametrize("model", ["poise_scene_t", "poise_rcnn_t", "hrnet_w32_coco_256x192"])
def test_an_outline_knows_the_flags_of_every_kind_of_model(model):
    words = ["--model", model]
    real, drawn = RecipeCommand.of(find.find("finetune"), words), RecipeCommand.outlined("finetune", words)
    assert [(f.name, f.type) for f in dataclasses.fields(drawn.parser)] == [
        (f.name, f.type) for f in dataclasses.fields(real.parser)
    ]


@pytest.mark.parametrize("name", [*sorted(SMALL), *(n for i, n in enumerate(sorted(releases())) if i % 5 == 0)])
def test_the_kind_that_a_name_tells_is_that_of_the_model(name):
    assert (FinetuneOptions.by_name(name) or FinetuneOptions) is FinetuneOptions.for_model(name)


def test_every_published_model_that_is_trained_tells_its_kind_by_its_name():
    others = {"blazepose_detector"} | {name for name in releases() if name.startswith("rtmdet_")}
    assert {name for name in releases() if FinetuneOptions.by_name(name) is None} == others


@pytest.mark.parametrize("name", ["mypkg_net", "rpn_r50_fpn", "poise_x", "timm_resnet18_fpn_keypoint_rcnn"])
def test_other_names_are_left_to_the_model(name):
    assert FinetuneOptions.by_name(name) is None


@pytest.mark.parametrize("field", [("a", outline.stand_in("torch").Tensor | None, None), ("b", int, outline.stand_in("x"))])
def test_a_flag_of_a_type_or_default_from_elsewhere_is_left_to_the_recipe(field):
    name, hint, default = field
    made = dataclasses.make_dataclass("Flags", [(name, hint, default), ("size", tuple[int, int], (1, 2))])
    assert outline.has_stand_ins(dataclasses.fields(made))
    assert not outline.has_stand_ins(dataclasses.fields(made)[1:])


@pytest.mark.parametrize("name", ["detector_drawn", "scenes_drawn", "demo"])
def test_flags_of_a_recipe_that_reads_no_files_are_not_taken_for_files(name):
    flags = RecipeCommand.outlined(name, []).parse([], program="poise train")
    check_flags(flags | {"images": 3000})


def test_a_recipe_of_the_users_own_has_no_outline():
    assert find.find_outlined("mypkg.runs:my_run") is None


def test_a_stand_in_is_the_same_each_time():
    assert outline.stand_in("torch").nn is outline.stand_in("torch").nn
    with pytest.raises(AttributeError):
        outline.stand_in("torch").__wrapped__  # noqa: B018


@pytest.mark.parametrize("name", ON_A_FOLDER)
def test_the_data_folder_is_looked_at_before_weights_are_asked_for(name, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("poise.zoo.imagenet.fill", lambda *_, **__: asked.append(name))
    monkeypatch.setattr("poise.zoo.imagenet.whole_model", lambda *_: asked.append(name))
    monkeypatch.setattr("poise.zoo.imagenet._torchvision", lambda *_: asked.append(name))
    with pytest.raises(ReadError, match="holds no"):
        find.find(name)(data=tmp_path)
    assert not asked
