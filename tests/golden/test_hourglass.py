"""Labels, reading and loss of the stacked hourglass (e04, d07, l01)."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from poise.codecs.hourglass import Hourglass
from poise.decoding.subpixel import argmax_cells
from poise.losses.heatmaps import mean_squares, squares

STRIDE = 4
MAPS = {"main": ("heatmaps", "center", "scale"), "degen": ("degenerate", "dcenter", "dscale")}


def made(maps, **fields):
    """A codec for maps like those of an array."""
    *_, keypoints, height, width = maps.shape
    return Hourglass((STRIDE * height, STRIDE * width), (height, width), keypoints, **fields)


def to_view(points, center, scale, size):
    """Pixels of the image to pixels of the release's view, whose centre and scale the file gives."""
    cut = (points.astype(np.float64) - center) / (200 * np.float64(scale)) + 0.5
    return torch.from_numpy(cut * np.array(size[::-1]))[None]


@pytest.mark.golden("functions/e04_*.npz")
def test_labels_are_drawn_as_the_release_does(golden_arrays):
    tried, points = 0, torch.from_numpy(golden_arrays["pts"])[None]
    for key, expected in golden_arrays.items():
        match = re.fullmatch(r"(?P<label>Gaussian|Cauchy)_s(?P<sigma>\d+)_(?P<what>map|vis)", key)
        if match is None:
            continue
        maps = golden_arrays[key.replace("_vis", "_map")]
        codec = made(maps, sigma=float(match["sigma"]), label=match["label"].lower())
        if match["what"] == "map":
            np.testing.assert_allclose(codec.draw(points)[0].numpy(), expected, rtol=0, atol=2e-6, err_msg=key)
        else:
            pixels = codec.grid.to_pixels(points)
            found = codec.weights(pixels, torch.ones(pixels.shape[:2], dtype=torch.int64))
            np.testing.assert_array_equal(found[0].numpy(), expected, err_msg=key)
        tried += 1
    assert tried


@pytest.mark.golden("functions/e04_*.npz")
def test_a_patch_is_that_of_the_release(golden_arrays):
    expected = golden_arrays["gaussian_7_1"]
    codec = Hourglass((STRIDE * len(expected),) * 2, expected.shape, 1, sigma=1.0)
    found = codec.draw(torch.full((1, 1, 2), len(expected) // 2, dtype=torch.float64))
    np.testing.assert_allclose(found[0, 0].numpy(), expected, rtol=0, atol=2e-6)


@pytest.mark.golden("functions/e04_*.npz")
def test_real_animals_are_labelled_as_their_reader_does(golden_arrays):
    points, expected = golden_arrays["tig_pts"], golden_arrays["tig_target"]
    codec = made(expected)
    xy = to_view(points[:, :2], golden_arrays["tig_center"], golden_arrays["tig_scale"], codec.size)
    drawn = points[:, 1] > 0
    found = codec.encode(xy)[0].numpy() * drawn[:, None, None]
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)
    weights = codec.weights(xy, torch.from_numpy(points[:, 2]).long()[None])[0].numpy()
    np.testing.assert_array_equal(weights[drawn], golden_arrays["tig_weight"][drawn, 0])
    cells = np.trunc(xy[0].numpy() / STRIDE) + 1  # the release counts from 1
    np.testing.assert_array_equal(cells[drawn], golden_arrays["tig_tpts"][drawn, :2])


@pytest.mark.golden("functions/e04_*.npz")
def test_pseudo_labels_are_drawn_as_the_release_does(golden_arrays):
    expected = golden_arrays["kpts2hm_out"]
    codec = made(expected)
    whole = np.trunc(golden_arrays["kpts2hm_in"][:, :2]) - 1  # the release counts from 1
    found = codec.encode(to_view(whole, 128, 1.28, codec.size)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


@pytest.mark.golden("functions/d07_*.npz")
def test_maps_are_read_as_the_release_does(golden_arrays, golden_file, golden_input):
    inputs, tried = golden_input(golden_file, "d00_heatmaps_in"), 0
    for key, expected in golden_arrays.items():
        match = re.fullmatch(r"hourglass_(?P<part>main|degen)_(?P<what>preds|get_preds)", key)
        if match is None:
            continue
        name, *frame = MAPS[match["part"]]
        maps = torch.from_numpy(inputs[name])
        kept = inputs.get(f"kept_{match['part']}")
        if kept is not None and expected.shape[1] != maps.shape[1]:
            expected = expected[: len(maps), kept]
        maps = F.pad(maps, (0, maps.shape[2] - maps.shape[3]))  # the release knows squares only
        codec = made(maps)
        if match["what"] == "get_preds":  # counts from 1, and 0 where there is no positive value
            cells, score = argmax_cells(maps.flatten(0, 1))
            found = torch.where(score[:, None] > 0, cells + 1, 0).view(expected.shape)
            np.testing.assert_array_equal(found.numpy(), expected)
        else:
            center, scale = (inputs[n][:, None].astype(np.float64) for n in frame)
            cut = codec.decode(maps).xy.numpy() / np.array(codec.size[::-1])
            home = (cut - 0.5) * 200 * scale[..., 1:] + center
            np.testing.assert_array_equal(np.trunc(home) + 1, expected)  # the release rounds, and counts from 1
        tried += 1
    assert tried


@pytest.mark.golden("functions/l01_*.npz")
def test_the_loss_divides_by_the_animals_keypoints(golden_arrays):
    tried = 0
    for key, expected in golden_arrays.items():
        match = re.fullmatch(r"animal_mse_numkpt(?P<count>\d+)", key)
        if match is None:
            continue
        output, target, weight = (torch.from_numpy(golden_arrays[n]) for n in ("output", "target", "target_weight"))
        codec = made(output, weight=output.shape[1] / int(match["count"]))
        plain = mean_squares(squares(output, target), weight[..., 0], cells=codec.cells[0] * codec.cells[1])
        np.testing.assert_allclose((codec.weight * plain).item(), expected, rtol=1e-5)
        tried += 1
    assert tried or "animal_mse_numkpt18" not in golden_arrays
