"""Recipes of detectors with keypoints: settings, first batches, and a small run from first step to file."""

import copy
import json
import math
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from poise.codecs.registry import codec_types
from poise.errors import InputError, UnknownName
from poise.recipes.detectors import detector_drawn, detector_mixed, head_codec
from poise.recipes.find import recipes
from poise.recipes.keypoint_rcnn import keypoint_rcnn, keypoint_rcnn_hrnet
from poise.training.fit import fit
from poise.training.task import ModelTask
from poise.weights import model_file
from poise.zoo.backbone_weights import start_backbone
from poise.zoo.find import build
from poise.zoo.plain import plain

from .changing import check_changes
from .finetuned import finetuned

FEW = ["learning.per_image=8"]
SMALL = {"side": 64, "epochs": 1, "detecting_set": FEW}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(name, coco, drawn):
    """The recipe with the smallest network and views it has."""
    files = {"annotations": [drawn / "annotations.json"], "images": [drawn / "images"]}
    flags = {
        "keypoint_rcnn": {"data": coco, "pretrained": False, "detecting_set": FEW},
        "keypoint_rcnn_hrnet": {"data": coco, "width": 18, "sides": (64,), "pretrained": False, "detecting_set": FEW},
        "keypoint_fcos": {"data": coco, "network": "keypoint_fcos_r18_fpn", "pretrained": False, "detecting_set": FEW},
        "detector_drawn": {"images": 4, "checked": 2, "head": "gaussian", "one_stage": True, "trunk": "r18_fpn", **SMALL},
        "detector_mixed": {**files, "drawn": 2, "copies": [3], **SMALL},
    }
    recipe = recipes()[name](**flags[name])
    return replace(recipe, augmentation=replace(recipe.augmentation, sides=(64,)))


@pytest.mark.parametrize("name", ["keypoint_rcnn", "keypoint_rcnn_hrnet", "keypoint_fcos", "detector_drawn", "detector_mixed"])
def test_the_first_batch_of_every_recipe_has_a_loss_in_all_parts(name, coco, drawn):
    torch.manual_seed(0)
    recipe = small(name, coco, drawn)
    task = ModelTask(recipe.model)
    views = task.train_views(recipe.data, seed=0)
    batch = views.collate([views[(0, row)] for row in range(2)]).batch
    assert not any(side % 32 for side in batch.scenes.size)
    parts = task.losses(batch)
    assert tuple(parts) == task.loss_parts
    assert all(0 < part.item() < math.inf for part in parts.values())
    task.model.loss(batch).backward()
    parts = dict(recipe.model.network.named_children())
    assert {"backbone", "keypoint"} < set(parts)
    grads = {name: [p.grad for p in part.parameters() if p.grad is not None] for name, part in parts.items()}
    assert all(any(float(grad.abs().sum()) > 0 for grad in found) for found in grads.values())
    assert recipe.best in task.val_scores
    assert {name.rpartition("/")[2] for name in recipe.expected} <= set(task.val_scores)
    check_changes(recipe)


@pytest.fixture
def no_downloads(monkeypatch):
    """Backbones that ask for ImageNet weights begin without."""
    monkeypatch.setattr("poise.recipes.keypoint_rcnn.build", lambda name, *, pretrained, codec: build(name, codec=codec))


def test_the_resnet_trains_as_its_release(coco, no_downloads):
    recipe = keypoint_rcnn(data=coco)
    assert (recipe.batch, recipe.optimizer.kind, recipe.optimizer.rate, recipe.optimizer.decay) == (16, "sgd", 0.02, 1e-4)
    assert (recipe.optimizer.momentum, recipe.optimizer.bias, recipe.optimizer.spare) == (0.9, 2.0, True)
    assert recipe.epochs == 120_000  # the folder has 12 images
    assert recipe.schedule.milestones == pytest.approx((80_000, 106_666.67))
    assert (recipe.schedule.warmup_steps, recipe.schedule.warmup_start) == (500, 1 / 3)
    assert (recipe.augmentation.sides, recipe.augmentation.max_side) == ((640, 672, 704, 736, 768, 800), 1333)
    assert recipe.augmentation.flip == 0.5
    assert recipe.still == ("backbone.body.conv1", "backbone.body.bn1", "backbone.body.layer1")
    assert recipe.expected == {"coco-val2017/box AP": 0.537, "coco-val2017/AP": 0.643}
    learning = recipe.model.config.learning
    assert (learning.per_image, learning.positive, learning.truth) == (512, 0.25, True)


