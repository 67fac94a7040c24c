import copy
import json

import cv2
import numpy as np
import pytest
import torch

from poise.cli._print import print_parts
from poise.data.naming import naming_of
from poise.errors import AnnotationError, ImageError, InputError, SkeletonMismatch
from poise.evaluation.boxes import detections
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import evaluate
from poise.evaluation.protocols import release_boxes
from poise.evaluation.self_test import self_test
from poise.geometry import xyxy_to_xywh
from poise.inference.settings import InferenceSettings
from poise.models.values import Rescoring
from poise.skeletons.wholebody import FIELDS, WHOLEBODY133
from poise.terminal import Console
from poise.zoo.simple_baselines import poseresnet

NAMES = ["red", "green", "blue"]


def document(dots, count: int = 4) -> dict:
    """Two people in every image, the same in all; ids and names from 1."""
    images = [{"id": i, "file_name": f"{i}.png", "width": 320, "height": 240} for i in range(1, count + 1)]
    boxes = xyxy_to_xywh(torch.tensor(dots.boxes)).tolist()
    people = [
        {
            "id": 2 * image["id"] + row,
            "image_id": image["id"],
            "category_id": 1,
            "bbox": boxes[row],
            "area": boxes[row][2] * boxes[row][3],
            "iscrowd": 0,
            "num_keypoints": 3,
            "keypoints": np.c_[dots.people[row], [2, 1, 2]].reshape(-1).tolist(),
        }
        for image in images
        for row in (0, 1)
    ]
    return {"images": images, "annotations": people, "categories": [{"id": 1, "name": "dots", "keypoints": NAMES}]}


@pytest.fixture
def folder(dots, tmp_path):
    """`write(document)` gives the annotation file; the images lie beside it."""
    for i in range(1, 5):
        cv2.imwrite(str(tmp_path / f"{i}.png"), dots.picture(dots.people)[..., ::-1])

    def write(content, name="labels.json"):
        (tmp_path / name).write_text(json.dumps(content))
        return tmp_path / name

    write.path = tmp_path
    return write


def eval_set(folder, content, model) -> EvalSet:
    return EvalSet.of_file(folder(content), folder.path, skeleton=model.skeleton)


def quick(model) -> InferenceSettings:
    return InferenceSettings.of(model, precision="fp32", flip=False)


def test_a_model_that_sees_everything_scores_1(dots, folder):
    model = dots.model()
    seen = []
    found = evaluate(model, eval_set(folder, document(dots), model), quick(model), watch=lambda s, n: seen.append(n) or s)
    assert found.numbers["AP"] == found.numbers["AR"] == found.numbers["pck@0.05"] == 1
    assert found.keypoints["green"] == {"pck@0.05": 1.0, "pck@0.1": 1.0, "pck@0.2": 1.0, "AP": 1.0, "AR": 1.0}
    assert len(found.results) == 8
    assert set(found.results[0]) == {"image_id", "category_id", "keypoints", "score"}
    assert seen == [4]


def test_keypoints_are_joined_by_name_in_the_order_of_the_file(dots, folder):
    model = dots.model()
    content = document(dots)
    content["categories"][0]["keypoints"] = ["blue", "red"]
    for person in content["annotations"]:
        red, blue = person["keypoints"][0:3], person["keypoints"][6:9]
        person["keypoints"] = blue + red
    found = evaluate(model, eval_set(folder, content, model), quick(model))
    assert found.numbers["AP"] == 1
    assert list(found.keypoints) == ["blue", "red"]
    assert len(found.results[0]["keypoints"]) == 6


def test_a_keypoint_the_model_does_not_know_is_refused_by_name(dots, folder):
    content = document(dots)
    content["categories"][0]["keypoints"] = ["red", "green", "tail"]
    model = dots.model()
    with pytest.raises(SkeletonMismatch, match="has no tail, which the annotations ask for"):
        evaluate(model, eval_set(folder, content, model), quick(model))


