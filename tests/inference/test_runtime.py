"""The network of a model in ONNX Runtime and in OpenVINO: the same poses, what is kept, and what PyTorch does all the same."""

import copy
import sys

import pytest
import torch
from torch import nn

from poise.cli._report import device_text
from poise.data.figures import FigureDataset
from poise.errors import InputError, MissingExtra, UnknownName
from poise.inference import runtime
from poise.inference.predictor import Predictor
from poise.inference.settings import InferenceSettings
from poise.inference.stream import find_poses, stream_boxes
from poise.models.views.person import PersonViews
from poise.runtimes import choice
from poise.runtimes.engine import Engine
from poise.runtimes.onnx import OnnxRuntime
from poise.runtimes.openvino import OpenVino
from poise.runtimes.parts import Flat, difference
from poise.runtimes.signal_stack import signal_stack
from poise.skeletons import COCO17
from poise.training.data import ResumableSampler, loader
from poise.transforms.person_crop import PersonCrop
from poise.zoo import build

BOTH = ("onnxruntime", "openvino")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for engine in (OnnxRuntime(), OpenVino()):
        pytest.importorskip(engine.package)
    monkeypatch.setenv("POISE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def image(dots):
    return dots.picture(dots.people)


def runner(model, part=0):
    chosen = model.runtime_parts[part]
    module = model.network.get_submodule(chosen.module)
    found = vars(module).get(chosen.method)
    assert isinstance(found, runtime.Runner)
    return found


@pytest.mark.parametrize("name", BOTH)
def test_a_person_is_where_pytorch_finds_it(name, dots, image):
    model = dots.model()
    right = Predictor(model)(image, boxes=dots.boxes)
    model.network.calls.clear()
    predictor = Predictor(model, runtime=name)
    found = predictor(image, boxes=dots.boxes)
    assert torch.allclose(found.xy, right.xy, atol=1e-3)
    assert torch.allclose(found.xy, torch.from_numpy(dots.people).float(), atol=2.0)
    before = len(model.network.calls)
    for count in (1, 2):  # the batch is free
        assert torch.allclose(predictor(image, boxes=dots.boxes[:count]).xy, right.xy[:count], atol=1e-3)
    assert len(model.network.calls) == before, "PyTorch is asked for the comparison alone"


@pytest.mark.parametrize("name", BOTH)
def test_boxes_and_keypoints_of_a_detector_are_those_of_pytorch_at_any_size(name, model, requests):
    sizes = [(90, 120), (96, 96), (120, 80)]
    plain = InferenceSettings.of(model, precision="fp32", flip=False, workers=0, batch=1)
    right = list(find_poses(model, requests(sizes), plain))
    by = InferenceSettings.of(model, precision="fp32", flip=False, workers=0, batch=1, runtime=name)
    found = list(find_poses(model, requests(sizes), by))
    for one, other in zip(found, right, strict=True):
        assert torch.allclose(one.poses.boxes, other.poses.boxes, atol=1e-2)
        assert torch.allclose(one.poses.xy, other.poses.xy, atol=1e-1)
    assert all(runner(model, part)._sessions for part in range(4)), "backbone, proposals, boxes, keypoints"
    boxes = [detections.boxes for _, detections in stream_boxes(model, requests(sizes), by)]
    assert [len(one) for one in boxes] == [len(one.poses) for one in right]


def test_whole_images_of_any_size_are_answered_alike(requests):
    torch.manual_seed(0)
    model = build("poise_scene_t_coco_64x64").eval()
    views = torch.rand(2, 3, 64, 64), torch.rand(3, 3, 96, 64)
    with torch.inference_mode():
        right = [model.network(one) for one in views]
        runtime.attach(model, choice.choose_runtime("openvino", "cpu"))
        found = [model.network(one) for one in views]
    assert runner(model)._sessions
    for one, other in zip(found, right, strict=True):
        assert type(one) is type(other)
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(one, other, strict=True))


