"""Answers for mirrored views, against the releases' (d10)."""

import numpy as np
import pytest
import torch

from poise.codecs.gaussian import Gaussian


@pytest.mark.golden("functions/d10_*.npz")
@pytest.mark.parametrize(
    ("shift", "back", "average"),
    [(False, "flip_back", "avg_noshift"), (True, "flip_back_shifted", "avg_shift")],
    ids=["no-shift", "shift"],
)
def test_maps_of_the_mirrored_view_come_back_as_in_the_release(golden_arrays, shift, back, average):
    mirrored = torch.from_numpy(golden_arrays["output_flipped_in"])
    keypoints, *cells = mirrored.shape[1:]
    flip = torch.arange(keypoints)
    for a, b in golden_arrays["flip_pairs"].tolist():
        flip[a], flip[b] = b, a
    codec = Gaussian((4 * cells[0], 4 * cells[1]), tuple(cells), keypoints, shift_flipped=shift)
    found = codec.unflip(mirrored, flip)
    tried = 0
    if back in golden_arrays:
        np.testing.assert_array_equal(found.numpy(), golden_arrays[back])
        tried += 1
    if average in golden_arrays:
        mean = (torch.from_numpy(golden_arrays["output"]) + found) / 2
        np.testing.assert_allclose(mean.numpy(), golden_arrays[average], rtol=0, atol=1e-7)
        tried += 1
    assert tried
