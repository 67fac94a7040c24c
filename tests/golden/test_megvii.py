"""Labels, readings and losses of CPN, MSPN, RSN and of MMPose's codec of that kind (e03, d05, d06, d09, l03, l04)."""

import re

import numpy as np
import pytest
import torch

from poise.codecs.megvii import Megvii, cpn_codecs, mspn_codecs
from poise.codecs.megvii_udp import SIGMAS, MegviiUDP
from poise.decoding.blur import blur_taps
from poise.decoding.subpixel import argmax_cells
from poise.losses.heatmaps import squares
from poise.metrics.oks import rescore

STRIDE, HEIGHT = 4, 255
MAPS = {"main": ("heatmaps", "center", "scale"), "degen": ("degenerate", "dcenter", "dscale")}
TIED = {"peak_corner_00", "peak_corner_max", "delta", "plateau_3x3"}
"""Made-up maps that mirror themselves: two cells beside the peak are equally high, and rounding says which one is taken."""


def label(codec, arrays, key):
    """The codec's maps for the views of an array, which may leave views out; empty where nothing is labelled."""
    expected = arrays[key]
    joints = arrays["joints"][:, : expected.shape[1]]
    views = views_of(arrays, key)
    maps = codec.encode(torch.from_numpy(joints)).numpy() * (arrays["valid"][:, : expected.shape[1]] >= 1)[..., None]
    return maps[views], expected


def views_of(arrays, key):
    """Which views an array is of: CPN's leave out the second one, the others those at the end."""
    count = len(arrays[key])
    if key.startswith("cpn") and count < len(arrays["joints"]):
        return [0, *range(len(arrays["joints"]) - count + 1, len(arrays["joints"]))]
    return list(range(count))


def made(kind, arrays, **fields):
    size, cells = (tuple(int(v) for v in arrays[name]) for name in ("input_hw", "output_hw"))
    return kind(size, cells, arrays["joints"].shape[1], **fields)


@pytest.mark.golden("functions/e03_*.npz")
def test_labels_are_those_of_the_releases(golden_arrays):
    tried = 0
    for key in golden_arrays:
        match = re.fullmatch(r"(?P<of>mspn|cpn|rsn_udp|mmpose_megvii)_k(?P<kernel>\d+)", key)
        if match is None:
            continue
        kernel = int(match["kernel"])
        if match["of"] == "rsn_udp":
            codec = made(MegviiUDP, golden_arrays, sigma=SIGMAS[kernel])
        else:
            level = "cell" if match["of"] == "mmpose_megvii" else "highest"
            codec = made(Megvii, golden_arrays, kernel=kernel, level=level)
        found, expected = label(codec, golden_arrays, key)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3, err_msg=key)
        tried += 1
    assert tried


@pytest.mark.golden("functions/e03_*.npz")
def test_blurs_are_those_of_opencv(golden_arrays):
    taps = {int(key.split("_")[1]): value for key, value in golden_arrays.items() if key.startswith("gausskernel_")}
    assert taps
    for size, expected in taps.items():
        np.testing.assert_allclose(blur_taps(size), expected, rtol=0, atol=1e-7)


@pytest.mark.golden("functions/e03_*.npz")
def test_cells_are_those_of_cpn(golden_arrays):
    codec = made(Megvii, golden_arrays)
    maps = codec.encode(torch.from_numpy(golden_arrays["joints"]))
    expected = golden_arrays["cpn_pts_hm"].astype(np.int64)
    own = torch.from_numpy(expected[..., 1] * codec.cells[1] + expected[..., 0])
    away = ((expected >= 4) & (expected < np.array(codec.cells[::-1]) - 4)).all(axis=-1)  # at the border it is not the highest
    best = maps.flatten(2).argmax(dim=-1)
    np.testing.assert_array_equal(best.numpy()[away], own.numpy()[away])


@pytest.mark.golden("functions/e03_*.npz")
def test_keypoints_count_as_they_do_for_mmpose(golden_arrays):
    codec = made(Megvii, golden_arrays, kernel=11, level="cell")
    xy, visible = torch.from_numpy(golden_arrays["joints"]), torch.from_numpy(golden_arrays["valid"][..., 0]).long()
    output = torch.zeros(*xy.shape[:2], *codec.cells).requires_grad_()
    codec.loss(output, xy, visible).backward()
    counts = (output.grad != 0).flatten(2).any(dim=-1).numpy()
    np.testing.assert_array_equal(counts, golden_arrays["mmpose_megvii_k11_w"][:, 0] > 0)


