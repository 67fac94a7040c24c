"""Labels of whole views (og01, og02), their losses (l05) and limbs (t05), against OffsetGuided's release."""

import re

import numpy as np
import pytest
import torch

from poise.codecs import guiding_offsets
from poise.codecs.guiding_losses import LabelMaps
from poise.codecs.offset_guided import OffsetGuided
from poise.losses.guides import mean_above_margin, offset_errors, scale_errors
from poise.losses.heatmaps import focal_squared_error, squared_error
from poise.scenes import Scenes
from poise.skeletons import COCO17
from poise.skeletons.limbs import limbs, mirrored_limbs

SETS = {
    "og_limb": ("og_skeleton", "19"),
    "og_KINEMATIC_TREE_SKELETON": ("og_KINEMATIC_TREE_SKELETON", "16"),
    "og_COCO_PERSON_WITH_REDUNDANT_SKELETON": ("og_COCO_PERSON_WITH_REDUNDANT_SKELETON", "31"),
    "og_DENSER_COCO_PERSON_SKELETON": ("og_DENSER_COCO_PERSON_SKELETON", "44"),
    "og_REDUNDANT_CONNECTIONS": ("og_REDUNDANT_CONNECTIONS", "redundant"),
}
"""What the keys of a set's mirror begin with; the key of its limbs, and its name here."""

MAPS = {"hmploss_l2": squared_error, "hmploss_focal_l2": focal_squared_error}
VECTORS = {"offset_l1": "l1", "offset_instance_l1": "instance_l1", "vector_l1": "vector_l1", "offset_laplace": "laplace"}


@pytest.mark.golden("functions/t05_*.npz")
@pytest.mark.parametrize("prefix", SETS)
def test_limbs_and_their_mirror_are_those_of_the_release(golden_arrays, prefix):
    key, which = SETS[prefix]
    if key not in golden_arrays:
        pytest.skip("this file has no such limbs")
    found = limbs(COCO17, which)
    np.testing.assert_array_equal(found, golden_arrays[key])
    index, alone = mirrored_limbs(found, COCO17.flip)
    np.testing.assert_array_equal(index, golden_arrays[f"{prefix}_flip"])
    np.testing.assert_array_equal(alone.nonzero().flatten(), golden_arrays[f"{prefix}_reserve"])
    np.testing.assert_array_equal(COCO17.flip, golden_arrays["og_keypoint_flip"])


