"""Configuration files of other trainers become commands: what is taken from each line, and what is not, is said."""

import sys

import pytest

from poise.cli._config import command_of_file
from poise.cli._recipe_command import RecipeCommand
from poise.errors import InputError, ReadError
from poise.recipes.config_command import command_of
from poise.recipes.config_values import plain
from poise.zoo.find import family_of

HRNET = """\
AUTO_RESUME: true
GPUS: (0,1,2,3)
OUTPUT_DIR: 'output'
DATASET:
  COLOR_RGB: true
  DATASET: 'coco'
  FLIP: true
  NUM_JOINTS_HALF_BODY: 8
  PROB_HALF_BODY: 0.3
  ROOT: 'data/coco/'
  ROT_FACTOR: 45
  SCALE_FACTOR: 0.35
  TEST_SET: 'val2017'
  TRAIN_SET: 'train2017'
MODEL:
  INIT_WEIGHTS: true
  NAME: pose_hrnet
  NUM_JOINTS: 17
  PRETRAINED: 'models/hrnet_w32.pth'
  TARGET_TYPE: gaussian
  IMAGE_SIZE:
  - 192
  - 256
  HEATMAP_SIZE:
  - 48
  - 64
  SIGMA: 2
  EXTRA:
    STAGE2:
      NUM_CHANNELS:
      - 32
      - 64
LOSS:
  USE_TARGET_WEIGHT: true
TRAIN:
  BATCH_SIZE_PER_GPU: 32
  END_EPOCH: 210
  OPTIMIZER: adam
  LR: 0.001
  LR_FACTOR: 0.1
  LR_STEP:
  - 170
  - 200
  WD: 0.0001
TEST:
  FLIP_TEST: true
  USE_GT_BBOX: true
SOMETHING_NEW: 3
"""

MMPOSE = """\
_base_ = ['base.py', '../missing.py']
import os
train_cfg = dict(max_epochs=210, val_interval=10)
optim_wrapper = dict(optimizer=dict(type='Adam', lr=5e-4))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=500, start_factor=0.001, by_epoch=False),
    dict(type='MultiStepLR', begin=0, end=210, milestones=[170, 200], gamma=0.1, by_epoch=True)
]
auto_scale_lr = dict(base_batch_size=512)
codec = dict(type='UDPHeatmap', input_size=(192, 256), heatmap_size=(48, 64), sigma=2)
model = dict(
    type='TopdownPoseEstimator',
    backbone=dict(type='HRNet', in_channels=3, extra=dict(stage2=dict(num_channels=(48, 96))),
                  init_cfg=dict(type='Pretrained', checkpoint='https://download.example/hrnet.pth')),
    head=dict(type='HeatmapHead', out_channels=17, decoder=codec),
    test_cfg=dict(flip_test=True))
data_root = 'data/coco/'
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomHalfBody'),
    dict(type='RandomBBoxTransform', rotate_factor=60., scale_factor=(0.75, 1.25)),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=os.cpu_count(),
    dataset=dict(type='CocoDataset', data_root=data_root, ann_file='annotations/person_keypoints_train2017.json',
                 data_prefix=dict(img='train2017/'), pipeline=train_pipeline))
raise SystemExit('this must not be run')
"""

BASE = "default_scope = 'mmpose'\ntrain_cfg = dict(max_epochs=1, by_epoch=True)\n"


