"""README and docs: their code runs, their commands and flags exist, their links lead somewhere.

Blocks ```python of a page run from top to bottom in one namespace, in a folder with the files of `workshop`. A block that
begins with the name of a file, such as `# mypkg/nets.py`, is written there for the others to import. A block that cannot run
has the line `<!-- not run -->` before it.
"""

import importlib.util
import itertools
import re
import shlex
import shutil
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

import poise
from poise import plugins, zoo
from poise.cli.main import COMMANDS, main
from poise.data.figures import FigureDataset, write_coco

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "README.zh-CN.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
FENCE = re.compile(r"^(?P<skip><!-- not run -->\s*\n)?```(?P<kind>\w*)[^\n]*\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(poise [^`\n]+)`")
LAUNCHED = re.compile(r"^(torchrun|srun|python) .*?(-m )?poise ")
INDENTED = re.compile(r"^    (.*\bpoise .*)$", re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FILE = re.compile(r"# (?P<path>[\w/]+\.py)\n")
FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]*")
THE_TWO_COMMANDS = ("    pip install '.[train]' && poise demo\n", "    pip install -e '.[dev]' && scripts/test\n")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    kind: str
    body: str
    skipped: bool
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(found["kind"], found["body"], bool(found["skip"]), text.count("\n", 0, found.start("body")) + 1)
        for found in FENCE.finditer(text)
    ]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def with_python(page: Path) -> bool:
    return any(block.kind == "python" and not block.skipped for block in blocks(page))


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files the pages talk about: model.safetensors, photo.jpg, annotations.json, images/."""
    folder = tmp_path_factory.mktemp("workshop")
    drawn = FigureDataset(6, per_image=(1, 2), seed=11)
    write_coco(drawn, folder)
    Image.fromarray(drawn[0].image.permute(1, 2, 0).numpy()).save(folder / "photo.jpg")
    poise.save(zoo.build("poise_t_coco_192x160"), folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("page", [p for p in PAGES if with_python(p)], ids=name_of)
def test_python_of_a_page_runs_from_top_to_bottom(
    page: Path, workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    shutil.copytree(workshop, here)
    monkeypatch.chdir(here)
    write_modules(page, here)
    lend(here, monkeypatch)
    module = types.ModuleType(f"page_{page.stem.replace('-', '_')}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in blocks(page):
        if block.kind == "python" and not block.skipped and not FILE.match(block.body):
            source = "\n" * (block.line - 1) + block.body  # so that a traceback names the line of the page
            exec(compile(source, str(page), "exec"), module.__dict__)


def commands(page: Path) -> list[str]:
    """Every line of a page that calls poise, as it would be typed."""
    shell = [block.body.replace("\\\n", " ") for block in blocks(page) if block.kind in ("sh", "bash", "console")]
    lines = [line for body in shell for line in body.splitlines()]
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    lines += INLINE.findall(prose) + INDENTED.findall(prose)
    return [call for line in lines if (call := _call(line))]


def _call(line: str) -> str:
    """The part of a line from `poise` to the end of that command; empty where there is none."""
    parts = [part.strip().removeprefix("$ ") for part in re.split(r"&&|\|\||;", line.split(" #")[0])]
    started = [LAUNCHED.sub("poise ", part) for part in parts]
    return next((part for part in started if part.startswith("poise ")), "")


def _named(words: list[str]) -> str | None:
    """The command that words start with, if they name one."""
    return next((name for name in (" ".join(words[:2]), *words[:1]) if name in COMMANDS), None)


CALLS = sorted({(name_of(page), call) for page in PAGES for call in commands(page)})


@pytest.fixture(scope="session")
def flags_of() -> dict[str, set[str]]:
    """Flags by command, once they were asked for."""
    return {}


@pytest.mark.parametrize(("page", "call"), CALLS, ids=lambda value: value)
def test_commands_of_a_page_exist_with_their_flags(
    page: str,
    call: str,
    flags_of: dict[str, set[str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    words = shlex.split(call)[1:]
    if words[0] in ("COMMAND", "--help", "--version", "data") and _named(words) is None:
        return
    name = _named(words)
    assert name is not None, f"{page}: there is no command {call!r}"
    used = set(FLAG.findall(call)) - {"--help", "--plugin"}  # these two go with every command
    if not used:
        return
    about = words[1] if name in ("train", "adapt") and not words[1].startswith("-") else ""
    if name == "train" and "--settings" in words:  # the settings name the recipe
        about = "finetune"
    named = words[words.index("--model") + 1] if about and "--model" in words else "NAME"
    known = named != "NAME" and "--plugin" not in words  # no placeholder, and no model of the page's own package
    model = ["--model", named] if known else []  # it decides which flags there are
    question = [*name.split(), *([about] if about else []), *model, "--help"]
    key = " ".join(question)
    if key not in flags_of:
        if ":" in about:
            write_modules(ROOT / page, tmp_path)
            lend(tmp_path, monkeypatch)
        monkeypatch.setenv("COLUMNS", "200")
        assert main(question) == 0
        flags_of[key] = set(FLAG.findall(capsys.readouterr().out))
    unknown = used - flags_of[key]
    assert not unknown, f"{page}: {call!r} uses {sorted(unknown)}, which {key!r} does not list"


def write_modules(page: Path, folder: Path) -> None:
    """Blocks of a page that begin with the name of a file, as files."""
    for block in blocks(page):
        named = FILE.match(block.body)
        if block.kind == "python" and named:
            (folder / named["path"]).parent.mkdir(parents=True, exist_ok=True)
            (folder / named["path"]).write_text(block.body, encoding="utf-8")


def lend(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Python find the modules of a page, which have names that other pages use too; no package is named yet."""
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(plugins, "_named", {})
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mypkg", "myruns")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_to_files_and_headings(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{name_of(page)} links to {target}, which is not there"
        if heading:
            assert heading in anchors(file), f"{name_of(page)} links to {target}; there is no such heading"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_the_reference_lists_modules_that_are_there() -> None:
    listed = re.findall(r"^::: (\S+)$", (ROOT / "docs" / "reference.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed
    assert not [name for name in listed if importlib.util.find_spec(name) is None]


def test_readme_has_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for line in THE_TWO_COMMANDS:
        assert line in text


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    there = {p.relative_to(ROOT / "docs").as_posix() for p in PAGES if ROOT / "docs" in p.parents}
    assert listed == there


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_name_no_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"(?<![\w./])/(?:home|work|root|tmp|mnt|opt|Users)/\S*", text)
    assert not found, f"{name_of(page)} has paths of one machine: {found}"


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_examples_say_what_they_show(file: Path) -> None:
    module = compile(file.read_text(encoding="utf-8"), file.name, "exec")
    first = next(itertools.chain(module.co_consts), None)
    assert isinstance(first, str), "an example starts with a docstring"
    assert first.count("\n") >= 1, "its docstring has a sentence of what it shows and one of what it writes"
    assert "__main__" in file.read_text(encoding="utf-8")


def test_apdi_is_our_reading_wherever_it_is_named() -> None:
    """It is a name in a list without a paper, so every paragraph, row or line of code that has it says so."""
    pages = [page for page in PAGES if page.name not in ("CHANGELOG.md", "decisions.md")]
    found = [*pages, *sorted((ROOT / "src").rglob("*.py"))]
    parts = [
        part for file in found for part in re.split(r"\n\s*\n|(?<=\|)\n", file.read_text(encoding="utf-8")) if "APDI" in part
    ]
    assert len(parts) > 5
    unmarked = [part for part in parts if not re.search(r"our\s+reading|as\s+we\s+read", part)]
    assert unmarked == []
