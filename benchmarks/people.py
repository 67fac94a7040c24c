"""Accuracy over time of models of people on the same photographs, with labelled boxes, from files to keypoints.

    python benchmarks/people.py --annotations labels.json --images photos --models poise_people blazepose_full blazepose_lite \
        --write docs/pictures/people.svg

Each model is run by each runtime that is installed, with and without the flip test; a first pass warms up, the second one is
timed: reading the images, views, network, decoding, scoring. Times are of all cores, so the machine must be quiet.
"""

import argparse
import html
import importlib.util
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch

from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import evaluate
from poise.inference.settings import InferenceSettings
from poise.models.base import PoseModel
from poise.models.require import require_pose
from poise.weights.model_file import load

WAYS = (("torch", "fp32"), ("torch", "bf16"), ("onnxruntime", "fp32"), ("openvino", "fp32"))
WIDTH, HEIGHT, EDGE = 720, 420, 60
COLOURS = {"torch": "#1f77b4", "onnxruntime": "#d95f02", "openvino": "#1b9e77"}


@dataclass(frozen=True)
class Row:
    """One model, run in one way.

    Attributes:
        model: Its name.
        runtime: What runs its network.
        precision: What that computes in.
        flip: Whether the flip test was made.
        score: AP, 0 to 1.
        milliseconds: Time of a person.
    """

    model: str
    runtime: str
    precision: str
    flip: bool
    score: float
    milliseconds: float

    @property
    def line(self) -> str:
        """The row of the table."""
        cells = (f"`{self.model}`", self.runtime, self.precision, "yes" if self.flip else "")
        return f"| {' | '.join(cells)} | {self.score:.3f} | {self.milliseconds:.1f} | {1000 / self.milliseconds:.0f} |"


def measured(model: PoseModel, eval_set: EvalSet, *, runtime: str, precision: str, flip: bool) -> Row:
    """AP and time of a model."""
    settings = InferenceSettings.of(model, runtime=runtime, precision=precision, flip=flip)
    evaluate(model, eval_set, settings)
    begun = time.perf_counter()
    found = evaluate(model, eval_set, settings)
    spent = 1000 * (time.perf_counter() - begun) / eval_set.everybody
    return Row(model.card.name, runtime, precision, flip, found.numbers["AP"], spent)


def rows_of(names: list[str], annotations: Path, images: Path) -> list[Row]:
    """All rows that this machine can run."""
    rows = []
    for name, (runtime, precision), flip in product(names, WAYS, (False, True)):
        if importlib.util.find_spec(runtime) is None:
            continue
        model = require_pose(load(name))
        if flip and not hasattr(model.preprocess, "flip_test"):
            continue
        eval_set = EvalSet.of_file(annotations, images, skeleton=model.skeleton)
        rows.append(measured(model, eval_set, runtime=runtime, precision=precision, flip=flip))
        print(rows[-1].line, flush=True)
    return rows


def plot(rows: list[Row]) -> str:
    """AP over milliseconds a person, as SVG; a ring is with the flip test."""
    most, top = max(row.milliseconds for row in rows) * 1.15, max(row.score for row in rows) * 1.15
    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for share in range(6):
        x, y = EDGE + share / 5 * (WIDTH - 3 * EDGE), HEIGHT - EDGE - share / 5 * (HEIGHT - 2 * EDGE)
        parts.append(f'<text x="{x:.0f}" y="{HEIGHT - EDGE + 18}" text-anchor="middle">{share / 5 * most:.0f}</text>')
        parts.append(f'<text x="{EDGE - 8}" y="{y + 4:.0f}" text-anchor="end">{share / 5 * top:.2f}</text>')
        parts.append(f'<line x1="{EDGE}" x2="{WIDTH - 2 * EDGE}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>')
    named: list[str] = []
    for row in sorted(rows, key=lambda row: row.milliseconds):
        x = EDGE + row.milliseconds / most * (WIDTH - 3 * EDGE)
        y = HEIGHT - EDGE - row.score / top * (HEIGHT - 2 * EDGE)
        colour = COLOURS[row.runtime]
        fill = "none" if row.flip else colour
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="{colour}"/>')
        if row.model not in named:
            named.append(row.model)
            parts.append(f'<text x="{x - 6:.1f}" y="{y - 14:.1f}">{html.escape(row.model)}</text>')
    for number, (runtime, colour) in enumerate(COLOURS.items()):
        y = EDGE + 18 * number
        parts.append(f'<circle cx="{WIDTH - 2 * EDGE + 16}" cy="{y}" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH - 2 * EDGE + 26}" y="{y + 4}">{runtime}</text>')
    parts.append(
        f'<text x="{WIDTH / 2 - EDGE / 2}" y="{HEIGHT - 12}" text-anchor="middle">ms for one person, end to end</text>'
    )
    parts.append(f'<text x="{EDGE}" y="{EDGE - 16}">AP with labelled boxes; rings: with the flip test</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
    inside = "\n".join(parts)
    return f"{head}\n{inside}\n</svg>\n"


def main() -> None:
    """Measure, print the table, write the plot."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument(
        "--models", nargs="+", default=["poise_people", "blazepose_full", "blazepose_lite"], help="model files or names"
    )
    parser.add_argument("--threads", type=int, help="threads of PyTorch")
    parser.add_argument("--write", type=Path, help="the plot, an .svg")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    print("| model | runtime | precision | flip test | AP | ms a person | people a second |\n|---|---|---|---|---|---|---|")
    rows = rows_of(given.models, given.annotations, given.images)
    if given.write is not None:
        given.write.write_text(plot(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