def test_keypoints_that_both_have_are_scored_alone_where_that_is_wanted(dots, folder, capsys):
    model, content = dots.model(), document(dots)
    content["categories"][0]["keypoints"] = ["tail", "red", "blue"]
    content["annotations"] = [
        a | {"keypoints": [9, 9, 2, *a["keypoints"][:3], *a["keypoints"][6:]]} for a in content["annotations"]
    ]
    shared = eval_set(folder, content, model).shared_with(model.skeleton)
    assert "2 of 3 labelled keypoints are scored; the model does not find tail" in capsys.readouterr().err
    found = evaluate(model, shared, quick(model))
    assert found.numbers["AP"] == pytest.approx(1.0)
    assert found.pck["pck@0.05"] == 1.0
    assert shared.shared_with(model.skeleton) is shared
    content["categories"][0]["keypoints"] = ["tail", "paw", "ear"]
    with pytest.raises(SkeletonMismatch):
        eval_set(folder, content, model).shared_with(model.skeleton)


def test_categories_without_names_of_keypoints_are_read_as_the_models(dots, folder):
    content = document(dots)
    del content["categories"][0]["keypoints"]
    model = dots.model()
    assert evaluate(model, eval_set(folder, content, model), quick(model)).numbers["AP"] == 1


def test_each_category_is_scored_in_its_own_keypoints(dots, folder):
    content = document(dots)
    content["categories"] = [
        {"id": 1, "name": "all", "keypoints": NAMES},
        {"id": 7, "name": "two", "keypoints": ["blue", "green"]},
    ]
    for person in content["annotations"][1::2]:
        person["category_id"] = 7
        person["keypoints"] = person["keypoints"][6:9] + person["keypoints"][3:6]
    model = dots.model()
    found = evaluate(model, eval_set(folder, content, model), quick(model))
    assert {name: numbers["AP"] for name, numbers in found.coco.categories.items()} == {"all": 1.0, "two": 1.0}
    assert {r["category_id"]: len(r["keypoints"]) for r in found.results} == {1: 9, 7: 6}


def boxes_file(dots, folder, *, images=(1, 2, 3, 4)):
    boxes = xyxy_to_xywh(torch.tensor(dots.boxes)).tolist()
    rows = [{"image_id": i, "category_id": 1, "bbox": b, "score": 0.9 - 0.5 * k} for i in images for k, b in enumerate(boxes)]
    rows += [{"image_id": i, "category_id": 1, "bbox": [b + 1 for b in boxes[0]], "score": 0.3} for i in images]
    rows += [{"image_id": 1, "category_id": 1, "bbox": [900, 900, 20, 20], "score": 0.5}]
    return folder(rows, "boxes.json")


def test_doubles_are_removed_and_boxes_below_a_score_left_out(dots, folder):
    model = dots.model()
    task = eval_set(folder, document(dots), model)
    path = boxes_file(dots, folder)
    every = evaluate(model, task, quick(model), boxes=detections(path, task, min_score=0.0))
    kept = evaluate(model, task, quick(model), boxes=detections(path, task, min_score=0.0), rescoring=Rescoring(0.2, None))
    best = evaluate(model, task, quick(model), boxes=detections(path, task, min_score=0.5))
    assert [len(e.results) for e in (every, kept, best)] == [8, 12, 4]
    assert every.numbers["AP"] == 1
    assert every.numbers["pck@0.1"] == 1
    assert every.lost_boxes == 1
    assert best.numbers["AR"] == best.numbers["pck@0.1"] == 0.5
    assert all(0.85 < r["score"] <= 0.9 for r in best.results)


def test_boxes_of_other_images_are_refused(dots, folder):
    content = document(dots)
    content["images"] = content["images"][1:]
    content["annotations"] = content["annotations"][2:]
    task = eval_set(folder, content, dots.model())
    for images, least in (((99,), 0.0), ((1, 2), 0.95)):
        with pytest.raises(InputError, match="do both files belong together"):
            detections(boxes_file(dots, folder, images=images), task, min_score=least)


