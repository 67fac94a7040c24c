"""Fine-tuning published networks on somebody's own keypoints, from official-looking files, beside `poise_s` at equal minutes.

    python benchmarks/finetuning.py --minutes 3 --out runs/finetuning --write docs/pictures/finetuning.svg

No released weights are at hand, so each network gets a checkpoint whose weights follow a rule (drawn by the checksum of their
official names), under the names and in the form of its release. It becomes a model by `poise import` and learns by `poise train
finetune --start` from drawn horses of 18 keypoints, of which COCO has a few; so do `poise_s` and `poise_t`, from their own
first weights. All see views of 64x64 for the same minutes of one thread, as many steps as fit: steps are timed before, in time
of the processor, so that others who use it do not matter. A row that is in --out already is not trained again.
"""

import argparse
import csv
import shutil
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from poise.cli.main import main as poise
from poise.zoo import build
from poise.zoo.importing import official_state

SIZE = "64x64"
BY_RULE = (f"rtmpose_t_coco_{SIZE}", f"litehrnet_18_coco17_{SIZE}", f"vitpose_s_simple_coco_{SIZE}")
OWN = ("poise_s", "poise_t")
SCORE = "pck@0.1"
SHORT = (3, 18)
"""Steps of the runs that time a step; no validation lies between. The shorter is run once before, for what is loaded once."""
SPENT = "processor_seconds.txt"
"""File of a run's folder with the time of the processor that it took."""
WIDTH, HEIGHT, EDGE = 720, 380, 60
COLOURS = ("#1f77b4", "#d95f02", "#1b9e77", "#7570b3", "#b8860b")


@dataclass(frozen=True)
class Curve:
    """A training.

    Attributes:
        model: What was trained.
        parameters: Its parameters, millions.
        minutes: When it was validated.
        scores: PCK@0.1 then.
        steps: Steps in all.
        seconds: Time of the processor that the whole run took, with start and validations.
    """

    model: str
    parameters: float
    minutes: list[float]
    scores: list[float]
    steps: int
    seconds: float

    @property
    def line(self) -> str:
        """The row of the table."""
        half = self.scores[len(self.scores) // 2 - 1] if len(self.scores) > 1 else self.scores[0]
        start = "by rule" if self.model in BY_RULE else "its own"
        cells = (
            f"`{self.model}`",
            f"{self.parameters:.1f}",
            start,
            str(self.steps),
            f"{self.seconds:.0f}",
            f"{self.scores[0]:.2f}",
            f"{half:.2f}",
        )
        return f"| {' | '.join(cells)} | {max(self.scores):.2f} |"


def weight(key: str, value: torch.Tensor) -> torch.Tensor:
    """A weight by rule: normal numbers for the checksum of its name, as large as PyTorch's own first weights.

    Args:
        key: Its official name.
        value: What the network has first, for shape and type.
    """
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    if key.endswith("num_batches_tracked"):
        return torch.zeros_like(value)
    drawn = torch.from_numpy(rng.standard_normal(tuple(value.shape)).astype(np.float32))
    if key.endswith("running_var"):
        return drawn.abs() + 0.5
    if key.endswith((".bias", "running_mean")):
        return drawn * 0.1
    return 1 + drawn * 0.1 if value.ndim <= 1 else drawn * value.std().clamp(min=1e-3)


def checkpoint(name: str, file: Path) -> None:
    """Write the network's weights by rule as its release would, in `state_dict` beside other things.

    Args:
        name: Name of the model.
        file: File to write.
    """
    torch.manual_seed(0)
    state = {key: weight(key, value) for key, value in official_state(build(name), name).items()}
    torch.save({"meta": {"epoch": 420}, "state_dict": state}, file)


def run(*words: str) -> None:
    """A command of poise, which must end well."""
    code = poise(list(words))
    if code:
        raise SystemExit(code)


def drawings(folder: Path) -> dict[str, list[str]]:
    """Drawn horses to learn from and to check on, and the flags that name them."""
    for part, count, seed in (("train", 640, 1), ("test", 128, 2)):
        if not (folder / part).exists():
            words = ("--kind", "horse", "--keypoints", "animal18", "--size", "96", "96")
            run("data", "draw", *words, "--count", str(count), "--seed", str(seed), "--out", str(folder / part))
    files = {part: [str(folder / part / "annotations.json"), str(folder / part / "images")] for part in ("train", "test")}
    return {
        "train": ["--annotations", files["train"][0], "--images", files["train"][1]],
        "test": ["--val-annotations", files["test"][0], "--val-images", files["test"][1]],
    }


def trained(name: str, out: Path, *, minutes: float) -> Curve:
    """Train one model unless that was done, and read how it went."""
    folder, flags = out / name, drawings(out / "drawings")
    words = ["--model", name, "--rotation", "20", "--workers", "0", "--logger", "csv", "--val-every", "1"]
    if name in BY_RULE:
        official, start = out / f"{name}.pth", out / f"{name}.safetensors"
        if not start.exists():
            checkpoint(name, official)
            run("import", name, str(official), "--out", str(start))
        words += ["--start", str(start)]
    else:
        words += ["--size", *SIZE.split("x")]
    if not (folder / "model.safetensors").exists():
        every = ["train", "finetune", *flags["train"], *flags["test"], *words]
        steps = round(60 * minutes / step_seconds(every, out / "timing"))
        begin = time.process_time()
        run(*every, "--steps", str(steps), "--out", str(folder))
        (folder / SPENT).write_text(f"{time.process_time() - begin:.1f}\n")
    return curve(name, folder, minutes=minutes)


def step_seconds(words: list[str], folder: Path) -> float:
    """Time of the processor that a step takes: that of a longer run beyond that of a shorter one.

    Args:
        words: The command without its length.
        folder: Folder of both runs; it is removed.
    """
    spent = []
    for steps in (SHORT[0], *SHORT):
        begin = time.process_time()
        run(*words, "--steps", str(steps), "--out", str(folder))
        spent.append(time.process_time() - begin)
        shutil.rmtree(folder)
    return (spent[2] - spent[1]) / (SHORT[1] - SHORT[0])


def curve(name: str, folder: Path, *, minutes: float) -> Curve:
    """The scores that a run wrote; a validation's time is its share of the steps."""
    with next(folder.rglob("metrics.csv")).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get(f"val/{SCORE}")]
    steps = [int(row["step"]) for row in rows]
    shape = f"_coco_{SIZE}" if name in OWN else ""
    with torch.device("meta"):
        parameters = sum(weight.numel() for weight in build(name + shape).network.parameters()) / 1e6
    scores = [float(row[f"val/{SCORE}"]) for row in rows]
    return Curve(
        name,
        parameters,
        [minutes * step / steps[-1] for step in steps],
        scores,
        steps[-1] + 1,
        float((folder / SPENT).read_text()),
    )


