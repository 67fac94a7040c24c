"""Where official files come from: several sources in order, what was cut is gone on with, what nobody hashed is told."""

import hashlib
import io
import sys
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch

from poise.cli.main import main
from poise.errors import CheckpointError, ReadError
from poise.weights import download as downloading
from poise.weights import fetch as fetching
from poise.weights import hub
from poise.weights.aliases import known_as
from poise.weights.cache import files_folder, located, model_place
from poise.weights.fetch import fetch
from poise.weights.model_file import load
from poise.weights.release import Release
from poise.weights.zoo_names import check_obtainable
from poise.zoo import build
from poise.zoo import get as getting
from poise.zoo.find import releases
from poise.zoo.importing import official_state

DATA = bytes(range(256)) * 40
DIGEST = hashlib.sha256(DATA).hexdigest()
MODES = {
    "good": (1.0, '"v1"'),
    "other": (1.0, '"v1"'),  # another file
    "cut": (0.4, '"v1"'),  # each answer ends after four tenths of what was asked for
    "none": (0.0, '"v1"'),
    "weak": (0.4, 'W/"v1"'),
    "mute": (0.4, ""),
    "slow": (1.0, '"v1"'),
}


class Server(BaseHTTPRequestHandler):
    """Answers parts of a file, cut where the path says so; every request is noted."""

    asked: ClassVar[list[tuple[str, str | None]]] = []
    version = '"v1"'
    data = DATA

    def do_GET(self):
        kind = self.path.strip("/").partition(".")[0]
        asks = self.headers.get("Range")
        self.asked.append((kind, asks))
        if kind not in MODES:
            self.send_error(404)
            return
        share, tag = MODES[kind]
        tag = tag and tag.replace('"v1"', self.version)
        goes_on = asks is not None and self.headers.get("If-Range") == tag
        begin = int(asks.removeprefix("bytes=").rstrip("-")) if goes_on else 0
        rest = (self.data[::-1] if kind == "other" else self.data)[begin:]
        self.send_response(206 if goes_on else 200)
        if goes_on:
            self.send_header("Content-Range", f"bytes {begin}-{len(self.data) - 1}/{len(self.data)}")
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("Accept-Ranges", "bytes" if tag else "none")
        if tag:
            self.send_header("ETag", tag)
        self.end_headers()
        time.sleep(0.3 * (kind == "slow"))
        self.wfile.write(rest[: max(int(len(rest) * share), 1 if share else 0)])

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture(scope="module")
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.handle_error = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    monkeypatch.setattr(Server, "asked", [])
    monkeypatch.setattr(Server, "version", '"v1"')
    return lambda: Server.asked


@pytest.fixture
def release(address):
    def made(*kinds, sha256=DIGEST):
        first, *others = (f"{address}/{kind}.pth" for kind in kinds)
        return Release("some_model", "model.pth", "a page", "a folder", first, sha256, "MIT", mirrors=tuple(others))

    return made


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_cut_is_gone_on_with_in_the_same_command_and_the_next(release, asked, tmp_path):
    with pytest.raises(ReadError, match=r"cut\.pth (was cut|cannot be downloaded).*in a browser"):
        fetch(release("cut"), tmp_path)
    assert [begin for _, begin in asked()] == [None, "bytes=4096-", "bytes=6553-", "bytes=8027-"]
    assert names(tmp_path) == [".model.pth.part", ".model.pth.part.version"]
    for _ in range(5):
        try:
            path = fetch(release("cut"), tmp_path)
        except ReadError:
            continue
        break
    assert path.read_bytes() == DATA
    assert names(tmp_path) == ["model.pth", "model.pth.sha256"]
    assert asked()[4][1] == "bytes=8912-"


def test_a_file_that_changed_meanwhile_is_begun_anew(release, tmp_path, monkeypatch):
    with pytest.raises(ReadError):
        fetch(release("cut"), tmp_path)
    (tmp_path / ".model.pth.part").write_bytes(b"of another version")
    monkeypatch.setattr(Server, "version", '"v2"')
    monkeypatch.setitem(MODES, "cut", MODES["good"])
    assert fetch(release("cut"), tmp_path).read_bytes() == DATA