def test_a_broken_image_is_skipped_and_its_people_count_as_missed(dots, folder):
    (folder.path / "2.png").write_bytes(b"no image")
    model = dots.model()
    found = evaluate(model, eval_set(folder, document(dots), model), quick(model))
    assert [s.key.file_name for s in found.skipped] == ["2.png"]
    assert found.numbers["AR"] == found.numbers["pck@0.1"] == 0.75
    assert len(found.results) == 6


def test_crowds_and_people_without_labels_are_not_looked_for(dots, folder):
    content = document(dots)
    content["annotations"][0]["iscrowd"] = 1
    content["annotations"][3]["keypoints"] = [0] * 9
    content["annotations"][3]["num_keypoints"] = 0
    model = dots.model()
    found = evaluate(model, eval_set(folder, content, model), quick(model))
    assert len(found.results) == 6
    assert found.numbers["AP"] == found.numbers["pck@0.1"] == 1


def test_annotations_that_cannot_be_scored_against_are_refused(dots, folder):
    model = dots.model()
    content = document(dots)
    content["annotations"][0]["area"] = -3
    with pytest.raises(AnnotationError, match="an area of -3"):
        evaluate(model, eval_set(folder, content, model), quick(model))
    assert model.network.calls == []  # told before hours of work
    with pytest.raises(InputError, match="nobody to score"):
        evaluate(model, eval_set(folder, document(dots) | {"annotations": []}, model), quick(model))


@pytest.mark.parametrize("rule", ["unbiased", "udp"])
def test_labels_through_the_codec_score_1(dots, folder, rule):
    model = dots.model(crop=rule)
    test = self_test(model, eval_set(folder, document(dots), model))
    assert test.evaluation.numbers["AP"] == test.codec_ap == 1
    assert test.outside == 0
    assert len(test.errors) == 24
    assert test.errors.max() < model.codec.tolerance


def test_the_self_test_tells_the_cost_of_the_crop_from_that_of_the_codec(dots, folder):
    content = copy.deepcopy(document(dots))
    for person in content["annotations"]:
        person["keypoints"][0] -= 300
    model = dots.model()
    test = self_test(model, eval_set(folder, content, model))
    assert test.outside == 8
    assert test.evaluation.numbers["AP"] < 0.5
    assert test.codec_ap == 1


def test_any_data_set_can_be_an_exam(dots, folder):
    model = dots.model()
    dataset = eval_set(folder, document(dots), model).dataset
    assert evaluate(model, EvalSet.of_dataset(dataset), quick(model)).numbers["AP"] == 1


def test_an_image_that_is_missing_from_the_folder_is_skipped_not_fatal(dots, folder):
    (folder.path / "1.png").unlink()
    model = dots.model()
    task = eval_set(folder, document(dots), model)
    assert len(evaluate(model, task, quick(model)).skipped) == 1
    with pytest.raises(ImageError):
        task.dataset.image(0)


def test_release_boxes_are_cut_and_a_pixel_shorter_and_ours_stay():
    boxes = torch.tensor([[-5.0, 10.0, 50.0, 60.0], [10.0, 10.0, 400.0, 300.0], [900.0, 10.0, 950.0, 60.0]])
    assert release_boxes(boxes, "unbiased", size=(240, 320)) is boxes
    cleaned = release_boxes(boxes, "hrnet", size=(240, 320))
    assert cleaned.tolist() == [[0, 10, 54, 59], [10, 10, 319, 239], [900, 10, 950, 60]]
    assert release_boxes(boxes, "dark", size=None)[1].tolist() == [10, 10, 400, 300]


