from collections import OrderedDict

import pytest
import torch

from poise.errors import CheckpointError
from poise.zoo import build, import_release
from poise.zoo.checkpoint import official_state, read_checkpoint

NAME = "poseresnet_18_coco_64x64"


@pytest.fixture(scope="module")
def state():
    return official_state(build(NAME), NAME)


def wrapped(state, prefix):
    return OrderedDict((prefix + key, value) for key, value in state.items())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: wrapped(s, "module."),
        lambda s: wrapped(s, "module.module."),
        lambda s: {"epoch": 140, "model": "pose_resnet", "state_dict": wrapped(s, "module.")},
        lambda s: {"model": s},
        lambda s: {"state_dict": {"model": wrapped(s, "module.")}},
        lambda s: {key: value for key, value in s.items() if not key.endswith("num_batches_tracked")},
    ],
    ids=["plain", "module", "module-module", "training-state", "model", "nested", "old"],
)
def test_a_checkpoint_is_taken_however_it_is_wrapped(state, wrap):
    model = import_release(NAME, wrap(state))
    assert all(torch.equal(value, state[key]) for key, value in official_state(model, NAME).items())
    assert not model.training
    assert "MIT" not in model.card.licence  # a size nobody published


def test_published_scores_and_licence_come_along(state):
    name = "poseresnet_50_coco_256x192"
    card = import_release(name, official_state(build(name), name)).card
    assert card.scores == {"coco-val2017/AP": 0.704}
    assert "MIT" in card.licence
    assert "COCO" in card.licence


def test_missing_unexpected_and_reshaped_weights_are_named(state):
    wrong = dict(state) | {"extra.weight": torch.zeros(1), "final_layer.weight": torch.zeros(16, 256, 1, 1)}
    del wrong["conv1.weight"], wrong["bn1.running_mean"]
    with pytest.raises(CheckpointError) as caught:
        import_release(NAME, wrong)
    text = str(caught.value)
    assert "2 missing: conv1.weight, bn1.running_mean" in text
    assert "1 unexpected: extra.weight" in text
    assert "final_layer.weight (16x256x1x1, expected 17x256x1x1)" in text


def test_a_checkpoint_of_another_network_is_refused_with_counts(state):
    with pytest.raises(CheckpointError, match=r"\d+ missing: .* and \d+ more; \d+ unexpected"):
        import_release("hrnet_w32_coco_256x192", state)


def test_two_weights_of_one_name_are_refused(state):
    with pytest.raises(CheckpointError, match="two weights called"):
        import_release(NAME, dict(state) | {"module.conv1.weight": state["conv1.weight"]})


def test_values_that_are_no_weights_are_refused(state):
    with pytest.raises(CheckpointError, match="epoch"):
        import_release(NAME, dict(state) | {"epoch": 3})
    with pytest.raises(CheckpointError, match="no weights"):
        import_release(NAME, {})


class Trap:
    def __reduce__(self):
        return print, ("code was run",)


def test_a_file_with_code_is_refused_and_not_run(tmp_path, capsys):
    torch.save({"state_dict": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(CheckpointError, match="more than weights"):
        read_checkpoint(tmp_path / "trap.pth")
    assert "code was run" not in capsys.readouterr().out


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_checkpoint_is_refused(tmp_path, state, zipped, share):
    path = tmp_path / "half.pth"
    torch.save({k: v for k, v in state.items() if "layer1" in k}, path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(CheckpointError, match=r"half\.pth"):
        read_checkpoint(path)


def test_missing_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        read_checkpoint(tmp_path / "nothing.pth")
    (tmp_path / "text.pth").write_text("hello, this is not a checkpoint\n" * 40)
    with pytest.raises(CheckpointError, match=r"text\.pth"):
        read_checkpoint(tmp_path / "text.pth")
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    with pytest.raises(CheckpointError, match="expected a dictionary"):
        read_checkpoint(tmp_path / "tensor.pth")


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html>", b"hello", b""])
def test_a_file_that_is_no_checkpoint_is_not_called_code(tmp_path, content):
    path = tmp_path / "page.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="no checkpoint of torch"):
        read_checkpoint(path)


def test_weights_without_names_are_refused(tmp_path):
    torch.save({1: torch.zeros(1)}, tmp_path / "numbers.pth")
    with pytest.raises(CheckpointError, match="expected a dictionary of weights by name"):
        read_checkpoint(tmp_path / "numbers.pth")
