import pytest
import torch

from poise.errors import ReadError
from poise.recipes.cpn import cpn
from poise.recipes.dark import dark
from poise.recipes.hrnet import hrnet
from poise.recipes.lpn import lpn
from poise.recipes.mobile import litehrnet
from poise.recipes.multistage import mspn, rsn
from poise.recipes.regression import integral, regression
from poise.recipes.rtmpose import rtmpose
from poise.recipes.simcc import simcc
from poise.recipes.simple_baselines import simple_baseline
from poise.recipes.udp import udp, udp_aid
from poise.recipes.vitpose import vitpose
from poise.recipes.whole_images import dekr, higherhrnet, rtmo
from poise.skeletons import COCO17
from poise.training.optim import build, factor


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


@pytest.mark.parametrize("attention", ["gc", "gc_avg", "gc_mul", "gc_avg_mul", "se", "none"])
def test_lpn_is_named_after_its_attention(coco, attention):
    assert lpn(data=coco, attention=attention, size=(64, 64)).model.card.name == f"lpn_50_{attention}"


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


def test_rtmpose_trains_as_its_release_with_milder_views_in_its_last_epochs(coco):
    recipe = rtmpose(data=coco, pretrained=False)
    assert (recipe.epochs, recipe.batch, recipe.base_batch, recipe.average, recipe.clip) == (420, 1024, 1024, 0.9998, None)
    assert (recipe.optimizer.kind, recipe.optimizer.rate, recipe.optimizer.decay) == ("adamw", 4e-3, 0.05)
    at = [factor(recipe.schedule, step=e * 100, steps_per_epoch=100, epochs=420) for e in (0, 10, 210, 315, 420)]
    assert at == pytest.approx([1e-5, 1, 1, 0.525, 0.05], rel=1e-3)
    views, last = recipe.augmentation, recipe.last.augmentation
    assert (views.scale, views.rotation, views.translation, views.drop.probability) == (0.4, 80, 0.16, 1.0)
    assert (last.scale, last.rotation, last.translation, last.drop.probability) == (0.25, 60, 0.0, 0.5)
    assert (last.hsv, last.half_body, last.truncated) == (views.hsv, 0.3, True)
    assert (recipe.last.begin(420), recipe.last.begin(14)) == (390, 13)
    tiny = rtmpose(data=coco, network="rtmpose_t", pretrained=False)
    assert (tiny.average, tiny.optimizer.decay) == (None, 0.0)
    assert [r.expected for r in (recipe, tiny)] == [{"coco-val2017/AP": 0.746}, {"coco-val2017/AP": 0.682}]
    assert rtmpose(data=coco, size=(384, 288), pretrained=False).expected == {}


def test_vitpose_trains_as_its_release_with_rates_that_fall_from_block_to_block(coco):
    recipe = vitpose(data=coco)
    assert (recipe.epochs, recipe.batch, recipe.clip, recipe.average) == (210, 512, 1.0, None)
    assert (recipe.schedule.milestones, recipe.schedule.warmup_steps) == ((170, 200), 500)
    rates, decays = {}, {}
    for group in build(recipe.optimizer, recipe.model.network, rate=1.0).param_groups:
        rates |= {id(p): group["lr"] for p in group["params"]}
        decays |= {id(p): group["weight_decay"] for p in group["params"]}
    of = {name: (rates[id(p)], decays[id(p)]) for name, p in recipe.model.network.named_parameters()}
    assert of["backbone.pos_embed"] == (pytest.approx(0.75**13), 0.0)
    assert of["backbone.patch_embed.projection.weight"] == (pytest.approx(0.75**13), 0.1)
    assert of["backbone.layers.0.attn.qkv.weight"] == (pytest.approx(0.75**12), 0.1)
    assert of["backbone.layers.11.ln2.weight"] == (pytest.approx(0.75), 0.0)
    assert {of[name][0] for name in of if name.startswith(("head.", "backbone.ln1"))} == {1.0}
    assert recipe.model.network.backbone.keep[-1] == pytest.approx(0.7)
    assert recipe.expected == {"coco-val2017/AP": 0.757}
    assert vitpose(data=coco, network="vitpose_s_simple").expected == {"coco-val2017/AP": 0.736}


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


def test_rtmo_trains_as_its_release_in_two_halves_with_mild_views_at_the_end(coco):
    recipe = rtmo(data=coco)
    [second] = recipe.then
    assert (recipe.epochs, second.epochs, recipe.batch, recipe.base_batch) == (280, 320, 256, 256)
    assert (recipe.average, recipe.clip, recipe.optimizer.kind, recipe.optimizer.decay) == (0.9998, 0.1, "adamw", 0.05)
    assert [one.optimizer.rate * one.schedule.floor for one in (recipe, second)] == pytest.approx([2e-4, 2e-4])
    assert (recipe.model.codec.proxy, second.model.codec.proxy) == (False, True)
    assert (recipe.last, second.last.begin(320)) == (None, 300)
    mild = second.last.augmentation
    assert (mild.rotation, mild.scale_range, mild.flip, mild.hsv) == (0.0, (1.0, 1.0), 0.5, (5, 30, 30))
    assert recipe.expected == {"coco-val2017/AP": 0.673}
    assert rtmo(data=coco, network="rtmo_t").expected == {}
    assert rtmo(data=coco, size=(416, 416)).expected == {}


def test_dekr_and_higherhrnet_train_on_whole_images_as_their_releases(coco, imagenet):
    recipe = dekr(data=coco)
    assert (recipe.epochs, recipe.batch, recipe.optimizer.rate, recipe.schedule.milestones) == (140, 80, 1e-3, (90, 120))
    assert (recipe.augmentation.rotation, recipe.augmentation.scale_range) == (30.0, (0.75, 1.5))
    assert recipe.expected == {"coco-val2017/AP": 0.686}
    assert dekr(data=coco, network="dekr_w48", pretrained=False).expected == {}
    recipe = higherhrnet(data=coco)
    assert (recipe.epochs, recipe.batch, recipe.optimizer.rate, recipe.schedule.milestones) == (300, 192, 1.5e-3, (200, 260))
    assert recipe.expected == {"coco-val2017/AP": 0.677}
    assert higherhrnet(data=coco, size=(640, 640)).expected == {"coco-val2017/AP": 0.686}


def test_small_networks_train_as_mmpose_has_them(coco):
    recipe = litehrnet(data=coco)
    assert (recipe.epochs, recipe.batch, recipe.optimizer.rate, recipe.schedule.milestones) == (210, 512, 5e-4, (170, 200))
    assert (recipe.augmentation.scale, recipe.augmentation.rotation, recipe.augmentation.half_body) == (0.25, 60.0, 0.3)
    found = [litehrnet(data=coco, network=name).expected for name in ("litehrnet_18", "litehrnet_30", "mobilenetv2")]
    assert found == [{"coco-val2017/AP": 0.642}, {"coco-val2017/AP": 0.676}, {}]
