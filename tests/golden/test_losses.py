"""Losses and their gradients, against the releases' (l01)."""

import re

import numpy as np
import pytest
import torch

from poise.losses.keypoints import mse, ohkm


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
