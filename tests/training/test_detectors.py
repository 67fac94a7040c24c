"""Training of detectors with keypoints, and of those of boxes and masks alone."""

import math
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console

from poise.data.combined import CombinedDataset
from poise.data.figures import FigureDataset
from poise.errors import InputError
from poise.inference.request import ImageRequest
from poise.inference.settings import InferenceSettings
from poise.inference.stream import stream_poses
from poise.models.rcnn_masks import pasted
from poise.models.values import Detections
from poise.nn.heads.roi import mask_head
from poise.nn.pooler import RoIPooler
from poise.nn.rcnn import RoIBranch
from poise.recipes.short import short_run
from poise.scenes import People
from poise.training.data import ResumableSampler, loader
from poise.training.fit import fit
from poise.training.nan_guard import first_fault
from poise.training.task import ModelTask
from poise.transforms.detector_jitter import DetectorAugmentation
from poise.transforms.scene_jitter import SceneAugmentation
from poise.zoo.rcnn.backbones import Pyramid
from poise.zoo.rcnn.builder import faster_rcnn
from poise.zoo.rcnn.poise_rcnn import small_detector

VIEWS = DetectorAugmentation(sides=(64, 80), max_side=None, mosaic=0.5)


@pytest.fixture(scope="module")
def drawn():
    return FigureDataset(4, size=(96, 128), per_image=(1, 3), seed=2)


@pytest.fixture
def recipe(drawn):
    torch.manual_seed(0)
    model = small_detector("t", size=(128, 128))
    learning = replace(model.config.learning, per_image=8)
    model.config = replace(model.config, learning=learning)
    return short_run("tiny", model, drawn, drawn, epochs=1, rate=1e-3, clip=20.0, augmentation=VIEWS)


def test_a_view_depends_on_seed_epoch_and_place_alone(recipe):
    first, second = (ModelTask(recipe.model).train_views(recipe.data, seed=5) for _ in range(2))
    for row in range(4):
        a, b = first[(1, row)].view, second[(1, row)].view
        assert torch.equal(a.image, b.image)
        assert torch.equal(a.labels.boxes, b.labels.boxes)


def test_workers_give_the_same_parcels_whose_sides_are_multiples(recipe):
    views = ModelTask(recipe.model).train_views(recipe.data, seed=0)
    alone, helped = (list(loader(views, ResumableSampler(4, 2, seed=1), workers=n, pin=False)) for n in (0, 1))
    for a, b in zip(alone, helped, strict=True):
        assert torch.equal(a.batch.images, b.batch.images)
        assert torch.equal(a.batch.scenes.boxes, b.batch.scenes.boxes)
        assert not any(side % 32 for side in a.batch.scenes.size)
        assert all(h <= a.batch.scenes.size[0] and w <= a.batch.scenes.size[1] for h, w in a.batch.inner)


def test_some_views_are_of_four_images(recipe):
    views = ModelTask(recipe.model).train_views(replace(recipe, augmentation=replace(VIEWS, mosaic=1.0)).data, seed=0)
    alone = ModelTask(recipe.model).train_views(replace(recipe, augmentation=replace(VIEWS, mosaic=0.0)).data, seed=0)
    people = [sum(len(found[(0, row)].view.labels) for row in range(4)) for found in (views, alone)]
    assert people[0] > people[1]


def test_images_without_people_are_learnt_from_where_that_is_asked_for(recipe, drawn, monkeypatch):
    labels = drawn.labels
    monkeypatch.setattr(drawn, "people", lambda **_: [(1, 0), (3, 0)])
    task = ModelTask(recipe.model)
    assert [task.train_views(recipe.data, seed=0).image(row) for row in range(2)] == [1, 3]
    every = task.train_views(replace(recipe, empty=True, augmentation=None).data, seed=0)
    assert len(every) == 4
    monkeypatch.setattr(drawn, "sample_with_ignore", lambda i: replace(drawn[i], labels=labels(i).select(slice(0, 0))))
    batch = every.collate([every[(0, row)] for row in range(2)]).batch
    assert len(batch.scenes.boxes) == 0
    parts = task.losses(batch)
    assert parts["keypoints"] == parts["boxes"] == 0
    assert parts["objectness"] > 0
    task.model.loss(batch).backward()
    monkeypatch.setattr(drawn, "people", lambda **_: [])
    for views in (lambda: task.train_views(recipe.data, seed=0), lambda: task.val_views(drawn, seed=0)):
        with pytest.raises(InputError, match="labelled keypoint"):
            views()


