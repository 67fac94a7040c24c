import json
import zipfile
from dataclasses import replace

import pytest

from poise.data.coco import CocoDataset
from poise.data.combined import CombinedDataset
from poise.data.digest import Digest, digest
from poise.data.figures import FigureDataset, write_coco
from poise.data.subset import Subset
from poise.errors import CheckpointError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("drawn")
    write_coco(FigureDataset(4, size=(64, 64)), path)
    return path


def test_the_same_data_have_the_same_digest_also_after_a_way_through_json(folder):
    first, again = (digest(CocoDataset(folder / "annotations.json", folder / "images")) for _ in range(2))
    assert first.changes(again) == []
    assert Digest.from_plain(json.loads(json.dumps(first.to_plain()))) == first
    assert first.images == 4
    assert list(first.files) == [str(folder / "annotations.json")]


def test_images_in_a_zip_file_have_the_same_sizes(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in (folder / "images").iterdir():
            archive.write(path, path.name)
    loose, packed = (digest(CocoDataset(folder / "annotations.json", i)) for i in (folder / "images", tmp_path / "images.zip"))
    assert loose == packed
    assert loose.pictures != digest(CocoDataset(folder / "annotations.json", None)).pictures


def test_parts_and_joined_data_name_the_files_behind_them(folder):
    whole = CocoDataset(folder / "annotations.json", folder / "images")
    part, joined = digest(Subset(whole, [2, 0])), digest(CombinedDataset([whole, whole]))
    assert part.files == joined.files == digest(whole).files
    assert (part.images, joined.images) == (2, 8)
    assert len({digest(Subset(whole, rows)).labels for rows in ([0, 2], [2, 0], [2, 1])}) == 3


def test_changes_are_told_in_words(folder):
    before = digest(CocoDataset(folder / "annotations.json", folder / "images"))
    [path] = before.files
    assert before.changes(replace(before, labels="x")) == ["its labels have changed"]
    assert before.changes(replace(before, pictures="x")) == ["its image files have other names or sizes"]
    assert before.changes(replace(before, files={path: "x"})) == [f"the annotation file {path} has changed"]
    assert before.changes(replace(before, images=3)) == [
        f"4 images with {before.people} people were 3 with {before.people} when read again"
    ]
    with pytest.raises(CheckpointError, match="other fields"):
        Digest.from_plain({"images": 1})


def test_of_many_drawings_some_are_looked_at_and_all_people_counted(monkeypatch):
    drawn, many = FigureDataset(200, size=(32, 32), per_image=(1, 3)), []
    labels = drawn.labels(0)
    monkeypatch.setattr(FigureDataset, "labels", lambda self, i: many.append(i) or labels)
    found = digest(drawn)
    assert len(many) == 50
    assert (found.images, found.people) == (200, len(drawn.people()))


def test_drawings_have_no_files_and_a_digest_all_the_same():
    one, same, other = (digest(FigureDataset(3, size=(64, 64), seed=seed)) for seed in (1, 1, 2))
    assert one == same
    assert one.files == {}
    assert one.labels != other.labels
