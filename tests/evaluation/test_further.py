"""Measures of `poise evaluate --measure`: AUC, EPE, NME, AP by VOC's rules, F1 and the confusion matrix; soft OKS-NMS."""

import json

import cv2
import numpy as np
import pytest
import torch

from poise.cli.main import main
from poise.data.figures import FigureDataset
from poise.errors import InputError, SkeletonMismatch, UnknownName
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.further import Found, box_curve, check_further, measure_further
from poise.metrics.coco_format import to_coco_results
from poise.metrics.measure_names import FurtherMeasure, parse_further
from poise.metrics.oks import pose_oks
from poise.metrics.pck import auc
from poise.models.values import Rescoring
from poise.weights.model_file import save
from poise.zoo import build


@pytest.fixture(scope="module")
def drawn():
    """Six drawings of one person, with poses 3 pixels aside; the poses of two drawings are far off."""
    eval_set = EvalSet.of_dataset(FigureDataset(6, per_image=(1, 1), seed=0))
    positions = [eval_set.dataset.labels(i).xy + torch.tensor([3.0 if i < 4 else 300.0, 0]) for i in range(6)]
    rows = []
    for i, xy in enumerate(positions):
        score = torch.tensor([0.9 - 0.1 * i])
        ones = torch.ones(1, dtype=torch.int64)
        rows += to_coco_results(xy, torch.ones(xy.shape[:2]), score, image=eval_set.ids[i], categories=ones)
    return eval_set, Found(positions, rows)


def value(drawn, text):
    eval_set, found = drawn
    [scores] = measure_further(parse_further([text]), eval_set, found)
    return scores


def test_errors_in_pixels_and_in_units_are_means_over_labelled_keypoints(drawn):
    eval_set, found = drawn
    seen = (eval_set.dataset.all_labels.visible > 0).sum(dim=1).tolist()
    mean = (3 * sum(seen[:4]) + 300 * sum(seen[4:])) / sum(seen)
    assert value(drawn, "epe").numbers == {"epe": pytest.approx(mean)}
    assert value(drawn, "nme:10px").numbers == {"nme:10px": pytest.approx(mean / 10)}
    labels = eval_set.dataset.all_labels
    area = auc(torch.cat(list(found.positions)), labels, size=30.0)
    assert value(drawn, "auc:30px").numbers == {"auc:30px": pytest.approx(area)}
    assert 0 < area < 1


def test_the_distance_of_two_keypoints_is_a_unit(drawn):
    labels = drawn[0].dataset.all_labels
    ends = [drawn[0].skeleton.index(name) for name in ("left_shoulder", "right_shoulder")]
    width = (labels.xy[:, ends[0]] - labels.xy[:, ends[1]]).norm(dim=-1).double()
    both = (labels.visible[:, ends] > 0).all(dim=1)
    seen = (labels.visible > 0).sum(dim=1)
    off = torch.tensor([3.0] * 4 + [300.0] * 2, dtype=torch.float64)
    expected = ((off / width * seen)[both].sum() / seen[both].sum()).item()
    name = "nme:left_shoulder/right_shoulder"
    assert value(drawn, name).numbers == {name: pytest.approx(expected)}


def test_keypoints_without_a_position_are_no_error_of_zero_and_are_told(drawn):
    eval_set, found = drawn
    positions = [xy if i < 4 else torch.full_like(xy, torch.nan) for i, xy in enumerate(found.positions)]
    [scores] = measure_further(parse_further(["epe"]), eval_set, Found(positions, found.poses))
    assert scores.numbers == {"epe": pytest.approx(3)}
    assert "labelled keypoints were not found and do not count" in scores.note


def test_average_precision_by_vocs_rules_from_poses(drawn):
    # four of six people are found by the four best poses: recall 4/6 at precision 1
    numbers = value(drawn, "voc").numbers
    assert numbers["voc@0.5 all points"] == pytest.approx(4 / 6)
    assert numbers["voc@0.5 11 points"] == pytest.approx(7 / 11)
    assert numbers["voc@0.5 101 points"] == pytest.approx(67 / 101)


