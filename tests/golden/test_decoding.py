"""Positions and scores read out of maps, against the releases' (d01, d02, d03, d04 on the maps of d00) and mmpose's (d06).

Where a release answers NaN we answer the highest cell.
"""

import re

import numpy as np
import pytest
import torch

from poise.codecs.dark import Dark
from poise.codecs.gaussian import Gaussian
from poise.codecs.soft_argmax import SoftArgmax
from poise.codecs.udp import UDPGaussian
from poise.codecs.udp_offset import UDPOffset
from poise.decoding.gaussian_fit import fit_gaussian_and_variance
from poise.decoding.subpixel import argmax_cells, soft_argmax
from poise.decoding.taylor import hf_udp_taylor_step

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


def parts_of(arrays, key):
    """Which of the two sets of maps a file has values for, under a key with room for the set's name; one at least."""
    parts = [part for part in MAPS if key.format(part) in arrays]
    assert parts
    return parts


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
            codec.grid.to_pixels(argmax_cells(maps.flatten(0, 1))[0].float().unflatten(0, maps.shape[:2]))
            .numpy()
            .astype(np.float64)
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
    for part in parts_of(golden_arrays, "max_{}_coords"):
        maps, *_, expected = problem(part, golden_arrays[f"max_{part}_coords"])
        cells, score = (found.unflatten(0, maps.shape[:2]) for found in argmax_cells(maps.flatten(0, 1)))
        np.testing.assert_array_equal(cells.numpy(), expected)
        np.testing.assert_array_equal(score.numpy(), problem(part, golden_arrays[f"max_{part}_maxvals"])[-1][..., 0])


@pytest.mark.golden("functions/d01_*.npz")
def test_gaussian_decodes_as_hrnet_does(golden_arrays, problem):
    check(problem, golden_arrays, lambda size, cells, k, _: Gaussian(size, cells, k), hrnet_home, keys="hrnet_pp")


@pytest.mark.golden("functions/d01_*.npz")
def test_the_highest_cell_alone_is_read_as_in_hrnet(golden_arrays, problem):
    codec = lambda size, cells, k, _: Gaussian(size, cells, k, reading="cell")  # noqa: E731
    check(problem, golden_arrays, codec, hrnet_home, keys="hrnet_nopp")


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
def test_the_highest_cell_alone_is_read_as_in_udp(golden_arrays, problem):
    codec = lambda size, cells, k, _: UDPGaussian(size, cells, k, reading="cell")  # noqa: E731
    check(problem, golden_arrays, codec, udp_home, keys="udp_gauss_nopp")


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
def test_dark_smooths_as_its_release_does(golden_file, golden_arrays, golden_input, problem):
    if "kept_main" in golden_input(golden_file, "d00_heatmaps_in"):
        pytest.skip("the small copy of the inputs does not hold these maps")
    for key in [k for k in golden_arrays if k.startswith("dark_blur")]:  # too big for the small copy
        kernel, part = re.fullmatch(r"dark_blur(\d+)_(\w+)", key).groups()
        part = "degen" if part == "degen" else "main"
        smoothed_alike(lambda *args, n=int(kernel): Dark(*args, kernel=n), problem, golden_arrays[key], part)


@pytest.mark.golden("functions/d03_*.npz")
def test_udp_smooths_as_its_release_does(golden_file, golden_arrays, golden_input, problem):
    if "kept_main" in golden_input(golden_file, "d00_heatmaps_in"):
        pytest.skip("the small copy of the inputs does not hold these maps")
    for key in [k for k in golden_arrays if k.startswith("udp_smoothed")]:  # too big for the small copy
        smoothed_alike(UDPGaussian, problem, golden_arrays[key], "main")


