import copy
import importlib.util
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from poise.data.coco import CocoDataset
from poise.data.document import read_document, write_document
from poise.data.files import ImageFiles
from poise.data.lint import check_file, people, remove_leakage
from poise.data.lint.image_files import read_image_infos
from poise.errors import PoiseError

spec = importlib.util.spec_from_file_location("fake_coco", Path(__file__).parents[1] / "fakes" / "coco.py")
fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return fake.write(tmp_path_factory.mktemp("coco"))[1]


def kinds(checked):
    return {f.rule for f in checked.findings}


def test_a_sound_file_has_no_findings(images):
    document = fake.document()
    checked = check_file(document, read_image_infos(document, ImageFiles(images)))
    assert checked.findings == ()
    assert checked.fixed == document


def test_no_rule_is_tried_on_annotations_in_order_and_keypoints_that_all_lack_are_one_list(images, monkeypatch):
    document = fake.document()
    first, second = (without_keypoints(person) for person in document["annotations"][:2])
    document["annotations"] += [first | {"id": 91}, second | {"id": 92}]
    tried = []
    check = people._check
    monkeypatch.setattr(people, "_check", lambda person: tried.append(person.annotation["id"]) or check(person))
    fixed = check_file(document, {}).fixed["annotations"]
    assert tried == [91, 92]  # in the first round; in the second they are in order
    assert fixed[-1]["keypoints"] == [0] * len(fixed[0]["keypoints"])
    assert fixed[-1]["keypoints"] is fixed[-2]["keypoints"]  # a million of them take no memory


def without_keypoints(annotation):
    return {name: value for name, value in annotation.items() if name not in ("keypoints", "num_keypoints")}


def at(*path, to):
    def change(document):
        place = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return change


def without(*path):
    def change(document):
        place = document
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]

    return change


def person(name, value):
    return at("annotations", 2, name, to=value)


def keypoint(x, y, v):
    def change(document):
        document["annotations"][2]["keypoints"][:3] = [x, y, v]

    return change


def twice(what, **changes):
    def change(document):
        document[what].append({**copy.deepcopy(document[what][2]), **changes})

    return change


MENDABLE = [
    (without("annotations", 2, "area"), "area missing"),
    (person("area", 0), "area is zero"),
    (person("area", -3), "area is no positive number"),
    (person("area", float("nan")), "area is no positive number"),
    (without("annotations", 2, "num_keypoints"), "num_keypoints missing"),
    (person("num_keypoints", 1), "num_keypoints wrong"),
    (without("annotations", 2, "iscrowd"), "iscrowd missing"),
    (person("id", 0), "annotation id is 0"),
    (person("id", 1), "annotation id repeats"),
    (without("annotations", 2, "id"), "annotation id is missing"),
    (person("image_id", 12345), "annotation without image"),
    (person("category_id", 5), "annotation without category"),
    (person("bbox", [500, 500, 20, 20]), "box outside the image"),
    (person("bbox", [-30, 2, 68, 56]), "box partly outside the image"),
    (person("bbox", [1, 1, 3, 3]), "box does not hold its keypoints"),
    (person("bbox", [3, 3, 0, 10]), "box of no size"),
    (person("bbox", [3, 3, float("nan"), 10]), "box is not finite"),
    (without("annotations", 2, "bbox"), "box missing"),
    (without("annotations", 2, "keypoints"), "keypoints missing"),
    (person("keypoints", [1, 2, 2] * 16), "wrong number of keypoints"),
    (keypoint("a", 2, 2), "keypoints are no numbers"),
    (keypoint(400, 10, 2), "keypoint outside the image"),
    (keypoint(-20, 10, 2), "keypoint outside the image"),
    (keypoint(0, 0, 2), "keypoint labelled at exactly (0, 0)"),
    (keypoint(float("nan"), 10, 2), "keypoint is not finite"),
    (keypoint(10, 10, 3), "visibility is not 0, 1 or 2"),
    (person("segmentation", [[1, 2, 3]]), "segmentation cannot be read"),
    (twice("annotations", id=77), "the same person twice"),
    (twice("images"), "the same image twice"),
    (twice("images", id=99), "the same image twice"),
    (twice("images", id=0, file_name="000000000009.jpg"), "image id is 0"),
    (without("images", 1, "width"), "image size missing"),
]


@pytest.fixture
def folder(images, tmp_path):
    """A copy of the images, with one file more than the records name."""
    shutil.copytree(images, tmp_path / "images")
    cv2.imwrite(str(tmp_path / "images" / "000000000009.jpg"), np.full((50, 50, 3), 99, np.uint8))
    return tmp_path / "images"


@pytest.mark.parametrize(("change", "kind"), MENDABLE, ids=[f"{i}-{kind}" for i, (_, kind) in enumerate(MENDABLE)])
def test_a_defect_is_found_mended_and_gone(folder, tmp_path, change, kind):
    document = fake.document()
    change(document)
    before = copy.deepcopy(document)
    files = ImageFiles(folder)
    checked = check_file(document, read_image_infos(document, files))
    assert kinds(checked) == {kind}
    assert all(f.fix for f in checked.findings), checked.findings
    assert repr(document) == repr(before), "the document itself stays as it is"
    again = check_file(checked.fixed, read_image_infos(checked.fixed, files))
    assert again.findings == ()
    path = tmp_path / "fixed.json"
    path.write_text(json.dumps(checked.fixed))
    assert CocoDataset(path, folder).people()


