"""Our Keypoint, Faster and Mask R-CNN against torchvision's own from end to end, with the same weights."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torchvision.models.detection import fasterrcnn_resnet50_fpn, keypointrcnn_resnet50_fpn, maskrcnn_resnet50_fpn

from poise.geometry import apply, invert
from poise.models.box_detector import BoxDetector
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.rcnn_masks import pasted
from poise.scenes import SceneBatch, Scenes
from poise.transforms.canvas import letterbox
from poise.zoo import import_release

from ..golden.replay import by_rule

SIZES = ((120, 150), (97, 64))
"""Of two images (h, w)."""

KEPT = {"rpn_post_nms_top_n_test": 100, "rpn_post_nms_top_n_train": 100, "box_detections_per_img": 8}
"""Fewer than usual, for speed."""

SHOWN = {"min_size": 96, "max_size": 160}


@pytest.fixture(scope="module")
def theirs():
    model = keypointrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, **KEPT, **SHOWN, box_batch_size_per_image=32, box_score_thresh=0.01
    )
    model.load_state_dict(by_rule(model.state_dict(), scale=0.5))
    return model.eval()


@pytest.fixture(scope="module")
def ours(theirs) -> KeypointRCNN:
    model = smaller(import_release("torchvision_keypoint_rcnn_r50_fpn", theirs.state_dict()))
    model.config = replace(model.config, learning=replace(model.config.learning, per_image=32))
    return model


def smaller(model):
    """The model with the limits above."""
    assert (model.preprocess.side, model.preprocess.most) == (800, 1333)
    model.preprocess = replace(model.preprocess, side=SHOWN["min_size"], most=SHOWN["max_size"])
    model.config = replace(model.config, per_image=8, score=0.01)
    model.network.rpn._post_nms_top_n.update(testing=100, training=100)
    return model


@pytest.fixture(scope="module")
def images() -> list[Tensor]:
    """Rows of pixels, as images are read."""
    generator = torch.Generator().manual_seed(0)
    made = [torch.randint(0, 256, (*size, 3), generator=generator, dtype=torch.uint8) for size in SIZES]
    return [image.permute(2, 0, 1) for image in made]


def stacked(views: list[Tensor]) -> Tensor:
    """Views filled up to the largest."""
    high, wide = (max(view.shape[axis] for view in views) for axis in (1, 2))
    return torch.stack([torch.nn.functional.pad(v, (0, wide - v.shape[2], 0, high - v.shape[1])) for v in views])


def watched(theirs, images: list[Tensor]) -> tuple[list[dict[str, Tensor]], list[dict[str, Tensor]], Tensor]:
    """What torchvision finds in images and in their views, and its maps for the boxes of all views."""
    views: list[dict[str, Tensor]] = []
    maps: list[Tensor] = []
    hooks = [
        theirs.roi_heads.register_forward_hook(lambda *parts: views.extend(dict(one) for one in parts[2][0])),
        theirs.roi_heads.keypoint_predictor.register_forward_hook(lambda *parts: maps.append(parts[2])),
    ]
    found = theirs([image / 255 for image in images])
    for hook in hooks:
        hook.remove()
    return found, views, maps[0]


def tied(logits: Tensor, box: Tensor, *places: Tensor) -> bool:
    """Whether a keypoint's map, brought to the pixels of its box, is equally high in all places, to the rounding of floats."""
    sides = (box[2:] - box[:2]).clamp(min=1).double()
    many = sides.ceil().long()
    size = (int(many[1]), int(many[0]))
    whole = torch.nn.functional.interpolate(logits[None, None].double(), size=size, mode="bicubic", align_corners=False)[0, 0]
    pixels = [((xy - box[:2]) / sides * many - 0.5).round().long() for xy in places]
    heights = torch.stack([whole[y, x] for x, y in pixels])
    return bool(heights.max() - heights.min() <= 1e-5 * whole.abs().max())


@torch.no_grad()
def test_boxes_scores_and_keypoints_are_those_of_torchvision(theirs, ours, images):
    expected, seen, maps = watched(theirs, images)
    placed = [letterbox(image, ours.preprocess) for image in images]
    inner = theirs.transform([image / 255 for image in images])[0].image_sizes
    found = ours.predict(stacked([view for view, _ in placed]), flip=False, sizes=inner)
    each = maps.split([len(one["boxes"]) for one in seen])
    for people, other, (_, warp), there, logits in zip(found, expected, placed, seen, each, strict=True):
        assert len(people) == len(other["boxes"]) == KEPT["box_detections_per_img"]
        home = invert(warp)
        boxes = apply(home, people.boxes.view(-1, 2, 2)).view(-1, 4)
        assert (boxes - other["boxes"]).abs().max() < 1e-3
        assert (people.box_score - other["scores"]).abs().max() < 1e-5
        torch.testing.assert_close(people.score, other["keypoints_scores"], rtol=1e-4, atol=1e-4)
        far = (apply(home, people.xy) - other["keypoints"][..., :2]).abs().amax(dim=-1)
        for person, keypoint in (~(far < 1e-3)).nonzero().tolist():
            places = people.xy[person, keypoint], there["keypoints"][person, keypoint, :2]
            assert tied(logits[person, keypoint], there["boxes"][person], *places), "only of equal heights another may be taken"


def test_a_tie_is_told_from_what_is_lower():
    logits = torch.zeros(56, 56)
    logits[14, 14] = logits[42, 42] = 5.0
    logits[14, 42] = 4.999
    box = torch.tensor([10.0, 20.0, 66.0, 76.0])  # a pixel for a cell
    one, other, lower = (torch.tensor(place) for place in ([24.5, 34.5], [52.5, 62.5], [52.5, 34.5]))
    assert tied(logits, box, one, other)
    assert not tied(logits, box, one, lower)


