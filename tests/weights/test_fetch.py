import hashlib
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from poise.errors import CheckpointError, ReadError, WriteError
from poise.weights import download as module
from poise.weights.download import download
from poise.weights.fetch import fetch
from poise.weights.release import Release

DATA = b"weights" * 1000


class Server(BaseHTTPRequestHandler):
    """Answers well, or as servers and networks do on bad days."""

    def do_GET(self):
        kind = self.path.strip("/")
        if kind.startswith("to="):
            self.send_response(302)
            self.send_header("Location", kind.removeprefix("to="))
            self.end_headers()
            return
        self.send_response(200)
        page = kind in ("page", "login")
        self.send_header("Content-Type", "text/html" if kind == "page" else "application/octet-stream")
        if kind not in ("endless", "nothing"):
            self.send_header("Content-Length", str(len(DATA) + 5 * (kind == "cut")))
        self.end_headers()
        if kind in ("slow", "endless"):
            for at in range(0, len(DATA), 100):
                self.wfile.write(DATA[at : at + 100])
                self.wfile.flush()
                time.sleep(0.02 * (kind == "slow"))
        elif kind != "nothing":
            self.wfile.write((b"\n<!DOCTYPE html>" + bytes(len(DATA)))[: len(DATA)] if page else DATA)

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture(scope="module")
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.handle_error = lambda *_: None  # who asked has gone
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def release(address):
    digest = hashlib.sha256(DATA).hexdigest()
    return Release("some_model", "pose_coco/model.pth", "a page", "a folder", f"{address}/good", digest, "MIT")


def test_a_file_is_fetched_and_checked(release, tmp_path):
    path = fetch(release, tmp_path / "down")
    assert path.read_bytes() == DATA
    assert fetch(replace(release, url="https://nowhere.invalid/x"), tmp_path / "down") == path
    assert sorted(p.name for p in path.parent.iterdir()) == ["model.pth", "model.pth.sha256"]


def test_a_file_of_another_checksum_is_refused_and_not_left(release, tmp_path):
    with pytest.raises(CheckpointError, match="sha256"):
        fetch(replace(release, sha256="0" * 64), tmp_path / "down")
    assert list((tmp_path / "down").iterdir()) == []


def test_the_first_digits_of_a_checksum_are_checked_where_no_more_was_published(release, tmp_path):
    digest = hashlib.sha256(DATA).hexdigest()
    path = fetch(replace(release, sha256=digest[:8]), tmp_path / "kept")
    assert path.read_bytes() == DATA
    other = f"{int(digest[:8], 16) ^ 1:08x}"
    with pytest.raises(CheckpointError, match=f"not the published {other}"):
        fetch(replace(release, sha256=other), tmp_path / "none")
    assert not list((tmp_path / "none").iterdir())
    path.write_bytes(DATA + b"!")
    with pytest.raises(CheckpointError, match="not the first fetched"):
        fetch(replace(release, sha256=digest[:8]), tmp_path / "kept")


def test_a_file_without_a_published_checksum_must_stay_what_it_was_first(release, tmp_path):
    open_release = replace(release, sha256=None)
    path = fetch(open_release, tmp_path)
    assert fetch(open_release, tmp_path) == path
    path.write_bytes(b"another")
    with pytest.raises(CheckpointError, match=r"not the first fetched \(.*model\.pth\.sha256\)"):
        fetch(open_release, tmp_path)
    path.unlink()
    (tmp_path / "model.pth.sha256").write_text("0" * 64 + "  model.pth\n")
    with pytest.raises(CheckpointError, match="or delete the other file, too"):
        fetch(open_release, tmp_path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("page", "gave a web page in place of the file, perhaps to log in"),
        ("login", "gave a web page in place of the file, perhaps to log in"),
        ("cut", "was cut: 7,000 bytes came of 7005|cannot be downloaded"),
        ("nothing", "was cut: 0 bytes came of some"),
        ("to=http://example.invalid/x", "only https is"),
        ("to=file:///etc/passwd", "only https is|cannot be downloaded"),
        ("to=ftp://127.0.0.1/x", "only https is"),
    ],
)
def test_what_is_not_the_whole_file_is_refused_and_not_left(release, address, tmp_path, kind, says):
    with pytest.raises(ReadError, match=f"({says}).*in a browser to .*model"):
        fetch(replace(release, url=f"{address}/{kind}"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_drips_is_left_after_a_while(release, address, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TOTAL_TIME", 0.1)
    begin = time.monotonic()
    with pytest.raises(ReadError, match=r"is too slow: .* bytes came"):
        fetch(replace(release, url=f"{address}/slow"), tmp_path)
    assert time.monotonic() - begin < 1


def test_a_download_without_end_is_left(address, tmp_path):
    with pytest.raises(ReadError, match="is larger than 1,000 bytes"):
        download(f"{address}/endless", tmp_path / "x", instead="do without", most=1000)


@pytest.mark.parametrize(
    "url", ["http://example.invalid/x", "file:///etc/passwd", "ftp://example.invalid/x", "x", "HTTP://8.8.8.8/x"]
)
def test_only_https_is_asked(release, tmp_path, url):
    with pytest.raises(ReadError, match="is not asked: only https is"):
        fetch(replace(release, url=url), tmp_path)


def test_without_a_network_the_message_says_where_to_put_the_file(release, tmp_path):
    with pytest.raises(ReadError, match=r"cannot be downloaded.*in a browser to .*model\.pth, then run: poise import"):
        fetch(replace(release, url="http://127.0.0.1:1/x"), tmp_path / "down")
    assert list((tmp_path / "down").iterdir()) == []


def test_files_for_browsers_and_unpublished_ones_are_told(release, tmp_path):
    with pytest.raises(ReadError, match="in a browser"):
        fetch(replace(release, url=None), tmp_path)
    with pytest.raises(ReadError, match="published no file"):
        fetch(replace(release, file=""), tmp_path)


def test_an_unwritable_folder_is_told(release, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(WriteError, match="cannot be written"):
        fetch(release, tmp_path / "taken")
