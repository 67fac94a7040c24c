"""Charts as HTML: line charts and rows of stacked bars. They are as wide as the page; text and line widths do not scale."""

import html
import math
from collections.abc import Mapping, Sequence

COLOURS = 6
"""Number of colours of the page, --c0 to --c5."""

STYLE = """
.plot { position: relative; height: 17rem; margin: .9rem 1.4rem 1.7rem; }
.plot svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.plot svg * { vector-effect: non-scaling-stroke; }
.plot span { position: absolute; font-size: .78rem; line-height: 1; color: var(--soft); white-space: nowrap; }
.plot .up { right: 100%; transform: translate(-.5rem, 50%); } .plot .across { top: 100%; transform: translate(-50%, .45rem); }
.axis { text-align: center; font-size: .82rem; color: var(--soft); padding-bottom: .5rem; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.2rem; padding: .5rem .9rem; font-size: .88rem; color: var(--soft); }
.legend b { color: var(--ink); }
.legend i { display: inline-block; width: 1.1em; height: .32em; border-radius: 2px; margin-right: .45em;
  vertical-align: middle; }
.bars { display: grid; grid-template-columns: max-content minmax(4rem, 1fr) max-content; gap: .3rem .8rem; align-items: center;
  padding: .3rem .9rem .9rem; font-size: .88rem; }
.bars .bar { display: flex; height: .95rem; border-radius: 3px; overflow: hidden; background: var(--line); }
.bars .bar i { display: block; height: 100%; }
.bars .value { color: var(--soft); font-variant-numeric: tabular-nums; text-align: right; }
"""
"""CSS of the charts; it uses the variables --ink, --soft, --line and the colours of the page."""

Limits = tuple[float, float]
"""Smallest and greatest value on an axis."""


def legend(name: str, labels: Sequence[str], colours: Sequence[int] | None = None) -> str:
    """The title of a chart and the legend of its colours; a single line or part has no legend.

    Args:
        name: Title of the chart.
        labels: Names of the lines or parts.
        colours: Index of the colour of each, 0 to 5; by default 0, 1, ...
    """
    chosen = range(len(labels)) if colours is None else colours
    keys = "".join(
        f'<span><i style="background:{_colour(colour)}"></i>{html.escape(label)}</span>'
        for label, colour in zip(labels, chosen, strict=True)
    )
    return f'<div class="legend"><b>{html.escape(name)}</b>{keys if len(labels) > 1 or not name else ""}</div>'


def chart(
    xs: Sequence[float],
    lines: Sequence[Sequence[float]],
    *,
    xlabel: str = "",
    xlim: Limits | None = None,
    ylim: Limits | None = None,
) -> str:
    """A line chart; values that are not finite are left out.

    Args:
        xs: The x values of all lines.
        lines: The y values of each line.
        xlabel: Label of the x axis.
        xlim: Ends of the x axis; by default round numbers that contain all values.
        ylim: Ends of the y axis; by default round numbers that contain all values.
    """
    finite = [(x, y) for ys in lines for x, y in zip(xs, ys, strict=True) if math.isfinite(x) and math.isfinite(y)]
    whole = xlim is None and all(x == round(x) for x, _ in finite)
    columns = ticks(xlim or [x for x, _ in finite], whole=whole)
    rows = ticks(ylim or [y for _, y in finite])

    def position(x: float, y: float) -> tuple[float, float]:
        right = (x - columns[0]) / (columns[-1] - columns[0])
        down = 1 - (y - rows[0]) / (rows[-1] - rows[0])
        return round(100 * right, 2), round(100 * down, 2)

    parts, words = [], []
    for y in rows:
        _, down = position(columns[0], y)
        parts.append(f'<line x1="0" x2="100" y1="{down}" y2="{down}" stroke="var(--line)"/>')
        words.append(f'<span class="up" style="bottom:{100 - down:g}%">{y:.6g}</span>')
    for x in columns:
        words.append(f'<span class="across" style="left:{position(x, rows[0])[0]:g}%">{x:.6g}</span>')
    for i, ys in enumerate(lines):
        points = [position(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(x) and math.isfinite(y)]
        parts.append(_line(points, _colour(i)))
    margin = 0.5 * max(len(f"{y:.6g}") for y in rows) + 1
    axis = f'<div class="axis">{html.escape(xlabel)}</div>' if xlabel else ""
    return (
        f'<div class="plot" style="margin-left:{margin:g}rem"><svg viewBox="0 0 100 100" preserveAspectRatio="none" '
        f'aria-hidden="true">{"".join(parts)}</svg>{"".join(words)}</div>{axis}'
    )


def bars(
    rows: Mapping[str, Sequence[float]], values: Sequence[str], *, longest: float, colours: Sequence[int] | None = None
) -> str:
    """A stacked bar for each row.

    Args:
        rows: Lengths of the parts of each bar, by the label before the bar; a length below 0 counts as 0.
        values: Text after each bar.
        longest: Length that fills the width of the chart.
        colours: Index of the colour of each part, 0 to 5; by default 0, 1, ...
    """
    found = []
    for (name, parts), value in zip(rows.items(), values, strict=True):
        chosen = range(len(parts)) if colours is None else colours
        inside = "".join(
            f'<i style="width:{100 * max(part, 0.0) / longest:.2f}%;background:{_colour(colour)}"></i>'
            for part, colour in zip(parts, chosen, strict=True)
            if part > 0
        )
        found.append(
            f'<span>{html.escape(name)}</span><span class="bar">{inside}</span><span class="value">{html.escape(value)}</span>'
        )
    return '<div class="bars">' + "\n".join(found) + "</div>"


def ticks(values: Sequence[float], *, whole: bool = False) -> list[float]:
    """About five round numbers that span values, for the ticks of an axis.

    Args:
        values: The values.
        whole: Whether ticks must be whole numbers.

    >>> ticks([0.0, 1.0])
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low < 1e-12:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    step = float(math.ceil(step)) if whole else step
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _line(points: Sequence[tuple[float, float]], colour: str) -> str:
    drawn = " ".join(f"{x},{y}" for x, y in points)
    line = f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>'
    if len(points) > 40:
        return line
    # A line of length 0 with round ends is a dot that stays round when the chart is stretched.
    dots = "".join(f"M{x} {y}h0" for x, y in points)
    return f'{line}<path d="{dots}" stroke="{colour}" stroke-width="6" stroke-linecap="round"/>'


def _colour(index: int) -> str:
    return f"var(--c{index % COLOURS})"
