"""`poise zoo`: the published models, how large and how good they are, and where their weights are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from poise.weights.release import Release


LONGEST = 1000
"""Columns of a row in a pipe or file, at most."""


def run(
    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = "",
    /,
    *,
    fetch: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None,
) -> int:
    """List the models of the zoo, or show one and fetch its official file.

    For example: poise zoo hrnet_w32_coco_256x192 --fetch downloads

    Args:
        name: Of one model; without it all are listed. Other sizes than the listed ones may be given.
        fetch: Download the official file of that model into this folder and check it.
    """
    from rich.console import Console

    from poise.errors import InputError

    console = Console()
    if name:
        _show(name, console)
    elif fetch is None:
        table = _table()
        if not console.is_terminal:
            room = console.options.update(max_width=LONGEST)
            console.width = max(console.width, console.measure(table, options=room).maximum)  # a row is one line
        console.print(table)
        console.print(_footnote())
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


def _table() -> Table:
    from rich.table import Table

    from poise.zoo.cost import model_costs
    from poise.zoo.find import releases

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("name", no_wrap=True)
    for heading in ("params M", "mult-adds G"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("published score", "licence", "official file"):
        table.add_column(heading, overflow="fold")
    sizes = model_costs(releases())
    for release in releases().values():
        size = sizes[release.name]
        table.add_row(
            release.name,
            f"{size.parameters / 1e6:.1f}",
            f"{size.multiply_adds / 1e9:.2f}",
            ", ".join(f"{key.partition('/')[2]} {100 * value:.1f}" for key, value in release.scores.items()),
            release.licence.partition(";")[0],
            release.file,
        )
    return table


def _scores(release: Release) -> str:
    return ", ".join(f"{name} {100 * value:.1f}" for name, value in release.scores.items()) or "none"


def _footnote() -> str:
    from poise.zoo.find import families, releases

    pages = sorted({release.page for release in releases().values() if release.page})
    forms = "\n".join(f"  {family.form}  ({family.paper})" for family in families().values())
    return (
        "\nScores are the authors', flip test: AP on COCO val2017 with the boxes of a detector, PCKh on MPII val;\n"
        "OffsetGuided's and others that find people by themselves are given no boxes.\n"
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

    release = releases().get(name, Release(name, licence="that of whoever trains it"))
    cost, (height, width) = model_costs([name])[name], view_size_of(name)
    table = Table(box=None, show_header=False, pad_edge=False)
    rows = {
        "name": name,
        "paper": family_of(name).paper,
        "parameters": f"{cost.parameters:,}",
        "multiply-adds": f"{cost.multiply_adds:,} for one view of {height}x{width} (height x width)",
        "published scores": _scores(release),
        "licence": release.licence,
        "official file": release.file or "none was published",
    }
    if release.file:
        rows |= {
            "page": release.page,
            "folder": release.folder,
            "download": release.url or "by hand, in a browser",
            "sha256": release.sha256 or "not published",
        }
    for key, value in rows.items():
        table.add_row(f"[bold]{key}", Text(value, overflow="fold"))
    console.print(table)
    if release.file:
        file = Path(release.file).name
        console.print(f"then: poise import {name} {file} --out {name}.safetensors", soft_wrap=True)
