import io
import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image

from poise.data.files import ImageFiles
from poise.data.images import decode, is_turned, read_image, write_image
from poise.errors import ImageError, ReadError, WriteError

SMOOTH = cv2.resize(
    np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8), (70, 50), interpolation=cv2.INTER_CUBIC
)


def encoded(image, kind, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def read(data: bytes) -> np.ndarray:
    found = decode(data, name="it")
    assert found.shape[0] == 3
    assert found.permute(1, 2, 0).is_contiguous()
    return found.permute(1, 2, 0).numpy()


def far(a, b) -> float:
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


GREY = cv2.cvtColor(SMOOTH, cv2.COLOR_RGB2GRAY)
GREY3 = np.repeat(GREY[..., None], 3, axis=2)
ALPHA = np.dstack((SMOOTH, np.tile(np.linspace(0, 255, 70).astype(np.uint8), (50, 1))))


@pytest.mark.parametrize(
    ("data", "expected", "tolerance"),
    [
        (encoded(Image.fromarray(SMOOTH), "JPEG", quality=98), SMOOTH, 3),
        (encoded(Image.fromarray(SMOOTH), "JPEG", quality=98, progressive=True), SMOOTH, 3),
        (encoded(Image.fromarray(GREY), "JPEG", quality=98), GREY3, 2),
        (encoded(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG", quality=98), SMOOTH, 3),
        (encoded(Image.fromarray(SMOOTH), "PNG"), SMOOTH, 0),
        (encoded(Image.fromarray(GREY), "PNG"), GREY3, 0),
        (encoded(Image.fromarray(ALPHA), "PNG"), SMOOTH, 0),
        (encoded(Image.fromarray(np.dstack((GREY, ALPHA[..., 3]))), "PNG"), GREY3, 0),
        (encoded(Image.fromarray(SMOOTH), "TIFF"), SMOOTH, 0),
        (encoded(Image.fromarray(SMOOTH), "BMP"), SMOOTH, 0),
        (encoded(Image.fromarray(SMOOTH), "WEBP", lossless=True), SMOOTH, 0),
        (cv2.imencode(".png", SMOOTH[..., ::-1].astype(np.uint16) * 257)[1].tobytes(), SMOOTH, 0),
        (cv2.imencode(".png", GREY.astype(np.uint16) * 257)[1].tobytes(), GREY3, 0),
        (cv2.imencode(".tiff", GREY.astype(np.uint16) * 257)[1].tobytes(), GREY3, 0),
        (cv2.imencode(".tiff", SMOOTH[..., ::-1].astype(np.uint16) * 257)[1].tobytes(), SMOOTH, 0),
        (encoded(Image.fromarray(GREY).convert("P"), "PNG"), GREY3, 0),
        (encoded(Image.fromarray(SMOOTH).quantize(256), "GIF"), SMOOTH, 8),
        (encoded(Image.fromarray(GREY > 127), "PNG"), np.where(GREY3 > 127, 255, 0), 0),
    ],
    ids=[
        *("jpeg", "progressive", "grey-jpeg", "cmyk", "png", "grey-png", "alpha", "grey-alpha", "tiff", "bmp", "webp"),
        *("16-bit", "16-bit-grey", "16-bit-tiff", "16-bit-rgb-tiff", "palette", "gif", "bilevel"),
    ],
)
def test_all_kinds_of_images_become_rgb(data, expected, tolerance):
    assert far(read(data), expected) <= tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_exif_orientation_is_applied(orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(SMOOTH), kind, exif=exif, **({"quality": 98} if kind == "JPEG" else {}))
    turned = SMOOTH if orientation < 5 else SMOOTH.transpose(1, 0, 2)
    flips = {1: (), 2: (1,), 3: (0, 1), 4: (0,), 5: (), 6: (1,), 7: (0, 1), 8: (0,)}[orientation]
    expected = np.flip(turned, flips) if flips else turned
    found = read(data)
    assert found.shape == expected.shape
    assert far(found, expected) < 3
    assert is_turned(data, name="it") == (orientation >= 5)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.99])
def test_truncated_files_are_errors_not_grey_rows(kind, share):
    data = encoded(Image.fromarray(SMOOTH), kind)
    with pytest.raises(ImageError, match="'it'"):
        decode(data[: int(len(data) * share)], name="it")


def test_a_file_filled_up_with_zeros_is_truncated_too():
    data = encoded(Image.fromarray(SMOOTH), "JPEG", quality=98)
    with pytest.raises(ImageError):
        decode(data[: len(data) // 2] + bytes(len(data) // 2), name="it")


def test_bytes_behind_the_end_of_a_jpeg_do_no_harm():
    data = encoded(Image.fromarray(SMOOTH), "JPEG", quality=98)
    assert far(read(data + b"trailing"), SMOOTH) < 3


def test_a_damaged_png_is_an_error():
    data = bytearray(encoded(Image.fromarray(SMOOTH), "PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(ImageError, match="damaged"):
        decode(bytes(data), name="it")


def test_what_is_no_image_is_named_with_the_reason(tmp_path):
    for data, reason in ((b"", "0 bytes"), (b"hello", "no image file"), (b"\xff\xd8\xff", "it")):
        with pytest.raises(ImageError, match=reason):
            decode(data, name="it")
    with pytest.raises(ImageError, match=r"there is no image .*a\.jpg"):
        read_image(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)


def test_floats_without_a_range_are_refused():
    with pytest.raises(ImageError, match="floats"):
        decode(encoded(Image.fromarray(GREY.astype(np.float32)), "TIFF"), name="it")


def test_written_images_are_read_back(tmp_path):
    write_image(tmp_path / "new" / "a.png", SMOOTH)
    assert (read_image(tmp_path / "new" / "a.png").permute(1, 2, 0).numpy() == SMOOTH).all()
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.png"]
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot be written"):
        write_image(tmp_path / "file" / "a.png", SMOOTH)
    with pytest.raises(WriteError, match=r"use .png or .jpg"):
        write_image(tmp_path / "a.xyz", SMOOTH)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.png").mkdir()
    with pytest.raises(WriteError, match="is a folder"):
        write_image(tmp_path / "full" / "a.png", SMOOTH)
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["a.png"], "no part is left behind"


@pytest.fixture
def packed(tmp_path):
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("set/a/1.png", encoded(Image.fromarray(SMOOTH), "PNG"))
        file.writestr("set/b/1.png", encoded(Image.fromarray(GREY), "PNG"))
        file.writestr("set/c/2.png", encoded(Image.fromarray(GREY), "PNG"))
        file.writestr("__MACOSX/set/c/._2.png", b"")
        file.writestr("readme.txt", b"")
    return path


def test_members_of_a_zip_are_found_by_name_and_by_unique_tail(packed):
    files = ImageFiles(packed)
    assert files.names() == ["set/a/1.png", "set/b/1.png", "set/c/2.png"]
    assert far(files.read("set/a/1.png").permute(1, 2, 0).numpy(), SMOOTH) == 0
    assert files.has("2.png")
    assert not files.has("1.png"), "two are called so"
    with pytest.raises(ImageError, match=r"1.png.*is not in"):
        files.read("1.png")


def test_zips_that_are_none_or_hold_no_images_are_refused(tmp_path, packed):
    (tmp_path / "bad.zip").write_bytes(packed.read_bytes()[:100])
    with pytest.raises(ReadError, match="not a zip file"):
        ImageFiles(tmp_path / "bad.zip")
    with zipfile.ZipFile(tmp_path / "text.zip", "w") as file:
        file.writestr("readme.txt", b"")
    with pytest.raises(ReadError, match="contains no images"):
        ImageFiles(tmp_path / "text.zip")


def test_a_damaged_member_of_a_zip_is_an_image_error(packed):
    data = bytearray(packed.read_bytes())
    at = data.index(b"IDAT") + 20
    data[at] ^= 0xFF
    packed.write_bytes(bytes(data))
    with pytest.raises(ImageError, match="cannot be read"):
        ImageFiles(packed).read("set/a/1.png")
