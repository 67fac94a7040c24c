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
    assert recipe.model.preprocess.channels == "bgr"
    assert recipe.expected == {}


def test_hrnet_trains_as_its_release(coco):
    recipe = hrnet(data=coco, size=(256, 192), pretrained=False)
    assert (recipe.epochs, recipe.batch, recipe.schedule.milestones) == (210, 128, (170, 200))
    assert (recipe.augmentation.scale, recipe.augmentation.rotation, recipe.augmentation.half_body) == (0.35, 45.0, 0.3)
    assert recipe.augmentation.half_body_joints == 8
    assert recipe.model.preprocess.channels == "rgb"
    assert recipe.expected == {"coco-val2017/AP": 0.744}


@pytest.mark.parametrize(("size", "sigma", "batch"), [((256, 192), 2.0, 128), ((384, 288), 3.0, 96)])
def test_both_papers_move_weights_by_adam_without_decay(coco, size, sigma, batch):
    recipe = hrnet(data=coco, width=48, size=size, pretrained=False)
    for one in (recipe, simple_baseline(data=coco, depth=18, size=size, pretrained=False)):
        assert (one.optimizer.kind, one.optimizer.rate, one.optimizer.decay) == ("adam", 1e-3, 0.0)
        assert (one.schedule.kind, one.schedule.factor, one.schedule.warmup_steps) == ("steps", 0.1, 0)
        assert (one.augmentation.flip, one.augmentation.rotation_probability) == (0.5, 0.6)
        assert (one.clip, one.average) == (None, None)
        assert one.model.codec.sigma == sigma
    assert recipe.batch == batch


def test_the_expected_score_is_that_of_the_published_size_alone(coco):
    assert simple_baseline(data=coco, depth=50, size=(256, 256), pretrained=False).expected == {}
    assert simple_baseline(data=coco, depth=50, size=(256, 192), pretrained=False).expected == {"coco-val2017/AP": 0.704}


def test_missing_images_are_named(tmp_path):
    with pytest.raises(ReadError, match="no images of COCO train2017"):
        hrnet(data=tmp_path, pretrained=False)
