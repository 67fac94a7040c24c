import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import poise
from poise.codecs.decoders import read_by
from poise.data.boxes import read_boxes
from poise.errors import CheckpointError, ImageError, InputError, UnknownName
from poise.evaluation.boxes import images_of, measured_rows, person_boxes
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import evaluate
from poise.evaluation.self_test import self_test
from poise.geometry import apply, xyxy_to_xywh
from poise.inference.detect import (
    MAX_ASPECT,
    Detected,
    Detector,
    ModelDetector,
    TorchvisionDetector,
    detect,
    detector_of,
    rows,
)
from poise.inference.request import ImageRequest, Skipped
from poise.inference.settings import InferenceSettings
from poise.inference.stream import find_poses, stream_poses
from poise.metrics.boxes import BOX_NUMBERS, evaluate_boxes
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.postprocess import Detections
from poise.models.rcnn_config import RCNNConfig
from poise.models.rcnn_people import poses_in_boxes
from poise.models.require import require_box_finder
from poise.scenes import Canvas, People
from poise.skeletons import COCO17
from poise.structures import Key, Poses
from poise.transforms.canvas import boxes_to_view, canvas_layout
from poise.weights.model_file import save
from poise.zoo import build
from poise.zoo.rcnn.torchvision_detectors import CocoDetector

SIZES = [(90, 120), (120, 90), (64, 64), (90, 118), (1, 1), (120, 91)]


def setting(model, **wishes) -> InferenceSettings:
    return InferenceSettings.of(model, precision="fp32", **{"flip": False, "workers": 0} | wishes)


EIGHT = [(90, 120), (60, 120), (120, 60)]
"""Sizes that make views of 96x96, 64x96 and 96x64."""


def watched(model, monkeypatch) -> list[int]:
    """How many views the model is shown, each time."""
    seen: list[int] = []
    read = model.read

    def count(images, **how):
        seen.append(len(images))
        return read(images, **how)

    monkeypatch.setattr(model, "read", count)
    return seen


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        (SIZES, [1, 5]),
        (EIGHT[:1] * 8, [8]),
        (EIGHT * 8, [8, 8, 8]),
        (EIGHT * 3 + EIGHT[:1] * 7 + EIGHT[1:] * 2, [2, 5, 5, 8]),
    ],
    ids=["nearly-one-size", "one-size", "three-sizes", "rests"],
)
def test_batches_change_no_answer(model, requests, flip, sizes, batches, monkeypatch):
    seen = watched(model, monkeypatch)
    alone = list(find_poses(model, requests(sizes), setting(model, batch=1, flip=flip)))
    assert seen == [1] * len(sizes)
    seen.clear()
    together = list(find_poses(model, requests(sizes), setting(model, batch=8, flip=flip, workers=2)))
    assert sorted(seen) == batches
    assert [one.poses.key.image_id for one in together] == list(range(len(sizes)))
    for one, other in zip(alone, together, strict=True):
        assert len(one.poses) > 0
        assert one.boxes == list(range(len(one.poses)))
        assert torch.allclose(one.poses.boxes, other.poses.boxes, atol=1e-3)
        assert torch.allclose(one.poses.box_score, other.poses.box_score, atol=1e-5)
        assert torch.allclose(one.poses.pose_score, other.poses.pose_score, atol=1e-5)


def test_boxes_end_at_the_image_and_keypoints_lie_in_them(model, requests):
    for one, (height, width) in zip(find_poses(model, requests(SIZES), setting(model)), SIZES, strict=True):
        poses = one.poses
        assert (poses.boxes >= -1).all()
        assert (poses.boxes <= torch.tensor([width, height, width, height]) + 1).all()
        assert ((poses.xy >= poses.boxes[:, None, :2] - 0.5) & (poses.xy <= poses.boxes[:, None, 2:] + 0.5)).all()
        assert (poses.pose_score.diff() <= 0).all()
        assert not torch.equal(poses.box_score, poses.pose_score)


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (3, 2), (1500, 2000)])
def test_images_of_any_size_are_looked_at(model, size):
    poses = poise.predict(model, np.zeros((*size, 3), np.uint8), precision="fp32")
    assert poses.xy.shape[1:] == (17, 2)
    assert poses.xy.isfinite().all()
    assert poses.boxes.isfinite().all()


def test_boxes_are_refused_by_a_model_that_finds_them(model):
    with pytest.raises(InputError, match="finds people by itself"):
        poise.predict(model, np.zeros((64, 64, 3), np.uint8), boxes=[[1, 2, 30, 40]])