OTHERS = (
    {"network": "poise_rcnn_t_coco_64x64"},
    {"rotation": 10.0},
    {"turn": 0.1},
    {"crop": 0.1},
    {"mosaic": 0.1},
    {"freeze": 0},
    {"rate": 0.01},
    {"milestones": (50_000,)},
    {"iterations": 180_000},
    {"pretrained": False},
    {"empty": True},
    {"drop": "cutout"},
    {"codec": "Gaussian"},
    {"codec_set": ["search=whole"]},
    {"detecting_set": ["learning.truth=false"]},
)


def test_the_releases_scores_are_expected_of_the_release_alone(coco, monkeypatch):
    small = build("poise_rcnn_t_coco_64x64", codec="OneHot")
    monkeypatch.setattr("poise.recipes.keypoint_rcnn.build", lambda name, **_: copy.deepcopy(small))
    monkeypatch.setattr("poise.recipes.keypoint_rcnn.still", lambda model, stages: ())
    assert keypoint_rcnn(data=coco).expected
    assert not any(keypoint_rcnn(data=coco, **other).expected for other in OTHERS)


@pytest.fixture
def half(drawn, tmp_path):
    """A folder laid out as COCO's, with nobody in the second half of its images, and no keypoints in the first."""
    document = json.loads((drawn / "annotations.json").read_text())
    document["annotations"] = [one for one in document["annotations"] if one["image_id"] <= 6]
    for one in document["annotations"]:
        if one["image_id"] == 1:
            one["keypoints"] = [0] * 51
    (tmp_path / "annotations").mkdir()
    for part in ("train2017", "val2017"):
        (tmp_path / "annotations" / f"person_keypoints_{part}.json").write_text(json.dumps(document))
        (tmp_path / part).symlink_to(drawn / "images")
    return tmp_path


def test_images_without_people_are_learnt_from_as_is_said(half, monkeypatch):
    small = build("poise_rcnn_t_coco_64x64")
    monkeypatch.setattr("poise.recipes.keypoint_rcnn.build", lambda name, **_: small)

    def views(recipe):
        return ModelTask(recipe.model).train_views(recipe.data, seed=0)

    plain, every = (keypoint_rcnn(data=half, freeze=0, empty=empty) for empty in (False, True))
    assert [len(views(recipe)) for recipe in (plain, every)] == [5, 12]
    assert every.epochs == 120_000
    assert plain.epochs == 288_000
    files = {"annotations": [half / "annotations/person_keypoints_train2017.json"], "images": [half / "train2017"]}
    mixed = [detector_mixed(**files, drawn=0, val_share=0.25, empty=empty, **SMALL) for empty in (True, False)]
    kept = [len(views(recipe)) for recipe in mixed]
    assert kept[0] == 9 > kept[1]
    assert detector_mixed(**files, drawn=0, val_share=0.25, **SMALL).empty
    mine = finetuned(**files, model="poise_rcnn_t", size=(64, 64), val_share=0.25, detecting_set=FEW, empty=True)
    assert len(views(mine)) == 9
    assert not finetuned(**files, model="poise_rcnn_t", size=(64, 64), val_share=0.25).empty
    found = views(mine)
    batch = found.collate([found[(0, row)] for row in range(9) if mine.train.key(row).image_id > 6][:2]).batch
    assert len(batch.scenes.boxes) == 0
    mine.model.loss(batch).backward()
    assert float(small_sum(mine.model.network.rpn)) > 0


def small_sum(part):
    return sum(p.grad.abs().sum() for p in part.parameters() if p.grad is not None)


def test_the_hrnet_trains_as_its_release_and_all_of_it(coco):
    recipe = keypoint_rcnn_hrnet(data=coco, width=18, pretrained=False, codec="UDPGaussian", codec_set=["weight=6000"])
    assert recipe.augmentation.sides == (800,)
    assert recipe.still == ()
    assert recipe.optimizer.bias == 2.0
    assert recipe.expected == {}
    canvas = recipe.model.preprocess
    assert (canvas.channels, canvas.mean, canvas.side, canvas.most) == ("rgb", (0.485, 0.456, 0.406), 800, 1333)
    assert recipe.model.codec.weight == 6000


