"""Predictions in parts, at addresses and by several processes: each part once, whatever dies; the rows of one process."""

import json
import os
import pickle
import signal
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest

from poise.cli.main import main
from poise.data.figures import FigureDataset, write_coco
from poise.errors import InputError
from poise.inference.addresses import list_images, names_in, read_address
from poise.inference.moving import address_of
from poise.inference.parts import PartJob, parts_of
from poise.inference.ray_engine import RayCluster
from poise.weights.model_file import load, save
from poise.zoo import build

COUNT = 11


RAY_WARNS = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")
"""Ray sets options of its own that it has deprecated itself."""


def has_ray() -> bool:
    try:
        import ray.data  # noqa: F401
    except ImportError:
        return False
    return True


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(build("poise_t_coco_64x64"), tmp_path_factory.mktemp("model") / "tiny.safetensors")


def picture(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 255, (60, 80, 3), np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.fixture
def memory():
    """fsspec's file system in memory, with a folder of images, of which one cannot be read."""
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    files.store.clear()
    for number in range(1, COUNT + 1):
        files.pipe_file(f"/photos/more/{number:03d}.png" if number > 8 else f"/photos/{number:03d}.png", picture(number))
    files.pipe_file("/photos/003.png", b"broken")
    files.pipe_file("/photos/notes.txt", b"no image")
    yield files
    files.store.clear()


def predict(*words) -> int:
    return main(["predict", *map(str, words), "--precision", "fp32", "--whole-image"])


def rows_in(folder) -> list[dict]:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed (poise[ray])")
    return [row for file in sorted(Path(folder).glob("*.parquet")) for row in parquet.read_table(file).to_pylist()]


def test_addresses_are_told_from_paths_of_files():
    assert address_of(Path("s3://bucket/a b/c")) == "s3://bucket/a b/c"
    assert address_of("memory://photos") == "memory://photos"
    for other in ("photos/a.jpg", "/photos", "C:/photos", "https://x.org/a.jpg", "rtsp://camera", "file:///a", "a:b"):
        assert address_of(other) == ""


def test_images_at_an_address_have_the_names_and_ids_that_a_folder_gives_them(memory):
    images = list_images(["memory://photos"])
    assert [one.name for one in images][:2] == ["001.png", "002.png"]
    assert images[-1].name == "more/011.png"
    assert [one.image_id for one in images] == list(range(1, COUNT + 1))
    assert read_address(images[3].address) == picture(4)
    assert [one.name for one in list_images(["memory://photos/00[2-4].png"])] == ["002.png", "003.png", "004.png"]
    assert [one.name for one in list_images(["memory://photos/004.png"])] == ["004.png"]


def test_a_part_is_called_by_what_it_is_made_of(memory):
    images = list_images(["memory://photos"])
    first, second, third = parts_of(images, None, asked={"model": "a"}, size=4)
    assert [len(part.requests) for part in (first, second, third)] == [4, 4, 3]
    again = [part.file for part in parts_of(images, None, asked={"model": "a"}, size=4)]
    assert again == [first.file, second.file, third.file]
    assert not {part.file for part in parts_of(images, None, asked={"model": "b"}, size=4)} & set(again)
    memory.pipe_file("/photos/001.png", b"another image")
    changed = [part.file for part in parts_of(list_images(["memory://photos"]), None, asked={"model": "a"}, size=4)]
    assert changed[0] != again[0]
    assert changed[1:] == again[1:]


def test_results_at_an_address_are_made_once_and_are_those_of_one_process(memory, model, tmp_path, capsys):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed (poise[ray])")
    words = ("memory://photos", "--model", model, "--part", "4", "--out", "memory://found")
    assert predict(*words) == 0
    said = capsys.readouterr().out
    assert "1 image was skipped" in said
    assert f"{COUNT - 1} people in {COUNT - 1} images" in said
    parts = names_in("memory://found")
    assert len(parts) == 3
    before = {name: memory.created(f"/found/{name}") for name in parts}
    memory.rm("/found/" + sorted(parts)[0])
    assert predict(*words) == 0
    assert "2 parts of 3 were there" in (said := capsys.readouterr().out)
    assert f"{COUNT - 1} people in {COUNT - 1} images" in said
    kept = {name for name in names_in("memory://found") if memory.created(f"/found/{name}") == before[name]}
    assert len(kept) == 2
    rows = []
    for name in names_in("memory://found"):
        with memory.open(f"/found/{name}") as file:
            rows += parquet.read_table(file).to_pylist()
    for number in range(1, COUNT + 1):
        (tmp_path / f"{number:03d}.png").write_bytes(memory.cat(f"/photos/{'more/' if number > 8 else ''}{number:03d}.png"))
    assert predict(tmp_path, "--model", model, "--out", tmp_path / "one", "--format", "jsonl", "--no-pictures") == 0
    alone = {row["image_id"]: row for row in map(json.loads, (tmp_path / "one" / "predictions.jsonl").read_text().splitlines())}
    assert sorted(row["image_id"] for row in rows) == sorted(alone)
    for row in rows:
        [person] = alone[row["image_id"]]["people"]
        assert row["pose_score"] == pytest.approx(person["pose_score"], abs=2e-3)
        assert row["nose_x"] == pytest.approx(person["keypoints"][0][0], abs=0.05)
    assert predict(*words, "--min-score", "0.5") == 1
    assert "holds parts of other images or settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("memory://nothing",), "no images"),
        (("memory://photos", "--format", "csv"), "--format csv is another form"),
        (("nosuch://photos",), "no address that fsspec knows"),
        (("memory://photos", "--address", "auto"), "belongs to --engine ray"),
        (("memory://photos", "--engine", "spark"), "engine"),
    ],
)
def test_mistakes_are_told_in_one_sentence(words, says, memory, model, tmp_path, capsys, monkeypatch):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed (poise[ray])")
    monkeypatch.chdir(tmp_path)
    assert predict(*words, "--model", model) == 1
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_is_missing_says_what_brings_it(model, tmp_path, capsys, monkeypatch):
    (tmp_path / "1.png").write_bytes(picture(1))
    monkeypatch.setattr("poise.inference.ray_engine.find_spec", lambda name: None)
    assert predict(tmp_path, "--model", model, "--out", tmp_path / "out", "--engine", "ray") == 1
    assert "pip install 'poise[ray]'" in capsys.readouterr().err
    words = ["--annotations", str(tmp_path / "1.png"), "--images", str(tmp_path), "--actors", "2"]
    assert main(["evaluate", str(model), *words]) == 1
    assert "--actors belongs to --engine ray" in capsys.readouterr().err


