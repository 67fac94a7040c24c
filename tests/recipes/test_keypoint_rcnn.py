"""What recipes of Keypoint R-CNN refuse before they make or download a network."""

import pytest
import torch

from poise.errors import InputError, ReadError
from poise.models.base import require_keypoint_detector
from poise.recipes.keypoint_rcnn import as_large, keypoint_rcnn, keypoint_rcnn_hrnet
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
    with pytest.raises(InputError, match=r"keypoint_mask_rcnn_r50_fpn with --detecting-set weights\.keypoints=0"):
        require_keypoint_detector(model)
