"""Vectors and coordinates: labels, weights, what is read out of them (e06, e07), and mirrored coordinates (d10)."""

import math
import re

import numpy as np
import pytest
import torch

from poise.codecs.integral import Integral
from poise.codecs.regression import Regression
from poise.codecs.simcc import SimCC, relative_heights

SIZE = (256, 192)
"""Of the views of e06 and e07."""

LABELS = {
    "gauss_s6": {"sigma": 6.0, "normalize": True},
    "gauss_s49_nonorm": {"sigma": (4.9, 5.66)},
    "std0": {"label": "one-hot", "ratio": 3.0},
    "std01": {"label": "one-hot", "smoothing": 0.1},
}
"""How the labels of a key of e06 were made; its vectors tell the ratio."""


def simcc(arrays, fields, *, prefix="simcc"):
    """The codec whose vectors have the lengths of the file's."""
    ratio = arrays[f"{prefix}_x"].shape[-1] / SIZE[1]
    return SimCC(SIZE, (64, 48), arrays[f"{prefix}_x"].shape[1], **(fields | {"ratio": ratio}))


def joined(arrays, prefix, ending=""):
    return torch.from_numpy(np.concatenate([arrays[f"{prefix}_{axis}{ending}"] for axis in "xy"], axis=-1))


def read(codec, output):
    """Positions, and scores, as arrays."""
    points = codec.decode(output)
    return points.xy.numpy(), points.score.numpy()


@pytest.mark.golden("functions/e06_*.npz")
@pytest.mark.parametrize("key", LABELS)
def test_labels_of_simcc_are_those_of_the_release(golden_arrays, key):
    codec = simcc(golden_arrays, LABELS[key], prefix=key)
    xy, visible = torch.from_numpy(golden_arrays["keypoints"]), golden_arrays["visible"]
    found = codec.encode(xy).numpy() * (visible > 0.5)[..., None]
    np.testing.assert_allclose(found, joined(golden_arrays, key).numpy(), rtol=0, atol=2e-6)
    weights = codec.weights(xy, torch.ones(visible.shape, dtype=torch.int64)).numpy() * visible
    np.testing.assert_array_equal(weights, golden_arrays[f"{key}_w"])


