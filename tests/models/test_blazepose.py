"""BlazePose as a kind of model, with random weights: files, learning, boxes, people found by its own detector."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import poise
from poise.decoding.blaze_boxes import BlazeDetections
from poise.errors import InputError
from poise.geometry import apply, invert, rotation, translation
from poise.inference.detect import detector_of
from poise.inference.predictor import Predictor
from poise.models import blazepose as kind
from poise.models.blaze_detector import BlazeDetecting
from poise.models.blaze_pipeline import people, refined_regions, regions_in_boxes
from poise.nn.blaze.layers import GraphUnit
from poise.runtimes.onnx import OnnxRuntime
from poise.runtimes.parts import Flat, graph_form
from poise.skeletons import BLAZEPOSE33, BLAZEPOSE39, COCO17, MPII16, convert
from poise.skeletons.registry import find
from poise.structures import Batch
from poise.transforms.blaze_crop import region_warp
from poise.transforms.render import resample
from poise.weights.transfer import transfer
from poise.zoo.blazepose import blaze_detector, blazepose, joined


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return blazepose("lite").eval()


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)


def found(*people: tuple[tuple[float, float], tuple[float, float]]) -> BlazeDetections:
    """Detections with a middle of the hips and a point on the circle each."""
    points = torch.tensor([[middle, rim, (0.0, 0.0), (0.0, 0.0)] for middle, rim in people]).reshape(-1, 4, 2)
    return BlazeDetections(torch.zeros(len(people), 4), points, torch.linspace(0.9, 0.6, len(people)))


def test_it_comes_back_from_its_file_and_so_does_the_detector(model, tmp_path):
    copy = poise.load(poise.save(model, tmp_path / "blazepose.safetensors"))
    view = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        assert torch.equal(copy(view), model(view))
    assert copy.network.detector is not None
    assert (copy.skeleton, copy.codec) == (model.skeleton, model.codec)
    detector = blaze_detector()
    detector.config = BlazeDetecting(min_score=0.4)
    again = poise.load(poise.save(detector, tmp_path / "detector.safetensors"))
    assert again.config == detector.config
    whole = torch.zeros(1, 3, 224, 224)
    with torch.no_grad():
        for ours, theirs in zip(again.network(whole), detector.network(whole), strict=True):
            assert torch.equal(ours, theirs)


def test_two_views_together_get_the_answers_they_get_alone(model):
    views = torch.rand(2, 3, 256, 256)
    with torch.no_grad():
        together, alone = model(views), torch.cat([model(view[None]) for view in views])
    assert torch.allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_networks_are_written_as_a_runtime_runs_them_fastest_and_stay_the_same_function(model, runtime):
    for network in (blazepose("heavy", detector=False).network, blaze_detector().network):
        network.eval()
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):  # large enough that the bound of every ReLU6 is reached
                nn.init.normal_(layer.weight, std=2 * layer.weight[0].numel() ** -0.5)
        view = torch.rand(1, 3, network.side, network.side)
        written = graph_form(network, runtime)
        assert any(isinstance(part, GraphUnit) for part in written.modules())
        assert not any(isinstance(part, GraphUnit) for part in network.modules())
        with torch.no_grad():
            for ours, theirs in zip(written(view), network(view), strict=True):
                assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


def test_onnx_runtime_never_leaves_the_layout_of_its_convolutions_for_a_bound_or_a_padding(model):
    onnx = pytest.importorskip("onnx")
    flat = Flat(model.network, "forward", (None,))
    graph = onnx.load_from_string(OnnxRuntime().convert(flat, [torch.rand(2, 3, 256, 256)], [(0,)])).graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    assert {made_by[node.input[0]] for node in graph.node if node.op_type == "Clip"} == {"Conv"}
    assert "Pad" not in made_by.values()


def test_it_computes_in_float32_wherever_it_is_asked_to(model):
    view = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        exact = model(view)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(model(view), exact)


@pytest.mark.parametrize("skeleton", [BLAZEPOSE33, MPII16])
def test_it_learns_keypoints_of_any_skeleton(skeleton):
    torch.manual_seed(0)
    model = blazepose("lite", skeleton=skeleton, detector=False).train()
    batch = Batch(
        images=torch.rand(2, 3, 256, 256),
        xy=40 + 170 * torch.rand(2, len(skeleton), 2),
        visible=torch.full((2, len(skeleton)), 2),
        warps=torch.eye(3).expand(2, 3, 3),
    )
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=2e-3), []
    for _ in range(5):
        optimizer.zero_grad()
        loss = model.loss(batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_a_model_of_other_keypoints_starts_from_a_trained_one(model):
    target = blazepose("lite", skeleton=COCO17, detector=False)
    kept = transfer(model, target)
    for key, value in target.network.backbone.state_dict().items():
        assert torch.equal(value, model.network.backbone.state_dict()[key])
    assert kept.kept == COCO17.keypoints
    ours, theirs = target.network.head, model.network.head
    assert torch.equal(ours.pyramid.top.pointwise.weight, theirs.pyramid.top.pointwise.weight)
    for k, name in enumerate(COCO17.keypoints):
        old = BLAZEPOSE33.index(name)
        assert torch.equal(ours.heatmap.final.weight[k], theirs.heatmap.final.weight[old])
        assert torch.equal(ours.landmarks.final.weight[5 * k : 5 * k + 5], theirs.landmarks.final.weight[5 * old : 5 * old + 5])
        assert torch.equal(ours.world.final.bias[3 * k : 3 * k + 3], theirs.world.final.bias[3 * old : 3 * old + 3])


def test_without_boxes_its_detector_finds_everybody_and_turns_their_views(model, image, monkeypatch):
    monkeypatch.setattr(kind, "detect", lambda *_, **__: found(((0.5, 0.5), (0.5, 0.3)), ((0.2, 0.6), (0.4, 0.6))))
    views = model.views(torch.from_numpy(image).permute(2, 0, 1))
    assert len(views.views) == 2
    assert views.boxes is None
    upright, turned = views.layout[2]
    middle = torch.tensor([[160.0, 120.0]], dtype=torch.float64)
    assert apply(upright, middle).tolist() == [pytest.approx([128, 128], abs=1e-3)]
    rim = torch.tensor([[0.4 * 320, 0.6 * 240]], dtype=torch.float64)  # of the person who lies to the right
    x, y = apply(turned, rim)[0].tolist()
    assert (x, y) == pytest.approx((128, 128 - 256 / 2 / 1.25), abs=1e-3)


def test_people_whose_presence_is_low_are_no_people(model, image, monkeypatch):
    monkeypatch.setattr(kind, "detect", lambda *_, **__: found(((0.5, 0.5), (0.5, 0.3)), ((0.2, 0.6), (0.2, 0.3))))
    predictor = Predictor(model, workers=0)
    bias = model.network.head.presence.bias
    with torch.no_grad():
        old = bias.clone()
        for value, count in ((9.0, 2), (-9.0, 0)):
            bias.fill_(value)
            poses = predictor(image)
            assert len(poses) == count
            assert poses.xy.shape == (count, 33, 2)
        bias.copy_(old)
    assert len(predictor(image, boxes=[[10, 10, 100, 200]])) == 1, "somebody is in a box that is given"


def test_nobody_is_found_in_an_image_without_people(model, image, monkeypatch):
    monkeypatch.setattr(kind, "detect", lambda *_, **__: found())
    assert len(Predictor(model, workers=0)(image)) == 0


def test_without_a_detector_views_are_upright_around_the_box(image):
    model = blazepose("lite", detector=False).eval()
    views = model.views(torch.from_numpy(image).permute(2, 0, 1), torch.tensor([[20.0, 40.0, 80.0, 200.0]]))
    [warp] = views.layout[2]
    assert apply(invert(warp), torch.tensor([[128.0, 128.0]], dtype=torch.float64)).tolist() == [pytest.approx([50, 120])]
    assert warp[0, 1] == warp[1, 0] == 0
    assert len(model.views(torch.from_numpy(image).permute(2, 0, 1)).views) == 1, "the whole image is one person"
    with pytest.raises(InputError, match=r"no detector to find people with.*give boxes"):
        model.video()


def test_landmarks_in_a_box_tell_where_to_look_again(model, image, monkeypatch):
    pixels, boxes = torch.from_numpy(image).permute(2, 0, 1), torch.tensor([[20.0, 40.0, 80.0, 200.0]])
    twice = joined("blazepose_lite", model.network, model.network.detector)
    assert (twice.preprocess.passes, model.preprocess.passes) == (2, 1)
    for presence, again in ((9.0, True), (-9.0, False)):
        with torch.no_grad():
            twice.network.head.presence.bias.fill_(presence)
        [first] = regions_in_boxes(twice.network.detector, pixels, boxes)
        [person] = people(twice.network, pixels, [first])
        expected = region_warp(person.next_region if again else first, 256)
        [warp] = twice.views(pixels, boxes).layout[2]
        assert torch.equal(warp, expected)
        twice.preprocess = replace(twice.preprocess, passes=1)
        assert torch.equal(twice.views(pixels, boxes).layout[2][0], region_warp(first, 256))
        twice.preprocess = replace(twice.preprocess, passes=2)
    own = blazepose("lite", skeleton=COCO17)
    assert refined_regions(own.network.eval(), pixels, [first]) == [first], "it has no landmarks of the alignment"
    with pytest.raises(InputError, match="1 or 2 passes, found 3"):
        replace(twice.preprocess, passes=3)


def test_padding_is_the_factor_on_the_box_and_on_the_circle(image, monkeypatch):
    monkeypatch.setattr(kind, "detect", lambda *_, **__: found(((0.5, 0.5), (0.5, 0.3))))
    pixels, boxes = torch.from_numpy(image).permute(2, 0, 1), torch.tensor([[20.0, 40.0, 80.0, 200.0]])
    whole = blazepose("lite").eval()
    upright = joined("blazepose_lite", whole.network, whole.network.detector)
    upright.network.detector, upright.preprocess = None, replace(upright.preprocess, passes=1)
    for change, in_box in (({}, 200), ({"padding": 1.5}, 240), ({"sides": (1.0, 1.5)}, 300), ({"sides": (3.0, 1.0)}, 225)):
        upright.preprocess = replace(upright.preprocess, **{"padding": 1.25, "sides": (1.0, 1.0)} | change)
        assert upright.views(pixels, boxes).layout[2][0, 0, 0].item() == pytest.approx(256 / in_box)
        whole.preprocess = upright.preprocess
        diameter = 2 * 0.2 * 240
        expected = 256 / (diameter * whole.preprocess.padding)
        assert whole.views(pixels).layout[2][0, 0, 0].item() == pytest.approx(expected)
        frame = whole.found_regions(pixels)[0].frame
        assert frame.extent[0] == pytest.approx(diameter * whole.preprocess.padding)


def test_boxes_out_of_the_image_are_left_out(model, image):
    boxes = torch.tensor([[900.0, 900.0, 950.0, 990.0], [20.0, 40.0, 80.0, 200.0]])
    assert model.views(torch.from_numpy(image).permute(2, 0, 1), boxes).boxes == [1]
    assert regions_in_boxes(model.network.detector, torch.from_numpy(image).permute(2, 0, 1), boxes[:0]) == []


def test_it_is_a_detector_for_other_models(image, monkeypatch):
    detector = blaze_detector().eval()
    monkeypatch.setattr(
        "poise.models.blaze_detector.detections", lambda *_, **__: found(((0.5, 0.5), (0.5, 0.25)), ((0.0, 0.5), (0.0, 0.4)))
    )
    other = blazepose("lite", detector=False)
    poses = Predictor(other, detector=detector, workers=0)(image)
    assert poses.boxes.tolist() == [[100, 60, 220, 180], [0, 96, 24, 144]]
    assert poses.box_score.tolist() == pytest.approx([0.9, 0.6])
    assert detector_of(detector).name == "blazepose_detector"


def test_thresholds_of_the_detector_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="min_score"):
        BlazeDetecting(min_score=0.0)


def test_a_turned_photograph_gives_the_same_landmarks_turned(model):
    smooth = torch.nn.functional.interpolate(torch.rand(1, 3, 8, 8), (400, 400), mode="bicubic")[0].clamp(0, 1) * 255
    photo = smooth.byte().contiguous()
    about = translation(200.0, 200.0) @ rotation(40.0) @ translation(-200.0, -200.0)
    turned = torch.from_numpy(resample(photo, about, (400, 400))).permute(2, 0, 1)
    points = torch.tensor([[200.0, 210.0], [200.0, 140.0]], dtype=torch.float64)
    poses = []
    for image, (middle, rim) in ((photo, points), (turned, apply(about, points))):
        [person] = kind.people(
            model.network, image, kind.regions(found((tuple((middle / 400).tolist()), tuple((rim / 400).tolist()))), (400, 400))
        )
        poses.append(person.xy)
    assert torch.allclose(apply(about, poses[0].double()), poses[1].double(), atol=1.0)


def test_33_landmarks_are_cocos_17_by_name():
    assert find("blazepose33") is BLAZEPOSE33
    assert find("blazepose39") is BLAZEPOSE39
    assert BLAZEPOSE39.keypoints[:33] == BLAZEPOSE33.keypoints
    assert set(COCO17.keypoints) <= set(BLAZEPOSE33.keypoints)
    xy = torch.arange(66.0).reshape(1, 33, 2)
    moved, visible = convert(xy, torch.full((1, 33), 2), source=BLAZEPOSE33, target=COCO17)
    assert (visible == 2).all()
    assert moved[0, :, 0].tolist() == [2 * i for i in (0, 2, 5, 7, 8, *range(11, 17), *range(23, 29))]
    sigma = dict(zip(COCO17.keypoints, COCO17.sigmas, strict=True))
    assert all(BLAZEPOSE33.sigmas[BLAZEPOSE33.index(name)] == value for name, value in sigma.items())
    assert replace(BLAZEPOSE33, name="x").flip[BLAZEPOSE33.flip].tolist() == list(range(33))