def test_several_readers_read_one_answer(model, requests):
    readers = [model.codec, read_by(model.codec, "cell"), read_by(model.codec, "dark")]
    for each, *alone in zip(
        stream_poses(model, requests(SIZES), setting(model), codecs=readers),
        *(stream_poses(model, requests(SIZES), setting(model), codecs=[one]) for one in readers),
        strict=True,
    ):
        assert len(each) == 3
        for found, [only] in zip(each, alone, strict=True):
            assert torch.equal(found.poses.xy, only.poses.xy)
            assert torch.equal(found.poses.boxes, only.poses.boxes)
            assert found.seconds > 0
        assert not torch.equal(each[0].poses.xy, each[1].poses.xy)


def knowing(model: KeypointRCNN, people: torch.Tensor, boxes: torch.Tensor, size: tuple[int, int], monkeypatch) -> None:
    """Let the model find these people of an image, in each view where they lie there; the second is the better pose."""

    def predict(images, *, flip, sizes):
        answers = []
        for inner in sizes:
            layouts = [canvas_layout(model.preprocess, size, scale) for scale in model.preprocess.scales]
            layout = next(one for one in layouts if one.filled_size == inner)
            there = boxes_to_view(model.preprocess, layout.warp, boxes)
            best = torch.tensor([0.9, 0.6])
            answers.append(People(apply(layout.warp, people).flip(0), torch.ones(2, 17), best, there.flip(0), best.flip(0)))
        return answers

    def read(images, *, flip, sizes, decoders, masks=False):
        return [predict(images, flip=flip, sizes=sizes) for _ in decoders]

    def boxes_alone(images, *, flip, sizes):
        return [Detections(one.boxes.flip(0), one.box_score.flip(0)) for one in predict(images, flip=flip, sizes=sizes)]

    monkeypatch.setattr(model, "read", read)
    monkeypatch.setattr(model, "find", boxes_alone)


@pytest.mark.parametrize("scales", [(1.0,), (1.0, 2.0, 0.5)])
@pytest.mark.parametrize("rule", ["unbiased", "torchvision", "pillow", "detectron2"])
def test_people_and_boxes_come_home_through_the_canvas(model, requests, monkeypatch, scales, rule):
    size = (200, 300)
    people = torch.rand(2, 17, 2) * 60 + torch.tensor([[[20.0, 30.0]], [[180.0, 90.0]]])
    boxes = torch.tensor([[10.0, 20.0, 90.0, 110.0], [170.0, 80.0, 250.0, 160.0]])
    monkeypatch.setattr(model, "preprocess", replace(model.preprocess, scales=scales, rule=rule))
    knowing(model, people, boxes, size, monkeypatch)
    [job] = requests([size])
    [found] = find_poses(model, [job], setting(model, batch=2))
    assert len(found.poses) == 2
    assert torch.allclose(found.poses.xy, people.flip(0), atol=1e-3)
    assert torch.allclose(found.poses.boxes, boxes.flip(0), atol=1e-3)
    assert found.poses.box_score.tolist() == pytest.approx([0.6, 0.9])
    [one] = ModelDetector(model, setting(model)).find([job], skipped=[])
    assert torch.allclose(one.boxes, boxes, atol=1e-3)
    assert one.scores.tolist() == pytest.approx([0.9, 0.6])


@pytest.fixture
def joins(model, monkeypatch):
    """Joins the people of several views as a model of this `RCNNConfig` does."""

    def join(each: list[Poses], **wishes) -> Poses:
        monkeypatch.setattr(model, "config", RCNNConfig(**wishes))
        return model.joined(each)

    return join


def test_of_the_people_of_several_views_the_surer_boxes_stay(joins):
    def poses(boxes, sure, rated):
        n = len(boxes)
        return Poses(
            torch.zeros(n, 17, 2), torch.ones(n, 17), torch.tensor(boxes), torch.tensor(sure), torch.tensor(rated), Key("a")
        )

    first = poses([[0.0, 0, 10, 10], [50.0, 50, 60, 60]], [0.5, 0.9], [0.9, 0.1])
    second = poses([[0.0, 0, 10, 11]], [0.8], [0.2])
    found = joins([first, second], nms=0.5)
    assert found.box_score.tolist() == pytest.approx([0.8, 0.9])
    assert found.pose_score.tolist() == pytest.approx([0.2, 0.1])
    assert len(joins([first, second], nms=0.5, per_image=1)) == 1
    soft = joins([first, second], suppression="soft")
    assert len(soft) == 3, "overlapping people stay, and count less"
    worse = soft.box_score.min().item()
    assert worse == pytest.approx(0.5 * np.exp(-((10 / 11) ** 2) / 0.5), abs=1e-5)
    assert 0.9 * worse / 0.5 == pytest.approx(soft.pose_score[soft.box_score.argmin()].item(), abs=1e-5)


