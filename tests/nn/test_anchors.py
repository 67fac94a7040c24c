import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator as TheirAnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import MultiScaleRoIAlign, box_iou

from poise.nn.anchors import AnchorGenerator
from poise.nn.pooler import RoIPooler

STRIDES = (4, 8, 16, 32, 64)


def maps(height, width, channels=1):
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(1, channels, -(-height // s), -(-width // s), generator=generator) for s in STRIDES]


def images(height, width):
    return ImageList(torch.zeros(1, 3, height, width), [(height, width)])


@pytest.mark.parametrize("size", [(256, 320), (800, 1088)])
def test_rounded_anchors_are_torchvisions(size):
    theirs = TheirAnchorGenerator(((32,), (64,), (128,), (256,), (512,)), ((0.5, 1.0, 2.0),) * 5)
    expected = theirs(images(*size), maps(*size))
    found = AnchorGenerator(STRIDES, rule="rounded")(images(*size), maps(*size))
    assert torch.equal(found[0], expected[0])


def test_all_sizes_stand_on_a_single_map_in_torchvisions_order():
    theirs = TheirAnchorGenerator(((32, 64, 128, 256, 512),), ((0.5, 1.0, 2.0),))
    feature = [torch.zeros(1, 1, 4, 5)]
    found = AnchorGenerator((16,), rule="rounded")
    assert found.per_cell == (15,)
    assert torch.equal(found(images(64, 80), feature)[0], theirs(images(64, 80), feature)[0])


def test_exact_anchors_have_the_wanted_areas_and_stand_on_the_strides_of_the_network():
    found = AnchorGenerator(STRIDES)(images(800, 1088), maps(800, 1088))[0]
    sides = found[:, 2:] - found[:, :2]
    assert set(sides.prod(dim=1).sqrt().round().int().tolist()) == {32, 64, 128, 256, 512}
    last = (found[-1, :2] + found[-1, 2:]) / 2
    assert last.tolist() == [16 * 64, 12 * 64]  # torchvision divides 800 by 13 cells and stands at 12 * 61


def test_anchors_of_a_single_map_stand_size_by_size_where_that_is_asked_for():
    # Width and height of the 15 in a cell, worked by hand: size / sqrt(ratio) and size * sqrt(ratio).
    found = AnchorGenerator((16,), by_size=True)(images(16, 16), [torch.zeros(1, 1, 1, 1)])[0]
    sides = (found[:, 2:] - found[:, :2]).round().int().tolist()
    assert sides == [
        [45, 23], [32, 32], [23, 45],
        [91, 45], [64, 64], [45, 91],
        [181, 91], [128, 128], [91, 181],
        [362, 181], [256, 256], [181, 362],
        [724, 362], [512, 512], [362, 724],
    ]  # fmt: skip
    assert torch.allclose(found[:, :2], -found[:, 2:])
    usual = AnchorGenerator((16,))(images(16, 16), [torch.zeros(1, 1, 1, 1)])[0]
    assert torch.equal(usual.reshape(3, 5, 4).transpose(0, 1).reshape(15, 4), found), "else ratio by ratio"


def test_legacy_anchors_are_those_maskrcnn_benchmark_stores():
    # Its generator for stride 4, size 32 and for stride 16, size 128, worked by hand: 6x3, 4x4, 3x6 cells, times 8.
    anchors = AnchorGenerator(STRIDES, rule="legacy")
    assert anchors.cell0.tolist() == [[-22, -10, 25, 13], [-14, -14, 17, 17], [-10, -22, 13, 25]]
    # ratio 0.5 of stride 16 is 23x12 (22.6 and 11.5, rounded to even).
    assert anchors.cell2.tolist()[0] == [-84, -40, 99, 55]
    found = anchors(images(64, 64), maps(64, 64))[0]
    assert found[0].tolist() == [-22, -10, 26, 14]  # edges in place of first and last pixels
    assert found[3].tolist() == [-18, -10, 30, 14]  # the next cell, 4 pixels on


def test_legacy_anchors_stand_half_a_stride_beside_the_exact_ones():
    exact, legacy = (AnchorGenerator(STRIDES, rule=rule)(images(64, 64), maps(64, 64))[0] for rule in ("exact", "legacy"))
    middle = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (exact, legacy)]
    assert torch.equal((middle[1] - middle[0])[:3], torch.full((3, 2), 2.0))
    assert box_iou(exact[:3], legacy[:3]).diag().min() > 0.75


def test_only_legacy_anchors_are_weights():
    assert not AnchorGenerator(STRIDES).state_dict()
    assert list(AnchorGenerator(STRIDES, rule="legacy").state_dict()) == [f"cell{level}" for level in range(5)]


@pytest.fixture
def boxes():
    generator = torch.Generator().manual_seed(1)
    corner = torch.rand(200, 2, generator=generator) * 400
    side = 4 * 2 ** (torch.rand(200, 2, generator=generator) * 8)
    return torch.cat((corner, corner + side), dim=1)


def test_features_are_pooled_as_in_torchvision(boxes):
    features = maps(512, 640, channels=3)
    theirs = MultiScaleRoIAlign(["0", "1", "2", "3"], (7, 5), 2)
    named = {str(level): feature for level, feature in enumerate(features)}
    expected = theirs(named, [boxes], [(512, 640)])
    assert torch.equal(RoIPooler(STRIDES, (7, 5), aligned=False)(features, [boxes]), expected)


def test_small_boxes_are_pooled_from_fine_maps_and_large_ones_from_coarse_maps():
    sides = torch.tensor([1.0, 111.0, 112.0, 223.0, 224.0, 447.0, 448.0, 4000.0])
    boxes = torch.stack((sides * 0, sides * 0, sides, sides), dim=1)
    assert RoIPooler(STRIDES, (7, 7)).assign_levels(boxes).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_aligned_features_of_a_ramp_are_the_ramp_at_the_middles_of_cells():
    # Cell i of a map of stride 4 shows the pixels 4 i to 4 i + 3, whose middle is at 4 i + 2 (edges counted).
    ramp = (torch.arange(32) * 4 + 2.0).expand(1, 1, 32, 32)
    features = [ramp, *(torch.zeros(1, 1, 2, 2) for _ in STRIDES[1:])]
    box = torch.tensor([[20.0, 20.0, 76.0, 76.0]])
    cut = RoIPooler(STRIDES, (14, 14))(features, [box])[0, 0]
    assert torch.allclose(cut[0], 20 + (torch.arange(14) + 0.5) * 4, atol=1e-4)


def test_an_inclusive_box_loses_its_last_row_and_column():
    features = maps(256, 256)
    box = torch.tensor([[20.0, 30.0, 77.0, 91.0]])
    cut = RoIPooler(STRIDES, (7, 7), inclusive=True)(features, [box])
    assert torch.equal(cut, RoIPooler(STRIDES, (7, 7))(features, [box - torch.tensor([0.0, 0.0, 1.0, 1.0])]))
