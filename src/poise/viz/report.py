"""Reports as single HTML files with text, tables, charts and images; they load nothing from elsewhere."""

import base64
import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

import cv2
import numpy as np

from poise.errors import InputError
from poise.viz import curves
from poise.viz.curves import Limits
from poise.viz.draw import AnyPixels, Pixels
from poise.writing import write_atomic

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --line: #e0e1e6; --ground: #fcfcfd; --card: #ffffff;
  --c0: #d9480f; --c1: #1971c2; --c2: #2f9e44; --c3: #9c36b5; --c4: #e0a100; --c5: #0c8599; }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --soft: #a0a4ac; --line: #33363b; --ground: #111214;
  --card: #18191b; --c0: #ff922b; --c1: #4dabf7; --c2: #69db7c; --c3: #da77f2; --c4: #ffe066; --c5: #3bc9db; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font:
  16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 1.5rem; letter-spacing: -0.02em; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; letter-spacing: -0.01em; }
p { margin: .5rem 0; max-width: 46rem; }
nav { display: flex; flex-wrap: wrap; gap: .35rem .9rem; margin-bottom: 1rem; font-size: .9rem; }
nav a { color: var(--soft); }
.scroll, figure, .tiles { margin: .9rem 0; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 10px; background: var(--card); }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { padding: .42rem .6rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: .9rem; } th:last-child, td:last-child { padding-right: .9rem; }
th { color: var(--soft); font-weight: 600; border-bottom: 1px solid var(--line); }
tbody tr + tr td { border-top: 1px solid var(--line); }
td { font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { position: sticky; left: 0; background: var(--card); }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(5.4rem, 1fr)); gap: .5rem; }
.tiles div { border: 1px solid var(--line); border-radius: 10px; background: var(--card); padding: .45rem .7rem; }
.tiles span { display: block; font-size: .8rem; color: var(--soft); } .tiles b { font-variant-numeric: tabular-nums; }
.gallery { display: grid; gap: 1rem; align-items: start; margin: 1rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--wide)), 1fr)); }
figure { border: 1px solid var(--line); border-radius: 10px; overflow: hidden; background: var(--card); }
.gallery figure { margin: 0; }
figure img { display: block; width: 100%; height: auto; }
figcaption { padding: .45rem .8rem; font-size: .86rem; color: var(--soft); }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .3rem 1.2rem; margin: .75rem 0; font-size: .92rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 34rem) { main { padding: 1.5rem .9rem 3rem; } h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
  th, td { padding: .38rem .45rem; } }