OF_TODAY = """\
max_epochs = 420
base_lr = 4e-3
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=base_lr * 2, weight_decay=0.05), paramwise_cfg=dict(norm_decay_mult=0))
param_scheduler = [dict(type='LinearLR', by_epoch=False, begin=0, end=1000),
                   dict(type='CosineAnnealingLR', begin=max_epochs // 2, T_max=max_epochs // 2)]
auto_scale_lr = dict(base_batch_size=1024)
codec = dict(type='SimCCLabel', input_size=(256, 256), sigma=(5.66, 5.66), simcc_split_ratio=2.0)
model = dict(backbone=dict(_scope_='mmdet', type='CSPNeXt', deepen_factor=0.67, widen_factor=0.75,
                           init_cfg=dict(checkpoint='https://download.example/mae'
                                         '_base.pth')),
             head=dict(type='RTMCCHead', out_channels=17, decoder=codec))
dataset_type = 'AP10KDataset'
data_root = 'data/'
train_dataloader = dict(batch_size=64, dataset=dict(type=dataset_type, data_root=data_root, ann_file='train.json'))
val_evaluator = dict(ann_file=data_root + 'val.json')
custom_hooks = [dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.0002)]
"""
CSPNEXT = "type='CSPNeXt', deepen_factor=0.67, widen_factor=0.75"
MAPS = ("SimCCLabel", "UDPHeatmap"), ("sigma=(5.66, 5.66)", "sigma=2"), ("RTMCCHead", "HeatmapHead")
KINDS = {
    "rtmpose_m_ap10k17_256x256": (),
    "rtmpose_m_crowdpose14_256x256": (("AP10K", "CrowdPose"),),
    "rtmpose_m_face68_256x256": (("AP10K", "CocoWholeBodyFace"),),
    "rtmpose_m_coco_256x256": (("AP10KDataset", "MyOwn"),),
    "rtmw_m_wholebody133_256x256": (("RTMCCHead", "RTMWHead"), ("AP10K", "CocoWholeBody")),
    "hrnet_w48_ap10k17_256x256": ((CSPNEXT, "type='HRNet', extra=dict(stage2=dict(num_channels=(48, 96)))"), *MAPS),
    "poseresnet_50_ap10k17_256x256": ((CSPNEXT, "type='ResNet', depth=50"), *MAPS),
    "vitpose_b_ap10k17_256x256": ((CSPNEXT, "type='mmpretrain.VisionTransformer', arch='base'"), *MAPS),
    "vitpose_s_simple_coco_256x256": (
        (CSPNEXT, "type='mmcls.VisionTransformer', arch={'embed_dims': 384}"),
        ("out_channels=17", "deconv_out_channels=[]"),
        ("AP10K", "Coco"),
        *MAPS,
    ),
}


def written(folder, text, name):
    path = folder / name
    path.write_text(text)
    return path


def flags(words):
    """Words by their flag."""
    found, name = {}, ""
    for word in words[1:]:
        if word.startswith("--"):
            name = word
            found[name] = []
        else:
            found[name].append(word)
    return {name: " ".join(values) for name, values in found.items()}


@pytest.fixture
def hrnet(tmp_path):
    return written(tmp_path, HRNET, "w32.yaml")


def test_a_paper_s_file_becomes_the_command_that_it_asks_for(hrnet):
    reading = command_of(hrnet)
    assert reading.words[0] == "finetune"
    assert flags(reading.words) == {
        "--model": "hrnet_w32_coco_256x192",
        "--annotations": "data/coco/annotations/person_keypoints_train2017.json",
        "--images": "data/coco/images/train2017",
        "--val-annotations": "data/coco/annotations/person_keypoints_val2017.json",
        "--val-images": "data/coco/images/val2017",
        "--pretrained": "",
        "--sigma": "2",
        "--batch": "128",
        "--rate": "0.00025",
        "--epochs": "210",
        "--schedule": "steps",
        "--milestones": "170 200",
        "--optimizer": "adam",
        "--decay": "0",
        "--average": "0",
        "--scale": "0.35",
        "--rotation": "45",
        "--half-body": "0.3",
        "--colour": "0",
        "--augmentation": "half_body_joints=8 flip=0.5",
    }


def test_every_line_is_said_with_its_number_and_what_became_of_it(hrnet):
    said = list(command_of(hrnet).lines())
    assert len(said) == sum(":" in line and not line.rstrip().endswith(":") for line in HRNET.splitlines()) + 4
    assert "w32.yaml:11: DATASET.ROT_FACTOR 45: --rotation 45" in said
    assert "w32.yaml:1: AUTO_RESUME True: not taken, poise train --resume RUN goes on with a run" in said
    assert any(line.startswith("w32.yaml:46: TEST.FLIP_TEST True: not taken, training validates without it") for line in said)
    assert said[-1] == "w32.yaml:48: SOMETHING_NEW 3: not taken, poise has nothing like it"


def test_milestones_after_the_last_epoch_never_come(hrnet):
    few, some = (command_of(hrnet, ["TRAIN.END_EPOCH", epochs]) for epochs in ("20", "180"))
    assert (flags(few.words)["--schedule"], "--milestones" in few.words) == ("constant", False)
    assert (flags(some.words)["--schedule"], flags(some.words)["--milestones"]) == ("steps", "170")
    assert any("--schedule constant (170 200 would come after the last of 20 epochs)" in line for line in few.lines())


def test_values_of_the_command_line_come_in_place_of_the_file_s(hrnet):
    reading = command_of(hrnet, ["TEST.FLIP_TEST", "false", "TRAIN.LR", "0.0005", "MODEL.IMAGE_SIZE", "[288,384]"])
    assert flags(reading.words)["--model"] == "hrnet_w32_coco_384x288"
    assert flags(reading.words)["--rate"] == "0.000125"
    assert any(line.startswith("the command line: TEST.FLIP_TEST False: not taken") for line in reading.lines())
    with pytest.raises(InputError, match=r"has no 'TRAIN.LRR' to be changed; did you mean TRAIN.LR"):
        command_of(hrnet, ["TRAIN.LRR", "1"])
    with pytest.raises(InputError, match="has no value"):
        command_of(hrnet, ["TRAIN.LR"])