LEFT = [
    (at("categories", to=[]), "no categories"),
    (at("categories", 0, "keypoints", 1, to=["nose"]), "skeleton cannot be used"),
    (lambda d: d["categories"].append({**d["categories"][0], "name": "other"}), "category id repeats"),
    (at("images", 1, "id", to=11), "image id repeats"),
    (without("images", 1, "file_name"), "image without file name"),
    (at("images", 1, "width", to=41), "image size wrong"),
    (lambda d: d["annotations"].clear(), "no labelled keypoints"),
]


@pytest.mark.parametrize(("change", "kind"), LEFT, ids=[kind for _, kind in LEFT])
def test_what_only_the_author_can_know_is_left(images, change, kind):
    document = fake.document()
    change(document)
    checked = check_file(document, read_image_infos(document, ImageFiles(images)))
    assert kind in {f.rule for f in checked.findings if not f.fix}


def test_missing_truncated_and_double_images_are_found(folder):
    document = fake.document()
    (folder / "000000000001.jpg").unlink()
    half = (folder / "000000000002.jpg").read_bytes()
    (folder / "000000000002.jpg").write_bytes(half[: len(half) // 2])
    shutil.copy(folder / "000000000003.jpg", folder / "copy.jpg")
    document["images"].append({"id": 50, "file_name": "copy.jpg", "height": 50, "width": 50})
    document["annotations"].append({**copy.deepcopy(document["annotations"][3]), "id": 60, "image_id": 50})
    checked = check_file(document, read_image_infos(document, ImageFiles(folder)))
    assert [f.rule for f in checked.findings] == [
        *("image file missing", "image file unreadable", "the same image twice", "the same person twice")
    ]
    assert [i["id"] for i in checked.fixed["images"]] == [33, 44]
    assert {a["image_id"] for a in checked.fixed["annotations"]} == {33}
    assert "truncated" in checked.findings[1].found


def test_text_ids_are_numbered_and_annotations_follow():
    document = fake.document()
    for image in document["images"]:
        image["id"] = f"im{image['id']}"
    for annotation in document["annotations"]:
        annotation["image_id"] = f"im{annotation['image_id']}"
    fixed = check_file(document, {}).fixed
    owners = [{i["id"]: i["file_name"] for i in fixed["images"]}[a["image_id"]] for a in fixed["annotations"]]
    assert owners == [f"{n:012d}.jpg" for n in (1, 1, 2, 3, 3)]


def test_a_box_of_a_person_without_keypoints_comes_from_the_segmentation():
    document = fake.document()
    document["annotations"][4]["bbox"] = [0, 0, 0, 0]
    checked = check_file(document, {})
    assert kinds(checked) == {"box of no size"}
    assert checked.fixed["annotations"][4]["bbox"] == [0.0, 0.0, 10.0, 50.0]


def score(document, tmp_path) -> float:
    """AP of predictions a third of a pixel beside the labels, by pycocotools."""
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(document))
    truth = COCO(str(path))
    rows = [
        {"image_id": a["image_id"], "category_id": 1, "keypoints": [v + 0.3 for v in a["keypoints"]], "score": 1.0}
        for a in document["annotations"]
        if not a.get("iscrowd")
    ]
    run = COCOeval(truth, truth.loadRes(rows), "keypoints")
    run.evaluate()
    run.accumulate()
    run.summarize()
    return float(run.stats[0])


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (lambda d: [a.update(area=0) for a in d["annotations"]], 0.999),
        (lambda d: [a.update(num_keypoints=0) for a in d["annotations"]], -0.5),
        (lambda d: [a.update(id=0) for a in d["annotations"]], 0.999),
    ],
    ids=["area 0", "num_keypoints 0", "ids 0"],
)
def test_a_file_that_spoils_the_official_score_is_mended_to_the_full_score(tmp_path, change, broken):
    document = fake.document()
    for annotation in document["annotations"]:
        annotation["area"] = 40.0 * 40
    assert score(document, tmp_path) == pytest.approx(1.0)
    change(document)
    assert score(document, tmp_path) < broken
    fixed = check_file(document, {}).fixed
    for annotation in fixed["annotations"]:
        annotation["area"] = max(annotation["area"], 40.0 * 40)
    assert score(fixed, tmp_path) == pytest.approx(1.0)


def looked(name, document, images):
    return name, document, read_image_infos(document, ImageFiles(images)) if images else {}


def test_images_that_two_files_share_are_found_by_content_and_dropped_from_the_larger(folder):
    train, val = fake.document(), fake.document()
    val["images"] = val["images"][:2]
    val["images"][0].update(id=1, file_name="renamed.jpg")
    shutil.copy(folder / "000000000001.jpg", folder / "renamed.jpg")
    found = remove_leakage(looked("train", train, folder), looked("val", val, folder))
    assert [f.rule for f in found] == ["image in both files"] * 2
    assert [i["id"] for i in train["images"]] == [33, 44]
    assert {a["image_id"] for a in train["annotations"]} == {33}
    assert len(val["images"]) == 2


