"""Grouping by tags, and its losses, against HigherHRNet's release and MMPose (b01, b02)."""

import numpy as np
import pytest
import torch

from poise.codecs.associative import AssociativeEmbedding
from poise.codecs.centre_targets import heat_error
from poise.decoding.blur import blur_maps, blurred_extremes
from poise.decoding.tags import TagConfig, filled, grouping_order, match_tags, people_by_tags, stepped, tag_candidates
from poise.decoding.taylor import UDP_LOG_MAX, UDP_LOG_MIN, mmpose_udp_taylor_step
from poise.losses.tags import tag_losses
from poise.skeletons import COCO17

from .replay import one_view

VARIANTS = {
    "hh": {},
    "hh_1tag": {},
    "hh_max3_ignore": {"top_k": 3, "stop_when_full": True},
    "hh_nodetval": {"by_score": False},
    "hh_sharedtag": {},
}
"""Beginnings of the keys, and what they were grouped with."""

MAPS = {"mm": 0.0, "mm_shift": 0.5}
"""MMPose's keys, and what is added to keypoints that were found, cells."""

STRIDE = 4

SHARED = 5
"""The map of tags that all keypoints share in `hh_sharedtag`."""


def maps_of(arrays, key="hh"):
    heat, tags = (torch.from_numpy(arrays[name]) for name in ("det", "tag"))
    if key == "hh_1tag":
        tags = tags[..., :1]
    return heat, tags[SHARED, None].expand_as(tags) if key == "hh_sharedtag" else tags


def close(found, expected):
    """People and keypoints in the same order, to 1e-5."""
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.golden("functions/b01_*.npz")
@pytest.mark.parametrize("key", VARIANTS)
def test_people_are_grouped_as_in_higherhrnet(golden_arrays, key):
    if f"{key}_match" not in golden_arrays:
        pytest.skip(f"this file has no {key}")
    heat, tags = maps_of(golden_arrays, key)
    config, order = TagConfig(**VARIANTS[key]), golden_arrays["joint_order"].tolist()
    people = match_tags(tag_candidates(heat, tags, config), config, order=order)
    close(people, golden_arrays[f"{key}_match"])
    people = stepped(people, heat, config)
    close(people, golden_arrays[f"{key}_adjust"])
    close(people[..., 2].mean(axis=1), golden_arrays[f"{key}_scores"])
    close(filled(people, heat, tags, config), golden_arrays[f"{key}_people"])
    whole, scores = people_by_tags(heat, tags, config, order=order)
    close(whole, golden_arrays[f"{key}_people"])
    close(scores, golden_arrays[f"{key}_scores"])


@pytest.mark.golden("functions/b01_*.npz")
def test_candidates_are_those_of_higherhrnet(golden_arrays):
    assert grouping_order(COCO17.keypoints) == tuple(golden_arrays["joint_order"].tolist())
    found = tag_candidates(*maps_of(golden_arrays), TagConfig(top_k=golden_arrays["topk_val"].shape[1]))
    close(found.score.numpy(), golden_arrays["topk_val"])
    there = golden_arrays["topk_val"] > 0  # which cells stand for "none" is left to the sorting
    np.testing.assert_array_equal(found.xy.numpy()[there], golden_arrays["topk_loc"][there])
    close(found.tag.numpy()[there], golden_arrays["topk_tag"][there])


@pytest.mark.golden("functions/b01_*.npz")
@pytest.mark.parametrize("key", MAPS)
def test_people_are_grouped_as_in_mmpose(golden_arrays, key):
    config = TagConfig(rule="mmpose", shift=MAPS[key])
    people, scores = people_by_tags(*maps_of(golden_arrays), config, order=golden_arrays["joint_order"].tolist())
    close(people[..., :2] * STRIDE, golden_arrays[f"{key}_keypoints"])
    close(people[..., 2], golden_arrays[f"{key}_scores"])
    close(scores, golden_arrays[f"{key}_instance_scores"])


