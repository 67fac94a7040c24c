"""HRNet or ResNet under a Keypoint R-CNN? Small trunks and the notes' HRNet-W32, equal processor time, equal data, two seeds.

    python benchmarks/trunks.py --out runs/trunks                 # every run that is not there yet, then the table
    python benchmarks/trunks.py --out runs/trunks --measure-only

Our slim heads (`poise_rcnn_t_TRUNK_coco_160x160`, maps of 28x28) on a ResNet-18 with FPN and on HRNets of width 8 and 32 with
HRFPN, all from random weights, one cell of a keypoint by cross-entropy. They learn from the same drawings of people and
photographs of `$POISE_DATA/coco-subset` together. The processor time of a step of each is measured turn about before anything
is trained, on one thread; the epochs of HRNet-W8 are given and those of the others follow.
OUT/trunks.md has the scores on drawings and photographs that none of them has seen.
"""

import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
import tyro
from heads import batches
from torch import nn

from poise.data.base import Dataset
from poise.data.cached import CachedDataset
from poise.data.coco import CocoDataset
from poise.data.combined import CombinedDataset
from poise.data.figures import FigureDataset
from poise.data.subset import hold_out
from poise.models.base import PoseModel
from poise.models.rcnn_config import Learning
from poise.models.require import require_keypoint_detector
from poise.recipes.base import Recipe
from poise.recipes.detectors import CLIP, RATE
from poise.recipes.short import short_run
from poise.scenes import People
from poise.training.fit import fit
from poise.training.task import ModelTask
from poise.transforms.detector_jitter import DetectorAugmentation
from poise.weights.model_file import load
from poise.zoo.find import build

GIVEN = "hrnet_w8_hrfpn"
"""The trunk whose epochs are given."""

TRUNKS = ("r18_fpn", GIVEN, "hrnet_w8_hrfpn-he", "hrnet_w32_hrfpn")
"""One with He's initial weights, as the ResNet has them, in place of HRNet's own of deviation 0.001."""


@dataclass(frozen=True)
class Setting:
    """What all runs have in common."""

    side: int = 160
    drawings: int = 400
    checked: int = 100
    photos: Path = Path(os.environ.get("POISE_DATA", "data")) / "coco-subset"
    epochs: int = 6
    """Of `GIVEN`; the others take as much processor time."""
    batch: int = 8
    seeds: tuple[int, ...] = (0, 1)


def datasets(setting: Setting) -> dict[str, Dataset]:
    """What is trained on, and what is kept back of drawings and of photographs."""

    def drawn(count: int, seed: int) -> Dataset:
        return CachedDataset(FigureDataset(count, size=(setting.side, setting.side), per_image=(1, 4), seed=seed))

    photos = CocoDataset(setting.photos / "annotations" / "person_keypoints_train2017.json", setting.photos / "images")
    learnt, kept = hold_out(photos, share=0.3, seed=0)
    train = CombinedDataset([drawn(setting.drawings, 0), CachedDataset(learnt)], skeleton=photos.skeleton)
    return {"train": train, "drawings": drawn(setting.checked, 1), "photographs": CachedDataset(kept)}


def detector(trunk: str, setting: Setting, seed: int) -> PoseModel:
    torch.manual_seed(seed)
    plain = trunk.removesuffix("-he")
    name = f"poise_rcnn_t_{plain}_coco_{setting.side}x{setting.side}_maps28x28"
    model = require_keypoint_detector(build(name, codec="OneHot"))
    model.config = replace(model.config, learning=Learning(per_image=32, posed=8))
    for module in model.network.backbone.body.modules() if trunk != plain else ():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


def recipe(trunk: str, setting: Setting, data: dict[str, Dataset], *, epochs: int, seed: int) -> Recipe:
    views = DetectorAugmentation(sides=(setting.side,), max_side=setting.side, rotation=10.0, colour=0.1)
    few = hold_out(data["drawings"], share=0.1, seed=0)[1]
    model = detector(trunk, setting, seed)
    made = short_run(trunk, model, data["train"], few, epochs=epochs, rate=RATE / 2, clip=CLIP, augmentation=views, empty=True)
    return replace(made, batch=setting.batch, schedule=replace(made.schedule, warmup_steps=50))


