"""The twelve facts about the official BlazePose pipeline that are easily got wrong, one by one; no official file is needed."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from poise.decoding.blaze_boxes import BlazeDetections, decode_boxes, weighted_nms, without_letterbox
from poise.decoding.blaze_landmarks import decode_landmarks, refined
from poise.models import blaze_video
from poise.models.blaze_pipeline import detector_view, in_image, landmark_view, read_people
from poise.models.blaze_video import BlazePoseVideo, BlazeSmoother, smoothed_mask
from poise.nn.blaze.detector import DetectorNet, anchors, depth_to_space
from poise.nn.blaze.landmark import SIZES, LandmarkNet
from poise.nn.blaze.layers import BlazeUnit
from poise.transforms.blaze_crop import aligned_region, letterbox_region, region_view
from poise.transforms.crop import Frame
from poise.weights import tflite_file

SIZE = (480, 640)


def picture(height: int = 48, width: int = 64) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, height, width), dtype=np.uint8))


def blob(x: float, y: float, sigma: float = 3.0) -> torch.Tensor:
    """A heatmap's logits with a Gaussian at a cell."""
    at = torch.arange(64.0)
    heat = torch.exp(-((at[None] - x) ** 2 + (at[:, None] - y) ** 2) / (2 * sigma**2))
    return torch.logit(heat.clamp(1e-6, 1 - 1e-6))


def test_trap_1_the_declared_graph_is_the_reference_and_what_the_python_package_ships_is_an_option():
    at = torch.tensor([[20.2 / 64, 30.7 / 64]])
    heat = blob(23.0, 30.0)[None]
    declared, shipped = refined(at, heat), refined(at, heat, kernel=9)
    assert torch.equal(declared, refined(at, heat, kernel=7))
    assert ((declared - shipped).abs() * 256).max() > 0.5
    mask, before = np.full((1, 1), 0.5), np.zeros((1, 1))
    assert smoothed_mask(mask, before).item() == pytest.approx(0.15)
    assert smoothed_mask(mask, before, 0.0).item() == pytest.approx(0.5)


def test_trap_2_kernels_stored_sparse_are_filled_up():
    library = SimpleNamespace(
        DimensionType=SimpleNamespace(DENSE=0, SPARSE_CSR=1),
        Uint8Vector=lambda: SimpleNamespace(Init=lambda *_: None, ValuesAsNumpy=lambda: None),
    )
    starts, columns = np.array([0, 2, 2, 3]), np.array([1, 3, 0])
    tables = iter((starts, columns))
    library.Uint8Vector = lambda: SimpleNamespace(Init=lambda *_: None, ValuesAsNumpy=lambda: next(tables))
    table = SimpleNamespace(Bytes=b"", Pos=0)
    dense = SimpleNamespace(Format=lambda: 0)
    rows = SimpleNamespace(
        Format=lambda: 1,
        ArraySegmentsType=lambda: 3, ArraySegments=lambda: table, ArrayIndicesType=lambda: 3, ArrayIndices=lambda: table,
    )  # fmt: skip
    sparse = SimpleNamespace(
        DimMetadataLength=lambda: 4,
        DimMetadata=lambda axis: rows if axis == 3 else dense,
        TraversalOrderAsNumpy=lambda: np.arange(4),
    )
    filled = tflite_file._filled(library, sparse, np.array([5, 6, 7], np.float32), (3, 1, 1, 4))
    assert filled.reshape(3, 4).tolist() == [[0, 5, 0, 6], [0, 0, 0, 0], [7, 0, 0, 0]]


def test_trap_3_depth_to_space_has_tensorflows_order_of_channels():
    maps = torch.arange(8.0)[None, :, None, None]
    found = depth_to_space(maps)
    assert found[0, 0].tolist() == [[0, 2], [4, 6]]  # the first quarter of the channels is the left upper cell
    assert found[0, 1].tolist() == [[1, 3], [5, 7]]
    assert not torch.equal(found, torch.pixel_shuffle(maps, 2))


