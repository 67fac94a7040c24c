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
    old = {name: value for name, value in values["preprocess"].items() if name not in ("sides", "fill")}
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
    for place in (*range(8, len(data), len(data) // 40), len(data) - 1):
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