def test_parts_of_two_files_are_never_joined_and_a_wrong_sum_leaves_nothing(release, tmp_path):
    with pytest.raises(ReadError):
        fetch(release("cut"), tmp_path)
    (tmp_path / ".model.pth.part").write_bytes(b"x" * 9000)
    MODES["cut"], usual = MODES["good"], MODES["cut"]
    try:
        with pytest.raises(CheckpointError, match="not the published"):
            fetch(release("cut"), tmp_path)
    finally:
        MODES["cut"] = usual
    assert names(tmp_path) == []


@pytest.mark.parametrize("kind", ["weak", "mute", "none"])
def test_servers_that_cannot_go_on_are_asked_once_and_nothing_is_left(release, asked, tmp_path, kind):
    with pytest.raises(ReadError, match=r"was cut|cannot be downloaded"):
        fetch(release(kind), tmp_path)
    assert len(asked()) == 1
    assert names(tmp_path) == []


def test_a_source_that_is_down_is_told_and_the_next_is_tried(release, asked, tmp_path):
    said = []
    assert fetch(release("gone", "mute", "good"), tmp_path, say=said.append).read_bytes() == DATA
    assert [kind for kind, _ in asked()] == ["gone", "mute", "good"]
    assert len(said) == 2
    assert "gone.pth cannot be downloaded (HTTP Error 404" in said[0]
    assert all(text.endswith("; the next source is tried") and "in a browser" not in text for text in said)


def test_a_source_with_another_file_is_told_and_the_next_is_tried_but_the_last_is_refused(release, asked, tmp_path):
    said = []
    assert fetch(release("other", "good"), tmp_path, say=said.append).read_bytes() == DATA
    assert len(said) == 1
    assert "other.pth gives another file (its sha256 is " in said[0]
    (tmp_path / "model.pth").unlink()
    with pytest.raises(CheckpointError, match="not the published"):
        fetch(release("gone", "other"), tmp_path)
    assert names(tmp_path) == ["model.pth.sha256"]


def test_where_all_sources_fail_one_sentence_says_why_and_what_to_do(release, tmp_path):
    with pytest.raises(
        ReadError, match=r"gone\.pth cannot.*404.*mute\.pth.*; download model\.pth from a folder in a browser"
    ) as e:
        fetch(release("gone", "mute"), tmp_path)
    assert "\n" not in str(e.value)
    assert names(tmp_path) == []


def test_what_nobody_hashed_is_told_at_first_and_must_stay_what_it_is(release, tmp_path):
    said = []
    path = fetch(release("good", sha256=None), tmp_path, say=said.append)
    assert said == [f"nobody published a checksum of model.pth: its sha256 is {DIGEST}, by which it is known from now on"]
    path.write_bytes(b"another")
    with pytest.raises(CheckpointError, match="not the first fetched"):
        fetch(release("good", sha256=None), tmp_path, say=said.append)
    path.unlink()
    fetch(release("good", sha256=None), tmp_path, say=said.append)
    assert len(said) == 1


def test_a_mirror_may_have_another_file_of_the_model_whose_sum_is_known(release, address, tmp_path):
    other = hashlib.sha256(DATA[::-1]).hexdigest()
    made = replace(release("gone", "other"), others={f"{address}/other.pth": other})
    said = []
    path = fetch(made, tmp_path / "a", say=said.append)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == other != made.sha256
    assert fetch(made, tmp_path / "a") == path  # and is taken again
    assert said[-1] == f"{address}/other.pth has another file of the same model"
    assert made.has_sum(other)
    assert made.has_sum(DIGEST)
    assert not made.has_sum("0" * 64)
    with pytest.raises(CheckpointError, match="not the published"):
        fetch(replace(made, others={f"{address}/other.pth": "0" * 64}), tmp_path / "b")
    assert list((tmp_path / "b").glob("*.pth")) == []