def test_trap_4_convolutions_of_stride_2_are_padded_in_two_ways_and_new_channels_are_zeros_at_the_end():
    net = LandmarkNet(SIZES["lite"])
    first = next(block for block in net.backbone.blocks if block.stride == 2)
    assert first.depthwise.padding == (1, 1)
    assert net.backbone.stem.padding == (1, 1)
    unit = BlazeUnit(1, 3, stride=2)
    for layer in (unit.depthwise, unit.pointwise):
        nn.init.zeros_(layer.bias)
    nn.init.ones_(unit.pointwise.weight)
    nn.init.zeros_(unit.depthwise.weight)
    unit.depthwise.weight.data[0, 0, 0, 0] = 1  # reads the cell it stands on: nothing is padded on the left and above
    x = torch.arange(16.0).reshape(1, 1, 4, 4) / 16
    out = unit(x)
    assert torch.allclose(out[0, 1], x[0, 0, ::2, ::2])  # no channel of the input was added here
    assert torch.allclose(out[0, 0], x[0, 0, ::2, ::2] + x[0, 0, 1::2, 1::2])  # the maximum of 2x2 cells was added
    assert torch.equal(out[0, 1], out[0, 2])


def test_trap_5_views_have_no_half_pixel_and_round_positions_and_values():
    image = picture()
    same = region_view(image, Frame((32.0, 32.0), (64.0, 64.0)), 64, border="zero")
    assert np.array_equal(same[:48], image.permute(1, 2, 0).numpy())  # pixel (i, j) of the view is pixel (i, j) of the image
    steps = torch.zeros(3, 4, 64, dtype=torch.uint8)
    steps[:, :, 10:] = 255
    moved = region_view(steps, Frame((32.0 + 1 / 80, 32.0), (64.0, 64.0)), 64, border="replicate")
    assert moved[0, 9, 0] == 0  # 1/80 of a pixel is less than half of 1/32
    moved = region_view(steps, Frame((32.0 + 1 / 50, 32.0), (64.0, 64.0)), 64, border="replicate")
    assert moved[0, 9, 0] == round(255 / 32)  # 1/50 is 1/32
    assert moved.dtype == np.uint8
    small = region_view(image, Frame((32.0, 24.0), (64.0, 64.0)), 16, border="zero")
    assert np.array_equal(small[4, 3], image[:, 8, 12].numpy())  # one pixel of four by four: nothing is averaged


def test_trap_6_the_detector_sees_minus_1_around_the_image_and_the_landmark_network_its_outermost_pixels():
    image = torch.full((3, 20, 40), 255, dtype=torch.uint8)
    view = detector_view(image)
    assert view.shape == (3, 224, 224)
    assert (view[:, 112].max().item(), view.min().item()) == (1.0, -1.0)
    assert (view[:, :50] == -1).all()
    crop = landmark_view(image, Frame((0.0, 0.0), (100.0, 100.0), 30.0))
    assert crop.shape == (3, 256, 256)
    assert (crop == 1).all()
    assert landmark_view(torch.zeros_like(image), Frame((9.0, 9.0), (9.0, 9.0))).max() == 0


def test_trap_7_boxes_have_no_exponential_cells_2_2_and_6_anchors_and_overlapping_people_are_averaged():
    centres = anchors()
    assert len(centres) == 2254 == 2 * 28 * 28 + 2 * 14 * 14 + 6 * 7 * 7
    assert centres[0].tolist() == centres[1].tolist() == pytest.approx([0.5 / 28] * 2)
    assert centres[2].tolist() == pytest.approx([1.5 / 28, 0.5 / 28])
    assert (centres[-6:] == centres[-1]).all()
    numbers = torch.tensor([[22.4, 0.0, 44.8, 22.4, *[11.2] * 8], [0.0] * 12, [0.0, 0.0, -1.0, 5.0, *[0.0] * 8]])
    logits = torch.tensor([[2.0], [-0.1], [500.0]])
    found = decode_boxes(numbers, logits, torch.full((3, 2), 0.5), side=224)
    assert len(found) == 1  # the second is below 0.5, the third has a negative width
    np.testing.assert_allclose(found.boxes[0], [0.5, 0.45, 0.2, 0.1], atol=1e-6)
    np.testing.assert_allclose(found.keypoints[0], 0.55, atol=1e-6)
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.1, 0.0, 1.0, 1.0], [5.0, 5.0, 1.0, 1.0]])
    score = torch.tensor([0.6, 0.9, 0.7])
    joined = weighted_nms(BlazeDetections(boxes, torch.arange(3.0)[:, None, None].expand(3, 4, 2), score))
    np.testing.assert_allclose(joined.score, [0.9, 0.7])  # the best one's, not a mean
    np.testing.assert_allclose(joined.boxes[0], [0.06, 0, 1, 1], atol=1e-6)
    assert joined.keypoints[0].flatten().tolist() == pytest.approx([0.6] * 8)
    in_the_image = without_letterbox(joined, (100, 200))
    assert in_the_image.boxes[0].tolist() == pytest.approx([0.06, -0.5, 1, 2])


