"""Images whose names in the label file are not those of the files."""

import unicodedata
import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image

from poise.data.document import read_raw
from poise.data.files import ImageFiles
from poise.data.lint import check_file
from poise.data.lint.image_files import read_image_infos
from poise.errors import ImageError
from poise.notes import forget_notes


@pytest.fixture(params=["folder", "zip"])
def root(request, tmp_path):
    """Writes empty files of some names, as a folder or a zip file."""
    forget_notes()

    def write(*names):
        for name in names:
            path = tmp_path / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())
        if request.param == "folder":
            return tmp_path / "images"
        with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
            for name in names:
                archive.writestr(name, name.encode())
        return tmp_path / "images.zip"

    return write


FOUND = [
    ("train/1.jpg", "train\\1.jpg"),
    ("train/1.jpg", "D:\\data\\train\\1.jpg"),
    ("train/1.jpg", "/home/somebody/data/train/1.jpg"),
    ("train/1.jpg", "1.jpg"),
    ("1.jpg", "train/1.jpg"),
    ("a b.jpg", "a%20b.jpg"),
    ("a b.jpg", "https://host.example/data/a%20b.jpg?token=3"),
    ("a/b.jpg", "/data/local-files/?d=data/a/b.jpg"),
    ("a/b c.jpg", "/data/local-files/?d=data%2Fa%2Fb%20c.jpg"),
    ("a/b.jpg", "https://host.example/data/a/b.jpg?d=640&token=3"),
    ("a/b.jpg", "https://host.example/get?token=3&file=data/a/b.jpg"),
    ("file.jpg", "file:///C:/pictures/file.jpg"),
    ("s3.jpg", "s3://bucket/sub/s3.jpg"),
    ("IMG_1.JPG", "img_1.jpg"),
    ("Train/img_1.jpg", "train/IMG_1.jpg"),
    (unicodedata.normalize("NFD", "caf\u00e9 \u00fc.jpg"), unicodedata.normalize("NFC", "caf\u00e9 \u00fc.jpg")),
    (unicodedata.normalize("NFC", "caf\u00e9 \u00fc.jpg"), unicodedata.normalize("NFD", "caf\u00e9 \u00fc.jpg")),
    ("1.jpg", "1.jpeg"),
    ("train/1.TIFF", "train/1.tif"),
    ("train/1.png", "train/1"),
    ("train/1.png", " train/1.png\n"),
    ("100%.jpg", "100%.jpg"),
    ("a?b.jpg", "a?b.jpg"),
]


@pytest.mark.parametrize(("file", "name"), FOUND)
def test_a_name_of_another_machine_finds_its_file_and_that_is_said_once(root, capsys, file, name):
    files = ImageFiles(root(file, "other/else.jpg"))
    assert files.bytes(name) == files.bytes(name) == file.encode()
    assert capsys.readouterr().err.count("is taken to be") == (name != file)


CONTRADICTED = [
    (["cam2/1.jpg"], "cam1/1.jpg"),
    (["cam1/1.jpg", "cam2/1.jpg"], "1.jpg"),
    (["cam1/1.jpg", "cam2/1.jpg"], "cam3/1.jpg"),
    (["b/cam1/1.jpg"], "a/cam1/1.jpg"),
    (["1.jpg"], "2.jpg"),
    (["1.jpg", "1.png"], "1"),
    (["1.png"], "1.jpg"),
    (["1.jpg.png"], "1.jpg"),
]


@pytest.mark.parametrize(("files", "name"), CONTRADICTED)
def test_what_a_folder_contradicts_or_several_fit_is_missing(root, files, name):
    found = ImageFiles(root(*files))
    assert not found.has(name)
    with pytest.raises(ImageError, match=r"name the folder|check the file name|check the path"):
        found.bytes(name)


def test_folders_tell_equal_names_apart(root):
    files = ImageFiles(root("cam1/1.jpg", "cam2/1.jpg"))
    assert files.bytes("/data/cam1/1.jpg") == b"cam1/1.jpg"
    assert files.bytes("x\\cam2\\1.jpg") == b"cam2/1.jpg"


def test_of_two_cameras_only_the_one_whose_folder_is_given_finds_its_pictures(tmp_path):
    (tmp_path / "cam2").mkdir()
    (tmp_path / "cam2" / "1.jpg").write_bytes(b"2")
    files = ImageFiles(tmp_path / "cam2", names=["cam1/1.jpg", "cam2/1.jpg"])
    assert files.has("cam2/1.jpg")
    assert not files.has("cam1/1.jpg")


def test_check_misses_the_pictures_of_the_other_camera_and_merges_nothing(fake, tmp_path):
    _, images = fake.write(tmp_path)
    (images / "cam2").mkdir()
    for image in list(images.glob("*.jpg")):
        image.rename(images / "cam2" / image.name)
    document = fake.document()
    for index, record in enumerate(document["images"]):
        record["file_name"] = f"cam{1 + index % 2}/{record['file_name']}"
    checked = check_file(document, read_image_infos(document, ImageFiles(images)))
    assert [f.rule for f in checked.findings] == ["image file missing"] * 2
    assert checked.lost == 3


@pytest.mark.parametrize(("orientation", "told"), [(1, False), (3, True), (6, True)])
def test_square_and_half_turned_pictures_tell_that_their_size_cannot_decide(fake, tmp_path, orientation, told):
    path, images = fake.write(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(images / "000000000003.jpg") as image:  # square
        image.load()
        image.save(images / "000000000003.jpg", exif=exif)
    document = read_raw(path)
    checked = check_file(document, read_image_infos(document, ImageFiles(images)))
    assert [f.rule for f in checked.findings] == ["size does not tell whether labels follow the EXIF orientation"] * told


@pytest.mark.parametrize(("largest", "bits"), [(4095, 12), (1023, 10), (65535, 0), (20000, 0)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_pictures_that_use_few_of_their_16_bits_are_told(fake, tmp_path, largest, bits, suffix):
    path, images = fake.write(tmp_path)
    (images / "000000000001.jpg").unlink()
    pixels = np.linspace(0, largest, 48 * 64).reshape(48, 64).astype(np.uint16)
    cv2.imwrite(str(images / f"000000000001{suffix}"), pixels)
    document = read_raw(path)
    document["images"][0]["file_name"] = f"000000000001{suffix}"
    checked = check_file(document, read_image_infos(document, ImageFiles(images)))
    assert [f.rule for f in checked.findings] == ["image uses few of its 16 bits"] * bool(bits)
    assert all(f"needs {bits} of 16 bits" in f.found for f in checked.findings)
