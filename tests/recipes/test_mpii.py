import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console

from poise.data.mat import write_mat
from poise.errors import ReadError
from poise.models.person_scores import FoundPerson
from poise.notes import forget_notes
from poise.recipes.find import recipes
from poise.recipes.mpii import mpii, part
from poise.skeletons import MPII16
from poise.training.fit import fit
from poise.training.task import ModelTask


@pytest.fixture
def data(tmp_path) -> Path:
    """The folders of the usual archives with one person."""
    (tmp_path / "annot").mkdir()
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "1.jpg"), np.zeros((64, 64, 3), np.uint8))
    person = {"image": "1.jpg", "center": [32.0, 32.0], "scale": 0.3, "joints_vis": [1] * 16}
    person["joints"] = np.random.default_rng(0).uniform(5, 60, (16, 2)).tolist()
    (tmp_path / "annot" / "train.json").write_text(json.dumps([person]))
    shutil.copy(tmp_path / "annot" / "train.json", tmp_path / "annot" / "valid.json")
    return tmp_path


@pytest.mark.parametrize(
    ("network", "epochs", "score"), [("poseresnet_50", 140, 0.885), ("hrnet_w32", 210, 0.903), ("lpn_50_gc", 150, 0.886)]
)
def test_the_releases_settings_on_mpii(data, network, epochs, score, imagenet):
    with torch.device("meta"):
        recipe = mpii(data=data, network=network)
    assert recipe.epochs == epochs
    assert (recipe.augmentation.scale, recipe.augmentation.rotation, recipe.augmentation.half_body) == (0.25, 30.0, 0.0)
    assert recipe.model.skeleton.keypoints == recipe.train.skeleton.keypoints == MPII16.keypoints
    assert recipe.expected["mpii-val/PCKh@0.5"] == pytest.approx(score, abs=1e-3)


@pytest.mark.parametrize("network", ["darkpose_hrnet_w32", "udp_hrnet_w32_gaussian", "udp_hrnet_w32_offset"])
def test_dark_and_udp_have_a_network_for_mpii(data, network):
    with torch.device("meta"):
        assert mpii(data=data, network=network, pretrained=False).schedule.milestones == (170, 200)


def test_the_first_batch_is_encoded_and_has_a_loss(data):
    recipe = mpii(data=data, network="lpn_50_gc", size=(64, 64))
    views = ModelTask(recipe.model).train_views(recipe.data, seed=0)
    batch = views.collate([views[(0, 0)]] * 2).batch
    assert recipe.model.codec.encode(batch.xy).isfinite().all()
    assert 0 < recipe.model.loss(batch) < torch.inf


def test_a_missing_part_is_named(data):
    (data / "annot" / "valid.json").unlink()
    with torch.device("meta"), pytest.raises(ReadError, match="no part 'valid' of MPII"):
        mpii(data=data, pretrained=False)


def test_the_recipe_is_found_by_its_name():
    assert recipes()["mpii"] is mpii


@pytest.fixture
def with_heads(data) -> Path:
    """The same with a head box of the person of the validation."""
    rows = json.loads((data / "annot" / "valid.json").read_text())
    rows[0]["head_box"] = [10, 10, 40, 50]
    (data / "annot" / "valid.json").write_text(json.dumps(rows))
    return data


def test_a_run_with_head_boxes_is_chosen_by_pckh_and_prints_the_table_at_each_validation(with_heads, tmp_path):
    recipe = replace(mpii(data=with_heads, network="lpn_50_gc", size=(64, 64), batch=1), epochs=2, val_every=1)
    assert recipe.best == "PCKh@0.5"
    console = Console(record=True, width=200, file=io.StringIO())
    result = fit(recipe, out=tmp_path / "run", device="cpu", precision="fp32", workers=0, loggers=(), console=console)
    said = console.export_text().splitlines()
    heads = [line for line in said if line.startswith("| Arch | Head | Shoulder | Elbow | Wrist | Hip | Knee | Ankle | Mean |")]
    assert len(heads) == 2
    assert set(result.metrics) == {"PCKh@0.5", "Mean@0.1", "pck@0.1", "AP", "loss"}
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").read_text().splitlines()))
    assert max(float(row["val/PCKh@0.5"]) for row in rows) == pytest.approx(result.metrics["PCKh@0.5"])


def test_perfect_poses_have_a_pckh_of_1_and_people_without_a_head_do_not_count(with_heads):
    rows = json.loads((with_heads / "annot" / "valid.json").read_text())
    (with_heads / "annot" / "valid.json").write_text(json.dumps([*rows, {**rows[0], "head_box": None}]))
    recipe = mpii(data=with_heads, network="lpn_50_gc", size=(64, 64))
    task = recipe.task(recipe.model)
    truth = task.truth(recipe.val)
    assert truth.size.tolist() == [30.0, 0.0]
    perfect = {i: FoundPerson(xy, torch.ones(16)) for i, xy in enumerate(truth.people.people.xy)}
    wrong = {**perfect, 1: FoundPerson(perfect[1].xy + 1000, torch.ones(16))}
    assert task.score(truth, perfect)["PCKh@0.5"] == task.score(truth, wrong)["PCKh@0.5"] == 1.0
    moved = {**perfect, 0: FoundPerson(perfect[0].xy + 15.1, torch.ones(16))}
    assert task.score(truth, moved)["PCKh@0.5"] == 0.0
    assert task.keypoint_scores(truth, perfect)["PCKh/Head"] == 1.0


def test_without_head_boxes_the_run_is_chosen_by_pck_and_that_is_said(data, capsys):
    forget_notes()
    with torch.device("meta"):
        recipe = mpii(data=data, network="lpn_50_gc", size=(64, 64))
    assert recipe.best == "pck@0.1"
    assert "has no head boxes" in capsys.readouterr().err


def test_head_boxes_beside_the_labels_are_found(data):
    pytest.importorskip("scipy", reason="scipy reads MATLAB files")
    write_mat(data / "annot" / "gt_valid.mat", {"headboxes_src": np.array([[[5.0], [5.0]], [[25.0], [30.0]]])})
    assert part(data, "valid").all_heads.tolist() == [[4.0, 4.0, 24.0, 29.0]]
    assert part(data, "train").all_heads is None