PERSON = 1
"""Of torchvision's 91 classes."""


@torch.no_grad()
@pytest.mark.parametrize("make", [fasterrcnn_resnet50_fpn, maskrcnn_resnet50_fpn], ids=["faster", "mask"])
def test_a_detector_without_keypoints_finds_the_boxes_of_people_that_torchvisions_finds(make, images):
    theirs = make(weights=None, weights_backbone=None, **KEPT, **SHOWN, box_score_thresh=0.01)
    state = by_rule(theirs.state_dict(), scale=0.5)
    state["roi_heads.box_predictor.cls_score.bias"][PERSON] += 1.0  # of 91 kinds of things some are people
    theirs.load_state_dict(state)
    ours = smaller(import_release(make.__name__, state))
    assert isinstance(ours, BoxDetector)
    assert ours.card.name.startswith("torchvision_")
    expected = theirs.eval()([image / 255 for image in images])
    placed = [letterbox(image, ours.preprocess) for image in images]
    inner = theirs.transform([image / 255 for image in images])[0].image_sizes
    found = ours.find(stacked([view for view, _ in placed]), flip=False, sizes=inner)
    for one, other, (_, warp) in zip(found, expected, placed, strict=True):
        people = other["labels"] == PERSON
        assert 0 < len(one.boxes) == int(people.sum())
        boxes = apply(invert(warp), one.boxes.view(-1, 2, 2)).view(-1, 4)
        assert (boxes - other["boxes"][people]).abs().max() < 1e-3
        assert (one.score - other["scores"][people]).abs().max() < 1e-5


@torch.no_grad()
def test_masks_of_people_cover_the_pixels_that_torchvisions_do(images):
    theirs = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, **KEPT, **SHOWN, box_score_thresh=0.01)
    state = by_rule(theirs.state_dict(), scale=0.5)
    state["roi_heads.box_predictor.cls_score.bias"][PERSON] += 1.0
    theirs.load_state_dict(state)
    logits: list[Tensor] = []
    hook = theirs.roi_heads.mask_predictor.register_forward_hook(lambda *parts: logits.append(parts[2][:, PERSON]))
    theirs.eval()([image / 255 for image in images])
    hook.remove()
    state["roi_heads.mask_predictor.mask_fcn_logits.bias"][PERSON] -= logits[0].median()  # half of the cells are inside
    theirs.load_state_dict(state)
    ours = smaller(import_release("maskrcnn_resnet50_fpn", state))
    expected = theirs.eval()([image / 255 for image in images])
    views = [ours.views(image) for image in images]
    found = ours.boxes(stacked([own.views[0] for own in views]), [(own, 0) for own in views], flip=False, masks=True)
    for one, own, other in zip(found, views, expected, strict=True):
        people, joined = other["labels"] == PERSON, ours.joined_boxes(own, [one])
        whole = other["masks"][people, 0]
        covered = [torch.from_numpy(mask) for mask in pasted(joined.masks, joined.boxes, tuple(whole.shape[-2:]))]
        assert len(covered) == len(whole) > 0
        assert all(mask.any() for mask in covered)
        differ = (torch.stack(covered) != (whole > 0.5)) & ((whole - 0.5).abs() > 1e-3)
        assert not differ.any(), "only pixels that are as likely inside as outside may differ"


def test_losses_are_those_of_torchvision(theirs, ours, images):
    generator = torch.Generator().manual_seed(1)
    views, inner = (lambda shown: (shown.tensors, shown.image_sizes))(theirs.transform([i / 255 for i in images])[0])
    low = 5 + 20 * torch.rand(5, 2, generator=generator)
    boxes = torch.cat((low, low + 30 + 30 * torch.rand(5, 2, generator=generator)), dim=1)
    view = torch.tensor([0, 0, 0, 1, 1])
    xy = boxes[:, None, :2] + torch.rand(5, 17, 2, generator=generator) * (boxes[:, 2:] - boxes[:, :2])[:, None]
    visible = torch.randint(0, 3, (5, 17), generator=generator)
    scenes = Scenes(
        xy=xy,
        visible=visible,
        boxes=boxes,
        extent=torch.ones(5),
        scene=view,
        ignore=torch.zeros(len(views), *views.shape[2:], dtype=torch.bool),
    )
    batch = SceneBatch(views, scenes, torch.eye(3).repeat(2, 1, 1), inner=tuple(inner))
    targets = [
        {
            "boxes": boxes[view == i],
            "labels": torch.ones(int((view == i).sum()), dtype=torch.int64),
            "keypoints": torch.cat((xy, visible[..., None].float()), dim=2)[view == i],
        }
        for i in (0, 1)
    ]
    with torch.no_grad():
        named = theirs.backbone(views)
        try:
            theirs.rpn.train(), theirs.roi_heads.train()
            shown = theirs.transform([image / 255 for image in images])[0]
            torch.manual_seed(5)
            proposals, told = theirs.rpn(shown, named, targets)
            _, more = theirs.roi_heads(named, proposals, shown.image_sizes, targets)
        finally:
            theirs.eval()
        ours.network.rpn.train()
        torch.manual_seed(5)
        found = ours.losses(batch)
        ours.eval()
    pairs = {"objectness": "loss_objectness", "proposals": "loss_rpn_box_reg", "classes": "loss_classifier"}
    pairs |= {"boxes": "loss_box_reg", "keypoints": "loss_keypoint"}
    expected = {own: (told | more)[other] for own, other in pairs.items()}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=2e-4, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")
