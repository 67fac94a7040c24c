"""Images with an EXIF orientation: labels count their pixels as stored or as shown, and images are read so that both agree."""

import json
import pickle
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from poise.cli.main import main
from poise.data.coco import CocoDataset
from poise.data.files import ImageFiles
from poise.data.frame_files import coco_frames, listed_frames
from poise.data.frames import FramesDataset
from poise.data.images import ORIENTATION_VARIABLE, decode, image_size, read_image
from poise.data.lint import check_file
from poise.data.lint.image_files import read_image_infos
from poise.data.mpii import MpiiDataset
from poise.data.orientation import decode_labelled
from poise.errors import InputError
from poise.evaluation.eval_set import EvalSet
from poise.inference.sources import boxes_of, find_images, requests_of
from poise.models.views.base import ViewDataset
from poise.notes import add_counted, forget_notes, note_counts
from poise.skeletons import COCO17
from poise.training.data import ResumableSampler, loader

STORED = cv2.resize(np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8), (70, 50))
NAMES = ("000000000001.jpg", "000000000002.jpg")


@pytest.fixture(autouse=True)
def afresh(monkeypatch):
    monkeypatch.delenv(ORIENTATION_VARIABLE, raising=False)
    forget_notes()


@pytest.fixture
def turned(fake, tmp_path):
    """The made-up COCO whose first two images, neither of them square, have an EXIF orientation that turns them."""
    file, images = fake.write(tmp_path / "coco")
    for name in NAMES:
        orient(images / name, 6)
    return file, images


def orient(path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(path) as image:
        image.load()
        image.save(path, exif=exif, quality=98)


def encoded(tmp_path, kind, orientation):
    path = tmp_path / f"it.{kind}"
    Image.fromarray(STORED).save(path, **({"lossless": True} if kind == "webp" else {}))
    orient(path, orientation)
    return path.read_bytes()


def restated(file, change):
    document = json.loads(file.read_text())
    for record in document["images"]:
        change(record)
    file.write_text(json.dumps(document))


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_stated_size_decides_whether_an_image_is_turned(tmp_path, kind, orientation):
    data = encoded(tmp_path, kind, orientation)
    shown = decode(data, name="it")
    stored = torch.from_numpy(STORED).permute(2, 0, 1)
    assert torch.equal(decode_labelled(data, name="it", stated=tuple(shown.shape[1:])), shown)
    assert (decode(data, name="it", turn=False).int() - stored).abs().float().mean() < 4
    assert image_size(data, name="it") == shown.shape[1:]
    assert image_size(data, name="it", turn=False) == (50, 70)
    if orientation >= 5:
        assert (decode_labelled(data, name="it", stated=(50, 70)).int() - stored).abs().float().mean() < 4
    assert torch.equal(decode_labelled(data, name="it", stated=(9, 9)), shown)


def test_an_orientation_in_other_notes_turns_nothing(tmp_path):
    path = tmp_path / "it.jpg"
    note = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    Image.fromarray(STORED).save(path, xmp=note)
    assert image_size(path.read_bytes(), name="it") == read_image(path).shape[1:] == (50, 70)


def test_labels_of_stored_pixels_lie_on_their_people(turned, capsys):
    dataset = CocoDataset(*turned)
    for index in range(2):
        assert dataset.image(index).shape[1:] == dataset.image_size(index)
        dataset.image(index)
    note_counts()
    said = capsys.readouterr().err
    assert said.count("is read as it is stored") == 1
    assert "2 images were read as they are stored" in said


def test_where_the_file_states_the_turned_size_the_image_is_turned_and_nothing_is_said(turned, capsys):
    restated(turned[0], lambda record: record.update(width=record["height"], height=record["width"]))
    dataset = CocoDataset(*turned)
    assert [dataset.image(i).shape[1:] for i in range(2)] == [(64, 48), (40, 60)]
    note_counts()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("orientation", "size"), [(6, "square"), (3, "wide"), (6, "none")])
def test_where_no_size_tells_the_image_is_turned_unless_stored_is_asked_for(
    fake, tmp_path, monkeypatch, capsys, orientation, size
):
    file, images = fake.write(tmp_path / "coco")
    index = 2 if size == "square" else 0
    path = images / f"{index + 1:012d}.jpg"
    orient(path, orientation)
    if size == "none":
        restated(file, lambda record: record.pop("width"))
    dataset = CocoDataset(file, images)
    assert torch.equal(dataset.image(index), decode(path.read_bytes(), name="it", turn=True))
    assert "--orientation stored" in capsys.readouterr().err
    monkeypatch.setenv(ORIENTATION_VARIABLE, "stored")
    assert torch.equal(dataset.image(index), decode(path.read_bytes(), name="it", turn=False))
    assert capsys.readouterr().err == ""


def test_labels_of_mpii_count_stored_pixels(tmp_path, fake_mpii, capsys):
    file, images, _ = fake_mpii.write(tmp_path / "mpii")
    orient(images / "015599452.jpg", 6)
    dataset = MpiiDataset(file, images)
    assert dataset.image(1).shape[1:] == (72, 50)
    assert "is read as it is stored" in capsys.readouterr().err


