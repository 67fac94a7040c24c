"""Names for files without, lists of keypoints beside `keypoints`, mirror pairs that a user gives."""

import json

import pytest
import torch

from poise.data.coco import CocoDataset
from poise.data.document import read_document
from poise.data.naming import Naming, find_skeleton, naming_of, read_pairs, to_category
from poise.errors import AnnotationError, InputError, ReadError, SkeletonMismatch, UnknownName
from poise.evaluation.eval_set import EvalSet
from poise.notes import forget_notes
from poise.skeletons import COCO17, from_category
from poise.skeletons.registry import all_skeletons, find


def write(path, people, **category):
    """A file of one image, with these annotations."""
    images = [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}]
    annotations = [{"id": n + 1, "image_id": 1, "category_id": 1, "iscrowd": 0, **one} for n, one in enumerate(people)]
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing", **category}]}
    path.write_text(json.dumps(document))
    return path


def points(count, *, first=1.0, visible=2):
    return [value for i in range(count) for value in (first + i % 40, 2.0 + i % 30, visible)]


@pytest.mark.parametrize("name", ["300w", "wflw", "cofw", "aflw", "lapa", "halpe26", "halpe136", "coco_wholebody", "crowdpose"])
def test_a_file_without_names_gets_those_of_a_public_set(tmp_path, name):
    skeleton = find(name)
    file = write(tmp_path / "a.json", [{"keypoints": points(len(skeleton)), "bbox": [0, 0, 60, 50]}])
    dataset = CocoDataset(file, None, naming=naming_of(name))
    assert dataset.skeleton.keypoints == skeleton.keypoints
    assert dataset.skeleton.flip.tolist() == skeleton.flip.tolist()
    assert dataset.skeleton.sigmas == skeleton.sigmas
    assert {frozenset(b) for b in dataset.skeleton.bones} == {frozenset(b) for b in skeleton.bones}
    assert dataset.people() == [(0, 0)]
    truth = EvalSet.of_file(file, None, skeleton=COCO17, naming=naming_of(name))
    assert truth.skeleton.keypoints == skeleton.keypoints


def test_without_names_the_message_says_which_sets_have_as_many(tmp_path):
    file = write(tmp_path / "a.json", [{"keypoints": points(98)}])
    with pytest.raises(AnnotationError, match=r"--skeleton NAME or FILE \(wflw98 have 98\)"):
        CocoDataset(file, None)


def test_a_name_of_another_length_is_refused_with_those_that_fit(tmp_path):
    file = write(tmp_path / "a.json", [{"keypoints": points(98)}])
    with pytest.raises(SkeletonMismatch, match=r"hold 98 keypoints, and skeleton 'cofw29' has 29; .* such as wflw98"):
        CocoDataset(file, None, naming=naming_of("cofw"))


BODY = {
    "keypoints": points(17),
    "foot_kpts": points(6, first=3.0),
    "face_kpts": points(68, visible=0.7),
    "lefthand_kpts": points(21, first=5.0),
    "righthand_kpts": [0.0] * 63,
    "lefthand_box": [5.0, 2.0, 30.0, 25.0],
    "foot_valid": True,
    "face_valid": True,
    "lefthand_valid": True,
    "righthand_valid": False,
    "bbox": [0.0, 0.0, 60.0, 50.0],
}
NAMES17 = {"keypoints": list(COCO17.keypoints)}


def test_the_whole_body_is_told_and_read_on_request(tmp_path, capsys):
    file = write(tmp_path / "a.json", [BODY], **NAMES17)
    forget_notes()
    assert len(CocoDataset(file, None).skeleton) == 17
    CocoDataset(file, None)
    [told] = capsys.readouterr().err.splitlines()
    assert "`foot_kpts` (6 keypoints)" in told
    assert "--fields keypoints foot_kpts face_kpts lefthand_kpts righthand_kpts" in told
    for naming in (naming_of("coco_wholebody"), naming_of(None, tuple(f for f in BODY if f.endswith(("kpts", "points"))))):
        whole = CocoDataset(file, None, naming=naming)
        labels = whole.labels(0)
        assert whole.skeleton.keypoints == find("wholebody133").keypoints
        assert whole.skeleton.sigmas == find("wholebody133").sigmas
        assert labels.visible[0].tolist() == [2] * 23 + [2] * 68 + [2] * 21 + [0] * 21
        assert labels.xy[0, 17].tolist() == [3.0, 2.0]
    assert not capsys.readouterr().err


def test_a_hand_alone_has_its_own_names_and_box(tmp_path):
    file = write(tmp_path / "a.json", [BODY], **NAMES17)
    hand = CocoDataset(file, None, naming=naming_of(None, ("lefthand_kpts",)))
    assert hand.skeleton.keypoints[:2] == ("left_hand_root", "left_thumb1")
    assert hand.labels(0).boxes[0].tolist() == [5.0, 2.0, 35.0, 27.0]
    feet = CocoDataset(file, None, naming=naming_of(None, ("foot_kpts",)))
    assert ("left_big_toe", "right_big_toe") in feet.skeleton.mirror
    assert feet.labels(0).boxes[0].tolist() == [0.0, 0.0, 60.0, 50.0]