def seconds_of_a_step(setting: Setting, data: dict[str, Dataset], rounds: int = 4) -> dict[str, float]:
    """Processor seconds of forward, backward and an optimizer step, of each trunk, turn about."""
    models = {trunk: detector(trunk, setting, 0).train() for trunk in TRUNKS}
    optimizers = {trunk: torch.optim.AdamW(model.parameters(), lr=1e-5) for trunk, model in models.items()}
    views = models[TRUNKS[0]].train_views(recipe(TRUNKS[0], setting, data, epochs=1, seed=0).data, seed=0)
    found: dict[str, list[float]] = {trunk: [] for trunk in TRUNKS}
    for _, batch in batches(views, setting.batch, rounds):
        for trunk, model in models.items():
            begun = time.process_time()
            torch.autograd.backward(model.loss(batch))
            optimizers[trunk].step()
            optimizers[trunk].zero_grad()
            found[trunk].append(time.process_time() - begun)
    return {trunk: median(times[1:]) for trunk, times in found.items()}


@torch.no_grad()
def judged(model: PoseModel, val: Dataset) -> dict[str, float]:
    task = ModelTask(model.eval())
    views, found = task.val_views(val, seed=0), dict[int, People]()
    for places, batch in batches(views, 8):
        found.update(zip(places, task.validate(batch)[1], strict=True))
    return task.score(task.truth(val), found)


def run(trunk: str, seed: int, setting: Setting, out: Path, data: dict[str, Dataset], *, epochs: int) -> None:
    """Train, unless that is done, and write the scores beside the run."""
    folder = out / f"{trunk}-{seed}"
    if (folder / "scores.json").exists():
        return
    begun = time.process_time()
    fit(recipe(trunk, setting, data, epochs=epochs, seed=seed), out=folder, workers=0, seed=seed, loggers=("csv",))
    spent = time.process_time() - begun
    model = require_keypoint_detector(load(folder / "model.safetensors"))
    scores: dict[str, Any] = {name: judged(model, data[name]) for name in ("drawings", "photographs")}
    body = model.network.backbone.body
    scores |= {"seconds": spent, "epochs": epochs, "parameters": sum(p.numel() for p in body.parameters())}
    (folder / "scores.json").write_text(json.dumps(scores, indent=1))


def table(setting: Setting, out: Path, steps: dict[str, float]) -> str:
    columns = [(name, score) for name in ("drawings", "photographs") for score in ("box AP", "AP", "AP50")]
    head = ["trunk, seed", "parameters of the trunk", "s a step", "epochs", "processor s", *(f"{n}: {s}" for n, s in columns)]
    lines = [row(*head), row(*("---" for _ in head))]
    for trunk in TRUNKS:
        for seed in setting.seeds:
            file = out / f"{trunk}-{seed}" / "scores.json"
            if not file.exists():
                continue
            own = json.loads(file.read_text())
            cells = [f"{trunk}, {seed}", f"{own['parameters'] / 1e6:.1f} M", f"{steps[trunk]:.2f}", str(own["epochs"])]
            lines.append(row(*cells, f"{own['seconds']:.0f}", *(f"{own[name][score]:.3f}" for name, score in columns)))
    return "\n".join((*lines, ""))


def row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def main(
    *,
    out: Path,
    only: tuple[str, ...] = TRUNKS,
    measure_only: bool = False,
    setting: tyro.conf.OmitArgPrefixes[Setting] = Setting(),
) -> None:
    """Train what is not there (of the trunks `only`), write OUT/trunks.md."""
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    timed = out / "steps.json"
    if not measure_only:
        data = datasets(setting)
        if not timed.exists():
            timed.write_text(json.dumps(seconds_of_a_step(setting, data)))
            (out / "setting.json").write_text(json.dumps(asdict(setting), default=str))
        steps = json.loads(timed.read_text())
        for seed in setting.seeds:
            for trunk in only:
                run(trunk, seed, setting, out, data, epochs=max(round(setting.epochs * steps[GIVEN] / steps[trunk]), 1))
    (out / "trunks.md").write_text(table(setting, out, json.loads(timed.read_text())))


if __name__ == "__main__":
    tyro.cli(main)