@pytest.mark.golden("functions/e06_*.npz")
@pytest.mark.parametrize("key", LABELS)
def test_labels_of_simcc_are_read_as_in_the_release(golden_arrays, key):
    codec = simcc(golden_arrays, LABELS[key], prefix=key)
    xy, score = read(codec, joined(golden_arrays, key))
    np.testing.assert_allclose(xy, golden_arrays[f"{key}_dec"], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(score, golden_arrays[f"{key}_dec_score"])


@pytest.mark.golden("functions/e06_*.npz")
def test_vectors_of_simcc_are_read_as_in_the_release(golden_arrays):
    codec = simcc(golden_arrays, {"sigma": 6.0})
    xy, score = read(codec, joined(golden_arrays, "simcc"))
    np.testing.assert_allclose(xy, golden_arrays["dec"], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(score, golden_arrays["dec_score"])


@pytest.mark.golden("functions/e06_*.npz")
def test_the_step_of_dark_along_each_axis_is_that_of_the_release(golden_arrays):
    codec = simcc(golden_arrays, {"sigma": 6.0, "reading": "dark"})
    xy, score = read(codec, joined(golden_arrays, "simcc", "_dark_in"))
    np.testing.assert_allclose(xy, golden_arrays["dec_dark"], rtol=0, atol=1e-3)
    np.testing.assert_array_equal(score, golden_arrays["dec_dark_score"])


@pytest.mark.golden("functions/e06_*.npz")
def test_visibility_of_simcc_is_that_of_the_release(golden_arrays):
    found = simcc(golden_arrays, {"sigma": 6.0}).visibility(joined(golden_arrays, "simcc"))
    np.testing.assert_allclose(found.numpy(), golden_arrays["dec_visibility"], rtol=0, atol=2e-5)


@pytest.mark.golden("functions/e06_*.npz")
def test_vectors_are_brought_to_levels_as_in_the_release(golden_arrays):
    vectors = 20 * torch.from_numpy(golden_arrays["simcc_x"])  # what the file's values were made from
    found = relative_heights(vectors, 6 * math.sqrt(2 * math.pi))
    np.testing.assert_allclose(found.numpy(), golden_arrays["simcc_normalized_s6"], rtol=0, atol=2e-6)


def regression(arrays, **fields):
    return Regression(SIZE, (64, 48), arrays["keypoints"].shape[1], **fields)


@pytest.mark.golden("functions/e07_*.npz")
def test_labels_of_regression_are_those_of_the_release(golden_arrays):
    codec, xy, visible = regression(golden_arrays), torch.from_numpy(golden_arrays["keypoints"]), golden_arrays["visible"]
    np.testing.assert_allclose(codec.encode(xy).numpy(), golden_arrays["labels"], rtol=0, atol=2e-6)
    weights = codec.weights(xy, torch.from_numpy(visible > 0.5).long()).numpy()
    np.testing.assert_array_equal(weights, golden_arrays["weights"])


@pytest.mark.golden("functions/e07_*.npz")
def test_coordinates_are_read_as_in_the_release(golden_arrays):
    xy, score = read(regression(golden_arrays), torch.from_numpy(golden_arrays["dec_in2"]))
    np.testing.assert_allclose(xy, golden_arrays["dec2"], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(score, golden_arrays["dec2_score"])


@pytest.mark.golden("functions/e07_*.npz")
def test_deviations_make_the_score_of_the_release(golden_arrays):
    coordinates, deviation = torch.from_numpy(golden_arrays["dec_in4"]).split(2, dim=-1)
    output = torch.cat((coordinates, deviation.logit()), dim=-1)  # our networks answer logits
    xy, score = read(regression(golden_arrays, penalty="laplace"), output)
    np.testing.assert_allclose(xy, golden_arrays["dec4"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(score, golden_arrays["dec4_score"], rtol=0, atol=1e-6)


@pytest.mark.golden("functions/e07_*.npz")
def test_probabilities_of_integral_regression_are_those_of_the_release(golden_arrays):
    maps = golden_arrays["integral_heatmaps"]
    codec = Integral(SIZE, tuple(maps.shape[-2:]), len(maps), cells_on="strides")
    views = len(golden_arrays["integral_labels"])
    xy, visible = torch.from_numpy(golden_arrays["keypoints"][:views]), golden_arrays["visible"][:views]
    column, row = (line[0].numpy() for line in codec.targets(xy))
    found = column[..., None] * row[..., None, :] * (visible[0] > 0.5)[:, None, None]
    np.testing.assert_allclose(found, maps, rtol=0, atol=2e-6)
    size = np.array(SIZE[::-1], np.float32)
    np.testing.assert_allclose(xy.numpy() / size, golden_arrays["integral_labels"], rtol=0, atol=2e-6)
    weights = codec.weights(xy, torch.from_numpy(visible > 0.5).long()).numpy()
    np.testing.assert_array_equal(weights, golden_arrays["integral_weights"])


@pytest.mark.golden("functions/d10_*.npz")
@pytest.mark.parametrize("shift", [False, True], ids=["no-shift", "shift"])
def test_mirrored_coordinates_come_back_as_in_the_release(golden_arrays, shift):
    if "coords_in" not in golden_arrays:
        pytest.skip("this file has no coordinates")
    given = torch.from_numpy(golden_arrays["coords_in"])
    for key in golden_arrays:
        match = re.fullmatch(r"mm_flip_coords_shift_(\d+)x(\d+)" if shift else "mm_flip_coords", key)
        if match is None:
            continue
        size = (int(match[2]), int(match[1])) if shift else SIZE
        codec = Regression(size, (64, 48), given.shape[1], shift_flipped=shift)
        found = codec.unflip(given, torch.from_numpy(golden_arrays["flip_indices"]))
        np.testing.assert_allclose(found.numpy(), golden_arrays[key], rtol=0, atol=1e-6)
