"""Files that say the same as COCO's in another way: reader, check and evaluation read them alike, and nobody is lost."""

import json
import math
from pathlib import Path

import pytest
import torch

from poise.cli.main import main
from poise.data.coco import CocoDataset
from poise.data.document import read_raw
from poise.data.lint import check_file
from poise.errors import AnnotationError
from poise.evaluation.eval_set import EvalSet
from poise.metrics import coco
from poise.notes import forget_notes
from poise.skeletons import COCO17


@pytest.fixture
def folder(fake, tmp_path):
    """Writes a document beside the images of the fake; changes go in as a function of it."""
    _, images = fake.write(tmp_path)
    forget_notes()

    def write(change=lambda document: None):
        document = fake.document()
        change(document)
        path = tmp_path / "labels.json"
        path.write_text(json.dumps(document))
        return path, images

    return write


def people_of(path):
    """Labels of all images in order, as comparable values."""
    dataset = CocoDataset(path, None)
    labels = [dataset.labels(i) for i in range(len(dataset))]
    return [(dataset.key(i).file_name, p.xy, p.visible, p.boxes, p.area, p.crowd) for i, p in enumerate(labels)]


def same(first, second):
    return all(
        a[0] == b[0] and all(torch.allclose(x.float(), y.float(), atol=1e-3) for x, y in zip(a[1:], b[1:], strict=True))
        for a, b in zip(first, second, strict=True)
    )


def score_of_itself(path):
    """AP of the labels as predictions."""
    data = EvalSet.of_file(path, None, skeleton=COCO17)
    fields = ("image_id", "category_id", "keypoints")
    single = [a for a in data.truth["annotations"] if not a.get("iscrowd")]
    found = [{**{name: a[name] for name in fields}, "score": 1.0} for a in single]
    return coco.evaluate(data.truth, found, data.skeletons).numbers["AP"]


def each(part, change):
    def apply(document):
        for row in document[part]:
            change(row)

    return apply


def ids(images=lambda i: i, annotations=lambda i: i):
    def apply(document):
        for image in document["images"]:
            image["id"] = images(image["id"])
        for annotation in document["annotations"]:
            annotation["image_id"] = annotations(annotation["image_id"])

    return apply


def rows(values):
    return [values[i : i + 3] for i in range(0, len(values), 3)]


def named_corners(x, y, w, h):
    return {"xmin": x, "ymin": y, "xmax": x + w, "ymax": y + h}


def unlabelled_as(*values):
    """Keypoints that are not labelled as other values than 0, 0, 0."""
    return each("annotations", lambda a: a.update(keypoints=[v for r in rows(a["keypoints"]) for v in (r if r[2] else values)]))


def both_categories(document):
    """Half of the people get a category of their own, and all lists hold the keypoints of both."""
    names = COCO17.keypoints
    other = [f"{name}_too" for name in names]
    document["categories"].append({"id": 2, "name": "other", "keypoints": other})
    for index, annotation in enumerate(document["annotations"]):
        none = [0] * (3 * len(names))
        values = annotation["keypoints"]
        annotation["category_id"] = 1 + index % 2
        annotation["keypoints"] = none + values if index % 2 else values + none