def test_a_part_is_converted_once_and_read_from_the_cache_after_that(dots, image, home, monkeypatch):
    Predictor(dots.model(), runtime="onnxruntime")(image, boxes=dots.boxes)
    [kept] = (home / "runtimes").rglob("*.onnx")
    assert kept.parent.name == f"onnxruntime-{OnnxRuntime().version}"
    monkeypatch.setattr(OnnxRuntime, "convert", lambda *_: pytest.fail("it is there"))
    model = dots.model()
    Predictor(model, runtime="onnxruntime")(image, boxes=dots.boxes)
    assert runner(model)._sessions
    monkeypatch.undo()
    monkeypatch.setenv("POISE_HOME", str(home))
    other = dots.model()
    other.network.weight.data.mul_(2)
    Predictor(other, runtime="onnxruntime")(image, boxes=dots.boxes)
    assert len(list((home / "runtimes").rglob("*.onnx"))) == 2, "other weights are another part"


def test_the_start_of_a_runtime_is_told_apart(dots, image):
    plain, predictor = Predictor(dots.model()), Predictor(dots.model(), runtime="onnxruntime")
    assert predictor.starting == 0, "it starts with the first image"
    spent = []
    for one in (plain, predictor, predictor):
        one(image, boxes=dots.boxes)
        spent.append(one.starting)
    assert spent[0] == 0 < spent[1] == spent[2]


def test_a_damaged_file_of_the_cache_is_made_anew(dots, image, home):
    right = Predictor(dots.model(), runtime="openvino")(image, boxes=dots.boxes)
    [kept] = (home / "runtimes").rglob("*.xml")
    kept.write_bytes(kept.read_bytes()[:100])
    model = dots.model()
    assert torch.equal(Predictor(model, runtime="openvino")(image, boxes=dots.boxes).xy, right.xy)
    assert len(kept.read_bytes()) > 100


def test_weights_that_change_and_training_are_left_to_pytorch(dots, image):
    model = dots.model()
    predictor = Predictor(model, runtime="openvino")
    predictor(image, boxes=dots.boxes)
    with torch.no_grad():
        model.network.weight.mul_(0.5)
    view = torch.rand(2, 3, 64, 48)
    with torch.inference_mode():
        assert torch.equal(model.network(view), view * 0.5)
    answer = model.network(view)
    assert answer.requires_grad, "with gradients it is PyTorch's"
    copied = copy.deepcopy(model.network)
    assert torch.equal(copied(view), answer)
    runtime.attach(model, choice.choose_runtime("torch", "cpu"))
    assert "forward" not in vars(model.network)


