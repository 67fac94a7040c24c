import re
from contextlib import redirect_stdout
from io import StringIO

import pytest
import torch

from poise.cli.main import main
from poise.errors import CheckpointError
from poise.skeletons import from_category
from poise.weights.model_file import load
from poise.zoo import build, names
from poise.zoo.find import releases
from poise.zoo.importing import official_state


def test_the_list_has_every_name_its_size_and_its_score(capsys):
    assert main(["zoo", "--all"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in names())
    row = next(line for line in text.splitlines() if line.startswith("hrnet_w32_coco_256x192"))
    for part in ("28.5", "7.65", "AP 74.4", "MIT", "pose_hrnet_w32_256x192.pth"):
        assert part in row
    assert "github.com" in text


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("torchvision_keypoint_rcnn_r50_fpn", ("AP 65.0", "box AP 54.6", "BSD-3-Clause", "fc266e95")),
        ("detectron2_keypoint_rcnn_r50_fpn", ("AP 65.5", "box AP 55.4", "CC BY-SA 3.0", "model_final_a6e10b.pkl")),
        ("maskrcnn_keypoint_rcnn_r50_fpn", ("AP 64.3", "box AP 53.7", "MIT")),
        ("offsetguided_hg104_scale_512x512", ("AP 66.1",)),
        ("maskrcnn_hr_faster_rcnn_hrnet_w18_hrfpn", ("box AP 1x 36.0", "box AP 2x 38.4", "MIT")),
        ("maskrcnn_hr_faster_rcnn_hrnet_w32_hrfpn", ("box AP 1x 39.6", "box AP 2x 40.9", "box AP 4x 41.6")),
        ("maskrcnn_hr_faster_rcnn_hrnet_w40_hrfpn", ("box AP 1x 40.4", "box AP 2x 41.4")),
        ("maskrcnn_hr_faster_rcnn_hrnet_w48_hrfpn", ("box AP 1x 41.3", "box AP 2x 41.8")),
    ],
)
def test_detectors_and_bottom_up_models_stand_in_the_list_with_their_figures(name, parts, rows):
    assert [part for part in parts if part not in rows[name]] == []


@pytest.fixture(scope="module")
def rows():
    """The lines of the whole list, by the name of the model."""
    with redirect_stdout(StringIO()) as said:
        assert main(["zoo", "--all"]) == 0
    return {line.split()[0]: line for line in said.getvalue().splitlines() if line.split()[:1] and line.split()[0] in names()}


def test_the_row_of_every_published_model_has_its_own_scores_licence_and_file(rows):
    assert rows.keys() == releases().keys()
    for name, release in releases().items():
        scores = ", ".join(f"{key.partition('/')[2]} {100 * value:.1f}" for key, value in release.scores.items())
        missing = [part for part in (scores, release.licence.partition(";")[0], release.file) if part not in rows[name]]
        assert missing == [], name


@pytest.mark.parametrize(
    ("name", "file", "page"),
    [
        ("maskrcnn_keypoint_rcnn_r50_fpn", "see the page", "github.com/facebookresearch"),
        ("maskrcnn_hr_faster_rcnn_hrnet_w48_hrfpn", "see the page", "HRNet-MaskRCNN-Benchmark"),
        ("poise_t_coco_192x160", "none was published", ""),
    ],
)
def test_a_model_whose_scores_are_published_and_whose_file_is_not_listed_leads_to_its_page(name, file, page, capsys):
    assert main(["zoo", name]) == 0
    said = capsys.readouterr().out
    assert next(line for line in said.splitlines() if line.startswith("official file")).rstrip().endswith(file)
    assert page in said


def test_one_model_is_shown_with_its_licence_and_page(capsys):
    assert main(["zoo", "poseresnet_50_coco_256x192"]) == 0
    text = capsys.readouterr().out
    for part in ("33,999,697", "AP 70.4", "MIT", "github.com", "poise import poseresnet_50_coco_256x192"):
        assert part in text