SAME = {
    "ids text in annotations": ids(annotations=str),
    "ids text in both": ids(str, str),
    "ids text in images": ids(str),
    "ids padded with zeros": ids(annotations=lambda i: f"{i:012d}"),
    "ids with a point": ids(annotations=float),
    "ids with a point in images": ids(float),
    "images by file name": lambda d: each("annotations", lambda a: a.update(image_id=names_of(d)[a["image_id"]]))(d),
    "category ids text": each("annotations", lambda a: a.update(category_id="1")),
    "category ids text in categories": each("categories", lambda c: c.update(id="1")),
    "categories by name": each("annotations", lambda a: a.update(category_id="person")),
    "category null": each("annotations", lambda a: a.update(category_id=None)),
    "annotation ids text": each("annotations", lambda a: a.update(id=str(a["id"]))),
    "flags text": each("annotations", lambda a: a.update(iscrowd=("0", "1")[a["iscrowd"]])),
    "flags words": each("annotations", lambda a: a.update(iscrowd=("false", "True")[a["iscrowd"]])),
    "flags truth": each("annotations", lambda a: a.update(iscrowd=bool(a["iscrowd"]))),
    "rows": each("annotations", lambda a: a.update(keypoints=rows(a["keypoints"]))),
    "rows and null": each("annotations", lambda a: a.update(keypoints=[r if r[2] else None for r in rows(a["keypoints"])])),
    "rows of objects": each(
        "annotations", lambda a: a.update(keypoints=[dict(zip("xyv", r, strict=True)) for r in rows(a["keypoints"])])
    ),
    "numbers as text": each("annotations", lambda a: a.update(keypoints=[str(v) for v in a["keypoints"]])),
    "decimal commas": each("annotations", lambda a: a.update(keypoints=[str(v).replace(".", ",") for v in a["keypoints"]])),
    "boxes as text": each("annotations", lambda a: a.update(bbox=[str(v) for v in a["bbox"]], area=str(a["area"]))),
    "boxes as pairs": each("annotations", lambda a: a.update(bbox=[a["bbox"][:2], a["bbox"][2:]])),
    "boxes with names": each("annotations", lambda a: a.update(bbox=dict(zip(("x", "y", "w", "h"), a["bbox"], strict=True)))),
    "boxes with named corners": each("annotations", lambda a: a.update(bbox=named_corners(*a["bbox"]))),
    "boxes as one text": each("annotations", lambda a: a.update(bbox=", ".join(map(str, a["bbox"])))),
    "keypoints as one text": each("annotations", lambda a: a.update(keypoints=" ".join(map(str, a["keypoints"])))),
    "keypoints as a printed list": each("annotations", lambda a: a.update(keypoints=str(a["keypoints"]))),
    "keypoints by name": each(
        "annotations", lambda a: a.update(keypoints=dict(zip(COCO17.keypoints, rows(a["keypoints"]), strict=True)))
    ),
    "labelled keypoints by name": each(
        "annotations",
        lambda a: a.update(keypoints={n: r for n, r in zip(COCO17.keypoints, rows(a["keypoints"]), strict=True) if r[2]}),
    ),
    "names by number": each("categories", lambda c: c.update(keypoints={f"{i}": n for i, n in enumerate(c["keypoints"])})),
    "names as one text": each("categories", lambda c: c.update(keypoints=", ".join(c["keypoints"]))),
    "names in objects": each("categories", lambda c: c.update(keypoints=[{"name": n, "id": 1} for n in c["keypoints"]])),
    "counts as text": each("annotations", lambda a: a.update(num_keypoints=str(a["num_keypoints"]))),
    "sizes as text": each("images", lambda i: i.update(width=str(i["width"]), height=str(i["height"]))),
    "nothing is nan": unlabelled_as(math.nan, math.nan, 0),
    "nothing is null": unlabelled_as(None, None, 0),
    "nothing has a place": unlabelled_as(3.5, 4.5, 0),
    "zeros beyond": each("annotations", lambda a: a.update(keypoints=[*a["keypoints"], *[0] * 12])),
    "no list for nobody": each("annotations", lambda a: a.update(keypoints=a["keypoints"] if a["num_keypoints"] else [])),
    "images an object": lambda d: d.update(images={str(i["id"]): i for i in d["images"]}),
    "annotations an object": lambda d: d.update(annotations={str(a["id"]): a for a in d["annotations"]}),
}


def names_of(document):
    return {image["id"]: image["file_name"] for image in document["images"]}


@pytest.mark.parametrize(
    "keypoints", ["left and right", {"head": [1, 2, 2]}, {"nose": "there"}, [[1, 2, 3, 4]] * 17, [{"px": 3}] * 17], ids=repr
)
def test_people_whose_keypoints_no_rule_reads_are_not_dropped_by_a_fix(folder, tmp_path, capsys, keypoints):
    path, images = folder(each("annotations", lambda a: a.update(keypoints=keypoints)))
    out = tmp_path / "fixed.json"
    assert main(["data", "check", str(path), "--images", str(images), "--fix", str(out)]) == 2
    assert not out.exists()
    assert "labelled people" in capsys.readouterr().err


@pytest.mark.parametrize("field", ["image_id", "category_id"])
def test_a_truth_value_is_no_id(folder, field):
    path, _ = folder(each("annotations", lambda a: a.update({field: True})))
    report = check_file(read_raw(path), {})
    assert any("'True' does not exist" in finding.found for finding in report.findings), report.findings


