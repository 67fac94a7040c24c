"""The official BlazePose: networks with the official weights, every stage of the pipeline, end results, a video.

The weights are those that `poise get` brought: into the folder of POISE_HOME, else into the platform's cache.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from poise.decoding.blaze_boxes import weighted_nms
from poise.models import blaze_pipeline
from poise.models.blaze_pipeline import BlazePerson, read_people
from poise.models.blaze_video import BlazePoseVideo, BlazeSmoother, smoothed_mask
from poise.nn.blaze.detector import anchors
from poise.runtimes.choice import choose_runtime
from poise.runtimes.parts import Flat
from poise.transforms.blaze_crop import aligned_region, letterbox_region, region_view
from poise.transforms.crop import Frame
from poise.weights.cache import kept_file
from poise.weights.fetch import fetch
from poise.zoo import import_release
from poise.zoo.find import releases

NETWORKS = {"pose_detection": "blazepose_detector"} | {
    f"pose_landmark_{variant}": f"blazepose_landmark_{variant}" for variant in ("lite", "full", "heavy")
}
ON_THE_EDGE = 0.02
"""Landmarks nearer than this to a jump of the refinement are not held to a tight bound, as the manifest advises."""

VIDEO = "blazepose/video/squats_full_k7.npz"


@cache
def network(name: str) -> torch.nn.Module:
    """A network with the official weights."""
    pytest.importorskip("tflite")
    release = releases()[name]
    path = kept_file(Path(release.file).name)
    if path is None:
        pytest.skip(f"{release.file} is neither in POISE_HOME's folder nor in the platform's cache: poise get {name}")
    made: torch.nn.Module = import_release(name, fetch(release, path.parent)).network
    return made


@cache
def program(model: str, runtime: str) -> Callable[[Tensor], Sequence[Tensor]]:
    """That network, perhaps run by another runtime than PyTorch."""
    whole = network(NETWORKS[model])
    if runtime == "torch":
        return whole
    [engine] = choose_runtime(runtime, "cpu").engines
    made = engine.convert(Flat(whole, "forward", (None,)), [torch.rand(2, 3, whole.side, whole.side)], [(0,)])
    session = engine.start(made, threads=1, device="cpu", bf16=False)
    return lambda view: session([view])


def data(source: str) -> Path:
    """A file of $POISE_DATA."""
    folder = os.environ.get("POISE_DATA")
    if folder is None:
        pytest.skip("POISE_DATA is not set: the images are not here")
    path = Path(folder) / source
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return path


def arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file, which is closed."""
    with np.load(path) as stored:
        return dict(stored)


FIRST = 24
"""Frames of the video that are kept from its start on, and a few later ones."""

LATER = (30, 50)


@cache
def frames() -> dict[int, Tensor]:
    """Frames of the video by their number, decoded once."""
    reader = cv2.VideoCapture(str(data("videos/squats.webm")))
    found = {k: reader.read()[1] for k in range(max(LATER) + 1)}
    return {k: rgb(pixels) for k, pixels in found.items() if k < FIRST or k in LATER}


def frame(number: int) -> Tensor:
    """A frame of the video, kept or decoded now."""
    if number in frames():
        return frames()[number]
    reader = cv2.VideoCapture(str(data("videos/squats.webm")))
    return rgb([reader.read()[1] for _ in range(number + 1)][-1])


def rgb(bgr: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(bgr[..., ::-1])).permute(2, 0, 1)


def photo(case: dict[str, Any]) -> Tensor:
    """The image of a case, whose pixels are those that MediaPipe saw."""
    source = case["image"]["source"]
    number = case["image"].get("frame")
    image = rgb(cv2.imread(str(data(source)))) if number is None else frame(number)
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    if hashlib.sha256(pixels.tobytes()).hexdigest() != case["image"]["rgb_sha256"]:
        pytest.skip(f"{source} is decoded to other pixels here")
    return image


def stated(region: list[float] | np.ndarray, size: tuple[int, int]) -> Frame:
    """A region as MediaPipe states it: shares of the image, radians, float32."""
    x, y, w, h, turn = np.asarray(region, np.float32)
    sides = np.array((size[1], size[0]), np.float32)
    side = float(max(w * sides[0], h * sides[1]))
    return Frame((float(x * sides[0]), float(y * sides[1])), (side, side), math.degrees(float(turn)))


