import json
import time

import numpy as np
import pytest
import torch

from poise.data.coco import CocoDataset
from poise.data.coco_labels import BODY_SHARE
from poise.errors import AnnotationError, ImageError, ReadError, SkeletonMismatch
from poise.skeletons import COCO17, LSP14, QUADRUPED


@pytest.fixture
def folder(fake, tmp_path):
    """Writes a document beside the images of the fake; changes go in as a function of it."""
    _, images = fake.write(tmp_path)

    def write(change=lambda document: None, *, name="keypoints.json"):
        document = fake.document()
        change(document)
        path = tmp_path / name
        path.write_text(json.dumps(document))
        return path, images

    return write


def test_labels_say_what_the_file_says(fake, folder):
    document = fake.document()
    dataset = CocoDataset(*folder())
    assert dataset.skeleton == COCO17
    assert [len(dataset.labels(i)) for i in range(4)] == [2, 1, 2, 0]
    first = document["annotations"][1]
    labels = dataset.labels(0)
    expected = torch.tensor(first["keypoints"]).reshape(17, 3)
    torch.testing.assert_close(labels.xy[1], expected[:, :2])
    assert labels.visible[1].tolist() == expected[:, 2].tolist()
    x, y, w, h = first["bbox"]
    torch.testing.assert_close(labels.boxes[1], torch.tensor([x, y, x + w, y + h]))
    assert labels.area[1].item() == pytest.approx(first["area"])
    assert labels.ids.tolist() == [1, 2]
    assert dataset.labels(2).crowd.tolist() == [False, True]
    assert dataset.people() == [(0, 0), (0, 1), (1, 0), (2, 0)]


def test_annotations_find_their_image_whatever_the_order(folder):
    straight = CocoDataset(*folder())
    shuffled = CocoDataset(*folder(lambda d: (d["annotations"].reverse(), d["images"].reverse())))
    assert shuffled.key(0) == straight.key(3)
    assert sorted(shuffled.labels(3).ids.tolist()) == straight.labels(0).ids.tolist()


def test_images_of_a_video_say_of_which_sequence_and_frame_they_are(folder):
    def place(document):
        document["images"][0] |= {"sequence": "walk", "frame": 7}
        document["images"][1] = {n: v for n, v in document["images"][1].items() if n != "sequence"} | {"video_id": 3}
        document["images"][2] |= {"sequence": "walk", "frame": "last"}
        document["images"][3] |= {"sequence": ["walk"], "frame": 1}

    dataset = CocoDataset(*folder(place))
    found = [(dataset.sequence(i), dataset.key(i).frame) for i in range(4)]
    assert found == [("walk", 7), ("3", None), ("walk", None), (None, None)]


def test_missing_optional_fields_are_filled(folder):
    def strip(document):
        for annotation in document["annotations"]:
            for name in ("iscrowd", "area", "num_keypoints", "segmentation"):
                annotation.pop(name, None)
        del document["annotations"][0]["bbox"]
        del document["annotations"][4]["keypoints"]
        del document["images"][0]["width"]

    dataset = CocoDataset(*folder(strip))
    labels = dataset.labels(0)
    known = labels.visible[0] > 0
    low, high = labels.xy[0][known].amin(dim=0), labels.xy[0][known].amax(dim=0)
    assert (labels.boxes[0, :2] < low).all()
    assert (labels.boxes[0, 2:] > high).all()
    width, height = (labels.boxes[1, 2:] - labels.boxes[1, :2]).tolist()
    assert labels.area[1].item() == pytest.approx(BODY_SHARE * width * height)
    assert not dataset.labels(2).crowd.any()
    assert not dataset.labels(2).visible[1].any()


def test_areas_come_from_the_segmentation_before_the_box(fake, folder):
    def forget(document):
        for annotation in document["annotations"]:
            annotation["area"] = 0

    labels = CocoDataset(*folder(forget)).labels(2)
    _, _, w, h = fake.document()["annotations"][3]["bbox"]
    assert labels.area[0].item() == pytest.approx(w * h / 2, rel=0.05), "the polygon is half the box"
    assert labels.area[1].item() == 10 * 50, "run lengths of the crowd"


def test_crowd_masks_are_read_from_run_lengths_of_both_kinds(folder):
    from hotcoco import mask as rle

    def compress(document):
        crowd = document["annotations"][4]
        packed = rle.frPyObjects(crowd["segmentation"], *crowd["segmentation"]["size"])
        crowd["segmentation"] = {"size": packed["size"], "counts": packed["counts"].decode()}

    plain, packed = CocoDataset(*folder()).masks(2), CocoDataset(*folder(compress)).masks(2)
    assert plain.shape == (2, 50, 50)
    assert torch.equal(plain, packed)
    assert plain[1, :, :10].all()
    assert not plain[1, :, 10:].any()


def test_a_skeleton_given_selects_and_orders_the_keypoints(folder):
    whole, some = CocoDataset(*folder()), CocoDataset(*folder(), skeleton=LSP14)
    knee = COCO17.index("left_knee"), LSP14.index("left_knee")
    torch.testing.assert_close(some.labels(0).xy[:, knee[1]], whole.labels(0).xy[:, knee[0]])
    assert not some.labels(0).visible[:, LSP14.index("neck")].any()
    with pytest.raises(SkeletonMismatch, match="share no keypoint"):
        CocoDataset(*folder(lambda d: d["categories"][0].update(keypoints=[f"p{i}" for i in range(17)])), skeleton=QUADRUPED)