@pytest.mark.parametrize(
    ("changes", "model"),
    [
        ({"NAME: pose_hrnet": "NAME: pose_resnet", "EXTRA:\n": "EXTRA:\n    NUM_LAYERS: 101\n"}, "poseresnet_101_coco_256x192"),
        ({"TARGET_TYPE: gaussian": "TARGET_TYPE: offset"}, "udp_hrnet_w32_offset_coco_256x192"),
        ({"LOSS:\n": "LOSS:\n  KPD: 4.0\n"}, "udp_hrnet_w32_gaussian_coco_256x192"),
        ({"TEST:\n": "TEST:\n  BLUR_KERNEL: 11\n"}, "darkpose_hrnet_w32_coco_256x192"),
        (
            {"NAME: pose_hrnet": "NAME: lpn", "EXTRA:\n": "EXTRA:\n    NUM_LAYERS: 50\n    ATTENTION: GC\n"},
            "lpn_50_gc_coco_256x192",
        ),
    ],
)
def test_the_release_is_told_by_what_its_files_have(tmp_path, changes, model):
    text = HRNET
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    assert flags(command_of(written(tmp_path, text, "x.yaml")).words)["--model"] == model


def test_a_file_for_mpii_is_the_recipe_of_mpii(tmp_path):
    text = HRNET.replace("'coco'", "'mpii'").replace("NUM_JOINTS: 17", "NUM_JOINTS: 16").replace("data/coco/", "data/mpii/")
    words = command_of(written(tmp_path, text, "x.yaml")).words
    assert words[:7] == ["mpii", "--network", "hrnet_w32", "--size", "256", "192", "--data"]
    assert flags(words)["--rate"] == "0.001"
    assert flags(words)["--augmentation"] == "scale=0.35 rotation=45 half_body=0.3 half_body_joints=8 flip=0.5"
    command = RecipeCommand.outlined(words[0], words[1:])
    assert command.parse(words[1:], program="poise train mpii")["network"] == "hrnet_w32"


@pytest.mark.parametrize("data", ["coco", "mpii"])
def test_imagenet_weights_that_a_paper_s_file_names_are_taken_where_they_are_there(tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    path = written(
        tmp_path, HRNET.replace("'coco'", f"'{data}'").replace("JOINTS: 17", f"JOINTS: {17 - (data == 'mpii')}"), "x.yaml"
    )
    words = command_of(path).words
    assert "--pretrained" in words
    assert "--backbone-weights" not in words
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "hrnet_w32.pth").write_bytes(b"")
    words = command_of(path).words
    assert "--pretrained" not in words
    assert flags(words)["--backbone-weights"] == "models/hrnet_w32.pth"


def test_mmpose_s_file_is_read_by_its_data_and_its_code_is_not_run(tmp_path):
    written(tmp_path, BASE, "base.py")
    reading = command_of(written(tmp_path, MMPOSE, "td-hm_hrnet.py"))
    assert flags(reading.words) == {
        "--model": "hrnet_w48_coco_256x192",
        "--annotations": "data/coco/annotations/person_keypoints_train2017.json",
        "--images": "data/coco/train2017",
        "--codec": "UDPGaussian",
        "--sigma": "2",
        "--batch": "64",
        "--rate": "3.125e-05",
        "--optimizer": "adam",
        "--decay": "0",
        "--epochs": "210",
        "--val-every": "10",
        "--average": "0",
        "--warmup": "500",
        "--schedule": "steps",
        "--milestones": "170 200",
        "--half-body": "0.3",
        "--scale": "0.25",
        "--rotation": "30",
        "--colour": "0",
        "--augmentation": "flip=0.5 translation=0.16",
        "--pretrained": "",
    }
    said = list(reading.lines())
    assert any("train_dataloader.num_workers (computed by code, which is not run): not taken" in line for line in said)
    assert any(line.startswith("td-hm_hrnet.py:1: _base_ ../missing.py") and "is not there" in line for line in said)
    assert any(line.startswith("base.py:1: default_scope mmpose: not taken") for line in said)


