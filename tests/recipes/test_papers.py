import json

import pytest

from poise.errors import ReadError
from poise.recipes.hrnet import hrnet
from poise.recipes.simple_baselines import simple_baseline
from poise.skeletons import COCO17


@pytest.fixture
def coco(drawn, tmp_path):
    """A folder laid out as COCO's archives unpack."""
    (tmp_path / "annotations").mkdir()
    document = json.loads((drawn / "annotations.json").read_text())
    for part in ("train2017", "val2017"):
        (tmp_path / "annotations" / f"person_keypoints_{part}.json").write_text(json.dumps(document))
        (tmp_path / part).symlink_to(drawn / "images")
    return tmp_path


def test_simple_baselines_trains_as_its_release(coco):
    recipe = simple_baseline(data=coco, depth=18, size=(64, 64), pretrained=False)
    assert (recipe.epochs, recipe.batch, recipe.schedule.milestones) == (140, 128, (90, 120))
    assert (recipe.augmentation.scale, recipe.augmentation.rotation, recipe.augmentation.half_body) == (0.3, 40.0, 0.0)
    assert recipe.train.skeleton.keypoints == COCO17.keypoints


def test_hrnet_trains_as_its_release(coco):
    recipe = hrnet(data=coco, size=(256, 192), pretrained=False)
    assert (recipe.epochs, recipe.batch, recipe.schedule.milestones) == (210, 128, (170, 200))
    assert (recipe.augmentation.scale, recipe.augmentation.rotation, recipe.augmentation.half_body) == (0.35, 45.0, 0.3)
    assert recipe.expected == {"coco-val2017/AP": 0.744}


def test_missing_images_are_named(tmp_path):
    with pytest.raises(ReadError, match="no images of COCO train2017"):
        hrnet(data=tmp_path, pretrained=False)
