import zlib
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from poise.cli.main import main
from poise.codecs.udp_offset import UDPOffset
from poise.errors import CheckpointError, InputError
from poise.skeletons import ANIMAL18, from_category
from poise.transforms.person_crop import PersonCrop
from poise.weights.checkpoint import read_checkpoint
from poise.weights.model_file import load, save
from poise.zoo import build, import_release
from poise.zoo import mmpose as mmpose_files
from poise.zoo.find import releases
from poise.zoo.importing import import_checkpoint, official_state

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
        lambda s: wrapped(s, "model."),
        lambda s: {"state_dict": wrapped(s, "model.module.net."), "epoch": 3},
        lambda s: wrapped(s, "_orig_mod."),
        lambda s: {"network": wrapped(s, "network."), "best": 0.5},
    ],
    ids=[
        *("plain", "module", "module-module", "training-state", "model", "nested", "old"),
        *("lightning", "lightning-and-more", "compiled", "network"),
    ],
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


def test_what_is_no_part_of_the_network_is_told_as_unexpected(state):
    with pytest.raises(CheckpointError, match=r"weights: 1 unexpected: criterion\.weight"):
        import_release(NAME, wrapped(state, "model.") | {"criterion.weight": torch.zeros(1)})


FIVE = from_category({"name": "own", "keypoints": ["nose", "tail", "left_paw", "right_paw", "hump"]})
OTHERS = [
    *("cpn_50_coco_64x64", "darkpose_hrnet_w32_coco_64x64", "hourglass_1stack_b1_16j_64x64", "hrnet_w32_mpii_64x64"),
    *("lpn_50_gc_coco_64x64", "mspn_1stg_coco_64x64", "rsn_res18_coco_64x64", "udp_poseresnet50_offset_coco_64x64"),
]


@pytest.mark.parametrize("name", OTHERS)
def test_networks_of_every_family_are_imported_with_other_keypoints(name):
    state = official_state(build(name, skeleton=FIVE), name)
    with pytest.raises(CheckpointError, match=r"it is that network for 5 keypoints, and 1[67] were expected"):
        import_release(name, state)
    made = import_release(name, state, skeleton=FIVE)
    assert made.skeleton == FIVE
    assert made.codec.keypoints == 5
    assert all(torch.equal(value, state[key]) for key, value in official_state(made, name).items())


def test_networks_of_mmpose_are_imported_with_other_keypoints():
    own = official_state(build(NAME, skeleton=FIVE), NAME)
    state = {
        ("head." if "layer" in k.partition(".")[0] and "_" in k.partition(".")[0] else "backbone.") + k: v
        for k, v in own.items()
    }
    assert import_release(NAME, {"state_dict": state}, skeleton=FIVE).skeleton == FIVE


def test_limbs_that_a_checkpoint_does_not_list_are_not_guessed():
    name = "offsetguided_hrnet18_128x128"
    with pytest.raises(CheckpointError, match="along limbs that a checkpoint does not list"):
        import_release(name, {"basenet.conv1.weight": torch.zeros(1)}, skeleton=FIVE)


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickled_network_is_told_with_the_way_to_its_weights(tmp_path, zipped):
    torch.save({"model": Small()}, tmp_path / "whole.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"is a whole network, pickled .*weights_only=False\)\.state_dict\(\)"):
        read_checkpoint(tmp_path / "whole.pth")


def test_weights_in_safetensors_are_read_and_a_model_file_is_told(tmp_path):
    save_file({"conv1.weight": torch.ones(2)}, tmp_path / "a.safetensors")
    assert read_checkpoint(tmp_path / "a.safetensors")["conv1.weight"].tolist() == [1, 1]
    save(build("poise_t_coco_64x64"), tmp_path / "own.safetensors")
    with pytest.raises(CheckpointError, match="is a model file of poise already"):
        read_checkpoint(tmp_path / "own.safetensors")
    (tmp_path / "half.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:20])
    with pytest.raises(CheckpointError, match=r"half\.safetensors is truncated"):
        read_checkpoint(tmp_path / "half.safetensors")


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
    with pytest.raises(CheckpointError, match=r"more than weights .*save its weights alone: torch\.save"):
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


def spoiled(state, key, value):
    return dict(state) | {key: torch.full_like(state[key], value)}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_in_one_sentence(state, value):
    with pytest.raises(CheckpointError, match=r"1 of the checkpoint's \d+ weights hold NaN or infinite values \(bn1\.weight\)"):
        import_release(NAME, spoiled(state, "bn1.weight", value))


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("poseresnet_50_coco_64x64", "poseresnet_101_coco_256x192"),
        ("lpn_50_gc_coco_64x64", "lpn_101_gc_coco_256x192"),
        ("lpn_50_gc_coco_64x64", "lpn_50_se_coco_256x192"),
        ("hourglass_2stack_b1_16j_256x256", "hourglass_4stack_b1_16j_256x256"),
        ("hrnet_w32_mpii_256x256", "hrnet_w48_mpii_256x256"),
    ],
)
def test_a_checkpoint_of_another_depth_or_width_says_which_it_is(asked, given):
    with torch.device("meta"):
        model = build(given)
    weights = {key: torch.empty(value.shape, dtype=value.dtype) for key, value in official_state(model, given).items()}
    weights = {key: value.zero_() for key, value in weights.items()}
    with pytest.raises(
        CheckpointError, match=f"not one of '{asked}'; by the names and shapes of its weights it is one of '{given}'"
    ):
        import_release(asked, weights)


