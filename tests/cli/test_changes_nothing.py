"""Flags that would change nothing are refused in one sentence, by every command, and nothing is left behind."""

import json

import pytest

from poise.data.document import read_document
from poise.weights.model_file import save
from poise.zoo import build

from ..data.fakes import coco as fake

PERSON = "poise_t_coco_64x64"


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Labels, images, poses of nobody, and a model of each kind."""
    home = tmp_path_factory.mktemp("home")
    labels, images = fake.write(home / "coco")
    (home / "poses.json").write_text("[]")
    return {
        "LABELS": labels,
        "IMAGES": images,
        "ID": read_document(labels)["images"][0]["id"],
        "POSES": home / "poses.json",
        "PERSON": save(build(PERSON, codec="Gaussian"), home / "person.safetensors"),
        "SCENE": save(build("poise_scene_t_coco_64x64"), home / "scene.safetensors"),
        "RCNN": save(build("poise_rcnn_t_coco_64x64"), home / "rcnn.safetensors"),
    }


SELF_TEST = "evaluate PERSON --annotations LABELS --self-test"
EVALUATE = "evaluate PERSON --annotations LABELS --images IMAGES"
RCNN = "evaluate RCNN --annotations LABELS --images IMAGES"
PREDICT = "predict IMAGES --model PERSON"
EXPLAIN = "explain POSES ID --annotations LABELS"
COMPARE = "compare POSES POSES --annotations LABELS"
WALK = "data walk --annotations LABELS --images IMAGES --model PERSON"
TORCHVISION = "fasterrcnn_resnet50_fpn_v2"


@pytest.mark.parametrize(
    ("command", "flag", "says"),
    [
        (SELF_TEST, "--boxes LABELS", "--self-test runs no network and looks for nobody; leave out --boxes"),
        (SELF_TEST, "--detector nonsense", "leave out --detector"),
        (SELF_TEST, "--min-box-score 0.5", "leave out --min-box-score"),
        (SELF_TEST, "--min-keypoint-score 0.2", "leave out --min-keypoint-score"),
        (SELF_TEST, "--oks-nms banana", "leave out --oks-nms"),
        (SELF_TEST, "--detecting-set nms=0.6", "leave out --detecting-set"),
        (SELF_TEST, "--no-flip", "leave out --no-flip"),
        (SELF_TEST, "--device cpu", "leave out --device"),
        (SELF_TEST, "--precision bf16", "leave out --precision"),
        (SELF_TEST, "--batch 3", "leave out --batch"),
        (SELF_TEST, "--workers 2", "leave out --workers"),
        (SELF_TEST, "--pad-batches", "leave out --pad-batches"),
        (SELF_TEST, "--device cpu --batch 2", "leave out --device and --batch"),
        (EVALUATE, "--min-box-score 0.5", "--min-box-score is for boxes of --detector, or of a file of --boxes"),
        (EVALUATE, "--boxes gt --min-box-score 0.5", "--min-box-score is for boxes of --detector"),
        (
            EVALUATE,
            f"--detector {TORCHVISION} --pad-batches",
            "sees one image at a time: nothing to pad; leave out --pad",
        ),
        (PREDICT, "--min-box-score 0.5", "--min-box-score is for boxes of --detector, or of a file of --boxes"),
        ("predict IMAGES --model SCENE", "--min-box-score 0.5", "finds and rates people by itself; leave out --min-box-score"),
        (PREDICT, f"--detector {TORCHVISION} --pad-batches", "nothing to pad; leave out --pad-batches"),
        (f"detect IMAGES --detector {TORCHVISION}", "--pad-batches", "nothing to pad; leave out --pad-batches"),
        (EXPLAIN, "--images IMAGES", "no model looks at the image; leave out --images"),
        (EXPLAIN, "--boxes gt", "leave out --boxes"),
        (EXPLAIN, "--no-flip", "leave out --no-flip"),
        (EXPLAIN, "--device cpu", "leave out --device"),
        (EXPLAIN, "--precision fp32", "leave out --precision"),
        (COMPARE, "--images IMAGES", "no model looks at an image; leave out --images"),
        (COMPARE, "--boxes gt", "leave out --boxes"),
        (COMPARE, "--no-flip", "leave out --no-flip"),
        (COMPARE, "--device cpu", "leave out --device"),
        (COMPARE, "--batch 4", "leave out --batch"),
        (COMPARE, "--workers 2", "leave out --workers"),
        (WALK, "--codec Gaussian", "a model has a codec and a size of its own; leave out --codec"),
        (WALK, "--size banana", "leave out --size"),
        ("data stats LABELS", "--count 5", "without --images the labels alone are counted; leave out --count"),
        (RCNN, "--detecting-set sigma=0.3", "sigma=0.3: it is of soft suppression, and suppression is hard, so nothing would"),
        (RCNN, "--detecting-set nms=0.6 suppression=soft", "nms=0.6: suppression is soft, and lowers scores by sigma"),
        (
            RCNN,
            "--detecting-set calibration.middle=0.3 keypoint_score=raw rating=box",
            "calibration.middle=0.3: keypoint_score is raw and rating is box, and neither is a probability",
        ),
    ],
)
def test_a_flag_that_would_change_nothing_is_refused(run, tmp_path, command, flag, says):
    code, said = run(f"{command} {flag}")
    assert code == 1
    assert says in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        SELF_TEST + " --images IMAGES",
        f"{EXPLAIN} --area large",
        f"{COMPARE} --resamples 100",
        "data stats LABELS --images IMAGES --count 1",
        f"{RCNN} --detecting-set suppression=hard --no-flip",
        f"{RCNN} --detecting-set calibration=none keypoint_score=raw rating=box --no-flip",
    ],
)
def test_a_flag_that_may_change_something_is_taken_whatever_its_value(run, text):
    assert run(text) == (0, "")


def test_channels_of_no_image_are_refused(run):
    code, said = run("data stats LABELS --images IMAGES --count 0")
    assert code == 1
    assert "--count is a whole number, 1 to" in said


@pytest.mark.parametrize("kind", ["PERSON", "RCNN"])
def test_a_mat_is_for_mpii_however_its_ending_is_written(run, tmp_path, kind):
    code, said = run(f"evaluate {kind} --annotations LABELS --images IMAGES --out made.MAT")
    assert code == 1
    assert "end the name in .json" in said
    assert list(tmp_path.iterdir()) == []


def test_results_are_told_by_their_ending_however_it_is_written(run, tmp_path, places):
    large = tmp_path / "POSES.JSON"
    large.write_text(json.dumps([]))
    assert run(f"compare {large} POSES --annotations LABELS --resamples 100") == (0, "")
    assert run(f"explain {large} ID --annotations LABELS") == (0, "")
    assert run("data check LABELS --fix MENDED.JSON")[0] in (0, 1)
    assert (tmp_path / "MENDED.JSON").is_file()
    assert json.loads((tmp_path / "MENDED.JSON").read_text())["images"]
