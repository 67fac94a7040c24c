"""Flags of recipes that cannot be: each is refused in a sentence, before a network is made."""

import math

import pytest

from poise.errors import InputError
from poise.recipes.cpn import cpn
from poise.recipes.keypoint_rcnn import keypoint_rcnn, keypoint_rcnn_hrnet
from poise.recipes.multistage import mspn
from poise.recipes.offset_guided import offset_guided, offset_guided_hrnet
from poise.zoo.find import build

from .finetuned import finetuned, made


@pytest.fixture
def files(drawn):
    return {"annotations": [drawn / "annotations.json"], "images": [drawn / "images"]}


@pytest.mark.parametrize("share", [2.0, -0.5, math.nan])
@pytest.mark.parametrize("name", ["finetune", "scenes_mixed", "detector_mixed"])
def test_the_images_to_check_on_are_a_share(files, name, share):
    with pytest.raises(InputError, match="not a share of the images to hold out"):
        made(name, **files, val_share=share)


@pytest.mark.parametrize("share", [1.0, -0.1, math.nan])
def test_the_growth_of_frames_and_the_plain_epochs_are_shares(files, share):
    with pytest.raises(InputError, match="--scale is a share, 0 to below 1"):
        finetuned(**files, scale=share, model="poise_rcnn_t")
    with pytest.raises(InputError, match="--drop-from is a share, 0 to below 1"):
        finetuned(**files, drop="cutout", drop_from=share)


def test_epochs_without_a_backbone_are_none_or_more(files):
    with pytest.raises(InputError, match="--freeze-epochs is a whole number, 0 or more; found -1"):
        finetuned(**files, freeze_epochs=-1)


def test_folders_to_validate_on_need_their_files(files):
    with pytest.raises(InputError, match="--val-images are the folders of --val-annotations"):
        finetuned(**files, val_images=files["images"])


def test_a_size_that_stands_in_a_name_is_not_said_again(files):
    with pytest.raises(InputError, match="poise_t_coco_64x64 has views of 64x64"):
        finetuned(**files, model="poise_t_coco_64x64", size=(96, 96))
    assert finetuned(**files, model="poise_t_coco_64x64", size=(64, 64)).model.codec.size == (64, 64)


def test_a_model_that_finds_people_in_whole_images_takes_no_other_codec(files):
    for model in ("poise_scene_t", "poise_scene_t_coco_64x64"):
        with pytest.raises(InputError, match="is bottom-up and takes the codec OffsetGuided only, not 'UDPGaussian'"):
            finetuned(**files, model=model, codec="UDPGaussian")
    assert finetuned(**files, model="poise_scene_t", codec="OffsetGuided").model.codec.keypoints == 17


def test_views_of_whole_images_are_of_sizes_that_the_network_takes(files, coco):
    with pytest.raises(InputError, match=r"poise_scene_t takes views .* multiples of 32, not 50x64"):
        finetuned(**files, model="poise_scene_t", size=(50, 64))
    with pytest.raises(InputError, match="multiples of 32, not 0x0"):
        offset_guided_hrnet(data=coco, width=18, pretrained=False, size=(0, 0))


@pytest.mark.parametrize("count", [0, -5])
def test_a_run_of_no_steps_is_refused(coco, monkeypatch, count):
    small = build("poise_rcnn_t_coco_64x64", codec="OneHot")
    monkeypatch.setattr("poise.recipes.keypoint_rcnn.build", lambda name, **_: small)
    with pytest.raises(InputError, match="--iterations is a whole number, 1 or more"):
        keypoint_rcnn_hrnet(data=coco, iterations=count)
    with pytest.raises(InputError, match="each of --milestones is a whole number, 1 or more"):
        keypoint_rcnn(data=coco, freeze=0, milestones=(100, count))
    person = build("poise_t_coco_64x64")
    monkeypatch.setattr("poise.recipes.multistage.build_mspn", lambda *_, **__: person)
    with pytest.raises(InputError, match="--iterations is a whole number, 1 or more"):
        mspn(data=coco, iterations=count)


def test_labels_have_a_height_and_a_warm_up_has_no_negative_epochs(coco):
    with pytest.raises(InputError, match="--height is a number above 0; found 0"):
        cpn(data=coco, height=0.0, pretrained=False)
    with pytest.raises(InputError, match="--warmup-epochs is a whole number, 0 or more"):
        offset_guided(data=coco, warmup_epochs=-1)
