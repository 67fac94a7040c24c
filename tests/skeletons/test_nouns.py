import pytest

from poise.skeletons import ANIMAL18, COCO17, LSP14, MPII16, QUADRUPED, Skeleton, from_category, select, union
from poise.skeletons.nouns import nouns
from poise.skeletons.registry import all_skeletons


def named(name: str) -> Skeleton:
    return from_category({"name": name, "keypoints": ["tip"]})


@pytest.mark.parametrize(
    ("name", "one", "many"),
    [
        ("camel", "camel", "camels"),
        ("Polar_Bear", "polar bear", "polar bears"),
        ("fruit-fly", "fruit fly", "fruit flies"),
        ("monkey", "monkey", "monkeys"),
        ("fox", "fox", "foxes"),
        ("mice", "mouse", "mice"),
        ("mouse", "mouse", "mice"),
        ("horses", "horse", "horses"),
        ("octopus", "octopus", "octopuses"),
        ("sheep", "sheep", "sheep"),
        ("person", "person", "people"),
        ("骆驼", "骆驼", "骆驼"),
        ("tiger_v2", "pose", "poses"),
        ("[red]x", "pose", "poses"),
        ("a" * 40, "pose", "poses"),
    ],
)
def test_what_is_found_has_the_word_of_its_category(name, one, many):
    assert nouns(named(name)) == (one, many)


def test_the_skeletons_of_poise_are_of_people_and_animals():
    assert {nouns(skeleton) for skeleton in (COCO17, MPII16, LSP14)} == {("person", "people")}
    assert {nouns(skeleton) for skeleton in (ANIMAL18, QUADRUPED)} == {("animal", "animals")}
    assert nouns(select(COCO17, ("nose",))) == ("person", "people")
    assert nouns(union([named("dog"), from_category({"name": "cat", "keypoints": ["tail"]})])) == ("pose", "poses")


def test_every_skeleton_by_name_has_a_word():
    words = {skeleton.name: nouns(skeleton)[1] for skeleton in all_skeletons().values()}
    assert "poses" not in words.values()
    assert {words[name] for name in ("blazepose33", "wholebody133", "h36m17", "halpe136")} == {"people"}
    assert (words["face68"], words["wflw98"], words["hand21"], words["horse22"]) == ("faces", "faces", "hands", "horses")
    assert (words["ap10k17"], words["fly32"]) == ("animals", "flies")
