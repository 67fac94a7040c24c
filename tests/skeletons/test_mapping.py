import pytest

from poise.errors import InputError, SkeletonMismatch
from poise.skeletons import ANIMAL18, COCO17, MPII16, QUADRUPED
from poise.skeletons.animal_sets import ANIMALPOSE20, AP10K17
from poise.skeletons.mapping import KeypointMap

ALIKE = KeypointMap.of(["analogies"])


def test_words_are_pairs_or_analogies():
    made = KeypointMap.of(["left_wrist:left_front_paw", "analogies", "nose:chin"])
    assert made.pairs == (("left_wrist", "left_front_paw"), ("nose", "chin"))
    assert made.analogies
    assert made.words == ("left_wrist:left_front_paw", "nose:chin", "analogies")


@pytest.mark.parametrize("word", ["left_wrist", ":paw", "wrist:", "a:b:c", "", "analogy"])
def test_what_is_no_pair_is_told(word):
    with pytest.raises(InputError, match=r"--map wants SOURCE:TARGET, such as left_wrist:left_front_paw, or analogies; found"):
        KeypointMap.of([word])


def test_a_keypoint_cannot_stand_for_two_others_at_once():
    with pytest.raises(InputError, match="--map gives paw two keypoints"):
        KeypointMap.of(["a:paw", "b:paw"])


def test_pairs_come_before_names_and_names_before_analogies():
    found = KeypointMap.of(["right_eye:left_eye", "analogies"]).partners(COCO17, QUADRUPED)
    assert found["left_eye"] == "right_eye"
    assert found["right_eye"] == "right_eye"
    assert found["nose"] == "nose"
    assert found["left_front_paw"] == "left_wrist"
    assert KeypointMap().partners(COCO17, QUADRUPED) == {
        name: name for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
    }


def test_a_person_is_like_a_quadruped_limb_by_limb():
    found = ALIKE.partners(COCO17, QUADRUPED)
    for side in ("left", "right"):
        for part, old in (("paw", "wrist"), ("knee", "elbow"), ("elbow", "shoulder")):
            assert found[f"{side}_front_{part}"] == f"{side}_{old}"
        for part, old in (("paw", "ankle"), ("knee", "knee"), ("elbow", "hip")):
            assert found[f"{side}_back_{part}"] == f"{side}_{old}"
    assert set(QUADRUPED.keypoints) - set(found) == {"throat", "withers", "tail_base"}


@pytest.mark.parametrize(
    ("target", "some", "missing"),
    [
        (ANIMAL18, {"left_front_hoof": "left_wrist", "right_back_hoof": "right_ankle", "left_shoulder": "left_shoulder",
                    "chin": "nose", "left_back_elbow": "left_hip", "left_front_knee": "left_elbow"},
         {"tail_base", "left_front_elbow", "right_front_elbow"}),
        (AP10K17, {"L_F_Paw": "left_wrist", "R_B_Paw": "right_ankle", "L_Shoulder": "left_shoulder", "L_Knee": "left_knee",
                   "Nose": "nose", "R_Elbow": "right_elbow"}, {"Neck", "Root of tail"}),
        (ANIMALPOSE20, {"L_F_Paw": "left_wrist", "L_EarBase": "left_ear", "R_F_Knee": "right_elbow", "L_B_Elbow": "left_hip"},
         {"Throat", "TailBase", "Withers"}),
    ],
)  # fmt: skip
def test_public_sets_of_animals_are_understood(target, some, missing):
    found = ALIKE.partners(COCO17, target)
    assert some.items() <= found.items()
    assert set(target.keypoints) - set(found) == missing
    assert len(set(found.values())) == len(found), "each keypoint of the person stands for one"


def test_mpii_s_neck_and_pelvis_have_a_place_too():
    found = ALIKE.partners(MPII16, ANIMALPOSE20)
    assert (found["Throat"], found["Withers"], found["TailBase"]) == ("upper_neck", "thorax", "pelvis")


def test_sides_are_never_exchanged():
    for target in (QUADRUPED, ANIMAL18, AP10K17, ANIMALPOSE20):
        for new, old in ALIKE.partners(COCO17, target).items():
            side = "left" if new.lower().startswith("l") else "right" if new.lower().startswith("r_") or "right" in new else ""
            assert side in old
            assert ("left" in old, "right" in old) == (side == "left", side == "right")


@pytest.mark.parametrize(
    ("word", "says"),
    [
        (
            "left_wrst:left_front_paw",
            r"--map left_wrst:left_front_paw: in 'coco17' there is no keypoint 'left_wrst'; did",
        ),
        ("left_wrist:left_hoof", r"--map left_wrist:left_hoof: in 'quadruped' there is no keypoint 'left_hoof'"),
    ],
)
def test_unknown_names_are_told_with_the_pair_and_the_skeleton(word, says):
    with pytest.raises(SkeletonMismatch, match=says):
        KeypointMap.of([word]).partners(COCO17, QUADRUPED)


def test_analogies_that_give_nothing_are_told():
    with pytest.raises(SkeletonMismatch, match="no further keypoint of 'quadruped'"):
        ALIKE.partners(QUADRUPED, QUADRUPED)


def test_what_a_data_set_has_used_need_not_be_in_the_start():
    made = KeypointMap.of(["left_wrist:left_front_paw", "analogies"])
    part = made.for_data(COCO17, QUADRUPED)
    assert part.words == made.words
    assert made.for_data(QUADRUPED, QUADRUPED).words == ()
    settled = made.having_used([part])
    assert len(settled.partners(QUADRUPED, QUADRUPED)) == len(QUADRUPED)
    settled.check_used()
    with pytest.raises(InputError, match="--map left_wrist:left_front_paw analogies changes nothing"):
        made.check_used()
