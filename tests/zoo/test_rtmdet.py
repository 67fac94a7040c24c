"""RTMDet: sizes as published, checkpoints in MMDetection's names, boxes read from maps, views and detection by name."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from poise import zoo
from poise.cli.main import main
from poise.data.figures import FigureDataset
from poise.errors import CheckpointError, InputError
from poise.inference.detect import detector_of
from poise.models.point_detector import PointDetecting
from poise.nn.conv_unit import ConvUnit
from poise.nn.rtmdet import STRIDES, RTMDetNet, found_cells
from poise.transforms.canvas import boxes_to_image, canvas_layout
from poise.weights.cache import model_place
from poise.weights.model_file import load, save
from poise.zoo.cost import model_costs
from poise.zoo.importing import official_state
from poise.zoo.rtmdet import rtmdet
from poise.zoo.simple_baselines import poseresnet

SIZES = {"nano": 0.99, "m": 24.66, "t_coco": 4.90, "s_coco": 8.89, "m_coco": 24.71, "l_coco": 52.32, "x_coco": 94.86}
COSTS = {"nano": 0.31, "m": 38.95, "s_coco": 14.8, "m_coco": 39.27, "l_coco": 80.23, "x_coco": 141.67}
"""Parameters, millions, and multiply-adds, G, of the README of MMDetection and of RTMPose's detectors."""


@pytest.mark.parametrize(("words", "millions"), SIZES.items())
def test_every_size_has_as_many_parameters_as_published(words, millions):
    with torch.device("meta"):
        network = zoo.build(f"rtmdet_{words}").network
    assert round(sum(weight.numel() for weight in network.parameters()) / 1e6, 2) == millions


@pytest.fixture(scope="module")
def small():
    """An RTMDet with shared convolutions, small enough to run often."""
    model = rtmdet("t", side=64).eval()
    generator = torch.Generator().manual_seed(0)
    for layer in (*model.network.head.rtm_cls, *model.network.head.rtm_reg):
        torch.nn.init.normal_(layer.bias, generator=generator)
        torch.nn.init.normal_(layer.weight, std=0.3, generator=generator)
    return model


def test_a_checkpoint_of_mmdetection_holds_shared_convolutions_once_for_each_map(small):
    given = official_state(small, "rtmdet_t")
    for branch in ("cls", "reg"):
        for number in (0, 1):
            first, *others = (given[f"bbox_head.{branch}_convs.{level}.{number}.conv.weight"] for level in range(3))
            assert all(other is first for other in others)
    assert {"neck.out_convs.2.conv.weight", "bbox_head.rtm_reg.2.bias", "backbone.stage4.1.conv1.bn.weight"} <= set(given)
    filled = zoo.import_release("rtmdet_t_64x64", {"meta": {}, "state_dict": given})
    view = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for mine, expected in zip(filled(view), small(view), strict=True):
            assert torch.equal(mine, expected)
    with pytest.raises(CheckpointError, match="two heads"):
        zoo.import_release("rtmdet_t", given | {"bbox_head.cls_convs.1.0.conv.weight": torch.ones(96, 96, 3, 3)})


def test_the_smallest_has_depthwise_convolutions_of_its_own_for_each_map():
    with torch.device("meta"):
        model = zoo.build("rtmdet_nano")
        keys = official_state(model, "rtmdet_nano")
    assert "bbox_head.reg_convs.2.1.depthwise_conv.conv.weight" in keys
    assert "backbone.stage1.0.pointwise_conv.bn.weight" in keys
    assert "neck.downsamples.0.depthwise_conv.conv.weight" in keys
    assert "backbone.stem.0.conv.weight" in keys
    assert not any(key.startswith("bbox_head.cls_convs.1.0.conv.") for key in keys)
    assert model.preprocess.side == 320


def test_all_sizes_have_the_published_multiply_adds():
    costs = model_costs([f"rtmdet_{words}" for words in COSTS])
    assert [cost.multiply_adds / 1e9 for cost in costs.values()] == pytest.approx(list(COSTS.values()), rel=0.01)


def test_shared_convolutions_are_those_of_the_first_map_with_norms_of_their_own(small):
    head = small.network.head
    unit = ConvUnit(head.rtm_cls[0].in_channels, head.rtm_cls[0].in_channels, 3).eval()
    unit.conv, unit.bn = head.cls_convs[0][0].conv, head.cls_convs[2][0].bn
    second = ConvUnit(unit.conv.in_channels, unit.conv.in_channels, 3).eval()
    second.conv, second.bn = head.cls_convs[0][1].conv, head.cls_convs[2][1].bn
    features = [torch.randn(1, unit.conv.in_channels, side, side) for side in (8, 4, 2)]
    with torch.no_grad():
        torch.testing.assert_close(head(features)[2], head.rtm_cls[2](second(unit(features[2]))))


