"""Whole images against the official numbers: who is learnt (og03), random warps (og04), resize and padding (og05)."""

import math

import numpy as np
import pytest
import torch

from poise.geometry import apply, invert, xywh_to_xyxy
from poise.scenes import Canvas
from poise.skeletons import COCO17
from poise.structures import Labels
from poise.transforms.canvas import Layout, canvas_layout, letterbox
from poise.transforms.render import denormalise
from poise.transforms.scene_crop import scene_warp, select_learnt
from poise.transforms.scene_jitter import SceneDraw


@pytest.mark.golden("functions/og03_*.npz")
def test_crowds_and_unlabelled_people_are_left_out_and_small_ones_lose_their_labels(golden_arrays):
    g = golden_arrays
    keypoints = torch.from_numpy(g["keypoints"]).reshape(len(g["keypoints"]), -1, 3)
    unlabelled = torch.from_numpy(g["num_keypoints"]) == 0  # the release believes the number, poise counts
    labels = Labels(
        xy=keypoints[..., :2],
        visible=torch.where(unlabelled[:, None], 0, keypoints[..., 2].long()),
        boxes=xywh_to_xyxy(torch.from_numpy(g["bbox"])),
        area=torch.from_numpy(g["area"]),
        crowd=torch.from_numpy(g["iscrowd"]) > 0,
        ids=torch.arange(len(keypoints)),
        categories=torch.ones(len(keypoints), dtype=torch.int64),
    )
    found = select_learnt(labels, min_area=32.0**2)
    extent = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(dim=1).sqrt()
    scale = extent[:, None] * torch.tensor(COCO17.sigmas[: found.xy.shape[1]], dtype=extent.dtype)
    np.testing.assert_array_equal(found.visible.numpy(), g["out"][..., 2])
    np.testing.assert_allclose(scale.numpy(), g["out"][..., 3], rtol=1e-6)
    labelled = g["out"][..., 2] > 0
    np.testing.assert_allclose(found.xy.numpy()[labelled], g["out"][..., :2][labelled])


@pytest.mark.golden("functions/og04_*.npz")
def test_random_warps_are_those_of_the_release(golden_arrays):
    g = golden_arrays
    (w, h), (across, down) = g["src_wh"].tolist(), g["dst_wh"].tolist()
    rows = zip(g["params_flip_rot_scale_xs_ys_xo_yo_crop"].tolist(), g["roi_center"].tolist(), g["mat"], strict=True)
    for (flip, degrees, scale, xs, ys, xo, yo, crop), centre, expected in rows:
        draw = SceneDraw(scale, degrees, bool(flip), (xs, ys), (xo / across, yo / down))
        focus = (centre[0], centre[1]) if crop else ((w - 1) / 2, (h - 1) / 2)
        warp = scene_warp(draw, focus, canvas=Canvas(rule="offsetguided"), image=(h, w), view=(down, across))
        np.testing.assert_allclose(warp.numpy(), expected, atol=1e-9)


def _size(g: dict[str, np.ndarray], name: str) -> tuple[int, int]:
    """Of an image; the copies kept here have a few of its pixels, and say its size beside them."""
    h, w = g.get(f"{name}_hw", np.array(g[name].shape[:2])).tolist()
    return h, w


def _laid(g: dict[str, np.ndarray], canvas: Canvas, name: str) -> Layout:
    """How the image lies in its view; its pixels are those of `name`, but for a level that versions of OpenCV differ by."""
    layout, stride = canvas_layout(canvas, g["img"].shape[:2]), int(g.get("stride", 1))
    pixels = layout.resized_pixels(torch.from_numpy(g["img"]).permute(2, 0, 1), canvas)
    assert layout.size == pixels.shape[:2] == _size(g, name)
    assert np.abs(pixels[::stride, ::stride].astype(int) - g[name]).max() <= 1
    return layout


@pytest.mark.golden("functions/og05_*.npz")
def test_images_are_resized_padded_and_brought_back_as_in_the_release(golden_arrays):
    g = golden_arrays
    side = max(_size(g, "resized"))
    multiple = next(
        m
        for m in (64, 128)
        if all(-(-a // m) * m == b for a, b in zip(_size(g, "resized"), _size(g, "rightdown"), strict=True))
    )
    kp = torch.from_numpy(g["kp"])

    layout = _laid(g, Canvas(side=side, multiple=1, rule="offsetguided"), "resized")
    np.testing.assert_allclose(apply(layout.warp, kp[..., :2]).numpy(), g["resized_kp"][..., :2], atol=1e-4)
    np.testing.assert_allclose(layout.warp.diagonal()[:2].numpy(), g["resized_scale"], rtol=1e-9)
    factor = math.sqrt(float(torch.linalg.det(layout.warp)))
    np.testing.assert_allclose(kp[..., 3].numpy() * factor, g["resized_kp"][..., 3], rtol=1e-5)

    layout = _laid(g, Canvas(side=side, multiple=side, place="middle", rule="offsetguided"), "padded")
    moved = apply(layout.warp, kp[..., :2])
    np.testing.assert_allclose(moved.numpy(), g["padded_kp"][..., :2], atol=1e-4)
    np.testing.assert_allclose(-layout.warp[:2, 2].numpy(), g["padded_offset"], atol=1e-9)
    np.testing.assert_array_equal(g["padded_kp"][..., 2:], g["resized_kp"][..., 2:])
    home = apply(invert(layout.warp), torch.from_numpy(g["padded_kp"])[..., :2])
    np.testing.assert_allclose(home.numpy(), g["inverse"][..., :2], atol=1e-4)
    np.testing.assert_allclose(g["padded_kp"][..., 3] / factor, g["inverse"][..., 3], rtol=1e-5)
    np.testing.assert_array_equal(g["inverse"][..., 2], g["padded_kp"][..., 2])
    np.testing.assert_array_equal(g["inverse"][..., 4:], 0)

    canvas = Canvas(side=side, multiple=multiple, rule="offsetguided")
    layout = _laid(g, canvas, "rightdown")
    np.testing.assert_array_equal(-layout.warp[:2, 2].numpy(), g["rightdown_offset"])
    image = torch.from_numpy(g["img"]).permute(2, 0, 1)
    view, warp = letterbox(image, canvas)
    np.testing.assert_array_equal(denormalise(view, canvas).permute(1, 2, 0).numpy(), layout.resized_pixels(image, canvas))
    np.testing.assert_array_equal(warp.numpy(), layout.warp.numpy())