def test_a_checkpoint_of_other_keypoints_is_not_called_another_network(state):
    with pytest.raises(CheckpointError) as caught:
        import_release("poseresnet_18_mpii_64x64", state)
    assert "2 of another shape: final_layer.weight (17x256x1x1, expected 16x256x1x1)" in str(caught.value)
    assert "it is one of" not in str(caught.value)


# MMPose


def by_rule(state):
    """Weights that follow from their names, as those of the golden networks do: statistics of norms and biases too."""
    made = {}
    for key, value in state.items():
        chance = np.random.default_rng(zlib.crc32(key.encode()))
        drawn = chance.random(value.shape) + 0.5 if key.endswith("running_var") else 0.1 * chance.standard_normal(value.shape)
        made[key] = value if value.ndim == 0 else torch.from_numpy(np.asarray(drawn, dtype=np.float32))
    return made


HRNET = "hrnet_w18_coco_64x64"


def mmpose(state, head):
    """Official weights under MMPose's names, in its wrapping."""
    parts = ("deconv_layers.", "final_layer.")
    named = {(head if key.startswith(parts) else "backbone.") + key: value for key, value in state.items()}
    return {"meta": {"mmpose_version": "0.29.0", "epoch": 210, "config": "model = dict(type='TopDown')"}, "state_dict": named}


def test_mmposes_releases_are_there_by_name_for_any_keypoints_with_address_terms_and_score():
    families = ("hrnet_w", "poseresnet_", "darkpose_", "udp_")
    rows = [row for row in releases().values() if row.page == mmpose_files.PAGE and row.name.startswith(families)]
    assert len(rows) == 92
    assert all(row.url and row.sha256 and row.sha256 in row.file and "Apache-2.0" in row.licence for row in rows)
    assert len({row.url for row in rows}) == len(rows)
    name = "poseresnet_50_fly32_192x192"
    found = import_release(name, mmpose(official_state(build(name), name), "keypoint_head."))
    assert (found.card.licence, found.preprocess.channels, len(found.skeleton)) == (mmpose_files.LICENCE, "rgb", 32)
    assert found.card.scores == {"vinegar-fly/PCK@0.2": 0.996}


@pytest.mark.parametrize("head", ["keypoint_head.", "head."])
@pytest.mark.parametrize("name", [NAME, HRNET])
def test_mmposes_checkpoints_are_told_apart_by_their_names_and_answer_alike(name, head):
    official = by_rule(official_state(build(name), name))
    ours, theirs = import_release(name, official), import_checkpoint(name, mmpose(official, head))
    assert theirs.description.startswith(f"an MMPose checkpoint of {name!r}")
    assert import_checkpoint(name, official).description == f"an official checkpoint of {name!r}"
    view = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        answer = theirs.model(view)
        torch.testing.assert_close(answer, ours(view), rtol=0, atol=0)
    assert float(answer.std()) > 0
    assert theirs.model.preprocess.channels == "rgb"
    assert theirs.model.codec == ours.codec
    assert "MMPose" in theirs.model.card.notes
    assert "Apache-2.0" in theirs.model.card.licence
    assert theirs.model.card.scores == {}


@pytest.mark.parametrize("name", [NAME, HRNET])
def test_three_outputs_a_keypoint_are_udps_disks_and_offsets(name):
    official = official_state(build(name, codec="UDPOffset"), name)
    found = import_checkpoint(name, mmpose(official, "keypoint_head."))
    assert "with 51 outputs: disks of 0.875 cells and offsets" in found.description
    codec = found.model.codec
    assert isinstance(codec, UDPOffset)
    assert (codec.radius, codec.heat_blur, codec.offset_blur) == (0.0546875 * 16, 23, 1)
    assert found.model.preprocess.crop == "udp"
    assert found.model(torch.zeros(1, 3, 64, 64)).shape == (1, 51, 16, 16)