@pytest.fixture
def problem(golden_file, golden_input):
    """Maps as high as the releases have them, where they are in the image, and the expected values of those maps."""
    inputs = golden_input(golden_file, "d00_heatmaps_in")

    def of(part, expected):
        maps = torch.from_numpy(inputs[MAPS[part][0]]) * HEIGHT
        kept = inputs.get(f"kept_{part}")
        if kept is not None and expected.shape[1] != maps.shape[1]:
            expected = expected[: len(maps), kept]
        center, scale = (inputs[name][:, None].astype(np.float64) for name in MAPS[part][1:])
        tied = np.isin(inputs["degenerate_names"], list(TIED)) if part == "degen" else np.zeros(maps.shape[1], bool)
        return maps, tuple(STRIDE * side for side in maps.shape[2:]), center, scale, expected, tied

    return of


def compare(found, expected, tied, *, atol):
    """Equal where the release is finite, but that ties may be decided otherwise: half a cell each way at most."""
    known = np.isfinite(expected).all(axis=-1)
    sure = known & ~tied
    np.testing.assert_allclose(found[sure], expected[sure], rtol=1e-6, atol=atol)
    np.testing.assert_allclose(found[known], expected[known], rtol=1e-6, atol=1.0)


@pytest.mark.golden("functions/d05_*.npz")
def test_mspn_is_read_as_its_release_does(golden_arrays, problem):
    tried = 0
    for key in golden_arrays:
        match = re.fullmatch(r"mspn_k(?P<blur>\d+)_n(?P<shifts>\d)_(?P<part>main|degen)_(?P<what>preds|maxvals)", key)
        if match is None:
            continue
        maps, size, center, scale, expected, tied = problem(match["part"], golden_arrays[key])
        shifts = tuple(0.25 / 2**i for i in range(int(match["shifts"])))
        points = Megvii(size, maps.shape[2:], maps.shape[1], blur=int(match["blur"]), shifts=shifts).decode(maps)
        home = (points.xy.numpy() / np.array(size[::-1]) - 0.5) * 200 * scale + center
        if match["what"] == "preds":
            compare(home, expected, tied, atol=5e-3)
        else:
            compare(points.score.numpy()[..., None], expected, tied, atol=1e-5)
        tried += 1
    assert tried


@pytest.mark.golden("functions/d05_*.npz")
def test_cpn_is_read_as_its_releases_do(golden_arrays, problem):
    frames, tried = golden_arrays["cpn_details"], 0
    for key in golden_arrays:
        match = re.fullmatch(r"(cpn|tfcpn)_(?P<part>main|degen)_(keypoints|skeleton)", key)
        if match is None:
            continue
        maps, size, *_, expected, tied = problem(match["part"], golden_arrays[key])
        points = Megvii(size, maps.shape[2:], maps.shape[1], reading="cpn", blur=21).decode(maps)
        frame = frames[: len(maps), None]
        home = points.xy.numpy() / np.array(size[::-1]) * (frame[..., 2:] - frame[..., :2]) + frame[..., :2]
        compare(home, expected[..., :2], tied, atol=5e-3)
        if key.startswith("tfcpn"):
            compare(points.score.numpy()[..., None], expected[..., 2:], tied, atol=1e-5)
        tried += 1
    assert tried


@pytest.mark.golden("functions/d05_*.npz")
def test_people_are_rated_by_all_their_keypoints_as_cpn_does(golden_arrays, problem):
    for part in (part for part in MAPS if f"cpn_{part}_keypoints" in golden_arrays):
        maps, size, *_ = problem(part, golden_arrays[f"cpn_{part}_keypoints"])
        if maps.shape[1] != golden_arrays[f"cpn_{part}_keypoints"].shape[1]:
            continue  # the small copy has some of the maps only
        points = Megvii(size, maps.shape[2:], maps.shape[1], reading="cpn", blur=21).decode(maps)
        found = rescore(torch.ones(len(maps)), points.score, -1.0)
        np.testing.assert_allclose(found.numpy(), golden_arrays[f"cpn_{part}_score"][: len(maps)], rtol=1e-6)


@pytest.mark.golden("functions/d06_*.npz")
def test_maps_are_read_as_mmpose_does(golden_arrays, problem):
    tried = 0
    for key in golden_arrays:
        match = re.fullmatch(r"megvii(?P<blur>\d+)_(?P<part>main|degen)_(?P<what>keypoints|scores)", key)
        if match is None:
            continue
        maps, size, *_, expected, tied = problem(match["part"], golden_arrays[key])
        points = Megvii(size, maps.shape[2:], maps.shape[1], reading="mmpose", blur=int(match["blur"])).decode(maps)
        if match["what"] == "keypoints":
            compare(points.xy.numpy(), expected, tied, atol=5e-3)
        else:
            compare(points.score.numpy()[..., None], expected[..., None], tied, atol=1e-5)
        tried += 1
    assert tried


