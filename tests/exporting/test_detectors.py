"""Exported detectors with proposals: boxes, people and maps are those of the model, in images of any size, and of nobody."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from poise.cli.main import main
from poise.data.figures import FigureDataset, write_coco
from poise.errors import InputError
from poise.exporting.detector_graphs import DetectorGraph, padded
from poise.exporting.graphs import graph_of
from poise.exporting.views import drawn_views
from poise.exporting.write import Exporting, export
from poise.inference.predictor import Predictor
from poise.models.box_detector import BoxDetector
from poise.nn.heads.roi import BoxPredictor
from poise.scenes import Canvas
from poise.weights.exported_file import EXPORT
from poise.weights.model_file import load, save
from poise.zoo import build

pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")


def confident(model):
    """The model with a box head that is sure of something, so that there are people."""
    for layer in model.network.modules():
        if isinstance(layer, BoxPredictor):
            for name, weight in layer.named_parameters():
                if "cls" in name and name.endswith("weight"):
                    torch.nn.init.normal_(weight, std=0.3)
    return model.eval()


def small(codec=None, name="poise_rcnn_t_coco_64x64"):
    torch.manual_seed(0)
    return confident(build(name, codec=codec))


@pytest.fixture
def image():
    return FigureDataset(1, size=(120, 100)).image(0).permute(1, 2, 0).numpy()


def same_people(model, loaded, image, *, flip=False):
    right, found = (Predictor(one, flip=own, precision="fp32")(image) for one, own in ((model, flip), (loaded, False)))
    assert len(right) == len(found) > 3
    for name in ("boxes", "xy", "score", "pose_score", "box_score"):
        torch.testing.assert_close(getattr(found, name), getattr(right, name), atol=0.01, rtol=0)


@pytest.mark.parametrize(("ending", "codec"), [("onnx", "OneHot"), ("xml", None)])
def test_a_file_finds_the_people_of_its_model_in_images_of_other_sizes(ending, codec, image, tmp_path):
    model = small(codec)
    if codec:
        model.reconfigure(lambda own: replace(own, reading="peak"), lambda own: own)
    made = export(model, tmp_path / f"m.{ending}", exporting=Exporting(), views=drawn_views(model)[:2])
    assert made.pixels < 0.01
    loaded = load(made.path)
    for shown in (image, image[:, :77], np.pad(image, ((0, 30), (0, 0), (0, 0)))):
        same_people(model, loaded, shown)


def test_the_flip_test_is_in_the_file(image, tmp_path):
    model = small()
    model.config = replace(model.config, score=0.01)
    made = export(model, tmp_path / "m.onnx", exporting=Exporting(flip=True), views=drawn_views(model)[:2])
    loaded = load(made.path)
    same_people(model, loaded, image, flip=True)
    with pytest.raises(InputError, match="does it by itself"):
        Predictor(loaded, flip=True)


def test_maps_without_keypoints_are_read_by_poise_and_one_stage_detectors_are_written_too(image, tmp_path):
    model = small(name="poise_fcos_t_coco_64x64")
    exporting = Exporting(normalise=False, decode=False)
    loaded = load(export(model, tmp_path / "m.onnx", exporting=exporting, views=drawn_views(model)[:1]).path)
    same_people(model, loaded, image)
    assert not loaded.flip
    with pytest.raises(InputError, match="without the flip test, which would be in the file"):
        Predictor(loaded, flip=True)


def test_nobody_is_an_answer(tmp_path):
    import onnxruntime

    model = small()
    model.config = replace(model.config, score=1.0)
    made = export(model, tmp_path / "m.onnx", exporting=Exporting(), views=drawn_views(model)[:1])
    assert made.pixels is None
    session = onnxruntime.InferenceSession(str(made.path), providers=["CPUExecutionProvider"])
    answers = dict(zip([one.name for one in session.get_outputs()], session.run(None, {"image": _pixels(50, 40)}), strict=True))
    assert {name: len(answer) for name, answer in answers.items()} == dict.fromkeys(answers, 0)
    assert answers["keypoints"].shape == (0, 17, 2)
    assert session.get_inputs()[0].shape == [1, 3, "image_2", "image_3"]
    assert session.get_outputs()[0].shape == ["people", 4]


def test_a_detector_of_boxes_is_a_file_too(image, tmp_path):
    whole = small()
    model = BoxDetector(whole.network, whole.preprocess, whole.card, whole.config).eval()
    made = export(model, tmp_path / "m.onnx", exporting=Exporting(), views=drawn_views(model)[:1])
    assert made.pixels < 0.01
    loaded = load(made.path)
    views = model.views(torch.from_numpy(image).permute(2, 0, 1))
    with torch.inference_mode():
        right, found = (one.boxes(views.views[0][None], [(views, 0)], flip=False)[0] for one in (model, loaded))
    torch.testing.assert_close(found.boxes, right.boxes, atol=0.01, rtol=0)
    torch.testing.assert_close(found.score, right.score, atol=1e-4, rtol=0)
    assert loaded.output_text == "boxes of people"


def test_the_metadata_says_of_what_part_of_a_box_maps_are(tmp_path):
    import onnx

    model = small()
    assert graph_of(model).described() == {"inclusive": False}
    model.network.keypoint_pooler.inclusive = True
    made = export(model, tmp_path / "m.onnx", exporting=Exporting(), views=drawn_views(model)[:1])
    entries = {one.key: one.value for one in onnx.load(str(made.path)).metadata_props}
    assert json.loads(entries[EXPORT])["inclusive"] is True
    assert json.loads(entries[EXPORT])["input"] == "RGB pixels, 0 to 255 (1, 3, h, w)"
    boxes = torch.tensor([[0.0, 0.0, 10.0, 20.0]])
    assert torch.equal(load(made.path).pooled_boxes([boxes]), model.pooled_boxes([boxes]))


@pytest.mark.parametrize("wrong", ["moved", "lost"])
def test_a_file_that_finds_others_is_not_written(wrong, tmp_path, monkeypatch):
    model = small()
    right = DetectorGraph.passes

    def changed(self, image):
        if torch.jit.is_tracing():
            factor = {"moved": 1.05, "lost": 0.0}[wrong]
            return right(self, image * factor)
        return right(self, image)

    monkeypatch.setattr(DetectorGraph, "passes", changed)
    with pytest.raises(InputError, match=r"the file is not written: (it finds|the confidence of a box|a corner or keypoint)"):
        export(model, tmp_path / "m.onnx", exporting=Exporting(), views=drawn_views(model)[:1])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("canvas", [Canvas(multiple=32), Canvas(multiple=32, rule="torchvision", channels="bgr")])
def test_the_file_pads_as_the_canvas_does(canvas):
    from poise.transforms.canvas import canvas_layout

    canvas = replace(canvas, side=50, fill=(200.0, 10.0, 30.0))
    image = FigureDataset(1, size=(120, 100)).image(0)
    layout = canvas_layout(canvas, (120, 100))
    view = layout.render(image, canvas)
    high, wide = layout.filled_size
    torch.testing.assert_close(padded(view[None, :, :high, :wide], canvas)[0], view, atol=1e-5, rtol=0)


def test_other_precisions_say_what_they_cost(tmp_path):
    model = small()
    views = drawn_views(model)[:2]
    made = export(model, tmp_path / "m.xml", exporting=Exporting(precision="fp16"), views=views)
    assert made.moved < 1
    assert graph_of(model).names == ("boxes", "box_scores", "maps", "keypoints", "scores")


def _pixels(height, width):
    return np.random.default_rng(0).integers(0, 256, (1, 3, height, width)).astype(np.float32)


def test_the_command_that_finds_boxes_takes_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save(small(), "m.safetensors")
    write_coco(FigureDataset(2, size=(96, 96)), tmp_path / "data")
    assert main(["export", "m.safetensors", "--out", "m.onnx", "--no-decode", "--flip"]) == 0
    assert "on 3 views" in capsys.readouterr().out
    each = []
    for file in ("m.safetensors", "m.onnx"):
        assert main(["detect", "data/images", "--detector", file, "--out", f"{file}.json", "--precision", "fp32"]) == 0
        each.append(json.loads((tmp_path / f"{file}.json").read_text()))
    right, found = each
    assert len(found) == len(right) > 3
    assert np.abs([np.subtract(a["bbox"], b["bbox"]) for a, b in zip(right, found, strict=True)]).max() < 0.1
