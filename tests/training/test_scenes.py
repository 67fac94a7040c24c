"""Training on whole images."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from poise.data.combined import CombinedDataset
from poise.data.figures import FigureDataset
from poise.errors import InputError, UnknownName
from poise.inference.request import ImageRequest
from poise.inference.settings import InferenceSettings
from poise.inference.stream import find_poses
from poise.models.bottom_up import MAX_PEOPLE
from poise.models.views.scene import SceneViews, WholeImageCrop
from poise.recipes.scenes import CLIP, DRAWN_VIEWS, small_model
from poise.recipes.short import short_run
from poise.scenes import Canvas, People
from poise.training.data import ResumableSampler, loader
from poise.training.fit import fit
from poise.training.nan_guard import first_fault
from poise.training.task import ModelTask
from poise.transforms.jitter import Augmentation
from poise.weights.transfer import transfer
from poise.zoo.plain import plain


@pytest.fixture(scope="module")
def drawn():
    return FigureDataset(4, size=(96, 128), per_image=(1, 3), seed=2)


@pytest.fixture
def recipe(drawn):
    torch.manual_seed(0)
    return short_run("tiny", small_model("t", side=128), drawn, drawn, epochs=1, rate=1e-3, clip=CLIP, augmentation=DRAWN_VIEWS)


def test_a_view_depends_on_seed_epoch_and_place_alone(recipe):
    first, second = (ModelTask(recipe.model).train_views(recipe.data, seed=5) for _ in range(2))
    a, b, other = first[(1, 3)], second[(1, 3)], first[(2, 3)]
    assert torch.equal(a.view.image, b.view.image)
    assert torch.equal(a.view.labels.xy, b.view.labels.xy)
    assert not torch.equal(a.view.warp, other.view.warp)


def test_workers_give_the_same_parcels(recipe):
    views = ModelTask(recipe.model).train_views(recipe.data, seed=0)
    alone, helped = (list(loader(views, ResumableSampler(4, 2, seed=1), workers=n, pin=False)) for n in (0, 1))
    for a, b in zip(alone, helped, strict=True):
        assert a.indices == b.indices
        assert torch.equal(a.batch.images, b.batch.images)
        assert torch.equal(a.batch.scenes.xy, b.batch.scenes.xy)
        assert a.batch.images.is_contiguous(memory_format=torch.channels_last)


def test_views_are_squares_of_the_canvas_unless_the_recipe_says_otherwise(recipe):
    task = ModelTask(recipe.model)
    assert task.train_views(recipe.data, seed=0)[(0, 0)].view.image.shape == (3, 128, 128)
    wide = replace(recipe, size=(64, 96))
    assert task.train_views(wide.data, seed=0)[(0, 0)].view.image.shape == (3, 64, 96)


def test_images_without_people_are_checked_on_but_not_learnt_from(recipe, drawn, monkeypatch):
    labels = drawn.labels
    monkeypatch.setattr(drawn, "people", lambda **_: [(1, 0), (1, 1), (3, 0)])
    monkeypatch.setattr(drawn, "labels", lambda i: labels(i).select(slice(0, 0)) if i in (0, 2) else labels(i))
    task = ModelTask(recipe.model)
    assert [task.train_views(recipe.data, seed=0).image(row) for row in range(2)] == [1, 3]
    assert len(task.val_views(drawn, seed=0)) == 4
    assert len(task.truth(drawn)["images"]) == 4
    monkeypatch.setattr(drawn, "people", lambda **_: [])
    for views in (lambda: task.train_views(recipe.data, seed=0), lambda: task.val_views(drawn, seed=0)):
        with pytest.raises(InputError, match="labelled keypoint"):
            views()


def test_views_of_several_sizes_share_a_batch_and_nothing_moves():
    canvas = Canvas(side=128, multiple=32)
    sets = [FigureDataset(1, size=size, seed=1) for size in ((96, 128), (128, 96))]
    views = [SceneViews(s, WholeImageCrop(canvas, s.skeleton), seed=0, images=[0]) for s in sets]
    one, other = (v[(0, 0)].view for v in views)
    batch = views[0].stack([one, other])
    assert batch.images.shape == (2, 3, 128, 128)
    assert torch.equal(batch.images[0, :, :96], one.image)
    assert not batch.images[0, :, 96:].any()
    assert torch.equal(batch.scenes.xy, torch.cat((one.labels.xy, other.labels.xy)))


def test_an_answer_without_fault_has_the_highest_scores_and_an_empty_one_the_lowest(monkeypatch):
    large, model = FigureDataset(2, size=(256, 256), per_image=(1, 2)), small_model("t", side=256)
    task = ModelTask(model)
    views, truth = task.val_views(large, seed=0), task.truth(large)
    batch = views.collate([views[(0, i)] for i in range(2)]).batch
    monkeypatch.setattr(model, "outputs", lambda images: [model.codec.encode(batch.scenes)])
    _, found = task.validate(batch)
    scores = task.score(truth, dict(enumerate(found)))
    assert list(scores) == list(task.val_scores)
    assert scores["AP"] > 0.95
    assert task.score(truth, {i: people_of(0) for i in range(2)}) == dict.fromkeys(task.val_scores, 0.0)


@torch.no_grad()
def test_a_check_finds_whom_inference_finds_in_images_of_mixed_shapes(recipe):
    """Views of other shapes in the batch do not change an answer, though they change how large the batch is."""
    model, rows = recipe.model.eval(), (0, 2, 4, 5, 3, 1)
    everybody = replace(model.codec.reading, threshold=0.0, person_threshold=0.0)  # random maps show nobody surely
    model.codec = replace(model.codec, reading=everybody)
    mixed = CombinedDataset(
        [FigureDataset(2, size=size, per_image=(1, 2), seed=3) for size in ((96, 128), (128, 96), (96, 96))]
    )
    task = ModelTask(model)
    views = task.val_views(mixed, seed=0)
    batch = views.collate([views[(0, row)] for row in rows]).batch
    assert len(set(batch.content_size)) == 3
    _, found = task.validate(batch)
    setting = InferenceSettings.of(model, device="cpu", precision="fp32", flip=False, batch=4, workers=0)
    requests = [ImageRequest(key, partial(mixed.image, row)) for key, row in zip(batch.keys, rows, strict=True)]
    for people, inferred in zip(found, find_poses(model, requests, setting), strict=True):
        best = inferred.poses[inferred.poses.pose_score.argsort(descending=True)[:MAX_PEOPLE]]
        assert len(best) == len(people) == MAX_PEOPLE
        torch.testing.assert_close(people.pose_score, best.pose_score, rtol=0, atol=1e-6)
        torch.testing.assert_close(people.xy, best.xy, rtol=0, atol=1e-2)


def people_of(count):
    score = torch.linspace(0.1, 0.9, count) if count else torch.zeros(0)
    return People(torch.rand(count, 17, 2) * 90, score[:, None].expand(-1, 17), score)


def test_of_hundreds_of_people_the_best_are_rated_and_what_was_not_found_stays_at_the_origin(recipe, drawn, monkeypatch):
    task = ModelTask(recipe.model)
    views = task.val_views(drawn, seed=0)
    batch = views.collate([views[(0, 0)]]).batch
    crowd = people_of(200)
    crowd.score[:, 3] = 0
    monkeypatch.setattr(recipe.model, "read", lambda output: [crowd])
    _, (found,) = task.validate(batch)
    assert len(found) == MAX_PEOPLE
    assert float(found.pose_score.min()) >= float(crowd.pose_score.sort().values[-MAX_PEOPLE])
    assert not found.xy[:, 3].any()


def test_a_picture_has_five_rows_and_a_column_per_view(recipe):
    task = ModelTask(recipe.model.eval())
    views = task.train_views(recipe.data, seed=0)
    batch = views.collate([views[(0, i)] for i in range(3)]).batch
    assert task.picture(batch).shape == (5 * (128 + 22), 3 * 128, 3), "each row below its caption"


def test_arrows_lead_from_keypoint_to_keypoint(recipe):
    codec, views = recipe.model.codec, ModelTask(recipe.model).train_views(recipe.data, seed=0)
    scenes = views.collate([views[(0, i)] for i in range(4)]).batch.first(2).scenes
    starts, ends = torch.tensor(codec.limbs).T
    lines = codec.arrows(codec.encode(scenes), scenes)
    known = ((scenes.visible[:, starts] > 0) & (scenes.visible[:, ends] > 0)).nonzero()
    assert lines.isfinite().all(dim=-1).sum() == len(known)
    off = [(lines[n, m, 2:] - scenes.xy[n, ends[m]]).norm() for n, m in known.tolist()]
    assert torch.stack(off).median() < 0.01  # where people overlap the shorter guide wins


def test_a_layer_at_fault_is_named_and_labels_are_looked_at_first(recipe):
    task, views = ModelTask(recipe.model), ModelTask(recipe.model).train_views(recipe.data, seed=0)
    batch = views.collate([views[(0, 0)]]).batch
    with torch.no_grad():
        recipe.model.network.head.heads.maps["offset"][0].bias[0] = torch.inf
    assert "offset" in first_fault(task, batch)
    batch.scenes.xy[(batch.scenes.visible > 0).nonzero()[0].unbind()] = torch.nan
    assert first_fault(task, batch) == "the labels of the batch"


@pytest.mark.parametrize("wrong", [{"augmentation": Augmentation()}, {"select": True}])
def test_what_is_meant_for_views_of_people_is_refused(recipe, wrong):
    with pytest.raises(InputError, match="sees whole images"):
        ModelTask(recipe.model).train_views(replace(recipe, **wrong).data, seed=0)


def test_what_is_meant_for_whole_images_is_refused_by_a_model_of_people(recipe):
    with pytest.raises(InputError, match="one person at a time"):
        ModelTask(plain("t", size=(64, 64))).train_views(recipe.data, seed=0)


def test_a_best_score_nobody_computes_is_refused_before_anything_is_trained(recipe, tmp_path):
    with pytest.raises(UnknownName, match="score of whole images"):
        fit(replace(recipe, best="pck@0.1"), out=tmp_path / "run", device="cpu", workers=0)
    assert not (tmp_path / "run").exists()


def test_a_trained_model_starts_another_of_its_kind(recipe):
    torch.manual_seed(1)
    target = small_model("t", side=64)
    carried = transfer(recipe.model, target)
    assert "17 keypoints of the head" in str(carried)
    assert carried.new == carried.layers == ()
    assert all(torch.equal(a, b) for a, b in zip(recipe.model.parameters(), target.parameters(), strict=True))


def test_between_kinds_of_models_the_backbone_alone_is_kept(recipe):
    people = plain("t", size=(64, 64))
    people.network.backbone = recipe.model.network.backbone
    target = small_model("t", side=64)
    before = target.network.head.heads.maps["heat"][0].weight.clone()
    carried = transfer(people, target)
    assert (carried.kept, len(carried.new)) == ((), 17)
    same = zip(target.network.backbone.parameters(), recipe.model.network.backbone.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    assert torch.equal(target.network.head.heads.maps["heat"][0].weight, before)