# networks


def given(name: str, side: int, folder: Path) -> Tensor:
    """An input of `NETWORKS.md`, as the network of that side takes it."""
    if name.startswith("c"):
        [path] = folder.glob(f"inputs/{name}_*{side}.png")
        pixels = cv2.imread(str(path))[..., ::-1].astype(np.float32)
        view = pixels * np.float32(2 / 255) - 1 if side == 224 else pixels * np.float32(1 / 255)
    else:
        view = synthetic(name, side)
        view = 2 * view - 1 if side == 224 else view
    return torch.from_numpy(np.ascontiguousarray(view.transpose(2, 0, 1), np.float32))[None]


def synthetic(name: str, side: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    if name == "s0":
        return np.random.default_rng(0).random((side, side, 3), dtype=np.float32)
    if name == "s1":
        coarse = np.random.default_rng(1).random((side // 16, side // 16, 3))
        return np.kron(coarse, np.ones((16, 16, 1))).astype(np.float32)
    if name in ("s2", "s3"):
        return np.full((side, side, 3), 0.5 if name == "s2" else 0, np.float32)
    if name == "s4":
        return np.stack((x / (side - 1), y / (side - 1), np.full((side, side), 0.25)), axis=-1).astype(np.float32)
    wave = [0.5 + 0.5 * np.sin(2 * np.pi * (3 * x + 5 * y) / side + c * np.pi / 3) for c in range(3)]
    return np.stack(wave, axis=-1).astype(np.float32)


def heads(model: str, view: Tensor, runtime: str = "torch") -> dict[str, np.ndarray]:
    """The outputs under the names of the official file, as the stored ones are cut down."""
    with torch.no_grad():
        outputs = [part[0].numpy() for part in program(model, runtime)(view)]
    if model == "pose_detection":
        return {"Identity": outputs[0], "Identity_1": outputs[1][:, 0]}
    landmarks, presence, segmentation, heatmap, world = outputs
    return {
        "Identity": landmarks,
        "Identity_1": presence,
        "Identity_2_s2": segmentation[0, ::2, ::2],
        "Identity_3_s2": heatmap.transpose(1, 2, 0)[::2, ::2],
        "Identity_4": world,
        "Identity_3_argmax": heatmap.reshape(len(heatmap), -1).argmax(axis=1),
        "Identity_3_sum": heatmap.sum(axis=(1, 2), dtype=np.float64),
    }


@pytest.mark.golden("blazepose/networks/outputs/pose_*__*.npz")
def test_every_head_of_the_official_networks_is_within_the_tolerances(golden_file: Path):
    check_heads(golden_file, "torch")


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.golden("blazepose/networks/outputs/pose_landmark_heavy__c0.npz")
def test_every_head_in_another_runtime_is_within_the_tolerances(golden_file: Path, runtime: str):
    pytest.importorskip(runtime)
    check_heads(golden_file, runtime)


def check_heads(golden_file: Path, runtime: str) -> None:
    model, name = golden_file.stem.split("__")
    folder = golden_file.parents[1]
    tolerances = json.loads((folder / "tolerances.json").read_text())[model]
    found = heads(model, given(name, 224 if model == "pose_detection" else 256, folder), runtime)
    stored = arrays(golden_file)
    compared = [key for key in found if key in stored and not key.endswith(("argmax", "sum"))]
    assert len(compared) == (2 if model == "pose_detection" else 5)
    for key in compared:
        allowed = tolerances[key.removesuffix("_s2")]["worst_xnnpack_vs_plain"]
        assert np.abs(found[key] - stored[key]).max() <= max(allowed, 1e-6), key
    if "Identity_3_argmax" in stored:
        peaks = stored["Identity_3_argmax"]
        assert (found["Identity_3_argmax"] == peaks).mean() > 0.9
        np.testing.assert_allclose(found["Identity_3_sum"], stored["Identity_3_sum"], rtol=1e-4, atol=1)


@pytest.mark.golden("blazepose/networks/*.layers.json")
def test_parameters_are_those_of_the_official_file(golden_file: Path):
    table = json.loads(golden_file.read_text())
    name = NETWORKS[golden_file.name.removesuffix(".layers.json")]
    assert releases()[name].sha256 == table["sha256"]
    with torch.device("meta"):
        from poise.zoo import build

        made = build(name).network
    layers = made.release_order()
    assert sorted(map(id, layers)) == sorted(id(m) for m in made.modules() if isinstance(m, torch.nn.Conv2d))
    rows = [layer for layer in table["layers"] if "weight" in layer]
    assert len(rows) == len(layers)
    for layer, row in zip(layers, rows, strict=True):
        depthwise = row["op"] == "DEPTHWISE_CONV_2D"
        shape = [row["weight"]["shape"][axis] for axis in ((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))]
        assert list(layer.weight.shape) == shape
        assert list(layer.stride) == row["stride"]
    assert sum("sparse" in row["weight"] for row in rows) == table["sparse_tensors"]


@pytest.mark.golden("blazepose/pipeline/anchors.npz")
def test_anchors_are_the_official_ones(golden_arrays: dict[str, np.ndarray]):
    np.testing.assert_allclose(anchors().numpy(), golden_arrays["centres_xy"], atol=1e-7)


# the pipeline on one image


@cache
def read_case(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@cache
def person(path: Path, kernel: int = 7) -> BlazePerson:
    """What our pipeline finds in the image of a case."""
    case = read_case(path)
    image = photo(case)
    found = blaze_pipeline.detect(network("blazepose_detector"), image)
    where = blaze_pipeline.regions(found, tuple(image.shape[1:]))[:1]
    variant = path.name.partition("__")[0]
    [one] = blaze_pipeline.people(network(f"blazepose_landmark_{variant}"), image, where, kernel=kernel)
    return one


CASES = pytest.mark.golden("blazepose/pipeline/*__*.json")


@CASES
def test_detections_of_the_official_images_are_the_official_ones(golden_file: Path):
    case = read_case(golden_file)
    image, size = photo(case), (case["image"]["height"], case["image"]["width"])
    with torch.no_grad():
        boxes, logits = network("blazepose_detector")(blaze_pipeline.detector_view(image)[None])
    before = blaze_pipeline.candidates(boxes[0], logits[0])
    assert len(before) == len(case.get("candidates") or [])
    stages = {
        "candidates": before,
        "nms_letterboxed": weighted_nms(before),
        "detections": blaze_pipeline.detections(boxes[0], logits[0], size),
    }
    for name, found in stages.items():
        expected = case.get(name) or []
        assert len(found) == len(expected), name
        for i, row in enumerate(expected):
            np.testing.assert_allclose(found.score[i], row["score"], atol=1e-6, err_msg=name)
            np.testing.assert_allclose(found.boxes[i], row["box"], atol=2e-6, err_msg=name)
            np.testing.assert_allclose(found.keypoints[i], row["kps"], atol=2e-6, err_msg=name)


@CASES
def test_regions_are_the_official_ones(golden_file: Path):
    case = read_case(golden_file)
    if not case.get("detections"):
        return
    size = case["image"]["height"], case["image"]["width"]
    points = torch.tensor(case["detections"][0]["kps"])
    region, expected = aligned_region(points[0], points[1], size), stated(case["roi_norm"], size)
    np.testing.assert_allclose((*region.centre, *region.extent), (*expected.centre, *expected.extent), rtol=3e-7)
    assert math.radians(region.angle - expected.angle) == pytest.approx(0, abs=3e-7)


@CASES
def test_views_are_the_official_ones_to_the_last_bit(golden_file: Path):
    case, folder = read_case(golden_file), golden_file.parent / "tensors"
    image, size = photo(case), (case["image"]["height"], case["image"]["width"])
    letterbox = region_view(image, letterbox_region(size), 224, border="zero")
    assert np.array_equal(letterbox, cv2.imread(str(folder / f"{case['case']}_letterbox224.png"))[..., ::-1])
    if case.get("roi_norm"):
        crop = region_view(image, stated(case["roi_norm"], size), 256, border="replicate")
        assert np.array_equal(crop, cv2.imread(str(folder / f"{case['case']}_crop256.png"))[..., ::-1])


def steady(case: dict[str, Any]) -> np.ndarray:
    """Landmarks of the body that no rounding moves from one cell to the next, or past the gate."""
    margins = [np.array(case[name][:33]) for name in ("refine_gate_margin_39_k7", "refine_cell_margin_39")]
    return (np.abs(margins[0]) > ON_THE_EDGE) & (margins[1] > ON_THE_EDGE)


@CASES
def test_landmarks_given_the_official_region_are_the_official_ones(golden_file: Path):
    case = read_case(golden_file)
    if case.get("presence") is None:
        return
    image, size = photo(case), (case["image"]["height"], case["image"]["width"])
    variant = golden_file.name.partition("__")[0]
    where = [stated(case["roi_norm"], size)]
    [found] = blaze_pipeline.people(network(f"blazepose_landmark_{variant}"), image, where)
    assert found.presence == pytest.approx(case["presence"], abs=1e-4)
    if case.get("crop_raw_39") is None:
        assert found.presence <= 0.5
        return
    sides = np.array((size[1], size[0]))
    np.testing.assert_allclose(found.raw[:, :3], np.array(case["crop_raw_39"])[:, :3], atol=1e-4)
    np.testing.assert_allclose(found.raw[:, 3:], np.array(case["crop_raw_39"])[:, 3:], atol=1e-4)
    away = np.abs(found.xy.numpy() - np.array(case["landmarks_33_k7"])[:, :2] * sides).max(axis=1)
    assert away[steady(case)].max() <= 0.01
    refined = np.abs(found.crop.numpy() - np.array(case["crop_refined_39_k7"]))[:33, :2].max(axis=1)
    assert refined[steady(case)].max() <= 5e-5
    np.testing.assert_allclose(found.world[:33], np.array(case["world_33"])[:, :3], atol=1e-4)


@CASES
def test_end_results_are_within_half_a_pixel_of_the_official_ones(golden_file: Path):
    case = read_case(golden_file)
    if case.get("landmarks_33_k7") is None:
        return
    found, sides = person(golden_file), np.array((case["image"]["width"], case["image"]["height"]))
    expected = np.array(case["landmarks_33_k7"])
    assert np.abs(found.xy.numpy() - expected[:, :2] * sides).max() <= 0.5
    np.testing.assert_allclose(found.landmarks[:33, 3:], expected[:, 3:], atol=2e-3)
    np.testing.assert_allclose(found.world[:33], np.array(case["world_33"])[:, :3], atol=2e-3)
    following, stated_next = found.next_region, np.array(case["next_roi_norm_k7"])
    assert following.centre[0] / sides[0] == pytest.approx(stated_next[0], abs=1e-3)
    assert following.extent[0] / sides[0] == pytest.approx(stated_next[2], rel=2e-3)


@CASES
def test_kernel_9_gives_what_the_python_package_ships(golden_file: Path):
    case = read_case(golden_file)
    if case.get("landmarks_33_k9_as_shipped_python") is None:
        return
    found, sides = person(golden_file, 9), np.array((case["image"]["width"], case["image"]["height"]))
    shipped = np.array(case["landmarks_33_k9_as_shipped_python"])[:, :2] * sides
    declared = np.array(case["landmarks_33_k7"])[:, :2] * sides
    assert np.abs(found.xy.numpy() - shipped).max() <= 0.5
    assert np.abs(shipped - declared).max() > 0.5, "the two differ in every case"


@pytest.mark.golden("blazepose/pipeline/segmentation_*.npz")
def test_masks_are_the_official_ones(golden_file: Path):
    stored = arrays(golden_file)
    for name in [key for key in stored if key.endswith("_mask_s4")]:
        found = person(golden_file.parent / f"full__{name.removesuffix('_mask_s4')}.json").mask
        off = np.abs(found[::4, ::4] - stored[name])
        assert off.mean() < 1e-4
        assert np.quantile(off, 0.999) < 0.02
        assert found.sum() == pytest.approx(float(stored[name.replace("_s4", "_sum")].item()), rel=1e-4)


# a video


@pytest.mark.golden("blazepose/video/*_k7.npz", "blazepose/video/*_k9.npz")
def test_filters_on_the_official_unfiltered_values_give_the_official_ones(golden_file: Path):
    z, size = arrays(golden_file), (1920, 1080)
    sides, smoother = np.array((1080, 1920, 1080)), BlazeSmoother()
    for k, microseconds in enumerate(z["timestamps_us"]):
        if np.isnan(z["unfiltered_landmarks"][k]).any():
            smoother.lose()
            continue
        landmarks = torch.from_numpy(np.concatenate((z["unfiltered_landmarks"][k], z["unfiltered_aux"][k]))).float()
        world = torch.from_numpy(z["unfiltered_world"][k][:, :3]).float()
        body, alignment, metres = smoother(landmarks, world, size, time=microseconds * 1e-6)
        assert np.abs((body[:, :3].numpy() - z["landmarks"][k][:, :3]) * sides).max() <= 0.01
        assert np.abs((alignment[:, :3].numpy() - z["aux"][k][:, :3]) * sides).max() <= 0.01
        np.testing.assert_allclose(body[:, 3], z["landmarks"][k][:, 3], atol=1e-6)
        np.testing.assert_allclose(metres, z["world"][k], atol=2e-6)
        region, expected = aligned_region(alignment[0, :2], alignment[1, :2], size), stated(z["next_roi_norm"][k], size)
        np.testing.assert_allclose((*region.centre, *region.extent), (*expected.centre, *expected.extent), atol=0.01)


@pytest.mark.golden(VIDEO)
def test_frames_given_the_official_region_give_the_official_landmarks(golden_file: Path):
    z, sides = arrays(golden_file), np.array((1080, 1920))
    for k in (0, 1, 20, 50):
        [found] = blaze_pipeline.people(network("blazepose_landmark_full"), frame(k), [stated(z["roi_norm"][k], (1920, 1080))])
        assert np.abs(found.xy.numpy() - z["unfiltered_landmarks"][k][:, :2] * sides).max() <= 0.01
        np.testing.assert_allclose(found.world[:33], z["unfiltered_world"][k][:, :3], atol=1e-4)


@pytest.mark.golden(VIDEO)
def test_a_video_that_runs_free_stays_near_the_official_one(golden_file: Path):
    z, sides = arrays(golden_file), np.array((1080, 1920))
    follow = BlazePoseVideo(network("blazepose_detector"), network("blazepose_landmark_full"))
    away, asked, masks = [], [], []
    for k in range(FIRST):
        found = follow(frame(k))
        assert found is not None
        asked.append(follow.detector_ran)
        away.append(np.abs(found.xy.numpy() - z["landmarks"][k][:, :2] * sides).max())
        if k < 3:
            masks.append(found.found.mask if not masks else smoothed_mask(found.found.mask, masks[-1]))
    assert asked == z["detector_ran"][: len(asked)].tolist()
    assert np.median(away) < 1.0  # 0.3 over all 104 frames; feedback makes more of every last digit
    stored = arrays(golden_file.parents[1] / "pipeline" / "segmentation_k7_ratio0.7.npz")["squats_000_003_mask_s16"]
    for mask, expected in zip(masks, stored, strict=False):
        assert np.abs(mask[::16, ::16] - expected).mean() < 5e-4


@pytest.mark.golden("blazepose/video/*_smooth_landmarks_false_*.npz")
def test_without_smoothing_the_region_is_smoothed_all_the_same(golden_file: Path):
    z, size, smoother = arrays(golden_file), (1920, 1080), BlazeSmoother(smooth=False)
    for k, microseconds in enumerate(z["timestamps_us"]):
        landmarks = torch.from_numpy(np.concatenate((z["unfiltered_landmarks"][k], z["unfiltered_aux"][k]))).float()
        body, alignment, _ = smoother(
            landmarks, torch.from_numpy(z["unfiltered_world"][k][:, :3]).float(), size, time=microseconds * 1e-6
        )
        np.testing.assert_allclose(body[:, :3], z["landmarks"][k][:, :3], atol=1e-6)
        np.testing.assert_allclose(alignment[:, :3], z["aux"][k][:, :3], atol=1e-5)


@CASES
def test_outputs_of_the_network_alone_are_read_as_the_graph_reads_them(golden_file: Path):
    case = read_case(golden_file)
    if case.get("crop_raw_39") is None:
        return
    size = case["image"]["height"], case["image"]["width"]
    tensor = golden_file.parent / "tensors" / f"{case['case']}_crop256.png"
    view = torch.from_numpy(np.ascontiguousarray(cv2.imread(str(tensor))[..., ::-1])).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        outputs = network(f"blazepose_landmark_{golden_file.name.partition('__')[0]}")(view)
    [found] = read_people(outputs, [stated(case["roi_norm"], size)], size)
    away = np.abs(found.xy.numpy() - np.array(case["landmarks_33_k7"])[:, :2] * np.array((size[1], size[0]))).max(axis=1)
    assert away[steady(case)].max() <= 0.005
