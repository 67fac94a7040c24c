"""Left and right in names, in files, and what follows where they are unknown."""

import pytest
import torch

from poise.errors import AnnotationError, SkeletonMismatch
from poise.skeletons import COCO17, Skeleton, from_category, keypoint_partners, mirror_pairs
from poise.skeletons.registry import all_skeletons, find


@pytest.mark.parametrize(
    ("left", "right"),
    [
        *(("lhip", "rhip"), ("hipL", "hipR"), ("hipl", "hipr"), ("Lfoot", "Rfoot"), ("LFoot", "Rfoot"), ("LHIP", "RHIP")),
        *(("FL_paw", "FR_paw"), ("LF_elbow", "RF_elbow"), ("paw_BL", "paw_BR"), ("FLPaw", "FRPaw"), ("flpaw", "frpaw")),
        *(("hipleft", "hipright"), ("frontleftpaw", "frontrightpaw"), ("forelegL1", "forelegR1"), ("eye.L", "eye.R")),
        *(("hüfte_links", "hüfte_rechts"), ("linkeHüfte", "rechteHüfte"), ("oeil gauche", "oeil droit")),
        *(("hanche_gauche", "hanche_droite"), ("genou_g", "genou_d"), ("mano_izq", "mano_der")),
        *(("左肩", "右肩"), ("肩左", "肩右"), ("левый_глаз", "правый_глаз"), ("L", "R"), ("left", "right")),
        *(("leve_oko", "prave_oko"), ("bal_szem", "jobb_szem"), ("αριστερό_μάτι", "δεξί_μάτι"), ("ліве_око", "праве_око")),
        *(
            ("عين_يسرى", "عين_يمنى"),
            ("עין_שמאל", "עין_ימין"),
            ("बायां_हाथ", "दायां_हाथ"),
            ("ตาซ้าย", "ตาขวา"),
            ("mat_trai", "mat_phai"),
        ),
        *(("lijevo_oko", "desno_oko"), ("лево_око", "десно_око"), ("stânga", "dreapta"), ("stanga", "dreapta")),
        *(("wing_port", "wing_starboard"), ("near_fore", "off_fore")),
    ],
)
def test_left_and_right_are_read_in_more_spellings_and_languages(left, right):
    assert mirror_pairs((right, "nose", left)) == ((left, right),)


def test_composed_and_decomposed_letters_are_the_same():
    assert mirror_pairs(("vänster_öga", "höger_öga")) == (("vänster_öga", "höger_öga"),)
    assert mirror_pairs(("va\u0308nster_o\u0308ga", "höger_öga")) == (("va\u0308nster_o\u0308ga", "höger_öga"),)


@pytest.mark.parametrize(
    "names",
    [
        *(("shoulder1", "shoulder2"), ("lip", "rip"), ("bleft", "bright"), ("upper", "lower"), ("a", "b", "l")),
        *(tuple(f"point_{c}" for c in "abcdefg"), tuple("abcdefghijklmnopqr"), tuple(f"point_{c}" for c in "jklmnopqrs")),
    ],
)
def test_letters_in_a_row_and_numbers_are_no_sides(names):
    assert mirror_pairs(names) == ()


def test_the_surer_reading_of_two_letters_wins():
    assert mirror_pairs(("FL", "FR", "RL", "RR")) == (("FL", "FR"), ("RL", "RR"))
    assert mirror_pairs(("LF", "RF", "LR", "RR")) == (("LF", "RF"), ("LR", "RR"))
    corners = ("left_eye_left_corner", "left_eye_right_corner", "right_eye_left_corner", "right_eye_right_corner")
    assert mirror_pairs(corners) == ((corners[0], corners[3]), (corners[1], corners[2]))


NAMES = ["shoulder1", "shoulder2", "hip1", "hip2", "nose"]
PAIRS = (("shoulder1", "shoulder2"), ("hip1", "hip2"))


@pytest.mark.parametrize(
    "stated",
    [
        {"mirror": [["shoulder1", "shoulder2"], ["hip1", "hip2"]]},
        {"mirror": [[1, 2], [3, 4]]},
        {"mirror": [[0, 1], [2, 3]]},
        {"mirror": {"shoulder1": "shoulder2", "shoulder2": "shoulder1", "hip1": "hip2"}},
        {"flip_idx": [1, 0, 3, 2, 4]},
    ],
)
def test_a_file_can_state_its_pairs(stated):
    made = from_category({"name": "thing", "keypoints": NAMES, **stated})
    assert made.mirror == PAIRS
    assert made.flip.tolist() == [1, 0, 3, 2, 4]
    assert made.mirrors


