"""Detectors without keypoints: they find boxes with and without mirrored views, and say what they lack."""

from dataclasses import replace

import pytest
import torch

import poise
from poise.codecs.registry import roi_codec_types
from poise.errors import InputError
from poise.inference.settings import InferenceSettings
from poise.models.box_detector import BoxDetector
from poise.models.card import Card
from poise.models.require import require_pose, require_top_down
from poise.structures import Architecture
from poise.transforms.canvas import CONVENTIONS
from poise.zoo import build

pytestmark = pytest.mark.usefixtures("weights_as_ever")

PERSON = 1


def detector(name: str = "faster_rcnn_r18_fpn_2cls") -> BoxDetector:
    """Random weights: everything is somebody, as surely as not."""
    torch.manual_seed(0)
    made = build(name).eval()
    assert isinstance(made, BoxDetector)
    made.config = replace(made.config, score=0.0, per_image=6)
    made.network.rpn._post_nms_top_n.update(testing=40)
    return made


@pytest.fixture(scope="module")
def model() -> BoxDetector:
    return detector()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(2, 3, 96, 128, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_boxes_are_those_that_a_detector_with_keypoints_finds_with_the_same_weights(images):
    torch.manual_seed(0)
    whole = build("poise_rcnn_t_coco_96x96").eval()
    whole.config = replace(whole.config, score=0.0, per_image=6)
    alone = BoxDetector(whole.network, whole.preprocess, whole.card, whole.config)
    for flip in (False, True):
        for one, other in zip(alone.find(images, flip=flip), whole.find(images, flip=flip), strict=True):
            assert len(one.boxes) == 6
            assert torch.equal(one.boxes, other.boxes)
            assert torch.equal(one.score, other.score)


@torch.no_grad()
def test_with_the_flip_test_mirrored_views_have_the_mirrored_boxes(model, images):
    straight, turned = model.find(images, flip=True), model.find(images.flip(-1), flip=True)
    end = float(images.shape[3] - CONVENTIONS[model.preprocess.rule].boxes)
    for one, other in zip(straight, turned, strict=True):
        back = other.boxes[:, [2, 1, 0, 3]] * torch.tensor([-1.0, 1, -1, 1]) + torch.tensor([end, 0, end, 0])
        order, same = one.boxes[:, 0].argsort(), back[:, 0].argsort()
        assert torch.allclose(one.boxes[order], back[same], atol=1e-2)
        assert torch.allclose(one.score.sort().values, other.score.sort().values, atol=1e-5)
    plain = model.find(images, flip=False)
    assert not torch.allclose(plain[0].score, straight[0].score)


@torch.no_grad()
@pytest.mark.parametrize("sure", [1, 2])
def test_of_many_classes_the_people_alone_are_found(images, sure):
    model = detector("mask_rcnn_r18_fpn_4cls")
    reader = model.network.box.head.reader.cls_score
    reader.weight.zero_()
    reader.bias.zero_()
    reader.bias[sure] = 9.0
    model.config = replace(model.config, score=0.5)
    found = model.find(images, flip=False)
    assert model.config.person == PERSON
    assert all((len(one.boxes) > 0) == (sure == PERSON) for one in found)


@torch.no_grad()
@pytest.mark.parametrize("name", ["faster_rcnn_r18_c4_2cls", "faster_rcnn_r18_c5_2cls", "faster_rcnn_hrnet_w4_hrfpn_2cls"])
def test_boxes_are_found_on_trunks_of_all_forms(name, images):
    made = detector(name)
    for one in made.find(images[:1], flip=made.preprocess.flip_test):
        assert len(one.boxes) == len(one.score) > 0
        assert (one.score.diff() <= 0).all()
        assert (one.boxes >= 0).all()
        assert (one.boxes <= torch.tensor([128.0, 96, 128, 96])).all()


def test_whoever_asks_for_keypoints_is_told_what_it_is_and_what_to_take(model):
    sentence = (
        r"'faster_rcnn_r18_fpn_2cls' finds boxes of people and no keypoints, .*; take a model with keypoints, .*--detector"
    )
    assert (model.codec, model.skeleton, hasattr(model, "poses")) == (None, None, False)
    assert hasattr(model, "preprocess")
    for ask in (require_pose, lambda one: poise.predict(one, torch.zeros(64, 64, 3, dtype=torch.uint8))):
        with pytest.raises(InputError, match=sentence):
            ask(model)
    with pytest.raises(InputError, match="needs a top-down model, for views of one person"):
        require_top_down(model)
    with pytest.raises(AttributeError):
        model.unheard_of  # noqa: B018  # the asking is what is tested


def test_a_flip_test_of_boxes_needs_no_skeleton(model):
    assert InferenceSettings.of(model, precision="fp32").flip
    assert not InferenceSettings.of(model, precision="fp32", flip=False).flip
    assert InferenceSettings.of(model, precision="fp32").batch == 2


def test_a_network_without_a_box_head_is_no_detector():
    network = build("rpn_r18_fpn").network
    with pytest.raises(InputError, match="'proposes' has no box head"):
        BoxDetector(network, detector().preprocess, Card("proposes", Architecture("none:none")))


@pytest.mark.parametrize(
    ("wishes", "name"), [({"skeleton": poise.skeletons.QUADRUPED}, "mask_rcnn_r18_fpn"), ({"codec": "OneHot"}, "rpn_r18_fpn")]
)
def test_a_skeleton_or_codec_for_what_has_no_keypoint_head_is_refused(wishes, name):
    assert "OneHot" in roi_codec_types()
    with pytest.raises(InputError, match=f"'{name}' has no keypoint head.*take keypoint_rcnn_r18_fpn"), torch.device("meta"):
        build(name, **wishes)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("rpn_r18_fpn", "a region proposal network alone"),
        ("keypoint_rcnn_r18_fpn_18j", "a detector whose keypoints have no names"),
        ("r18_fpn", None),
    ],
)
def test_parts_say_which_they_are(name, what):
    with torch.device("meta"):
        part = build(f"poise_{name}")
    with pytest.raises(InputError, match=f"'poise_{name}' is {what or 'a part of a detector'}.*take a whole model"):
        require_pose(part)
