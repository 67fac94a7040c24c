"""Train one small network in several ways on the same real people, and measure it on people it has not seen.

    python benchmarks/compare.py --out runs/compare                         # every training that is not there yet
    python benchmarks/compare.py --out runs/compare --only udp --seeds 0    # one of them
    python benchmarks/compare.py --out runs/compare --measure-only           # measure what is there, write the tables

Reads `$POISE_DATA/lspet` and `$POISE_DATA/coco-subset` as `accuracy.py` does: 19 keypoints, images whose number ends in 9 are
for the test. The network is `poise_t` for views of 128x96; every training sees the same people in the same number of epochs,
about ten minutes of one free core, so that the load of a machine decides nothing. A training that was interrupted goes on where
it stood. `ways.py` says what is trained and how it is read; `tables.py` writes what came out.
"""

import json
import os
from pathlib import Path

import torch
import tyro
from accuracy import SOURCES, cut
from tables import tables
from torch import nn
from ways import WAYS, Way

from poise.data.cached import CachedDataset
from poise.data.coco import CocoDataset
from poise.data.combined import CombinedDataset
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import evaluate
from poise.inference.settings import InferenceSettings
from poise.models.require import require_top_down
from poise.models.top_down import TopDown
from poise.training.fit import fit
from poise.weights.model_file import load

NUMBERS = ("pck@0.05", "pck@0.1", "AP")


def train(way: Way, out: Path, files: dict[str, dict[str, Path]], seeds: tuple[int, ...]) -> None:
    data = Path(os.environ["POISE_DATA"])
    parts = CombinedDataset([CocoDataset(files[source]["train"], data / images) for source, (_, images) in SOURCES.items()])
    kept: CachedDataset | None = None
    for seed in seeds:
        folder = out / way.name / str(seed)
        if (folder / "done").exists():
            continue
        kept = kept or CachedDataset(parts, processes=0)
        start = out / way.start / str(seed) / "model.safetensors" if way.start else None
        last = folder / "checkpoints" / "last.ckpt"
        fit(
            way.recipe(kept),
            out=folder,
            seed=seed,
            workers=0,
            start=None if last.exists() else start,
            resume=folder if last.exists() else None,
        )
        (folder / "done").touch()


class Remembered(nn.Module):
    """A network's answers with the flip test, computed once; the same batches in the same order get them again."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.answers: list[torch.Tensor] = []
        self.place = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Answers to views and, behind them, to the mirrored views; to the views alone where only they are given."""
        if self.place == len(self.answers):
            self.answers.append(self.network(images))
        self.place += 1
        answer = self.answers[self.place - 1]
        assert len(answer) in (len(images), 2 * len(images))
        return answer[: len(images)]


def measure(way: Way, out: Path, files: dict[str, dict[str, Path]], seed: int) -> None:
    """Every reading of a trained model, into `scores.json` beside it; what is there already is kept."""
    folder, data = out / way.name / str(seed), Path(os.environ["POISE_DATA"])
    if not (folder / "done").exists():
        return
    target = folder / "scores.json"
    scores: dict[str, dict[str, dict[str, float]]] = json.loads(target.read_text()) if target.exists() else {}
    model = require_top_down(load(folder / "model.safetensors"))
    missing = {name: how for name, how in way.readings(model.codec).items() if name not in scores}
    for source, (_, images) in SOURCES.items():
        eval_set = EvalSet.of_file(files[source]["test"], data / images, skeleton=model.skeleton)
        network = Remembered(model.network)
        for name, (codec, flip) in sorted(missing.items(), key=lambda item: not item[1][1]):  # with the flip test first
            network.place = 0
            read = TopDown(network, codec, model.preprocess, model.skeleton, model.card)
            found = evaluate(read, eval_set, InferenceSettings.of(read, flip=flip, precision="fp32"))
            scores.setdefault(name, {})[source] = {number: found.numbers[number] for number in NUMBERS}
    target.write_text(json.dumps(scores, indent=1))


def main(*, out: Path, only: tuple[str, ...] = (), seeds: tuple[int, ...] = (0, 1), measure_only: bool = False) -> None:
    """Train what is not there, measure, write OUT/tables.md."""
    files = cut(Path(os.environ["POISE_DATA"]), out / "split")
    for name in only or tuple(WAYS):
        if not measure_only:
            train(WAYS[name], out, files, seeds)
        for seed in seeds:
            measure(WAYS[name], out, files, seed)
    text = tables(out)
    (out / "tables.md").write_text(text)


if __name__ == "__main__":
    tyro.cli(main)