def test_other_networks_and_more_chances_can_be_asked_for(coco):
    ours = {"data": coco, "network": "poise_rcnn_t_coco_320x320", "pretrained": False}
    recipe = keypoint_rcnn(**ours, freeze=0, drop="cutout", turn=0.5)
    assert recipe.augmentation.drop.name == "cutout"
    assert recipe.augmentation.turn == 0.5
    assert recipe.expected == {}
    with pytest.raises(InputError, match=r"is no ResNet, .*; give --freeze 0, and all of it is trained"):
        keypoint_rcnn(**ours)
    with pytest.raises(InputError, match="a detector that finds boxes and keypoints"):
        keypoint_rcnn(**ours | {"network": "poise_t_coco_192x160"})
    with pytest.raises(InputError, match="0 to 5 stages"):
        keypoint_rcnn(**ours, freeze=6)


def test_scores_of_drawings_are_expected_of_the_usual_run_alone(monkeypatch):
    monkeypatch.setattr("poise.recipes.detectors.CachedDataset", lambda dataset: dataset)
    assert (
        detector_drawn().expected == detector_drawn(head="one_hot", seed=3, checked=5).expected == {"AP": 0.48, "box AP": 0.6}
    )
    others = (
        {"images": 100}, {"epochs": 1}, {"side": 64}, {"width": "s"}, {"mosaic": 0.0}, {"rate": 1e-3}, {"drop": "cutout"},
        {"head": "UDPGaussian"}, {"weight": 3.0}, {"height": 2.0}, {"sigma": 3.0}, {"detecting_set": FEW},
    )  # fmt: skip
    assert not any(detector_drawn(**other).expected for other in others)


@pytest.mark.parametrize("name", ["detector_drawn", "detector_mixed", "scenes_drawn", "scenes_mixed"])
@pytest.mark.parametrize("wrong", [{"weight": -3.0}, {"rate": 0.0}, {"epochs": 0}, {"side": 100}])
def test_what_cannot_be_is_refused_before_anything_is_drawn_or_read(name, wrong, monkeypatch):
    def made(*_, **__):
        raise AssertionError("something was drawn or read first")

    for place in ("detectors.CachedDataset", "detectors.mixture", "scenes.CachedDataset", "scenes.mixture"):
        monkeypatch.setattr(f"poise.recipes.{place}", made)
    if name.startswith("scenes") and "weight" in wrong:
        wrong = {"epochs": -1}
    files = {"annotations": [], "images": []} if name.endswith("mixed") else {}
    with pytest.raises(InputError):
        recipes()[name](**wrong, **files)


def test_the_weight_is_that_of_the_mean_squared_error():
    codec = head_codec("gaussian", weight=40.0)
    boxes = torch.tensor([[0.0, 0.0, 55.0, 55.0]])
    xy = torch.full((1, 17, 2), 30.0)
    off = codec.encode(xy, boxes) + 0.1
    assert float(codec.loss(off, xy, torch.full((1, 17), 2), boxes)) == pytest.approx(40 * 0.01, rel=1e-3)


def test_maps_of_gaussians_begin_at_nearly_nothing():
    torch.manual_seed(0)
    first = {}
    for head in ("one_hot", "gaussian", "UDPGaussian"):
        recipe = detector_drawn(images=1, checked=1, side=64, head=head)
        first[head] = recipe.model.network.keypoint.head.reader.final.weight.std().item()
    assert first["one_hot"] > 0.03
    assert first["gaussian"] == pytest.approx(0.001, rel=0.1)
    assert first["UDPGaussian"] == pytest.approx(0.001, rel=0.1)


def test_other_heads_are_asked_for_by_the_class_of_their_codec():
    assert type(head_codec("one_hot")).__name__ == "OneHot"
    assert type(head_codec("UDPGaussian", weight=7.0).codec).__name__ == "UDPGaussian"
    assert head_codec("UDPGaussian", weight=7.0).weight == 14.0
    assert head_codec("SimCC", weight=7.0).weight == 7.0
    assert head_codec("gaussian", height=10.0).weight == pytest.approx(40.0), "the squares of higher Gaussians are larger"
    with pytest.raises(UnknownName, match="codec for boxes"):
        head_codec("two_hot")