@pytest.mark.parametrize("exponential", [True, False])
def test_sides_are_distances_from_the_left_upper_corner_of_each_cell(exponential):
    network = RTMDetNet(0.25, 0.33, 2, small=False, exponential=exponential).eval()
    for layer in network.head.rtm_reg:
        torch.nn.init.zeros_(layer.weight)
        layer.bias.data = torch.tensor((1.0, 2.0, 3.0, 4.0))
    with torch.no_grad():
        scores, boxes = found_cells(network(torch.randn(1, 3, 64, 96)))
    sides = torch.tensor((1.0, 2.0, 3.0, 4.0)).exp() if exponential else torch.tensor((1.0, 2.0, 3.0, 4.0))
    expected = [
        (x * s - s * sides[0], y * s - s * sides[1], x * s + s * sides[2], y * s + s * sides[3])
        for s in STRIDES
        for y in range(64 // s)
        for x in range(96 // s)
    ]
    torch.testing.assert_close(boxes[0], torch.tensor(expected))
    assert scores.shape == (1, 8 * 12 + 4 * 6 + 2 * 3, 2)


def brute(boxes, scores, *, min_score, max_iou, most):
    """Greedy suppression, box by box."""
    kept = []
    for index in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        x0, y0, x1, y1 = boxes[index]
        if scores[index] <= min_score or x1 <= x0 or y1 <= y0:
            continue
        for other in kept:
            a = boxes[other]
            inner = max(min(x1, a[2]) - max(x0, a[0]), 0) * max(min(y1, a[3]) - max(y0, a[1]), 0)
            if inner / ((x1 - x0) * (y1 - y0) + (a[2] - a[0]) * (a[3] - a[1]) - inner) > max_iou:
                break
        else:
            kept.append(index)
    return kept[:most]


def test_boxes_of_an_image_are_the_best_that_do_not_overlap_in_its_pixels(small):
    small.reconfigure(lambda codec: codec, lambda config: PointDetecting(min_score=0.2, max_iou=0.4, most=20))
    image = torch.randint(0, 256, (3, 50, 100), dtype=torch.uint8)
    views = small.views(image)
    with torch.no_grad():
        scores, boxes = found_cells(small(views.views[0][None]))
        found = small.joined_boxes(views, small.boxes(views.views[0][None], [(views, 0)], flip=False))
    inside = boxes[0].clamp(0, 64)
    kept = brute(inside.tolist(), scores[0, :, 0].tolist(), min_score=0.2, max_iou=0.4, most=20)
    assert 3 < len(kept) < 60
    torch.testing.assert_close(found.score, scores[0, kept, 0])
    torch.testing.assert_close(found.boxes, inside[kept] * torch.tensor((100 / 64, 50 / 32) * 2))


def test_views_are_resized_bilinearly_in_the_corner_of_a_grey_square_and_read_blue_first():
    canvas = rtmdet("nano", side=64).preprocess
    image = torch.zeros(3, 31, 100, dtype=torch.uint8)
    image[0] = 200
    layout = canvas_layout(canvas, (31, 100))
    assert (layout.inner, layout.size) == ((20, 64), (64, 64))  # 19.84 rows, to the nearest
    view = layout.render(image, canvas)
    mean, std = (np.array(part)[:, None, None] for part in ((103.53, 116.28, 123.675), (57.375, 57.12, 58.395)))
    pixels = view.numpy() * std + mean
    np.testing.assert_allclose(pixels[:, 20:], 114, atol=1e-3)
    np.testing.assert_allclose(pixels[:, :20], np.broadcast_to([[[0]], [[0]], [[200]]], (3, 20, 64)), atol=1e-3)
    back = boxes_to_image(canvas, layout.warp, torch.tensor([[0.0, 0.0, 64.0, 20.0]]))
    torch.testing.assert_close(back, torch.tensor([[0.0, 0.0, 100.0, 31.0]]))


def test_it_survives_a_file_and_is_a_detector_of_people_or_hands(tmp_path):
    person, hand = rtmdet("nano", side=32), zoo.build("rtmdet_nano_hand")
    again = load(save(person, tmp_path / "detector.safetensors"))
    assert (again.config, again.preprocess) == (person.config, person.preprocess)
    assert detector_of(again).nouns == ("person", "people")
    assert detector_of(hand).nouns == ("hand", "hands")
    with pytest.raises(InputError, match="person=80"):
        rtmdet("nano", classes=80).reconfigure(lambda codec: codec, lambda config: PointDetecting(person=80))
    with pytest.raises(InputError, match="without a flip test"):
        person.check_flip()


def test_a_published_model_of_people_looks_where_rtmdet_found_them_and_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("POISE_HOME", str(tmp_path / "home"))
    detector = rtmdet("nano", side=64, name="rtmdet_m")
    for layer, sides in ((detector.network.head.rtm_cls[2], 3.0), (detector.network.head.rtm_reg[2], 0.4)):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, sides)  # a sure box around each cell of the coarsest map
    save(detector, model_place("rtmdet_m"))
    save(poseresnet(18, size=(64, 64), name="published"), model_place("published"))
    photo = tmp_path / "photo.png"
    Image.fromarray(FigureDataset(1, size=(96, 128)).image(0).permute(1, 2, 0).numpy()).save(photo)
    assert main(["predict", str(photo), "--model", "published", "--out", str(tmp_path / "out"), "--no-pictures"]) == 0
    assert "boxes of people are found by rtmdet_m, which is here" in capsys.readouterr().out.replace("\n", " ")
    rows = json.loads((tmp_path / "out" / "predictions.json").read_text())
    sides = ((0.0, 25.6), (38.4, 51.2))  # start and length along each axis, pixels of an image twice as large as the view
    expected = [[x, y, w, h] for x, w in sides for y, h in sides]
    assert sorted(row["bbox"] for row in rows) == [pytest.approx(box, abs=0.11) for box in expected]