@pytest.fixture
def reached(monkeypatch):
    """Hugging Face answers."""
    monkeypatch.setattr(hub, "answers", lambda url: True)


def hub_release(**fields):
    url = "https://huggingface.co/some/model-base/resolve/main/model.safetensors"
    return Release("some_b", "model.safetensors", "a page", "a folder", url, None, "MIT", **fields)


def test_files_of_hugging_face_come_through_its_package_under_a_name_of_their_own(reached, tmp_path, monkeypatch):
    def answer(repo, file, *, revision, local_dir, library_name):
        assert (repo, file, revision) == ("some/model-base", "model.safetensors", "main")
        local_dir.mkdir()
        (local_dir / file).write_bytes(DATA)
        return str(local_dir / file)

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(hf_hub_download=answer, __spec__=True))
    monkeypatch.setattr(hub, "find_spec", lambda name: True)
    assert fetch(hub_release(), tmp_path).name == "some_b-model.safetensors"
    assert names(tmp_path) == ["some_b-model.safetensors", "some_b-model.safetensors.sha256"]


def test_hugging_face_that_is_down_is_told_and_the_next_source_is_tried(reached, address, tmp_path, monkeypatch):
    def answer(*_, **__):
        raise RuntimeError("Server error '503'\nmore lines")

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(hf_hub_download=answer))
    monkeypatch.setattr(hub, "find_spec", lambda name: True)
    said = []
    fetch(hub_release(mirrors=(f"{address}/good.pth",)), tmp_path, say=said.append)
    assert said[0].startswith(
        "some/model-base/model.safetensors cannot be had from Hugging Face (Server error '503'); the next"
    )


def test_hugging_face_that_does_not_answer_is_not_asked_again_and_again(address, tmp_path, monkeypatch):
    def answer(*_, **__):
        raise AssertionError("its package tries five times, in half a minute")

    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(hf_hub_download=answer))
    monkeypatch.setattr(hub, "find_spec", lambda name: True)
    said = []
    fetch(hub_release(mirrors=(f"{address}/good.pth",)), tmp_path, say=said.append)
    assert said[0] == "http://127.0.0.1:9 does not answer; the next source is tried"


def test_without_the_package_hugging_face_is_asked_as_any_other_server(monkeypatch, tmp_path):
    monkeypatch.setattr(hub, "find_spec", lambda name: None)
    urls = []
    monkeypatch.setattr(fetching, "download", lambda url, path, instead, part: urls.append(url) or path.write_bytes(DATA))
    fetch(hub_release(), tmp_path)
    assert urls == [hub_release().url]


@pytest.mark.parametrize("written", ["BlazePose-Full", "blazepose full", "blazepose"])
def test_models_are_got_and_found_by_the_names_that_people_write(written, tmp_path, monkeypatch):
    monkeypatch.setenv("POISE_HOME", str(tmp_path))
    assert check_obtainable(written) == "blazepose_full"
    place = model_place("blazepose_full")
    place.parent.mkdir(parents=True)
    place.write_bytes(b"a model")
    assert located(written) == place


def test_a_size_may_be_a_word_or_a_letter():
    known = ["rtmpose_m", "vitpose_b", "vitpose_b_simple"]
    assert [known_as(name, known) for name in ("RTMPose-medium", "vitpose-base", "ViTPose base simple")] == known
    assert known_as("rtmpose_q", known) == "rtmpose_q"


