"""Names of detectors and their parts, and checkpoints of torchvision and Detectron2."""

import pickle
import re

import numpy as np
import pytest
import torch

from poise import zoo
from poise.errors import CheckpointError, InputError, UnknownName
from poise.models.box_detector import BoxDetector
from poise.models.network_part import NetworkPart
from poise.models.require import require_image, require_pose
from poise.skeletons import ANIMAL18
from poise.weights.checkpoint import read_checkpoint
from poise.zoo.importing import import_checkpoint, official_state
from poise.zoo.rcnn.renames import to_maskrcnn_names


def built(name, **options) -> NetworkPart:
    with torch.device("meta"):
        return zoo.build(name, **options)


def millions(model):
    return sum(p.numel() for p in model.network.parameters()) / 1e6


# The tables of the releases' golden networks: millions of parameters, and weights of the checkpoint.
@pytest.mark.parametrize(
    ("name", "size", "entries"),
    [
        ("maskrcnn_r50fpn_256x320", 26.799, 281),
        ("maskrcnn_hr_r50fpn_256x320", 26.799, 334),
        ("maskrcnn_r101fpn_256x320", 45.739, 536),
        ("maskrcnn_x101_32x8d_fpn_256x320", 89.884, 536),
        ("maskrcnn_hrnetv2p_w18_hrfpn_256x320", 12.548, 1842),
        ("maskrcnn_hrnetv2p_w32_hrfpn_256x320", 32.322, 1842),
        ("maskrcnn_hrnetv2p_w40_hrfpn_256x320", 48.555, 1842),
        ("maskrcnn_hrnetv2p_w48_hrfpn_256x320", 68.376, 1842),
        ("maskrcnn_box_head_after_pooler_2cls", 13.906, 8),
        ("maskrcnn_box_head_after_pooler_81cls", 14.311, 8),
        ("maskrcnn_keypoint_head_after_pooler", 17.838, 18),
        ("maskrcnn_mask_head_after_pooler", 2.644, 12),
        ("maskrcnn_rpn_head", 0.594, 6),
        ("maskrcnn_keypoint_rcnn_r50fpn_keys", 59.137, 318),
        ("torchvision_keypoint_rcnn_r50_fpn", 59.137, 313),
    ],
)
def test_networks_are_as_large_as_their_checkpoints(name, size, entries):
    model = built(name)
    assert millions(model) == pytest.approx(size, abs=6e-4)
    assert len(official_state(model, name)) == entries


@pytest.mark.parametrize(
    "name",
    [
        "keypoint_rcnn_R_50_FPN_3x",
        "keypoint_rcnn_X_101_32x8d_FPN_3x",
        "keypointrcnn_resnet50_fpn",
        "faster_rcnn_r18_c5",
        "rpn_r50_c4",
        "keypoint_rcnn_hrnet_w32",
        "keypoint_mask_rcnn_hrnet_w18_hrfpn_max_17j_maps64x48",
        "keypoint_rcnn_r50_c4_shared",
        "keypoint_rcnn_r50_fpn_maps50x50",
        "maskrcnn_keypoint_head_after_pooler_1024ch",
        "maskrcnn_box_head_after_pooler_1024ch_2cls",
        "maskrcnn_mask_head_after_pooler_512ch",
        "maskrcnn_keypoint_head_after_pooler_16j_64x48",
        "maskrcnn_rpn_head_15anchors_1024ch",
    ],
)
def test_names_are_read_forgivingly(name):
    assert millions(built(name)) > 0


def test_numbers_in_a_name_are_those_of_the_heads():
    assert built("maskrcnn_keypoint_head_18j_64x48").network.reader.cells == (64, 48)
    assert built("maskrcnn_keypoint_head_18j").network.reader.final.out_channels == 18
    assert built("maskrcnn_keypoint_head", skeleton=ANIMAL18).network.reader.final.out_channels == 18
    assert built("mask_rcnn_r50_fpn_5cls").network.mask.head.reader.logits.out_channels == 5
    assert built("keypoint_rcnn_r50_fpn_maps64x48").network.keypoint.pooler.cells == (16, 12)
    assert built("poise_rcnn_t_coco_96x96_maps64x48").codec.cells == (64, 48)
    assert built("poise_rcnn_t_coco_96x96_maps64x48", codec="OneHot").network.keypoint.pooler.cells == (16, 12)
    assert built("maskrcnn_keypoint_head_96ch").network.body.conv[0].in_channels == 96


def test_a_name_of_no_trunk_is_refused():
    with pytest.raises(UnknownName):
        built("keypoint_rcnn_vgg16")


def test_a_part_says_that_it_cannot_be_run():
    part = built("maskrcnn_rpn_head")
    assert not any(hasattr(part, name) for name in ("codec", "skeleton", "preprocess", "predict"))
    for ask in (require_pose, require_image):
        with pytest.raises(InputError, match="'maskrcnn_rpn_head' is a part of a detector"):
            ask(part)


