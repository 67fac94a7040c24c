import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from poise.errors import ReadError
from poise.recipes.find import recipes
from poise.recipes.mpii import mpii
from poise.skeletons import MPII16
from poise.training.task import ModelTask


@pytest.fixture
def data(tmp_path) -> Path:
    """The folders of the usual archives with one person."""
    (tmp_path / "annot").mkdir()
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "1.jpg"), np.zeros((64, 64, 3), np.uint8))
    person = {"image": "1.jpg", "center": [32.0, 32.0], "scale": 0.3, "joints_vis": [1] * 16}
    person["joints"] = np.random.default_rng(0).uniform(5, 60, (16, 2)).tolist()
    (tmp_path / "annot" / "train.json").write_text(json.dumps([person]))
    shutil.copy(tmp_path / "annot" / "train.json", tmp_path / "annot" / "valid.json")
    return tmp_path


@pytest.mark.parametrize(
    ("network", "epochs", "score"), [("poseresnet_50", 140, 0.885), ("hrnet_w32", 210, 0.903), ("lpn_50_gc", 150, 0.886)]
)
def test_the_releases_settings_on_mpii(data, network, epochs, score, imagenet):
    with torch.device("meta"):
        recipe = mpii(data=data, network=network)
    assert recipe.epochs == epochs
    assert (recipe.augmentation.scale, recipe.augmentation.rotation, recipe.augmentation.half_body) == (0.25, 30.0, 0.0)
    assert recipe.model.skeleton.keypoints == recipe.train.skeleton.keypoints == MPII16.keypoints
    assert recipe.expected["mpii-val/PCKh@0.5"] == pytest.approx(score, abs=1e-3)


@pytest.mark.parametrize("network", ["darkpose_hrnet_w32", "udp_hrnet_w32_gaussian", "udp_hrnet_w32_offset"])
def test_dark_and_udp_have_a_network_for_mpii(data, network):
    with torch.device("meta"):
        assert mpii(data=data, network=network, pretrained=False).schedule.milestones == (170, 200)


def test_the_first_batch_is_encoded_and_has_a_loss(data):
    recipe = mpii(data=data, network="lpn_50_gc", size=(64, 64))
    views = ModelTask(recipe.model).train_views(recipe.data, seed=0)
    batch = views.collate([views[(0, 0)]] * 2).batch
    assert recipe.model.codec.encode(batch.xy).isfinite().all()
    assert 0 < recipe.model.loss(batch) < torch.inf


def test_a_missing_part_is_named(data):
    (data / "annot" / "valid.json").unlink()
    with torch.device("meta"), pytest.raises(ReadError, match="no part 'valid' of MPII"):
        mpii(data=data, pretrained=False)


def test_the_recipe_is_found_by_its_name():
    assert recipes()["mpii"] is mpii
