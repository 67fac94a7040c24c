"""Unlabelled frames: lists, folders, COCO files of boxes; what is wrong with one is said in a sentence."""

import json
import os
import re
from pathlib import Path

import pytest

from poise.data.frame_files import natural, open_frames, places_by_name
from poise.data.frames import boxed, previous_images
from poise.data.subset import Subset
from poise.errors import AnnotationError, BoxError, ImageError, InputError, PoiseError, UnknownName
from poise.skeletons import ANIMAL18

from .conftest import FAKES, load

fake = load(FAKES / "frames.py")


def opened(source, *args, **kwargs):
    return open_frames(source, *args, skeleton=ANIMAL18, **kwargs)


def names(dataset):
    return [dataset.key(i).file_name for i in range(len(dataset))]


def boxes(dataset, index=0):
    return dataset.labels(index).boxes.tolist()


def test_a_list_gives_frames_in_order_with_their_boxes_and_areas(tmp_path):
    dataset = opened(fake.write_list(tmp_path))
    assert names(dataset) == ["camel_00004.jpg", "camel_00010.jpg", "cow_00002.jpg"]
    assert [(dataset.sequence(i), dataset.key(i).frame) for i in range(3)] == [("camel", 4), ("camel", 10), ("cow", 2)]
    assert boxes(dataset) == [[3, 2, 33, 22]]
    assert boxes(dataset, 2) == [[0, 5.5, 20, 25.5], [20, 5, 40, 25]]
    assert dataset.labels(0).area.tolist() == [310]
    assert dataset.labels(2).area.tolist() == pytest.approx([212, 212])
    assert dataset.people() == []
    assert boxed(dataset) == [(0, 0), (1, 0), (2, 0), (2, 1)]


def test_the_folder_of_a_list_is_the_list(tmp_path):
    fake.write_list(tmp_path)
    assert names(opened(tmp_path)) == names(opened(tmp_path / "frames.json", tmp_path / "images"))


def test_neighbours_are_those_of_one_sequence_in_any_order(tmp_path):
    dataset = opened(fake.write_list(tmp_path))
    assert previous_images(dataset) == [None, 0, None]
    assert previous_images(Subset(dataset, [2, 1, 0])) == [None, 2, None]
    coco = opened(written(tmp_path / "b", fake.coco(tmp_path / "b", images=photos())))
    assert previous_images(coco) == [None, None]


def photos():
    return [{"id": 7, "file_name": "camel_00010.jpg"}, {"id": 5, "file_name": "camel_00004.jpg"}]


def written(folder, document):
    file = folder / "instances.json"
    file.write_text(json.dumps(document))
    return file


def test_a_folder_has_a_sequence_for_each_sub_folder_and_each_name_before_a_number(tmp_path):
    dataset = opened(fake.write_folder(tmp_path))
    places = {names(dataset)[i]: (dataset.sequence(i), dataset.key(i).frame) for i in range(len(dataset))}
    assert places == {
        "run/2.png": ("run", 2),
        "run/10.png": ("run", 10),
        "b_1.jpg": ("b", 1),
        "b_3.jpg": ("b", 3),
        "dog.png": ("dog", 0),
    }
    assert boxes(dataset, 0) == [[0, 0, 48, 36]]
    order = names(dataset)
    assert order.index("run/2.png") + 1 == order.index("run/10.png")


def test_names_sort_by_their_numbers():
    assert sorted(["a10", "a9", "a1b2", "10", "b"], key=natural) == ["10", "a1b2", "a9", "a10", "b"]
    assert places_by_name(["2.jpg", "10.jpg"], "clip") == {"2.jpg": ("clip", 2), "10.jpg": ("clip", 10)}
    assert places_by_name(["s/a1.jpg", "s/b1.jpg"], "clip") == {"s/a1.jpg": ("s", 0), "s/b1.jpg": ("s", 1)}


def test_a_detectors_file_gives_the_boxes_of_a_folder(tmp_path, capsys):
    folder = fake.write_folder(tmp_path / "f")
    rows = [
        {"file_name": "b_1.jpg", "bbox": [1, 2, 10, 10], "score": 0.5, "image_id": 1},
        {"image_id": 10, "bbox": [3, 2, 10, 10], "score": 0.9},
        {"image_id": 10, "bbox": [3, 2, 10, 11], "score": 0.1},
    ]
    (tmp_path / "boxes.json").write_text(json.dumps(rows))
    dataset = opened(folder, boxes=tmp_path / "boxes.json", min_score=0.2)
    assert {name: boxes(dataset, i) for i, name in enumerate(names(dataset))} == {
        "b_1.jpg": [[1, 2, 11, 12]],
        "run/10.png": [[3, 2, 13, 12]],
    }
    assert "no box for 3 of 5 images" in capsys.readouterr().err


def test_boxes_of_a_coco_file_are_those_of_the_categories_that_are_named(tmp_path):
    file = written(tmp_path, fake.coco(tmp_path))
    every = opened(file)
    assert names(every) == ["camel_00004.jpg", "camel_00010.jpg"]
    assert every.labels(0).ids.tolist() == [2, 3]
    assert every.labels(0).categories.tolist() == [21, 1]
    assert (every.sequence(0), every.key(0).frame, every.key(0).image_id) == ("camel", 4, 5)
    assert opened(file, categories=("Animal",)).labels(0).ids.tolist() == [2]
    horses = opened(file, categories=["horse"])
    assert names(horses) == ["camel_00010.jpg"]
    with pytest.raises(UnknownName, match="no category 'hors'; did you mean 'horse'"):
        opened(file, categories=["hors"])