def table(curves: list[Curve]) -> str:
    """The table as Markdown."""
    heads = ("model", "parameters, M", "first weights", "steps of 32", "processor s", "first", "at half time", "best")
    return "\n".join((f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *(one.line for one in curves)))


def plot(curves: list[Curve]) -> str:
    """PCK over minutes, as SVG."""
    most, high = max(one.minutes[-1] for one in curves), HEIGHT - 2 * EDGE
    wide = WIDTH - 4 * EDGE
    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        x, y = EDGE + share * wide, HEIGHT - EDGE - share * high
        parts.append(f'<line x1="{EDGE}" x2="{EDGE + wide}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>')
        parts.append(f'<text x="{EDGE - 8}" y="{y + 4:.0f}" text-anchor="end">{share:.1f}</text>')
        parts.append(f'<text x="{x:.0f}" y="{HEIGHT - EDGE + 18}" text-anchor="middle">{share * most:.1f}</text>')
    for number, one in enumerate(sorted(curves, key=lambda one: -one.scores[-1])):
        places = zip(one.minutes, one.scores, strict=True)
        points = " ".join(f"{EDGE + x / most * wide:.1f},{HEIGHT - EDGE - y * high:.1f}" for x, y in places)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[number]}" stroke-width="2"/>')
        label = one.model.removesuffix(f"_{SIZE}").removesuffix("_coco").removesuffix("_coco17")
        place = f'x="{EDGE + wide + 8}" y="{EDGE + 18 * number}"'
        parts.append(f'<text {place} fill="{COLOURS[number]}">{label} {max(one.scores):.2f}</text>')
    parts.append(f'<text x="{EDGE + wide / 2}" y="{HEIGHT - 12}" text-anchor="middle">minutes of one thread</text>')
    parts.append(f'<text x="{EDGE}" y="{EDGE - 16}">{SCORE} on drawn horses that were not learnt from</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
    return "\n".join((head, *parts, "</svg>\n"))


def main() -> None:
    """Train what is not there yet, print the table, write the plot."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--only", nargs="+", default=(*BY_RULE[:2], *OWN), help="models")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--write", type=Path, help="the plot, an .svg")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    curves = [trained(name, given.out, minutes=given.minutes) for name in given.only]
    print(table(curves))
    if given.write is not None:
        given.write.write_text(plot(curves), encoding="utf-8")


if __name__ == "__main__":
    main()