@pytest.mark.parametrize("name", ["gaussian", "one_hot", *codec_types()])
def test_the_first_loss_of_every_head_is_about_that_of_cells(name):
    torch.manual_seed(0)
    codec = head_codec(name)
    boxes = torch.tensor([[10.0, 20.0, 110.0, 220.0]] * 4)
    xy = boxes[:, None, :2] + torch.rand(4, 17, 2) * 100
    shape = (sum(codec.vectors),) if codec.vectors else codec.cells
    answer = 0.01 * torch.randn(4, 17 if codec.vectors else codec.channels, *shape)
    assert 2 < codec.loss(answer, xy, torch.full((4, 17), 2), boxes).item() < 12


@pytest.mark.parametrize(
    ("head", "numbers", "message"),
    [
        ("gaussian", {"weight": -3.0}, "^a keypoint head needs a weight above 0, not -3$"),
        ("gaussian", {"weight": float("nan")}, "needs a weight above 0, not nan$"),
        ("UDPGaussian", {"sigma": 0.0}, "needs a sigma above 0, not 0$"),
        ("UDPOffset", {"sigma": 2.0}, "^a head that learns UDPOffset takes no sigma; leave that out$"),
        ("SimCC", {"height": 2.0}, "SimCC, which has no Gaussians of height 1, takes no height"),
        ("one_hot", {"weight": 3.0, "sigma": 2.0}, "one cell by cross-entropy takes no weight and no sigma"),
    ],
)
def test_numbers_that_a_head_has_no_use_for_are_refused(head, numbers, message):
    with pytest.raises(InputError, match=message):
        head_codec(head, **numbers)


def test_gaussians_of_other_codecs_are_as_wide_and_high_as_asked():
    codec = head_codec("UDPGaussian", sigma=3.0, height=2.0)
    assert (codec.codec.sigma, codec.height, codec.weight) == (3.0, 2.0, 1000.0)
    assert head_codec("MegviiUDP", sigma=2.0).codec.sigma == 2.0
    assert head_codec("gaussian", sigma=1.5).codec.sigma == 1.5


def test_information_is_dropped_from_views_of_every_recipe(drawn):
    files = {"annotations": [drawn / "annotations.json"], "images": [drawn / "images"]}
    for recipe in (
        detector_drawn(images=2, checked=1, mosaic=0.0, drop="cutout", **SMALL),
        detector_mixed(**files, drawn=0, mosaic=0.0, drop="cutout", **SMALL),
    ):
        whole = replace(recipe, augmentation=replace(recipe.augmentation, drop=None))
        dropped, plain = (ModelTask(recipe.model).train_views(one.data, seed=0) for one in (recipe, whole))
        assert any(not torch.equal(dropped[(0, row)].view.image, plain[(0, row)].view.image) for row in range(2))


def test_how_a_detector_learns_is_set_by_words():
    recipe = detector_drawn(
        images=1, checked=1, side=64, detecting_set=["learning.copies=2", "learning.truth=False", "nms=0.6"]
    )
    config = recipe.model.config
    assert (config.learning.copies, config.learning.truth, config.nms) == (2, False, 0.6)
    with pytest.raises(UnknownName, match="field of Learning"):
        detector_drawn(images=1, checked=1, side=64, detecting_set=["learning.twins=2"])
    with pytest.raises(InputError, match="a share"):
        detector_drawn(images=1, checked=1, side=64, detecting_set=["learning.positive=2.0"])


def test_a_users_files_take_a_detector(drawn):
    files = {"annotations": [drawn / "annotations.json"], "images": [drawn / "images"]}
    recipe = finetuned(**files, model="poise_rcnn_t", size=(64, 64), rotation=20.0, drop="cutout", drop_from=0.5, epochs=4)
    assert (recipe.best, recipe.augmentation.rotation, recipe.augmentation.sides) == ("AP", 20.0, (45, 64, 83))
    assert recipe.then[0].augmentation.drop.name == "cutout"
    more = finetuned(
        **files, model="poise_rcnn_t", size=(64, 64), mosaic=0.5, codec="Gaussian", detecting_set=["learning.truth=false"]
    )
    assert (more.augmentation.mosaic, type(more.model.codec.codec).__name__) == (0.5, "Gaussian")
    assert not more.model.config.learning.truth
    assert len(ModelTask(recipe.model).train_views(recipe.data, seed=0)) == 11
    for name in ("keypoint_rcnn_r50_fpn", "poise_rcnn_t_coco_64x64"):
        with pytest.raises(InputError, match="leave --size out"):
            finetuned(**files, model=name, size=(96, 96))
    with pytest.raises(InputError, match="the smaller number of --size 64 96 would change nothing; give --size 96 96"):
        finetuned(**files, model="poise_rcnn_t", size=(64, 96))


