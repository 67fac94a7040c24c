import pytest
import torch

from poise.cli.main import main
from poise.weights.model_file import load
from poise.zoo import build, names
from poise.zoo.importing import official_state


def test_the_list_has_every_name_its_size_and_its_score(capsys):
    assert main(["zoo"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in names())
    row = next(line for line in text.splitlines() if line.startswith("hrnet_w32_coco_256x192"))
    for part in ("28.5", "7.65", "AP 74.4", "MIT", "pose_hrnet_w32_256x192.pth"):
        assert part in row
    assert "github.com" in text


def test_one_model_is_shown_with_its_licence_and_page(capsys):
    assert main(["zoo", "poseresnet_50_coco_256x192"]) == 0
    text = capsys.readouterr().out
    for part in ("33,999,697", "AP 70.4", "MIT", "github.com", "poise import poseresnet_50_coco_256x192"):
        assert part in text


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
        (["import", "hrnet_w32_coco_256x192", "none.pth", "--out", "x.safetensors"], "no checkpoint none.pth"),
        (["import", "hrnet", "none.pth", "--out", "x.safetensors"], "no model 'hrnet'"),
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
