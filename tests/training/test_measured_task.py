"""PCK by thresholds and units in a validation: on maps as the releases of animals do, by torso, by box."""

import io
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from poise.errors import InputError
from poise.evaluation.measures import map_pck
from poise.metrics.measure_names import PCKMeasure, parse_measures
from poise.training.data import ResumableSampler, loader
from poise.training.fit import fit
from poise.training.measured_task import MeasuredTask, measured
from poise.training.result import read_csv
from poise.training.task import ModelTask
from poise.zoo import build

pytestmark = pytest.mark.usefixtures("one_thread")

MAP, BOX = PCKMeasure(0.3, "map"), PCKMeasure(0.1, "box")


def validated(task, dataset):
    views = task.val_views(dataset, seed=0)
    found, losses = {}, []
    with torch.no_grad():
        task.model.eval()
        for loaded in loader(views, ResumableSampler(len(views), 4, seed=None), workers=0, pin=False):
            parts, people = task.validate(loaded.batch)
            losses.append({name: float(part) for name, part in parts.items()})
            found.update(zip(loaded.indices, people, strict=True))
    return found, losses


def test_a_validation_measures_what_an_evaluation_does(tiny):
    model, dots = tiny.recipe().model, tiny.Dots(10, seed=1)
    task, plain = MeasuredTask(model, [MAP, BOX]), ModelTask(model)
    truth = task.truth(dots)
    found, losses = validated(task, dots)
    usual, same = validated(plain, dots)
    assert losses == same
    scores = task.score(truth, found)
    assert tuple(scores) == task.val_scores
    assert {name: scores[name] for name in plain.val_scores} == plain.score(truth, usual)
    assert scores["pck@0.1:box"] == scores["pck@0.1"]
    evaluated = map_pck([MAP], model, dots)[MAP]
    assert scores["pck@0.3:map"] == evaluated.counts.mean
    each = task.keypoint_scores(truth, found)
    for name, share in zip(dots.skeleton.keypoints, evaluated.counts.keypoints, strict=True):
        assert each[f"pck@0.3:map/{name}"] == share
    assert 0 < scores["pck@0.3:map"] < 1


def test_a_run_logs_them_and_may_choose_by_them(tiny, tmp_path):
    recipe = replace(tiny.recipe(tiny.Tiny(people=16, epochs=2)), task=measured([MAP]), best="pck@0.3:map")
    here = {"device": "cpu", "precision": "fp32", "workers": 0, "loggers": ()}
    result = fit(recipe, out=tmp_path / "run", console=Console(quiet=True, file=io.StringIO()), **here)
    rows = read_csv(tmp_path / "run" / "metrics.csv")
    assert max(row["val/pck@0.3:map"] for row in rows) == result.metrics["pck@0.3:map"]


def test_what_a_validation_cannot_measure_is_told(tiny):
    model = tiny.recipe().model
    with pytest.raises(InputError, match=r"a validation measures by box, torso, map, not pck@0\.5:head"):
        MeasuredTask(model, parse_measures(["0.5:head"]))
    with pytest.raises(InputError, match="has no left_shoulder"):
        MeasuredTask(model, parse_measures(["0.2:torso"])).truth(tiny.Dots(2))
    with pytest.raises(InputError, match="looks at whole images"):
        MeasuredTask(build("poise_scene_t_coco_128x128"), [MAP])
    with pytest.raises(InputError, match="one heatmap for each keypoint, and SimCC"):
        MeasuredTask(build("poise_t_coco_64x64", codec="SimCC"), [MAP])