"""

HOPELESS = 4
"""Times the size of the JPEG that a fast PNG may have for a slow one to be tried: that takes a second for a photograph."""


@final
class Report:
    """An HTML page that is built from top to bottom; every method adds a part and returns the report.

    >>> page = Report("A run").text("Two epochs.").table(("keypoint", "pck"), [("nose", 0.91)])
    >>> "<td>0.910</td>" in page.html()
    True

    Args:
        title: Title of the page.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._parts: list[str] = []
        self._sections: list[str] = []

    def section(self, name: str) -> "Report":
        """Start a section; `name` is its heading."""
        self._sections.append(name)
        self._parts.append(f'<h2 id="s{len(self._sections)}">{html.escape(name)}</h2>')
        return self

    def text(self, words: str) -> "Report":
        """Add paragraphs, which are separated by empty lines in `words`."""
        self._parts += [f"<p>{html.escape(part.strip())}</p>" for part in words.split("\n\n") if part.strip()]
        return self

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str | float | int]]) -> "Report":
        """Add a table. Floats are printed with three decimals, and "-" if they are not finite.

        Args:
            headers: Headers of the columns.
            rows: Cells of each row.

        Raises:
            InputError: A row has another number of cells than there are headers.
        """
        wrong = next((row for row in rows if len(row) != len(headers)), None)
        if wrong is not None:
            raise InputError(f"a row of the table has {len(wrong)} cells for {len(headers)} headers: {list(wrong)}")
        head = "".join(f"<th>{html.escape(h)}</th>" for h in headers)
        body = "\n".join("<tr>" + "".join(f"<td>{_cell(v)}</td>" for v in row) + "</tr>" for row in rows)
        self._parts.append(f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>')
        return self

    def facts(self, facts: Mapping[str, str]) -> "Report":
        """Add a list of names and texts, such as settings. Long texts are wrapped."""
        rows = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in facts.items())
        self._parts.append(f"<dl>{rows}</dl>")
        return self

    def numbers(self, numbers: Mapping[str, float]) -> "Report":
        """Add tiles with important numbers, by name; they are printed as in a table."""
        tiles = "".join(f"<div><span>{html.escape(name)}</span><b>{_cell(value)}</b></div>" for name, value in numbers.items())
        self._parts.append(f'<div class="tiles">{tiles}</div>')
        return self

    def curve(
        self,
        name: str,
        xs: Sequence[float | int],
        lines: Mapping[str, Sequence[float | int]],
        *,
        xlabel: str = "",
        xlim: Limits | None = None,
        ylim: Limits | None = None,
    ) -> "Report":
        """Add a line chart; values that are not finite are left out.

        Args:
            name: Title of the chart.
            xs: The x values of all lines.
            lines: The y values of each line, by its name.
            xlabel: Label of the x axis.
            xlim: Ends of the x axis; by default round numbers that contain all values.
            ylim: Ends of the y axis; by default round numbers that contain all values.

        Raises:
            InputError: There is no line, or one has another length than `xs`.
        """
        if not lines or any(len(ys) != len(xs) for ys in lines.values()):
            lengths = {label: len(ys) for label, ys in lines.items()}
            raise InputError(f"the chart {name!r} needs lines as long as its {len(xs)} x values, found {lengths}")
        values = [[float(y) for y in ys] for ys in lines.values()]
        drawn = curves.chart([float(x) for x in xs], values, xlabel=xlabel, xlim=xlim, ylim=ylim)
        return self._figure(name, curves.legend(name, list(lines)) + drawn)

    def bars(
        self,
        name: str,
        rows: Mapping[str, Sequence[float]],
        values: Sequence[str],
        *,
        parts: Sequence[str],
        longest: float,
        colours: Sequence[int] | None = None,
    ) -> "Report":
        """Add a stacked bar for each row.

        Args:
            name: Title of the chart.
            rows: Lengths of the parts of each bar, by the label before the bar.
            values: Text after each bar.
            parts: Names of the parts.
            longest: Length that fills the width of the chart, above 0.
            colours: Index of the colour of each part, 0 to 5; by default 0, 1, ...

        Raises:
            InputError: There is not one value for each row, or not one length and one colour for each part.
        """
        if len(values) != len(rows) or any(len(row) != len(parts) for row in rows.values()) or longest <= 0:
            lengths = {label: len(row) for label, row in rows.items()}
            raise InputError(
                f"the bars {name!r} need {len(parts)} parts each and {len(rows)} values, found {lengths}, {len(values)}"
            )
        if colours is not None and len(colours) != len(parts):
            raise InputError(f"the bars {name!r} need a colour for each of {len(parts)} parts, found {len(colours)}")
        drawn = curves.bars(rows, values, longest=longest, colours=colours)
        return self._figure(name, curves.legend(name, parts, colours) + drawn)

    def _figure(self, name: str, inside: str) -> "Report":
        self._parts.append(f'<figure role="img" aria-label="{html.escape(name)}">{inside}</figure>')
        return self

    def pictures(self, pictures: Sequence[tuple[str, AnyPixels]], *, width: int = 240, quality: int = 90) -> "Report":
        """Add a gallery of images with captions.

        Args:
            pictures: Caption and RGB image, 0 to 255.
            width: Smallest width of an image on the page, pixels.
            quality: Quality of JPEGs, 1 to 100.
        """
        figures = "\n".join(
            f'<figure><img loading="lazy" alt="{html.escape(caption)}" src="{_data(image, quality)}">'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            for caption, image in pictures
        )
        self._parts.append(f'<div class="gallery" style="--wide:{width}px">\n{figures}\n</div>')
        return self

    def html(self) -> str:
        """The page as HTML text."""
        links = "".join(f'<a href="#s{i}">{html.escape(name)}</a>' for i, name in enumerate(self._sections, start=1))
        title = html.escape(self._title)
        content = "\n".join(self._parts)
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<style>{_STYLE}{curves.STYLE}</style></head>\n"
            f"<body><main><h1>{title}</h1>\n<nav>{links}</nav>\n{content}\n</main></body></html>\n"
        )

    def write(self, path: Path | str) -> Path:
        """Write the page atomically.

        Args:
            path: The HTML file.

        Returns:
            The path.

        Raises:
            WriteError: The file cannot be written.
        """
        write_atomic(path, self.html().encode(errors="backslashreplace"))
        return Path(path)


def _cell(value: str | float | int) -> str:
    if isinstance(value, str):
        return html.escape(value)
    if isinstance(value, float):
        return f"{value:.3f}" if math.isfinite(value) else "-"
    return str(value)


def _data(image: Pixels, quality: int) -> str:
    """The image as a data URL, as PNG or JPEG, whichever is smaller."""
    bgr = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
    data, name = _encoded(bgr, ".jpeg", cv2.IMWRITE_JPEG_QUALITY, quality), "jpeg"
    if len(_encoded(bgr, ".png", cv2.IMWRITE_PNG_COMPRESSION, 1)) < HOPELESS * len(data):
        small = _encoded(bgr, ".png", cv2.IMWRITE_PNG_COMPRESSION, 9)
        data, name = min((data, "jpeg"), (small, "png"), key=lambda pair: len(pair[0]))
    return f"data:image/{name};base64,{base64.b64encode(data).decode()}"


def _encoded(bgr: Pixels, ending: str, option: int, value: int) -> bytes:
    return bytes(cv2.imencode(ending, bgr, [option, value])[1].tobytes())