@pytest.mark.parametrize("case", SAME)
def test_other_spellings_are_read_checked_and_scored_as_the_same_people(folder, capsys, case, tmp_path):
    expected = people_of(folder()[0])
    path, _ = folder(SAME[case])
    assert same(people_of(path), expected)
    assert score_of_itself(path) == pytest.approx(1)
    assert capsys.readouterr().err.count("read with conversions") == (case not in ("category null", "nothing has a place"))
    report = check_file(read_raw(path), {})
    assert report.lost == 0
    assert all(finding.fix for finding in report.findings), report.findings
    fixed = tmp_path / "fixed.json"
    fixed.write_text(json.dumps(report.fixed))
    assert same(people_of(fixed), expected)
    assert check_file(read_raw(fixed), {}).findings == ()


def test_numbers_without_visibility_are_visible_where_they_have_a_place(folder):
    def pairs(document):
        for annotation in document["annotations"]:
            annotation["keypoints"] = [v for r in rows(annotation["keypoints"]) for v in r[:2]]

    expected = [people[2] > 0 for people in people_of(folder()[0])]
    found = [people[2] for people in people_of(folder(pairs)[0])]
    assert all((a == b * 2).all() for a, b in zip(found, expected, strict=True))


def test_lists_that_hold_the_keypoints_of_all_categories_are_cut_to_their_own(folder, capsys):
    path, _ = folder(both_categories)
    dataset = CocoDataset(path, None)
    labels = [dataset.labels(i) for i in range(len(dataset))]
    assert sum(int((p.visible > 0).any(dim=1).sum()) for p in labels) == 4
    assert score_of_itself(path) == pytest.approx(1)
    assert "of the list" in capsys.readouterr().err
    report = check_file(read_raw(path), {})
    assert report.lost == 0
    assert all(len(a["keypoints"]) == 51 for a in report.fixed["annotations"])


@pytest.mark.parametrize("shift", [-1000, 10**12])
def test_negative_and_large_ids_are_scored(folder, shift):
    assert score_of_itself(folder(ids(lambda i: i + shift, lambda i: i + shift))[0]) == pytest.approx(1)


@pytest.mark.parametrize("count", [0, 3, "many", None])
def test_the_number_of_labelled_keypoints_is_counted_not_believed(folder, count):
    assert score_of_itself(folder(each("annotations", lambda a: a.update(num_keypoints=count)))[0]) == pytest.approx(1)


def scale(document, boxes=True, keypoints=True):
    sizes = {image["id"]: (image["width"], image["height"], 1) for image in document["images"]}
    for annotation in document["annotations"]:
        size = sizes[annotation["image_id"]]
        if keypoints:
            annotation["keypoints"] = [v / size[i % 3] for i, v in enumerate(annotation["keypoints"])]
        if boxes:
            annotation["bbox"] = [v / size[i % 2] for i, v in enumerate(annotation["bbox"])]


def corners(annotation):
    x, y, w, h = annotation["bbox"]
    annotation["bbox"] = [x, y, x + w, y + h]


def centred(annotation):
    x, y, w, h = annotation["bbox"]
    annotation["bbox"] = [x + w / 2, y + h / 2, w, h]


def moved(document):
    """People in the lower right half of larger images, as most are."""
    for image in document["images"]:
        image.update(width=image["width"] + 60, height=image["height"] + 60)
    for annotation in document["annotations"]:
        annotation["bbox"][0] += 55
        annotation["bbox"][1] += 55
        annotation["keypoints"] = [v + 55 * (i % 3 < 2) for i, v in enumerate(annotation["keypoints"])]
        annotation["keypoints"] = [v for r in rows(annotation["keypoints"]) for v in (r if r[2] else (0, 0, 0))]
        annotation.pop("segmentation")


def confident(annotation):
    annotation["keypoints"] = [v if i % 3 < 2 else (0, 0.31, 0.97)[v] for i, v in enumerate(annotation["keypoints"])]


MISTAKEN = {
    "coordinates are normalised": (lambda d: None, scale),
    "boxes are normalised": (lambda d: None, lambda d: scale(d, keypoints=False)),
    "boxes have their centre as x, y": (lambda d: None, each("annotations", centred)),
    "boxes are corners": (moved, each("annotations", corners)),
    "visibility is a confidence": (lambda d: None, each("annotations", confident)),
}