def test_of_two_files_with_the_same_images_neither_is_emptied(folder):
    first, second = fake.document(), fake.document()
    found = remove_leakage(looked("first", first, folder), looked("second", second, folder))
    assert len(found) == 4
    assert not any(f.fix for f in found), "left to the author"
    assert first == second == fake.document()


def test_without_images_names_decide_and_other_contents_are_other_images(folder, tmp_path):
    train, val = fake.document(), fake.document()
    val["images"] = val["images"][:1]
    assert len(remove_leakage(looked("train", copy.deepcopy(train), None), looked("val", val, None))) == 1
    other = tmp_path / "other"
    other.mkdir()
    cv2.imwrite(str(other / "000000000001.jpg"), np.zeros((48, 64, 3), np.uint8))
    assert remove_leakage(looked("train", train, folder), looked("val", val, other)) == []


def test_the_two_names_that_coco_gives_one_image_are_one():
    train, val = fake.document(), fake.document()
    val["images"] = [{**val["images"][0], "file_name": "COCO_val2014_000000000001.jpg"}]
    found = remove_leakage(looked("train", train, None), looked("val", val, None))
    assert "the same id and size" in found[0].found


ODD = [None, "x", -1, True, float("nan"), 10**30, [], {}, ["a"]]
ALSO_ODD = ["", 0, 2.5, float("inf"), [None], [1, 2], {"a": 1}]


def places(value, path=()):
    """Every place in a document, of lists only the first three."""
    steps = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for step, inner in steps:
        yield (*path, step)
        yield from places(inner, (*path, step))


@pytest.mark.parametrize("odd", [*ODD, *(pytest.param(odd, marks=pytest.mark.exhaustive) for odd in ALSO_ODD)], ids=repr)
def test_an_odd_value_anywhere_is_a_sentence_or_a_finding_and_what_is_mended_can_be_read(tmp_path, odd):
    file = tmp_path / "odd.json"
    for path in places(fake.document()):
        if path[0] == "info" or len(path) == 1:
            continue
        document = fake.document()
        at(*path, to=odd)(document)
        file.write_text(json.dumps(document))
        try:
            document = read_document(file)
        except PoiseError:
            continue
        checked = check_file(document, {})
        if all(finding.fix for finding in checked.findings):
            write_document(checked.fixed, file)
        refused = ""
        try:
            data = CocoDataset(file, None)
            for i in range(len(data)):
                data.masks(i)
        except PoiseError as error:
            refused = str(error)
        left = [finding for finding in checked.findings if not finding.fix]
        assert left or not refused, f"{path} passed the check, but: {refused}"


def test_people_in_a_category_without_names_are_told():
    """A category lists keypoints, and the annotations are of another."""
    document = {
        "images": [{"id": 5, "file_name": "a.jpg", "width": 9, "height": 9}],
        "annotations": [{"id": 1, "image_id": 5, "category_id": 2, "keypoints": [0, 0, 0, 0, 2, 1, 4, 1, 2], "iscrowd": 0}],
        "categories": [{"id": 1, "name": "a", "keypoints": ["a_1", "a_2", "a_3"]}, {"id": 2, "name": "b", "keypoints": []}],
    }
    [found] = [f for f in check_file(document, {}).findings if "without names" in f.rule]
    assert found.where == "category 'b'"
    assert "3 keypoints each" in found.found
    assert "--skeleton" in found.found


def labelled_and_not(folder):
    """A picture with a person, one that is broken, and one that is not there; nobody is labelled in these two."""
    (folder / "images").mkdir()
    cv2.imwrite(str(folder / "images" / "good.png"), np.zeros((80, 80, 3), np.uint8))
    (folder / "images" / "bad.jpg").write_bytes(b"broken")
    names = ("good.png", "bad.jpg", "gone.jpg")
    records = [{"id": i, "file_name": name, "width": 80, "height": 80} for i, name in enumerate(names, start=1)]
    one = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [5, 5, 60, 60], "area": 2000, "num_keypoints": 1}
    people = [one | {"keypoints": [20, 20, 2]}]
    category = {"id": 1, "name": "thing", "keypoints": ["tip"], "skeleton": []}
    return {"images": records, "annotations": people, "categories": [category]}, folder / "images"


def test_images_without_annotations_are_looked_for_and_not_read(tmp_path, capsys):
    document, images = labelled_and_not(tmp_path)
    checked = check_file(document, read_image_infos(document, ImageFiles(images)))
    assert [(f.rule, f.where) for f in checked.findings] == [("image file missing", "image 'gone.jpg'")]
    assert "2 of 3 images have no annotation: they are looked for, and not read" in capsys.readouterr().err
    del document["images"][1]["width"]
    checked = check_file(document, read_image_infos(document, ImageFiles(images)))
    assert "image file unreadable" in {finding.rule for finding in checked.findings}
