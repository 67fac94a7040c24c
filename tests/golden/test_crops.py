"""Boxes, frames, warps, crops, flips and half bodies against the numbers of the releases."""

from pathlib import Path

import numpy as np
import pytest
import torch

from poise.geometry import apply, from_xywh, invert, mirror
from poise.structures import Labels, Preprocess
from poise.transforms.crop import Frame, frame, frame_warp, well_centred, widened
from poise.transforms.cut import mirrored
from poise.transforms.half_body import half_body
from poise.transforms.render import normalise, resample

STD = 200.0  # the releases' pixel_std: a scale of 1 is 200 pixels
RULES = {"hrnet": "hrnet", "simplebaseline": "hrnet", "dark": "dark", "udp": "udp"}


def _size(wh: np.ndarray) -> tuple[int, int]:
    return int(wh[1]), int(wh[0])


def _corners(z) -> tuple[torch.Tensor, np.ndarray]:
    """Boxes x0 y0 x1 y1, and which rows they are: one of no extent is refused here, the releases carry it along."""
    boxes = z["boxes_xywh"]
    real = (boxes[:, 2:] > 0).all(axis=1)
    return from_xywh(torch.from_numpy(boxes[real])), real


@pytest.mark.golden("functions/t01_box2cs*.npz")
def test_boxes_become_the_releases_centres_and_scales(golden_file):
    z = np.load(golden_file)
    corners, real = _corners(z)
    for name, rule in RULES.items():
        for ratio, size in (("ar075", (256, 192)), ("ar1", (256, 256))):
            frames = [frame(rule, box, size=size, padding=1.25) for box in corners]
            centres = np.array([f.centre for f in frames])
            scales = np.array([f.extent for f in frames]) / STD
            np.testing.assert_allclose(centres, z[f"{name}_{ratio}_center"][real], rtol=1e-6, atol=1e-4)
            np.testing.assert_allclose(scales, z[f"{name}_{ratio}_scale"][real], rtol=1e-6, atol=1e-5)


@pytest.mark.golden("functions/t01_box2cs*.npz")
def test_boxes_become_the_frames_of_other_releases(golden_file):
    z = np.load(golden_file)
    corners, real = _corners(z)
    size, padding = (256, 192), 1.25
    padded = [frame("hrnet", box, size=size, padding=padding) for box in corners]
    for name in ("mspn_center", "mmpose_center_pad125", "mmpose_xyxy_center"):
        np.testing.assert_allclose([f.centre for f in padded], z[name][real], rtol=1e-6, atol=1e-4)
    known = np.array([f.centre[0] != -1 for f in padded])  # MMPose pads boxes of this mark too
    expected = z["mmpose_scale_pad125_ar075"][real][known]
    np.testing.assert_allclose(np.array([f.extent for f in padded])[known], expected, rtol=1e-6, atol=1e-4)
    sides = (corners[:, 2:] - corners[:, :2]).numpy()
    for scale, factor in (("mspn_scale_raw", 1 / STD), ("mmpose_scale_pad125", padding), ("mmpose_xyxy_scale", padding)):
        np.testing.assert_allclose(sides * factor, z[scale][real], rtol=1e-6, atol=1e-5)
    tested = [widened((w / STD * 1.09, h / STD * 1.135), 0.75) for w, h in sides.tolist()]
    np.testing.assert_allclose(tested, z["mspn_scale_test"][real], rtol=1e-6, atol=1e-5)


@pytest.mark.golden("functions/t02_affine*.npz")
@pytest.mark.parametrize(
    ("rule", "forward", "back", "shifted"),
    [
        ("hrnet", "mspn_fwd", None, False),
        ("hrnet", "mmpose_fwd", "mmpose_inv", True),
        ("udp", "rsn_warp_src2dst", "rsn_warp_dst2src", False),
        ("udp", "mmpose_udp_fwd", None, False),
    ],
)
def test_warps_are_those_of_other_releases(golden_file, rule, forward, back, shifted):
    z = np.load(golden_file)
    for i, (centre, scale, degrees, wh) in enumerate(zip(z["center"], z["scale"], z["rot"], z["output_size_wh"], strict=True)):
        seen = Frame(tuple(centre.tolist()), tuple((scale * STD).tolist()))
        seen = seen.moved(*z["shift"][i].tolist()) if shifted else seen
        warp = frame_warp(rule, seen, size=_size(wh), degrees=float(degrees))
        np.testing.assert_allclose(warp[:2], z[forward][i], rtol=1e-4, atol=5e-3)
        if back:
            np.testing.assert_allclose(invert(warp)[:2], z[back][i], rtol=1e-4, atol=5e-3)


@pytest.mark.golden("functions/t02_affine*.npz")
@pytest.mark.parametrize("rule", ["hrnet", "dark", "udp"])
def test_warps_are_the_releases(golden_file, rule):
    z = np.load(golden_file)
    for i, (centre, scale, degrees, wh) in enumerate(zip(z["center"], z["scale"], z["rot"], z["output_size_wh"], strict=True)):
        size = _size(wh)
        extent = tuple((scale * STD).tolist())
        seen = Frame(tuple(centre.tolist()), extent)
        points = torch.from_numpy(z["pts"][i])
        if rule == "udp":
            back = invert(frame_warp(rule, seen, size=size, degrees=float(degrees)))
            np.testing.assert_allclose(back[:2], z["udp_warp_dst2src"][i], rtol=1e-5, atol=2e-4)
            np.testing.assert_allclose(apply(invert(back), points), z["udp_rotate_points"][i], rtol=1e-4, atol=5e-3)
            continue
        moved = seen.moved(*z["shift"][i].tolist())
        warp = frame_warp(rule, moved, size=size, degrees=float(degrees))
        np.testing.assert_allclose(warp[:2], z[f"{rule}_fwd"][i], rtol=1e-4, atol=5e-3)
        np.testing.assert_allclose(invert(warp)[:2], z[f"{rule}_inv"][i], rtol=1e-4, atol=5e-3)
        np.testing.assert_allclose(apply(warp, points), z[f"{rule}_pts"][i], rtol=1e-4, atol=5e-3)