def test_f1_and_the_confusion_matrix_at_a_score(drawn):
    found = value(drawn, "f1:0.65@0.75").numbers
    name = "f1:0.65@0.75"
    assert [found[f"{name} {part} {kind}"] for part in ("true", "false") for kind in ("positives",)] == [3, 0]
    assert found[f"{name} false negatives"] == 3
    assert found[f"{name} recall"] == 0.5
    assert found[f"{name} F1"] == pytest.approx(2 / 3)
    best = value(drawn, "f1")
    assert best.numbers["f1@0.5 score"] == pytest.approx(0.6)
    assert best.numbers["f1@0.5 F1"] == pytest.approx(0.8)
    assert "highest F1 on these very labels" in best.note


def test_boxes_are_matched_as_in_the_devkit_and_crowds_are_difficult():
    box = {"image_id": 1, "category_id": 1, "area": 5000}
    people = [
        box | {"bbox": [480, 457, 36, 73]},
        box | {"bbox": [637, 435, 40, 102]},
        box | {"bbox": [0, 0, 50, 50], "iscrowd": 1},
    ]
    truth = {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": people}
    corners = [[641, 439, 670, 532], [484, 455, 514, 519], [649, 479, 670, 531], [0, 0, 49, 49]]
    scores = (0.972, 0.9113, 0.8505, 0.5)
    found = [
        {"image_id": 1, "category_id": 1, "bbox": [x0, y0, x1 - x0 + 1, y1 - y0 + 1], "score": s}
        for (x0, y0, x1, y1), s in zip(corners, scores, strict=True)
    ]
    curve = box_curve(truth, found, FurtherMeasure("voc", overlap=0.7))
    assert curve.precision.tolist() == pytest.approx([0, 0.5, 1 / 3])  # the crowd's box does not count
    assert curve.recall.tolist() == [0, 0.5, 0.5]


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("auk", UnknownName, "there is no measure 'auk'; did you mean 'auc'"),
        ("auc:torsos", UnknownName, "unit of PCK 'torsos'"),
        ("auc:map", InputError, "only PCK is measured on maps"),
        ("epe:box", InputError, "found 'epe:box'"),
        ("f1:high", InputError, "the least score of f1 is a number"),
        ("voc@0.52", InputError, "an OKS or IoU of 0.5, 0.55"),
        ("nme@0.5", InputError, "found 'nme@0.5'"),
    ],
)
def test_what_is_no_measure_is_told(text, error, says):
    with pytest.raises(error, match=says):
        parse_further([text])


