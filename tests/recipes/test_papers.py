import pytest
import torch

from poise.errors import ReadError
from poise.recipes.cpn import cpn
from poise.recipes.dark import dark
from poise.recipes.hrnet import hrnet
from poise.recipes.lpn import lpn
from poise.recipes.multistage import mspn, rsn
from poise.recipes.regression import integral, regression
from poise.recipes.simcc import simcc
from poise.recipes.simple_baselines import simple_baseline
from poise.recipes.udp import udp, udp_aid
from poise.skeletons import COCO17


@pytest.fixture(autouse=True)
def without_weights():
    """Settings are the matter here; networks get no memory."""
    with torch.device("meta"):
        yield


def test_simple_baselines_trains_as_its_release(coco):
    recipe = simple_baseline(data=coco, depth=18, size=(64, 64), pretrained=False)
    assert (recipe.epochs, recipe.batch, recipe.schedule.milestones) == (140, 128, (90, 120))
    assert (recipe.augmentation.scale, recipe.augmentation.rotation, recipe.augmentation.half_body) == (0.3, 40.0, 0.0)
    assert recipe.train.skeleton.keypoints == COCO17.keypoints
    assert recipe.model.preprocess.channels == "bgr"
    assert recipe.expected == {}


def test_hrnet_trains_as_its_release(coco, imagenet):
    recipe = hrnet(data=coco, size=(256, 192))
    assert (recipe.epochs, recipe.batch, recipe.schedule.milestones) == (210, 128, (170, 200))
    assert (recipe.augmentation.scale, recipe.augmentation.rotation, recipe.augmentation.half_body) == (0.35, 45.0, 0.3)
    assert recipe.augmentation.half_body_joints == 8
    assert recipe.model.preprocess.channels == "rgb"
    assert recipe.expected == {"coco-val2017/AP": 0.744}
    assert hrnet(data=coco, size=(256, 192), pretrained=False).expected == {}


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


def test_the_expected_score_is_that_of_the_published_size_and_start_alone(coco, imagenet):
    assert simple_baseline(data=coco, depth=50, size=(256, 256)).expected == {}
    assert simple_baseline(data=coco, depth=50, size=(256, 192), pretrained=False).expected == {}
    assert simple_baseline(data=coco, depth=50, size=(256, 192)).expected == {"coco-val2017/AP": 0.704}


def test_missing_images_are_named(tmp_path):
    with pytest.raises(ReadError, match="no images of COCO train2017"):
        hrnet(data=tmp_path, pretrained=False)


def test_lpn_trains_as_its_release_and_in_stages(coco):
    recipe = lpn(data=coco)
    assert (recipe.epochs, recipe.batch, recipe.schedule.milestones) == (150, 32, (90, 120))
    assert (recipe.augmentation.scale, recipe.augmentation.rotation, recipe.augmentation.half_body) == (0.3, 40.0, 0.0)
    assert recipe.model.preprocess.channels == "bgr"
    assert recipe.expected == {"coco-val2017/AP": 0.691}
    assert lpn(data=coco, codec="Dark").expected == {}
    assert len(recipe.staged(7).then) == 6


def test_cpn_trains_as_its_release(coco):
    recipe = cpn(data=coco, pretrained=False)
    assert (recipe.epochs, recipe.batch, recipe.schedule.milestones) == (32, 32, (6, 12, 18, 24, 30))
    assert (recipe.schedule.factor, recipe.optimizer.rate, recipe.optimizer.decay) == (0.5, 5e-4, 1e-5)
    assert recipe.augmentation.repeat == ("plain", "flip", "turn", "turn")
    assert [c.kernel for c in (*recipe.model.deep, recipe.model.codec)] == [15, 11, 9, 7, 7]
    assert {c.height for c in (*recipe.model.deep, recipe.model.codec)} == {255.0}
    low = cpn(data=coco, height=1.0, pretrained=False)
    assert {c.height for c in (*low.model.deep, low.model.codec)} == {1.0}
    assert [c.weight * c.height**2 for c in low.model.deep] == [c.weight * c.height**2 for c in recipe.model.deep]
    assert low.model.codec.weight == 255.0**2
    assert low.expected == recipe.expected
    failed = cpn(data=coco, height=1.0, weight=1.0, pretrained=False)
    assert failed.model.codec.weight == 1.0
    assert failed.expected == {}
    assert cpn(data=coco, size=(384, 288), pretrained=False).batch == 12


def test_mspn_and_rsn_take_their_steps_whatever_the_batch(coco):
    with torch.device("cpu"):  # people are counted
        both = (mspn(data=coco, network_stages=1, iterations=100, pretrained=False), rsn(data=coco, iterations=100))
    for recipe in both:
        with torch.device("cpu"):
            people = len(recipe.train.people())
        assert recipe.epochs * people == pytest.approx(100 * recipe.batch, abs=people)
        assert (recipe.batch, recipe.optimizer.rate, recipe.optimizer.decay) == (256, 4e-3, 1e-5)
        assert (recipe.schedule.kind, recipe.schedule.floor) == ("linear", 0.0)
        assert (recipe.schedule.warmup_steps, recipe.schedule.warmup_start) == (2400, 0.1)
        assert recipe.augmentation.half_body_joints == 3


def test_dark_and_udp_train_each_network_as_its_paper(coco, imagenet):
    recipe = dark(data=coco, network="hourglass4", size=(128, 96))
    assert (recipe.epochs, recipe.batch, recipe.optimizer.rate) == (140, 8, 2.5e-4)
    assert recipe.expected == {"coco-val2017/AP": 0.696}
    recipe = udp(data=coco)
    assert (recipe.epochs, recipe.batch, recipe.schedule.milestones) == (210, 128, (170, 200))
    assert recipe.model.preprocess.crop == "udp"
    assert recipe.expected == {"coco-val2017/AP": 0.768}


def test_aid_drops_information_in_a_second_stage_only(coco):
    recipe = udp_aid(data=coco, width=18, pretrained=False)
    (second,) = recipe.then
    assert (recipe.epochs, recipe.schedule.milestones, recipe.augmentation.drop) == (210, (170, 200), None)
    assert (second.epochs, second.schedule.milestones, second.augmentation.drop.name) == (150, (100, 140), "cutout")
    assert second.optimizer == recipe.optimizer
    assert recipe.model.codec.radius == 3.5


def test_vectors_and_numbers_are_trained_as_mmpose_does(coco, imagenet):
    recipe = simcc(data=coco)
    assert recipe.expected == {"coco-val2017/AP": 0.721}
    assert (recipe.epochs, recipe.batch, recipe.schedule.warmup_steps) == (210, 512, 500)
    assert recipe.model.codec.vectors == (384, 512)
    assert simcc(data=coco, size=(384, 288), pretrained=False).epochs == 140
    for one in (regression(data=coco, pretrained=False), integral(data=coco, pretrained=False)):
        assert (one.epochs, one.batch, one.optimizer.rate) == (210, 512, 5e-4)
