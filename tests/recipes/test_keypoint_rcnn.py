"""What recipes of Keypoint R-CNN refuse before they make or download a network."""

import pytest

from poise.errors import ReadError
from poise.recipes.keypoint_rcnn import keypoint_rcnn, keypoint_rcnn_hrnet


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