@pytest.mark.golden("functions/b01_*.npz")
def test_people_are_read_by_udp_as_in_mmpose_and_the_rest_on_the_logarithms_that_it_leaves_behind(golden_arrays):
    if "mm_udp_keypoints" not in golden_arrays:
        pytest.skip("this file has no mm_udp")
    heat, tags = maps_of(golden_arrays)
    config, order = TagConfig(rule="mmpose"), golden_arrays["joint_order"].tolist()
    people = match_tags(tag_candidates(heat, tags, config), config, order=order)
    who, which = np.nonzero(people[..., 2] > 0)
    cells, high = torch.from_numpy(people[who, which, :2]).long(), heat.amax(dim=(1, 2))
    people[who, which, :2] += mmpose_udp_taylor_step(heat[which], cells, high[which], kernel=3).numpy()
    close(people[..., 2].mean(axis=1), golden_arrays["mm_udp_instance_scores"])
    kept = high / blurred_extremes(heat, 3, "zeros")[1]
    logs = (blur_maps(heat, 3, "zeros") * kept[:, None, None]).clamp(UDP_LOG_MIN, UDP_LOG_MAX).log()
    whole = filled(people, logs, tags, config)
    size = np.array(heat.shape[:0:-1])
    np.testing.assert_allclose(whole[..., :2] * (STRIDE * size - 1) / (size - 1), golden_arrays["mm_udp_keypoints"], atol=1e-3)
    np.testing.assert_allclose(whole[..., 2], golden_arrays["mm_udp_scores"], rtol=1e-5, atol=1e-5)


@pytest.mark.golden("functions/b01_*.npz")
def test_a_codec_grouped_by_mmposes_rule_learns_tags_at_mmposes_cells(golden_arrays):
    if "enc_indices" not in golden_arrays:
        pytest.skip("this file has no encoder")
    (keypoints, h, w), xy = golden_arrays["det"].shape, torch.from_numpy(golden_arrays["enc_keypoints"])
    visible = torch.from_numpy(golden_arrays["enc_visible"])
    scenes = one_view(xy, visible, (h * STRIDE, w * STRIDE))
    cells = AssociativeEmbedding(keypoints, cell=STRIDE, grouping=TagConfig(rule="mmpose"))._cells(scenes)
    index, flag = golden_arrays["enc_indices"][..., 0], golden_arrays["enc_indices"][..., 1] > 0
    np.testing.assert_array_equal(cells.inside, flag)
    np.testing.assert_array_equal((cells.xy[..., 1] * w + cells.xy[..., 0])[cells.inside], index[flag])


@pytest.mark.golden("functions/b02_*.npz")
@pytest.mark.parametrize("push", ["exp", "max"])
def test_losses_of_tags_are_those_of_higherhrnet(golden_arrays, push):
    tags = torch.from_numpy(golden_arrays["tags"]).requires_grad_()
    joints = torch.from_numpy(golden_arrays["joints"])
    pairs = [tag_losses(own[place[..., 0]], place[..., 1] > 0, push=push) for own, place in zip(tags, joints, strict=True)]
    pull, push_error = (torch.stack(part) for part in zip(*pairs, strict=True))
    close(pull.detach().numpy(), golden_arrays[f"{push}_pull"])
    close(push_error.detach().numpy(), golden_arrays[f"{push}_push"])
    [grad] = torch.autograd.grad((pull + push_error).sum(), tags)
    close(grad.numpy(), golden_arrays[f"{push}_grad"])


@pytest.mark.golden("functions/b02_*.npz")
def test_losses_of_heatmaps_are_those_of_higherhrnet(golden_arrays):
    heat, target, mask = (torch.from_numpy(golden_arrays[f"hm_{name}"]) for name in ("pred", "gt", "mask"))
    each = [float(heat_error(*(part[i : i + 1] for part in (heat, target, mask[:, None])))) for i in range(len(heat))]
    close(np.array(each, np.float32), golden_arrays["hm_loss"])


@pytest.mark.golden("functions/b02_*.npz")
def test_losses_of_tags_are_those_of_mmpose(golden_arrays):
    place = torch.from_numpy(golden_arrays["joints"])[0]
    tags = torch.from_numpy(golden_arrays["tags"])[0].view(place.shape[1], -1)  # MMPose has a place for each keypoint
    values = tags[torch.arange(len(tags)), place[..., 0] % tags.shape[1]]
    pull, push = tag_losses(values, place[..., 1] > 0, push="mmpose")
    close(np.array([float(pull), float(push)]), np.array([golden_arrays["mm_pull"], golden_arrays["mm_push"]]))