@pytest.mark.parametrize("field", ["keypoints_21", "lefthand_keypoints", "landmarks"])
def test_other_lists_of_keypoints_are_named_and_read_with_their_names(tmp_path, capsys, field):
    person = {"keypoints": points(17), field: points(21, first=9.0), "bbox": [0, 0, 60, 50]}
    file = write(tmp_path / "a.json", [person], **NAMES17)
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"left_{i}" if i < 10 else f"right_{i - 10}" for i in range(20)) + "\ntip\n")
    forget_notes()
    CocoDataset(file, None)
    assert f"`{field}` (21 keypoints)" in capsys.readouterr().err
    read = CocoDataset(file, None, naming=naming_of(str(names)))
    assert len(read.skeleton) == 21
    assert read.skeleton.flip.tolist() == [*range(10, 20), *range(10), 20]
    assert read.labels(0).xy[0, 0].tolist() == [9.0, 2.0]
    with pytest.raises(InputError, match=f"nothing is known about the keypoints of `{field}`"):
        CocoDataset(file, None, naming=naming_of(None, (field,)))


def test_a_file_that_has_keypoints_in_another_field_alone_is_read(tmp_path):
    file = write(tmp_path / "a.json", [{"keypoints_21": points(21), "bbox": [0, 0, 60, 50]}])
    assert len(CocoDataset(file, None, naming=naming_of("hand21")).skeleton) == 21
    with pytest.raises(AnnotationError, match="`face_kpts`; there are `keypoints_21`"):
        CocoDataset(file, None, naming=naming_of(None, ("face_kpts",)))


def test_two_fields_that_fit_are_a_question(tmp_path):
    file = write(tmp_path / "a.json", [BODY], **NAMES17)
    with pytest.raises(AnnotationError, match="--fields lefthand_kpts"):
        CocoDataset(file, None, naming=naming_of("hand21"))
    chosen = CocoDataset(file, None, naming=naming_of("hand21", ("lefthand_kpts",)))
    assert chosen.labels(0).xy[0, 0].tolist() == [5.0, 2.0]


def test_names_come_from_files_of_several_forms(tmp_path):
    (tmp_path / "list.json").write_text(json.dumps(["nose", "l_eye", "r_eye"]))
    (tmp_path / "category.json").write_text(json.dumps({"keypoints": ["a", "b"], "mirror": [["a", "b"]], "sigmas": [0.1, 0.2]}))
    assert find_skeleton(str(tmp_path / "list.json")).mirror == (("l_eye", "r_eye"),)
    stated = find_skeleton(str(tmp_path / "category.json"))
    assert (stated.mirror, stated.sigmas) == ((("a", "b"),), (0.1, 0.2))
    coco = write(tmp_path / "coco.json", [{"keypoints": points(17)}], **NAMES17)
    assert find_skeleton(str(coco)) is COCO17
    (tmp_path / "odd.json").write_text("3")
    with pytest.raises(AnnotationError, match="names no keypoints"):
        find_skeleton(str(tmp_path / "odd.json"))
    with pytest.raises(ReadError):
        find_skeleton(str(tmp_path / "missing.json"))
    with pytest.raises(ReadError):
        find_skeleton(str(tmp_path / "missing.txt"))
    with pytest.raises(UnknownName, match="did you mean 'wflw98'"):
        find_skeleton("wfl98")


def test_pairs_of_the_user_join_those_of_the_names(tmp_path):
    names = {"keypoints": ["left_ear", "right_ear", "hip1", "hip2"]}
    file = write(tmp_path / "a.json", [{"keypoints": points(4)}], **names)
    given = CocoDataset(file, None, naming=naming_of(None, mirror=("hip1:hip2",)))
    assert given.skeleton.flip.tolist() == [1, 0, 3, 2]
    with pytest.raises(SkeletonMismatch, match="--mirror names 'hip3'"):
        CocoDataset(file, None, naming=naming_of(None, mirror=("hip1:hip3",)))
    for words, message in ((["hip1"], "pairs of keypoints"), (["a:b", "b:c"], "'b' in two pairs"), ([":b"], "found ':b'")):
        with pytest.raises(InputError, match=message):
            read_pairs(words)


def test_pairs_of_the_whole_file_are_those_of_its_categories(tmp_path):
    file = write(tmp_path / "a.json", [{"keypoints": points(4)}], keypoints=["a1", "a2", "b1", "b2"])
    document = json.loads(file.read_text()) | {"flip_idx": [1, 0, 3, 2]}
    file.write_text(json.dumps(document))
    assert CocoDataset(file, None).skeleton.flip.tolist() == [1, 0, 3, 2]


def test_a_skeleton_written_as_a_category_is_read_as_the_same():
    for name, skeleton in all_skeletons().items():
        made = from_category({"name": name, **to_category(skeleton)})
        assert made.keypoints == skeleton.keypoints
        assert torch.equal(made.flip, skeleton.flip)
        assert made.mirrors


def test_a_file_is_not_changed_where_nothing_is_said(tmp_path):
    file = write(tmp_path / "a.json", [BODY], **NAMES17)
    assert read_document(file, naming=Naming())["annotations"] == read_document(file)["annotations"]


def test_a_file_whose_keypoints_have_names_keeps_them_beside_one_without(tmp_path, capsys):
    named = write(tmp_path / "a.json", [{"keypoints": points(3)}], keypoints=["a", "b", "c"])
    dataset = CocoDataset(named, None, naming=naming_of("wflw"))
    assert dataset.skeleton.keypoints == ("a", "b", "c")
    assert "its keypoints have names, and --skeleton wflw98 is for files without" in capsys.readouterr().err