def test_imagenet_weights_of_another_release_are_refused():
    with pytest.raises(InputError, match="a maskrcnn detector on resnet50 starts"):
        built("maskrcnn_keypoint_rcnn_r50fpn", pretrained=True)


def as_detectron2(official: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same detector under Detectron2's names."""
    names = {
        "backbone.body.stem.bn1": "backbone.bottom_up.stem.conv1.norm",
        "backbone.body.stem": "backbone.bottom_up.stem",
        **{f"backbone.body.layer{n}": f"backbone.bottom_up.res{n + 1}" for n in (1, 2, 3, 4)},
        **{f"backbone.fpn.fpn_inner{n}": f"backbone.fpn_lateral{n + 1}" for n in (1, 2, 3, 4)},
        **{f"backbone.fpn.fpn_layer{n}": f"backbone.fpn_output{n + 1}" for n in (1, 2, 3, 4)},
        "rpn.head.conv": "proposal_generator.rpn_head.conv",
        "rpn.head.cls_logits": "proposal_generator.rpn_head.objectness_logits",
        "rpn.head.bbox_pred": "proposal_generator.rpn_head.anchor_deltas",
        "roi_heads.box.feature_extractor.fc6": "roi_heads.box_head.fc1",
        "roi_heads.box.feature_extractor.fc7": "roi_heads.box_head.fc2",
        "roi_heads.box.predictor": "roi_heads.box_predictor",
        "roi_heads.keypoint.feature_extractor": "roi_heads.keypoint_head",
        "roi_heads.keypoint.predictor.kps_score_lowres": "roi_heads.keypoint_head.score_lowres",
    }
    within = {".bn1.": ".conv1.norm.", ".bn2.": ".conv2.norm.", ".bn3.": ".conv3.norm."}
    within |= {".downsample.0.": ".shortcut.", ".downsample.1.": ".shortcut.norm."}
    changed = {}
    for key, value in official.items():
        if "cls_score" in key:
            value = torch.cat((value[1:], value[:1]))
        if "roi_heads.box.predictor.bbox_pred" in key:
            value = value[4:]
        start = next(a for a in names if key.startswith(f"{a}."))
        key = names[start] + key[len(start) :]
        for a, b in within.items():
            key = key.replace(a, b)
        changed[key] = value
    return changed


@pytest.fixture(scope="module")
def detectron2():
    """A checkpoint of Detectron2's, and what it must become."""
    with torch.device("meta"):
        shapes = official_state(zoo.build("detectron2_keypoint_rcnn_r50_fpn"), "detectron2_keypoint_rcnn_r50_fpn")
    torch.manual_seed(0)
    official = {key: torch.rand(value.shape).mul_(0.1) for key, value in shapes.items()}
    for key in official:
        if "box.predictor.bbox_pred" in key:
            official[key][:4] = 0
    return as_detectron2(official), official


def test_detectron2s_checkpoint_is_read_and_becomes_a_model_of_its_variant(detectron2, tmp_path):
    theirs, official = detectron2
    extras = {"pixel_mean": torch.zeros(3, 1, 1), "proposal_generator.anchor_generator.cell_anchors.0": torch.zeros(3, 4)}
    arrays = {key: value.numpy() for key, value in (theirs | extras).items()}
    path = tmp_path / "model_final.pkl"
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "somebody"}))
    found = import_checkpoint("keypoint_rcnn_R_50_FPN_3x", read_checkpoint(path)).model
    assert found.card.name == "detectron2_keypoint_rcnn_R_50_FPN_3x"
    state = official_state(found, found.card.name)
    assert state.keys() == official.keys()
    assert all(torch.equal(state[key], official[key]) for key in state)
    network = found.network
    assert (network.keypoint.pooler.aligned, network.keypoint.pooler.sampling) == (True, 0)
    assert network.rpn.anchor_generator.rule == "exact"


def test_names_of_detectron2_are_those_of_its_model_zoo(detectron2):
    # From its keypoint_rcnn_R_50_FPN: some of each kind.
    expected = {
        "backbone.fpn_lateral2.weight",
        "backbone.fpn_output5.bias",
        "backbone.bottom_up.stem.conv1.norm.running_var",
        "backbone.bottom_up.res2.0.shortcut.norm.weight",
        "backbone.bottom_up.res5.2.conv3.weight",
        "proposal_generator.rpn_head.anchor_deltas.weight",
        "roi_heads.box_head.fc2.weight",
        "roi_heads.box_predictor.cls_score.weight",
        "roi_heads.keypoint_head.conv_fcn8.bias",
        "roi_heads.keypoint_head.score_lowres.weight",
    }
    assert expected <= set(detectron2[0])