@pytest.fixture
def masking(recipe):
    """A recipe whose network has a small mask head, too."""
    network = recipe.model.network
    head = mask_head(64, widths=(16, 16), classes=2)
    network.mask = RoIBranch(RoIPooler(network.backbone.strides, (14, 14)), head)
    return replace(recipe, augmentation=replace(VIEWS, mosaic=1.0))


def masked_batch(recipe):
    views = ModelTask(recipe.model).train_views(recipe.data, seed=0)
    return views.collate([views[(0, row)] for row in range(2)]).batch


def test_a_mask_head_learns_from_a_few_drawings(masking):
    task, batch = ModelTask(masking.model), masked_batch(masking)
    assert task.loss_parts[-1] == "masks"
    assert batch.scenes.masks.any(dim=(1, 2)).all()
    head = masking.model.network.mask
    optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)
    losses = []
    for step in range(25):
        torch.manual_seed(step % 5)  # of the proposals
        loss = task.losses(batch)["masks"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_who_is_not_outlined_teaches_the_mask_head_nothing(masking):
    task, batch = ModelTask(masking.model), masked_batch(masking)

    def lost(masks):
        torch.manual_seed(0)
        return float(task.losses(replace(batch, scenes=replace(batch.scenes, masks=masks)))["masks"].detach())

    masks = batch.scenes.masks
    assert lost(masks) > 0
    assert lost(torch.zeros_like(masks)) == 0
    outlined = masks.flatten(1).any(dim=1)
    assert int(outlined.sum()) > 1
    alone = [masks & (torch.arange(len(masks)) == row)[:, None, None] for row in torch.where(outlined)[0].tolist()]
    each = [lost(some) for some in alone]
    assert max(each) > 0, "somebody's box is among the proposals"
    assert lost(masks) not in each


def test_a_mask_head_without_outlines_is_refused_or_left_out(masking, drawn, monkeypatch):
    monkeypatch.setattr(drawn, "masks", lambda index: None)
    with pytest.raises(InputError, match="images checked has a mask"):
        ModelTask(masking.model).train_views(masking.data, seed=0)
    weights = replace(masking.model.config.weights, masks=0.0)
    masking.model.config = replace(masking.model.config, weights=weights)
    assert "masks" not in ModelTask(masking.model).loss_parts
    assert masked_batch(masking).scenes.masks is None


@pytest.fixture
def alone(masking):
    """A recipe of a small Mask R-CNN: boxes and masks, no keypoints."""
    torch.manual_seed(0)
    config = replace(masking.model.config, score=0.0, per_image=4)
    made = faster_rcnn("poise_t", classes=2, masks=True, box_width=16, pyramid=Pyramid(width=32), config=config)
    made.preprocess = replace(made.preprocess, side=96, most=128)
    return replace(masking, model=made, best="mask AP", augmentation=replace(VIEWS, mosaic=0.0))


def test_a_mask_rcnn_without_keypoints_learns_boxes_and_masks_and_is_checked_by_both(alone, tmp_path):
    assert ModelTask(alone.model).loss_parts == ("objectness", "proposals", "classes", "boxes", "masks")
    result = fit(alone, out=tmp_path / "run", device="cpu", precision="fp32", workers=0, batch=2, console=Console(quiet=True))
    assert list(result.metrics) == ["box AP", "box AP50", "box AR100", "mask AP", "mask AP50", "loss"]
    assert all(math.isfinite(value) for value in result.metrics.values())
    assert {"train/masks", "val/mask AP"} <= set((tmp_path / "run" / "metrics.csv").read_text().splitlines()[0].split(","))
    [picture] = (tmp_path / "run" / "pictures").iterdir()
    assert cv2.imread(str(picture)).shape[0] == 2 * (96 + 22)


def test_a_mask_rcnn_learns_a_few_drawings_by_heart(alone):
    task, batch = ModelTask(alone.model), masked_batch(alone)
    optimizer = torch.optim.Adam(alone.model.network.parameters(), lr=1e-3)
    losses = []
    for _ in range(6):
        torch.manual_seed(0)
        optimizer.zero_grad()
        parts = task.losses(batch)
        sum(parts.values()).backward()
        optimizer.step()
        losses.append({name: float(value.detach()) for name, value in parts.items()})
    assert all(losses[-1][name] < losses[0][name] for name in ("objectness", "classes", "masks"))


def test_labelled_boxes_and_masks_as_an_answer_have_the_highest_scores(alone, drawn, monkeypatch):
    labels = [drawn.labels(i) for i in range(4)]
    framed = [torch.from_numpy(np.stack(list(pasted(torch.ones(len(own), 28, 28), own.boxes, (96, 128))))) for own in labels]
    monkeypatch.setattr(drawn, "masks", lambda index: framed[index])
    task = ModelTask(alone.model)
    truth = task.truth(drawn)
    found = {i: Detections(own.boxes, torch.ones(len(own)), torch.ones(len(own), 28, 28)) for i, own in enumerate(labels)}
    assert task.score(truth, found) == pytest.approx(dict.fromkeys(task.val_scores, 1.0))
    half = torch.ones(28, 28)
    half[14:] = 0
    worse = {i: replace(own, masks=own.masks * half) for i, own in found.items()}
    scores = task.score(truth, worse)
    assert scores["box AP"] == pytest.approx(1.0)
    assert scores["mask AP"] < 0.2
    monkeypatch.setattr(drawn, "masks", lambda index: torch.zeros(len(labels[index]), 96, 128, dtype=torch.bool))
    assert task.score(task.truth(drawn), found)["mask AP"] == -1.0  # as COCO's protocol says where nobody is labelled


def test_outlines_are_not_asked_for_without_a_mask_head(recipe, drawn, monkeypatch):
    monkeypatch.delattr(next(part for part in type(drawn).__mro__ if "masks" in vars(part)), "masks")
    assert masked_batch(recipe).scenes.masks is None


def test_labels_as_an_answer_have_the_highest_scores_and_no_answer_the_lowest(recipe, drawn):
    task = ModelTask(recipe.model)
    truth = task.truth(drawn)
    labels = [drawn.labels(i) for i in range(4)]
    perfect = {
        i: People(own.xy, torch.ones(own.xy.shape[:2]), torch.ones(len(own)), own.boxes, torch.ones(len(own)))
        for i, own in enumerate(labels)
    }
    assert task.score(truth, perfect) == pytest.approx(dict.fromkeys(task.val_scores, 1.0))
    nobody = People(torch.zeros(0, 17, 2), torch.zeros(0, 17), torch.zeros(0), torch.zeros(0, 4), torch.zeros(0))
    assert task.score(truth, dict.fromkeys(range(4), nobody)) == dict.fromkeys(task.val_scores, 0.0)


def test_boxes_and_keypoints_that_are_found_come_home_to_the_image(recipe, drawn, monkeypatch):
    task = ModelTask(recipe.model.eval())
    views = task.val_views(drawn, seed=0)
    batch = views.collate([views[(0, i)] for i in range(2)]).batch
    scenes = batch.scenes
    assert batch.inner == ((96, 128),) * 2

    def answer(images, *, flip, sizes):
        assert sizes == [(96, 128)] * 2
        here = [scenes.scene == view for view in range(len(images))]
        return [
            People(scenes.xy[own], torch.ones(int(own.sum()), 17), torch.ones(int(own.sum())), scenes.boxes[own], None)
            for own in here
        ]

    monkeypatch.setattr(recipe.model, "predict", answer)
    losses, found = task.validate(batch)
    assert all(torch.isfinite(part) for part in losses.values())
    for i, people in enumerate(found):
        torch.testing.assert_close(people.boxes, drawn.labels(i).boxes)
        seen = drawn.labels(i).visible > 0
        torch.testing.assert_close(people.xy[seen], drawn.labels(i).xy[seen])


@torch.no_grad()
def test_a_check_finds_whom_inference_finds_in_images_of_mixed_shapes(recipe):
    """Views of other shapes in the batch do not change an answer, though they change how large the batch is."""
    model = recipe.model.eval()
    model.config = replace(model.config, score=0.0, per_image=4)
    shapes = [(96, 128), (128, 96), (96, 96)]
    mixed = CombinedDataset([FigureDataset(2, size=size, per_image=(1, 2), seed=3) for size in shapes])
    task = ModelTask(model)
    views = task.val_views(mixed, seed=0)
    batch = views.collate([views[(0, row)] for row in (0, 2, 4, 5, 3, 1)]).batch
    _, found = task.validate(batch)
    setting = InferenceSettings.of(model, device="cpu", precision="fp32", flip=False, batch=4, workers=0)
    requests = [ImageRequest(key, partial(mixed.image, row)) for key, row in zip(batch.keys, (0, 2, 4, 5, 3, 1), strict=True)]
    for people, [inferred] in zip(found, stream_poses(model, requests, setting, codecs=[model.codec]), strict=True):
        poses = inferred.poses
        assert len(poses) == len(people) == 4
        torch.testing.assert_close(people.boxes, poses.boxes, rtol=0, atol=1e-3)
        torch.testing.assert_close(people.box_score, poses.box_score, rtol=0, atol=1e-6)
        torch.testing.assert_close(people.pose_score, poses.pose_score, rtol=0, atol=1e-6)
        torch.testing.assert_close(people.xy, poses.xy, rtol=0, atol=1e-2)


def test_a_picture_has_four_rows_and_a_column_per_view(recipe):
    task = ModelTask(recipe.model.eval())
    views = task.val_views(recipe.val, seed=0)
    batch = views.collate([views[(0, i)] for i in range(3)]).batch
    assert task.picture(batch).shape == (4 * (96 + 22), 3 * 128, 3)
    nobody = replace(batch.scenes, **{n: getattr(batch.scenes, n)[:0] for n in ("xy", "visible", "boxes", "extent", "scene")})
    assert task.picture(replace(batch, scenes=nobody)).shape == (4 * (96 + 22), 3 * 128, 3)


def test_what_stays_as_it_is_does_not_learn_nor_count(recipe, tmp_path):
    stem = recipe.model.network.backbone.body.stem
    before = {name: value.clone() for name, value in stem.state_dict().items()}
    other = recipe.model.network.rpn.head.cls_logits.weight.clone()
    fit(
        replace(recipe, still=("backbone.body.stem",)),
        out=tmp_path,
        device="cpu",
        precision="fp32",
        workers=0,
        batch=2,
        steps=1,
    )
    assert all(torch.equal(value, before[name]) for name, value in stem.state_dict().items())
    assert not torch.equal(recipe.model.network.rpn.head.cls_logits.weight, other)
    with pytest.raises(InputError, match="has no such part"):
        replace(recipe, still=("backbone.body.root",))


def test_a_layer_at_fault_in_a_head_is_named_and_so_are_labels(recipe):
    torch.manual_seed(0)
    task, views = ModelTask(recipe.model), ModelTask(recipe.model).val_views(recipe.val, seed=0)
    batch = views.collate([views[(0, 0)]]).batch
    head = recipe.model.network.keypoint.head
    head.body.conv[1].register_forward_hook(lambda module, entering, leaving: leaving * float("nan"))
    assert first_fault(task, batch) == "the answer of layer keypoint.head.body.conv.1"
    batch.scenes.boxes[0] = torch.nan
    assert first_fault(task, batch) == "the labels of the batch"


@pytest.mark.parametrize("wrong", [{"augmentation": SceneAugmentation()}, {"select": True}, {"size": (64, 64)}])
def test_what_is_meant_for_others_is_refused(recipe, wrong):
    with pytest.raises(InputError, match="looks for boxes in whole images"):
        ModelTask(recipe.model).train_views(replace(recipe, **wrong).data, seed=0)
