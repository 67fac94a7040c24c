"""The pages of `docs/adding`, followed to the letter: their files are written, then their commands are typed.

What pages call "the source of poise" is this repository; the user's files lie elsewhere, in a folder that Python looks in. Runs
take two steps in place of many.
"""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

import poise
from poise import plugins, zoo
from poise.cli.main import main
from poise.data.figures import FigureDataset, write_coco

ROOT = Path(__file__).parents[2]
ADDING = ROOT / "docs" / "adding"
FENCE = re.compile(r"^(?P<mark><!-- [\w ]+ -->\s*\n)?```(?P<kind>\w*)[^\n]*\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (?P<path>[\w/]+\.py)\n")
SHORT = ["--steps", "2", "--workers", "0", "--device", "cpu", "--batch", "2"]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that pages talk about, beside those they write: annotations.json, images/, photo.jpg."""
    folder = tmp_path_factory.mktemp("workshop")
    drawn = FigureDataset(8, size=(96, 96), seed=11)
    write_coco(drawn, folder)
    Image.fromarray(drawn[0].image.permute(1, 2, 0).numpy()).save(folder / "photo.jpg")
    return folder


@pytest.fixture
def here(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The newcomer's folder."""
    folder = tmp_path / "here"
    shutil.copytree(workshop, folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(plugins, "_named", {})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield folder
    torch.set_num_threads(threads)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mypkg", "myruns")]:
        del sys.modules[name]


Process = Callable[..., subprocess.CompletedProcess[str]]
"""Runs pytest in a process of its own."""

Block = tuple[str, str, str]
"""Its mark ("not run", "refused" or nothing), its kind, its text."""


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [((b["mark"] or "").strip("<!-> \n"), b["kind"], b["body"]) for b in FENCE.finditer(text)]


def follow(page: str, here: Path, process: Process) -> None:
    """Write the files of a page, run its Python and type its commands, from top to bottom."""
    written: dict[str, object] = {"__name__": f"page_{page}"}
    typed = 0
    parts = blocks(ADDING / f"{page}.md")
    for _, kind, body in parts:
        if kind == "python" and (named := FILE.match(body)):
            (here / named["path"]).parent.mkdir(exist_ok=True)
            (here / named["path"]).write_text(body, encoding="utf-8")
    for mark, kind, body in parts:
        if kind == "python" and mark != "not run" and not FILE.match(body):
            exec(compile(body, f"{page}.md", "exec"), written)
        for line in body.splitlines() if kind == "sh" else ():
            type_line(line, here, process, refused=mark == "refused")
            typed += 1
    assert typed, f"docs/adding/{page}.md has no command that a newcomer could type"


def type_line(line: str, here: Path, process: Process, *, refused: bool) -> None:
    words = shlex.split(line)
    if words[:3] == ["python", "-m", "pytest"]:
        laws(words[3:], here, process)
        return
    assert words[0] == "poise", f"who types {line!r}?"
    plugins._named.clear()  # each command is a process of its own
    short = words[1] == "train" and "--help" not in words
    assert main([*without(words[1:], SHORT), *SHORT] if short else words[1:]) == int(refused), line


def without(words: list[str], flags: list[str]) -> list[str]:
    """The words without flags, each of one value, that are given anew."""
    known = {flag for flag in flags if flag.startswith("--")}
    return [word for i, word in enumerate(words) if word not in known and words[i - 1] not in known]


def laws(words: list[str], here: Path, laws_process: Process) -> None:
    """Law tests in the source of poise, of a package that lies elsewhere: some are chosen, and all of these pass."""
    path = [str(here), *(path for path in sys.path if path)]
    quiet = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore::pytest.PytestAssertRewriteWarning")
    done = laws_process(ROOT, *quiet, *words, path=path)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, done.stdout
    assert int(passed[1]) >= 6, f"these are few laws: {done.stdout[-300:]}"


@pytest.mark.parametrize("page", ["backbone", "dataset", "model", "loss-and-metric", "plugin"])
def test_a_newcomer_follows_a_page_and_arrives(page: str, here: Path, laws_process: Process) -> None:
    follow(page, here, laws_process)


def test_a_run_of_the_page_trains_what_it_says(here: Path, laws_process: Process) -> None:
    follow("run", here, laws_process)
    model = poise.load(here / "runs" / "animals" / "model.safetensors")
    assert model.skeleton.name == "quadruped"


def test_a_codec_of_the_page_is_what_the_model_reads_with(here: Path, laws_process: Process) -> None:
    follow("codec", here, laws_process)
    model = poise.load(here / "runs" / "parabola" / "model.safetensors", plugins=["mypkg"])
    assert type(model.codec).__name__ == "Parabola"


def test_a_skeleton_of_the_page_is_checked_and_kept_in_a_file_without_a_package(here: Path) -> None:
    text = next(body for _, kind, body in blocks(ADDING / "skeleton.md") if kind == "python")
    made: dict[str, object] = {}
    exec(compile(text, "skeleton.md", "exec"), made)
    skeleton = next(value for value in made.values() if isinstance(value, poise.skeletons.Skeleton))
    model = zoo.build("poise_t_coco_64x64", skeleton=skeleton)
    assert poise.load(poise.save(model, here / "model.safetensors")).skeleton == skeleton


def test_every_page_about_adding_is_followed() -> None:
    followed = {"codec", "backbone", "dataset", "model", "loss-and-metric", "plugin", "run", "skeleton"}
    assert {page.stem for page in ADDING.glob("*.md")} == followed


def test_laws_find_faults_in_a_package_too(here: Path, laws_process: Process) -> None:
    faults = {"strides = (4, 8, 16)": "strides = (4, 8, 8)", "self._rows[index][0], index + 1)": "'same', 1)"}
    for page in ("backbone", "dataset"):
        for _, kind, body in blocks(ADDING / f"{page}.md"):
            if kind == "python" and (named := FILE.match(body)):
                for right, wrong in faults.items():
                    body = body.replace(right, wrong)
                (here / named["path"]).parent.mkdir(exist_ok=True)
                (here / named["path"]).write_text(body, encoding="utf-8")
    with pytest.raises(AssertionError) as failed:
        laws(
            ["tests/nn/test_backbone_laws.py", "tests/data/test_laws.py", "--plugin", "mypkg", "-k", "ThreeSteps or mypkg"],
            here,
            laws_process,
        )
    assert "test_feature_maps_have_the_channels_and_strides_that_the_backbone_says[ThreeSteps]" in str(failed.value)
    assert "test_a_sample_is_its_image_labels_and_key_and_keys_differ[mypkg.fakes]" in str(failed.value)