def suppressed(rows: list[dict], areas: list[float], sigma: float, threshold: float) -> list[dict]:
    """HRNet's oks_nms in plain loops, as its release reads: best first, whoever is nearer than the threshold goes."""
    order = sorted(range(len(rows)), key=lambda i: -rows[i]["score"])
    kept = []
    while order:
        best, *rest = order
        kept.append(rows[best])
        near = []
        for other in rest:
            one, two = (np.array(rows[i]["keypoints"]).reshape(-1, 3) for i in (best, other))
            squares = ((one - two)[:, :2] ** 2).sum(axis=1)
            exponent = squares / (2 * sigma) ** 2 / ((areas[best] + areas[other]) / 2) / 2
            near.append(np.exp(-exponent).mean() > threshold)
        order = [other for other, gone in zip(rest, near, strict=True) if not gone]
    return kept


@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.9])
def test_detections_are_rated_and_thinned_out_as_hrnets_evaluation_does(dots, folder, threshold):
    model = dots.model(crop="hrnet")
    task = eval_set(folder, document(dots, 1), model)
    rng = np.random.default_rng(0)
    corners = [(30, 30), (170, 40)] * 8
    boxes = [
        [x + float(d[0]), y + float(d[1]), 60 + float(d[2]), 80 + float(d[3])]
        for (x, y), d in zip(corners, rng.uniform(-40, 80, (16, 4)), strict=True)
    ]
    rows = [{"image_id": 1, "category_id": 1, "bbox": b, "score": 0.9 - 0.05 * i} for i, b in enumerate(boxes)]
    found = detections(folder(rows, "boxes.json"), task, min_score=0.0)
    every = evaluate(model, task, quick(model), boxes=found, rescoring=Rescoring(0.2, None)).results
    sure = [[s for s in r["keypoints"][2::3] if s > 0.2] for r in every]
    rated = [row["score"] * sum(s) / len(s) if s else 0 for row, s in zip(rows, sure, strict=True)]
    assert [r["score"] for r in every] == pytest.approx(rated, abs=1e-5)
    sides = [(max(w, h * 0.75), max(h, w / 0.75)) for _, _, w, h in boxes]  # views are 48 wide and 64 high
    wanted = suppressed(every, [1.25**2 * w * h for w, h in sides], 0.05, threshold)
    kept = evaluate(model, task, quick(model), boxes=found, rescoring=Rescoring(0.2, threshold)).results
    assert kept == wanted
    assert 2 < len(kept) < 16


def test_a_whole_body_is_scored_by_its_parts_too(folder, tmp_path, capsys):
    random = np.random.default_rng(0)
    content = {"images": [{"id": i, "file_name": f"{i}.png", "width": 320, "height": 240} for i in (1, 2)], "annotations": []}
    for image in (1, 2):
        parts = {
            name: np.c_[random.uniform(40, 200, (len(names), 2)), np.full(len(names), 2)] for name, names in FIELDS.items()
        }
        parts["foot_kpts"][:] = 0
        row = {"id": image, "image_id": image, "category_id": 1, "bbox": [30, 30, 180, 180], "area": 32400, "iscrowd": 0}
        content["annotations"].append(
            row | {name: part.ravel().tolist() for name, part in parts.items()} | {"num_keypoints": 17}
        )
    content["categories"] = [{"id": 1, "name": "person"}]
    path = folder(content)
    model = poseresnet(18, skeleton=WHOLEBODY133, size=(256, 256))
    naming = naming_of("coco_wholebody", list(FIELDS))
    found = self_test(model, EvalSet.of_file(path, folder.path, skeleton=model.skeleton, naming=naming)).evaluation
    assert list(found.parts) == ["body", "foot", "face", "left hand", "right hand", "hand", "whole"]
    assert found.parts["foot"]["AP"] == -1
    assert found.parts["body"]["AP"] > 0.9
    assert found.numbers["face AP"] == found.parts["face"]["AP"]
    print_parts(Console(), found.parts)
    assert "left hand" in capsys.readouterr().out
