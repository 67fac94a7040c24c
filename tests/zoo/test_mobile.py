"""Lite-HRNet, MobileNetV2, SuperAnimal, RSN of UDP: any skeleton by name, old checkpoints, predictions, files."""

import re

import pytest
import torch

from poise import zoo
from poise.codecs.centred import CentredMaps
from poise.errors import InputError, UnknownName
from poise.models.losses import total_loss
from poise.nn.backbones.litehrnet import shuffled
from poise.runtimes.onnx import to_onnx
from poise.runtimes.parts import Flat
from poise.skeletons.superanimal import BIRD42, QUADRUPED39, TOPVIEWMOUSE27
from poise.structures import Batch
from poise.weights.model_file import load, save
from poise.weights.transfer import transfer
from poise.zoo.importing import official_state
from poise.zoo.official_files import HOSTS, official

NAMES = (
    "litehrnet_18_coco17_64x64",
    "litehrnet_30_hand21_64x64",
    "mobilenetv2_ap10k17_64x64",
    "deeplabcut3_hrnet_w32_topviewmouse27_64x64",
    "rsn_udp_rsn18_se_prm_coco_64x64",
    "rsn_udp_2xrsn18_coco_64x64",
)


@pytest.mark.parametrize("name", NAMES)
def test_models_predict_learn_and_come_back_from_their_files(name, tmp_path):
    torch.manual_seed(0)
    model = zoo.build(name).eval()
    count = len(model.skeleton)
    views = torch.randn(2, 3, 64, 64)
    assert model.predict(views, flip=model.skeleton.mirrors).xy.shape == (2, count, 2)
    batch = Batch(
        images=views, xy=torch.full((2, count, 2), 30.0), visible=torch.full((2, count), 2), warps=torch.eye(3).expand(2, 3, 3)
    )
    loss = total_loss(model.compared(model.outputs(views), batch))
    loss.backward()
    assert loss.isfinite()
    again = load(save(model, tmp_path / "m.safetensors"))
    with torch.no_grad():
        assert torch.equal(again(views), model(views))


def test_checkpoints_of_mmpose_0_name_the_head_otherwise():
    name = "litehrnet_18_coco17_64x64"
    torch.manual_seed(0)
    state = official_state(zoo.build(name), name)
    old = {key.replace("head.", "keypoint_head.", 1) if key.startswith("head.") else key: v for key, v in state.items()}
    model = zoo.import_release(name, {"state_dict": old})
    assert torch.equal(model.network.head.final.weight, state["head.final_layer.weight"])


def test_rows_of_a_transposed_head_are_taken_over_by_name():
    torch.manual_seed(0)
    start = zoo.build("deeplabcut3_hrnet_w32_quadruped39_64x64")
    target = zoo.build("deeplabcut3_hrnet_w32_quadruped39_64x64", skeleton=TOPVIEWMOUSE27)
    kept = transfer(start, target).kept
    assert {"nose", "left_eye", "right_eye", "tail_base", "tail_end"} <= set(kept)
    own, theirs = TOPVIEWMOUSE27.index("tail_end"), QUADRUPED39.index("tail_end")
    assert torch.equal(target.network.head.final.weight[:, own], start.network.head.final.weight[:, theirs])
    assert torch.equal(target.network.head.final.bias[own], start.network.head.final.bias[theirs])


def test_superanimals_maps_are_read_as_deeplabcut_reads_them():
    codec = CentredMaps((256, 256), (64, 64), 1)
    maps = torch.zeros(1, 1, 64, 64)
    maps[0, 0, 10, 20] = 1.7
    found = codec.decode(maps)
    assert found.xy[0, 0].tolist() == [
        20.5 * 4 - 0.5,
        10.5 * 4 - 0.5,
    ]  # from its edge: (index + 0.5) * stride
    assert found.score[0, 0] == 1


def test_skeletons_of_superanimal_have_deeplabcuts_numbers_of_keypoints_and_mirror_sides():
    assert [len(one) for one in (QUADRUPED39, TOPVIEWMOUSE27, BIRD42)] == [39, 27, 42]
    assert ("left_antler_base", "right_antler_base") in QUADRUPED39.mirror
    assert ("front_left_paw", "front_right_paw") in QUADRUPED39.mirror
    assert {"nose", "tail_base", "belly_bottom"} <= set(QUADRUPED39.unpaired)


def test_names_of_no_skeleton_and_imagenet_weights_are_refused():
    with pytest.raises(UnknownName, match="skeleton"):
        zoo.build("litehrnet_18_nothing9_64x64")
    with pytest.raises(InputError, match="Lite-HRNet"):
        zoo.build("litehrnet_20_coco17_64x64")
    with pytest.raises(InputError):
        zoo.build("mobilenetv2_coco17_64x64", pretrained=True)


def test_every_published_file_has_an_address_a_page_and_the_digits_that_stand_in_its_name():
    for release in official(""):
        assert release.url.startswith("https://")
        assert release.page
        assert release.licence
        if release.sha256 and len(release.sha256) == 8:
            assert re.search(rf"[-_]{release.sha256}[-_.]", release.file)
    assert {"openmmlab", "deeplabcut"} <= set(HOSTS)


def test_lite_hrnet_has_no_operator_that_onnx_lacks():
    pytest.importorskip("onnx")
    network = zoo.build("litehrnet_18_coco17_64x64").network.eval()
    assert to_onnx(Flat(network, "forward", (None,)).eval(), [torch.zeros(1, 3, 64, 64)], names=["views"], free=[(0,)])


def test_channels_of_two_halves_come_in_turn():
    assert shuffled(torch.arange(6.0).view(1, 6, 1, 1)).flatten().tolist() == [0, 3, 1, 4, 2, 5]
