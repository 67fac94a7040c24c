"""DEKR's targets, losses and reading of people, against its release and MMPose (b03)."""

import numpy as np
import pytest
import torch

from poise.codecs.centre_regression import CentreRegression, offset_loss
from poise.codecs.centre_targets import Centres, LabelledCells, centre_offsets, draw_windows, heat_error
from poise.decoding.centre_poses import CentreConfig, heat_at, kept_poses, people_by_centres, posemap, proposed_poses
from poise.decoding.scene_maps import unflipped_offsets
from poise.models.disentangled import links_of, torso_of
from poise.nn.rescore import RescoreNet, pose_features
from poise.skeletons import COCO17

from .replay import by_rule, one_view

STRIDE = 4

LINKS, TORSO = links_of(COCO17), torso_of(COCO17)


def close(found, expected, atol=1e-5):
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=atol)


def labels(arrays):
    """Keypoints in cells, and centres with the areas of the file."""
    joints = torch.from_numpy(arrays["joints"])
    h, w = arrays["target_heatmap"].shape[1:]
    xy, there = joints[..., :2], joints[..., 2] > 0
    inside = there & (xy >= 0).all(dim=-1) & (xy < torch.tensor((w, h))).all(dim=-1)
    cells = LabelledCells(torch.zeros(len(xy), dtype=torch.int64), xy, inside)
    return cells, Centres(xy[:, -1], there[:, -1], torch.from_numpy(arrays["area"])), (1, h, w)


@pytest.mark.golden("functions/b03_*.npz")
def test_targets_are_those_of_the_release(golden_arrays):
    cells, centres, shape = labels(golden_arrays)
    count = cells.xy.shape[1]
    heat, drawn = torch.zeros(1, count, *shape[1:]), torch.zeros(1, count, *shape[1:])
    for maps, flat in ((heat, False), (drawn, True)):
        for part, sigma in ((torch.arange(count - 1), 2.0), (torch.tensor([count - 1]), 4.0)):
            own = LabelledCells(cells.scene, cells.xy[:, part], cells.inside[:, part])
            draw_windows(maps, own, part, sigma=sigma, flat=flat)
    close(heat[0], golden_arrays["target_heatmap"])
    close(drawn[0] + 0.1 * (drawn[0] == 0), golden_arrays["target_mask"])
    keypoints = LabelledCells(cells.scene, cells.xy[:, :-1], cells.inside[:, :-1])
    offsets, weight = centre_offsets(keypoints, centres, shape, radius=4)
    close(offsets[0], golden_arrays["target_offset"])
    close(weight[0], golden_arrays["target_offset_weight"])


@pytest.mark.golden("functions/b03_*.npz")
def test_a_codec_read_by_mmposes_rule_learns_mmposes_targets(golden_arrays):
    joints = torch.from_numpy(golden_arrays["joints"])[:, :-1]
    h, w = golden_arrays["target_heatmap"].shape[1:]
    scenes = one_view(joints[..., :2] * STRIDE, joints[..., 2], (h * STRIDE, w * STRIDE))
    codec = CentreRegression(joints.shape[1], centres=CentreConfig(rule="mmpose"))
    heat, offsets = codec.split(codec.encode(scenes))
    cells, centres = codec._labels(scenes)
    _, weight = centre_offsets(cells, centres, (1, h, w), radius=codec.radius)
    expected = golden_arrays["mm_enc_heatmaps"]  # of two keypoints and of the roots
    known = [int((heat[0, :-1] - torch.from_numpy(own)).abs().amax(dim=(1, 2)).argmin()) for own in expected[:-1]]
    close(heat[0, [*known, -1]], expected)
    _, drawn = codec._heat(scenes, cells, centres)
    close(drawn[0, [*known, -1]], golden_arrays["mm_enc_heatmap_weights"])
    moved = golden_arrays["mm_enc_displacements"]  # those of the first keypoints, to the keypoint
    close(-offsets[0, : len(moved)], moved)
    close(weight[0, : len(moved)], golden_arrays["mm_enc_displacement_weights"])


