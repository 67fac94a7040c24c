"""Recipes of models that find people by themselves: settings, first batches, and a small run from first step to file."""

import json
import math

import pytest
import torch
from rich.console import Console

from poise.errors import AnnotationError, InputError
from poise.models.losses import total_loss
from poise.recipes.detectors import detector_mixed
from poise.recipes.find import recipes
from poise.recipes.offset_guided import offset_guided, offset_guided_hrnet
from poise.recipes.scenes import COSTS, scenes_drawn, scenes_mixed
from poise.training.fit import fit
from poise.training.task import ModelTask
from poise.weights import model_file

from .changing import check_changes
from .finetuned import finetuned, made

TWO = {"side": 64, "width": "t", "epochs": 1}


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
        "offset_guided": {"data": coco, "network": "hg52", "size": (128, 128)},
        "offset_guided_hrnet": {"data": coco, "width": 18, "size": (64, 64), "pretrained": False},
        "rtmo": {"data": coco, "network": "rtmo_t", "size": (64, 64)},
        "dekr": {"data": coco, "size": (64, 64), "pretrained": False},
        "higherhrnet": {"data": coco, "size": (64, 64), "pretrained": False},
        "scenes_drawn": {"images": 4, "checked": 2, **TWO},
        "scenes_mixed": {**files, "drawn": 2, "copies": [3], **TWO},
        "finetune": {**files, "model": "poise_scene_t", "size": (64, 64), "epochs": 1},
    }
    return made(name, **flags[name])


@pytest.mark.parametrize("name", ["offset_guided", "offset_guided_hrnet", "scenes_drawn", "scenes_mixed", "finetune"])
def test_the_first_batch_of_every_recipe_is_encoded_and_has_a_loss(name, coco, drawn):
    recipe = small(name, coco, drawn)
    model, views = recipe.model, ModelTask(recipe.model).train_views(recipe.data, seed=0)
    batch = views.collate([views[(0, row)] for row in range(2)]).batch
    outputs = model.outputs(batch.images)
    assert batch.scenes.size == ModelTask(model).train_size(recipe.data)
    for codec, output in zip((*model.deep, model.codec), outputs, strict=True):
        assert codec.encode(batch.scenes).shape == output.shape
    loss = total_loss(model.compared(outputs, batch))
    loss.backward()
    assert 0 < loss.item() < math.inf
    assert any(float(p.grad.abs().sum()) > 0 for p in model.network.parameters() if p.grad is not None)
    assert recipe.best in model.val_scores
    check_changes(recipe)


@pytest.mark.parametrize("name", ["rtmo", "dekr", "higherhrnet"])
def test_networks_of_whole_images_learn_from_the_first_batch(name, coco, drawn):
    recipe = small(name, coco, drawn)
    views = ModelTask(recipe.model).train_views(recipe.data, seed=0)
    batch = views.collate([views[(0, row)] for row in range(2)]).batch
    assert batch.images.shape[-2:] == (64, 64)
    loss = recipe.model.loss(batch)
    loss.backward()
    assert 0 < loss.item() < math.inf
    assert any(float(p.grad.abs().sum()) > 0 for p in recipe.model.network.parameters() if p.grad is not None)
    check_changes(recipe)


@pytest.mark.parametrize("kind", ["scenes", "detector"])
def test_sides_that_are_no_multiples_are_refused(kind, drawn):
    files = {"annotations": [drawn / "annotations.json"], "images": [drawn / "images"]}
    for name, flags in ((f"{kind}_drawn", {"images": 1, "checked": 1}), (f"{kind}_mixed", {**files, "drawn": 0})):
        with pytest.raises(InputError, match="multiples of 32, not 100x100"):
            recipes()[name](side=100, **flags)


def test_the_hourglass_trains_as_its_release(coco):
    with torch.device("meta"):
        recipe = offset_guided(data=coco)
    assert (recipe.epochs, recipe.batch, recipe.base_batch, recipe.optimizer.rate) == (78, 32, 8, 1.25e-4)
    assert (recipe.schedule.milestones, recipe.schedule.factor) == ((65, 70, 75), 0.2)
    assert recipe.augmentation.rotation == 45.0
    assert recipe.augmentation.scale_range == (0.5, 2.0)
    cost = recipe.model.codec.cost
    assert (cost.heat, cost.offset, cost.root, cost.weight) == ("focal", "instance_l1", True, 0.5)
    assert cost.weights == (1.0, 0.0, 0.0, 10000.0, 10.0)
    assert len(recipe.model.deep) == 1
    assert recipe.expected == {"coco-val2017/AP": 0.661}


