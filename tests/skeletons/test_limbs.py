import pytest

from poise.errors import UnknownName
from poise.skeletons import ANIMAL18, COCO17, LSP14, MPII16, QUADRUPED, Skeleton, select
from poise.skeletons.limbs import limbs, mirrored_limbs

ONE = Skeleton("one", ("nose",), sigmas=(1.0,))
NO_BONES = Skeleton("loose", ("a", "left_b", "right_b", "c"), mirror=(("left_b", "right_b"),), sigmas=(1.0,) * 4)
NO_MIDDLE = Skeleton("pair", ("left", "right"), mirror=(("left", "right"),), sigmas=(1.0,) * 2)
PIECES = select(
    COCO17,
    ("nose", "left_eye", "right_eye", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_knee", "left_ankle"),
)
HALF = Skeleton(
    "half",
    ("neck", "left_hand", "right_hand"),
    bones=(("neck", "left_hand"),),
    mirror=(("left_hand", "right_hand"),),
    sigmas=(1.0,) * 3,
)
RING = Skeleton("ring", tuple("abcde"), bones=(("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "a")), sigmas=(1.0,) * 5)
SKELETONS = [COCO17, QUADRUPED, MPII16, LSP14, ANIMAL18, ONE, NO_BONES, NO_MIDDLE, PIECES, HALF, RING]


@pytest.fixture(params=SKELETONS, ids=lambda skeleton: skeleton.name)
def skeleton(request):
    return request.param


def pieces(count, pairs):
    place = list(range(count))
    for a, b in pairs:
        place = [place[a] if p == place[b] else p for p in place]
    return len(set(place))


@pytest.mark.parametrize("which", ["bones", "tree", "dense"])
def test_limbs_by_rule_hold_every_keypoint_together(skeleton, which):
    assert pieces(len(skeleton), limbs(skeleton, which)) == 1


@pytest.mark.parametrize("which", ["bones", "tree", "dense"])
def test_no_limb_stands_there_twice_nor_leads_nowhere(skeleton, which):
    found = limbs(skeleton, which)
    assert len({frozenset(limb) for limb in found}) == len(found)
    assert all(a != b for a, b in found)


@pytest.mark.parametrize("which", ["bones", "dense"])
def test_limbs_by_rule_are_their_own_mirror(skeleton, which):
    found, flip = limbs(skeleton, which), skeleton.flip.tolist()
    for a, b in found:
        assert (flip[a], flip[b]) in found or (flip[b], flip[a]) == (a, b)


def test_every_bone_is_a_limb(skeleton):
    found = {frozenset(limb) for limb in limbs(skeleton, "bones")}
    assert {frozenset(bone) for bone in skeleton.edges} <= found
    assert found <= {frozenset(limb) for limb in limbs(skeleton, "dense")}


def test_people_grow_from_their_middle(skeleton):
    """Each limb of a tree starts at a keypoint that an earlier one has reached."""
    found = limbs(skeleton, "tree")
    assert len(found) == len(skeleton) - 1
    reached = {k for limb in found[:1] for k in limb}
    for start, end in found[1:]:
        assert reached & {start, end}
        reached |= {start, end}


def test_the_half_that_nobody_drew_is_there():
    assert limbs(HALF) == ((0, 1), (0, 2))


def test_loose_keypoints_hang_on_one_that_a_mirror_leaves():
    assert limbs(NO_BONES) == ((0, 1), (0, 2), (0, 3))
    assert limbs(NO_MIDDLE) == ((0, 1),)
    assert limbs(ONE) == ()


def test_coco_has_the_releases_limbs_by_default_and_others_have_their_bones():
    assert limbs(COCO17) == limbs(COCO17, "19")
    assert [len(limbs(COCO17, which)) for which in ("16", "19", "31", "44", "redundant")] == [16, 19, 31, 44, 29]
    assert limbs(QUADRUPED) == limbs(QUADRUPED, "bones")


@pytest.mark.parametrize("skeleton", [COCO17, QUADRUPED])
def test_unknown_sets_are_refused(skeleton):
    with pytest.raises(UnknownName, match="'20'"):
        limbs(skeleton, "20")
    with pytest.raises(UnknownName, match="bones"):
        limbs(skeleton, "bone")


def test_limbs_that_a_mirror_turns_round_stand_alone():
    index, alone = mirrored_limbs(((0, 1), (0, 2), (1, 2), (2, 3)), HALF.flip.new_tensor([0, 2, 1, 3]))
    assert index.tolist() == [1, 0, 2, 3]  # of the last one the partner (1, 3) is not there
    assert alone.tolist() == [False, False, True, True]
