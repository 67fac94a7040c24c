"""Keypoints in a detector's boxes: cells (e05), resized maps (d08) and the loss (l06), against Mask R-CNN's release."""

import re

import numpy as np
import pytest
import torch

from poise.codecs.one_hot import OneHot
from poise.codecs.roi import within


def rounded(xy):
    """What float32 may be off there: 2e-4 pixels, or two steps between numbers, which are 2.4e-4 each from 2048 on."""
    return np.maximum(2e-4, 2 * np.spacing(np.abs(xy).astype(np.float32)))


def labels(arrays):
    """Positions, visibility and boxes."""
    keypoints = torch.from_numpy(arrays["keypoints"])
    return keypoints[..., :2], keypoints[..., 2].long(), torch.from_numpy(arrays["rois"])


@pytest.mark.golden("functions/e05_*.npz")
def test_cells_are_those_of_the_release(golden_arrays):
    xy, visible, boxes = labels(golden_arrays)
    sizes = [match for match in (re.fullmatch(r"heatmaps_(\d+)(?:x(\d+))?", key) for key in golden_arrays) if match]
    assert sizes
    for match in sizes:
        cells = int(match[1]), int(match[2] or match[1])
        index, valid = OneHot(cells, xy.shape[1]).targets(xy, visible, boxes)
        np.testing.assert_array_equal(index.numpy(), golden_arrays[match.string])
        np.testing.assert_array_equal(valid.numpy(), golden_arrays[match.string.replace("heatmaps", "valid")])


@pytest.mark.golden("functions/e05_*.npz")
def test_what_is_inside_a_box_is_that_of_the_release(golden_arrays):
    xy, _, boxes = labels(golden_arrays)
    np.testing.assert_array_equal(within(xy, boxes).numpy(), golden_arrays["within_box"])


@pytest.mark.golden("functions/d08_*.npz")
@pytest.mark.parametrize("search", ["bounded", "whole"])
def test_resized_maps_are_read_as_in_the_release(golden_arrays, search):
    maps, boxes = (torch.from_numpy(golden_arrays[name]) for name in ("maps", "rois"))
    found = OneHot((maps.shape[2], maps.shape[3]), maps.shape[1], search=search).decode(maps, boxes)
    expected = golden_arrays["xy"][..., :2]
    off = (np.abs(found.xy.numpy() - expected) > rounded(expected)).any(axis=-1)
    assert off.sum() <= 0.01 * off.size  # two pixels may be equally high but for rounding
    np.testing.assert_allclose(found.score.numpy(), golden_arrays["scores"], rtol=1e-5, atol=1e-5)


def test_far_coordinates_may_be_off_by_two_steps_of_float32():
    far, near = np.float32(2500.0), np.float32(100.0)
    step = np.nextafter(far, np.float32(np.inf)) - far
    assert step > 2e-4  # so the smallest error there is counts no more
    assert (rounded(far) >= 2 * step, rounded(far) < 3 * step, rounded(near)) == (True, True, 2e-4)


@pytest.mark.golden("functions/l06_*.npz")
def test_the_loss_and_its_gradient_are_those_of_the_release(golden_arrays):
    xy, visible, boxes = labels(golden_arrays)
    kept = golden_arrays.get("kept", np.arange(xy.shape[1]))  # a small copy holds the maps of some keypoints
    given = torch.from_numpy(golden_arrays["logits"])
    output = torch.zeros(*xy.shape[:2], *given.shape[2:])
    output[:, kept] = given
    output.requires_grad_()
    codec = OneHot((given.shape[2], given.shape[3]), xy.shape[1])
    loss = codec.loss(output, xy, visible, boxes)
    loss.backward()
    np.testing.assert_allclose(output.grad[:, kept].numpy(), golden_arrays["grad"], rtol=1e-5, atol=1e-9)
    if len(kept) == xy.shape[1]:
        np.testing.assert_allclose(loss.item(), golden_arrays["loss"], rtol=1e-6)
    nobody = codec.loss(output, xy, torch.zeros_like(visible), boxes)
    np.testing.assert_array_equal(nobody.item(), golden_arrays["loss_no_visible"])
