"""Scores of keypoints become probabilities, and people are ranked by them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from poise.analysis import calibration
from poise.analysis.calibration import calibrate, fit_platt
from poise.cli.main import main
from poise.data.figures import FigureDataset, write_coco
from poise.errors import InputError
from poise.evaluation.eval_set import EvalSet
from poise.inference.request import ImagePoses
from poise.inference.settings import InferenceSettings
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.rcnn_config import Calibration, RCNNConfig
from poise.structures import Poses
from poise.weights.model_file import load, save
from poise.zoo import build
from poise.zoo.rcnn.poise_rcnn import small_detector

COUNT = 8


def test_the_calibration_that_generated_the_scores_is_recovered():
    generator = torch.Generator().manual_seed(0)
    score = 4 + 6 * torch.randn(20000, generator=generator)
    made = Calibration(middle=5.0, width=2.0)
    right = torch.rand(20000, generator=generator) < made(score)
    found = fit_platt(score, right)
    assert found.middle == pytest.approx(5.0, abs=0.15)
    assert found.width == pytest.approx(2.0, abs=0.1)


def test_scores_that_separate_right_from_wrong_give_a_small_finite_width():
    score = torch.cat((torch.linspace(0, 0.4, 40), torch.linspace(0.6, 1, 40)))
    found = fit_platt(score, score > 0.5)
    assert found.middle == pytest.approx(0.5, abs=0.01)
    assert 0 < found.width < 0.1
    likely = found(torch.tensor([0.0, 1.0]))
    assert likely[0] < 0.03
    assert likely[1] > 0.97


@pytest.mark.parametrize(
    ("score", "right", "words"),
    [
        (torch.linspace(0, 1, 20), torch.arange(20) > 10, "at least 50"),
        (torch.ones(80), torch.arange(80) > 10, "differ"),
        (torch.cat((torch.linspace(0, 1, 79), torch.tensor([torch.nan]))), torch.arange(80) > 10, "finite"),
        (torch.linspace(0, 1, 80), torch.arange(80) < 40, "do not rise"),
    ],
)
def test_scores_without_information_are_refused(score, right, words):
    with pytest.raises(InputError, match=words):
        fit_platt(score, right)


@pytest.fixture(scope="module")
def figures() -> FigureDataset:
    return FigureDataset(COUNT, size=(128, 128), per_image=(2, 3), seed=3)


@pytest.fixture
def model() -> KeypointRCNN:
    torch.manual_seed(0)
    return small_detector("t", size=(128, 128))


@pytest.fixture
def guessing(monkeypatch, figures):
    """In place of the network: everybody found as they are, and with half of the keypoints far off in a surer box.

    Scores are logits around 3 where a keypoint is right, around -3 where it is wrong.
    """
    asked: list[RCNNConfig] = []

    def found(model, requests, setting, *, skipped):
        asked.append(model.config)
        generator = torch.Generator().manual_seed(1)
        for index, request in enumerate(requests):
            labels = figures.labels(index)
            xy, boxes = labels.xy.repeat(2, 1, 1), labels.boxes.repeat(2, 1)
            people = len(labels.xy)
            wrong = torch.zeros(xy.shape[:2], dtype=torch.bool)
            wrong[people:] = torch.rand(people, xy.shape[1], generator=generator) < 0.5
            xy = xy + 60 * wrong[..., None]
            score = torch.where(wrong, -3.0, 3.0) + 1.5 * torch.randn(wrong.shape, generator=generator)
            box = torch.tensor([0.6] * people + [0.9] * people)
            yield ImagePoses(request.read(), Poses(xy, score, boxes, box, box, request.key), list(range(len(xy))))

    monkeypatch.setattr(calibration, "find_poses", found)
    return asked


def test_people_are_ranked_by_calibrated_keypoint_scores(guessing, model, figures):
    before = model.config
    setting = InferenceSettings.of(model, device="cpu", workers=0)
    found = calibrate(model, EvalSet.of_dataset(figures), setting)
    assert guessing == [replace(before, keypoint_score="raw", rating="box")]
    assert model.config == before
    assert found.calibration(torch.tensor([-3.0, 3.0])).round().tolist() == [0.0, 1.0]
    assert 0.7 < found.right < 0.8
    assert found.errors[1] < 0.8 * found.errors[0]
    by_box, by_keypoints = found.ap["box"], found.ap["keypoints"]
    assert by_box[0] == by_box[1]
    assert by_keypoints[1] > by_box[1] + 0.1
    assert by_keypoints[1] == pytest.approx(1.0)
    assert found.best in ("keypoints", "product")


def test_the_command_writes_a_model_that_ranks_so(guessing, model, figures, tmp_path: Path, capsys):
    file, out = save(model, tmp_path / "model.safetensors"), tmp_path / "calibrated.safetensors"
    labels = write_coco(figures, tmp_path / "drawings")
    words = [str(file), "--annotations", str(labels), "--images", str(labels.parent / "images"), "--workers", "0"]
    assert main(["calibrate", *words, "--out", str(out), "--rating", "keypoints"]) == 0
    told = capsys.readouterr().out
    assert "people are ranked by keypoints" in told
    after = load(out)
    assert isinstance(after, KeypointRCNN)
    assert after.config.rating == "keypoints"
    assert after.config.calibration is not None
    assert f"({after.config.calibration.middle:.4g} - score)" in told
    assert torch.equal(after.network.box.head.reader.cls_score.weight, model.network.box.head.reader.cls_score.weight)


def test_the_command_takes_detectors_with_keypoints_alone(figures, tmp_path: Path, capsys):
    other = save(build("poise_t_coco_128x96"), tmp_path / "other.safetensors")
    labels = write_coco(figures, tmp_path / "drawings")
    out = tmp_path / "out.safetensors"
    words = [str(other), "--annotations", str(labels), "--images", str(labels.parent / "images"), "--out", str(out)]
    assert main(["calibrate", *words]) == 1
    assert "needs a detector that finds boxes and keypoints" in capsys.readouterr().err
    assert not out.exists()


def test_a_wrong_file_ending_is_refused_before_anything_is_measured(model, figures, tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr("poise.analysis.calibration.calibrate", lambda *_, **__: pytest.fail("measured"))
    file = save(model, tmp_path / "model.safetensors")
    labels = write_coco(figures, tmp_path / "drawings")
    words = [str(file), "--annotations", str(labels), "--images", str(labels.parent / "images")]
    assert main(["calibrate", *words, "--out", str(tmp_path / "calibrated.pt")]) == 1
    assert "--out names a file that ends in .safetensors; found" in capsys.readouterr().err