CONFIGS = {
    "rtmpose-m_8xb256-420e_coco-256x192": "rtmpose_m_coco",
    "rtmpose-m_8xb256-420e_body8-256x192.py": "rtmpose_m",
    "rtmpose-l_8xb256-420e_body8-384x288": "rtmpose_l_384x288",
    "rtmpose-m_8xb512-700e_body8-halpe26-256x192": "rtmpose_m_halpe26",
    "rtmpose-l_8xb32-270e_coco-wholebody-384x288": "rtmpose_l_wholebody_384x288",
    "rtmpose-m_8xb32-210e_coco-wholebody-hand-256x256": "rtmpose_m_hand21",
    "rtmpose-m_8xb64-210e_ap10k-256x256": "rtmpose_m_ap10k",
    "rtmpose-m_8xb64-210e_crowdpose-256x192": "rtmpose_m_crowdpose",
    "rtmw-l_8xb1024-270e_cocktail14-256x192": "rtmw_l",
    "rtmw-x_8xb320-270e_cocktail14-384x288": "rtmw_x_384x288",
    "rtmo-t_8xb32-600e_body7-416x416": "rtmo_t",
    "rtmo-l_16xb16-700e_body7-crowdpose-640x640": "rtmo_l_body7_crowdpose14",
    "rtmo-s_8xb32-700e_crowdpose-640x640": "rtmo_s_crowdpose14",
    "td-hm_ViTPose-base-simple_8xb64-210e_coco-256x192": "vitpose_b_simple",
    "td-hm_ViTPose-huge_8xb64-210e_humanart-256x192": "vitpose_h_humanart",
}


@pytest.mark.parametrize(("config", "name"), CONFIGS.items())
def test_names_of_mmposes_configurations_are_known(config, name):
    assert check_obtainable(config) == name


def test_a_configuration_of_views_that_nobody_published_is_not_another_model():
    known = ["rtmpose_m", "rtmpose_m_coco", "rtmpose_l_wholebody"]
    for name in ("rtmpose-m_8xb256-420e_coco-384x288", "rtmpose-l_8xb64-270e_coco-ubody-wholebody-256x192"):
        assert known_as(name, known) == name


NETWORK = "litehrnet_18_coco17_256x192"


@pytest.fixture
def published(address, tmp_path, monkeypatch):
    """A network's release as its authors would publish it on the server, at a path that tells how that answers."""
    monkeypatch.setenv("POISE_HOME", str(tmp_path / "home"))
    state, file = official_state(build(NETWORK), NETWORK), io.BytesIO()
    torch.save({"meta": {"epoch": 210}, "state_dict": state}, file)
    monkeypatch.setattr(Server, "data", file.getvalue())
    digest = hashlib.sha256(file.getvalue()).hexdigest()[:8]

    def at(kind):
        every = releases()
        every = {**every, NETWORK: replace(every[NETWORK], url=f"{address}/{kind}.pth", sha256=digest, mirrors=())}
        monkeypatch.setattr(getting, "releases", lambda: every)

    return at


@pytest.mark.parametrize(
    ("kind", "says", "left"),
    [
        ("other", "not the published", 0),
        ("gone", "404", 0),
        ("slow", "too slow", 0),
        ("mute", "was cut", 0),
        ("cut", "was cut", 2),  # what came, and whose it is
    ],
)
def test_the_command_gets_a_network_once_its_server_answers_well_and_leaves_nothing_half_written_before(
    published, asked, monkeypatch, capsys, kind, says, left
):
    published(kind)
    monkeypatch.setattr(downloading, "TOTAL_TIME", 0.1 if kind == "slow" else 60.0)
    assert main(["get", NETWORK]) == 1
    told = capsys.readouterr().err.strip()
    assert says in told
    assert len(told.splitlines()) == 1
    assert not model_place(NETWORK).exists()
    assert len(list(files_folder().iterdir())) == left
    if kind == "cut":
        monkeypatch.setitem(MODES, "cut", MODES["good"])
    else:
        published("good")
    monkeypatch.setattr(downloading, "TOTAL_TIME", 60.0)
    assert main(["get", NETWORK]) == 0
    assert (asked()[-1][1] is not None) == (kind == "cut")  # gone on with
    assert "Apache-2.0" in capsys.readouterr().out
    assert load(model_place(NETWORK)).card.name
    assert [path.suffix for path in sorted(files_folder().iterdir())] == [".pth", ".sha256"]
