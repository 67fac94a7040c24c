"""PCK, PCKh, OKS, suppression, rescoring and the COCO protocol against the releases and pycocotools."""

import dataclasses
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from poise.evaluation.protocols import release_boxes
from poise.geometry import xywh_to_xyxy
from poise.metrics import coco
from poise.metrics.accuracy import accuracy, peaks, released_accuracy
from poise.metrics.boxes import BOX_NUMBERS, evaluate_boxes
from poise.metrics.nms import box_nms, nearby_nms
from poise.metrics.oks import decayed_scores, oks, oks_nms, pose_oks, rescore, soft_oks_nms
from poise.metrics.pck import auc, epe, nme, pck
from poise.metrics.pckh import pckh_table
from poise.metrics.sizes import head_sizes
from poise.skeletons import COCO17, MPII16
from poise.structures import Labels, Preprocess
from poise.transforms.crop import box_frame

NAMES = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")


HERE = Path(__file__).parent / "functions"


def read(path: Path, name: str):
    """The file that belongs to `path`: with the same ending (`_s3` of `m05_coco_eval_s3`), else without, there or here."""
    words = stem(path).split("_")
    endings = ["".join(f"_{word}" for word in words[first:]) for first in range(1, len(words) + 1)]
    # The copy of the results here has 1 for every keypoint score, which the protocol does not read.
    places = [folder / f"{name}{ending}.json.gz" for folder in (path.parent, HERE) for ending in endings]
    return json.loads(gzip.decompress(next(p for p in places if p.is_file()).read_bytes()))


def stem(path: Path) -> str:
    return path.name.removesuffix(".npz")


def varied(arrays: dict, pattern: str) -> dict[float, np.ndarray]:
    """The arrays whose whole name matches, by the number in it."""
    found = {name: re.fullmatch(pattern, name) for name in arrays}
    return {float(match[1]): arrays[name] for name, match in found.items() if match}


def labels_of(people: list[dict]) -> Labels:
    keypoints = torch.tensor([p["keypoints"] for p in people], dtype=torch.float64).reshape(len(people), 17, 3)
    boxes = xywh_to_xyxy(torch.tensor([p["bbox"] for p in people], dtype=torch.float64))
    area = torch.tensor([p["area"] for p in people], dtype=torch.float64)
    return Labels.of(keypoints[..., :2], keypoints[..., 2].long(), boxes, area=area)


def tensors(arrays: dict) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.asarray(value)) for name, value in arrays.items() if value.dtype.kind in "biuf"}


@pytest.mark.golden("functions/m01_*.npz")
def test_accuracy_on_maps_is_what_the_releases_print(golden_file, golden_arrays, golden_input):
    z = tensors(golden_arrays)
    output = torch.from_numpy(golden_input(golden_file, "d00_heatmaps_in")["heatmaps"])
    got = released_accuracy(output, z["target"])
    assert (got.keypoints - z["acc"][1:]).abs().max() < 1e-9
    assert got.mean == pytest.approx(float(z["avg_acc"]), abs=1e-9)
    assert int((got.keypoints >= 0).sum()) == int(z["cnt"])
    assert (got.distances - z["dists"]).abs().max() < 1e-9
    assert torch.equal(peaks(output), z["pred"].double())
    for name in ("acc_thr02_ignored", "acc"):
        if name in z:
            assert (got.keypoints - z[name][1:]).abs().max() < 1e-9
    if "mm_pose_pck_acc" in z:
        swapped = torch.tensor(output.shape[2:], dtype=torch.float64) / 10
        other = accuracy(peaks(output), peaks(z["target"]), swapped, shown=z["vis"][..., 0] > 0, threshold=0.5)
        assert (other.keypoints - z["mm_pose_pck_acc"]).abs().max() < 1e-9
        assert other.mean == pytest.approx(float(z["mm_pose_pck_avg"]), abs=1e-9)
        assert int((other.keypoints >= 0).sum()) == int(z["mm_pose_pck_cnt"])