def test_pairs_of_the_file_come_before_those_of_names():
    names = ["left_eye", "right_eye", "eye1", "eye2"]
    crossed = from_category({"name": "thing", "keypoints": names, "mirror": [["left_eye", "eye1"]]})
    assert {frozenset(p) for p in crossed.mirror} == {frozenset(("left_eye", "eye1"))}
    kept = from_category({"name": "thing", "keypoints": names, "mirror": [["eye1", "eye2"]]})
    assert set(kept.mirror) == {("left_eye", "right_eye"), ("eye1", "eye2")}
    none = from_category({"name": "thing", "keypoints": names, "flip_idx": [0, 1, 2, 3]})
    assert none.flip.tolist() == [0, 1, 2, 3]
    assert none.mirrors, "the file says that a mirror exchanges nothing"
    coco = {"name": "person", "keypoints": list(COCO17.keypoints), "flip_idx": COCO17.flip.tolist()}
    assert from_category(coco) is COCO17


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"flip_idx": [1, 2, 0, 3, 4]}, "partners each other's"),
        ({"flip_idx": [1, 0]}, "each of the 5 keypoints"),
        ({"flip_idx": [1, 0, 3, 2, 9]}, "`flip_idx`"),
        ({"mirror": [["hip1", "hip3"]]}, "names 'hip3'"),
        ({"mirror": [[1, 2], [2, 3]]}, "two pairs"),
        ({"mirror": ["hip1", "hip2"]}, "list of pairs"),
        ({"mirror": [[1, 2.5]]}, r"names 1"),
    ],
)
def test_pairs_that_cannot_be_are_refused_with_category_and_field(stated, message):
    with pytest.raises(AnnotationError, match=message) as refused:
        from_category({"name": "thing", "keypoints": NAMES, **stated})
    assert "category 'thing'" in str(refused.value)


def test_without_pairs_it_is_said_how_to_give_them_and_with_some_which_names_are_left_alone():
    unknown = from_category({"name": "thing", "keypoints": NAMES})
    assert not unknown.mirrors
    assert "shoulder1, shoulder2, hip1, hip2, nose" in unknown.mirror_text
    assert "--mirror A:B" in unknown.mirror_text
    with pytest.raises(SkeletonMismatch, match="--no-flip"):
        unknown.check_flip()
    half = from_category({"name": "thing", "keypoints": ["left_ear", "right_ear", "whisker1", "whisker2"]})
    assert half.mirror_text == "mirrored views exchange left_ear - right_ear and leave alone whisker1, whisker2"
    assert half.unpaired == ("whisker1", "whisker2")
    given = unknown.with_mirror(PAIRS)
    assert given.flip.tolist() == [1, 0, 3, 2, 4]
    with pytest.raises(SkeletonMismatch, match="not among"):
        unknown.with_mirror((("hip1", "hip9"),))
    assert Skeleton("tip", ("tip",), sigmas=(0.1,)).mirrors, "one keypoint alone stays what it is"


@pytest.mark.parametrize("name", sorted(all_skeletons()))
def test_a_skeleton_of_the_house_says_what_a_mirror_exchanges(name):
    skeleton = find(name)
    assert skeleton.mirrors
    assert torch.equal(skeleton.flip[skeleton.flip], torch.arange(len(skeleton)))
    told = {frozenset(pair) for pair in mirror_pairs(skeleton.keypoints)}
    assert told <= {frozenset(pair) for pair in skeleton.mirror}


@pytest.mark.parametrize(
    ("asked", "name", "keypoints", "pairs"),
    [
        *(("300W", "face68", 68, 29), ("wflw", "wflw98", 98, 44), ("COFW", "cofw29", 29, 11), ("aflw", "aflw19", 19, 8)),
        *(("lapa", "lapa106", 106, 48), ("halpe26", "halpe26", 26, 11), ("halpe136", "halpe136", 136, 61)),
        *(("coco_wholebody", "wholebody133", 133, 61), ("crowdpose", "crowdpose14", 14, 6), ("hand21", "hand21", 21, 0)),
        *(("AP-10K", "ap10k17", 17, 7), ("animalpose", "animalpose20", 20, 8), ("fly", "fly32", 32, 14)),
    ],
)
def test_published_sets_are_found_by_name_with_their_pairs(asked, name, keypoints, pairs):
    found = find(asked)
    assert (found.name, len(found)) == (name, keypoints)
    assert sum(a != b for a, b in found.mirror) == pairs


def test_faces_mirror_about_their_middle():
    face = find("300w").flip.tolist()
    assert face[:17] == list(range(16, -1, -1))  # the jaw
    assert [face[i] for i in (27, 30, 33, 51, 57)] == [27, 30, 33, 51, 57]  # nose and lips
    assert find("wflw").flip.tolist()[96:] == [97, 96]  # pupils


def test_keypoints_of_animals_are_found_by_meaning_where_names_are_spelled_otherwise():
    drawn, lab = find("quadruped"), find("animalpose20")
    partners = keypoint_partners(drawn, lab)
    assert partners["L_F_Paw"] == "left_front_paw"
    assert partners["R_B_Knee"] == "right_back_knee"
    assert partners["TailBase"] == "tail_base"
    assert partners["Nose"] == "nose"
    assert {"L_EarBase", "R_EarBase"}.isdisjoint(partners), "an ear's base is no ear"
    coded = Skeleton("dog", ("LF_elbow", "RF_elbow", "hind_right_paw", "tail"), sigmas=(0.1,) * 4)
    assert keypoint_partners(drawn, coded) == {
        "LF_elbow": "left_front_elbow",
        "RF_elbow": "right_front_elbow",
        "hind_right_paw": "right_back_paw",
    }
    assert keypoint_partners(COCO17, COCO17) == {name: name for name in COCO17.keypoints}
    twice = Skeleton("twice", ("left_eye", "L_eye", "eyeL"), sigmas=(0.1,) * 3)
    assert keypoint_partners(COCO17, twice) == {"left_eye": "left_eye"}
