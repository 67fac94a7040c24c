"""Answers for mirrored views, against the releases' (d10); coordinates stand in `test_vectors.py`."""

import numpy as np
import pytest
import torch

from poise.codecs.gaussian import Gaussian
from poise.codecs.udp_offset import UDPOffset
from poise.skeletons.animals import ANIMAL18

MAPS = {
    "flip_back": ("output_flipped_in", False),
    "flip_back_shifted": ("output_flipped_in", True),
    "mspn_flip_back": ("output_flipped_in", False),
    "mm_flip_noshift": ("output_flipped_in", False),
    "mm_flip_shift": ("output_flipped_in", True),
    "animal_flip_back": ("animal_in", False),
}
"""The key of a release's answer; from which maps it came, and whether they were shifted."""

MEANS = {"avg_noshift": False, "avg_shift": True}


def flip_of(arrays, keypoints) -> torch.Tensor:
    if keypoints == len(ANIMAL18):
        return ANIMAL18.flip
    flip = torch.arange(keypoints)
    for a, b in arrays["flip_pairs"].tolist():
        flip[a], flip[b] = b, a
    assert flip.tolist() == arrays.get("flip_indices", flip).tolist()
    return flip


def unflipped(arrays, source, *, shift) -> torch.Tensor:
    mirrored = torch.from_numpy(arrays[source])
    keypoints, *cells = mirrored.shape[1:]
    codec = Gaussian((4 * cells[0], 4 * cells[1]), tuple(cells), keypoints, shift_flipped=shift)
    return codec.unflip(mirrored, flip_of(arrays, keypoints))


@pytest.mark.golden("functions/d10_*.npz")
def test_maps_of_the_mirrored_view_come_back_as_in_the_release(golden_arrays):
    known = MAPS.keys() & golden_arrays.keys()
    assert known
    for key in known:
        source, shift = MAPS[key]
        np.testing.assert_array_equal(unflipped(golden_arrays, source, shift=shift).numpy(), golden_arrays[key])


@pytest.mark.golden("functions/d10_*.npz")
def test_the_mean_of_both_views_is_that_of_the_release(golden_arrays):
    for key in MEANS.keys() & golden_arrays.keys():
        back = unflipped(golden_arrays, "output_flipped_in", shift=MEANS[key])
        mean = (torch.from_numpy(golden_arrays["output"]) + back) / 2
        np.testing.assert_allclose(mean.numpy(), golden_arrays[key], rtol=0, atol=1e-7)


@pytest.mark.golden("functions/d10_*.npz")
@pytest.mark.parametrize("key", ["flip_back_offset", "mm_flip_udp_combined"])
def test_offsets_of_the_mirrored_view_come_back_as_in_the_release(golden_arrays, key):
    if key not in golden_arrays:
        pytest.skip(f"this file has no {key}")
    mirrored = torch.from_numpy(golden_arrays["offset_in"])
    channels, *cells = mirrored.shape[1:]
    codec = UDPOffset((4 * cells[0], 4 * cells[1]), tuple(cells), channels // 3)
    found = codec.unflip(mirrored, flip_of(golden_arrays, channels // 3))
    np.testing.assert_array_equal(found.numpy(), golden_arrays[key])