class Depends(nn.Module):
    """Adds the number of rows, which a tracer takes for fixed."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images):
        return images * self.weight + float(len(images))


def test_a_conversion_that_gives_something_else_is_not_used(dots):
    model = dots.model()
    model.network = Depends().eval()
    settings = InferenceSettings.of(model, precision="fp32", flip=False, runtime="auto")
    runtime.attach(model, settings.runtime)
    with torch.inference_mode():
        view = torch.rand(2, 3, 64, 48)
        assert torch.equal(model.network(view), view + 2)
    assert settings.runtime.why[0].startswith("OpenVINO")
    assert "differ" in settings.runtime.why[0]
    assert "by" not in device_text(settings), "PyTorch ran it"
    asked = InferenceSettings.of(model, precision="fp32", flip=False, runtime="openvino")
    runtime.attach(model, asked.runtime)
    with torch.inference_mode(), pytest.raises(InputError, match="--runtime torch"):
        model.network(torch.rand(2, 3, 64, 48))


def test_sums_in_another_order_are_no_difference_and_another_function_is_one():
    right = [torch.linspace(-700, 650, 100)]
    assert not difference([right[0] + 2], right, bf16=False), "what two runs of BlazePose's pixels differ by at most"
    assert "differ by 14" in difference([right[0] * 1.02], right, bf16=False)


def test_a_batch_of_one_has_a_session_of_its_own_with_the_same_answers():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2)).eval()
    views = torch.rand(3, 3, 8, 8)
    engine = OnnxRuntime()
    session = engine.start(engine.convert(network, [views], [(0,)]), threads=1, device="cpu", bf16=False)
    with torch.no_grad():
        right = network(views)
    for one in (views, views[:1], views[1:], views[2:]):
        first = int((views[:, 0, 0, 0] == one[0, 0, 0, 0]).nonzero())
        assert torch.allclose(session([one])[0], right[first : first + len(one)], atol=1e-6)


@pytest.mark.parametrize("engine", [OpenVino(), OnnxRuntime()], ids=lambda engine: engine.name)
def test_images_may_lie_in_memory_in_either_order(engine):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    program = engine.convert(Flat(network, "forward", (None,)).eval(), [torch.rand(2, 3, 8, 6)], [(0,)])
    images = torch.rand(3, 3, 8, 6)
    for _ in range(2):  # a program starts as often as it is asked to
        run = engine.start(program, threads=1, device="cpu", bf16=False)
        for order in (torch.contiguous_format, torch.channels_last):
            assert not difference(run([images.contiguous(memory_format=order)]), [network(images)], bf16=False)


def test_by_default_it_is_the_fastest_that_is_installed_and_the_environment_may_say_another(dots, monkeypatch):
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    assert choice.choose_runtime(None, "cpu").text.startswith("OpenVINO")
    assert choice.choose_runtime(None, "cuda").text == ""
    monkeypatch.setattr(OpenVino, "installed", property(lambda self: False))
    assert choice.choose_runtime("auto", "cpu").text.startswith("ONNX Runtime")
    with pytest.raises(MissingExtra, match=r"poise\[openvino\]"):
        choice.choose_runtime("openvino", "cpu")
    monkeypatch.setenv(choice.VARIABLE, "torch")
    assert choice.choose_runtime(None, "cpu").text == ""
    with pytest.raises(UnknownName, match="did you mean"):
        choice.choose_runtime("onnx-runtime", "cpu")
    settings = InferenceSettings.of(dots.model(), precision="fp32", runtime="onnxruntime")
    assert device_text(settings) == f"cpu in fp32, by ONNX Runtime {OnnxRuntime().version}"


def test_a_model_may_have_another_fastest_runtime(monkeypatch):
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    blaze = build("blazepose_landmark_lite")
    assert InferenceSettings.of(blaze, device="cpu", runtime=None).runtime.text.startswith("ONNX Runtime")
    assert InferenceSettings.of(blaze, device="cpu", runtime="openvino").runtime.text.startswith("OpenVINO")
    monkeypatch.setattr(OnnxRuntime, "installed", property(lambda self: False))
    assert InferenceSettings.of(blaze, device="cpu", runtime=None).runtime.text.startswith("OpenVINO")


def test_a_runtime_that_fails_in_the_middle_is_told_as_one_sentence(dots, image, monkeypatch):
    def broken(*_: object, **__: object) -> object:
        raise RuntimeError("no such operator\nin line 3")

    monkeypatch.setattr(OpenVino, "start", broken)
    with pytest.raises(InputError, match=r"OpenVINO .* cannot run Looks: RuntimeError: no such operator in line 3"):
        Predictor(dots.model(), runtime="openvino")(image, boxes=dots.boxes)


def test_every_engine_says_what_brings_it():
    for engine in choice.ENGINES:
        assert isinstance(engine, Engine)
        assert engine.version.split(".")[0].isdigit()


def test_streams_in_threads_give_the_same(dots, image):
    model = dots.model()
    predictor = Predictor(model, runtime="openvino", workers=2)
    found = list(predictor([image] * 5))
    assert all(torch.equal(one.xy, found[0].xy) for one in found)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine of one core
def test_processes_that_load_data_may_be_forked_once_a_runtime_has_run(dots, image):
    views = PersonViews(FigureDataset(4, size=(64, 64)), PersonCrop((64, 48), dots.model().preprocess, COCO17), seed=0)
    alone = [part.batch.images for part in loader(views, ResumableSampler(4, 2, seed=1), workers=0, pin=False)]
    predictors = [Predictor(dots.model(), runtime=name) for name in BOTH]
    stream = [iter(one([image] * 20)) for one in predictors]
    for _ in range(3):
        right = [next(one).xy for one in stream]  # their threads are at work as others are forked
        helped = [part.batch.images for part in loader(views, ResumableSampler(4, 2, seed=1), workers=2, pin=False)]
        assert all(torch.equal(one, other) for one, other in zip(alone, helped, strict=True))
        assert all(torch.equal(next(one).xy, before) for one, before in zip(stream, right, strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="stacks for signals are asked for as Linux has them")
@pytest.mark.parametrize("name", BOTH)
def test_a_runtime_leaves_the_stack_for_signals_as_it_was(name, dots, image):
    before = signal_stack()
    Predictor(dots.model(), runtime=name)(image, boxes=dots.boxes)
    assert signal_stack() == before, "a signal that comes after the runtime's own stack is gone ends the process"
