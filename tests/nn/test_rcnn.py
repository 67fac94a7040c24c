"""Our detector's network against torchvision's own, with the same weights."""

import numpy as np
import pytest
import torch
from torchvision.models.detection import KeypointRCNN as TorchvisionKeypointRCNN
from torchvision.models.detection import keypointrcnn_resnet50_fpn
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import FrozenBatchNorm2d

from poise.errors import InputError
from poise.nn.heads.rpn import inside_view, top_scoring
from poise.nn.rcnn import RCNN
from poise.zoo import import_release
from poise.zoo.importing import import_checkpoint
from poise.zoo.rcnn.backbones import BackboneSpec
from poise.zoo.rcnn.heads import Heads, build_network
from poise.zoo.rcnn.renames import norm_note
from poise.zoo.rcnn.variants import VARIANTS, variant_of

from ..golden.replay import by_rule

SIZES = ((120, 150), (97, 64))
"""Of two images (h, w)."""


@pytest.fixture(scope="module")
def theirs():
    """torchvision's Keypoint R-CNN, its images 96 pixels on the short side."""
    model = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None, min_size=96, max_size=160)
    model.load_state_dict(by_rule(model.state_dict(), scale=0.5))
    return model.eval()


@pytest.fixture(scope="module")
def ours(theirs) -> RCNN:
    return import_release("torchvision_keypoint_rcnn_r50_fpn", theirs.state_dict()).network


@pytest.fixture(scope="module")
def views(theirs) -> ImageList:
    """Two images of different sizes, as torchvision brings them to the network."""
    generator = torch.Generator().manual_seed(0)
    images, _ = theirs.transform([torch.rand(3, *size, generator=generator) for size in SIZES])
    assert len(set(images.image_sizes)) == 2
    return images


@torch.no_grad()
def test_features_proposals_boxes_and_keypoint_maps_are_those_of_torchvision(theirs, ours, views):
    features = ours(views.tensors)
    named = theirs.backbone(views.tensors)
    for own, other in zip(features, named.values(), strict=True):
        assert torch.allclose(own, other, rtol=0, atol=2e-6 * float(other.abs().max()))
    proposals = ours.propose(views.tensors, list(named.values()), sizes=views.image_sizes)
    expected, _ = theirs.rpn(views, named)
    for own, other in zip(proposals.boxes, expected, strict=True):
        assert own.shape == other.shape
        assert (own - other).abs().max() < 1e-3
    chosen = [boxes[::9] for boxes in expected]  # large ones and small
    pooled = theirs.roi_heads.box_roi_pool(named, chosen, views.image_sizes)
    answers = theirs.roi_heads.box_predictor(theirs.roi_heads.box_head(pooled))
    for own, other in zip(ours.predict_boxes(list(named.values()), chosen), answers, strict=True):
        assert torch.allclose(own, other, rtol=0, atol=2e-6 * float(other.abs().max()))
    chosen = [boxes[::40] for boxes in expected]
    pooled = theirs.roi_heads.keypoint_roi_pool(named, chosen, views.image_sizes)
    maps = theirs.roi_heads.keypoint_predictor(theirs.roi_heads.keypoint_head(pooled))
    own = ours.keypoint_maps(list(named.values()), chosen)
    assert own.shape == (sum(map(len, chosen)), 17, 56, 56)
    assert torch.allclose(own, maps, rtol=0, atol=2e-6 * float(maps.abs().max()))


@torch.no_grad()
def test_a_view_alone_gives_what_it_gives_in_a_batch(ours, views):
    height, width = views.image_sizes[1]
    both = ours.propose(views.tensors, ours(views.tensors), sizes=views.image_sizes)
    one = views.tensors[1:]
    alone = ours.propose(one, ours(one), sizes=[(height, width)])
    assert torch.allclose(both.boxes[1][:50], alone.boxes[0][:50], atol=1e-3)


def small(**heads) -> RCNN:
    torch.manual_seed(0)
    return build_network(
        BackboneSpec.parse("hrnet_w4_hrfpn"), variant_of("poise"), Heads(convolutions=1, width=16, features=16, **heads)
    )