@pytest.mark.parametrize("rule", MISTAKEN)
def test_numbers_that_mean_something_else_are_refused_told_and_converted(folder, rule):
    before, spoil = MISTAKEN[rule]
    expected = people_of(folder(before)[0])
    path, _ = folder(lambda d: (before(d), spoil(d)))
    for read in (CocoDataset, lambda file, images: EvalSet.of_file(file, images, skeleton=COCO17)):
        with pytest.raises(AnnotationError, match=r"labels\.json.*(look like|two corners|around x, y)"):
            read(path, None)
    report = check_file(read_raw(path), {})
    assert rule in {finding.rule for finding in report.findings}
    assert all(finding.fix for finding in report.findings), report.findings
    path.write_text(json.dumps(report.fixed))
    assert same(people_of(path), expected)


def test_sound_files_are_not_taken_for_anything_else(folder):
    for change in (lambda d: None, moved):
        CocoDataset(folder(change)[0], None)


def test_without_sizes_normalised_coordinates_are_told_and_left(folder):
    path, _ = folder(lambda d: (scale(d), each("images", lambda i: i.pop("width"))(d)))
    report = check_file(read_raw(path), {})
    assert "coordinates are normalised" in {f.rule for f in report.findings if not f.fix}


BONES = [[[16, 14], [99, 1]], ["1-2"], [["a", "b"]], [[1, None]], [[1.5, 2]], [None], "none", {"a": 1}, 7, [[1, 2, 3]], [[]]]


@pytest.mark.parametrize("bones", BONES, ids=repr)
def test_bones_never_keep_a_file_from_being_read(folder, capsys, bones):
    path, _ = folder(lambda d: d["categories"][0].update(keypoints=[f"p{i}" for i in range(17)], skeleton=bones))
    assert len(CocoDataset(path, None).people()) == 4
    assert "bones" in capsys.readouterr().err
    report = check_file(read_raw(path), {})
    assert [f.rule for f in report.findings] == ["bones join no keypoints"]
    assert check_file(report.fixed, {}).findings == ()


def test_bones_may_be_text_floats_and_names(folder):
    names = [f"p{i}" for i in range(17)]
    path, _ = folder(lambda d: d["categories"][0].update(keypoints=names, skeleton=[["1", "2"], [2.0, 3.0], ["p3", "p4"]]))
    assert CocoDataset(path, None).skeleton.bones == (("p0", "p1"), ("p1", "p2"), ("p3", "p4"))


def test_people_of_categories_without_names_are_told_by_reader_check_and_score(folder, capsys):
    def nameless(document):
        document["categories"].append({"id": 2, "name": "other", "keypoints": []})
        each("annotations", lambda a: a.update(category_id=2))(document)

    path, _ = folder(nameless)
    CocoDataset(path, None)
    assert "4 annotations with labelled keypoints are left out" in capsys.readouterr().err
    report = check_file(read_raw(path), {})
    assert "keypoints of a category without names" in {f.rule for f in report.findings if not f.fix}
    with pytest.raises(AnnotationError, match=r"nobody to score: of 5 annotations 5 are of categories without"):
        EvalSet.of_file(path, None, skeleton=COCO17).check_somebody()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (each("annotations", lambda a: a.update(iscrowd=1)), "5 are crowds"),
        (each("annotations", lambda a: a.update(keypoints=[0] * 51)), "4 have no labelled keypoint"),
        (lambda d: d["annotations"].clear(), "of 0 annotations"),
    ],
)
def test_scores_of_nobody_are_an_error_that_says_where_people_went(folder, change, says):
    with pytest.raises(AnnotationError, match=says):
        EvalSet.of_file(folder(change)[0], None, skeleton=COCO17).check_somebody()


@pytest.mark.parametrize("areas", [{"area": 0}, {"area": None}, {"area": 0, "bbox": None}])
def test_people_without_an_area_or_a_box_are_scored_by_those_of_the_reader_and_that_is_said(folder, areas, capsys):
    """As exports of CVAT have them: an area of 0 would make each of them a miss."""
    path, _ = folder(each("annotations", lambda a: (a.pop("segmentation", None), a.update(areas))))
    assert score_of_itself(path) == pytest.approx(1)
    truth = EvalSet.of_file(path, None, skeleton=COCO17)
    expected = [float(v) for row in range(len(truth.ids)) for v in truth.dataset.labels(row).area]
    assert sorted(a["area"] for a in truth.truth["annotations"]) == pytest.approx(sorted(expected))
    assert capsys.readouterr().err.count("labelled people, such as annotation 1, have no area") == 1


