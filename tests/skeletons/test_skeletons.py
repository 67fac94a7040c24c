import pytest
import torch

from poise.errors import AnnotationError, SkeletonMismatch, UnknownName
from poise.skeletons import (
    ANIMAL18,
    COCO17,
    LSP14,
    MPII16,
    QUADRUPED,
    Skeleton,
    convert,
    from_categories,
    from_category,
    keypoint_indices,
    mirror_pairs,
    select,
    union,
)
from poise.skeletons.coco import DEFAULT_SIGMA
from poise.skeletons.registry import all_skeletons, find

ALL = [COCO17, MPII16, LSP14, QUADRUPED, ANIMAL18]


@pytest.mark.parametrize("skeleton", ALL, ids=lambda s: s.name)
def test_pairs_follow_the_names_and_a_double_flip_is_none(skeleton):
    assert {frozenset(p) for p in mirror_pairs(skeleton.keypoints)} == {frozenset(p) for p in skeleton.mirror}
    assert all(left.startswith("left_") for left, _ in skeleton.mirror)
    assert torch.equal(skeleton.flip[skeleton.flip], torch.arange(len(skeleton)))
    edges = {frozenset(e) for e in skeleton.edges}
    flipped = {frozenset(int(skeleton.flip[i]) for i in e) for e in skeleton.edges}
    assert edges == flipped, "the bones of a mirrored body are the bones of a body"


def test_mpii_and_lsp_have_the_order_of_their_files():
    assert MPII16.keypoints[:10] == (
        *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
        *("pelvis", "thorax", "upper_neck", "head_top"),
    )
    assert MPII16.flip.tolist() == [5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 15, 14, 13, 12, 11, 10]
    assert LSP14.flip.tolist() == [5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 12, 13]


def test_animals_mirror_as_the_release_of_the_synthetic_animals_mirrors_them():
    pairs = [(0, 1), (3, 4), (5, 6), (8, 9), (10, 11), (12, 13), (14, 15), (16, 17)]
    places = [i for pair in pairs for i in pair]
    assert [int(ANIMAL18.flip[i]) for i in places] == [i for pair in pairs for i in reversed(pair)]
    assert ANIMAL18.flip[2] == 2
    assert ANIMAL18.flip[7] == 7


def test_sigmas_are_cocos_by_name_and_say_where_the_default_stands():
    assert LSP14.sigmas[LSP14.index("left_hip")] == COCO17.sigmas[COCO17.index("left_hip")]
    assert LSP14.sigmas[LSP14.index("neck")] == DEFAULT_SIGMA
    assert LSP14.sigma_source.endswith("for neck, head_top")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        *(("left_eye", "right_eye"), ("LeftEye", "RightEye"), ("lefteye", "righteye"), ("eye_left", "eye_right")),
        *(("l_eye", "r_eye"), ("L_F_Paw", "R_F_Paw"), ("LEye", "REye"), ("eye-L", "eye-R"), ("Left Eye", "Right Eye")),
        *(("front_left_paw", "front_right_paw"), ("leftFrontPaw", "rightFrontPaw"), ("left_eye1", "right_eye1")),
    ],
)
def test_left_and_right_are_seen_in_many_spellings(left, right):
    assert mirror_pairs((right, "nose", left)) == ((left, right),)


@pytest.mark.parametrize(
    "names", [("left_eye", "right_ear"), ("tail", "rail"), ("lip", "rip"), ("bright", "bleft"), ("left", "l")]
)
def test_names_without_a_partner_stay_alone(names):
    assert mirror_pairs(names) == ()


def test_a_category_becomes_a_skeleton():
    made = from_category({"name": "dog", "keypoints": ["nose", "left_eye", "right_eye", "tail"], "skeleton": [[1, 2], [1, 3]]})
    assert made.name == "dog"
    assert made.bones == (("nose", "left_eye"), ("nose", "right_eye"))
    assert made.mirror == (("left_eye", "right_eye"),)
    assert made.sigmas == (0.026, 0.025, 0.025, DEFAULT_SIGMA)
    assert made.upper == ("nose", "left_eye", "right_eye")
    counted_from_zero = from_category({"name": "dog", "keypoints": ["a", "b"], "skeleton": [[0, 1]]})
    assert counted_from_zero.bones == (("a", "b"),)