class Dies:
    """A job whose workers end their process once, in the middle of the third part."""

    def __init__(self, job: PartJob, marker: Path) -> None:
        self.job, self.marker = job, marker

    def __call__(self):
        worker = self.job()

        def work(part):
            done = names_in(self.job.out)
            if len(done) >= 2 and not self.marker.exists():
                self.marker.write_text(str(os.getpid()))
                os.kill(os.getpid(), signal.SIGKILL)
            return worker(part)

        return work


@pytest.mark.skipif(not has_ray(), reason="Ray is not installed (poise[ray])")
@RAY_WARNS
def test_two_workers_of_ray_one_of_which_is_killed_lose_no_row_and_write_none_twice(model, tmp_path, capsys):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(1, 41):
        (photos / f"{number:03d}.png").write_bytes(picture(number))
    parts = parts_of(list_images([str(photos)]), None, asked={}, size=4)
    job = PartJob(model=load(model), out=str(tmp_path / "found"), precision="fp32", runtime="torch")
    assert pickle.loads(pickle.dumps(job)).out == job.out
    done = list(RayCluster(actors=2).map(Dies(job, tmp_path / "killed"), parts))
    assert (tmp_path / "killed").is_file(), "a worker was killed"
    assert sorted(one.file for one in done) == sorted(part.file for part in parts)
    rows = rows_in(tmp_path / "found")
    assert sorted(row["image_id"] for row in rows) == list(range(1, 41)), "each image once"
    alone = PartJob(model=load(model), out=str(tmp_path / "alone"), precision="fp32", runtime="torch")()
    for part in parts:
        alone(part)
    expected = {row["image_id"]: row for row in rows_in(tmp_path / "alone")}
    for row in rows:
        for name, value in row.items():
            one = expected[row["image_id"]][name]
            assert value == (pytest.approx(one, abs=2e-3) if isinstance(value, float) else one)


@pytest.mark.skipif(not has_ray(), reason="Ray is not installed (poise[ray])")
@RAY_WARNS
def test_an_evaluation_by_ray_has_the_scores_of_one_process(model, tmp_path):
    labels = write_coco(FigureDataset(5, size=(96, 96)), tmp_path / "drawn")
    scores = {}
    for how, more in (("one", ()), ("ray", ("--engine", "ray", "--actors", "1"))):
        out = tmp_path / f"{how}.json"
        words = ["--annotations", str(labels), "--images", str(labels.parent / "images"), "--out", str(out), *more]
        assert main(["evaluate", str(model), *words, "--precision", "fp32"]) == 0
        scores[how] = json.loads(out.with_suffix(".scores.json").read_text())["scores"]
    assert scores["ray"] == pytest.approx(scores["one"], abs=1e-3, nan_ok=True)


def test_an_address_at_which_nobody_answers_is_told_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = free.getsockname()[1]
    with pytest.raises(InputError, match=f"Ray cannot be reached at 127.0.0.1:{nobody} .*check --address"):
        RayCluster(address=f"127.0.0.1:{nobody}")._check_reachable()
    RayCluster(address="auto")._check_reachable()