BROKEN = {
    "a point": [[10.0, 20.0]],
    "two points": [[1, 2, 3, 4]],
    "text": "polygon",
    "odd": [[1, 2, 3, 4, 5, 6, 7]],
    "garbage": {"size": [48, 64], "counts": "abc"},
    "short": {"size": [48, 64], "counts": [1, 2]},
    "size a number": {"size": 48, "counts": [48 * 64]},
    "huge": [[1e40, 2, 3, 4, 5, 6]],
}


@pytest.mark.parametrize("shape", BROKEN.values(), ids=list(BROKEN))
def test_segmentations_that_cannot_be_read_are_ignored_counted_and_named(folder, capsys, shape):
    def broken(document):
        document["annotations"][0].update(segmentation=shape, area=0)

    path, _ = folder(broken)
    dataset = CocoDataset(path, None)
    said = capsys.readouterr().err
    assert "1 segmentation is ignored" in said
    assert "such as of annotation 1:" in said
    assert len(dataset.people()) == 4
    assert not dataset.masks(0)[0].any()
    assert dataset.masks(0)[1].any()


def test_a_fix_that_would_lose_more_than_a_tenth_writes_nothing(folder, tmp_path, capsys):
    path, images = folder(lambda d: d["annotations"][0].update(keypoints=["left", 1, 2] * 17))
    out = tmp_path / "out" / "fixed.json"
    assert main(["data", "check", str(path), "--images", str(images), "--fix", str(out)]) == 2
    assert not out.parent.exists()
    assert "1 of 4 labelled people (1 by 'keypoints are no numbers')" in capsys.readouterr().err


def test_missing_pictures_of_most_people_write_nothing_either(folder, tmp_path, capsys):
    path, images = folder()
    for image in list(images.iterdir())[1:]:
        image.unlink()
    out = tmp_path / "fixed.json"
    assert main(["data", "check", str(path), "--images", str(images), "--fix", str(out)]) == 2
    assert not out.exists()
    assert "'image file missing'" in capsys.readouterr().err


def test_a_fix_that_loses_few_says_who_and_why(folder, tmp_path, capsys):
    def many(document):
        first = document["annotations"][0]
        for i in range(1, 12):
            moved = [v + i / 10 * (j % 3 < 2) if v else 0 for j, v in enumerate(first["keypoints"])]
            document["annotations"].append({**first, "id": 100 + i, "keypoints": moved})
        document["annotations"][-1]["keypoints"] = ["left", 5, 2] * 17

    path, _ = folder(many)
    assert main(["data", "check", str(path), "--fix", str(tmp_path / "fixed.json")]) == 0
    assert "the fixed copy lacks 1 of 15 labelled people: keypoints are no numbers" in capsys.readouterr().out


OF_CATEGORIES = (("categories", "id"), ("annotations", "category_id"))

MENDED = {
    "sigmas": lambda d: d["categories"][0].update(sigmas=[0.1]),
    "sigmas text": lambda d: d["categories"][0].update(sigmas="small"),
    "names repeat": lambda d: d["categories"][0]["keypoints"].__setitem__(1, "nose"),
    "category twice": lambda d: d["categories"].append(dict(d["categories"][0])),
    "category id a word": lambda d: [each(p, lambda r, n=n: r.update({n: "dog"}))(d) for p, n in OF_CATEGORIES],
    "ids of words": ids(lambda i: f"im{i}", lambda i: f"im{i}"),
    "keypoints outside after a box": lambda d: d["annotations"][0].update(bbox=[-5000, -5000, 1, 1]),
    "flag a word": lambda d: d["annotations"][0].update(iscrowd="maybe"),
}


@pytest.mark.parametrize("change", MENDED.values(), ids=list(MENDED))
def test_what_a_fix_writes_passes_the_check_and_is_read(folder, change):
    path, _ = folder(change)
    report = check_file(read_raw(path), {})
    assert report.findings
    assert all(f.fix for f in report.findings), report.findings
    assert report.lost == 0
    assert check_file(report.fixed, {}).findings == ()
    path.write_text(json.dumps(report.fixed))
    assert len(CocoDataset(path, None).people()) == 4


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda d: d["annotations"][1].update(keypoints=["left", 2, 2] * 17),
            r"labels\.json.*annotation 2 .*`keypoints`.*'left'",
        ),
        (lambda d: d["annotations"][1].update(bbox="wide"), r"labels\.json.*annotation 2: `bbox`"),
        (lambda d: d["annotations"][1].update(id="one"), r"labels\.json.*image 11 needs a whole number `id`"),
        (lambda d: d["annotations"][1].update(category_id=[1]), r"labels\.json.*`category_id` of number 1 of `annotations`"),
        (
            lambda d: d["images"][1].update(id=11),
            r"share 3 ids, such as 11 of '0+1\.jpg' and '0+2\.jpg'; give",
        ),
        (lambda d: d["images"][1].update(file_name=None), r"labels\.json.*number 1 needs a `file_name`.*add the name"),
    ],
)
def test_messages_name_file_record_and_field_and_a_fix_only_where_there_is_one(folder, change, says):
    with pytest.raises(AnnotationError, match=says):
        CocoDataset(folder(change)[0], None)