@pytest.mark.parametrize("suppression", ["hard", "soft"])
def test_of_two_poses_that_are_nearly_one_in_several_views_the_better_stays_whatever_their_boxes(joins, suppression):
    xy = 100 * torch.rand(1, 17, 2, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[0.0, 0, 40, 100], [60.0, 0, 100, 100]])

    def poses(box, rated):
        return Poses(xy, torch.ones(1, 17), boxes[box : box + 1], torch.tensor([0.9]), torch.tensor([rated]), Key("a"))

    views = [poses(0, 0.3), poses(1, 0.6)]
    assert len(joins(views, suppression=suppression)) == 2, "boxes apart are two people's"
    found = joins(views, suppression=suppression, keypoint_nms=0.5)
    assert found.pose_score.tolist() == pytest.approx([0.6])
    assert torch.equal(found.boxes, boxes[1:])


def test_scores_below_0_leave_keypoints_where_they_are():
    people = People(
        torch.ones(1, 17, 2), torch.full((1, 17), -3.0), torch.ones(1), torch.tensor([[0.0, 0, 4, 4]]), torch.ones(1)
    )
    assert (poses_in_boxes(people, torch.eye(3, dtype=torch.float64), Key("a"), canvas=Canvas()).xy == 1).all()


@pytest.fixture
def eval_set(tmp_path) -> EvalSet:
    """Two images with a person each, and one with nobody."""
    import cv2

    images, labels = [], []
    rng = np.random.default_rng(0)
    for i, (height, width) in enumerate([(90, 120), (120, 90), (64, 64)], start=1):
        cv2.imwrite(str(tmp_path / f"{i}.png"), rng.integers(0, 255, (height, width, 3), np.uint8))
        images.append({"id": i, "file_name": f"{i}.png", "height": height, "width": width})
        keypoints = np.c_[rng.uniform(22, 58, (17, 2)), np.full(17, 2)].reshape(-1).tolist()
        if i < 3:
            labels.append(
                {"id": i, "image_id": i, "category_id": 7, "bbox": [20, 20, 40, 40], "area": 1600, "keypoints": keypoints}
            )
    document = {
        "images": images,
        "annotations": labels,
        "categories": [{"id": 7, "name": "p", "keypoints": list(COCO17.keypoints)}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(document))
    return EvalSet.of_file(tmp_path / "labels.json", tmp_path, skeleton=COCO17)


def test_evaluation_has_the_numbers_of_both_protocols(model, eval_set):
    found = evaluate(model, eval_set, setting(model))
    assert found.boxes is not None
    assert found.boxes.numbers == evaluate_boxes(eval_set.truth, found.box_results).numbers
    assert len(found.box_results) == len(found.results) > 0
    assert {row["category_id"] for row in found.box_results} == {7}
    assert [f"box {name}" for name in BOX_NUMBERS] == list(found.numbers)[-12:]


def test_labels_through_the_codec_are_what_the_codec_allows(model, eval_set):
    test = self_test(model, eval_set)
    assert test.outside == 0
    assert len(test.errors) == 34
    assert float(test.errors.max()) < 2.0
    assert test.evaluation.boxes is not None
    assert test.evaluation.boxes.numbers["AP"] == pytest.approx(1.0)


class Knows(nn.Module):
    """Answers as torchvision's detectors do: a person and a dog in wide images, a dog in others."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, images):
        self.seen += images
        answers = []
        for image in images:
            person = image.shape[2] > image.shape[1]
            boxes = torch.tensor([[20.0, 20, 60, 60], [1.0, 2, 3, 4], [21.0, 20, 61, 60]])
            labels = torch.tensor([1 if person else 18, 18, 1 if person else 18])
            answers.append({"boxes": boxes, "labels": labels, "scores": torch.tensor([0.4, 0.95, 0.7])})
        return answers


def known() -> TorchvisionDetector:
    return TorchvisionDetector(CocoDetector("knows", Knows(), 1), device=torch.device("cpu"), workers=0)


def test_people_alone_are_taken_of_a_detector_of_torchvisions_the_surest_first(requests):
    detector = known()
    jobs = requests([(90, 120), (120, 90), (1, MAX_ASPECT + 1), (2, 2)])
    found = detect(detector, jobs, min_score=0.0, skipped=[])
    assert [len(one.boxes) for one in found] == [2, 0, 0, 0]
    assert found[0].boxes.tolist() == [[21, 20, 61, 60], [20, 20, 60, 60]]
    assert found[0].scores.tolist() == pytest.approx([0.7, 0.4])
    assert len(detector.network.seen) == 3  # nobody looks at the thin one
    assert float(detector.network.seen[0].max()) <= 1
    assert [len(one.boxes) for one in detect(detector, jobs, min_score=0.5, skipped=[])] == [1, 0, 0, 0]


def refuse() -> torch.Tensor:
    raise ImageError("it is broken")


@pytest.mark.parametrize("which", ["torchvision", "own"])
def test_images_that_cannot_be_used_are_left_out_and_told(model, requests, which):
    detector: Detector = known() if which == "torchvision" else ModelDetector(model, setting(model))
    jobs = requests([(90, 120), (64, 80)])
    jobs[0] = ImageRequest(Key("bad.png", 9), refuse)
    skipped: list[Skipped] = []
    assert [one.key.image_id for one in detect(detector, jobs, min_score=0.0, skipped=skipped)] == [1]
    assert skipped == [Skipped(Key("bad.png", 9), "it is broken")]
    with pytest.raises(ImageError, match="it is broken"):
        detect(detector, jobs[:1], min_score=0.0, skipped=[])


def test_boxes_of_a_data_set_are_of_its_category_and_can_be_evaluated(eval_set):
    found = detect(known(), images_of(eval_set), min_score=0.0, skipped=[])
    boxes = person_boxes(found, eval_set, detector="knows")
    assert list(boxes) == [7]
    assert len(boxes[7]) == 2
    numbers = evaluate_boxes(eval_set.truth, measured_rows(boxes)).numbers
    assert numbers["AR100"] == pytest.approx(0.5)


def test_a_detector_that_finds_nobody_is_told(eval_set):
    with pytest.raises(InputError, match="knows found nobody"):
        person_boxes(detect(known(), images_of(eval_set)[1:], min_score=0.0, skipped=[]), eval_set, detector="knows")


def test_the_file_of_boxes_is_the_usual_one(tmp_path, eval_set):
    found = detect(known(), images_of(eval_set), min_score=0.0, skipped=[])
    written = rows(found, category=7)
    assert [sorted(row) for row in written] == [["bbox", "category_id", "image_id", "score"]] * 2
    assert sorted(rows(found, named=True)[0]) == ["bbox", "category_id", "file_name", "image_id", "score"]
    (tmp_path / "boxes.json").write_text(json.dumps(written))
    back = read_boxes(tmp_path / "boxes.json")
    assert torch.allclose(xyxy_to_xywh(back.boxes[1]), xyxy_to_xywh(found[0].boxes), atol=0.01)


def test_boxes_without_a_size_and_numbers_that_are_none_go():
    one = Detected(
        Key("a"), torch.tensor([[0.0, 0, 0, 5], [0.0, 0, 5, torch.nan], [0.0, 0, 5, 5]]), torch.tensor([0.9, 0.9, 0.2])
    )
    assert one.confident(0.1).boxes.tolist() == [[0, 0, 5, 5]]
    assert len(one.confident(0.3).boxes) == 0


def test_a_model_for_views_of_one_person_is_no_detector(tmp_path):
    made = build("poise_t_coco_192x160", codec="Gaussian")
    with pytest.raises(InputError, match=r"'poise_t_coco_192x160' finds no boxes, so it is no detector; take a Keypoint R-CNN"):
        require_box_finder(made)
    path = save(made, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="finds no boxes"):
        detector_of(str(path))


def test_names_and_files_that_are_none_are_told_with_the_nearest(tmp_path):
    with pytest.raises(UnknownName, match=r"no detector 'fasterrcnn_resnet50'; did you mean 'fasterrcnn_resnet50_fpn'"):
        detector_of("fasterrcnn_resnet50")
    with pytest.raises(CheckpointError, match="there is no model file"):
        detector_of("nowhere.safetensors")
    (tmp_path / "weights.pth").write_bytes(b"no")
    with pytest.raises(CheckpointError, match=r"no \.safetensors file"):
        detector_of(str(tmp_path / "weights.pth"))


def test_a_model_file_is_a_detector(model, tmp_path, eval_set):
    detector = detector_of(str(save(model, tmp_path / "rcnn.safetensors")), precision="fp32", workers=0)
    assert isinstance(detector, ModelDetector)
    assert detector.name == "poise_rcnn_t_coco_96x96"
    found = detect(detector, images_of(eval_set), min_score=0.0, skipped=[])
    straight = evaluate(model, eval_set, setting(model, flip=detector.settings.flip))
    expected = [(row["image_id"], round(row["score"], 4)) for row in straight.box_results]
    assert sorted((one.key.image_id, round(s, 4)) for one in found for s in one.scores.tolist()) == sorted(expected)
