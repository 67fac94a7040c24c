"""RTMPose's vectors: labels, losses, what is read out of them, the flip (f01 to f03)."""

import numpy as np
import pytest
import torch

from poise.codecs.simcc import SimCC, relative_heights
from poise.losses.bins import bin_divergence
from poise.zoo.rtm import usual_sigmas

SIZES = {"192x256": (256, 192), "288x384": (384, 288), "256x256": (256, 256)}
"""Views (h, w) by the words for them in f01, which are width x height."""


def codec(size, keypoints, **fields):
    cells = (size[0] // 32, size[1] // 32)
    return SimCC(size, cells, keypoints, **({"sigma": usual_sigmas(size), "shift_flipped": False} | fields))


def joined(arrays, x, y):
    return torch.from_numpy(np.concatenate([arrays[x], arrays[y]], axis=-1))


def read(kind, output):
    points = kind.decode(output)
    return points.xy.numpy(), points.score.numpy()


@pytest.mark.golden("functions/f01_*.npz")
@pytest.mark.parametrize("word", SIZES)
def test_deviations_of_labels_are_those_of_the_configs(golden_arrays, word):
    assert usual_sigmas(SIZES[word]) == tuple(golden_arrays[f"sigma_{word}"])


@pytest.mark.golden("functions/f01_*.npz")
@pytest.mark.parametrize("word", [*SIZES, "192x256_norm"])
def test_labels_are_those_of_the_release_and_read_as_there(golden_arrays, word):
    plain = word.removesuffix("_norm")
    xy, visible = (torch.from_numpy(golden_arrays[f"{name}_{plain}"]) for name in ("kp", "vis"))
    kind = codec(SIZES[plain], xy.shape[1], normalize=word != plain)
    expected = joined(golden_arrays, f"x_{word}", f"y_{word}")
    np.testing.assert_allclose(kind.encode(xy) * (visible >= 0.5)[..., None], expected, rtol=0, atol=2e-6)
    weights = kind.weights(xy, torch.ones(visible.shape, dtype=torch.int64)) * visible
    np.testing.assert_array_equal(weights, golden_arrays[f"w_{word}"])
    found, score = read(kind, expected)
    np.testing.assert_allclose(found, golden_arrays[f"dec_{word}"], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(score, golden_arrays[f"dec_score_{word}"])


@pytest.mark.golden("functions/f01_*.npz")
def test_three_bins_a_pixel_have_their_peaks_where_the_release_has_them(golden_arrays):
    xy, visible = (torch.from_numpy(golden_arrays[f"{name}_192x256"]) for name in ("kp", "vis"))
    kind = codec((256, 192), xy.shape[1], ratio=3.0)
    labels = (kind.encode(xy) * (visible >= 0.5)[..., None]).split(kind.vectors, dim=-1)
    assert list(labels[0].shape) == list(golden_arrays["x_192x256_r3_shape"])
    for axis, label in zip("xy", labels, strict=True):
        np.testing.assert_array_equal(label.argmax(dim=-1), golden_arrays[f"{axis}_192x256_r3_argmax"])


@pytest.mark.golden("functions/f02_*.npz")
def test_vectors_are_read_as_in_the_release(golden_arrays):
    output, size = joined(golden_arrays, "x", "y"), (64, 48)
    xy, score = read(codec(size, 17), output)
    np.testing.assert_allclose(xy, golden_arrays["dec"], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(score, golden_arrays["dec_score"])
    image = xy / size[::-1] * golden_arrays["scale"][:, None] + (golden_arrays["center"] - golden_arrays["scale"] / 2)[:, None]
    np.testing.assert_allclose(image, golden_arrays["image_keypoints"], rtol=0, atol=1e-4)


@pytest.mark.golden("functions/f02_*.npz")
def test_probabilities_are_read_as_in_the_release(golden_arrays):
    xy, score = read(codec((64, 48), 17, probabilities=True), joined(golden_arrays, "x", "y"))
    np.testing.assert_array_equal(xy * 2, golden_arrays["softmax_loc"])
    np.testing.assert_allclose(score, golden_arrays["softmax_val"], rtol=0, atol=1e-5)


@pytest.mark.golden("functions/f02_*.npz")
def test_visibility_is_that_of_the_release(golden_arrays):
    found = codec((64, 48), 17, sigma=(2.0, 2.5)).visibility(joined(golden_arrays, "x", "y"))
    np.testing.assert_allclose(found, golden_arrays["dec_visibility"], rtol=0, atol=1e-5)


@pytest.mark.golden("functions/f02_*.npz")
def test_the_step_of_dark_is_that_of_the_release(golden_arrays):
    xy, score = read(codec((64, 48), 17, sigma=(2.0, 2.5), reading="dark"), joined(golden_arrays, "x", "y").abs())
    known = np.isfinite(golden_arrays["dark_dec_of_abs"])  # the release's is NaN where a vector is 0 throughout
    assert np.isfinite(xy).all()
    np.testing.assert_allclose(xy[known], golden_arrays["dark_dec_of_abs"][known], rtol=0, atol=1e-3)
    np.testing.assert_array_equal(score, golden_arrays["dark_score_of_abs"])


@pytest.mark.golden("functions/f02_*.npz")
def test_flipped_vectors_are_averaged_as_in_the_release(golden_arrays):
    kind, flip = codec((64, 48), 17), torch.from_numpy(golden_arrays["flip_indices"])
    flipped = kind.unflip(joined(golden_arrays, "x", "y"), flip)
    np.testing.assert_array_equal(flipped, joined(golden_arrays, "flip_x", "flip_y"))
    average = (joined(golden_arrays, "x_orig", "y_orig") + flipped) / 2
    np.testing.assert_allclose(average, joined(golden_arrays, "avg_x", "avg_y"), rtol=0, atol=1e-6)
    xy, score = read(kind, average)
    np.testing.assert_allclose(xy, golden_arrays["avg_dec"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(score, golden_arrays["avg_score"], rtol=0, atol=1e-6)


@pytest.mark.golden("functions/f02_*.npz")
def test_vectors_are_brought_to_levels_as_in_the_release(golden_arrays):
    found = relative_heights(torch.from_numpy(golden_arrays["x"]), 1.0)
    np.testing.assert_allclose(found, golden_arrays["normalized_x"], rtol=0, atol=2e-6)


LOSSES = {
    "rtmpose": {"beta": 10.0},
    "rtmw": {"beta": 1.0, "label_beta": 10.0},
    "rtmw_mask": {"beta": 1.0, "label_beta": 10.0},
    "plain": {"beta": None},
    "noweight": {"beta": 10.0},
}
"""Factors by the word for a loss in f03."""

HALVED = [3, 4, 10]
"""Keypoints with half the weight in "rtmw_mask"."""


@pytest.mark.golden("functions/f03_*.npz")
@pytest.mark.parametrize("word", LOSSES)
def test_losses_and_gradients_are_those_of_the_release(golden_arrays, word):
    """The release adds up views and axes, and divides by the number of keypoints alone."""
    weight = torch.from_numpy(golden_arrays["weight"]).clone()
    if word == "rtmw_mask":
        weight[:, HALVED] *= 0.5
    if word == "noweight":
        weight = torch.ones_like(weight)
    outputs = [torch.from_numpy(golden_arrays[f"pred_{axis}"]).requires_grad_() for axis in "xy"]
    labels = [torch.from_numpy(golden_arrays[f"gt_{axis}"]) for axis in "xy"]
    pairs = zip(outputs, labels, strict=True)
    parts = [bin_divergence(*pair, per_bin=True, **LOSSES[word]) for pair in pairs]
    loss = (sum(parts) * weight).sum() / weight.shape[1]
    loss.backward()
    np.testing.assert_allclose(loss.item(), golden_arrays[f"{word}_loss"], rtol=1e-5)
    for axis, output in zip("xy", outputs, strict=True):
        np.testing.assert_allclose(output.grad, golden_arrays[f"{word}_grad_{axis}"], rtol=0, atol=1e-6)


@pytest.mark.golden("functions/f03_*.npz")
@pytest.mark.parametrize("word", ["rtmpose", "rtmw"])
def test_the_loss_of_the_codec_is_that_of_the_release(golden_arrays, word):
    """Of each view by itself, since the release adds views up; the file weighs one keypoint of the last view 1.5 times."""
    xy, visible = torch.from_numpy(golden_arrays["keypoints"]), torch.from_numpy(golden_arrays["visible"]).long()
    output, found = joined(golden_arrays, "pred_x", "pred_y"), 0.0
    for view, weight in enumerate(golden_arrays["weight"]):
        weights = tuple(float(one) or 1.0 for one in weight)  # an unlabelled keypoint has none by itself
        kind = codec((64, 48), 17, sigma=(2.45, 2.83), per_bin=True, joint_weights=weights, **LOSSES[word])
        found += kind.loss(output[view : view + 1], xy[view : view + 1], visible[view : view + 1]).item()
    np.testing.assert_allclose(found, golden_arrays[f"{word}_loss"], rtol=1e-5)