@pytest.mark.golden("functions/b03_*.npz")
def test_losses_are_those_of_the_release(golden_arrays):
    names = ("pred_heatmap", "target_heatmap", "target_mask", "pred_offset", "target_offset", "target_offset_weight")
    heat, aim, weight, *offsets = (torch.from_numpy(golden_arrays[name])[None] for name in names)
    assert float(heat_error(heat, aim, weight)) == pytest.approx(float(golden_arrays["loss_heatmap"]), rel=1e-5)
    assert float(offset_loss(*offsets)) == pytest.approx(float(golden_arrays["loss_offset"]), rel=1e-5)


@pytest.mark.golden("functions/b03_*.npz")
def test_people_are_read_as_in_the_release(golden_arrays):
    heat, offsets = (torch.from_numpy(golden_arrays[name]) for name in ("pred_heatmap", "pred_offset"))
    config = CentreConfig()
    close(posemap(offsets)[:4], golden_arrays["posemap_last"], atol=1e-4)
    found = proposed_poses(heat, offsets, config, stride=STRIDE)
    close(found.xy, golden_arrays["proposals"][..., :2], atol=1e-3)
    close(found.centre_score[:, None].expand(found.heat.shape), golden_arrays["proposals"][..., 2])
    people = people_by_centres(heat, offsets, config, stride=STRIDE)
    close(people.xy, golden_arrays["final_poses"][..., :2], atol=1e-3)
    close(people.score, golden_arrays["final_poses"][..., 2])
    close(people.score.mean(dim=1), golden_arrays["final_scores"])


@pytest.mark.golden("functions/b03_*.npz")
def test_poses_of_the_mirrored_view_are_those_of_the_release(golden_arrays):
    offsets = torch.from_numpy(golden_arrays["pred_offset"])
    back = unflipped_offsets(offsets[None], COCO17.flip).flatten(1, 2)[0]
    mine = posemap(back).flip(-1)  # the release's are those of the view, in the cells of the mirrored one
    close(mine[:4], golden_arrays["posemap_flip"], atol=1e-4)


@pytest.mark.golden("functions/b03_*.npz")
def test_heatmaps_are_enlarged_as_in_the_release(golden_arrays):
    small = torch.from_numpy(golden_arrays["up_interpolate_in"])
    h, w = golden_arrays["up_interpolate_out"].shape[1:]
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    grid = torch.stack((x, y), dim=-1).reshape(-1, 1, 2).float()
    close(heat_at(small, grid, stride=h // small.shape[1]).view(h, w), golden_arrays["up_interpolate_out"][0])


@pytest.mark.golden("functions/b03_*.npz")
def test_people_are_read_as_in_mmpose(golden_arrays):
    heat, offsets = (torch.from_numpy(golden_arrays[name]) for name in ("pred_heatmap", "pred_offset"))
    config = CentreConfig(rule="mmpose")
    found = proposed_poses(heat, offsets, config, stride=STRIDE)
    close(found.xy, golden_arrays["mm_keypoints"], atol=1e-3)
    close(found.centre_score, golden_arrays["mm_root_scores"])
    close(found.heat, golden_arrays["mm_keypoint_scores"])
    np.testing.assert_array_equal(kept_poses(found, config), golden_arrays["mm_nms_keep"])


@pytest.mark.golden("functions/b03_*.npz")
def test_poses_are_rescored_as_in_mmpose_and_in_the_release(golden_arrays):
    found = [torch.from_numpy(golden_arrays[name]) for name in ("mm_keypoints", "mm_keypoint_scores")]
    assert golden_arrays["rescore_skeleton"].tolist() == [list(link) for link in LINKS]
    features = pose_features(*found, LINKS, torso=TORSO)
    close(features, golden_arrays["rescore_feature_mm_norm56"], atol=1e-4)
    links = list(zip(*golden_arrays["rescore_links_dekr"].tolist(), strict=True))
    close(pose_features(*found, links, torso=(9, 11)), golden_arrays["rescore_feature_dekr"], atol=1e-4)
    network = RescoreNet(len(LINKS), found[0].shape[1])
    network.load_state_dict(by_rule(network.state_dict(), scale=1.0))
    with torch.no_grad():
        close(network(features), golden_arrays["rescore_out_mm_norm56"], atol=1e-4)
