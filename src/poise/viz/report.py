"""A report as one HTML file: text, tables, curves and pictures, nothing fetched from anywhere."""

import base64
import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

import cv2
import numpy as np

from poise.errors import InputError
from poise.viz.draw import AnyPixels, Pixels
from poise.writing import write_whole

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --line: #e0e1e6; --ground: #fcfcfd; --card: #ffffff;
  --c0: #d9480f; --c1: #1971c2; --c2: #2f9e44; --c3: #9c36b5; --c4: #e8590c; --c5: #0c8599; }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --soft: #a0a4ac; --line: #33363b; --ground: #111214;
  --card: #18191b; --c0: #ff922b; --c1: #4dabf7; --c2: #69db7c; --c3: #da77f2; --c4: #ffa94d; --c5: #3bc9db; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font:
  16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 1.5rem; letter-spacing: -0.02em; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; letter-spacing: -0.01em; }
p { margin: .5rem 0; max-width: 46rem; }
nav { display: flex; flex-wrap: wrap; gap: .35rem .9rem; margin-bottom: 1rem; font-size: .9rem; }
nav a { color: var(--soft); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 10px; background: var(--card); }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { padding: .42rem .6rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: .9rem; } th:last-child, td:last-child { padding-right: .9rem; }
th { color: var(--soft); font-weight: 600; border-bottom: 1px solid var(--line); }
tbody tr + tr td { border-top: 1px solid var(--line); }
td { font-variant-numeric: tabular-nums; }
.gallery { display: grid; gap: 1rem; align-items: start; margin: 1rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--wide)), 1fr)); }
figure { margin: 0; border: 1px solid var(--line); border-radius: 10px; overflow: hidden; background: var(--card); }
figure + figure { margin-top: 1rem; }
.gallery figure { margin: 0; }
figure img { display: block; width: 100%; height: auto; }
figcaption { padding: .45rem .8rem; font-size: .86rem; color: var(--soft); }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.2rem; padding: .5rem .9rem; font-size: .88rem; color: var(--soft); }
.legend i { display: inline-block; width: 1.1em; height: .22em; border-radius: 2px; margin-right: .45em;
  vertical-align: middle; }
"""


@final
class Report:
    """A page that is put together part by part, in order; every method gives the report back.

    >>> page = Report("A run").text("Two epochs.").table(("keypoint", "pck"), [("nose", 0.91)])
    >>> "<td>0.910</td>" in page.html()
    True

    Args:
        title: Of the page.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._parts: list[str] = []
        self._sections: list[str] = []

    def section(self, name: str) -> "Report":
        """Begin a section."""
        self._sections.append(name)
        self._parts.append(f'<h2 id="s{len(self._sections)}">{html.escape(name)}</h2>')
        return self

    def text(self, words: str) -> "Report":
        """Paragraphs, with empty lines between them."""
        self._parts += [f"<p>{html.escape(part.strip())}</p>" for part in words.split("\n\n") if part.strip()]
        return self

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str | float | int]]) -> "Report":
        """A table; fractions get three decimals, and numbers that are none a dash.

        Raises:
            InputError: A row has more or fewer cells than there are headers.
        """
        wrong = next((row for row in rows if len(row) != len(headers)), None)
        if wrong is not None:
            raise InputError(f"a row of the table has {len(wrong)} cells for {len(headers)} headers: {list(wrong)}")
        head = "".join(f"<th>{html.escape(h)}</th>" for h in headers)
        body = "\n".join("<tr>" + "".join(f"<td>{_cell(v)}</td>" for v in row) + "</tr>" for row in rows)
        self._parts.append(f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>')
        return self

    def curve(
        self, name: str, xs: Sequence[float | int], lines: Mapping[str, Sequence[float | int]], *, xlabel: str = ""
    ) -> "Report":
        """A chart of lines over `xs`; values that are not finite are left out.

        Raises:
            InputError: There is no line, or one has another length than `xs`.
        """
        if not lines or any(len(ys) != len(xs) for ys in lines.values()):
            lengths = {label: len(ys) for label, ys in lines.items()}
            raise InputError(f"the chart {name!r} needs lines as long as its {len(xs)} places, found {lengths}")
        legend = "".join(
            f'<span><i style="background:var(--c{i % 6})"></i>{html.escape(label)}</span>' for i, label in enumerate(lines)
        )
        chart = _chart([float(x) for x in xs], [[float(y) for y in ys] for ys in lines.values()], xlabel)
        self._parts.append(
            f'<figure role="img" aria-label="{html.escape(name)}"><div class="legend"><b>{html.escape(name)}</b>{legend}</div>'
            f"{chart}</figure>"
        )
        return self

    def pictures(self, pictures: Sequence[tuple[str, AnyPixels]], *, width: int = 240) -> "Report":
        """A gallery of RGB pictures with captions.

        Args:
            pictures: Caption and picture.
            width: At least so wide is each, as the page allows.
        """
        figures = "\n".join(
            f'<figure><img loading="lazy" alt="{html.escape(caption)}" src="{_data(image)}">'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            for caption, image in pictures
        )
        self._parts.append(f'<div class="gallery" style="--wide:{width}px">\n{figures}\n</div>')
        return self

    def html(self) -> str:
        """The page."""
        links = "".join(f'<a href="#s{i}">{html.escape(name)}</a>' for i, name in enumerate(self._sections, start=1))
        title = html.escape(self._title)
        content = "\n".join(self._parts)
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n'
            f"<body><main><h1>{title}</h1>\n<nav>{links}</nav>\n{content}\n</main></body></html>\n"
        )

    def write(self, path: Path | str) -> Path:
        """Write the page; it is there whole or not at all.

        Raises:
            WriteError: The place cannot be written.
        """
        write_whole(path, self.html().encode())
        return Path(path)


