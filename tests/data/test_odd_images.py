"""Odd image files: bombs, files cut in half, formats that run programs, names that lead elsewhere. Each is an image error."""

import contextlib
import io
import os
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from poise.data.files import OUTSIDE_VARIABLE, ImageFiles
from poise.data.images import FORMATS, MAX_PIXELS_VARIABLE, decode, is_turned, read_image, write_image
from poise.errors import ImageError, InputError, ReadError

ROWS, COLUMNS = np.mgrid[0:50, 0:70]
SMOOTH = np.dstack((3 * COLUMNS, 5 * ROWS, 255 - 2 * COLUMNS - ROWS)).astype(np.uint8)


def encoded(image, kind, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def read(data: bytes) -> np.ndarray:
    return decode(data, name="it").permute(1, 2, 0).numpy()


def png(width, height, colour):
    """A PNG file of a size that it only claims."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    palette = chunk(b"PLTE", bytes(768)) if colour == 3 else b""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + palette + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("side", "colour"), [(60000, 6), (12000, 3), (30000, 0), (30000, 2), (10001, 2)])
def test_a_bomb_is_refused_by_its_header(side, colour):
    with pytest.raises(ImageError, match=rf"{side} x {side} pixels, and 100,000,000 are the most.*--max-pixels"):
        decode(png(side, side, colour), name="it")


def test_bombs_of_other_formats_are_refused_by_their_header():
    wide = bytearray(encoded(Image.fromarray(SMOOTH), "JPEG"))
    at = wide.index(b"\xff\xc0")
    wide[at + 5 : at + 9] = struct.pack(">HH", 60000, 60000)
    flat = Image.new("1", (12000, 12000))
    for data in (bytes(wide), encoded(flat, "TIFF", compression="group4")):
        with pytest.raises(ImageError, match="pixels"):
            decode(data, name="it")


def test_the_most_pixels_may_be_changed(monkeypatch):
    data = encoded(Image.fromarray(SMOOTH), "PNG")
    monkeypatch.setenv(MAX_PIXELS_VARIABLE, "3499")
    with pytest.raises(ImageError, match="70 x 50 pixels, and 3,499 are the most"):
        decode(data, name="it")
    monkeypatch.setenv(MAX_PIXELS_VARIABLE, "3500")
    assert decode(data, name="it").shape == (3, 50, 70)
    for wrong in ("0", "-5", "many", "nan"):
        monkeypatch.setenv(MAX_PIXELS_VARIABLE, wrong)
        with pytest.raises(InputError, match="is a number of pixels, 1 or more"):
            decode(data, name="it")


@pytest.mark.parametrize("share", [0.4, 0.9])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 2}], ids=lambda o: next(iter(o), "plain")
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_cut_before_its_end_marker_is_an_error_not_half_grey(mode, options, share):
    noise = np.random.default_rng(0).integers(0, 256, (100, 140, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise).convert(mode), "JPEG", **options)
    assert decode(data, name="it").shape == (3, 100, 140)
    with pytest.raises(ImageError, match="is cut"):
        decode(data[: int(share * len(data))] + b"\xff\xd9", name="it")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "quality": 30}])
def test_a_jpeg_that_is_grey_below_is_no_cut_one(options):
    half_grey = SMOOTH.copy()
    half_grey[20:] = 128
    for pixels in (half_grey, np.full_like(SMOOTH, 128), half_grey[::-1].copy()):
        found = read(encoded(Image.fromarray(pixels), "JPEG", **options))
        assert np.abs(found.astype(int) - pixels).mean() < 20


@pytest.mark.parametrize("kind", ["EPS", "PDF", "ICO", "TGA", "PCX", "SGI"])
def test_only_named_formats_are_opened(kind):
    assert kind not in FORMATS
    with pytest.raises(ImageError, match="no image file that can be read; expected JPEG, PNG"):
        decode(encoded(Image.fromarray(SMOOTH), kind), name="it")


def test_damaged_files_of_every_format_are_image_errors():
    random = np.random.default_rng(3)
    odd = [b"8BPS\0\1" + bytes(40), b"DDS " + bytes(124), b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xaeB`\x82"]
    for kind in (kind for kind in FORMATS if kind != "HEIF"):  # of another package
        good = encoded(Image.fromarray(SMOOTH), kind)
        for _ in range(25):
            data = bytearray(good)
            for at in random.integers(0, min(len(data), 400), 4):
                data[at] = random.integers(256)
            odd += [bytes(data), bytes(data[: random.integers(1, len(data))])]
    refused = 0
    for data in odd:
        try:
            decode(data, name="it")
        except ImageError:
            refused += 1
        with contextlib.suppress(ImageError):
            is_turned(data, name="it")
    assert refused > 100


@pytest.mark.parametrize("name", ["absolute", "../secret.png", "a/../../secret.png"])
def test_names_that_lead_out_of_the_folder_are_read_only_where_the_user_says_so(tmp_path, monkeypatch, name):
    folder = tmp_path / "images"
    write_image(folder / "a" / "inside.png", SMOOTH)
    write_image(tmp_path / "secret.png", SMOOTH)
    name = str(tmp_path / "secret.png") if name == "absolute" else name
    files = ImageFiles(folder)
    assert not files.has(name)
    assert files.size(name) is None
    with pytest.raises(ImageError, match=r"lies outside the images folder .*--outside-images"):
        files.read(name)
    for inside in ("a/inside.png", str(folder / "a" / "inside.png"), "a/../a/inside.png"):
        assert files.has(inside)
    monkeypatch.setenv(OUTSIDE_VARIABLE, "1")
    assert files.read(name).shape == (3, 50, 70)


def test_a_name_that_no_file_can_have_is_missing(tmp_path):
    write_image(tmp_path / "a.png", SMOOTH)
    for name in ("x" * 300 + ".png", "a\0b.png", "\udc80.png"):
        assert not ImageFiles(tmp_path).has(name)
        with pytest.raises(ImageError):
            ImageFiles(tmp_path).read(name)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_members_of_every_packing_are_image_errors(tmp_path, method):
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("1.png", encoded(Image.fromarray(SMOOTH), "PNG"))
    good = path.read_bytes()
    assert (ImageFiles(path).read("1.png").permute(1, 2, 0).numpy() == SMOOTH).all()
    refused = 0
    for at in range(35, len(good) - 100, 3):
        path.write_bytes(good[:at] + bytes((good[at] ^ 0x55, good[at + 1] ^ 0xAA)) + good[at + 2 :])
        try:
            ImageFiles(path).read("1.png")
        except ImageError:
            refused += 1
    assert refused > 10


def test_a_member_of_a_newer_or_unknown_kind_of_zip_is_an_error(tmp_path):
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("1.png", encoded(Image.fromarray(SMOOTH), "PNG"))
    good = path.read_bytes()
    at = good.index(b"PK\x01\x02")
    for place, value in ((at + 6, 99), (at + 10, 77)):  # version that is needed, method of packing
        path.write_bytes(good[:place] + bytes((value,)) + good[place + 1 :])
        with pytest.raises((ImageError, ReadError), match=r"can(not)? be read"):
            ImageFiles(path).read("1.png")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_a_bomb_in_a_zip_is_refused_before_it_is_unpacked(tmp_path, method):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", method) as file, file.open("1.png", "w") as member:
        for _ in range(20):
            member.write(bytes(2**22))
    with pytest.raises(ImageError, match="would become 83,886,080"):
        ImageFiles(path).read("1.png")


def test_what_is_no_file_is_looked_at_before_it_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path, what in ((tmp_path / "pipe.png", "a pipe"), ("/dev/zero", "a device"), (tmp_path, "a folder")):
        with pytest.raises(ImageError, match=what):
            read_image(path)
    with pytest.raises(ReadError, match="a pipe"):
        ImageFiles(tmp_path / "pipe.png")
    with pytest.raises(ReadError, match="a device"):
        ImageFiles("/dev/zero")
    with pytest.raises(ReadError, match="the root of the file system"):
        ImageFiles("/")
    with pytest.raises(ReadError, match="there is no images folder"):
        ImageFiles(tmp_path / "none")


def test_a_folder_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(ReadError, match=r"images folder .* cannot be read: Permission denied"):
        ImageFiles(tmp_path)