def row(**fields):
    return [{**fake.ROWS[0], **fields}]


WRONG_LISTS = {
    "frame 0 needs a `file_name`": [{"bbox": [0, 0, 1, 1]}],
    r"camel_00010.jpg'. has bbox \[1, 2, 3\]; expected four numbers": row(bbox=[1, 2, 3]),
    "has a box of -3 x 20 pixels": row(bbox=[4, 2, -3, 20]),
    "has bbox .*; expected four": row(bbox=[4, 2, "wide", 20]),
    "has area 'big'": row(area="big"),
    "has `frame` 'x'": row(frame="x"),
    "expected the sequence's name": row(sequence=["a"]),
    "repeats an earlier row": [*row(), *row()],
    "stands at another place of a sequence before": [*row(), *row(frame=11, bbox=[1, 1, 2, 2])],
    "'camel_00010.jpg' and 'b.jpg' are both frame 10 of sequence 'camel'": [*row(), *row(file_name="b.jpg")],
    "has no images with boxes": [],
}


@pytest.mark.parametrize("says", WRONG_LISTS)
def test_what_is_wrong_with_a_list_is_said_in_a_sentence(tmp_path, says):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "x.jpg").write_bytes(b"x")
    (tmp_path / "frames.json").write_text(json.dumps(WRONG_LISTS[says]))
    with pytest.raises(AnnotationError, match=says) as error:
        opened(tmp_path / "frames.json")
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_images_that_are_not_there_are_counted_and_named(tmp_path):
    file = fake.write_list(tmp_path)
    (tmp_path / "images" / "cow_00002.jpg").unlink()
    with pytest.raises(ImageError, match=r"1 of 3 images are not in '.*images', such as 'cow_00002.jpg'"):
        opened(file)
    with pytest.raises(PoiseError, match="there is no"):
        opened(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PoiseError, match="empty"):
        opened(tmp_path / "empty")


@pytest.mark.parametrize(
    ("says", "change"),
    [
        ("annotation 1 is of image 99, which is not among", {"image_id": 99}),
        ("annotation 1 has a box of 0 x 20", {"bbox": [1, 2, 0, 20]}),
        ("annotation 1 has bbox None", {"bbox": None}),
        ("the box of annotation 1 lies outside its image 'camel_00010.jpg' of 48 x 36", {"bbox": [90, 2, 5, 5]}),
    ],
)
def test_what_is_wrong_with_a_coco_file_of_boxes_is_said_in_a_sentence(tmp_path, says, change):
    document = fake.coco(tmp_path)
    document["annotations"][0] |= change
    with pytest.raises(AnnotationError, match=re.escape(says)):
        opened(written(tmp_path, document))


def test_images_of_a_coco_file_without_a_name_or_listed_twice_are_refused(tmp_path):
    document = fake.coco(tmp_path)
    document["images"][0]["file_name"] = ""
    with pytest.raises(AnnotationError, match="an image needs a `file_name`"):
        opened(written(tmp_path, document))
    document["images"][0]["file_name"] = "camel_00004.jpg"
    with pytest.raises(AnnotationError, match=r"two records name the image 'camel_00004.jpg'"):
        opened(written(tmp_path, document))
    with pytest.raises(AnnotationError, match="no COCO keypoint file"):
        opened(written(tmp_path, {"images": []}))


def test_a_box_outside_its_image_is_told_when_the_image_is_read(tmp_path):
    dataset = opened(fake.write_list(tmp_path, row(bbox=[400, 2, 30, 20])))
    with pytest.raises(BoxError, match=r"image 'camel_00010.jpg': box 0 .* lies outside the image of 48 x 36"):
        dataset[0]


def test_arguments_without_meaning_for_a_source_are_refused(tmp_path):
    file = fake.write_list(tmp_path)
    with pytest.raises(InputError, match="no categories to choose from"):
        opened(file, categories=["horse"])
    with pytest.raises(InputError, match="no categories to choose from"):
        opened(tmp_path / "images", categories=["horse"])
    with pytest.raises(InputError, match="has boxes of its own"):
        opened(file, boxes=file)


def test_frames_of_videos_are_read_as_they_are():
    root = os.environ.get("POISE_DATA")
    if root is None or not (Path(root) / "animal-frames").is_dir():
        pytest.skip("$POISE_DATA/animal-frames is not here")
    dataset = opened(Path(root) / "animal-frames")
    assert len(dataset) == 122
    assert {dataset.sequence(i) for i in range(122)} >= {"camel"}
    before = previous_images(dataset)
    assert before.count(None) == len({dataset.sequence(i) for i in range(122)})
    assert all(dataset.key(j).frame < dataset.key(i).frame for i, j in enumerate(before) if j is not None)
    assert dataset[0].image.shape == (3, 480, 854)
    assert isinstance(dataset.files_read[0], Path)
