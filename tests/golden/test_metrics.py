"""OKS, suppression, rescoring and the COCO protocol against the releases and pycocotools."""

import dataclasses
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from poise.geometry import from_xywh
from poise.inference.exam import release_boxes
from poise.metrics import coco
from poise.metrics.oks import oks, oks_nms, pose_oks, rescore, soft_oks_nms
from poise.skeletons import COCO17
from poise.structures import Labels, Preprocess
from poise.transforms.crop import frame

NAMES = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")


HERE = Path(__file__).parent / "functions"


def read(path: Path, name: str):
    """The file that belongs to `path`: with the same ending (`_s3` of `m05_coco_eval_s3`), else without, there or here."""
    ending = "_" + stem(path).rpartition("_")[2]
    # The copy of the results here has 1 for every keypoint score, which the protocol does not read.
    places = [folder / f"{name}{part}.json.gz" for folder in (path.parent, HERE) for part in (ending, "")]
    return json.loads(gzip.decompress(next(p for p in places if p.is_file()).read_bytes()))


def stem(path: Path) -> str:
    return path.name.removesuffix(".npz")


def varied(arrays: dict, pattern: str) -> dict[float, np.ndarray]:
    """The arrays whose whole name matches, by the number in it."""
    found = {name: re.fullmatch(pattern, name) for name in arrays}
    return {float(match[1]): arrays[name] for name, match in found.items() if match}


def labels_of(people: list[dict]) -> Labels:
    keypoints = torch.tensor([p["keypoints"] for p in people], dtype=torch.float64).reshape(len(people), 17, 3)
    boxes = from_xywh(torch.tensor([p["bbox"] for p in people], dtype=torch.float64))
    area = torch.tensor([p["area"] for p in people], dtype=torch.float64)
    return Labels.of(keypoints[..., :2], keypoints[..., 2].long(), boxes, area=area)


@pytest.mark.golden("functions/m04_*.npz")
def test_suppression_is_that_of_the_release(golden_arrays):
    z = {name: torch.from_numpy(value) for name, value in golden_arrays.items()}
    xy, known = z["keypoints"][..., :2], z["keypoints"][..., 2] > 0.5
    similar = pose_oks(xy, z["areas"], COCO17.sigmas)
    half = pose_oks(xy, z["areas"], COCO17.sigmas, known=known)
    assert (similar - z["hrnet_oks_matrix"]).abs().max() < 1e-9
    assert (half - z["hrnet_oks_matrix_vis05"]).abs().max() < 1e-9
    checks = [
        (oks_nms, similar, varied(golden_arrays, r"hrnet_oks_nms_([\d.]+)")),
        (soft_oks_nms, similar, varied(golden_arrays, r"hrnet_soft_oks_nms_([\d.]+)")),
        (oks_nms, half, varied(golden_arrays, r"hrnet_oks_nms_([\d.]+)_vis05")),
    ]
    for suppress, matrix, stored in checks:
        assert stored
        for threshold, kept in stored.items():
            assert suppress(matrix, z["scores"], threshold).tolist() == kept.tolist()


@pytest.mark.golden("functions/m05_coco_eval*.npz")
def test_the_coco_protocol_is_that_of_pycocotools(golden_file, golden_arrays, golden_functions):
    assert golden_functions("m05_coco_gt*.json.gz")
    assert golden_functions("m05_coco_dt_keypoints*.json.gz")
    truth, results = read(golden_file, "m05_coco_gt"), read(golden_file, "m05_coco_dt_keypoints")
    scores = coco.evaluate(truth, results, COCO17)
    assert [*scores.numbers] == [*NAMES]
    assert np.abs(np.array([*scores.numbers.values()]) - golden_arrays["keypoints_stats"]).max() < 1e-9
    for name in ("precision", "recall", "scores"):
        assert np.abs(getattr(scores, name) - golden_arrays[f"keypoints_{name}"]).max() < 1e-9

    for sigma, stats in varied(golden_arrays, r"keypoints_stats_sigma([\d.]+)").items():
        wide = coco.evaluate(truth, results, dataclasses.replace(COCO17, sigmas=(sigma,) * 17))
        assert np.abs(np.array([*wide.numbers.values()]) - stats).max() < 1e-9

    for count, stats in varied(golden_arrays, r"keypoints_stats_first(\d+)imgs").items():
        first = sorted(image["id"] for image in truth["images"])[: int(count)]
        part = coco.evaluate(truth, results, COCO17, images=first)
        assert np.abs(np.array([*part.numbers.values()]) - stats).max() < 1e-9


