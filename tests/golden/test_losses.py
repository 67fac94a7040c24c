"""Losses and their gradients, against the releases' (l01, l02)."""

import re

import numpy as np
import pytest
import torch

from poise.losses.dense import disk_regression_loss, offset_component_loss
from poise.losses.heatmaps import mse, ohkm


@pytest.mark.golden("functions/l01_*.npz")
def test_losses_and_gradients_are_those_of_the_release(golden_arrays):
    tried = 0
    for key, expected in golden_arrays.items():
        match = re.fullmatch(r"(mse|ohkm(?P<top>\d+))_(?P<weighted>w|now)(?P<one>_batch1)?", key)
        if match is None:
            continue
        views = slice(0, 1) if match["one"] else slice(None)
        output, target, weight = (torch.from_numpy(golden_arrays[n][views]) for n in ("output", "target", "target_weight"))
        output.requires_grad_()
        weight = weight[..., 0] if match["weighted"] == "w" else None
        loss = ohkm(output, target, weight, top=int(match["top"])) if match["top"] else mse(output, target, weight)
        np.testing.assert_allclose(loss.item(), expected, rtol=1e-5)
        if f"{key}_grad" in golden_arrays:
            loss.backward()
            np.testing.assert_allclose(output.grad.numpy(), golden_arrays[f"{key}_grad"], rtol=1e-5, atol=1e-9)
        tried += 1
    assert tried


@pytest.mark.golden("functions/l02_*.npz")
@pytest.mark.parametrize(("key", "distance"), [("mse", "squared"), ("smoothl1", "huber")])
def test_losses_of_offsets_are_those_of_the_release(golden_arrays, key, distance):
    weight = torch.from_numpy(golden_arrays["target_weight"])[..., 0]
    output, target = (
        torch.from_numpy(golden_arrays[n]).unflatten(1, (weight.shape[1], 3)).flatten(3) for n in ("output", "target")
    )
    output.requires_grad_()
    inside = target[:, :, 0] == 1
    disk = disk_regression_loss(output[:, :, 0], output[:, :, 0], inside, weight, distance=distance)
    off = offset_component_loss(output[:, :, 1:].mT, target[:, :, 1:].mT, inside, distance=distance)
    cells = output.shape[-1]
    whole = golden_arrays.get("whole", weight.shape)  # a small copy holds some of the views and keypoints
    for found, part in ((disk, "hm"), (off, "off")):
        if f"{key}_offset_{part}" in golden_arrays and tuple(whole) == tuple(weight.shape):
            np.testing.assert_allclose(found.mean().item() / cells, golden_arrays[f"{key}_offset_{part}"], rtol=1e-5)
        if f"{key}sum_offset_{part}" in golden_arrays and tuple(whole) == tuple(weight.shape):
            np.testing.assert_allclose(found.sum().item(), golden_arrays[f"{key}sum_offset_{part}"], rtol=1e-5)
    if f"{key}_offset_grad" in golden_arrays:
        (gradient,) = torch.autograd.grad((disk + off).sum() / (np.prod(whole) * cells), output)
        expected = torch.from_numpy(golden_arrays[f"{key}_offset_grad"]).view(gradient.shape)
        np.testing.assert_allclose(gradient.numpy(), expected.numpy(), rtol=1e-5, atol=1e-9)
