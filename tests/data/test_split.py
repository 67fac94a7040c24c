import pytest

from poise.data.split import people_of, select_images, split
from poise.errors import AnnotationError, InputError


def made(count=100, *, sequences=10):
    images = [{"id": i + 1, "file_name": f"s{i % sequences}/im_{i:03d}.jpg", "sequence": i % sequences} for i in range(count)]
    annotations = [{"id": i + 1, "image_id": i % count + 1} for i in range(2 * count)]
    return {"info": "kept", "images": images, "annotations": annotations, "categories": [{"id": 1}]}


def ids(document):
    return {image["id"] for image in document["images"]}


def test_parts_are_disjoint_complete_and_of_the_share():
    document = made()
    first, second = split(document, share=0.8)
    assert len(first["images"]) == 80
    assert ids(first).isdisjoint(ids(second))
    assert ids(first) | ids(second) == ids(document)
    for one in (first, second):
        assert {a["image_id"] for a in one["annotations"]} == ids(one)
        assert one["info"] == "kept"
        assert one["categories"] == document["categories"]
    assert len(first["annotations"]) + len(second["annotations"]) == 200


def test_the_seed_decides_and_the_order_of_the_file_stays():
    first, _ = split(made(), share=0.5, seed=3)
    assert split(made(), share=0.5, seed=3)[0] == first
    assert split(made(), share=0.5, seed=4)[0] != first
    assert [i["id"] for i in first["images"]] == sorted(ids(first))


@pytest.mark.parametrize("group", ["sequence", r"^(s\d+)/"])
def test_groups_stay_together(group):
    first, second = split(made(), share=0.7, group=group)
    assert len(first["images"]) == 70
    assert {i["sequence"] for i in first["images"]}.isdisjoint(i["sequence"] for i in second["images"])


def test_a_group_larger_than_its_share_still_leaves_both_parts():
    document = made(10, sequences=2)
    document["images"][0]["sequence"] = 1
    first, second = split(document, share=0.5, group="sequence")
    assert first["images"]
    assert second["images"]


def test_what_cannot_be_split_is_refused():
    with pytest.raises(InputError, match="between 0 and 1"):
        split(made(), share=1.0)
    with pytest.raises(AnnotationError, match="cannot be split"):
        split(made(5, sequences=1), share=0.5, group="sequence")
    with pytest.raises(AnnotationError, match="does not match"):
        split(made(), share=0.5, group="film_(.*)")
    with pytest.raises(InputError, match="neither a field"):
        split(made(), share=0.5, group="(")
    broken = made()
    del broken["images"][5]["sequence"]
    with pytest.raises(AnnotationError, match="1 of 100 images have no 'sequence'"):
        split(broken, share=0.5, group="sequence")


def test_a_part_holds_the_images_asked_for():
    some = select_images(made(), {1, 2})
    assert ids(some) == {1, 2}
    assert len(some["annotations"]) == 4


def labelled(people: dict[int, int], *, empty=0):
    """Images 1, 2, ... with so many labelled people each, then images without any."""
    images = [{"id": i, "file_name": f"{i}.jpg"} for i in range(1, len(people) + empty + 1)]
    rows = [{"image_id": i, "keypoints": [1, 1, 2]} for i, count in people.items() for _ in range(count)]
    unlabelled = [{"image_id": i["id"], "keypoints": [0, 0, 0]} for i in images]
    annotations = [{"id": n + 1, **row} for n, row in enumerate(rows + unlabelled)]
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "keypoints": ["tip"]}]}


def test_labelled_people_count_and_the_unlabelled_images_of_an_export_do_not():
    document = labelled(dict.fromkeys(range(1, 13), 1), empty=100)
    for seed in range(5):
        first, second = split(document, share=0.75, seed=seed)
        assert (sum(people_of(first).values()), sum(people_of(second).values())) == (9, 3)
        assert (len(first["images"]), len(second["images"])) == (109, 3)
    crowded = labelled({1: 20, 2: 1, 3: 1, 4: 1, 5: 1})
    for seed in range(5):
        parts = split(crowded, share=0.8, seed=seed)
        assert 20 <= sum(people_of(parts[0]).values()) < 24


@pytest.mark.parametrize("share", [0.01, 0.5, 0.8, 0.99])
def test_no_part_is_empty(share):
    for people in ({1: 1, 2: 1}, {1: 1, 2: 50}, {1: 2, 2: 1, 3: 1}):
        for seed in range(4):
            assert all(people_of(part) for part in split(labelled(people, empty=3), share=share, seed=seed))
    with pytest.raises(AnnotationError, match="5 labelled people in 1 groups cannot be split"):
        split(labelled({1: 5}, empty=9), share=share)