@pytest.fixture
def offsets(golden_file, golden_input):
    """An offset network's answer, and where its views are in the image."""
    maps = golden_input(golden_file, "d03_udp_final_preds")
    if "offset_net" not in maps:
        pytest.skip("this file has no offsets")
    frame = golden_input(golden_file, "d00_heatmaps_in")
    output = torch.from_numpy(maps["offset_net"])
    view, joint = maps.get("kept_offset", (slice(None), slice(None)))
    center, scale = (frame[name][: len(output), None].astype(np.float64) for name in ("center", "scale"))
    cells = tuple(output.shape[2:])
    make = lambda **form: UDPOffset((STRIDE * cells[0], STRIDE * cells[1]), cells, output.shape[1] // 3, **form)  # noqa: E731

    def kept(expected):
        whole = expected.shape[:2] != (len(output), output.shape[1] // 3)
        return expected[view][:, joint] if whole else expected

    return make, output, center, scale, kept


@pytest.mark.golden("functions/d03_*.npz")
def test_offsets_are_read_as_in_udp(golden_arrays, offsets):
    make, output, center, scale, _ = offsets
    found = make().decode(output)
    np.testing.assert_allclose(found.xy.numpy(), golden_arrays["offset_input_space"], rtol=0, atol=STRIDE * CELLS)
    np.testing.assert_allclose(found.score.numpy(), golden_arrays["offset_maxvals"][..., 0], rtol=0, atol=1e-6)
    framed = len(center)  # a small copy tells where one view is
    home = udp_home(found.xy[:framed].numpy(), make().size, center, scale)
    np.testing.assert_allclose(home, golden_arrays["offset_preds"][:framed], rtol=0, atol=IMAGE)


@pytest.mark.golden("functions/d04_*.npz")
@pytest.mark.parametrize("quarter", [True, False], ids=["pp", "nopp"])
def test_soft_argmax_decodes_as_lpn_does(golden_arrays, problem, quarter):
    name = "pp" if quarter else "nopp"
    for part in parts_of(golden_arrays, f"lpn_{name}_{{}}_preds"):
        maps, size, cells, center, scale, expected = problem(part, golden_arrays[f"lpn_{name}_{part}_preds"])
        found = SoftArgmax(size, cells, maps.shape[1], quarter=quarter).decode(maps)
        home = hrnet_home(found.xy.numpy(), size, center, scale)
        np.testing.assert_allclose(home, expected, rtol=1e-6, atol=IMAGE)
        score = problem(part, golden_arrays[f"lpn_{name}_{part}_maxvals"])[-1][..., 0]
        np.testing.assert_allclose(found.score.numpy(), score, rtol=1e-6, atol=1e-6)


@pytest.mark.golden("functions/d04_*.npz")
def test_the_mean_cell_is_that_of_the_release_for_every_beta(golden_arrays, problem):
    known = [
        re.fullmatch(r"(lpn_softargmax_hm|softargmax_beta(?P<beta>\d+))_(?P<part>\w+)_coords", key) for key in golden_arrays
    ]
    assert any(known)
    for match in filter(None, known):
        maps, size, cells, *_, expected = problem(match["part"], golden_arrays[match.string])
        beta = float(match["beta"] or 160)
        mean = soft_argmax(maps.flatten(0, 1), beta=beta).view(expected.shape)
        np.testing.assert_allclose(mean.numpy(), expected, rtol=0, atol=CELLS)
        score = problem(match["part"], golden_arrays[match.string.replace("coords", "maxvals")])[-1][..., 0]
        found = SoftArgmax(size, cells, maps.shape[1], beta=beta, quarter=False).decode(maps).score
        np.testing.assert_allclose(found.numpy(), score, rtol=1e-6, atol=1e-6)


def mmpose(key, size, cells, keypoints):
    """mmpose's decoders as forms of ours, and what its positions are in cells."""
    stride = np.array((size[1] / cells[1], size[0] / cells[0]))
    match key:
        case "msra":
            return Gaussian(size, cells, keypoints, reading="quarter-mmpose"), stride
        case "dark11":
            return Dark(size, cells, keypoints, kernel=11, lattice="strided"), stride
        case "udp11":  # it spreads the last cell over the last pixel's width: its encoder does not
            return UDPGaussian(size, cells, keypoints, reading="udp-mmpose"), np.array(size[::-1]) / (np.array(cells[::-1]) - 1)
    raise KeyError(key)


@pytest.mark.golden("functions/d06_*.npz")
@pytest.mark.parametrize("part", MAPS)
@pytest.mark.parametrize("key", ["msra", "dark11", "udp11"])
def test_maps_are_read_as_in_mmpose(golden_arrays, problem, key, part):
    if f"{key}_{part}_keypoints" not in golden_arrays:
        pytest.skip(f"this file has no {key}")
    maps, size, cells, *_, expected = problem(part, golden_arrays[f"{key}_{part}_keypoints"])
    codec, stride = mmpose(key, size, cells, maps.shape[1])
    found = codec.decode(maps)
    there = (found.score > 0).numpy()  # mmpose calls an empty map's highest cell (-1, -1), we (0, 0)
    np.testing.assert_allclose(codec.grid.to_cells(found.xy).numpy()[there], (expected / stride)[there], rtol=1e-6, atol=CELLS)
    score = problem(part, golden_arrays[f"{key}_{part}_scores"][..., None])[-1][..., 0]
    np.testing.assert_array_equal(found.score.numpy(), score)


@pytest.mark.golden("functions/f10_*.npz")
@pytest.mark.parametrize("kernel", [3, 11, 17])
def test_maps_are_read_as_in_transformers(golden_arrays, golden_file, golden_input, kernel):
    """Where a map has no positive value, transformers reads the cell (-1, -1); those keypoints are left out."""
    if f"k{kernel}_keypoints" not in golden_arrays:
        pytest.skip(f"this file has no k{kernel}")
    maps = torch.from_numpy(golden_input(golden_file, "d00_heatmaps_in")["heatmaps"])
    expected = golden_arrays[f"k{kernel}_keypoints"]
    maps = maps[: len(expected)]
    home = (golden_arrays[name][:, None].astype(np.float64) for name in ("centers", "scales"))
    cells, score = argmax_cells(maps.flatten(0, 1))
    found = (cells + hf_udp_taylor_step(maps.flatten(0, 1), cells, kernel=kernel)).view(expected.shape).numpy()
    there = (score > 0).view(expected.shape[:2]).numpy()
    if kernel == 11:
        codec = UDPGaussian(
            (maps.shape[2] * STRIDE, maps.shape[3] * STRIDE), tuple(maps.shape[2:]), maps.shape[1], reading="udp-hf"
        )
        np.testing.assert_allclose(codec.grid.to_cells(codec.decode(maps).xy).numpy()[there], found[there], atol=1e-4)
        np.testing.assert_allclose(found[there], golden_arrays["dark_coords_k11"][there], atol=1e-4)
    np.testing.assert_allclose(udp_home(found, maps.shape[2:], *home)[there], expected[there], rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(score.view(expected.shape[:2]), golden_arrays[f"k{kernel}_scores"])


@pytest.mark.golden("functions/d06_*.npz")
def test_offsets_are_read_as_in_mmpose(golden_arrays, offsets):
    if "udp_combined_keypoints" not in golden_arrays:
        pytest.skip("this file has no offsets")
    make, output, *_, kept = offsets
    codec = make(radius=3.5, everywhere=True, heat_blur=23, offset_blur=1)
    found, expected = codec.decode(output), kept(golden_arrays["udp_combined_keypoints"])
    there = (found.score > 0).numpy()
    cells = expected * (np.array(codec.cells[::-1]) - 1) / np.array(codec.size[::-1])
    np.testing.assert_allclose(codec.grid.to_cells(found.xy).numpy()[there], cells[there], rtol=1e-6, atol=CELLS)
    np.testing.assert_allclose(found.score.numpy(), kept(golden_arrays["udp_combined_scores"]), rtol=0, atol=1e-6)


@pytest.mark.golden("functions/og11_*.npz")
@pytest.mark.parametrize("reach", [1, 2])
def test_round_gaussians_are_fitted_as_in_offsetguided(golden_arrays, reach):
    maps, cells = (torch.from_numpy(golden_arrays[name]) for name in ("heatmaps", "peaks_xy"))
    last = cells.new_tensor(maps.shape[:0:-1]) - 1
    corner = ((cells == 0) | (cells == last)).all(dim=-1) & (reach == 1)  # 2x2 cells do not determine a Gaussian
    middle, variance = fit_gaussian_and_variance(maps, cells, reach=reach)
    np.testing.assert_allclose(middle[~corner], golden_arrays[f"fit_k{reach}_xy"][~corner], rtol=0, atol=1e-9)
    np.testing.assert_allclose(variance[~corner], golden_arrays[f"sigma2_k{reach}"][~corner], rtol=1e-9)