@pytest.mark.golden("functions/t02_affine*.npz")
def test_predictions_go_home_as_in_the_releases(golden_file):
    z = np.load(golden_file)
    for i, (centre, scale, wh) in enumerate(zip(z["center"], z["scale"], z["output_size_wh"], strict=True)):
        seen = Frame(tuple(centre.tolist()), tuple((scale * STD).tolist()))
        points = torch.from_numpy(z["pts"][i])
        for rule, shrink in (("hrnet", 10), ("dark", 10), ("udp", 10)):
            home = invert(frame_warp(rule, seen, size=_size(wh)))
            expected = z[f"{rule}_transform_preds"][i]
            np.testing.assert_allclose(apply(home, points / shrink), expected, rtol=1e-4, atol=5e-3)


@pytest.mark.golden("functions/t03_warp_crop_cv*.npz")
@pytest.mark.parametrize(("rule", "name"), [("hrnet", "hrnet"), ("dark", "dark"), ("udp", "udp"), ("udp", "mmudp")])
def test_crops_are_the_releases(golden_file, rule, name):
    if f"{name}_crop0" not in np.load(golden_file):
        assert golden_file.is_relative_to(Path(__file__).parent), "only our own copy leaves some of these out"
        return
    z = np.load(golden_file)
    image = torch.from_numpy(z["img"]).permute(2, 0, 1)
    for i, (centre, scale, degrees, wh) in enumerate(zip(z["center"], z["scale"], z["rot"], z["output_size_wh"], strict=True)):
        seen = Frame(tuple(centre.tolist()), tuple((scale * STD).tolist()))
        size = _size(wh)
        pixels = resample(image, frame_warp(rule, seen, size=size, degrees=float(degrees)), size)
        difference = np.abs(pixels.astype(float) - z[f"{name}_crop{i}"])
        assert difference.mean() <= 0.3, f"{name} crop {i} differs by {difference.mean():.2f} grey levels on average"


@pytest.mark.golden("functions/t03_warp_crop_cv*.npz", "functions/t03_normalise.npz")
def test_normalised_pixels_are_the_releases(golden_file):
    z = np.load(golden_file)
    if "hrnet_crop0_normalized_chw" not in z:
        assert golden_file.is_relative_to(Path(__file__).parent), "only our own copy keeps these values in a file of their own"
        return
    view = normalise(z["hrnet_crop0"], Preprocess())
    np.testing.assert_allclose(view.numpy(), z["hrnet_crop0_normalized_chw"], atol=2e-6)


@pytest.mark.golden("functions/t05_flip_joints*.npz")
def test_mirrored_keypoints_are_the_releases(golden_file):
    z = np.load(golden_file)
    pairs = z["coco_flip_pairs"]
    flip = torch.arange(len(z["joints"]))
    for a, b in pairs.tolist():
        flip[a], flip[b] = b, a
    xy = torch.from_numpy(z["joints"][None, :, :2])
    visible = torch.from_numpy(z["joints_vis"][None, :, 0]).long()
    labels = mirrored(Labels.of(xy, visible, torch.tensor([[0.0, 0.0, 9.0, 9.0]])), flip)
    moved = apply(mirror(int(z["width"].item())), labels.xy)[0].numpy()
    known = labels.visible[0].numpy() > 0
    np.testing.assert_array_equal(labels.visible[0].numpy(), z["hrnet_fliplr_vis"][:, 0])
    np.testing.assert_allclose(moved[known], z["hrnet_fliplr_joints"][known, :2])
    np.testing.assert_allclose(moved, z["mspn_flip_joints"])  # this release does not zero what is not labelled


@pytest.mark.golden("functions/t06_halfbody_select*.npz")
@pytest.mark.parametrize("rule", ["hrnet", "dark"])
@pytest.mark.parametrize(("name", "prefer_upper"), [("upper", True), ("lower", False)])
def test_half_bodies_are_the_releases(golden_file, rule, name, prefer_upper):
    z = np.load(golden_file)
    upper = torch.arange(z["joints"].shape[1]) < 11
    for i, (joints, vis) in enumerate(zip(z["joints"], z["vis"], strict=True)):
        xy, visible = torch.from_numpy(joints[:, :2]), torch.from_numpy(vis[:, 0]).long()
        found = half_body(xy, visible, upper, prefer_upper=prefer_upper, ratio=0.75, rule=rule)
        assert (found is not None) == bool(z[f"{rule}_{name}_valid"][i])
        if found is not None:
            got = [*found.centre, *(v / STD for v in found.extent)]
            np.testing.assert_allclose(got, z[f"{rule}_{name}_cs"][i], rtol=1e-5, atol=1e-4)


@pytest.mark.golden("functions/t06_halfbody_select*.npz")
def test_people_off_the_middle_are_left_out_as_in_the_release(golden_file):
    z = np.load(golden_file)
    kept = []
    for joints, vis, centre, scale in zip(z["sel_joints"], z["sel_vis"], z["sel_center"], z["sel_scale"], strict=True):
        seen = Frame(tuple(centre.tolist()), tuple((scale * STD).tolist()))
        kept.append(well_centred(seen, torch.from_numpy(joints[:, :2]), torch.from_numpy(vis[:, 0]).long()))
    assert 0 < sum(kept) < len(kept)
    np.testing.assert_array_equal(kept, z["sel_keep"])
