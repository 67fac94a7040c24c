"""Label files of public sets and of labelling tools, in the forms in which they are published (`public_sets`)."""

import contextlib
import importlib
import json
import os
import re
import sys
from pathlib import Path

import pytest
import torch

from poise.cli.main import main
from poise.data.coco import CocoDataset
from poise.data.digest import digest
from poise.data.document import read_document
from poise.data.naming import naming_of
from poise.errors import AnnotationError, PoiseError
from poise.evaluation.eval_set import EvalSet
from poise.notes import forget_notes
from poise.skeletons import COCO17
from poise.structures import Preprocess
from poise.transforms.person_crop import PersonCrop

sys.path.insert(0, str(Path(__file__).parent))
FORMS = importlib.import_module("public_sets").FORMS
BOX, FIRST = (getattr(importlib.import_module("public_sets.made"), name) for name in ("BOX", "FIRST"))
sys.path.pop(0)

pytestmark = pytest.mark.usefixtures("scipy_io")

TRAINED = ("labelme", "YOLO-pose, no names", "COCO-WholeBody")
"""Forms of which a run is made; of all others the first view."""


@pytest.fixture
def made(tmp_path):
    """Makes the fake of a form."""
    forget_notes()
    return lambda form: FORMS[form](tmp_path)


def naming(fake):
    return naming_of(fake.skeleton, fake.fields, ())


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_views_to_train_on_or_one_sentence(made, form):
    fake = made(form)
    if fake.refused or fake.without:
        with pytest.raises(PoiseError) as caught:
            CocoDataset(fake.labels, fake.images)
        assert re.search(fake.refused or fake.without, str(caught.value)), caught.value
        assert "\n" not in str(caught.value)
    if fake.refused:
        return
    dataset = CocoDataset(fake.labels, fake.images, naming=naming(fake))
    assert len(dataset.skeleton) == fake.keypoints
    assert len(dataset) == 2
    assert [image for image, _ in dataset.people()][-1] == 1
    if fake.first is not None:
        first = dataset.skeleton.index(fake.first)
        torch.testing.assert_close(dataset.labels(0).xy[0, first], torch.tensor(FIRST), atol=0.01, rtol=0)
    image, person = dataset.people()[0]
    view = PersonCrop(size=(32, 24), preprocess=Preprocess(), skeleton=dataset.skeleton)(dataset[image], person)
    assert (view.labels.visible > 0).sum() >= fake.keypoints - 1


def test_three_in_four_forms_can_be_trained_on(tmp_path):
    made = [make(folder) for name, make in FORMS.items() if not (folder := tmp_path / re.sub(r"\W", "_", name)).mkdir()]
    assert len(made) >= 78
    assert sum(fake.refused is None for fake in made) >= 60


@pytest.mark.parametrize("form", [TRAINED[0], *(pytest.param(form, marks=pytest.mark.exhaustive) for form in TRAINED[1:])])
def test_forms_of_all_kinds_are_trained_and_evaluated_by_the_command(made, form, tmp_path, monkeypatch, capsys):
    fake = made(form)
    monkeypatch.chdir(tmp_path)
    flags = [*(["--skeleton", fake.skeleton] if fake.skeleton else []), *(["--fields", *fake.fields] if fake.fields else [])]
    files = ["--annotations", str(fake.labels), "--images", str(fake.images), *flags]
    small = [
        "--val-share",
        "0.5",
        "--model",
        "poise_t",
        "--size",
        "32",
        "32",
        "--epochs",
        "1",
        "--repeats",
        "1",
        "--workers",
        "0",
    ]
    small += ["--batch", "2", "--device", "cpu", "--logger", "none"]
    assert main(["train", "finetune", *files, *small, "--out", "run"]) == 0, capsys.readouterr().err
    assert main(["evaluate", "run/model.safetensors", *files, "--out", "report.json"]) == 0, capsys.readouterr().err
    assert json.loads((tmp_path / "report.json").read_text())


@pytest.mark.parametrize(
    "form", ["labelme", "YOLO-pose", "Label Studio", "CVAT for images, points", "StanfordExtra", "AI Challenger"]
)
def test_boxes_of_other_forms_become_x_y_width_height_in_pixels(made, form):
    fake = made(form)
    row = read_document(fake.labels, images=fake.images)["annotations"][0]
    assert row["bbox"] == pytest.approx(list(BOX), abs=1e-3)