def labels(path, arrays):
    """The people of a file, and the codec of its name."""
    joints = torch.from_numpy(arrays["joints"])
    sigmas = torch.tensor(COCO17.sigmas)
    cells = arrays["heatmaps"].shape[1:]
    scenes = Scenes(
        xy=joints[..., :2].contiguous(),
        visible=joints[..., 2].long(),
        boxes=torch.zeros(len(joints), 4),
        extent=(joints[..., 3] / sigmas)[:, 0],
        scene=torch.zeros(len(joints), dtype=torch.int64),
        ignore=torch.from_numpy(arrays.get("mask_miss_in", np.full([4 * c for c in cells], 255, np.uint8)) == 0)[None],
    )
    numbers = {name: float(value) for name, value in re.findall(r"_(fill|sigma|clip)([\d.]+)", path.stem)}
    which = {16: "16", 19: "19", 29: "redundant", 31: "31", 44: "44"}[len(arrays["offsets"]) // 2]
    maps = LabelMaps(
        sigma=numbers.get("sigma", 7.0),
        clip=numbers.get("clip", 0.01),
        fill=int(numbers.get("fill", 7)),
        background=True,
        jitter=True,
        spread=True,
        scale=True,
    )
    return scenes, OffsetGuided(17, limbs(COCO17, which), maps, sigmas=COCO17.sigmas)


@pytest.mark.golden("functions/og01_*.npz", "functions/og02_*.npz")
def test_labels_are_those_of_the_release(golden_file, golden_arrays):
    scenes, codec = labels(golden_file, golden_arrays)
    output = codec.encode(scenes)
    heat, background, jitter, offsets, spread, scale = (part[0].numpy() for part in codec.split(output))
    np.testing.assert_allclose(heat, golden_arrays["heatmaps"], rtol=0, atol=5e-7)
    if "background_intended" in golden_arrays:
        np.testing.assert_allclose(background[0], golden_arrays["background_intended"], rtol=0, atol=5e-7)
    if "jitter" in golden_arrays:
        np.testing.assert_array_equal(jitter, zeroed(golden_arrays["jitter"]))
    np.testing.assert_array_equal(offsets, zeroed(golden_arrays["offsets"]))
    np.testing.assert_allclose(scale, zeroed(golden_arrays["scales"]), rtol=1e-6)
    assert not spread.any()


def zeroed(array):
    """With 0 where nothing is labelled."""
    return np.where(np.isfinite(array), array, 0)


@pytest.mark.golden("functions/og01_*.npz", "functions/og02_*.npz")
def test_the_release_labels_the_same_cells(golden_file, golden_arrays):
    scenes, codec = labels(golden_file, golden_arrays)
    size = tuple(golden_arrays["heatmaps"].shape[1:])
    starts, ends = torch.tensor(codec.limbs).T
    labelled = guiding_offsets.LabelledKeypoints.of(scenes, size)
    targets = guiding_offsets.guiding_offsets(labelled, starts, ends, fill=codec.maps.fill)
    there = torch.zeros(1, *golden_arrays["offsets"].shape)
    people = torch.ones_like(there)
    of_limbs = 2 * torch.arange(len(starts))
    extent = scenes.extent[:, None, None].expand(targets.valid.shape)
    for axis in (0, 1):
        targets.write_values(there, of_limbs + axis, torch.ones_like(extent), targets.valid)
        targets.write_values(people, of_limbs + axis, extent, targets.valid)
    np.testing.assert_array_equal(there[0] > 0, np.isfinite(golden_arrays["offsets"]))
    if "pscale" in golden_arrays:
        np.testing.assert_allclose(people[0], golden_arrays["pscale"], rtol=1e-6)
    if "jitter" in golden_arrays:
        near = guiding_offsets.jitter_offsets(labelled, fill=codec.maps.jitter_fill)
        assert near.valid.sum() == np.isfinite(golden_arrays["jitter"]).all(axis=0).sum()
    assert guiding_offsets.window_side(codec.maps.sigma, codec.maps.clip) == golden_arrays["gaussian_size"]


@pytest.mark.golden("functions/og01_*.npz")
def test_the_cells_to_learn_in_are_those_of_the_release(golden_arrays):
    if "mask_miss_in" not in golden_arrays:
        pytest.skip("this file has no mask")
    ignore = torch.from_numpy(golden_arrays["mask_miss_in"] == 0)[None]
    np.testing.assert_array_equal(guiding_offsets.supervised_cells(ignore)[0, 0], golden_arrays["mask_miss_out"])


def tensors(arrays, *names):
    return [torch.from_numpy(arrays[name]) for name in names]


def whole(arrays, key):
    """Only a whole file has sums, a copy cut down has not."""
    if key not in arrays:
        pytest.skip(f"this file has no {key}")


def pairs(maps):
    """x and y as last axis."""
    return maps.unflatten(1, (-1, 2)).movedim(2, -1)


def flat(errors):
    """Errors of components as maps of the release: x and y one after the other."""
    return errors.movedim(-1, 2).flatten(1, 2)


@pytest.mark.golden("functions/l05_*.npz")
@pytest.mark.parametrize("name", ["l2", "focal_l2"])
def test_errors_of_heatmaps_are_those_of_the_release(golden_arrays, name):
    output, target, used = tensors(golden_arrays, "pred_hmp", "gt_hmp", "mask_miss")
    learnt = output[0].clone().requires_grad_()
    error = {"l2": squared_error, "focal_l2": focal_squared_error}[name](learnt.where(used, target), target).sum()
    error.backward()
    if f"elem_{name}_sum" in golden_arrays:
        np.testing.assert_allclose(error.item(), golden_arrays[f"elem_{name}_sum"], rtol=1e-5)
    np.testing.assert_allclose(learnt.grad, golden_arrays[f"elem_{name}_grad"], rtol=0, atol=1e-6)


@pytest.mark.golden("functions/l05_*.npz")
def test_the_focal_losses_constants_are_real(golden_arrays):
    whole(golden_arrays, "elem_focal_l2_gamma2_sum")
    output, target, used = tensors(golden_arrays, "pred_hmp", "gt_hmp", "mask_miss")
    error = focal_squared_error(output[0].where(used, target), target, gamma=2.0).sum()
    np.testing.assert_allclose(error, golden_arrays["elem_focal_l2_gamma2_sum"], rtol=1e-5)
    other = focal_squared_error(output[0].where(used, target), target, gamma=2.0, tau=0.5).sum()
    assert abs(other - error) > 1e-3 * error


@pytest.mark.golden("functions/l05_*.npz")
@pytest.mark.parametrize("name", VECTORS)
def test_errors_of_vectors_are_those_of_the_release_and_its_nan_gradients_0(golden_arrays, name):
    output, target, size, spread, used = tensors(golden_arrays, "pred_off", "gt_off", "gt_pscale", "pred_logb", "mask_miss")
    learnt, target = output[0].clone().requires_grad_(), pairs(target)
    counts = target.isfinite().all(dim=-1) & used
    error = offset_errors(pairs(learnt), target, counts, distance=VECTORS[name], size=pairs(size), log_spread=spread[0])
    error.sum().backward()
    found = flat(error)[flat(counts[..., None].expand(error.shape))].detach()
    np.testing.assert_allclose(found, golden_arrays[f"elem_{name}_loss"], rtol=1e-5, atol=1e-6)
    gradient = golden_arrays[f"grad_{name}_loss"]
    np.testing.assert_allclose(learnt.grad, np.where(np.isnan(gradient), 0, gradient), rtol=1e-5, atol=1e-6)
    assert not pairs(learnt.grad)[~counts].any()


@pytest.mark.golden("functions/l05_*.npz")
@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("name", MAPS)
def test_losses_of_maps_and_jitter_are_those_of_the_release(golden_arrays, name, root):
    whole(golden_arrays, f"{name}_sqrt{int(root)}")
    used, *rest = tensors(golden_arrays, "mask_miss", "pred_hmp", "gt_hmp", "pred_bg", "gt_bg", "pred_jitter", "gt_jitter")
    heat, heat_target, background, background_target, jitter, jitter_target = rest
    target = pairs(jitter_target)
    counts = target.isfinite().all(dim=-1) & used

    def of_stack(stack):
        errors = offset_errors(pairs(jitter[stack]), target, counts, distance="l1")
        return (
            MAPS[name](heat[stack].where(used, heat_target), heat_target).sum(),
            MAPS[name](background[stack].where(used, background_target), background_target).sum(),
            mean_above_margin(errors, counts[..., None], root=root),
        )

    np.testing.assert_allclose(weighed(of_stack, len(used)), golden_arrays[f"{name}_sqrt{int(root)}"], rtol=1e-5)


@pytest.mark.golden("functions/l05_*.npz")
@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("name", VECTORS)
def test_losses_of_offsets_and_scales_are_those_of_the_release(golden_arrays, name, root):
    whole(golden_arrays, f"omploss_{name}_loss_sqrt{int(root)}")
    used, *rest = tensors(golden_arrays, "mask_miss", "pred_off", "gt_off", "gt_pscale", "pred_logb", "pred_scale", "gt_scale")
    offsets, offset_target, people, spread, scale, scale_target = rest
    target, size = pairs(offset_target), pairs(people)
    counts, sized = target.isfinite().all(dim=-1) & used, scale_target.isfinite() & used

    def of_stack(stack):
        errors = offset_errors(
            pairs(offsets[stack]), target, counts, distance=VECTORS[name], size=size, log_spread=spread[stack]
        )
        sizes = scale_errors(scale[stack], scale_target, sized)
        return mean_above_margin(errors, counts[..., None], root=root), mean_above_margin(sizes, sized, margin=0.1, root=root)

    key = f"omploss_{name}_loss_sqrt{int(root)}"
    np.testing.assert_allclose(weighed(of_stack, len(used)), golden_arrays[key], rtol=1e-5)


def weighed(of_stack, views):
    """The losses of the two stacks by the weights 1 and 2, over the number of views."""
    return [(float(first) + 2 * float(second)) / 3 / views for first, second in zip(of_stack(0), of_stack(1), strict=True)]
