"""Exported files: what they give is what the model gives, they say what they are, and every door of poise takes them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from poise.cli.main import main
from poise.codecs.udp import UDPGaussian
from poise.data.figures import FigureDataset, write_coco
from poise.errors import CheckpointError, InputError
from poise.exporting.graphs import Graph, graph_of
from poise.exporting.views import drawn_views
from poise.exporting.write import Exporting, export
from poise.inference.predictor import Predictor
from poise.inference.settings import InferenceSettings
from poise.models.base import ImageModel
from poise.models.card import Card
from poise.models.require import require_top_down
from poise.models.top_down import TopDown
from poise.skeletons import COCO17
from poise.structures import Architecture, Preprocess
from poise.weights.exported_file import EXPORT, MODEL
from poise.weights.model_file import load, save
from poise.zoo import build

pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")
ENDINGS = ("onnx", "xml")


class Blobs(nn.Module):
    """A map with one clear peak for each keypoint, where the view is brightest in a filter of its own."""

    def __init__(self, keypoints: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.mix = nn.Conv2d(3, keypoints, 5, stride=4, padding=2)
        self.blur = nn.Conv2d(keypoints, keypoints, 7, padding=3, groups=keypoints, bias=False)
        with torch.no_grad():
            self.mix.weight.copy_(torch.randn(self.mix.weight.shape, generator=generator))
            x = torch.arange(-3.0, 4.0)
            bell = torch.exp(-(x[:, None] ** 2 + x**2) / 4)
            self.blur.weight.copy_(bell.expand(keypoints, 1, 7, 7))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        bright = self.mix(images)
        return self.blur((100 * bright).flatten(2).softmax(dim=2).view_as(bright))


@pytest.fixture
def model():
    torch.manual_seed(0)
    colours = Preprocess(channels="bgr", mean=(0.4, 0.5, 0.45), std=(0.2, 0.25, 0.3))
    codec = UDPGaussian((64, 48), (16, 12), 17)
    return TopDown(Blobs(17), codec, colours, COCO17, Card("blobs", Architecture("none:none"))).eval()


@pytest.fixture
def image():
    return FigureDataset(1, size=(120, 100)).image(0).permute(1, 2, 0).numpy()


BOXES = [[10.0, 5.0, 80.0, 110.0], [30.0, 20.0, 90.0, 100.0]]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("flip", [False, True])
def test_a_file_finds_what_its_model_finds(ending, flip, model, image, tmp_path):
    made = export(model, tmp_path / f"m.{ending}", exporting=Exporting(flip=flip), views=drawn_views(model))
    assert made.pixels < 0.01
    loaded = load(made.path)
    assert type(loaded) is TopDown
    assert loaded.skeleton == model.skeleton
    assert loaded.codec == model.codec
    right, found = (
        Predictor(one, flip=own, precision="fp32")(image, boxes=BOXES) for one, own in ((model, flip), (loaded, False))
    )
    assert torch.allclose(found.xy, right.xy, atol=0.01)
    assert torch.allclose(found.score, right.score, atol=1e-3)
    assert loaded.flip is not flip, "a file with both views needs no second flip test"
    other = Predictor(loaded, flip=False, runtime="openvino")(image, boxes=BOXES[:1])
    assert torch.allclose(other.xy, right.xy[:1], atol=0.01)
    if flip:
        with pytest.raises(InputError, match=r"exported with the flip test and does it by itself; leave out --flip"):
            InferenceSettings.of(loaded, flip=True)


def test_the_metadata_says_what_a_file_is_and_how_far_from_its_model(model, tmp_path):
    import onnx
    import openvino

    for ending in ENDINGS:
        export(model, tmp_path / f"m.{ending}", exporting=Exporting(), views=drawn_views(model))
    entries = {one.key: one.value for one in onnx.load(str(tmp_path / "m.onnx")).metadata_props}
    program = openvino.Core().read_model(tmp_path / "m.xml")
    assert json.loads(entries[MODEL])["skeleton"]["name"] == COCO17.name
    for text in (entries[EXPORT], str(program.get_rt_info([EXPORT]).value)):
        said = json.loads(text)
        assert said["outputs"] == ["output", "keypoints", "scores"]
        assert said["difference"]["pixels"] < 0.01
        assert said["difference"]["views"] == 8
        assert said["sigmas"] == list(COCO17.sigmas)
    assert json.loads(entries[MODEL])["card"]["name"] == "blobs"


@pytest.mark.parametrize("count", [1, 3])
def test_a_file_runs_with_onnxruntime_alone_for_any_batch(count, model, tmp_path):
    import onnxruntime

    export(model, tmp_path / "m.onnx", exporting=Exporting(), views=drawn_views(model))
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3, 64, 48)).astype(np.float32)
    _, xy, score = session.run(None, {"image": pixels})
    views = graph_of(model).colours().views(torch.from_numpy(pixels))
    right = model.predict(views, flip=False)
    assert np.abs(xy - right.xy.detach().numpy()).max() < 0.01
    assert score.shape == (count, 17)


def test_normalised_views_and_outputs_alone_are_written_too(model, image, tmp_path):
    made = export(model, tmp_path / "m.onnx", exporting=Exporting(normalise=False, decode=False), views=drawn_views(model))
    loaded = load(made.path)
    assert loaded.network.colours is None
    with pytest.raises(InputError, match=r"m.onnx takes views of 64x48 pixels alone \(height x width\), not 32x48"):
        loaded(torch.zeros(1, 3, 32, 48))
    right, found = (Predictor(one, precision="fp32")(image, boxes=BOXES) for one in (model, loaded))
    assert torch.allclose(found.xy, right.xy, atol=0.01)


@pytest.mark.parametrize("seed", [1, 3, 5, 6, 16, 17])
def test_a_network_that_knows_nothing_is_written(seed, tmp_path):
    torch.manual_seed(seed)
    model = build("poise_t_coco_64x64")  # flat maps: rounding decides which cell is the highest, and where its middle is
    made = export(model, tmp_path / "m.onnx", exporting=Exporting(), views=torch.randn(8, 3, 64, 64))
    assert made.pixels is None or made.pixels < 0.1


def test_a_file_whose_outputs_differ_is_not_written(model, tmp_path, monkeypatch):
    monkeypatch.setattr(
        Graph, "views", lambda self, image: self.colours().views(image) * (1.5 if torch.jit.is_tracing() else 1)
    )
    with pytest.raises(InputError, match="not written: its answers differ by"):
        export(model, tmp_path / "m.onnx", exporting=Exporting(decode=False), views=drawn_views(model))
    assert not list(tmp_path.iterdir())


def test_a_file_that_differs_is_not_written(model, tmp_path, monkeypatch):
    right = Graph.read

    def shifted(self, output):
        xy, score = right(self, output)
        return (xy + 0.2 if torch.jit.is_tracing() else xy), score

    monkeypatch.setattr(Graph, "read", shifted)
    with pytest.raises(InputError, match=r"not written: a keypoint is 0\.28 pixels .* --no-decode"):
        export(model, tmp_path / "m.onnx", exporting=Exporting(), views=drawn_views(model))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("precision", "ending"), [("fp16", "onnx"), ("fp16", "xml"), ("bf16", "xml"), ("int8", "onnx"), ("int8", "xml")]
)
def test_other_precisions_are_written_with_what_they_cost(precision, ending, model, image, tmp_path):
    views = drawn_views(model)
    made = export(model, tmp_path / f"m.{ending}", exporting=Exporting(precision=precision), views=views, calibration=views)
    assert made.moved is not None
    assert made.moved < (64 if precision == "int8" else 2)  # this network has no room for int8
    assert made.kept is not None
    assert 0 <= made.kept <= 1
    assert precision == "int8" or made.kept > 0.95
    loaded = load(made.path)
    assert len(Predictor(loaded)(image, boxes=BOXES)) == 2
    if precision == "int8" and ending == "onnx":
        import onnx

        kinds = {node.op_type for node in onnx.load(str(made.path)).graph.node}
        assert "QuantizeLinear" in kinds


@pytest.mark.parametrize("ending", ["onnx", "xml"])
def test_openvino_computes_an_int8_file_in_int8(ending, model, tmp_path):
    import openvino

    views = drawn_views(model)
    made = export(model, tmp_path / f"m.{ending}", exporting=Exporting(precision="int8"), views=views, calibration=views)
    ran = openvino.Core().compile_model(str(made.path), "CPU").get_runtime_model()
    layers = [one.get_rt_info() for one in ran.get_ops() if one.get_rt_info()["layerType"].astype(str) == "Convolution"]
    assert len(layers) > 3
    assert sum(one["runtimePrecision"].astype(str) in ("u8", "i8") for one in layers) >= 0.75 * len(layers)


@pytest.mark.parametrize("ending", ["onnx", "xml"])
def test_lite_hrnet_is_decoded_in_the_file_for_any_number_of_views(ending, tmp_path):
    model = build("litehrnet_18_coco17_64x64").eval()
    views = drawn_views(model)
    made = export(model, tmp_path / f"m.{ending}", exporting=Exporting(), views=views)
    loaded = require_top_down(load(made.path))
    for count in (1, 3):
        assert loaded.output(views[:count], flip=False).shape[0] == count


def test_whole_images_give_maps_and_peaks(tmp_path):
    torch.manual_seed(0)
    model = build("poise_scene_t_coco_64x64").eval()
    model.preprocess = replace(model.preprocess, side=64)
    made = export(model, tmp_path / "m.onnx", exporting=Exporting(), views=drawn_views(model))
    loaded = load(made.path)
    views = torch.rand(1, 3, 96, 64)
    with torch.inference_mode():
        assert torch.allclose(loaded(views), model(views), atol=1e-4)
        _, peaks, score = graph_of(model, normalise=False)(views)
    assert peaks.shape == (1, 17, 30, 2)
    assert bool((score[..., :-1] >= score[..., 1:]).all())


def test_blazepose_and_its_detector_are_files_of_their_own(image, tmp_path):
    torch.manual_seed(0)
    model, finder = build("blazepose_landmark_lite").eval(), build("blazepose_detector").eval()
    loaded = load(export(model, tmp_path / "m.onnx", exporting=Exporting(), views=drawn_views(model)).path)
    right, found = (Predictor(one, precision="fp32")(image, boxes=BOXES) for one in (model, loaded))
    assert torch.allclose(found.xy, right.xy, atol=0.1)
    made = export(finder, tmp_path / "d.onnx", exporting=Exporting(), views=drawn_views(finder))
    settings = InferenceSettings.of(finder, precision="fp32", flip=False)
    assert settings.batch
    views = drawn_views(finder)
    with torch.inference_mode():
        for one, other in zip(load(made.path).network(views), finder.network(views), strict=True):
            assert torch.allclose(one, other, atol=1e-3)


def test_rtmo_finds_the_same_people_from_its_file(image, tmp_path):
    torch.manual_seed(0)
    model = build("rtmo_t_64x64").eval()
    for layer in model.network.head.head_module.out_cls:
        torch.nn.init.normal_(layer.weight, std=10.0)
        torch.nn.init.zeros_(layer.bias)  # some cells are people
    made = export(model, tmp_path / "m.onnx", exporting=Exporting(), views=drawn_views(model))
    right, found = (Predictor(one, precision="fp32")(image) for one in (model, load(made.path)))
    assert len(right) > 1
    torch.testing.assert_close(found.pose_score, right.pose_score, atol=1e-4, rtol=0)
    right, found = (one[one.boxes.sum(dim=1).argsort()] for one in (right, found))  # scores of nearly the same order may swap
    for name in ("boxes", "xy", "score"):
        torch.testing.assert_close(getattr(found, name), getattr(right, name), atol=0.05, rtol=0)
    bare = export(model, tmp_path / "n.onnx", exporting=Exporting(decode=False), views=drawn_views(model))
    with pytest.raises(CheckpointError, match="--no-decode"):
        load(bare.path)


def test_rtmdet_finds_the_same_boxes_from_its_file(image, tmp_path):
    torch.manual_seed(0)
    model = build("rtmdet_nano_64x64").eval()
    for layer in (*model.network.head.rtm_cls, *model.network.head.rtm_reg):
        torch.nn.init.normal_(layer.weight, std=0.5)
    made = export(model, tmp_path / "m.onnx", exporting=Exporting(), views=drawn_views(model))
    each = []
    for one in (model, load(made.path)):
        views = one.views(torch.from_numpy(image).permute(2, 0, 1))
        with torch.inference_mode():
            each.append(one.joined_boxes(views, one.boxes(views.views[0][None], [(views, 0)], flip=False)))
    right, found = each
    assert len(right.boxes) > 3
    torch.testing.assert_close(found.boxes, right.boxes, atol=0.01, rtol=0)
    torch.testing.assert_close(found.score, right.score, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["vitpose_s_simple_64x64", "litehrnet_18_coco17_64x64", "dekr_w32_coco17_64x64"])
def test_networks_with_operations_of_their_own_take_any_batch(name, tmp_path):
    torch.manual_seed(0)
    model = build(name)  # compared on eight views, and traced with two
    made = export(model, tmp_path / "m.onnx", exporting=Exporting(decode=False), views=torch.randn(8, 3, 64, 64))
    assert made.pixels is None or made.pixels < 0.1


def test_a_file_that_the_runtime_cannot_run_is_not_written(model, tmp_path, monkeypatch):
    count = Blobs.forward
    monkeypatch.setattr(Blobs, "forward", lambda self, images: count(self, images).reshape(len(images), 17, 16, 12))
    with pytest.raises(InputError, match=r"not written: ONNX Runtime .* cannot run it"):
        export(model, tmp_path / "m.onnx", exporting=Exporting(decode=False), views=drawn_views(model))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flip", [False, True])
def test_multitask_models_give_keypoints_and_parts(flip, image, tmp_path):
    torch.manual_seed(0)
    model = build("hourglass_multitask_1stack_b1_18j_64x64").eval()
    made = export(model, tmp_path / "m.onnx", exporting=Exporting(flip=flip), views=drawn_views(model))
    loaded = load(made.path)
    assert type(loaded) is type(model)
    assert loaded.output_text == model.output_text
    views = drawn_views(model)[:2]
    assert torch.equal(loaded.parts(views), model.parts(views))
    output = model.output(views, flip=flip)
    assert torch.allclose(loaded.output(views, flip=False), output, atol=1e-4 * float(output.detach().abs().max()))


def test_commands_take_an_exported_file_as_they_take_a_model_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    save(build("poise_t_coco_64x64"), "m.safetensors")
    write_coco(FigureDataset(2, size=(96, 96)), tmp_path / "data")
    assert main(["export", "m.safetensors", "--out", "m.onnx", "--no-decode"]) == 0
    assert "pixels from the model at most" in capsys.readouterr().out
    files = ("--annotations", "data/annotations.json", "--images", "data/images")
    assert main(["evaluate", "m.onnx", *files]) == 0
    assert "cpu in fp32, by ONNX Runtime" in capsys.readouterr().out
    assert main(["evaluate", "m.onnx", *files, "--runtime", "torch"]) == 0
    assert main(["evaluate", "m.onnx", *files, "--precision", "bf16"]) == 0
    assert "computes in fp32, as it was exported" in capsys.readouterr().err
    assert main(["evaluate", "m.safetensors", *files, "--runtime", "onnxruntime"]) == 0
    assert "cpu in fp32, by ONNX Runtime" in capsys.readouterr().out
    assert main(["export", "m.safetensors", "--out", "flip.onnx", "--flip"]) == 0
    assert main(["evaluate", "flip.onnx", *files, "--no-flip", "--out", "scores"]) == 0
    told = capsys.readouterr()
    assert "flip test in the file" in told.out
    assert "--no-flip changes nothing" in told.err
    assert main(["train", "finetune", *files, "--val-share", "0.5", "--start", "m.onnx", "--epochs", "1", "--out", "run"]) == 1
    assert "was exported and has no weights that could be trained" in capsys.readouterr().err
    assert main(["export", "m.safetensors", "--out", "n.onnx", "--int8"]) == 2
    assert "--int8 takes one value or more" in capsys.readouterr().err
    assert main(["evaluate", "m.onnx", *files, "--runtime", "compile"]) == 1
    assert "leave out --runtime" in capsys.readouterr().err
    assert main(["predict", "data/images", "--model", "m.onnx", "--out", "found", "--whole-image"]) == 0
    assert main(["export", "m.onnx", "--out", "n.onnx"]) == 1
    assert "exported already" in capsys.readouterr().err
    assert main(["export", "m.safetensors", "--out", "m.tflite"]) == 1
    assert main(["export", "m.safetensors", "--out", "n.onnx", "--bf16"]) == 1
    assert main(["export", "m.safetensors", "--out", "n.onnx", "--fp16", "--int8", "data/images"]) == 1


def test_files_of_others_and_broken_ones_are_told_in_a_sentence(model, tmp_path):
    import onnx

    (tmp_path / "a.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match="damaged"):
        load(tmp_path / "a.onnx")
    export(model, tmp_path / "m.onnx", exporting=Exporting(), views=drawn_views(model))
    other = onnx.load(str(tmp_path / "m.onnx"))
    del other.metadata_props[:]
    onnx.save(other, str(tmp_path / "b.onnx"))
    with pytest.raises(CheckpointError, match="not written by poise"):
        load(tmp_path / "b.onnx")
    with pytest.raises(CheckpointError):
        load(tmp_path / "there-is-none.onnx")
    kind = type("Other", (ImageModel,), dict.fromkeys(ImageModel.__abstractmethods__))  # of somebody's own package
    other = kind()
    other.card = model.card
    with pytest.raises(InputError, match="cannot be exported"):
        graph_of(other)
    with pytest.raises(InputError, match="could not be loaded"):
        save(load(tmp_path / "m.onnx"), tmp_path / "m.safetensors")