@pytest.mark.parametrize("degrees", [0, 30, 90, -100, 179])
def test_trap_8_regions_lie_around_the_first_keypoint_turn_with_the_body_and_are_never_clipped(degrees):
    turn, radius = math.radians(degrees), 100.0
    start, end = (630.0, 10.0), (630 + radius * math.sin(turn), 10 - radius * math.cos(turn))
    shares = [torch.tensor((x / SIZE[1], y / SIZE[0])) for x, y in (start, end)]
    region = aligned_region(*shares, SIZE)
    assert region.centre == pytest.approx(start, abs=1e-3)
    assert region.extent == pytest.approx((2 * radius * 1.25,) * 2, rel=1e-6)  # it reaches far out of the image
    assert region.angle == pytest.approx(degrees, abs=1e-4)
    assert letterbox_region(SIZE) == Frame((320.0, 240.0), (640.0, 640.0))


def outputs(presence: float = 0.7) -> list[torch.Tensor]:
    """Of a landmark network: every number 2."""
    two = torch.full((1, 39, 5), 2.0)
    return [
        two.flatten(1), torch.tensor([[presence]]), torch.full((1, 1, 256, 256), 2.0), torch.full((1, 39, 64, 64), -9.0),
        torch.full((1, 117), 2.0),
    ]  # fmt: skip


def test_trap_9_presence_is_a_probability_already_and_the_others_are_logits():
    [person] = read_people(outputs(), [Frame((5.0, 5.0), (10.0, 10.0))], SIZE)
    assert person.presence == pytest.approx(0.7)
    sigmoid = 1 / (1 + math.exp(-2))
    assert person.raw[:, 3:].unique().tolist() == pytest.approx([sigmoid])
    assert person.raw[0, :3].tolist() == [2 / 256] * 3
    assert person.mask.max() == pytest.approx(sigmoid)
    with torch.device("meta"):
        assert not any(isinstance(part, nn.Sigmoid) for part in DetectorNet().modules())
    assert decode_landmarks(torch.zeros(1, 195), side=256)[0, 0].tolist() == [0, 0, 0, 0.5, 0.5]


def test_trap_10_refinement_averages_indices_of_cells_inside_a_window_around_the_truncated_cell_where_it_is_sure():
    heat = torch.full((64, 64), -50.0)
    heat[30, 20] = 5.0
    at = torch.tensor([20.9, 30.9]) / 64
    assert (refined(at, heat) * 64).tolist() == pytest.approx([20, 30])  # not 20.5
    assert torch.equal(refined(torch.tensor([24.0, 30.0]) / 64, heat), torch.tensor([24.0, 30.0]) / 64)  # 4 cells away
    assert (refined(torch.tensor([23.9, 30.0]) / 64, heat) * 64).tolist() == pytest.approx([20, 30])
    assert torch.equal(refined(at, heat.clamp(max=-0.01)), at)  # below 0.5
    assert (refined(at, heat.clamp(max=0.0)) * 64).tolist() == pytest.approx([20, 30])  # 0.5 itself
    assert torch.equal(refined(torch.tensor([1.001, 0.5]), heat), torch.tensor([1.001, 0.5]))
    heat[0, 0] = 5.0
    assert refined(torch.tensor([-0.9, 0.9]) / 64, heat).tolist() == pytest.approx([0, 0])  # truncation is towards zero
    numbers, presence, mask, _, world = outputs()
    [person] = read_people([numbers, presence, mask, heat.expand(1, 39, -1, -1), world], [Frame((0.0, 0.0), (1.0, 1.0))], SIZE)
    assert not torch.equal(person.crop[:, :2], person.raw[:, :2])
    assert torch.equal(person.crop[:, 2:], person.raw[:, 2:])


def landmarks(x: float, y: float = 0.5, *, radius: float = 0.1, visibility: float = 1.0) -> torch.Tensor:
    """Thirty-nine landmarks at one place; the second of the alignment is above it."""
    found = torch.tensor([x, y, 0.0, visibility, 1.0]).repeat(39, 1)
    found[34, 1] -= radius
    return found


