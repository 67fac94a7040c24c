"""`poise zoo`: the published models, how large and how good they are, and where their weights are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from poise.terminal import Console
    from poise.weights.release import Release


LONGEST = 1000
"""Columns of a row in a pipe or file, at most."""


def run(
    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = "",
    /,
    *,
    fetch: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None,
    all: bool = False,
    layers: bool = False,
) -> int:
    """List the models of the zoo, or show one and fetch its official file.

    For example: poise zoo hrnet_w32_coco_256x192 --fetch downloads

    Args:
        name: Name of one model; without it one of each kind is listed. Other sizes than the listed ones may be given.
        fetch: Download the official file of that model into this folder and check it.
        all: List every model, with its licence and official file, and the forms of all names.
        layers: List the layers of that model: kernel, shape of the output, parameters, multiply-adds.
    """
    from poise.errors import InputError
    from poise.terminal import Console
    from poise.weights.zoo_names import check_model

    console = Console()
    if layers and not name:
        raise InputError("--layers needs the name of a model; poise zoo lists them")
    if name and all:
        raise InputError(f"--all lists every model, and {name} is one; leave one of them out")
    if name:
        check_model(name)
        _show(name, console)
        if layers:
            _wide(console, _layers(name))
    elif fetch is None:
        _list(console, everything=all)
    else:
        raise InputError("--fetch needs the name of a model; poise zoo lists them")
    if fetch is not None:
        console.print(f"fetched {_fetch(name, fetch)}", soft_wrap=True)
    return 0


def _fetch(name: str, folder: Path) -> Path:
    from poise.errors import unknown
    from poise.weights.fetch import fetch
    from poise.zoo.find import releases

    if name not in releases():
        raise unknown("published model", name, releases())
    return fetch(releases()[name], folder)


def _list(console: Console, *, everything: bool) -> None:
    """Print the models: one of each kind in a table of 80 columns, or every one with all that is known."""
    from poise.zoo.find import releases

    shown = dict(releases()) if everything else _one_of_each(releases())
    _wide(console, _table(shown, everything=everything))
    console.print(_footnote() if everything else _short_footnote(len(shown), len(releases())), soft_wrap=True, highlight=False)


def _wide(console: Console, table: Table) -> None:
    """Print a table; in a pipe or file each row is one line."""
    if not console.is_terminal:
        room = console.options.update(max_width=LONGEST)
        console.width = max(console.width, console.measure(table, options=room).maximum)
    console.print(table)


def _layers(name: str) -> Table:
    from rich.table import Table
    from rich.text import Text

    from poise.zoo.layers import layers_of

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("layer", "kind", "kernel", "output"):
        table.add_column(heading, no_wrap=True)
    for heading in ("parameters", "multiply-adds"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = layers_of(name)
    for one in rows:
        calls = f" x{one.calls}" if one.calls > 1 else ""
        shape = "x".join(map(str, one.output))
        table.add_row(Text(one.name), one.kind + calls, one.kernel, shape, f"{one.parameters:,}", f"{one.multiply_adds:,}")
    total = sum(one.parameters for one in rows), sum(one.multiply_adds for one in rows)
    table.add_row("all", "", "", "", f"{total[0]:,}", f"{total[1]:,}")
    return table


def _one_of_each(releases: Mapping[str, Release]) -> dict[str, Release]:
    """The first model of each network, of those that differ in size and data set alone."""
    from poise.zoo.guess import network_name

    kinds: dict[str, Release] = {}
    for name, release in releases.items():
        kinds.setdefault(network_name(name), release)
    return {release.name: release for release in kinds.values()}


def _table(releases: Mapping[str, Release], *, everything: bool) -> Table:
    from rich.table import Table

    from poise.zoo.cost import model_costs
    from poise.zoo.get import obtainable

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("name", no_wrap=True)
    for heading in ("params M", "mult-adds G"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("published score", "licence", "official file") if everything else ("score", "file"):
        table.add_column(heading, overflow="fold")
    sizes = model_costs(releases)
    for release in releases.values():
        size = sizes[release.name]
        scores = [f"{key.partition('/')[2]} {100 * value:.1f}" for key, value in release.scores.items()]
        every = ", ".join(scores), release.licence.partition(";")[0], release.file
        more = (
            every
            if everything
            else (re.sub(r"box AP( \dx)?", "box", "".join(scores[:1])), "yes" if release.name in obtainable() else "")
        )
        table.add_row(release.name, f"{size.parameters / 1e6:.1f}", f"{size.multiply_adds / 1e9:.2f}", *more)
    return table


def _scores(release: Release) -> str:
    return ", ".join(f"{name} {100 * value:.1f}" for name, value in release.scores.items()) or "none"


def _no_file(release: Release) -> str:
    """What is known of the file of a model without one: who publishes scores may publish weights on the page."""
    return "see the page" if release.page and release.scores else "none was published"


def _kin(name: str) -> list[str]:
    """Releases of the network of a name that is no release: they end in it, or their official file is called so."""
    from poise.zoo.find import releases

    if name in releases():
        return []
    return [other for other, release in releases().items() if other.endswith(f"_{name}") or f"/{name}" in f"/{release.file}"]


def _short_footnote(shown: int, count: int) -> str:
    return (
        f"\n{shown} kinds of networks, {count} models; score and file are the authors'.\n"
        "poise zoo --all    every model, its licence and file, the forms of names\n"
        "poise zoo NAME     one model, and where its weights are\n"
        "poise get NAME     an official model into the cache, by its name\n"
        "poise import NAME FILE --out model.safetensors   makes a model file of them"
    )


def _footnote() -> str:
    from poise.zoo.find import families, releases

    pages = sorted({release.page for release in releases().values() if release.page})
    forms = "\n".join(f"  {family.form}  ({family.paper})" for family in families().values())
    return (
        "\nScores are the authors', flip test: AP on COCO val2017 with the boxes of a detector, PCKh on MPII val;\n"
        "OffsetGuided's and others that find people by themselves are given no boxes; detectors run without the flip test.\n"
        "The detectors differ: person AP 56.4 in most papers, 65.1 in UDP's, others in CPN's, MSPN's and RSN's.\n"
        "Weights were trained on ImageNet and on COCO or MPII images, whose own terms hold.\n"
        f"Official files: {', '.join(pages)}\n"
        "poise zoo NAME says more; any size the network can take may stand in a name:\n" + forms
    )


def _show(name: str, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    from poise.weights.release import Release
    from poise.zoo.cost import model_costs, view_size_of
    from poise.zoo.find import family_of, releases
    from poise.zoo.get import obtainable

    release = releases().get(name, Release(name, licence="that of whoever trains it"))
    parts = obtainable().get(name, ())
    cost, (height, width) = model_costs([name])[name], view_size_of(name)
    table = Table(box=None, show_header=False, pad_edge=False)
    rows = {
        "name": name,
        "paper": family_of(name).paper,
        "parameters": f"{cost.parameters:,}",
        "multiply-adds": f"{cost.multiply_adds:,} for one view of {height}x{width} (height x width)",
        "published scores": _scores(release),
        "licence": release.licence,
        "official file": " and ".join(part.file for part in parts) or _no_file(release),
    }
    if kin := _kin(name):
        alike = [releases()[other] for other in kin]
        rows |= {"published scores": "; ".join(f"{_scores(one)} ({one.name})" for one in alike if one.scores) or "none"}
        rows |= {"official file": ", ".join(one.file for one in alike if one.file) or _no_file(release)}
        rows["same network in"] = ", ".join(kin)
    if release.page:
        rows["page"] = release.page
    if release.file:
        rows |= {
            "folder": release.folder,
            "download": release.url or "by hand, in a browser",
            "sha256": release.sha256 or "not published",
        }
    for key, value in rows.items():
        table.add_row(Text(key, "bold"), Text(value, overflow="fold"))
    console.print(table)
    if parts and all(part.url or part.member for part in parts):
        console.print(f"bring it with: poise get {name}", soft_wrap=True)
    elif release.file:
        file = Path(release.file).name
        console.print(f"then: poise import {name} {file} --out {name}.safetensors", soft_wrap=True)