def test_training_gives_losses_of_proposals_also_without_people():
    network = small().train()
    images = torch.randn(2, 3, 64, 64)
    truth = [torch.tensor([[8.0, 4.0, 40.0, 60.0]]), torch.zeros(0, 4)]
    found = network.propose(images, network(images), truth=truth)
    assert set(found.losses) == {"loss_objectness", "loss_rpn_box_reg"}
    sum(found.losses.values()).backward()
    assert network.rpn.head.cls_logits.weight.grad.abs().sum() > 0
    assert network.backbone.neck.join.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("variant", "wrong_by_half", "wrong_by_a_twentieth"),
    [("detectron2", 0.5, 0.05)] + [(name, 4 / 9, 0.01125) for name in ("poise", "maskrcnn", "hrnet", "torchvision")],
)
def test_the_loss_of_deltas_is_smooth_l1_or_plain_l1(variant, wrong_by_half, wrong_by_a_twentieth):
    """0.5 - 1/18 is 4/9, and 0.05 squared times 9/2 is 0.01125; Detectron2 counts errors as they are."""
    rpn = build_network(BackboneSpec.parse("hrnet_w4"), variant_of(variant), Heads(channels=0, classes=0)).rpn
    for error, lost in ((0.5, wrong_by_half), (0.05, wrong_by_a_twentieth)):
        deltas = torch.tensor([[0.0, 0.0, 0.0, 0.0], [7.0, 7.0, 7.0, 7.0], [7.0, 7.0, 7.0, 7.0]])
        delta_targets = torch.tensor([[error, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
        labels = torch.tensor([1.0, 0.0, -1.0])
        objectness_loss, box_loss = rpn.compute_loss(
            torch.zeros(3, 1), deltas, [labels[:2], labels[2:]], [delta_targets[:2], delta_targets[2:]]
        )
        assert box_loss.item() == pytest.approx(lost / 2), "two anchors are learnt from, and only the person's is moved"
        assert objectness_loss.item() == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    ("variant", "inside", "shared"),
    [(name, True, 1000) for name in ("maskrcnn", "hrnet")]
    + [(name, False, None) for name in ("poise", "torchvision", "detectron2")],
)
def test_anchors_over_the_border_and_proposals_of_a_whole_batch_are_as_in_the_release(variant, inside, shared):
    """STRADDLE_THRESH 0 and FPN_POST_NMS_PER_BATCH of maskrcnn-benchmark, 1000 an image; a single map has no such limit."""
    pyramid, alone = (
        build_network(BackboneSpec.parse(name), variant_of(variant), Heads(channels=0, classes=0)).rpn
        for name in ("hrnet_w4_hrfpn", "hrnet_w4_plain")
    )
    assert pyramid.inside_only is alone.inside_only is inside
    assert (pyramid.batch_post_nms_top_n, alone.batch_post_nms_top_n) == (shared, None)


@pytest.mark.parametrize("variant", VARIANTS)
def test_anchors_of_one_map_stand_size_by_size_in_detectron2_alone(variant):
    """Files of our own detectors on one map hold no anchors; what they learnt is of the first ratio's sizes first."""
    sides = build_network(
        BackboneSpec.parse("hrnet_w4_plain"), variant_of(variant), Heads(channels=0, classes=0)
    ).rpn.anchor_generator.cell0
    wide = (sides[:, 2] - sides[:, 0]).tolist()
    assert (wide[1] < wide[0]) is (variant == "detectron2")


def test_only_anchors_that_do_not_reach_over_the_border_are_inside():
    boxes = [[0.0, 0, 30, 20], [-1, 0, 30, 20], [0, -0.5, 9, 9], [0, 0, 31, 20], [0, 0, 30, 20.5], [29, 19, 30, 20]]
    assert inside_view(torch.tensor(boxes), (20, 30)).tolist() == [True, False, False, False, False, True]


@pytest.mark.parametrize("inside", [False, True])
def test_a_variant_says_whether_anchors_over_the_border_are_learnt_from(inside, monkeypatch):
    """The views' filling lies over the border, too; whose best anchor does is not learnt from, as in the release."""
    network = small().train()
    network.rpn.inside_only = inside
    labels: list[torch.Tensor] = []

    def compute_loss(objectness, deltas, found, delta_targets):
        labels.extend(found)
        return torch.zeros(()), torch.zeros(())

    monkeypatch.setattr(network.rpn, "compute_loss", compute_loss)
    views, sizes = torch.zeros(2, 3, 64, 64), [(64, 64), (48, 40)]
    maps = network(views)
    network.propose(
        views, maps, sizes=sizes, truth=[torch.tensor([[8.0, 8.0, 40.0, 40.0]]), torch.tensor([[-9.0, -9, 20, 20]])]
    )
    anchors = network.rpn.anchor_generator(ImageList(views, sizes), maps)
    for own, label, (height, width) in zip(anchors, labels, sizes, strict=True):
        over = (own[:, 0] < 0) | (own[:, 1] < 0) | (own[:, 2] > width) | (own[:, 3] > height)
        assert over.any()
        assert not over.all()
        assert bool((label[over] >= 0).any()) is not inside
        assert (label[~over] == 0).any()
    assert (labels[0] == 1).any()
    assert bool((labels[1] == 1).any()) is not inside


def test_a_batch_keeps_the_highest_scoring_of_all_its_proposals_in_their_order():
    boxes = [torch.arange(12.0).view(3, 4), torch.arange(100.0, 116).view(4, 4), torch.zeros(0, 4)]
    score = [torch.tensor([0.9, 0.5, 0.1]), torch.tensor([0.8, 0.7, 0.6, 0.2]), torch.zeros(0)]
    first, second, none = top_scoring(boxes, score, 4)
    assert torch.equal(first, boxes[0][:1])
    assert torch.equal(second, boxes[1][:3])
    assert len(none) == 0
    assert [len(own) for own in top_scoring(boxes, score, 9)] == [3, 4, 0]


def test_the_limit_over_a_batch_holds_in_training_alone():
    network = small()
    network.rpn.batch_post_nms_top_n = 5
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        each = [network.train(mode).propose(images, network(images)).boxes for mode in (True, False)]
    assert sum(map(len, each[0])) == 10
    assert all(len(own) > 10 for own in each[1])


@torch.no_grad()
def test_frozen_norms_of_a_detector_from_a_backbones_weights_add_what_the_name_says(views):
    """torchvision's `weights_backbone`: FrozenBatchNorm2d, whose file looks as that of its published weights."""
    backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d)
    whole = TorchvisionKeypointRCNN(backbone, num_classes=2, num_keypoints=17)
    state = by_rule(whole.state_dict(), scale=0.5)
    whole.load_state_dict(state)
    name = "torchvision_keypoint_rcnn_r50_fpn"
    plain, added = import_checkpoint(name, state), import_checkpoint(f"{name}_eps", state)
    assert plain.description.endswith(f"if it was trained from a backbone's weights they add 1e-5, and its name is {name}_eps")
    assert "they add 1e-5" not in added.description + norm_note(f"{name}_eps_2cls")
    expected = whole.eval().backbone(views.tensors)["0"]
    own, other = ((made.model.network(views.tensors)[0] - expected).abs().max() for made in (added, plain))
    assert own < 2e-6 * expected.abs().max()
    assert other > 1e-5 * expected.abs().max()


@pytest.mark.parametrize("cells", [(56, 56), (64, 48), (28, 20), (50, 31)])
def test_a_keypoint_head_has_maps_of_any_size_and_number(cells):
    network = small(channels=51, cells=cells).eval()
    images = torch.randn(2, 3, 64, 64)
    boxes = [torch.tensor([[8.0, 4.0, 40.0, 60.0], [0.0, 0.0, 9.5, 3.0]]), torch.zeros(0, 4)]
    assert network.keypoint_maps(network(images), boxes).shape == (2, 51, *cells)


def test_maps_of_hardly_a_cell_are_refused():
    with pytest.raises(InputError, match="at least 4 cells a side, not 30x3"):
        small(cells=(30, 3))


def test_no_boxes_give_empty_outputs():
    network = small(masks=True).eval()
    features = network(torch.randn(1, 3, 64, 64))
    none = [torch.zeros(0, 4)]
    logits, deltas = network.predict_boxes(features, none)
    assert (logits.shape, deltas.shape) == ((0, 2), (0, 8))
    assert network.keypoint_maps(features, none).shape == (0, 17, 56, 56)
    assert network.mask_logits(features, none).shape == (0, 2, 28, 28)


def test_a_shared_head_reads_the_box_heads_features():
    network = small(shared=True).eval()
    features, boxes = network(torch.randn(1, 3, 64, 64)), [torch.tensor([[8.0, 4.0, 40.0, 60.0]])]
    before = network.keypoint_maps(features, boxes)
    assert before.shape == (1, 17, 56, 56)
    with torch.no_grad():
        network.box.head.body.conv[0].weight.mul_(2)
    assert not torch.allclose(before, network.keypoint_maps(features, boxes))


def test_a_region_proposal_network_alone_has_no_heads():
    network = small(classes=0, channels=0).eval()
    images = torch.randn(1, 3, 64, 64)
    features = network(images)
    boxes = network.propose(images, features).boxes
    assert len(boxes) == 1
    with pytest.raises(InputError, match="no keypoint head"):
        network.keypoint_maps(features, boxes)


@pytest.mark.parametrize(
    ("name", "channels", "strides"),
    [
        ("r50_c4", 1024, (16,)),
        ("r18_c5", 512, (32,)),
        ("x50_32x4d_fpn", 256, (4, 8, 16, 32, 64)),
        ("hrnet_w4", 4, (4,)),
        ("hrnet_w4_hrfpn_max", 256, (4, 8, 16, 32, 64)),
        ("hrnet_w4_fpn", 256, (4, 8, 16, 32, 64)),
        ("timm_mobilenetv4_conv_small_fpn", 256, (4, 8, 16, 32, 64)),
        ("timm_convnext_atto_fpn", 256, (4, 8, 16, 32, 64)),
        ("timm_vit_tiny_patch16_224_fpn", 256, (16, 32)),
    ],
)
def test_any_backbone_takes_all_heads(name, channels, strides):
    pytest.importorskip("timm")
    network = build_network(BackboneSpec.parse(name), variant_of("poise"), Heads(convolutions=1, width=8, features=8)).eval()
    assert set(network.backbone.channels) == {channels}
    assert network.backbone.strides == strides
    images = torch.randn(1, 3, 640, 640) if "vit" in name else torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        features = network(images)
        boxes = [b[:3] for b in network.propose(images, features).boxes]
        assert network.keypoint_maps(features, boxes).shape == (len(boxes[0]), 17, 56, 56)
        assert network.predict_boxes(features, boxes)[0].shape == (len(boxes[0]), 2)
    assert [images.shape[2] // f.shape[2] for f in features] == list(strides)