def test_trap_11_smoothing_is_in_pixels_with_speeds_from_raw_values_by_the_size_of_the_body():
    smoother, dt, size = BlazeSmoother(), blaze_video.FRAME_SECONDS, (100, 100)
    xs = [0.2, 0.3, 0.3]
    body = [smoother(landmarks(x), torch.zeros(39, 3), size, time=k * dt)[0][0, 0].item() * 100 for k, x in enumerate(xs)]
    f, last, speed = 1 / dt, 20.0, 0.0
    expected = [20.0]
    for raw, before in ((30.0, 20.0), (30.0, 30.0)):  # the step is from the raw value before, not from the smoothed one
        step = (raw - before) / (2 * 0.1 * 100) * f  # the diameter of the circle, without 1.25
        share = 1 / (1 + f / (2 * math.pi * 1.0))
        speed = share * step + (1 - share) * speed
        share = 1 / (1 + f / (2 * math.pi * (0.05 + 80 * abs(speed))))
        last = share * raw + (1 - share) * last
        expected.append(last)
    assert body == pytest.approx(expected, rel=1e-5)
    assert dt == pytest.approx(0.033333, abs=1e-9)
    raw = BlazeSmoother(smooth=False)
    for k, x in enumerate(xs):
        plain, alignment, _ = raw(landmarks(x), torch.zeros(39, 3), size, time=k * dt)
    assert plain[0, 0].item() == pytest.approx(0.3)
    assert alignment[0, 0].item() < 0.3, "the alignment, and so the region, is always smoothed"
    world = BlazeSmoother()
    for k in range(2):
        _, _, metres = world(landmarks(0.5, radius=0.1 + k), torch.full((39, 3), float(k)), size, time=k * dt)
    share = 1 / (1 + f / (2 * math.pi * 1.0))
    cutoff = 0.1 + 40 * share * f
    assert metres[0, 0].item() == pytest.approx(1 / (1 + f / (2 * math.pi * cutoff)), rel=1e-5)  # no size in it
    still = BlazeSmoother()
    for k, x in enumerate((0.2, 0.3)):
        small = still(landmarks(x, radius=0.0), torch.zeros(39, 3), size, time=k * dt)[0]
    assert small[0, 0].item() == pytest.approx(0.3), "without a size nothing is smoothed"


class Stage:
    """Stands for detector and landmark network of a video: a person whose presence is as told."""

    def __init__(self, monkeypatch, presences):
        self.asked, self.presences = [], iter(presences)
        detections = BlazeDetections(torch.zeros(1, 4), torch.tensor([[[0.5, 0.5], [0.5, 0.4], [0, 0], [0, 0]]]), torch.ones(1))
        monkeypatch.setattr(blaze_video, "detect", lambda *_: self.asked.append("detector") or detections)
        monkeypatch.setattr(blaze_video, "people", self.people)

    def people(self, network, image, where, *, kernel):
        self.asked.append("landmarks")
        found = outputs(next(self.presences))
        return read_people(found, where, tuple(image.shape[1:]), kernel=kernel)


def test_trap_12_after_a_loss_the_detector_runs_in_the_next_frame_and_only_filters_in_the_image_begin_anew(monkeypatch):
    stage = Stage(monkeypatch, [0.9, 0.9, 0.5, 0.9, 0.9])
    follow, image = BlazePoseVideo(DetectorNet(), LandmarkNet(SIZES["lite"])), picture(100, 100)
    found = []
    for _ in range(5):
        stage.asked.clear()
        found.append((follow(image) is not None, "detector" in stage.asked, follow.detector_ran))
    assert found == [
        (True, True, True), (True, False, False), (False, False, False), (True, True, True), (True, False, False),
    ]  # fmt: skip
    smoother, dt, size = BlazeSmoother(), blaze_video.FRAME_SECONDS, (100, 100)
    smoother(landmarks(0.2, visibility=0.0), torch.zeros(39, 3), size, time=dt)
    smoother.lose()
    body, alignment, world = smoother(landmarks(0.8), torch.ones(39, 3), size, time=9 * dt)
    assert body[0, 0].item() == pytest.approx(0.8), "positions in the image are as found"
    assert alignment[0, 0].item() == pytest.approx(0.8)
    assert 0.5 < world[0, 0].item() < 1, "world landmarks remember"
    for part in (body, alignment, world):
        assert part[0, 3].item() == pytest.approx(0.1), "so do all visibilities"


def test_landmarks_go_into_the_image_and_world_landmarks_turn_with_it():
    region = Frame((100.0, 50.0), (40.0, 40.0), 90.0)
    crop = torch.tensor([[0.5, 0.0, 0.25, 1.0, 1.0]])  # the middle of the upper edge
    found = in_image(crop, region, (100, 200))[0]
    assert found[:3].tolist() == pytest.approx([120 / 200, 50 / 100, 10 / 200])
    [person] = read_people(outputs(), [region], (100, 200))
    assert person.world[0].tolist() == pytest.approx([-2, 2, 2], abs=1e-6)