def _cell(value: str | float | int) -> str:
    if isinstance(value, str):
        return html.escape(value)
    if isinstance(value, float):
        return f"{value:.3f}" if math.isfinite(value) else "-"
    return str(value)


def _data(image: Pixels) -> str:
    """The smaller of PNG and JPEG as a data address."""
    bgr = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
    kinds = (("png", [cv2.IMWRITE_PNG_COMPRESSION, 9]), ("jpeg", [cv2.IMWRITE_JPEG_QUALITY, 90]))
    kind, data = min(((k, cv2.imencode(f".{k}", bgr, o)[1].tobytes()) for k, o in kinds), key=lambda pair: len(pair[1]))
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


_WIDTH, _HEIGHT, _RIGHT, _TOP, _BOTTOM = 860, 300, 18, 14, 40
_LETTER = 7.2
"""Width of a digit of the labels, about."""


def _chart(xs: Sequence[float], lines: Sequence[Sequence[float]], xlabel: str) -> str:
    finite = [(x, y) for ys in lines for x, y in zip(xs, ys, strict=True) if math.isfinite(x) and math.isfinite(y)]
    whole = all(x == round(x) for x, _ in finite)
    across, up = _ticks([x for x, _ in finite], whole=whole), _ticks([y for _, y in finite])
    margin = round(_LETTER * max(len(f"{y:.6g}") for y in up)) + 20

    def place(x: float, y: float) -> tuple[float, float]:
        right = margin + (x - across[0]) / (across[-1] - across[0]) * (_WIDTH - margin - _RIGHT)
        down = _HEIGHT - _BOTTOM - (y - up[0]) / (up[-1] - up[0]) * (_HEIGHT - _TOP - _BOTTOM)
        return round(right, 1), round(down, 1)

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true">']
    for y in up:
        _, down = place(across[0], y)
        parts.append(f'<line x1="{margin}" x2="{_WIDTH - _RIGHT}" y1="{down}" y2="{down}" stroke="var(--line)"/>')
        parts.append(f'<text x="{margin - 8}" y="{down + 4}" text-anchor="end">{y:.6g}</text>')
    for x in across:
        parts.append(f'<text x="{place(x, up[0])[0]}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{x:.6g}</text>')
    middle = (margin + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{html.escape(xlabel)}</text>')
    for i, ys in enumerate(lines):
        points = [place(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(x) and math.isfinite(y)]
        drawn = " ".join(f"{x},{y}" for x, y in points)
        colour = f"var(--c{i % 6})"
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>')
        if len(points) <= 40:
            parts += [f'<circle cx="{x}" cy="{y}" r="2.6" fill="{colour}"/>' for x, y in points]
    return "".join([*parts, "</svg>"])


def _ticks(values: Sequence[float], *, whole: bool = False) -> list[float]:
    """About five round numbers that span the values; without fractions if `whole`."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low < 1e-12:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    step = float(math.ceil(step)) if whole else step
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]
