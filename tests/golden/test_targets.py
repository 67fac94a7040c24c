"""Targets and their weights, against the releases' (e01)."""

import numpy as np
import pytest
import torch

from poise.codecs.dark import Dark
from poise.codecs.gaussian import Gaussian
from poise.codecs.maps import MapCodec
from poise.codecs.udp import UDPGaussian

CODECS = {"msra": Gaussian, "dark": Dark, "udp_gauss": UDPGaussian}


def make(kind, arrays) -> MapCodec:
    size, cells = (tuple(int(v) for v in arrays[name][::-1]) for name in ("image_size_wh", "heatmap_size_wh"))
    return CODECS[kind](size, cells, arrays["joints"].shape[1], sigma=float(arrays["sigma"]))


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
    plain = golden_arrays["msra_weight"][..., 0]
    if plain.shape[1] != 17:
        pytest.skip("the releases have joint weights for COCO's keypoints only")
    coco = (1.0,) * 7 + (1.2, 1.2, 1.5, 1.5, 1.0, 1.0, 1.2, 1.2, 1.5, 1.5)
    codec = make("msra", golden_arrays)
    codec = Gaussian(codec.size, codec.cells, 17, sigma=codec.sigma, joint_weights=coco)
    xy, visible = keypoints("msra", codec, golden_arrays)
    found = codec.weights(xy, torch.ones(xy.shape[:2], dtype=torch.int64)).numpy() * visible
    np.testing.assert_allclose(found, golden_arrays["msra_weight_jointsweight"][..., 0], rtol=1e-6)
