"""Boxes, frames, warps, crops, flips and half bodies against the numbers of the releases."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from poise.data.boxes import mpii_boxes
from poise.geometry import apply, apply_one_based, horizontal_flip, invert, rotation, scaling, translation, xywh_to_xyxy
from poise.scenes import Canvas
from poise.skeletons import COCO17
from poise.structures import Key, Labels, Preprocess, Sample
from poise.transforms.canvas import canvas_layout
from poise.transforms.crop import Frame, box_frame, crop_warp, frame_warp, grow_to_aspect, integer_box, is_centred, pixel_warp
from poise.transforms.detector_crop import DetectorCrop
from poise.transforms.detector_jitter import DetectorAugmentation
from poise.transforms.half_body import half_body
from poise.transforms.person_crop import mirror_labels
from poise.transforms.render import normalise, resample, stretched

STD = 200.0  # the releases' pixel_std: a scale of 1 is 200 pixels
MSPN = Preprocess(crop="mspn", padding=1.0, sides=(1.09, 1.135))
CPN = Preprocess(crop="cpn", padding=1.0, sides=(1.2, 1.3))
RULES = {"hrnet": "hrnet", "simplebaseline": "hrnet", "dark": "dark", "udp": "udp"}


def _size(wh: np.ndarray) -> tuple[int, int]:
    return int(wh[1]), int(wh[0])


def _corners(z) -> tuple[torch.Tensor, np.ndarray]:
    """Boxes x0 y0 x1 y1, and which rows they are: one of no extent is refused here, the releases transfer it along."""
    boxes = z["boxes_xywh"]
    real = (boxes[:, 2:] > 0).all(axis=1)
    return xywh_to_xyxy(torch.from_numpy(boxes[real])), real


@pytest.mark.golden("functions/t01_box2cs*.npz")
def test_boxes_become_the_releases_centres_and_scales(golden_file):
    z = np.load(golden_file)
    corners, real = _corners(z)
    for name, rule in RULES.items():
        for ratio, size in (("ar075", (256, 192)), ("ar1", (256, 256))):
            frames = [box_frame(Preprocess(crop=rule, padding=1.25), box, size=size) for box in corners]
            centres = np.array([f.centre for f in frames])
            scales = np.array([f.extent for f in frames]) / STD
            np.testing.assert_allclose(centres, z[f"{name}_{ratio}_center"][real], rtol=1e-6, atol=1e-4)
            np.testing.assert_allclose(scales, z[f"{name}_{ratio}_scale"][real], rtol=1e-6, atol=1e-5)


@pytest.mark.golden("functions/t01_box2cs*.npz")
def test_boxes_become_the_frames_of_other_releases(golden_file):
    z = np.load(golden_file)
    corners, real = _corners(z)
    size = (256, 192)
    tested = [box_frame(MSPN, box, size=size) for box in corners]
    np.testing.assert_allclose([f.centre for f in tested], z["mspn_center"][real], rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(np.array([f.extent for f in tested]) / STD, z["mspn_scale_test"][real], rtol=1e-6, atol=1e-5)
    mmpose = Preprocess(crop="mspn", padding=1.25)  # as HRNet's, without its mark for unknown boxes
    padded = [box_frame(mmpose, box, size=size) for box in corners]
    for name in ("mmpose_center_pad125", "mmpose_xyxy_center"):
        np.testing.assert_allclose([f.centre for f in padded], z[name][real], rtol=1e-6, atol=1e-4)
    expected = z["mmpose_scale_pad125_ar075"][real]
    np.testing.assert_allclose([f.extent for f in padded], expected, rtol=1e-6, atol=1e-4)
    # Before the aspect is fixed; a frame for views of the box's own shape is left as it is.
    for scale, factor, unit in (
        ("mspn_scale_raw", 1.0, STD),
        ("mmpose_scale_pad125", 1.25, 1.0),
        ("mmpose_xyxy_scale", 1.25, 1.0),
    ):
        for box, raw in zip(corners, z[scale][real], strict=True):
            w, h = (box[2:] - box[:2]).tolist()
            ours = Frame((0.0, 0.0), grow_to_aspect((w, h), w / h)).scaled(factor).extent
            np.testing.assert_allclose(np.array(ours) / unit, raw, rtol=1e-6, atol=1e-5)


@pytest.mark.golden("functions/t01_box2cs*.npz")
def test_mpii_people_become_the_releases_centres_and_scales(golden_file):
    z = np.load(golden_file)
    boxes = mpii_boxes(torch.from_numpy(z["mpii_in_center"]), torch.from_numpy(z["mpii_in_scale"]))
    np.testing.assert_allclose((boxes[:, :2] + boxes[:, 2:]) / 2, z["mpii_out_center"], rtol=1e-9, atol=1e-9)
    scales = (boxes[:, 2:] - boxes[:, :2]) * 1.25 / STD
    np.testing.assert_allclose(scales, z["mpii_out_scale"].reshape(len(boxes), -1) * np.ones(2), rtol=1e-9, atol=1e-9)


@pytest.mark.golden("functions/t02_affine*.npz")
@pytest.mark.parametrize(
    ("rule", "forward", "back", "shifted"),
    [
        ("mspn", "mspn_fwd", None, False),
        ("hrnet", "mmpose_fwd", "mmpose_inv", True),
        ("udp", "rsn_warp_src2dst", "rsn_warp_dst2src", False),
        ("udp", "mmpose_udp_fwd", None, False),
    ],
)
def test_warps_are_those_of_other_releases(golden_file, rule, forward, back, shifted):
    z = np.load(golden_file)
    for i, (centre, scale, degrees, wh) in enumerate(zip(z["center"], z["scale"], z["rot"], z["output_size_wh"], strict=True)):
        seen = Frame(tuple(centre.tolist()), tuple((scale * STD).tolist()))
        seen = seen.shifted(*z["shift"][i].tolist()) if shifted else seen
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
        moved = seen.shifted(*z["shift"][i].tolist())
        warp = frame_warp(rule, moved, size=size, degrees=float(degrees))
        np.testing.assert_allclose(warp[:2], z[f"{rule}_fwd"][i], rtol=1e-4, atol=5e-3)
        np.testing.assert_allclose(invert(warp)[:2], z[f"{rule}_inv"][i], rtol=1e-4, atol=5e-3)
        np.testing.assert_allclose(apply(warp, points), z[f"{rule}_pts"][i], rtol=1e-4, atol=5e-3)


@pytest.mark.golden("functions/t02_affine*.npz")
def test_warps_that_scale_each_axis_are_mmposes(golden_file):
    z = np.load(golden_file)
    for i, (centre, scale, degrees, wh) in enumerate(zip(z["center"], z["scale"], z["rot"], z["output_size_wh"], strict=True)):
        (w, h), (columns, rows) = (scale.astype(float) * STD).tolist(), wh.tolist()
        x, y = (centre + scale * STD * z["shift"][i]).tolist()
        free = translation(columns / 2, rows / 2) @ scaling(columns / w, rows / h) @ rotation(-float(degrees))
        np.testing.assert_allclose((free @ translation(-x, -y))[:2], z["mmpose_fwd_nofix"][i], rtol=1e-4, atol=5e-3)


@pytest.mark.golden("functions/t02_affine*.npz")
def test_warps_and_whole_points_are_those_of_the_stacked_hourglass(golden_file):
    z = np.load(golden_file)
    for i, (centre, degrees, res) in enumerate(zip(z["center"], z["rot"], z["hg_res_hw"], strict=True)):
        side = float(z["hg_scale"][i]) * STD
        seen, size = Frame(tuple(centre.tolist()), (side, side)), tuple(res.tolist())
        warp = frame_warp("hourglass", seen, size=size, degrees=float(degrees))
        np.testing.assert_allclose(warp, z["hg_get_transform"][i], rtol=1e-7, atol=1e-6)
        points = torch.from_numpy(z["pts"][i])
        np.testing.assert_array_equal(apply_one_based(warp, points), z["hg_transform_fwd"][i])
        np.testing.assert_array_equal(apply_one_based(invert(warp), points / 10), z["hg_transform_inv"][i])


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
        assert _difference(pixels, z[f"{name}_crop{i}"]) <= 0.3, f"{name} crop {i} differs"


@pytest.mark.golden("functions/t07_cpn_crop*.npz")
@pytest.mark.parametrize(("stage", "zoom"), [("test", 1.0), ("train", 1.25)])
def test_crops_for_cpn_are_the_releases(golden_file, stage, zoom):
    z = np.load(golden_file)
    cut = replace(CPN, fill=tuple(z["pixel_means_rgb"].tolist()))
    size = tuple(z["inp_res_hw"].tolist())
    image = torch.from_numpy(z["img"]).permute(2, 0, 1)
    for i, box in enumerate(torch.from_numpy(z["bbox_xyxy"])):
        seen = box_frame(cut, box, size=size).scaled(zoom)
        assert list(integer_box(seen)) == z[f"{stage}_details{i}"].tolist()
        warp = frame_warp("cpn", seen, size=size)
        if stage == "train":
            joints, expected = z["joints_in"][i].copy(), z[f"train_joints{i}"]
            # The release moves what is not labelled far away, in the padded image.
            joints[joints[:, 2] == 0, :2] = -1e6 - max(z["img"].shape[:2])
            np.testing.assert_allclose(apply(warp, torch.from_numpy(joints[:, :2])), expected[:, :2], rtol=1e-6, atol=1e-3)
            np.testing.assert_array_equal(joints[:, 2], expected[:, 2])
        if f"{stage}_crop{i}" in z:  # our own copy leaves some of these out
            assert _difference(resample(image, pixel_warp("cpn", warp), size, fill=cut.fill), z[f"{stage}_crop{i}"]) <= 0.3


@pytest.mark.golden("functions/t07_cpn_crop*.npz")
def test_predictions_for_cpn_go_home_through_the_keypoints_warp(golden_file):
    z = np.load(golden_file)
    size = tuple(z["inp_res_hw"].tolist())
    for i, box in enumerate(torch.from_numpy(z["bbox_xyxy"])):
        warp = crop_warp(CPN, box, size=size)
        x0, y0, x1, y1 = z[f"test_details{i}"].tolist()
        found = torch.tensor([[0.0, 0.0], [13.7, 29.2], [size[1], size[0]]], dtype=torch.float64)
        expected = found.numpy() / np.array(size[::-1]) * np.array([x1 - x0, y1 - y0]) + np.array([x0, y0])
        np.testing.assert_allclose(apply(invert(warp), found), expected, atol=1e-9)


@pytest.mark.golden("functions/t04_hourglass_crop*.npz")
def test_values_are_stretched_as_the_hourglasses_release_does(golden_arrays):
    np.testing.assert_array_equal(stretched(golden_arrays["bytescale_in"]), golden_arrays["bytescale_out"])
    whole = Image.fromarray(stretched(golden_arrays["imresize_in"]))
    wanted = golden_arrays["imresize_out_20x16"]
    np.testing.assert_array_equal(np.asarray(whole.resize(wanted.shape[1::-1], Image.Resampling.BILINEAR)), wanted)


@pytest.mark.golden("functions/t04_hourglass_crop*.npz")
def test_stretched_views_are_the_crops_of_the_hourglasses_release(golden_arrays):
    if "crop0" not in golden_arrays:
        return  # our own copy has the stretch alone
    z = golden_arrays
    image = torch.from_numpy(np.rint(z["img_chw01"] * 255).astype(np.uint8).transpose(1, 2, 0).copy()).permute(2, 0, 1)
    dark = (image.float() * 0.4 + 30).to(torch.uint8).permute(1, 2, 0).contiguous().permute(2, 0, 1)
    for i, (centre, scale, degrees, res) in enumerate(zip(z["center"], z["scale"], z["rot"], z["res"], strict=True)):
        seen = Frame(tuple(centre.tolist()), (float(scale) * STD,) * 2)
        warp = frame_warp("hourglass", seen, size=(int(res),) * 2, degrees=float(degrees))
        wanted = z[f"crop{i}"].transpose(1, 2, 0)
        given, faint = (resample(one, warp, (int(res),) * 2) for one in (image, dark))
        # The release cuts at whole pixels, and this image is noise: a pixel beside the view is far away.
        near = np.abs(stretched(given) / 255.0 - wanted).mean()
        assert near < 0.13
        inside = (faint > 0).all()
        if inside:  # black around the image is part of what is stretched
            assert np.abs(stretched(faint) / 255.0 - wanted).mean() < near + 0.01 < np.abs(faint / 255.0 - wanted).mean()


def _difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours.astype(float) - theirs).mean())


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
    labels = mirror_labels(Labels.of(xy, visible, torch.tensor([[0.0, 0.0, 9.0, 9.0]])), flip)
    moved = apply(horizontal_flip(int(z["width"].item())), labels.xy)[0].numpy()
    known = labels.visible[0].numpy() > 0
    np.testing.assert_array_equal(labels.visible[0].numpy(), z["hrnet_fliplr_vis"][:, 0])
    np.testing.assert_allclose(moved[known], z["hrnet_fliplr_joints"][known, :2])
    np.testing.assert_allclose(moved, z["mspn_flip_joints"])  # this release does not zero what is not labelled


@pytest.mark.golden("functions/t05_flip_joints*.npz")
def test_mirrored_visibility_is_mspns_and_mirrored_animals_are_the_releases(golden_file):
    z = np.load(golden_file)
    flip = torch.arange(len(z["joints"]))
    for a, b in z["coco_flip_pairs"].tolist():
        flip[a], flip[b] = b, a
    np.testing.assert_array_equal(z["joints_vis"][flip, :1], z["mspn_flip_vis"])
    xyv = torch.from_numpy(z["animal_pts"])[None].double()
    animal = torch.arange(xyv.shape[1])
    for a, b in ((0, 1), (3, 4), (5, 6), (8, 9), (10, 11), (12, 13), (14, 15), (16, 17)):
        animal[a], animal[b] = b, a
    labels = mirror_labels(Labels.of(xyv[..., :2], xyv[..., 2].long(), torch.tensor([[0.0, 0.0, 9.0, 9.0]])), animal)
    width = int(z["width"].item())
    moved = apply(horizontal_flip(width + 1), labels.xy)[0]  # this release mirrors points a pixel beside its images
    np.testing.assert_allclose(moved, z["animal_shufflelr"][:, :2], rtol=1e-6, atol=1e-4)
    np.testing.assert_array_equal(xyv[0, animal, 2], z["animal_shufflelr"][:, 2])


@pytest.mark.golden("functions/t06_halfbody_select*.npz")
@pytest.mark.parametrize(("name", "prefer_upper"), [("upper", True), ("lower", False)])
def test_half_bodies_are_mspns(golden_file, name, prefer_upper):
    z = np.load(golden_file)
    upper = torch.arange(z["joints"].shape[1]) < 13  # the hips too
    for i, (joints, vis) in enumerate(zip(z["joints"], z["vis"], strict=True)):
        xy, visible = torch.from_numpy(joints[:, :2]), torch.from_numpy(vis[:, 0]).long()
        found = half_body(xy, visible, upper, prefer_upper=prefer_upper, ratio=0.75, rule="mspn", grow=(0.5 * 0.6, 0.5 * 0.8))
        assert (found is not None) == bool(z[f"mspn_rand05_{name}_valid"][i])
        if found is not None:
            got = [*found.centre, *(v / STD for v in found.extent)]
            np.testing.assert_allclose(got, z[f"mspn_rand05_{name}_cs"][i], rtol=1e-5, atol=1e-4)


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
        kept.append(is_centred(seen, torch.from_numpy(joints[:, :2]), torch.from_numpy(vis[:, 0]).long()))
    assert 0 < sum(kept) < len(kept)
    np.testing.assert_array_equal(kept, z["sel_keep"])


@pytest.mark.golden("functions/t05_flip_joints*.npz")
def test_a_resized_image_has_the_keypoints_of_mask_rcnns_release(golden_file):
    z = np.load(golden_file)
    resized = next((key for key in z.files if key.startswith("krcnn_resize")), None)
    if resized is None:
        assert golden_file.is_relative_to(Path(__file__).parent), "only our own copy may lack it"
        return
    given, wanted = z["krcnn_kp"], z[resized]
    np.testing.assert_array_equal(given[..., 2], wanted[..., 2])
    wide, high = (int(side) for side in resized.rsplit("_", 1)[1].split("x"))
    width, factor = int(z["width"].item()), float(np.median(wanted[..., 1] / given[..., 1]))
    height = round(high / factor)
    # A canvas brings both sides to nearly one factor, the file's differ: each axis is looked at in a square of its own.
    for axis, (old, new) in enumerate(((width, wide), (height, high))):
        warp = canvas_layout(Canvas(side=new, fit="short", multiple=1, rule="pillow"), (old, old)).warp
        moved = apply(warp, torch.from_numpy(given[..., :2]).double())
        np.testing.assert_allclose(moved[..., axis], wanted[..., axis], rtol=1e-6)


@pytest.mark.golden("functions/t05_flip_joints*.npz")
def test_a_mirrored_detectors_view_has_the_keypoints_of_mask_rcnns_release(golden_file):
    z = np.load(golden_file)
    if "krcnn_flip" not in z:
        assert golden_file.is_relative_to(Path(__file__).parent), "only our own copy may lack it"
        return
    given, width = torch.from_numpy(z["krcnn_kp"]), int(z["width"].item())
    height = int(given[..., 1].max()) + 2
    box = torch.tensor([0.0, 0.0, float(width), float(height)]).expand(len(given), 4)
    labels = Labels.of(given[..., :2], given[..., 2].long(), box)
    image = torch.zeros(height, width, 3, dtype=torch.uint8).permute(2, 0, 1)
    canvas = Canvas(side=min(height, width), fit="short", multiple=1, rule="pillow")
    options = DetectorAugmentation(sides=(min(height, width),), max_side=None, flip=1.0)
    view = DetectorCrop(canvas, COCO17, options)(Sample(image, labels, Key("a")), torch.Generator().manual_seed(0))
    wanted = torch.from_numpy(z["krcnn_flip"])
    seen = wanted[..., 2] > 0  # the release sets the others to 0
    assert torch.equal(view.labels.visible, wanted[..., 2].long())
    torch.testing.assert_close(view.labels.xy[seen], wanted[..., :2][seen], rtol=0, atol=1e-4)
    assert view.labels.boxes.tolist() == box.tolist()