def test_one_file_name_of_two_records_with_different_people_is_told_not_merged(folder):
    def doubled(document):
        document["images"][1]["file_name"] = document["images"][0]["file_name"]

    report = check_file(read_raw(folder(doubled)[0]), {})
    assert {f.rule for f in report.findings if not f.fix} == {"one file name, different people"}
    assert len(report.fixed["images"]) == 4


TOOLS = {
    "labelbox.json": ('{"data_row": {}}', "Labelbox"),
    "table.csv": ("a,b\n1,2\n", "DeepLabCut"),
    "labels.slp": ("\x89HDF\r\n", "SLEAP"),
    "annotations.xml": ("<?xml version='1.0'?><annotations/>", "CVAT"),
    "data.yaml": ("kpt_shape: [17, 3]\n", "YOLO"),
    "000001.txt": ("0 0.5 0.5 0.1 0.1\n", "YOLO"),
    "via.json": ('{"_via_img_metadata": {}}', "VGG"),
}


@pytest.mark.parametrize("name", TOOLS)
def test_files_of_other_tools_are_named_with_the_way_to_a_file_that_is_read(tmp_path, name, capsys):
    text, tool = TOOLS[name]
    path = tmp_path / name
    path.write_bytes(text.encode("latin-1"))
    assert main(["data", "check", str(path)]) == 1
    said = capsys.readouterr().err
    assert tool in said
    assert "docs/concepts/data.md" in said
    assert "is the file complete" not in said


def test_a_zip_of_an_export_names_the_file_inside(tmp_path, capsys):
    import zipfile

    path = tmp_path / "task.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("annotations/person_keypoints_default.json", "{}")
    assert main(["data", "check", str(path)]) == 1
    assert "give the label file inside, 'annotations/person_keypoints_default.json'" in capsys.readouterr().err


def test_images_named_by_their_ids_alone_are_read(tmp_path):
    path = tmp_path / "animals.json"
    people = [{"image_id": 1, "bbox": [1, 2, 30, 40], "keypoints": [[1, 2, 1], [30, 40, 1]], "category_id": 1}]
    categories = [{"id": 1, "name": "dog", "keypoints": ["l_eye", "r_eye"], "skeleton": [[0, 1]]}]
    path.write_text(json.dumps({"images": {"1": "a.jpg"}, "annotations": people, "categories": categories}))
    dataset = CocoDataset(path, None)
    assert dataset.key(0) == dataset.key(0).__class__("a.jpg", 1)
    assert dataset.labels(0).visible.tolist() == [[1, 1]]


def test_all_local_cases_are_read_or_told(tmp_path, capsys):
    import os

    root = os.environ.get("POISE_DATA")
    cases = Path(root).parent / "cases" if root else None
    if cases is None or not cases.is_dir():
        pytest.skip("$POISE_DATA/../cases is not here")
    for case in sorted(cases.glob("*/a.json")):
        forget_notes()
        images = case.parent / "images" if (case.parent / "images").is_dir() else cases / "images"
        code = main(["data", "check", str(case), "--images", str(images)])
        out = capsys.readouterr()
        assert code in (0, 1), case
        assert "Traceback" not in out.err, case
        if case.parent.name not in MISSED:
            assert "annotation dropped" not in out.out, case
            fixed = tmp_path / f"{case.parent.name}.json"
            main(["data", "check", str(case), "--images", str(images), "--fix", str(fixed)])
            assert len(json.loads(fixed.read_text())["annotations"]) == len(json.loads(case.read_text())["annotations"]), case


MISSED = {"name_twocams", "animalpose_orig"}
"""Cases whose pictures are not there."""