def test_several_categories_keep_their_own_order(fake, folder):
    names = ("tail", "right_paw", "left_paw", "nose")

    def dog(document):
        document["categories"].append(fake.category(names, category_id=7, name="dog"))
        document["annotations"][1].update(category_id=7, keypoints=[1, 2, 2, 3, 4, 1, 5, 6, 2, 7, 8, 2])
        document["categories"].append({"id": 8, "name": "cup"})
        document["annotations"][2].update(category_id=8, keypoints=None)

    dataset = CocoDataset(*folder(dog))
    assert dataset.skeleton.keypoints == (*COCO17.keypoints, "tail", "right_paw", "left_paw")
    assert ("left_paw", "right_paw") in dataset.skeleton.mirror
    labels = dataset.labels(0)
    assert labels.categories.tolist() == [1, 7]
    assert labels.xy[1, 0].tolist() == [7, 8], "the nose is the last of the dog's and the first of all"
    assert labels.visible[1].nonzero().flatten().tolist() == [0, 17, 18, 19]
    assert len(dataset.labels(1)) == 0, "a cup has no keypoints"


def _set(path, value):
    def change(document):
        place = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set(("annotations", 1, "keypoints"), [1, 2, 2]), "annotation 2 .*has 3 numbers.*expected 51"),
        (_set(("annotations", 1, "image_id"), 99), "annotation 2 is of image 99"),
        (_set(("annotations", 0, "keypoints", 2), 3), "annotation 1: keypoint 'nose'.*expected"),
        (_set(("annotations", 0, "keypoints", 0), float("nan")), "annotation 1: keypoint 'nose'"),
        (_set(("annotations", 0, "keypoints", 0), "left"), "flat lists of numbers"),
        (_set(("annotations", 0, "bbox"), [1, 2, float("inf"), 3]), "annotation 1: `bbox`.*not finite"),
        (_set(("annotations", 0, "bbox"), [1, 2, 3]), "four numbers"),
        (_set(("annotations", 0, "id"), "one"), "whole number `id`, found 'one'"),
        (_set(("images", 0, "id"), 22), "4 images share 3 ids"),
        (_set(("images", 0, "file_name"), None), "needs a `file_name`"),
        (_set(("images",), []), "lists no images"),
        (_set(("categories",), []), "no category lists its `keypoints`"),
    ],
)
def test_a_damaged_file_is_refused_with_what_and_where(folder, change, message):
    with pytest.raises(AnnotationError, match=message):
        CocoDataset(*folder(change))


def test_a_file_without_annotations_is_a_data_set_without_people(folder):
    dataset = CocoDataset(*folder(_set(("annotations",), [])))
    assert [len(dataset.labels(i)) for i in range(4)] == [0] * 4
    assert dataset.labels(0).xy.shape == (0, 17, 2)
    assert dataset.people() == []


def test_captions_and_instances_are_refused_and_the_right_file_is_named(fake, folder):
    def captions(document):
        document["annotations"] = [{"id": 1, "image_id": 11, "caption": "a person"}]
        del document["categories"]

    def instances(document):
        for annotation in document["annotations"]:
            del annotation["keypoints"]
        del document["categories"][0]["keypoints"]

    with pytest.raises(AnnotationError, match=r"captions without keypoints.*person_keypoints_val2017.json"):
        CocoDataset(*folder(captions, name="captions_val2017.json"))
    with pytest.raises(AnnotationError, match=r"instances without keypoints.*person_keypoints_val2017.json"):
        CocoDataset(*folder(instances, name="instances_val2017.json"))


def test_other_files_are_refused(tmp_path, folder):
    path, images = folder()
    for text, message in (
        ("[1, 2]", "list, as files of detections"),
        ("{", "not valid JSON"),
        ('{"a": 1}', "no COCO keypoint"),
    ):
        path.write_text(text)
        with pytest.raises(AnnotationError, match=message):
            CocoDataset(path, images)
    with pytest.raises(ReadError, match="no annotation file"):
        CocoDataset(tmp_path / "nothing.json", images)


def test_missing_and_empty_image_folders_are_refused(tmp_path, folder):
    path, images = folder()
    with pytest.raises(ReadError, match="no images folder"):
        CocoDataset(path, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReadError, match="is empty"):
        CocoDataset(path, tmp_path / "empty")
    (images / "000000000001.jpg").unlink()
    with pytest.raises(ImageError, match=r"there is no image .*000000000001.jpg"):
        CocoDataset(path, images).image(0)
    with pytest.raises(ImageError, match="opened without images"):
        CocoDataset(path, None).image(0)


def test_images_are_found_under_the_folder_of_their_url_and_in_sub_folders(folder):
    plain = CocoDataset(*folder()).image(0)

    def by_url(document):
        del document["images"][0]["file_name"]
        document["images"][0]["coco_url"] = "http://example.org/val2017/000000000001.jpg"

    path, images = folder(by_url)
    assert torch.equal(CocoDataset(path, images.parent).image(0), plain)
    assert torch.equal(CocoDataset(path, images).image(0), plain), "the folder in the name may be missing on disk"
    assert torch.equal(CocoDataset(folder()[0], images.parent).image(0), plain), "or stand on disk only"


def test_a_large_file_is_read_in_seconds(tmp_path):
    rng = np.random.default_rng(0)
    count = 20_000
    keypoints = rng.integers(0, 300, (count, 51))
    keypoints[:, 2::3] = rng.integers(0, 3, (count, 17))
    document = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "height": 300, "width": 300} for i in range(count // 2)],
        "annotations": [
            {"id": i + 1, "image_id": i // 2, "category_id": 1, "iscrowd": 0, "bbox": [1, 2, 30, 40], "area": 9, "keypoints": k}
            for i, k in enumerate(keypoints.tolist())
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}],
    }
    path = tmp_path / "many.json"
    path.write_text(json.dumps(document))
    start = time.process_time()
    dataset = CocoDataset(path, None)
    people = dataset.people()
    assert time.process_time() - start < 5
    assert len(people) == count