def test_a_form_is_said_once_and_a_fix_writes_it_in_cocos_form(made, tmp_path, capsys):
    fake = made("labelme")
    fixed = tmp_path / "fixed.json"
    assert main(["data", "check", str(fake.labels), "--images", str(fake.images), "--fix", str(fixed)]) == 0
    said = capsys.readouterr()
    assert (said.out + said.err).count("is read as labelme's: 2 images, 2 labelled") == 1
    written = CocoDataset(fixed, fake.images)
    assert written.labels(0).xy.tolist() == CocoDataset(fake.labels, fake.images).labels(0).xy.tolist()
    assert main(["data", "split", str(fake.labels), "--share", "0.5", "--out", str(tmp_path / "splits")]) == 0
    assert len(CocoDataset(tmp_path / "splits" / "val.json", fake.images).people()) == 1


def test_several_folders_are_fixed_into_files_of_their_names(made, tmp_path):
    fake = made("YOLO-pose")
    main(["data", "check", str(fake.labels), "--images", str(fake.images), "--fix", str(tmp_path / "fixed")])
    assert (tmp_path / "fixed" / "train.json").is_file()


def test_two_people_in_a_picture_are_told_apart_by_groups_or_boxes_else_refused(made):
    fake = made("labelme, no groups")
    path = fake.labels / "a.json"
    content = json.loads(path.read_text())
    shapes = content["shapes"]
    other = [s | {"points": [[x + 1000, y] for x, y in s["points"]]} for s in shapes]
    content["shapes"] = shapes + other
    path.write_text(json.dumps(content))
    assert len(read_document(fake.labels)["annotations"]) == 3
    content["shapes"] = [s for s in shapes + other if s["shape_type"] == "point"]
    path.write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match=r"a\.json' has keypoint 'snout' 2 times.*group_id"):
        read_document(fake.labels)


def test_hidden_points_of_tools_are_hidden(made):
    labels = CocoDataset((fake := made("CVAT for images")).labels, fake.images).labels(0)
    assert labels.visible.tolist() == [[2, 2, 2, 1]]


def test_checksums_of_a_folder_of_labels_follow_its_files(made):
    fake = made("YOLO-pose")
    before = digest(CocoDataset(fake.labels, fake.images))
    path = fake.labels / "a.txt"
    path.write_text(path.read_text().replace("2.000000\n", "1\n"))
    assert before.changes(digest(CocoDataset(fake.labels, fake.images)))


@pytest.mark.parametrize("form", FORMS)
def test_cut_files_of_every_form_get_a_sentence(made, form):
    fake = made(form)
    path = fake.labels if fake.labels.is_file() else sorted(p for p in fake.labels.rglob("*") if p.suffix in ENDS)[0]
    whole = path.read_bytes()
    for share in (0.0, 0.3, 0.6, 0.97):
        path.write_bytes(whole[: int(share * len(whole))])
        with contextlib.suppress(PoiseError):
            EvalSet.of_file(fake.labels, fake.images, skeleton=COCO17, naming=naming(fake))


ENDS = (".json", ".txt", ".pts")


def test_xml_with_entities_is_refused(made):
    fake = made("CVAT for images")
    text = fake.labels.read_text().replace("<annotations>", '<!DOCTYPE a [<!ENTITY b "c">]><annotations>')
    fake.labels.write_text(text)
    with pytest.raises(AnnotationError, match=r"annotations\.xml' declares a document type"):
        CocoDataset(fake.labels, fake.images)


def test_a_folder_without_labels_says_what_folders_are_read(tmp_path):
    (tmp_path / "a.jpg").touch()
    with pytest.raises(AnnotationError, match="is a folder, and its files are none of the labels"):
        CocoDataset(tmp_path, None)


def test_predictions_of_deeplabcut_are_not_taken_for_labels(made):
    fake = made("DeepLabCut, CSV")
    fake.labels.write_text(fake.labels.read_text().replace(",x,y,x,y", ",x,y,likelihood,y", 1))
    with pytest.raises(AnnotationError, match="predictions of DeepLabCut"):
        CocoDataset(fake.labels, fake.images)


@pytest.mark.skipif(os.environ.get("POISE_DATA") is None, reason="$POISE_DATA is not set")
def test_local_cases_of_other_tools_are_read():
    cases = Path(os.environ["POISE_DATA"]).parent / "cases"
    if not cases.is_dir():
        pytest.skip("$POISE_DATA/../cases is not here")
    images = cases / "images"
    people = {"labelme": 6, "yolo/labels": 16, "cvat/annotations.xml": 1, "dlc/CollectedData_Ann.csv": 2, "mpii.mat": 4}
    for name, count in people.items():
        assert len(read_document(cases / name, images=images)["annotations"]) == count
