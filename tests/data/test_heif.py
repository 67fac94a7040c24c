"""HEIC and AVIF: read by a package that may be absent."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, features

from poise.data import heif
from poise.data.images import SUFFIXES, decode
from poise.errors import ImageError


def box(*brands: bytes) -> bytes:
    """The beginning of a file of these brands."""
    content = b"ftyp" + brands[0] + b"\0\0\0\0" + b"".join(brands)
    return (4 + len(content)).to_bytes(4, "big") + content


@pytest.mark.parametrize(("brands", "kind"), [((b"heic",), "HEIC"), ((b"mif1", b"heic"), "HEIC"), ((b"mif1", b"avif"), "AVIF")])
def test_a_file_whose_reader_is_not_installed_is_named(brands, kind, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(heif, "features", SimpleNamespace(check=lambda name: False))
    with pytest.raises(
        ImageError, match=rf"IMG_1\.HEIC' is {kind}, .*pip install 'poise\[heif\]' \(pillow-heif\); or save it as"
    ):
        decode(box(*brands) + b"rest", name="IMG_1.HEIC")


def test_the_reader_is_asked_where_it_is_installed(monkeypatch):
    asked = []
    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(register_heif_opener=lambda: asked.append("heif")))
    heif.allow_heif(box(b"heic"), name="a.heic")
    assert asked == ["heif"]


def test_other_files_ask_for_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for data in (b"", b"\xff\xd8", box(b"isom"), b"\0\0\0\x08ftyp"):
        heif.allow_heif(data, name="a")


def test_pictures_of_telephones_are_found_in_folders():
    assert {".heic", ".heif", ".avif", ".jp2", ".jfif", ".jpe"} <= SUFFIXES


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read_by_pillow_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    content = io.BytesIO()
    Image.fromarray(np.full((16, 24, 3), 200, np.uint8)).save(content, "avif", quality=100)
    image = decode(content.getvalue(), name="a.avif")
    assert image.shape == (3, 16, 24)
    assert abs(image.float().mean() - 200) < 4


def test_heic_is_read_with_the_package():
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
    content = io.BytesIO()
    pillow_heif.register_heif_opener()
    Image.fromarray(np.full((32, 48, 3), 90, np.uint8)).save(content, "heif", quality=95)
    assert abs(decode(content.getvalue(), name="a.heic").float().mean() - 90) < 4
