import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import poise
from poise.errors import CheckpointError, InputError, WriteError
from poise.skeletons import QUADRUPED
from poise.weights.model_file import describe, load, save
from poise.zoo import build


@pytest.fixture(scope="module")
def model():
    return build("poseresnet_18_coco_64x64", skeleton=QUADRUPED).eval()


@pytest.fixture
def file(model, tmp_path):
    return save(model, tmp_path / "model.safetensors")


def edit(file, **changes):
    values = json.loads(describe_file(file)) | changes
    save_file(load_file(file), file, metadata={"poise": json.dumps(values)})


def describe_file(file):
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        return opened.metadata()["poise"]


def test_a_file_carries_everything_a_model_is(model, file):
    again = poise.load(file)
    view = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model(view), again(view))
    assert (again.codec, again.skeleton, again.preprocess, again.card) == (
        model.codec,
        model.skeleton,
        model.preprocess,
        model.card,
    )
    assert not again.training


def test_a_loaded_model_can_be_trained(file):
    again = load(file).train()
    again(torch.randn(2, 3, 64, 64)).sum().backward()
    assert all(p.grad is not None for p in again.network.parameters())


def test_channels_last_weights_and_half_precision_come_back_as_float32(tmp_path):
    model = build("poseresnet_18_coco_64x64").to(memory_format=torch.channels_last).to(torch.bfloat16)
    again = load(save(model, tmp_path / "half.safetensors"))
    assert {p.dtype for p in again.parameters()} == {torch.float32}


