"""Every recipe is built and its first batch encoded; a small one of each family trains and is checked on drawn people."""

import inspect
import math
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from poise.data.subset import Subset
from poise.models.losses import total_loss
from poise.recipes.find import recipes
from poise.recipes.finetune import TopDownOptions
from poise.training.checkpoint import AtomicIO
from poise.training.fit import fit
from poise.training.task import ModelTask

from .changing import check_changes
from .finetuned import made

SIZE = (64, 64)
SMALL = {
    "simple_baseline": {"depth": 18},
    "hrnet": {"width": 32},
    "lpn": {"depth": 50},
    "cpn": {"depth": 50},
    "mspn": {"network_stages": 1},
    "rsn": {"kind": "res18"},
    "hourglass": {"stacks": 2},
    "dark": {"network": "poseresnet_18"},
    "udp": {"network": "poseresnet18"},
    "udp_aid": {"width": 18},
    "grmi": {"network": "grmi_18_x2", "size": (65, 49)},
    "simcc": {"network": "poseresnet_18"},
    "rtmpose": {"network": "rtmpose_t"},
    "vitpose": {"network": "vitpose_s_simple"},
    "litehrnet": {"network": "litehrnet_18"},
    "regression": {"depth": 18},
    "integral": {"depth": 18},
    "finetune": {"model": "poise_t", "epochs": 2},
    "demo": {"people": 4, "checked": 4, "epochs": 1},
    "people": {"tiny": SIZE, "small": SIZE, "tiny_epochs": 2, "small_epochs": 2, "epochs": 2, "val_share": 0.5},
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(name, coco, drawn, **more):
    """The recipe with the smallest network it has, on views of 64x64."""
    flags = {"size": SIZE} | SMALL[name] | more
    takes = TopDownOptions.__dataclass_fields__ if name == "finetune" else inspect.signature(recipes()[name]).parameters
    flags |= {"pretrained": False} if "pretrained" in takes else {}
    flags |= {"data": coco} if "data" in takes else {}
    flags |= {"annotations": [drawn / "annotations.json"], "images": [drawn / "images"]} if "annotations" in takes else {}
    return made(name, **flags)


def first_batch(recipe, count=2):
    views = ModelTask(recipe.model).train_views(recipe.data, seed=0)
    return views.collate([views[(0, row)] for row in range(count)]).batch


def test_no_recipe_is_forgotten_here():
    scenes = {"offset_guided", "offset_guided_hrnet", "scenes_drawn", "scenes_mixed", "rtmo", "dekr", "higherhrnet"}
    boxes = {"keypoint_rcnn", "keypoint_rcnn_hrnet", "keypoint_fcos", "mask_rcnn", "detector_drawn", "detector_mixed"}
    adaptations = {"source_only", "supervised", "mean_teacher", "cc_ssl", "ws_cda", "pplo"}
    animals = {"synthetic_animals", "tigdog", "drawn_animals"}
    others = {"mpii", "blazepose", "rtmw"} | scenes | boxes | adaptations | animals  # have files of their own here
    assert set(SMALL) | others == set(recipes())


ANSWERS = {"cpn": 5, "mspn": 4, "rsn": 4, "hourglass": 2}
"""Of the networks that give more than one."""


@pytest.mark.parametrize("name", sorted(SMALL))
def test_the_first_batch_of_every_recipe_is_encoded_and_has_a_loss(name, coco, drawn):
    recipe = small(name, coco, drawn)
    model, batch = recipe.model, first_batch(recipe)
    codecs, outputs = (*model.deep, model.codec), model.outputs(batch.images)
    assert len(outputs) == ANSWERS.get(name, 1)
    for codec, output in zip(codecs, outputs, strict=True):
        assert codec.encode(batch.xy).shape == output.shape
        assert codec.picture(output).shape[:2] == batch.visible.shape
    loss = total_loss(model.compared(outputs, batch))
    loss.backward()
    assert math.isfinite(loss.item())
    assert loss.item() > 0
    assert any(float(p.grad.abs().sum()) > 0 for p in model.network.parameters() if p.grad is not None)
    check_changes(recipe)


IN_NOTES = ("lpn", "cpn", "mspn", "rsn", "dark", "udp", "udp_aid", "hourglass")
"""Trained and checked for a step by `tests/whole/test_notes.py` too."""


@pytest.mark.parametrize(
    "name",
    ["grmi", "simcc", "regression", "people", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in IN_NOTES)],
)
def test_a_small_recipe_of_each_family_learns_two_steps_and_is_checked(name, coco, drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(AtomicIO, "save_checkpoint", lambda *args, **kwargs: None)  # states are large, and not the matter here
    monkeypatch.setattr("poise.training.logging.summary", lambda model, size: "")  # tried in tests/training
    recipe = small(name, coco, drawn)
    few = Subset(recipe.val, range(4))
    later = tuple(replace(stage, epochs=1, train=few, val=few) for stage in recipe.then)
    recipe = replace(recipe, epochs=1, train=few, val=few, then=later)
    before = [p.detach().clone() for p in recipe.model.network.parameters()]
    quiet, steps = Console(quiet=True), 2 * (1 + len(later))
    result = fit(recipe, out=tmp_path, batch=2, device="cpu", precision="fp32", workers=0, steps=steps, console=quiet)
    assert sorted(result.metrics) == ["AP", "loss", "pck@0.1"]
    assert all(math.isfinite(value) for value in result.metrics.values())
    assert result.history[0]["step"] >= 2
    assert any(not torch.equal(a, b) for a, b in zip(before, result.model.network.parameters(), strict=True))
    assert len(result.stages) == {"udp_aid": 2, "people": 3}.get(name, 0)