@pytest.mark.parametrize("name", KINDS)
def test_mmpose_s_files_of_every_network_become_commands_that_poise_has(tmp_path, name):
    text = OF_TODAY
    for old, new in KINDS[name]:
        assert old in text
        text = text.replace(old, new)
    reading = command_of(written(tmp_path, text, "a.py"))
    found = flags(reading.words)
    assert {flag: found[flag] for flag in ("--model", "--rate", "--epochs", "--average", "--warmup")} == {
        "--model": name, "--rate": "0.00025", "--epochs": "420", "--average": "0.9998", "--warmup": "1000"
    }  # fmt: skip
    assert ("--pretrained" in found) != name.startswith("vitpose")
    whole = "keypoints foot_kpts face_kpts lefthand_kpts righthand_kpts"
    fields = {"wholebody133": whole, "face68": "face_kpts"}.get(name.split("_")[2])
    assert (found.get("--fields"), found.get("--skeleton")) == (fields, fields and name.split("_")[2])
    says = list(reading.lines())
    assert name.startswith("vitpose") == any("give --backbone-weights mae_base.pth" in line for line in says)
    assert any("param_scheduler.1.begin 210" in line for line in says)
    assert any("val_evaluator.ann_file data/val.json" in line for line in says)
    RecipeCommand.outlined(*reading.words[:1], reading.words[1:]).parse(reading.words[1:], program="poise train finetune")
    assert isinstance(family_of(name).match(name), dict)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.py", OF_TODAY.replace(CSPNEXT, "type='ResNetV1d', depth=50"), "model.backbone.type is 'ResNetV1d'"),
        ("a.py", OF_TODAY.replace("RTMCCHead", "RTMOHead"), r"a.py:12: model.head.type is 'RTMOHead'; .* one person at a time"),
        ("a.py", OF_TODAY.replace("0.67", "0.5"), r"deepen_factor and widen_factor are 0.5 and 0.75"),
        ("a.py", OF_TODAY.replace(CSPNEXT, "type='VisionTransformer', arch='giant'"), r"arch is 'giant'; ViTPose's are"),
        ("a.py", OF_TODAY.replace("max_epochs = 420", "max_epochs = 'many'"), r"a.py:1: max_epochs is 'many'"),
        ("a.txt", "x", "takes a .yaml of the papers' code or a .py of MMPose"),
        ("a.yaml", "a: [1", "is not valid YAML"),
        ("a.yaml", "- 1", "holds no names with values"),
        ("a.yaml", "A: 1", "has neither MODEL.NAME"),
        ("a.py", "x = (", "is not valid Python"),
        ("a.py", "model = dict(backbone=dict(type='Swin'))", "known here"),
        ("a.py", "_base_ = 'a.py'", "stands on itself"),
        ("a.yaml", HRNET.replace("pose_hrnet", "pose_vit"), "pose_hrnet, pose_resnet and lpn are known"),
        ("a.yaml", HRNET.replace("LR: 0.001", "LR: fast"), r"a.yaml:39: TRAIN.LR is 'fast', and a number was expected"),
        ("a.yaml", HRNET.replace("NUM_JOINTS: 17", "NUM_JOINTS: 5"), "MODEL.NUM_JOINTS is 5"),
    ],
)
def test_files_that_ask_for_what_cannot_be_are_refused_in_a_sentence(tmp_path, name, text, says):
    with pytest.raises(InputError, match=says):
        command_of(written(tmp_path, text, name))


def test_yaml_makes_no_objects(tmp_path):
    path = written(tmp_path, HRNET + "EVIL: !!python/object/apply:os.system ['true']\n", "a.yaml")
    with pytest.raises(InputError, match="not valid YAML"):
        command_of(path)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ReadError):
        command_of(tmp_path / "gone.yaml")


def test_typed_flags_come_in_place_of_the_file_s_and_the_command_is_said(hrnet, capsys):
    made = command_of_file(["--config", str(hrnet), "TEST.FLIP_TEST", "false", "--epochs", "3", "--out", "runs/x"])
    assert made[-4:] == ["--epochs", "3", "--out", "runs/x"]
    assert made.count("--epochs") == 1
    said = capsys.readouterr().out
    assert "the same as: poise train finetune --model hrnet_w32_coco_256x192" in said.replace("\n", "")
    with pytest.raises(InputError, match="leave hrnet out"):
        command_of_file(["hrnet", "--config", str(hrnet)])
    with pytest.raises(InputError, match="needs a file"):
        command_of_file(["--config"])


def test_every_flag_that_is_made_is_one_of_finetune(hrnet, tmp_path):
    written(tmp_path, BASE, "base.py")
    for path in (hrnet, written(tmp_path, MMPOSE, "m.py")):
        words = command_of(path).words
        command = RecipeCommand.outlined(words[0], words[1:])
        found = command.parse(words[1:], program="poise train finetune")
        assert found["epochs"] == 210
        assert found["milestones"] == [170, 200]


def test_words_of_the_command_line_are_read_as_values():
    assert [plain(word) for word in ("True", "1e-3", "(192, 256)", "'a'")] == [True, 0.001, [192, 256], "a"]
    assert "os.system" not in sys.modules