def test_a_category_with_known_keypoints_is_the_known_skeleton():
    assert from_category({"name": "person", "keypoints": list(COCO17.keypoints)}) is COCO17
    assert from_category({"name": "person", "keypoints": list(LSP14.keypoints)}) is LSP14


def test_sigmas_of_the_file_win():
    made = from_category({"name": "person", "keypoints": list(COCO17.keypoints), "sigmas": [0.1] * 17})
    assert made.sigmas == (0.1,) * 17
    assert "file" in made.sigma_source
    with pytest.raises(SkeletonMismatch, match="3 sigmas for 17"):
        from_category({"name": "person", "keypoints": list(COCO17.keypoints), "sigmas": [0.1] * 3})
    with pytest.raises(AnnotationError, match="must be numbers"):
        from_category({"name": "person", "keypoints": ["nose"], "sigmas": ["small"]})


@pytest.mark.parametrize(
    ("category", "message"),
    [
        ({"name": "cup"}, "'cup' names no keypoints"),
    ],
)
def test_a_category_that_cannot_be_used_is_named(category, message):
    with pytest.raises(AnnotationError, match=message):
        from_category(category)


def test_several_categories_are_joined_by_name():
    joined = from_categories(
        [
            {"id": 1, "name": "dog", "keypoints": ["nose", "left_eye", "right_eye"]},
            {"id": 2, "name": "cup"},
            {"id": 3, "name": "horse", "keypoints": ["tail", "nose"], "skeleton": [[1, 2]]},
        ]
    )
    assert joined.name == "dog+horse"
    assert joined.keypoints == ("nose", "left_eye", "right_eye", "tail")
    assert joined.bones == (("tail", "nose"),)
    with pytest.raises(AnnotationError, match="no category names keypoints"):
        from_categories([{"id": 2, "name": "cup"}])


def test_a_union_keeps_order_bones_and_the_first_sigma():
    joined = union([COCO17, LSP14])
    assert joined.keypoints == (*COCO17.keypoints, "neck", "head_top")
    assert joined.sigmas[:17] == COCO17.sigmas
    assert ("neck", "head_top") in joined.bones
    assert len({frozenset(b) for b in joined.bones}) == len(joined.bones)
    assert {frozenset(p) for p in joined.mirror} == {frozenset(p) for p in COCO17.mirror}
    assert union([COCO17, COCO17]) is COCO17


def test_a_union_of_skeletons_that_mirror_differently_is_refused():
    one = Skeleton("one", ("a", "b", "c"), mirror=(("a", "b"),), sigmas=(0.1,) * 3)
    two = Skeleton("two", ("a", "b", "c", "d"), mirror=(("a", "c"),), sigmas=(0.1,) * 4)
    with pytest.raises(SkeletonMismatch, match="mirror partner of a"):
        union([one, two])
    with pytest.raises(SkeletonMismatch, match="at least one"):
        union([])


def test_conversion_goes_by_name_and_leaves_out_what_is_missing():
    xy = torch.arange(34.0).reshape(1, 17, 2)
    visible = torch.full((1, 17), 2)
    moved, seen = convert(xy, visible, source=COCO17, target=LSP14)
    for name in LSP14.keypoints:
        if name in COCO17.keypoints:
            assert moved[0, LSP14.index(name)].tolist() == xy[0, COCO17.index(name)].tolist()
            assert seen[0, LSP14.index(name)] == 2
        else:
            assert seen[0, LSP14.index(name)] == 0
    assert keypoint_indices(COCO17, LSP14)[12:] == (-1, -1)
    with pytest.raises(SkeletonMismatch, match="share no keypoint"):
        convert(xy, visible, source=COCO17, target=Skeleton("x", ("tail",), sigmas=(0.1,)))


def test_a_selection_keeps_pairs_and_bones_that_are_whole():
    legs = select(COCO17, ["left_knee", "right_knee", "left_hip"])
    assert legs.mirror == (("left_knee", "right_knee"),)
    assert legs.bones == (("left_knee", "left_hip"),)
    assert legs.sigmas == (0.087, 0.087, 0.107)
    with pytest.raises(SkeletonMismatch, match="no keypoint 'tail'"):
        select(COCO17, ["tail"])


def test_skeletons_are_found_by_name():
    assert {s.name for s in ALL} <= set(all_skeletons())
    assert find("coco17") is COCO17
    with pytest.raises(UnknownName, match="did you mean 'mpii16'"):
        find("mpi16")