@pytest.mark.golden("functions/m01_*.npz")
def test_pck_auc_and_mean_errors_are_those_of_mmpose(golden_arrays):
    z = tensors(golden_arrays)
    found = z["mm_pred"]
    labels = Labels.of(z["mm_gt"], z["mm_mask"].long(), torch.zeros(len(found), 4))
    count = pck(found, labels, 0.1, size=z["mm_norm"])
    shares = torch.where(count.labelled > 0, count.hits / count.labelled.clamp(min=1), -1.0)
    assert (shares - z["mm_pck_acc"]).abs().max() < 1e-6
    assert count.over_keypoints == pytest.approx(float(z["mm_pck_avg"]), abs=1e-9)
    assert int((count.labelled > 0).sum()) == int(z["mm_pck_cnt"])
    # MMPose computes these in float32.
    assert nme(found, labels, size=z["mm_norm"]) == pytest.approx(float(z["mm_nme"]), rel=1e-6)
    assert epe(found, labels) == pytest.approx(float(z["mm_epe"]), rel=1e-6)
    for unit, value in varied(golden_arrays, r"mm_auc_norm([\d.]+)").items():
        assert auc(found, labels, size=unit) == pytest.approx(float(value), abs=1e-9)


@pytest.mark.golden("functions/m02_*.npz")
def test_pckh_is_the_published_table(golden_arrays):
    z = tensors(golden_arrays)
    visible = 1 - z["jnt_missing"].T.long()
    labels = Labels.of(z["pos_gt_1based"].permute(2, 0, 1) - 1, visible, torch.zeros(len(visible), 4))
    size = head_sizes(z["headboxes"].permute(2, 0, 1).reshape(-1, 4))
    row = pckh_table(z["preds0based"][..., :2].double(), labels, MPII16, size=size)
    for name, value in zip(golden_arrays["metric_names"], z["metric_values"].tolist(), strict=True):
        assert row[str(name)] == pytest.approx(value, abs=1e-6)
    assert row["true Mean@0.1"] <= row["Mean@0.1"]


@pytest.mark.golden("functions/m03_*.npz")
def test_accuracy_on_maps_of_animals_is_that_of_cc_ssl(golden_arrays):
    z = tensors(golden_arrays)
    assert torch.equal(peaks(z["output"], first=1), z["preds"].double())
    assert torch.equal(peaks(z["target"], first=1), z["gts"].double())
    got = released_accuracy(z["output"], z["target"], first=1)
    for kind in ("", "_horse"):
        if f"acc{kind}" in z and len(z[f"acc{kind}"]) == 1 + len(got.keypoints):
            assert (got.distances - z[f"dists{kind}"]).abs().max() < 1e-5
            assert (got.keypoints - z[f"acc{kind}"][1:]).abs().max() < 1e-6
            assert got.mean == pytest.approx(float(z[f"acc{kind}"][0]), abs=1e-6)


@pytest.mark.golden("functions/m03_*.npz")
def test_the_tiger_s_accuracy_is_that_of_cc_ssl_whose_keypoints_are_permuted_twice(golden_arrays):
    z = tensors(golden_arrays)
    once = z["tiger_idx"] - int(z["tiger_idx"].min())
    candidates = [(z["output"], z["target"][:, once]), (z["output"][:, once], z["target"][:, once])]
    answers = [released_accuracy(output, target, first=1) for output, target in candidates]
    near = [one for one in answers if (one.distances - z["dists_tiger"]).abs().max() < 1e-5]
    assert near, "neither targets alone nor maps and targets permuted give the stored distances"
    assert (near[0].keypoints[once] - z["acc_tiger"][1:]).abs().max() < 1e-6
    assert near[0].mean == pytest.approx(float(z["acc_tiger"][0]), abs=1e-6)