def test_evaluation_training_prediction_and_frames_read_the_same_pixels(turned, tmp_path):
    dataset = CocoDataset(*turned)
    expected = dataset.image(0)
    assert torch.equal(EvalSet.of_file(*turned, skeleton=COCO17).dataset.image(0), expected)
    document = json.loads(turned[0].read_text())
    assert torch.equal(FramesDataset(coco_frames(document, "it"), turned[1], skeleton=COCO17).image(0), expected)
    row = {"image_id": 1, "bbox": [4, 4, 30, 30], "score": 1, "width": 64, "height": 48}
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([row]))
    sources = find_images([str(turned[1])])
    [request] = requests_of(sources, boxes_of(boxes, sources))
    assert torch.equal(request.read(), expected)
    listed = listed_frames([{**row, "file_name": NAMES[0]}], "frames.json")
    assert torch.equal(FramesDataset(listed, turned[1], skeleton=COCO17).image(0), expected)


def test_photographs_without_labels_are_read_as_shown_unless_stored_is_asked_for(turned, monkeypatch):
    path = turned[1] / NAMES[0]
    [request] = requests_of(find_images([str(path)]), None)
    assert request.read().shape[1:] == (64, 48)
    monkeypatch.setenv(ORIENTATION_VARIABLE, "stored")
    assert request.read().shape[1:] == ImageFiles(turned[1]).read(NAMES[0]).shape[1:] == (48, 64)
    monkeypatch.setenv(ORIENTATION_VARIABLE, "sideways")
    with pytest.raises(InputError, match="stored or shown"):
        request.read()


class Pictures(ViewDataset):
    """The mean colour of each image as a view."""

    def __len__(self):
        return len(self.dataset)

    def image(self, index):
        return index

    def cut(self, sample, index, generator):
        return sample.image.float().mean(dim=(1, 2), keepdim=True)

    def stack(self, views):
        return Colours(torch.stack(views))


@dataclass(frozen=True)
class Colours:
    images: torch.Tensor

    def __len__(self):
        return len(self.images)

    def to(self, *args, **kwargs):
        return self

    def pin_memory(self):
        return self


def test_what_loader_processes_read_as_stored_is_counted_by_the_run(turned, capsys):
    views = Pictures(CocoDataset(*turned), seed=0)
    order = ResumableSampler(len(views), 1, seed=None)
    batches = list(loader(views, order, workers=1, pin=False))
    assert capsys.readouterr().err == "", "a loader process says nothing itself"
    assert {name for batch in batches for _, name, _ in batch.counted} == {f"{turned[1]}/{name}" for name in NAMES}
    for batch in batches:
        add_counted(pickle.loads(pickle.dumps(batch.counted)))
    note_counts()
    assert "2 images were read as they are stored" in capsys.readouterr().err


def test_check_names_images_read_as_stored_and_finds_nothing_wrong(turned, capsys):
    document = json.loads(turned[0].read_text())
    found = check_file(document, read_image_infos(document, ImageFiles(turned[1])))
    assert found.findings == ()
    said = capsys.readouterr().err
    assert f"2 images, such as '{NAMES[0]}', '{NAMES[1]}', are read as stored" in said


def test_check_says_that_labels_of_stored_pixels_are_turned_by_shown(turned, monkeypatch):
    monkeypatch.setenv(ORIENTATION_VARIABLE, "shown")
    document = json.loads(turned[0].read_text())
    found = check_file(document, read_image_infos(document, ImageFiles(turned[1])))
    assert [f.rule for f in found.findings] == ["labels ignore the EXIF orientation"] * 2


@pytest.mark.parametrize(("reach", "size"), [((60.0, 40.0), (48, 64)), ((40.0, 60.0), (64, 48)), ((20.0, 20.0), (64, 48))])
def test_fix_writes_the_size_that_the_labels_fit(turned, tmp_path, capsys, reach, size):
    document = json.loads(turned[0].read_text())
    document["images"] = [{name: v for name, v in document["images"][0].items() if name not in ("width", "height")}]
    [person] = document["annotations"] = document["annotations"][:1]
    person |= {"keypoints": [*reach, 2] + [0] * 48, "bbox": [2.0, 2.0, reach[0] - 2, reach[1] - 2], "num_keypoints": 1}
    person.pop("segmentation")
    turned[0].write_text(json.dumps(document))
    fixed = tmp_path / "fixed.json"
    assert main(["data", "check", str(turned[0]), "--images", str(turned[1]), "--fix", str(fixed)]) == 0
    [record] = json.loads(fixed.read_text())["images"]
    assert (record["height"], record["width"]) == size
    assert CocoDataset(fixed, turned[1]).image(0).shape[1:] == size


def test_the_flag_is_of_every_command_and_refuses_other_words(turned, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    words = ["data", "draw", str(turned[0]), "--images", str(turned[1]), "--side", "100"]
    assert main([*words, "--out", str(tmp_path / "a")]) == 0
    assert main(["--orientation=shown", *words, "--out", str(tmp_path / "b")]) == 0
    one, other = (read_image(min((tmp_path / part).iterdir())) for part in "ab")
    assert one.shape != other.shape
    assert main([*words, "--out", str(tmp_path / "c"), "--orientation", "up"]) == 1
    assert "--orientation is stored or shown; found 'up'" in capsys.readouterr().err