def test_what_the_labels_do_not_tell_is_refused_before_anything_slow(drawn):
    with pytest.raises(InputError, match="needs head boxes"):
        check_further(parse_further(["nme:head"]), drawn[0])
    with pytest.raises(SkeletonMismatch, match="no keypoint 'tail'"):
        check_further(parse_further(["nme:nose/tail"]), drawn[0])
    with pytest.raises(InputError, match="epe measures keypoints, and none are found"):
        check_further(parse_further(["epe"]), drawn[0], keypoints=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two images of noise with a person each, and detections of the first, two of them alike."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    people = []
    for i in (1, 2):
        cv2.imwrite(str(folder / f"{i}.png"), rng.integers(0, 255, (100, 100, 3), np.uint8))
        keypoints = np.c_[rng.uniform(20, 80, (17, 2)), np.full(17, 2)].reshape(-1).tolist()
        people.append(
            {"id": i, "image_id": i, "category_id": 1, "bbox": [10, 10, 80, 80], "area": 4000, "keypoints": keypoints}
        )
    images = [{"id": i, "file_name": f"{i}.png", "width": 100, "height": 100} for i in (1, 2)]
    category = {"id": 1, "name": "person", "keypoints": list(build("poise_t_coco_64x64").skeleton.keypoints)}
    (folder / "l.json").write_text(json.dumps({"images": images, "annotations": people, "categories": [category]}))
    boxes = [[10, 10, 80, 80], [10, 10, 80, 81], [40, 40, 50, 50]]
    rows = [{"image_id": 1, "category_id": 1, "bbox": box, "score": 0.9 - 0.1 * i} for i, box in enumerate(boxes)]
    (folder / "boxes.json").write_text(json.dumps(rows))
    return ["--annotations", str(folder / "l.json"), "--images", str(folder), "--no-flip"], folder


def test_the_flag_prints_and_writes_every_measure(files, tmp_path, capsys):
    words, folder = files
    model = str(save(build("poise_t_coco_64x64"), folder / "m.safetensors"))
    out, report = tmp_path / "r.json", tmp_path / "r.html"
    more = ["--measure", "auc:30px,epe,nme,voc,f1:0", "--out", str(out), "--report", str(report)]
    assert main(["evaluate", model, *words, *more]) == 0
    said = capsys.readouterr().out
    scores = json.loads((tmp_path / "r.scores.json").read_text())["scores"]
    for name in ("auc:30px", "epe", "nme:box", "voc@0.5 11 points", "voc@0.5 all points", "f1:0@0.5 false negatives"):
        assert f"{name}: " in said
        assert name in scores
        assert name in report.read_text(encoding="utf-8")


def test_a_detector_is_measured_by_its_boxes_alone(files, capsys):
    words, folder = files
    detector = build("poise_rcnn_t_coco_64x64")
    model = str(save(detector, folder / "d.safetensors"))
    assert main(["evaluate", model, *words, "--measure", "voc@0.75", "--side", "64"]) == 0
    said = capsys.readouterr().out
    assert "\nvoc@0.75 11 points: " in said
    assert "\nbox voc@0.75 11 points: " in said


def test_soft_oks_nms_keeps_duplicates_as_the_release_does_and_may_lower_their_scores(files, tmp_path):
    words, folder = files
    torch.manual_seed(0)
    model = str(save(build("poise_t_coco_64x64"), folder / "m.safetensors"))
    found = {}
    for how in ("0.01", "off", "soft", "soft:0.01", "soft-lowered:0.01", "soft-linear-lowered:0.01"):
        out = tmp_path / "r.json"
        more = ["--boxes", str(folder / "boxes.json"), "--oks-nms", how, "--out", str(out), "--min-keypoint-score", "-9"]
        assert main(["evaluate", model, *words, *more]) == 0
        found[how] = sorted((row["score"] for row in json.loads(out.read_text())), reverse=True)
        told = json.loads((tmp_path / "r.scores.json").read_text())["settings"]["duplicates"]
        assert told.startswith("soft OKS-NMS" if how.startswith("soft") else "O" if how == "0.01" else "off")
    assert len(found["0.01"]) < 3
    assert found["soft"] == found["soft:0.01"] == found["off"]
    assert found["soft-lowered:0.01"][0] == found["off"][0]
    assert sum(found["soft-linear-lowered:0.01"]) < sum(found["off"])
    assert sum(found["soft-lowered:0.01"]) < sum(found["off"])


def test_lowered_scores_are_those_of_the_decay():
    xy = torch.rand(3, 17, 2, generator=torch.Generator().manual_seed(0)) * 20
    similar = pose_oks(xy, torch.full((3,), 4000.0), (0.05,) * 17)
    score = torch.tensor([0.5, 0.9, 0.4])
    index, lowered = Rescoring(oks_nms=0.5, soft="gauss", lowered=True).kept(similar, score)
    assert index[0] == 1
    assert lowered[0] == score[1]
    second = int(index[1])
    assert float(lowered[1]) == pytest.approx(float(score[second] * torch.exp(-(similar[1, second] ** 2) / 0.5)))


@pytest.mark.parametrize("text", ["2", "soft:2", "softer", "soft-linear:x", "0.5-lowered"])
def test_what_is_no_treatment_of_duplicates_is_told(text):
    with pytest.raises(InputError, match='--oks-nms is a number from 0 to 1, or "off", or "soft"'):
        Rescoring().with_nms(text)