@pytest.mark.golden("functions/m03_*.npz")
def test_the_area_of_cc_ssl_is_the_mean_of_its_thresholds(golden_arrays):
    z = tensors(golden_arrays)
    errors = released_accuracy(z["output"], z["target"], first=1).distances
    errors = errors[errors >= 0].float().numpy()
    shares = [(errors < threshold).mean() for threshold in np.linspace(0, 1, 100)[1:81]]
    assert round(sum(shares) / 0.8, 2) == pytest.approx(float(z["auc"]), abs=0.011)


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


@pytest.mark.golden("functions/m04_*.npz")
def test_suppression_is_that_of_mmpose(golden_arrays):
    z = tensors(golden_arrays)
    xy, known = z["keypoints"][..., :2], z["keypoints"][..., 2] > 0.5
    similar = pose_oks(xy, z["areas"], COCO17.sigmas)
    both = pose_oks(xy, z["areas"], COCO17.sigmas, known=known, of="both")
    assert (similar - z["mmpose_oks_matrix"]).abs().max() < 1e-6
    assert (both - z["mmpose_oks_matrix_vis05"]).abs().max() < 1e-6
    checks = [
        (oks_nms, similar, varied(golden_arrays, r"mmpose_oks_nms_([\d.]+)")),
        (soft_oks_nms, similar, varied(golden_arrays, r"mmpose_soft_oks_nms_([\d.]+)")),
        (oks_nms, both, varied(golden_arrays, r"mmpose_oks_nms_([\d.]+)_vis05")),
    ]
    for suppress, matrix, stored in checks:
        assert stored
        for threshold, kept in stored.items():
            assert suppress(matrix, z["scores"], threshold).tolist() == kept.tolist()
    assert nearby_nms(xy, z["scores"]).tolist() == z["mm_nearby_joints_nms"].tolist()


@pytest.mark.golden("functions/m04_*.npz")
def test_lowered_scores_and_suppressed_boxes_are_those_of_the_release(golden_arrays):
    z = tensors(golden_arrays)
    near, score = z["hrnet_oks_matrix"][0, 1:], z["scores"][1:]
    assert (decayed_scores(score, near, 0.5) - z["rescore_gauss"]).abs().max() < 1e-9
    assert (decayed_scores(score, near, 0.5, decay="linear") - z["rescore_linear"]).abs().max() < 1e-9
    stored = varied(golden_arrays, r"box_nms_([\d.]+)")
    assert stored
    for threshold, kept in stored.items():
        assert box_nms(z["boxes"][:, :4], z["boxes"][:, 4], threshold, pixel=1.0).tolist() == kept.tolist()


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
def test_box_ap_is_that_of_pycocotools(golden_file, golden_arrays, golden_functions):
    assert golden_functions("m05_coco_dt_bbox*.json.gz")
    if "bbox_stats" not in golden_arrays:
        pytest.skip("the file has no numbers of boxes")
    scores = evaluate_boxes(read(golden_file, "m05_coco_gt"), read(golden_file, "m05_coco_dt_bbox"))
    assert len(BOX_NUMBERS) == len(scores.numbers) == 12
    assert np.abs(np.array([*scores.numbers.values()]) - golden_arrays["bbox_stats"]).max() < 1e-9
    for name in ("precision", "recall", "scores"):
        assert np.abs(getattr(scores, name) - golden_arrays[f"bbox_{name}"]).max() < 1e-9


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
            box = release_boxes(xywh_to_xyxy(torch.tensor([person["bbox"]])), rule, size=sizes[person["image_id"]])[0]
            seen = box_frame(Preprocess(crop=rule), box, size=(256, 192))
            assert np.abs(np.array(seen.centre) - golden_arrays[f"{rule}_center"][row]).max() < 1e-3
            assert np.abs(np.array(seen.extent) / 200 - golden_arrays[f"{rule}_scale"][row]).max() < 1e-5
