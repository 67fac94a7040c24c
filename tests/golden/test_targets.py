"""Targets and their weights, against the releases' (e01) and mmpose's (e02)."""

import numpy as np
import pytest
import torch

from poise.codecs.dark import Dark
from poise.codecs.gaussian import Gaussian
from poise.codecs.maps import MapCodec
from poise.codecs.udp import UDPGaussian
from poise.codecs.udp_offset import UDPOffset

CODECS = {"msra": Gaussian, "dark": Dark, "udp_gauss": UDPGaussian}


def sizes(arrays) -> tuple[tuple[int, int], tuple[int, int], int]:
    """Size, cells and number of keypoints."""
    size, cells = (tuple(int(v) for v in arrays[name][::-1]) for name in ("image_size_wh", "heatmap_size_wh"))
    return size, cells, arrays["joints"].shape[1]


def make(kind, arrays) -> MapCodec:
    return CODECS[kind](*sizes(arrays), sigma=float(arrays["sigma"]))


def keypoints(kind, codec, arrays) -> tuple[torch.Tensor, torch.Tensor]:
    """Input pixels and visibility; the file gives DARK's keypoints in cells."""
    if kind == "dark":
        return codec.grid.to_pixels(torch.from_numpy(arrays["dark_joints_heatmap"][..., :2])), arrays["joints_vis"][..., 0]
    return torch.from_numpy(arrays["joints"][..., :2]), arrays["joints_vis"][..., 0]


@pytest.mark.golden("functions/e01_targets_*.npz")
@pytest.mark.parametrize("kind", CODECS)
def test_targets_are_those_of_the_release(golden_arrays, kind):
    codec = make(kind, golden_arrays)
    xy, visible = keypoints(kind, codec, golden_arrays)
    expected = golden_arrays[f"{kind}_target"]
    found = codec.encode(xy).numpy() * (visible > 0.5)[..., None, None]
    views, joints = expected.shape[:2]
    np.testing.assert_allclose(found[:views, :joints], expected, rtol=0, atol=2e-6)


@pytest.mark.golden("functions/e01_targets_*.npz")
@pytest.mark.parametrize("kind", CODECS)
def test_weights_are_those_of_the_release(golden_arrays, kind):
    codec = make(kind, golden_arrays)
    xy, visible = keypoints(kind, codec, golden_arrays)
    labelled = torch.ones(xy.shape[:2], dtype=torch.int64)
    found = codec.weights(xy, labelled).numpy() * visible
    np.testing.assert_array_equal(found, golden_arrays[f"{kind}_weight"][..., 0])


@pytest.mark.golden("functions/e01_targets_*.npz")
def test_joint_weights_multiply_the_weights(golden_arrays):
    if "msra_weight_jointsweight" not in golden_arrays:
        pytest.skip("this file has no joint weights")
    coco = (1.0,) * 7 + (1.2, 1.2, 1.5, 1.5, 1.0, 1.0, 1.2, 1.2, 1.5, 1.5)
    codec = make("msra", golden_arrays)
    codec = Gaussian(codec.size, codec.cells, 17, sigma=codec.sigma, joint_weights=coco)
    xy, visible = keypoints("msra", codec, golden_arrays)
    found = codec.weights(xy, torch.ones(xy.shape[:2], dtype=torch.int64)).numpy() * visible
    np.testing.assert_allclose(found, golden_arrays["msra_weight_jointsweight"][..., 0], rtol=1e-6)


@pytest.mark.golden("functions/e01_targets_*.npz")
def test_offset_targets_are_those_of_the_release(golden_arrays):
    if "udp_offset_target" not in golden_arrays:
        pytest.skip("this file has no offsets")
    expected = golden_arrays["udp_offset_target"]
    xy, visible = keypoints("udp_offset", None, golden_arrays)
    labelled = np.repeat(visible > 0.5, 3, axis=1)[..., None, None]
    found = UDPOffset(*sizes(golden_arrays)).encode(xy).numpy() * labelled
    np.testing.assert_allclose(found[: len(expected)], expected, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(visible[: len(expected)], golden_arrays["udp_offset_weight"][..., 0])  # none is out of reach


def mmpose(key, sizes, sigma):
    """mmpose's encoders as forms of ours."""
    if key == "unbiased":
        return Dark(*sizes, sigma=sigma, lattice="strided")
    if key == "udp_combined":
        return UDPOffset(*sizes, radius=0.0546875 * max(sizes[1]), everywhere=True)
    return {"msra": Gaussian, "udp": UDPGaussian}[key](*sizes, sigma=sigma)


def views(inputs, arrays, expected):
    """Which views of the inputs, a small copy perhaps, have expected values, and those."""
    kept = inputs.get("kept_views")
    if kept is None or "kept_views" in arrays:
        return slice(min(len(expected), len(inputs["joints"]))), expected[: len(inputs["joints"])]
    there = np.flatnonzero(kept < len(expected))
    return there, expected[kept[there]]


def agreed(key, codec, xy) -> np.ndarray:
    """All keypoints but those of "unbiased" that end less than a cell before the map: DARK's release counts them."""
    if key != "unbiased":
        return np.ones(xy.shape[:2], bool)
    end = codec.grid.to_cells(xy) + 3 * codec.sigma + 1
    return ~((end > -1) & (end < 0)).any(dim=-1).numpy()


@pytest.mark.golden("functions/e02_*.npz")
@pytest.mark.parametrize("key", ["msra", "unbiased", "udp", "udp_combined"])
def test_targets_are_those_of_mmpose(golden_file, golden_arrays, golden_input, key):
    if f"{key}_heatmaps" not in golden_arrays:
        pytest.skip(f"this file has no {key}")
    inputs = golden_input(golden_file, "e01")
    codec = mmpose(key, sizes(inputs), float(inputs["sigma"]))
    those, expected = views(inputs, golden_arrays, golden_arrays[f"{key}_heatmaps"])
    xy, visible = (part[those] for part in keypoints(key, codec, inputs))
    each = codec.channels // codec.keypoints
    found = codec.encode(xy).numpy() * np.repeat(visible > 0.5, each, axis=1)[..., None, None]
    counts = np.repeat(agreed(key, codec, xy), each, axis=1)[:, : expected.shape[1]]
    largest = max(1, np.abs(expected).max())  # vectors go over the whole map
    np.testing.assert_allclose(found[:, : expected.shape[1]][counts], expected[counts], rtol=0, atol=2e-6 * largest)


@pytest.mark.golden("functions/e02_*.npz")
@pytest.mark.parametrize("key", ["msra", "unbiased", "udp", "udp_combined"])
def test_weights_are_those_of_mmpose(golden_file, golden_arrays, golden_input, key):
    if f"{key}_weights" not in golden_arrays:
        pytest.skip(f"this file has no {key}")
    inputs = golden_input(golden_file, "e01")
    codec = mmpose(key, sizes(inputs), float(inputs["sigma"]))
    those, expected = views(inputs, golden_arrays, golden_arrays[f"{key}_weights"].squeeze(1))
    xy, visible = (part[those] for part in keypoints(key, codec, inputs))
    labelled = torch.ones(xy.shape[:2], dtype=torch.int64)
    reached = np.ones(visible.shape) if key == "udp_combined" else codec.weights(xy, labelled).numpy()
    found = np.where(visible < 0.5, visible, reached * visible)  # mmpose keeps the weight of what is not labelled
    counts = agreed(key, codec, xy)
    np.testing.assert_array_equal(found[counts], expected[counts])
