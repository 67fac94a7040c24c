"""What int8 costs and gains: AP and milliseconds a view of exported files in float32 and in int8, in both runtimes.

    python benchmarks/int8.py --photos "$POISE_DATA"/lspet/images/im000[1-6]?.jpg
    python benchmarks/int8.py --photos photos/*.jpg --annotations val.json --images "$POISE_DATA/coco-subset/images"

Files are made by `poise export`, once in float32 and once in int8, calibrated on views of `--photos`. They are scored on drawn
people, and on the people of `--annotations`, with labelled boxes and without the flip test. Times are medians of turns that all
files take in one run, so that all have the same load of the machine. Sizes are those of the files.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import tyro
from runtimes import times

from poise.cli.main import main as poise
from poise.data.figures import FigureDataset, write_coco
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import evaluate
from poise.inference.settings import InferenceSettings
from poise.models.require import require_top_down
from poise.weights.model_file import load

WEIGHTS = {".onnx": (".onnx",), ".xml": (".xml", ".bin")}
"""Endings of the files of a model."""

RUNTIMES = {".onnx": "ONNX Runtime", ".xml": "OpenVINO"}


def files(model: str, photos: tuple[Path, ...], folder: Path) -> dict[str, Path]:
    """Exported files, by runtime and precision."""
    found = {}
    for ending, runtime in RUNTIMES.items():
        for precision, more in (("fp32", []), ("int8", ["--int8", *map(str, photos)])):
            out = folder / f"{precision}{ending}"
            if poise(["export", model, "--out", str(out), *more]):
                raise SystemExit(f"{out.name} was not written")
            found[f"{runtime}, {precision}"] = out
    return found


def main(
    *,
    photos: tuple[Path, ...],
    model: str = "poise_people",
    annotations: Path | None = None,
    images: Path | None = None,
    drawn: int = 300,
    threads: int = 2,
    turns: int = 8,
    out: Path = Path("runs/int8.md"),
) -> None:
    """Write the table.

    Args:
        photos: Photographs of single people by which int8 is calibrated.
        model: Name or file of a top-down model.
        annotations: People to score on, beside drawn ones.
        images: Folder of their images.
        drawn: Number of drawn people.
        threads: Threads of the runtimes.
        turns: Turns of the timing.
        out: The table.
    """
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        exported = files(model, photos, folder)
        models = {name: require_top_down(load(file)) for name, file in exported.items()}
        one = next(iter(models.values()))
        figures = write_coco(FigureDataset(drawn, size=(256, 256), seed=5), folder / "drawn")
        sets = {"drawn people": EvalSet.of_file(figures, figures.parent / "images", skeleton=one.skeleton)}
        if annotations is not None and images is not None:
            sets[annotations.stem] = EvalSet.of_file(annotations, images, skeleton=one.skeleton)
        spent = {}
        for batch in (1, 8):
            view = torch.rand(batch, 3, *one.codec.size)
            calls: dict[str, Callable[[], object]] = {name: partial(each, view) for name, each in models.items()}
            spent[batch] = times(calls, turns, 0.5)
        head = ["file", "MB", *(f"AP, {name}" for name in sets), "ms, batch 1", "ms a view, batch 8"]
        rows = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
        for name, file in exported.items():
            size = sum(
                part.stat().st_size
                for part in folder.glob(f"{file.stem}.*")
                if (part.suffix == ".onnx") == (file.suffix == ".onnx")
            )
            scores = []
            for tested in sets.values():
                settings = InferenceSettings.of(models[name], device="cpu", flip=False, workers=0)
                scores.append(f"{evaluate(models[name], tested, settings).coco.numbers['AP']:.3f}")
            rows.append(
                f"| {name} | {size / 1e6:.1f} | {' | '.join(scores)} | {spent[1][name]:.1f} | {spent[8][name] / 8:.1f} |"
            )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join((*rows, "")))
    print(out.read_text())


if __name__ == "__main__":
    tyro.cli(main)