def test_the_background_comes_first(detectron2):
    theirs, _ = detectron2
    name, given = to_maskrcnn_names("keypoint_rcnn_r50_fpn", theirs)
    assert name == "detectron2_keypoint_rcnn_r50_fpn"
    assert torch.equal(given["roi_heads.box.predictor.cls_score.bias"][0], theirs["roi_heads.box_predictor.cls_score.bias"][1])
    assert given["roi_heads.box.predictor.bbox_pred.weight"].shape == (8, 1024)


def test_people_are_the_class_after_the_background_in_all_releases():
    # Detectron2 counts people first and the background last, as its data sets do; the others the background first.
    name = "detectron2_faster_rcnn_hrnet_w4_hrfpn_4cls"
    told = "roi_heads.box.predictor.cls_score.bias"
    _, given = to_maskrcnn_names(
        name, {"proposal_generator.": torch.zeros(1), "roi_heads.box_predictor.cls_score.bias": torch.arange(4)}
    )
    assert given[told].tolist() == [3, 0, 1, 2]
    for other in (name, "maskrcnn_faster_rcnn_r50_fpn", "torchvision_mask_rcnn_r50_fpn"):
        assert built(other).config.person == 1


@pytest.mark.parametrize(
    ("given", "mask", "name"),
    [
        ("maskrcnn_resnet50_fpn", True, "torchvision_mask_rcnn_resnet50_fpn"),
        ("torchvision_maskrcnn_resnet50_fpn", True, "torchvision_maskrcnn_resnet50_fpn"),
        ("maskrcnn_mask_rcnn_r50_fpn", True, "torchvision_mask_rcnn_r50_fpn"),
        ("maskrcnn_r50fpn_mask_rcnn", True, "torchvision_r50fpn_mask_rcnn"),
        ("maskrcnn_resnet50_fpn", False, "torchvision_resnet50_fpn"),
        ("fasterrcnn_resnet50_fpn", False, "torchvision_fasterrcnn_resnet50_fpn"),
    ],
)
def test_torchvisions_own_names_are_those_of_its_detectors(given, mask, name):
    # `maskrcnn_` is a release before a trunk, and torchvision's word for Mask R-CNN.
    weights = {"roi_heads.box_head.fc6.bias": torch.zeros(1)} | (
        {"roi_heads.mask_head.0.0.bias": torch.zeros(1)} if mask else {}
    )
    assert to_maskrcnn_names(given, weights)[0] == name
    assert type(built(name)) is (NetworkPart if name == "torchvision_resnet50_fpn" else BoxDetector)


def test_torchvisions_norms_tell_by_their_counters_what_they_add():
    weights = {"roi_heads.box_head.fc6.bias": torch.zeros(1)}
    counted = weights | {"backbone.body.bn1.num_batches_tracked": torch.zeros(())}
    assert to_maskrcnn_names("keypointrcnn_resnet50_fpn", weights)[0] == "torchvision_keypointrcnn_resnet50_fpn"
    name, given = to_maskrcnn_names("maskrcnn_keypoint_rcnn_r50fpn", counted)
    assert name == "torchvision_keypoint_rcnn_r50fpn_eps"
    assert list(given) == ["roi_heads.box.feature_extractor.fc6.bias"]
    assert built("torchvision_keypoint_rcnn_r50_fpn").network.backbone.body.bn1._eps == 0
    assert built(name).network.backbone.body.bn1._eps == 1e-5


def test_what_is_no_detectors_checkpoint_stays_as_it_is():
    weights = {"final_layer.weight": torch.zeros(1)}
    assert to_maskrcnn_names("hrnet_w32_coco_256x192", weights) == ("hrnet_w32_coco_256x192", weights)


class Evil:
    def __reduce__(self):
        return print, ("code ran",)


def test_a_pickle_that_asks_for_code_is_refused_and_runs_none(tmp_path, capsys):
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps({"model": {"weight": np.zeros(2), "code": Evil()}}))
    with pytest.raises(CheckpointError, match=r"evil\.pkl .*builtins\.print"):
        read_checkpoint(path)
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"<html>", pickle.dumps({"a": np.zeros(1000)})[:200], pickle.dumps([1, 2])])
def test_a_broken_pickle_is_refused_in_one_sentence(content, tmp_path):
    path = tmp_path / "broken.pkl"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=re.escape(str(path))):
        read_checkpoint(path)


def test_numbers_of_any_protocol_and_kind_become_tensors(tmp_path):
    for protocol in (2, 4, 5):
        path = tmp_path / "weights.pkl"
        values = {"a": np.arange(6.0).reshape(2, 3).T, "b": np.float32(2), "c": np.zeros(3, np.int64)}
        path.write_bytes(pickle.dumps({"model": values}, protocol=protocol))
        found = read_checkpoint(path)
        assert torch.equal(found["a"], torch.arange(6.0).reshape(2, 3).T.double())
        assert found["c"].dtype == torch.int64