def test_files_of_a_mixture_come_as_often_as_is_said_and_drawings_with_them(drawn):
    files = {"annotations": [drawn / "annotations.json"] * 2, "images": [drawn / "images"]}
    recipe = detector_mixed(**files, copies=[2, 1], complete=[True, False], drawn=3, val_share=0.25, **SMALL)
    assert len(recipe.train) == 2 * 9 + 9 + 3  # images to check on are learnt from in neither file
    assert len(recipe.val) == 3
    assert recipe.train.sample_with_ignore(25).ignore.any()  # all but the labelled people's boxes
    with pytest.raises(InputError, match="as many copies"):
        detector_mixed(**files, copies=[1], **SMALL)


def test_a_small_run_learns_is_checked_resumes_to_the_same_end_and_its_file_finds_people(tmp_path):
    quiet = {"device": "cpu", "precision": "fp32", "batch": 2, "console": Console(quiet=True)}

    def recipe():
        torch.manual_seed(0)
        return detector_drawn(images=4, checked=2, side=64, epochs=2, mosaic=0.5, detecting_set=FEW)

    whole = fit(recipe(), out=tmp_path / "whole", workers=0, **quiet)
    assert sorted(whole.metrics) == ["AP", "AP50", "AR", "box AP", "box AP50", "loss"]
    assert all(math.isfinite(value) for value in whole.metrics.values())
    assert [row["step"] for row in whole.history] == [2, 4]
    assert {"images_per_second", "val/box AP", "train/objectness", "train/keypoints"} <= set(whole.history[0])
    first = whole.history[0]
    parts = ("objectness", "proposals", "classes", "boxes", "keypoints")
    assert sum(first[f"train/{name}"] for name in parts) == pytest.approx(first["train/loss"], rel=1e-5)
    fit(recipe(), out=tmp_path / "cut", workers=0, steps=1, **quiet)
    again = fit(recipe(), out=tmp_path / "cut", workers=1, resume=tmp_path / "cut", **quiet)
    for a, b in zip(whole.model.state_dict().values(), again.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert again.history[0]["train/boxes"] == pytest.approx(first["train/boxes"])
    loaded = model_file.load(whole.file)
    image = recipe().val[0].image[None].float() / 255
    found, kept = (model.predict(image, flip=False)[0] for model in (loaded, whole.model))
    assert torch.equal(found.boxes, kept.boxes)
    assert torch.equal(found.xy, kept.xy)


def test_a_trunk_may_come_from_a_model_of_people_begin_at_stride_8_and_stay_as_it_is(drawn, tmp_path):
    files = {"annotations": [drawn / "annotations.json"], "images": [drawn / "images"], "drawn": 0, **SMALL}
    mixed = recipes()["detector_mixed"]
    recipe = mixed(**files, one_stage=True, trunk="poise_t_fpn", finest=8, freeze=3)
    backbone = recipe.model.network.backbone
    assert backbone.strides == (8, 16, 32)
    assert recipe.still == ("backbone.body.stem", "backbone.body.stages.0", "backbone.body.stages.1")
    people = model_file.save(plain("t", size=(64, 64)), tmp_path / "people.safetensors", kernels="int8")
    started = start_backbone(recipe.model, people)
    assert "all 105 weights of the backbone, by poise's names" in str(started)
    kept = model_file.load(people).network.backbone.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in backbone.body.state_dict().items())
    detector = model_file.save(recipe.model, tmp_path / "detector.safetensors")
    assert start_backbone(plain("t", size=(64, 64)), detector).taken == started.taken
    refused = (({"finest": 8}, "--one-stage"), ({"freeze": 7}, "--freeze 7"), ({"freeze": 2, "trunk": "r18_fpn"}, "--freeze 2"))
    for wrong, says in refused:
        with pytest.raises(InputError, match=says):
            mixed(**files, **wrong)