def test_a_detector_without_weights_of_its_own_leads_to_the_releases_of_its_network(capsys):
    assert main(["zoo", "keypoint_rcnn_r50_fpn"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for whose in ("torchvision", "detectron2", "maskrcnn"):
        assert f"{whose}_keypoint_rcnn_r50_fpn" in text
    assert "same network in" in text
    assert main(["zoo", "torchvision_keypoint_rcnn_r50_fpn"]) == 0
    assert "same network in" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "parameters", "view"),
    [
        ("keypoint_rcnn_hrnet_w4_hrfpn", "36,", "800x1344"),
        ("torchvision_keypoint_rcnn_r50_fpn", "59,", "800x1344"),
        ("poise_rcnn_t_coco_320x256", "2,", "320x256"),
    ],
)
def test_detectors_are_shown_with_the_view_they_are_counted_on(name, parameters, view, capsys):
    assert main(["zoo", name]) == 0
    rows = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    found = {row[0]: row[1] for row in rows if len(row) > 1}
    assert found["parameters"].startswith(parameters)
    assert f"for one view of {view}" in found["multiply-adds"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["zoo", "maskrcnn_r50_fpn"], "'maskrcnn_r50_fpn' is a part of a detector"),
        (["zoo", "hrnet_w32"], "did you mean"),
        (["zoo", "hrnet_w32_coco_256x192", "--fetch", "down"], "in a browser"),
        (["zoo", "hrnet_w32_coco_64x64", "--fetch", "down"], "no published model"),
        (["zoo", "--fetch", "down"], "needs the name"),
        (["import", "hrnet_w32_coco_256x192", "none.pth", "--out", "x.safetensors"], "no checkpoint 'none.pth'"),
        (["import", "hrnet", __file__, "--out", "x.safetensors"], "no model 'hrnet'"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_1(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_becomes_a_model_file(tmp_path, capsys):
    name = "poseresnet_18_mpii_64x64"
    state = official_state(build(name), name)
    torch.save({"state_dict": {"module." + k: v for k, v in state.items()}}, tmp_path / "official.pth.tar")
    out = tmp_path / "made" / "model.safetensors"
    assert main(["import", name, str(tmp_path / "official.pth.tar"), "--out", str(out)]) == 0
    assert "16 keypoints" in capsys.readouterr().out
    again = official_state(load(out), name)
    assert all(torch.equal(again[key], value) for key, value in state.items())


def test_the_short_list_fits_a_terminal_and_has_one_model_of_each_kind(capsys):
    assert main(["zoo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line.split()[0] for line in lines if line and line.split()[0] in names()]
    assert "hrnet_w32_coco_256x192" in rows
    assert "hrnet_w32_coco_384x288" not in rows
    assert len(rows) < 0.6 * len(names())
    assert any("poise zoo --all" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hrnet_w32_coco_256x192", "then: poise import hrnet_w32_coco_256x192 pose_hrnet_w32_256x192.pth --out"),
        ("hrnet_w32_coco_256x192.safetensors", "is the name of a network of the zoo, not a model file"),
        ("poise_t_coco_192x160", "nobody published weights of it; train it: poise train finetune --model poise_t_coco_192x160"),
        ("hrnet_w32_coco_320x256", "poise import hrnet_w32_coco_320x256 CHECKPOINT"),
        ("hrnet_w32_coco", "did you mean 'hrnet_w32_coco_256x192'?"),
        ("fasterrcnn_resnet50_fpn_v2", "for --detector fasterrcnn_resnet50_fpn_v2"),
        ("run", "it holds one: run/model.safetensors"),
        ("mine", "there is no model file 'mine'; train one"),
    ],
)
def test_a_name_in_place_of_a_model_file_says_what_to_do(name, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.safetensors").touch()
    with pytest.raises(CheckpointError, match=re.escape(says)):
        load(name)


def test_own_keypoints_make_a_model_of_them(tmp_path, capsys):
    name, paws = "poseresnet_18_coco_64x64", ["nose", "left_paw", "right_paw"]
    skeleton = from_category({"name": "own", "keypoints": paws})
    state = official_state(build(name, skeleton=skeleton), name)
    torch.save({"state_dict": {"model.net." + k: v for k, v in state.items()}}, tmp_path / "best.ckpt")
    out = tmp_path / "own.safetensors"
    assert main(["import", name, str(tmp_path / "best.ckpt"), "--out", str(out)]) == 1
    assert "it is that network for 3 keypoints, and 17 were expected; name the 3 in their order" in capsys.readouterr().err
    assert main(["import", name, str(tmp_path / "best.ckpt"), "--keypoints", *paws, "--out", str(out)]) == 0
    assert "fine-tuned on other keypoints" in capsys.readouterr().out
    made = load(out)
    assert made.skeleton.keypoints == tuple(paws)
    assert made.skeleton.mirror == (("left_paw", "right_paw"),)
    assert all(torch.equal(official_state(made, name)[key], value) for key, value in state.items())
    assert made.card.scores == {}


@pytest.mark.parametrize("name", ["keypointrcnn_resnet50_fpn", "keypoint_rcnn_R_50_FPN_3x", "keypoint_rcnn_r50_fpn"])
def test_a_name_of_another_library_says_what_was_published_of_its_network(name, capsys):
    assert main(["zoo", name]) == 0
    text = capsys.readouterr().out
    assert "none was published" not in text
    assert "keypoint_rcnn_r50_fpn" in text.split("same network in")[1]
    assert "65." in text
