"""Positions and scores read out of maps, against the releases' (d01, d02, d03 on the maps of d00).

Where a release answers NaN we answer the highest cell.
"""

import re

import numpy as np
import pytest
import torch

from poise.codecs.dark import Dark
from poise.codecs.gaussian import Gaussian
from poise.codecs.readings import highest
from poise.codecs.udp import UDPGaussian

STRIDE = 4
MAPS = {"main": ("heatmaps", "center", "scale"), "degen": ("degenerate", "dcenter", "dscale")}
CELLS, IMAGE = 1e-3, 5e-3


def hrnet_home(xy, size, center, scale):
    return (xy - np.array(size[::-1]) / 2) * 200 * scale[..., :1] / size[1] + center


def dark_home(xy, size, center, scale):
    return (xy - (np.array(size[::-1]) - 1) / 2) * (200 * scale[..., :1] - 1) / (size[1] - 1) + center


def udp_home(xy, size, center, scale):
    return xy * 200 * scale / (np.array(size[::-1]) - 1) + center - 100 * scale


@pytest.fixture
def problem(golden_file, golden_input):
    """Maps, sizes and the way home of "main" or "degen", and the expected values that belong to those maps."""
    inputs = golden_input(golden_file, "d00_heatmaps_in")

    def of(part, expected):
        maps_name, *frame = MAPS[part]
        maps = torch.from_numpy(inputs[maps_name])
        views, joints = maps.shape[:2]
        kept = inputs.get(f"kept_{part}")
        if kept is not None and expected.shape[1] != joints:  # outputs for all maps, inputs from the small copy
            expected = expected[:views, kept]
        center, scale = (inputs[name][:, None].astype(np.float64) for name in frame)
        cells = tuple(maps.shape[2:])
        size = (cells[0] * STRIDE, cells[1] * STRIDE)
        return maps, size, cells, center, scale, expected

    return of


def compare(found, expected, maps, highest_cell, *, atol):
    """Where the release is finite, equal it; elsewhere the highest cell."""
    finite = np.isfinite(expected).all(axis=-1)
    np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-6, atol=atol)
    np.testing.assert_allclose(found[~finite], highest_cell[~finite], rtol=1e-6, atol=atol)


def check(problem, arrays, codec_of, home, *, keys):
    """Every position and score of the file whose key fits `keys`; says which keys it knew."""
    known = set()
    for key in arrays:
        match = re.fullmatch(
            keys + r"_(?P<space>hmspace_|)(?P<part>main|degen)_(?P<what>preds|coords|maxvals|input_space)", key
        )
        if match is None:
            continue
        maps, size, cells, center, scale, expected = problem(match["part"], arrays[key])
        codec = codec_of(size, cells, maps.shape[1], match)
        points = codec.decode(maps)
        best = (
            codec.grid.to_pixels(highest(maps.flatten(0, 1))[0].float().unflatten(0, maps.shape[:2])).numpy().astype(np.float64)
        )
        found = points.xy.numpy().astype(np.float64)
        if match["what"] == "maxvals":
            np.testing.assert_array_equal(points.score.numpy(), expected[..., 0])
        elif match["what"] == "input_space":
            compare(found, expected, maps, best, atol=STRIDE * CELLS)
        elif match["space"]:
            pixels = codec.grid.to_pixels(torch.from_numpy(expected.astype(np.float64))).numpy()
            compare(found, pixels, maps, best, atol=STRIDE * CELLS)
        else:
            compare(home(found, size, center, scale), expected, maps, home(best, size, center, scale), atol=IMAGE)
        known.add(key)
    assert known


@pytest.mark.golden("functions/d01_*.npz")
def test_the_highest_cell_is_that_of_the_release(golden_arrays, problem):
    for part in MAPS:
        maps, *_, expected = problem(part, golden_arrays[f"max_{part}_coords"])
        cells, score = (found.unflatten(0, maps.shape[:2]) for found in highest(maps.flatten(0, 1)))
        np.testing.assert_array_equal(cells.numpy(), expected)
        np.testing.assert_array_equal(score.numpy(), problem(part, golden_arrays[f"max_{part}_maxvals"])[-1][..., 0])


@pytest.mark.golden("functions/d01_*.npz")
def test_gaussian_decodes_as_hrnet_does(golden_arrays, problem):
    check(problem, golden_arrays, lambda size, cells, k, _: Gaussian(size, cells, k), hrnet_home, keys="hrnet_pp")


@pytest.mark.golden("functions/d02_*.npz")
def test_dark_decodes_as_its_release_does(golden_arrays, problem):
    def codec(size, cells, keypoints, match):
        return Dark(size, cells, keypoints, kernel=int(match["kernel"]))

    check(problem, golden_arrays, codec, dark_home, keys=r"dark_bk(?P<kernel>\d+)")


@pytest.mark.golden("functions/d03_*.npz")
def test_udp_decodes_as_its_release_does(golden_arrays, problem):
    codec = lambda size, cells, k, _: UDPGaussian(size, cells, k)  # noqa: E731
    check(problem, golden_arrays, codec, udp_home, keys="udp_gauss")


@pytest.mark.golden("functions/d03_*.npz")
def test_udp_refines_as_its_release_does(golden_arrays, problem):
    renamed = {k.replace("udp_post_hmspace_", "udp_gauss_hmspace_"): v for k, v in golden_arrays.items() if "udp_post" in k}
    codec = lambda size, cells, k, _: UDPGaussian(size, cells, k)  # noqa: E731
    check(problem, renamed, codec, udp_home, keys="udp_gauss")


def smoothed_alike(codec_of, problem, expected, part):
    """Each map of the file is one of ours: the files hold some of the maps of d00 and do not say which."""
    maps, size, cells, *_ = problem(part, expected)
    found = codec_of(size, cells, maps.shape[1]).smooth(maps.flatten(0, 1)).numpy()
    for wanted in expected.reshape(-1, *cells):
        worst = np.abs(found - wanted).max(axis=(1, 2))
        assert np.nanmin(worst) < 2e-6 * max(1, wanted.max())


@pytest.mark.golden("functions/d02_*.npz")
def test_dark_smooths_as_its_release_does(golden_arrays, problem):
    for key in [k for k in golden_arrays if k.startswith("dark_blur")]:  # too big for the small copy
        kernel, part = re.fullmatch(r"dark_blur(\d+)_(\w+)", key).groups()
        part = "degen" if part == "degen" else "main"
        smoothed_alike(lambda *args, n=int(kernel): Dark(*args, kernel=n), problem, golden_arrays[key], part)


@pytest.mark.golden("functions/d03_*.npz")
def test_udp_smooths_as_its_release_does(golden_arrays, problem):
    for key in [k for k in golden_arrays if k.startswith("udp_smoothed")]:  # too big for the small copy
        smoothed_alike(UDPGaussian, problem, golden_arrays[key], "main")