def test_the_releases_own_defaults_a_warm_up_and_a_restart_can_be_asked_for(coco):
    with torch.device("meta"):
        recipe = offset_guided(data=coco, scale=False, restart=True, warmup_epochs=15)
    cost = recipe.model.codec.cost
    assert (cost.offset, cost.root, cost.weights) == ("l1", False, (1.0, 1.0, 100.0, 100.0, 0.01))
    assert recipe.expected == {}
    assert recipe.schedule.warmup_steps == 15 * 1781
    (again,) = recipe.then
    assert (again.epochs, again.schedule.milestones) == (32, (14, 27))


def test_the_hrnet_of_the_branch_trains_for_long(coco):
    with torch.device("meta"):
        recipe = offset_guided_hrnet(data=coco, pretrained=False)
    assert (recipe.epochs, recipe.schedule.milestones, recipe.schedule.factor) == (320, (150, 260), 0.1)
    assert recipe.expected == {}


def test_files_of_a_mixture_come_as_often_as_is_said_and_drawings_with_them(drawn):
    files = {"annotations": [drawn / "annotations.json"] * 2, "images": [drawn / "images"]}
    recipe = scenes_mixed(**files, copies=[2, 1], drawn=3, val_share=0.25, **TWO)
    assert len(recipe.train) == 2 * 9 + 9 + 3  # images to check on are learnt from in neither file
    assert len(recipe.val) == 3
    shown = {recipe.train.key(i).image_id for i in range(9)}
    assert not shown & {recipe.val.key(i).image_id for i in range(3)}
    with pytest.raises(InputError, match="as many copies"):
        scenes_mixed(**files, copies=[1], **TWO)
    with pytest.raises(InputError, match="everybody is labelled"):
        scenes_mixed(**files, complete=[False], **TWO)
    partly = scenes_mixed(**files, complete=[True, False], copies=[1, 1], drawn=0, **TWO)
    known = [partly.train.sample_with_ignore(i).ignore for i in (0, len(partly.train) - 1)]
    assert not known[0].any()
    assert known[1].any()  # all but the labelled people's boxes


def test_a_users_files_take_a_model_for_whole_images(drawn):
    files = {"annotations": [drawn / "annotations.json"], "images": [drawn / "images"]}
    recipe = finetuned(**files, model="poise_scene_t", rotation=20.0, drop="cutout", drop_from=0.5, epochs=4)
    assert recipe.model.preprocess.side == 320
    assert recipe.model.codec.cost == COSTS
    assert (recipe.best, recipe.augmentation.rotation) == ("AP", 20.0)
    assert recipe.then[0].augmentation.drop.name == "cutout"


def test_a_small_run_learns_is_checked_resumes_to_the_same_end_and_its_file_finds_people(tmp_path):
    quiet = {"device": "cpu", "precision": "fp32", "batch": 2, "console": Console(quiet=True)}

    def recipe():
        torch.manual_seed(0)
        return scenes_drawn(images=4, checked=2, side=64, epochs=2)

    whole = fit(recipe(), out=tmp_path / "whole", workers=0, **quiet)
    assert sorted(whole.metrics) == ["AP", "AP50", "AR", "loss"]
    assert all(math.isfinite(value) for value in whole.metrics.values())
    assert [row["step"] for row in whole.history] == [2, 4]
    assert {"images_per_second", "val/AR"} <= set(whole.history[0])
    fit(recipe(), out=tmp_path / "cut", workers=0, steps=1, **quiet)
    again = fit(recipe(), out=tmp_path / "cut", workers=1, resume=tmp_path / "cut", **quiet)
    for a, b in zip(whole.model.state_dict().values(), again.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    loaded = model_file.load(whole.file)
    image = recipe().val[0].image[None].float() / 255
    assert torch.equal(loaded(image), whole.model(image))


@pytest.mark.parametrize("recipe", [scenes_mixed, detector_mixed])
def test_files_of_a_mixture_that_have_no_names_get_them_and_others_keep_theirs(recipe, drawn, tmp_path):
    content = json.loads((drawn / "annotations.json").read_text())
    for category in content["categories"]:
        del category["keypoints"]
    nameless = tmp_path / "nameless.json"
    nameless.write_text(json.dumps(content))
    files = {"annotations": [drawn / "annotations.json", nameless], "images": [drawn / "images"]}
    with pytest.raises(AnnotationError, match="no category lists its `keypoints`"):
        recipe(**files, drawn=0, **TWO)
    made = recipe(**files, drawn=0, val_share=0.25, skeleton="coco17", **TWO)
    assert len(made.train) == 18
    visible = [int((made.train.labels(i).visible > 0).sum()) for i in (0, len(made.train) - 1)]
    assert min(visible) > 0
