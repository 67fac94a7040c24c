"""The flags of the commands: each is declared once, with its help, and groups decide what they say."""

import dataclasses
import importlib
import inspect
import re
from collections import Counter

import pytest

from poise.cli._flags import flag_names, given, wrong_flag
from poise.cli.main import COMMANDS
from poise.cli.options import (
    BoxOptions,
    DetectionOptions,
    EvalRunOptions,
    FlipRunOptions,
    RescoringOptions,
    TrainingOptions,
)
from poise.errors import InputError
from poise.notes import forget_notes
from poise.zoo import build

MAX_PER_FLAG = 1.6
"""Declarations of a flag, on average; it was 2.9 before flags stood in groups."""


def described(owner, heading: str) -> dict[str, str]:
    """What a docstring says of each argument or attribute, on one line."""
    text = inspect.cleandoc(owner.__doc__ or "").partition(f"\n{heading}:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^    (\w+): (.*?)(?=^    \w|\Z)", text, re.MULTILINE | re.DOTALL)
    return {name: " ".join(said.split()) for name, said in entries}


def commands():
    for where, _ in COMMANDS.values():
        file, name = where.split(":")
        if file not in ("train", "adapt"):  # whose flags are those of recipes
            yield getattr(importlib.import_module(f"poise.cli.{file}"), name)


def groups_of(command) -> list[type]:
    hints = inspect.get_annotations(command, eval_str=True)
    return [hint for hint in hints.values() if dataclasses.is_dataclass(hint)]


def declared() -> list[tuple[str, str]]:
    """Every flag where it is declared, with what is said of it."""
    groups = {TrainingOptions: None}
    found = []
    for command in commands():
        about, hints = described(command, "Args"), inspect.get_annotations(command, eval_str=True)
        named = [p.name for p in inspect.signature(command).parameters.values() if p.kind is p.KEYWORD_ONLY]
        found += [(name, about[name]) for name in named if not dataclasses.is_dataclass(hints[name])]
        groups |= dict.fromkeys(groups_of(command))
    classes = {part: None for group in groups for part in group.__mro__ if dataclasses.is_dataclass(part)}
    for part in classes:
        about = described(part, "Attributes")
        found += [(name, about[name]) for name in part.__annotations__]
    return found


def test_every_flag_is_declared_once_with_its_help():
    flags = declared()
    twice = [flag for flag, count in Counter(flags).items() if count > 1]
    assert not twice
    names = {name for name, _ in flags}
    print(f"{len(flags)} declarations of {len(names)} flags")
    assert len(names) > 50
    assert len(flags) <= MAX_PER_FLAG * len(names)


@pytest.mark.parametrize("command", [*commands()], ids=lambda command: command.__module__.rpartition(".")[2])
def test_a_command_has_each_flag_once(command):
    names = flag_names(command)
    assert names
    assert len(set(names)) == len(names)


def test_a_flag_of_a_group_is_a_flag_of_the_command():
    [evaluate] = [command for command in commands() if command.__module__.endswith(".evaluate")]
    assert {"annotations", "device", "oks_nms", "heads"} <= set(flag_names(evaluate))
    assert "boxes" in flag_names(evaluate)
    assert "files" not in flag_names(evaluate)
    assert wrong_flag(["--files"], flag_names(evaluate))


def test_flags_that_were_given_are_told_as_typed():
    assert given(EvalRunOptions()) == {}
    running = EvalRunOptions(device="cpu", workers=0, no_flip=True, pad_batches=True)
    assert given(running) == {"--device": "cpu", "--no-flip": True, "--workers": 0, "--pad-batches": True}
    assert list(given(BoxOptions(boxes="gt"), RescoringOptions(oks_nms="off"))) == ["--boxes", "--oks-nms"]


def test_settings_are_those_of_the_flags_and_the_models_where_none_is_given():
    model = build("poise_t_coco_64x64")
    settings = FlipRunOptions(device="cpu", precision="fp32").settings_for(model)
    assert (settings.flip, settings.batch, settings.workers, settings.precision) == (True, 32, 2, "fp32")
    settings = FlipRunOptions(device="cpu", no_flip=True, batch=3, workers=0).settings_for(model)
    assert (settings.flip, settings.batch, settings.workers) == (False, 3, 0)
    assert not FlipRunOptions(device="cpu", no_flip=True).settings_for(model, flip=True).flip


def test_a_flip_test_that_is_asked_for_is_made_or_refused_and_never_left_out_without_a_word():
    blaze = build("blazepose_landmark_lite")
    assert not FlipRunOptions(device="cpu").settings_for(blaze).flip, "as the release does"
    assert FlipRunOptions(device="cpu", flip=True).settings_for(blaze).flip
    for name in ("blazepose_detector", "rtmo_s"):
        with pytest.raises(InputError, match=r"without a flip test.*leave out --flip"):
            FlipRunOptions(device="cpu", flip=True).settings_for(build(name))
        assert not FlipRunOptions(device="cpu").settings_for(build(name)).flip


def test_bfloat16_that_changes_nothing_is_told(capsys):
    forget_notes()
    settings = FlipRunOptions(device="cpu", precision="bf16").settings_for(build("blazepose_landmark_lite"))
    assert settings.precision == "fp32"
    assert "always computes in fp32, so --precision bf16 (precision=) changes nothing of it" in capsys.readouterr().err
    assert FlipRunOptions(device="cpu", precision="bf16").settings_for(build("poise_t_coco_64x64")).precision == "bf16"


def test_poses_are_scored_as_the_release_does_but_for_what_flags_say():
    model = build("poise_t_coco_64x64")
    assert RescoringOptions().of(model) == model.rescoring
    assert RescoringOptions(oks_nms="off").of(model) == dataclasses.replace(model.rescoring, oks_nms=None)
    assert RescoringOptions(min_keypoint_score=0.5).of(model) == dataclasses.replace(model.rescoring, min_keypoint_score=0.5)
    with pytest.raises(InputError, match='--oks-nms is a number from 0 to 1, or "off"'):
        RescoringOptions(oks_nms="2").of(model)


def test_a_minimum_is_for_boxes_that_have_a_confidence():
    person, detector = build("poise_t_coco_64x64"), build("poise_rcnn_t_coco_64x64")
    minimum = BoxOptions(min_box_score=0.5)
    with pytest.raises(InputError, match="--min-box-score is for boxes of --detector, or of a file of --boxes"):
        minimum.check_for(person)
    with pytest.raises(InputError, match="finds and rates people by itself; leave out --min-box-score"):
        minimum.check_for(detector)
    minimum.check_for(detector, own_minimum=True)
    with pytest.raises(InputError, match="leave out --boxes"):
        BoxOptions(boxes="gt", min_box_score=0.5).check_for(detector, own_minimum=True)
    BoxOptions(detector="x", min_box_score=0.5).check_for(person)


def test_whole_images_are_seen_as_large_as_the_flags_say():
    model = build("poise_rcnn_t_coco_64x64")
    limit, side = model.preprocess.most, model.preprocess.side
    DetectionOptions(side=2 * side, scales=(0.5, 1.0)).adjust(model)
    assert (model.preprocess.side, model.preprocess.scales) == (2 * side, (0.5, 1.0))
    assert model.preprocess.most == (None if limit is None else 2 * limit)