@pytest.mark.golden("functions/m05_coco_eval*.npz")
def test_oks_is_that_of_pycocotools_even_without_labelled_keypoints(golden_file, golden_arrays):
    truth, results = read(golden_file, "m05_coco_gt"), read(golden_file, "m05_coco_dt_keypoints")
    checked = 0
    for image in truth["images"]:
        rows = golden_arrays["keypoints_oks_triples"][golden_arrays["keypoints_oks_triples"][:, 0] == image["id"]]
        people = [a for a in truth["annotations"] if a["image_id"] == image["id"]]
        poses = [r for r in results if r["image_id"] == image["id"]]
        if not people or not poses:
            continue
        poses = sorted(poses, key=lambda r: -r["score"])[:20]
        found = torch.tensor([r["keypoints"] for r in poses], dtype=torch.float64).reshape(len(poses), 17, 3)[..., :2]
        similar = oks(found, labels_of(people), COCO17.sigmas)
        got = similar[rows[:, 1].astype(int), rows[:, 2].astype(int)]
        assert np.abs(got.numpy() - rows[:, 3]).max() < 1e-9
        checked += len(rows)
    assert checked == len(golden_arrays["keypoints_oks_triples"])


def released(z: dict, *, soft: int, threshold: float, least: float) -> tuple[list[int], torch.Tensor]:
    """The rows HRNet's evaluation keeps, images by first appearance and the best first, and the score of every row."""
    preds, boxes = torch.from_numpy(z["preds"]), torch.from_numpy(z["all_boxes"])
    score = rescore(boxes[:, 5], preds[..., 2].double(), least)
    kept: list[int] = []
    for image in dict.fromkeys(z["image_ids"].tolist()):
        rows = torch.from_numpy(np.flatnonzero(z["image_ids"] == image))
        similar = pose_oks(preds[rows, :, :2], boxes[rows, 4], COCO17.sigmas)
        kept += rows[(soft_oks_nms if soft else oks_nms)(similar, score[rows], threshold)].tolist()
    return kept, score


@pytest.mark.golden("functions/m07_*.npz")
def test_rescoring_and_suppression_make_the_results_of_the_release(golden_file, golden_arrays):
    z = golden_arrays
    variants = [match for name in z if (match := re.fullmatch(r"(soft(\d)_thr([\d.]+)_vis([\d.]+))_score", name))]
    assert variants
    for name, soft, threshold, least in (match.groups() for match in variants):
        kept, score = released(z, soft=int(soft), threshold=float(threshold), least=float(least))
        assert z["image_ids"][kept].tolist() == z[f"{name}_image_id"].tolist()
        assert np.abs(score[kept].numpy() - z[f"{name}_score"]).max() < 1e-6
        assert np.abs(z["preds"][kept, 0] - z[f"{name}_kp0"]).max() < 1e-6
        rows = [
            {
                "image_id": int(z["image_ids"][row]),
                "category_id": 1,
                "keypoints": z["preds"][row].astype(float).ravel().tolist(),
                "score": float(score[row]),
            }
            for row in kept
        ]
        found = coco.evaluate(read(golden_file, "m05_coco_gt"), rows, COCO17)
        assert np.abs(np.array([*found.numbers.values()]) - z[f"{name}_stats"]).max() < 1e-6


@pytest.mark.golden("functions/m06_*.npz")
def test_annotated_boxes_become_the_centres_and_scales_of_the_releases(golden_file, golden_arrays):
    truth = read(golden_file, "m05_coco_gt")
    sizes = {image["id"]: (image["height"], image["width"]) for image in truth["images"]}
    # Which people the release keeps: no crowds, some area, some number among the keypoints, something of the box inside.
    people = [a for a in truth["annotations"] if not a["iscrowd"] and a["area"] > 0 and max(a["keypoints"])]
    people = [a for a in people if all(max(0, a["bbox"][i]) <= sizes[a["image_id"]][1 - i] - 1 for i in (0, 1))]
    people = sorted(people, key=lambda a: [i["id"] for i in truth["images"]].index(a["image_id"]))
    assert [a["image_id"] for a in people] == golden_arrays["image_id"].tolist()
    labels = labels_of(people)
    assert np.abs(labels.xy.numpy() - golden_arrays["joints"][..., :2]).max() < 1e-9
    assert (labels.visible.clamp(max=1).numpy() == golden_arrays["vis"][..., 0]).all()
    rules = [rule for rule in ("hrnet", "dark", "udp") if f"{rule}_center" in golden_arrays]
    assert rules
    for rule in rules:
        for row, person in enumerate(people):
            box = release_boxes(from_xywh(torch.tensor([person["bbox"]])), rule, size=sizes[person["image_id"]])[0]
            seen = frame(Preprocess(crop=rule), box, size=(256, 192))
            assert np.abs(np.array(seen.centre) - golden_arrays[f"{rule}_center"][row]).max() < 1e-3
            assert np.abs(np.array(seen.extent) / 200 - golden_arrays[f"{rule}_scale"][row]).max() < 1e-5