def test_mmposes_udp_models_with_gaussian_maps_are_asked_for_by_their_codec():
    official = official_state(build(NAME), NAME)
    model = import_release(NAME, mmpose(official, "head."), codec="UDPGaussian")
    assert type(model.codec).__name__ == "UDPGaussian"
    assert model.preprocess.crop == "udp"


def test_mmposes_checkpoint_of_another_depth_says_which_it_is():
    other = "poseresnet_34_coco_256x192"
    with pytest.raises(CheckpointError, match=f"the MMPose checkpoint is not one of '{NAME}'; by .* it is one of '{other}'"):
        import_release(NAME, mmpose(official_state(build(other), other), "head."))


def test_the_command_says_what_it_took_the_file_for(tmp_path, capsys):
    official = official_state(build(NAME), NAME)
    torch.save(mmpose(official, "keypoint_head."), tmp_path / "theirs.pth")
    torch.save(official, tmp_path / "official.pth")
    for file, words in (("theirs", "an MMPose checkpoint"), ("official", "an official checkpoint")):
        out = tmp_path / f"{file}.safetensors"
        assert main(["import", NAME, str(tmp_path / f"{file}.pth"), "--out", str(out)]) == 0
        assert f"taken for {words} of '{NAME}'" in capsys.readouterr().out.replace("\n", " ")
        assert out.is_file()


ANIMAL = "hourglass_1stack_b1_18j_64x64"


@pytest.fixture(scope="module")
def animal():
    return official_state(build(ANIMAL), ANIMAL)


def test_animals_are_read_with_the_mean_of_the_synthetic_horses_and_stretched(animal):
    cut = import_release(ANIMAL, animal).preprocess
    assert cut.mean == (0.4038, 0.3956, 0.3925)
    assert cut.std == (1, 1, 1)
    assert cut.stretch
    grey = (torch.arange(80) + 60).to(torch.uint8).expand(3, 80, 80).permute(1, 2, 0).contiguous().permute(2, 0, 1)
    view, _ = PersonCrop((64, 64), cut, ANIMAL18).crop_box(grey, torch.tensor([30.0, 30.0, 50.0, 50.0]))
    torch.testing.assert_close(view.amin(dim=(1, 2)), -torch.tensor(cut.mean))
    torch.testing.assert_close(view.amax(dim=(1, 2)), 1 - torch.tensor(cut.mean))
    people = build("hourglass_1stack_b1_16j_64x64").preprocess
    assert (people.mean, people.stretch) == ((0.4404, 0.4440, 0.4327), False)


def test_a_file_of_the_real_set_and_whoever_knows_better_give_another_mean(animal, tmp_path, capsys):
    torch.save({"state_dict": wrapped(animal, "module.")}, tmp_path / "real_animal.pth.tar")
    found = import_checkpoint(ANIMAL, tmp_path / "real_animal.pth.tar")
    assert found.model.preprocess.mean == (0.5319, 0.5107, 0.4206)
    assert "was trained on real animals, so their mean 0.5319 0.5107 0.4206 is subtracted" in found.description
    out = tmp_path / "own.safetensors"
    words = ["import", ANIMAL, str(tmp_path / "real_animal.pth.tar"), "--mean", "0.1", "0.2", "0.3", "--std", "0.5", "0.5", "1"]
    assert main([*words, "--out", str(out)]) == 0
    assert "mean 0.1 0.2 0.3, std 0.5 0.5 1 as given" in capsys.readouterr().out.replace("\n", " ")
    cut = load(out).preprocess
    assert (cut.mean, cut.std, cut.stretch) == ((0.1, 0.2, 0.3), (0.5, 0.5, 1.0), True)


def test_a_mean_is_given_as_red_green_blue_whatever_the_network_reads():
    name = "lpn_50_gc_coco_64x64"
    made = import_release(name, official_state(build(name), name), mean=(0.1, 0.2, 0.3)).preprocess
    assert (made.channels, made.mean) == ("bgr", (0.3, 0.2, 0.1))


@pytest.mark.parametrize("mean", [(103.0, 116.0, 123.0), (0.1, 0.2, float("nan")), (-0.1, 0.2, 0.3)])
def test_a_mean_beyond_its_range_is_refused_in_one_sentence(animal, mean):
    with pytest.raises(InputError, match="mean takes three numbers for red, green and blue, as shares of 255"):
        import_release(ANIMAL, animal, mean=mean)
    with pytest.raises(InputError, match="std takes three numbers"):
        import_release(ANIMAL, animal, std=(0.0, 1.0, 1.0))
