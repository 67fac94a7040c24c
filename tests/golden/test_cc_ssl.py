"""Pseudo-labels of CC-SSL's release (c01), its thresholds (c02), and the law of its random views (c03)."""

import numpy as np
import pytest
import torch

from poise.adaptation.cc_ssl import accept_published
from poise.adaptation.published import average_maps
from poise.adaptation.readings import VIEWS
from poise.adaptation.selection import accept_share, accepted_share, published_threshold
from poise.adaptation.temporal import carry
from poise.codecs.hourglass import Hourglass

CODEC = Hourglass((256, 256), (64, 64), 18)
BASE = 1.28


def averaged(arrays, frame):
    changes = [(scale / BASE, degrees) for scale, degrees in arrays["f1_scale_rot"]]
    return average_maps(arrays[f"{frame}_score_maps"], changes)


@pytest.mark.golden("functions/c01_*.npz")
def test_maps_of_scaled_and_rotated_views_are_averaged_as_the_release_does(golden_arrays):
    for frame in ("f1", "f2"):
        np.testing.assert_allclose(averaged(golden_arrays, frame), golden_arrays[f"{frame}_avg_map"], rtol=0, atol=1e-5)


@pytest.mark.golden("functions/c01_*.npz")
def test_keypoints_are_read_from_the_mean_of_the_maps(golden_arrays):
    points = CODEC.decode(torch.from_numpy(averaged(golden_arrays, "f1").astype(np.float32))[None])
    expected = golden_arrays["f1_kpts"]
    np.testing.assert_allclose(points.score[0].numpy(), expected[:, 2], atol=1e-5)
    # The release reads whole pixels, one cell is four of them.
    assert np.abs(points.xy[0].numpy() - expected[:, :2]).max() <= 4


@pytest.mark.golden("functions/c01_*.npz")
def test_keypoints_that_the_frame_before_was_surer_of_follow_the_flow(golden_arrays):
    points = CODEC.decode(torch.from_numpy(averaged(golden_arrays, "f2").astype(np.float32))[None])
    before = torch.from_numpy(golden_arrays["f2_prev_kpts_in"])
    flow = torch.from_numpy(golden_arrays["f2_flow_preds"]).float()
    found = carry(points.xy[0], points.score[0], previous=before[:, :2], confidence=before[:, 2], flow=flow)
    expected = golden_arrays["f2_kpts"]
    np.testing.assert_allclose(found.score.numpy(), expected[:, 2], atol=1e-5)
    np.testing.assert_allclose(found.previous.numpy(), golden_arrays["f2_prev_kpts_after"][:, 2], atol=1e-7)
    taken = (found.xy - flow).abs().amax(dim=1) < 1e-4
    assert int(taken.sum()) >= 6
    np.testing.assert_allclose(found.xy[taken].numpy(), expected[taken.numpy(), :2], atol=1e-3)


@pytest.mark.golden("functions/c02_*.npz")
def test_thresholds_and_what_they_keep_are_those_of_the_release(golden_arrays):
    score = torch.from_numpy(golden_arrays["confidences"])
    for epoch, p, threshold, kept in zip(*(golden_arrays[n] for n in ("epochs", "p", "thresholds", "kept")), strict=True):
        rejected = 1 - accepted_share(int(epoch) / 60)
        assert rejected == pytest.approx(p, abs=1e-12)
        assert published_threshold(score, rejected=p) == pytest.approx(threshold, abs=1e-7)
        np.testing.assert_array_equal(accept_published(score, rejected=rejected).numpy(), kept.astype(bool))


@pytest.mark.golden("functions/c02_*.npz")
def test_without_the_extra_0_the_accepted_share_is_the_one_that_was_asked_for(golden_arrays):
    score = torch.from_numpy(golden_arrays["confidences"])
    for epoch in golden_arrays["epochs"]:
        share = accepted_share(int(epoch) / 60)
        kept = accept_share(score, share, by_keypoint=False)
        assert int(kept.sum()) == round(share * score.numel())
        assert float(score[kept].min()) >= float(score[~kept].max())
        each = accept_share(score, share, by_keypoint=True)
        assert set(each.sum(dim=0).tolist()) == {round(share * len(score))}


@pytest.mark.golden("functions/c03_*.npz")
def test_random_views_follow_the_law_of_the_release(golden_arrays):
    for z, scale, degrees in zip(*(golden_arrays[n] for n in ("z", "scale", "rot")), strict=True):
        assert BASE * VIEWS._scale(float(z), 0.5) == pytest.approx(scale, abs=1e-5)
        assert VIEWS._degrees(float(z), 0.5) == pytest.approx(degrees, abs=1e-5)
    assert (VIEWS.rotation_probability, VIEWS.flip) == (1.0, 0.0)