def test_missing_truncated_and_foreign_files_are_refused(file, tmp_path):
    with pytest.raises(CheckpointError, match="there is no model file"):
        load(tmp_path / "none.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="not written by poise"):
        load(tmp_path / "foreign.safetensors")
    data = file.read_bytes()
    for share in (0.0, 0.001, 0.5, 0.9999):
        file.write_bytes(data[: int(share * len(data))])
        with pytest.raises(CheckpointError, match="truncated"):
            load(file)


def test_only_builders_of_the_zoo_are_called(model, file):
    card = describe(model)["card"]
    for builder in ("os:system", "simple_baselines:poseresnet", "find:build", "simple_baselines", ""):
        edit(file, card=card | {"architecture": {"builder": builder, "arguments": {}}})
        with pytest.raises(CheckpointError, match="no part of this poise"):
            load(file)


def test_metadata_that_does_not_fit_is_refused(model, file):
    values = describe(model)

    def architecture(**arguments):
        return {"card": values["card"] | {"architecture": {"builder": "simple_baselines:network", "arguments": arguments}}}

    wrong = [
        ({"format": 99}, "update poise"),
        ({"format": "new"}, "cannot be understood"),
        ({"skeleton": {"name": "x"}}, "cannot be understood"),
        ({"codec": values["codec"] | {"type": "Magic"}}, "no codec 'Magic'"),
        ({"codec": values["codec"] | {"keypoints": 3}}, "must agree"),
        (architecture(depth=34, channels=20), "missing"),
        (architecture(what=34), "cannot be understood"),
        (architecture(depth=18, channels=-1), "cannot be understood"),
        ({"preprocess": values["preprocess"] | {"crop": "square"}}, "cannot be"),
        ({"preprocess": values["preprocess"] | {"std": [0.2, 0.2, 0.0]}}, "preprocessing cannot be"),
        ({"preprocess": values["preprocess"] | {"sides": [1.0, 0.0]}}, "`sides` must be"),
        ({"preprocess": values["preprocess"] | {"fill": [0.0, 0.0, 999.0]}}, "`fill` must be"),
    ]
    for change, message in wrong:
        edit(file, **(values | change))
        with pytest.raises(CheckpointError, match=message):
            load(file)


def test_files_from_before_sides_and_fill_load_as_they_were(model, file):
    values = describe(model)
    old = {name: value for name, value in values["preprocess"].items() if name not in ("sides", "fill", "stretch")}
    edit(file, **(values | {"preprocess": old}))
    assert load(file).preprocess == model.preprocess


def test_another_ending_and_unwritable_places_are_refused_and_nothing_is_left(model, tmp_path):
    with pytest.raises(InputError, match="safetensors"):
        save(model, tmp_path / "model.pth")
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(WriteError, match="choose another path"):
        save(model, tmp_path / "taken" / "model.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(WriteError):
        save(model, tmp_path / "folder.safetensors")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.safetensors", "taken"]


def test_a_damaged_byte_is_noticed_wherever_it_is(file):
    data = file.read_bytes()
    for place in (*range(8, len(data), len(data) // 16), len(data) - 1):
        file.write_bytes(data[:place] + bytes([data[place] ^ 0x11]) + data[place + 1 :])
        with pytest.raises(CheckpointError):
            load(file)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", ["conv1.weight", "bn1.running_var", "bn1.running_mean"])
def test_weights_and_statistics_that_are_no_numbers_are_refused(model, tmp_path, part, value):
    import copy

    spoiled = copy.deepcopy(model)
    names = [name for name in spoiled.network.state_dict() if name.endswith(part)]
    with torch.no_grad():
        spoiled.network.state_dict()[names[0]].view(-1)[0] = value
    with pytest.raises(CheckpointError, match=r"hold NaN or infinite values \(.*" + part):
        load(save(spoiled, tmp_path / "spoiled.safetensors"))


def test_files_of_older_versions_without_a_checksum_load(file):
    edit(file)
    assert load(file)


def codec_of(model, **changes):
    return {"codec": describe(model)["codec"] | changes}


@pytest.mark.parametrize(
    "size",
    [
        [64, float("nan")],
        [64, float("inf")],
        [64.5, 64],
        [64, 64, 64],
        [100_000, 100_000],
        [0, 64],
        [-64, 64],
        "64x64",
        64,
        None,
    ],
)
@pytest.mark.parametrize("field", ["size", "cells"])
def test_a_codec_of_a_size_that_cannot_be_is_refused_before_it_is_made(model, file, field, size):
    edit(file, **codec_of(model, **{field: size}))
    with pytest.raises(CheckpointError, match=rf"model\.safetensors: its codec\.{field} is .*two whole numbers from 1 to 8192"):
        load(file)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (lambda model: codec_of(model, keypoints=10**6), r"its codec\.keypoints is 1000000, and 4,096 are the most"),
        (lambda model: codec_of(model, keypoints=2.5), r"its codec\.keypoints is 2\.5; expected a whole number"),
        (lambda model: codec_of(model, sigma=float("nan")), r"its codec\.sigma is nan"),
        (
            lambda model: {"preprocess": describe(model)["preprocess"] | {"padding": float("inf")}},
            r"preprocess\.padding is inf",
        ),
        (
            lambda model: {"preprocess": describe(model)["preprocess"] | {"std": [0.1, float("nan"), 1]}},
            r"preprocess\.std is nan",
        ),
        (lambda model: {"preprocess": 5}, "neither preprocessing nor card"),
        (lambda model: {"card": {"name": "x"}}, "no architecture"),
        (
            lambda model: {"deep": [describe(model)["codec"] | {"size": [10**5, 10**5]}]},
            r"its deep\.size is \[100000, 100000\]",
        ),
    ],
)
def test_numbers_of_a_file_that_cannot_be_are_named(model, file, changes, says):
    edit(file, **changes(model))
    with pytest.raises(CheckpointError, match=says):
        load(file)


@pytest.mark.parametrize("text", ["[" * 5000, '{"format": ' + "9" * 400 + "}", "[]", "5", "null", '{"format": 1}'])
def test_metadata_that_is_none_is_refused(file, text):
    save_file(load_file(file), file, metadata={"poise": text})
    with pytest.raises(CheckpointError, match="its metadata"):
        load(file)


def test_a_network_of_very_many_parts_is_refused_before_it_is_made(model, file):
    endless = {"builder": "hourglass:network", "arguments": {"stacks": 999_999, "blocks": 1, "channels": 17}}
    edit(file, card=describe(model)["card"] | {"architecture": endless})
    with pytest.raises(CheckpointError, match=r"architecture\.arguments\.stacks is 999999, and 64 are the most"):
        load(file)