@pytest.mark.golden("functions/d09_*.npz")
def test_rsn_is_read_as_udp_does(golden_arrays, problem):
    maps, size, center, scale, expected, _ = problem("main", golden_arrays["preds"])
    codec = MegviiUDP(size, maps.shape[2:], maps.shape[1])
    points = codec.decode(maps)
    home = points.xy.numpy() * 200 * scale / (np.array(size[::-1]) - 1) + center - 100 * scale
    best = codec.grid.to_pixels(argmax_cells(maps.flatten(0, 1))[0].float()).view(*maps.shape[:2], 2).numpy()
    expected = np.where(np.isfinite(expected), expected, best * 200 * scale / (np.array(size[::-1]) - 1) + center - 100 * scale)
    np.testing.assert_allclose(home, expected, rtol=1e-6, atol=5e-3)
    *_, score, _ = problem("main", golden_arrays["maxvals"])
    np.testing.assert_allclose(points.score.numpy()[..., None], score, rtol=1e-6)


def loss_of(codec, output, target, valid):
    """The codec's loss, given the label in place of the keypoints."""
    labelled = valid >= codec.least_visible
    return codec.total(squares(output, target * labelled[..., None, None]), labelled)


def tensors(arrays, *names):
    return [torch.from_numpy(arrays[name]) for name in names]


@pytest.mark.golden("functions/l03_*.npz")
def test_one_answer_costs_what_it_costs_mspn(golden_arrays):
    outputs, labels, valid = tensors(golden_arrays, "outputs", "labels", "valid")
    cells, keypoints = tuple(outputs.shape[-2:]), outputs.shape[-3]
    size = tuple(STRIDE * side for side in cells)
    every = Megvii(size, cells, keypoints, least_visible=2, others="emptied")
    tried = 0
    for key in golden_arrays:
        match = re.fullmatch(r"l2|ohkm(?P<top>\d+)", key)
        if match is None:
            continue
        codec = every if match["top"] is None else Megvii(size, cells, keypoints, ohkm=int(match["top"]))
        wanted = golden_arrays[f"{key}_grad"]
        losses = []
        for output, target in ((o, labels[:, i]) for o in outputs.flatten(0, 1) for i in range(labels.shape[1])):
            leaf = output.clone().requires_grad_()
            loss = loss_of(codec, leaf, target, valid[..., 0])
            loss.backward()
            same = np.allclose(loss.item(), golden_arrays[key], rtol=1e-5)
            losses.append(same and np.allclose(leaf.grad.numpy(), wanted, rtol=1e-4, atol=1e-6 * np.abs(wanted).max()))
        assert any(losses), f"{key} is the loss of none of the pairs of output and label"
        tried += 1
    assert tried


@pytest.mark.golden("functions/l03_*.npz")
def test_all_answers_cost_what_they_cost_mspn(golden_arrays):
    outputs, labels, valid = tensors(golden_arrays, "outputs", "labels", "valid")
    cells, keypoints = tuple(outputs.shape[-2:]), outputs.shape[-3]
    kernels = [15, 11, 9, 7, 5]
    tried = 0
    for key, expected in golden_arrays.items():
        match = re.fullmatch(r"total_ctf(?P<finer>[01])_ohkm(?P<hard>[01])", key)
        if match is None:
            continue
        size = tuple(STRIDE * side for side in cells)
        deep, last = mspn_codecs(size, cells, keypoints, stages=len(outputs), coarse_to_fine=match["finer"] == "1")
        total = torch.zeros(())
        for codec, output in zip((*deep, last), outputs.flatten(0, 1), strict=True):
            if match["hard"] == "0" and codec.ohkm is not None:
                codec = Megvii(size, cells, keypoints, kernel=codec.kernel, least_visible=2, others="emptied")
            total = total + loss_of(codec, output, labels[:, kernels.index(codec.kernel)], valid[..., 0])
        np.testing.assert_allclose(total.item(), expected, rtol=1e-5)
        tried += 1
    assert tried


@pytest.mark.golden("functions/l04_*.npz")
def test_all_answers_cost_what_they_cost_cpn(golden_arrays):
    outputs, refined, targets = tensors(golden_arrays, "global_outputs", "refine_output", "targets_15_11_9_7")
    valid = torch.from_numpy(golden_arrays["valid"])
    cells = tuple(refined.shape[-2:])
    deep, last = cpn_codecs(tuple(STRIDE * side for side in cells), cells, refined.shape[1])
    parts = [loss_of(codec, outputs[i], targets[i], valid) for i, codec in enumerate(deep)]
    hard = loss_of(last, refined, targets[-1], valid)
    coarse = torch.stack(parts).sum()
    for key, found in {
        "global_loss": coarse,
        "refine_loss": hard,
        "total": coarse + hard,
        "tfcpn_global_loss": coarse / 4,
        "tfcpn_total": coarse / 4 + hard,
    }.items():
        np.testing.assert_allclose(found.item(), golden_arrays[key], rtol=1e-5, err_msg=key)
