"""What recipes of Keypoint R-CNN refuse before they make or download a network."""

import pytest
import torch

from poise.errors import InputError, ReadError
from poise.models.require import require_keypoint_detector
from poise.recipes.changes import changed
from poise.recipes.finetune import DetectorOptions, FinetuneOptions
from poise.recipes.keypoint_rcnn import as_large, keypoint_rcnn, keypoint_rcnn_hrnet
from poise.recipes.mask_rcnn import mask_rcnn
from poise.recipes.options import RecipeChanges
from poise.scenes import Canvas
from poise.transforms.detector_jitter import DetectorAugmentation
from poise.zoo.find import build


@pytest.mark.parametrize("recipe", [keypoint_rcnn, keypoint_rcnn_hrnet])
def test_the_data_are_looked_for_before_a_network_is_made(recipe, tmp_path, monkeypatch):
    def build(*_, **__):
        raise AssertionError("a network was made first")

    monkeypatch.setattr("poise.recipes.keypoint_rcnn.build", build)
    with pytest.raises(ReadError, match="nowhere holds no images of COCO train2017"):
        recipe(data=tmp_path / "nowhere")
    for part in ("train2017", "val2017"):
        (tmp_path / part).mkdir()
    with pytest.raises(ReadError, match=r"no annotation file .*person_keypoints_train2017\.json"):
        recipe(data=tmp_path)


def test_views_are_as_large_as_a_model_is_shown_images():
    usual = DetectorAugmentation()
    assert as_large(usual, Canvas(side=800, most=1333, fit="short")) == usual
    small = as_large(usual, Canvas(side=400, most=600, fit="short"))
    assert (small.sides, small.max_side) == ((320, 336, 352, 368, 384, 400), 600)
    assert as_large(usual, Canvas(side=320)).max_side == 640


@pytest.mark.parametrize("name", ["mask_rcnn_r18_fpn", "faster_rcnn_r18_fpn"])
def test_a_network_without_keypoints_is_refused_with_what_learns_boxes_and_masks_alone(name):
    with torch.device("meta"):
        model = build(name)
    with pytest.raises(InputError, match=f"poise train mask_rcnn --network {name} learns boxes and masks alone"):
        require_keypoint_detector(model)


def meta(name, **_):
    with torch.device("meta"):
        return build(name)


@pytest.mark.parametrize(
    ("network", "best"), [("mask_rcnn_poise_t_fpn_2cls", "mask AP"), ("faster_rcnn_poise_t_fpn_2cls", "box AP")]
)
def test_detectors_without_keypoints_are_trained_by_their_names(network, best, coco, monkeypatch):
    monkeypatch.setattr("poise.recipes.mask_rcnn.build", meta)
    made = mask_rcnn(data=coco, network=network, freeze=0, detecting_set=["weights.boxes=2"])
    assert (made.model.card.name, made.best, made.model.config.weights.boxes) == (network, best, 2.0)
    assert made.task(made.model).loss_parts[3:] == (("boxes", "masks") if best == "mask AP" else ("boxes",))
    options = FinetuneOptions.for_model(network)
    assert options is FinetuneOptions.by_name(network) is DetectorOptions


def test_flags_of_keypoints_are_refused_where_there_are_none(coco, monkeypatch):
    monkeypatch.setattr("poise.recipes.mask_rcnn.build", meta)
    with pytest.raises(InputError, match="learns boxes and masks alone; take mask_rcnn_r50_fpn_2cls"):
        mask_rcnn(data=coco, network="keypoint_rcnn_poise_t_fpn", freeze=0)
    made = mask_rcnn(data=coco, network="mask_rcnn_poise_t_fpn_2cls", freeze=0)
    for changes, flag in ((RecipeChanges(sigma=2.0), "--sigma"), (RecipeChanges(codec_set=["sigma=2"]), "--codec-set")):
        with pytest.raises(InputError, match=f"finds boxes and masks of people and no keypoints.*leave {flag} out"):
            changed(made, changes)
    assert changed(made, RecipeChanges(epochs=3)).differs.startswith("not the recipe as it stands: epochs 3")
