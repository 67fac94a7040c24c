"""Which keypoint head a detector should have: one cell by cross-entropy, or Gaussians by squared errors of which weight.

    python benchmarks/heads.py --out runs/heads                             # the common start, then every run that is not there
    python benchmarks/heads.py --out runs/heads --start runs/detector/model.safetensors
    python benchmarks/heads.py --out runs/heads --only one_hot gaussian-2000
    python benchmarks/heads.py --out runs/heads --measure-only

Our small detector on drawings of 1 to 8 people. All runs start from one model file, by default one that has learnt boxes alone;
of any other the keypoint head is made new, so that no head is ahead. Each then learns for `--minutes` as `detector_drawn` does,
by AdamW, which divides the length of gradients out of each weight and leaves their direction; or by SGD with momentum as the
releases do (`--rule sgd`), which takes gradients as long as they are, or clipped to a length together (`--rule sgd-clipped`). A
run that was interrupted goes on where it stood; one whose loss is no longer finite is told as such.

OUT/heads-RULE.md says of each head: box AP beside keypoint AP on unseen drawings; keypoint AP where people are ranked by their
box, by their keypoints and by both; how large keypoints' scores are; and how long the gradient of each part of the loss is in
the trunk that all share, at the start and at the end, with the cosine between that of the keypoints and that of all else.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from torch import Tensor, nn

from poise.data.base import Dataset
from poise.data.cached import CachedDataset
from poise.data.figures import FigureDataset
from poise.errors import TrainingError, unknown
from poise.models.base import PoseModel
from poise.models.require import require_keypoint_detector
from poise.models.views.base import ViewDataset
from poise.recipes.base import Optimizer, Recipe, Schedule
from poise.recipes.detectors import CLIP, RATE, SCALES, head_codec
from poise.recipes.scenes import CROWD
from poise.recipes.short import short_run
from poise.scenes import People, SceneBatch
from poise.training.fit import fit
from poise.training.task import ModelTask
from poise.transforms.detector_jitter import DetectorAugmentation
from poise.weights.model_file import load, save
from poise.weights.transfer import transfer
from poise.zoo.rcnn.poise_rcnn import small_detector

RATINGS: tuple[Literal["box", "keypoints", "product"], ...] = ("box", "keypoints", "product")


@dataclass(frozen=True)
class Way:
    """A keypoint head."""

    name: str
    head: str
    weight: float | None = None
    height: float | None = None
    loud: bool = False
    """Whether the layer that makes maps begins as a one-cell head's does."""


WAYS = {
    way.name: way
    for way in (
        Way("one_hot", "one_hot"),
        *(Way(f"gaussian-{weight}", "gaussian", float(weight)) for weight in (40, 1000, 2000, 3000, 10000)),
        Way("gaussian-high", "gaussian", 1.0, 45.0),  # the loss of weight 2025 in maps that are 45 high
        Way("gaussian-2000-loud", "gaussian", 2000.0, loud=True),
        Way("gaussian-10000-loud", "gaussian", 10000.0, loud=True),
        Way("udp-2000", "UDPGaussian", 2000.0),
    )
}


@dataclass(frozen=True)
class Setting:
    """What all runs have in common."""

    side: int = 320
    images: int = 2000
    checked: int = 200
    rule: Literal["adamw", "sgd", "sgd-clipped"] = "adamw"
    rate: float | None = None
    minutes: float = 8.0
    start_minutes: float = 8.0
    workers: int = 1
    batch: int = 16
    seed: int = 0


def detector(way: Way, setting: Setting) -> PoseModel:
    torch.manual_seed(setting.seed)
    codec = head_codec(way.head, weight=way.weight, height=way.height)
    model = small_detector("t", size=(setting.side, setting.side), codec=codec)
    if way.loud:
        head = model.network.keypoint
        assert head is not None
        nn.init.kaiming_normal_(head.head.reader.get_parameter("final.weight"), mode="fan_out", nonlinearity="relu")
    return model


def recipe(name: str, model: PoseModel, setting: Setting, train: Dataset, val: Dataset) -> Recipe:
    """As `detector_drawn` without windows and mosaics."""
    side = setting.side
    views = DetectorAugmentation(sides=tuple(round(side * scale) for scale in SCALES), max_side=None, rotation=10.0, colour=0.1)
    made = short_run(name, model, train, val, epochs=1000, rate=setting.rate or RATE, clip=CLIP, augmentation=views)
    made = replace(made, batch=setting.batch, best="box AP")
    if setting.rule == "adamw":
        return made
    return replace(
        made,
        optimizer=Optimizer("sgd", rate=setting.rate or 0.02, decay=1e-4, bias=2.0),
        schedule=Schedule("cosine", warmup_steps=100, warmup_start=1 / 3, over_time=True),
        clip=CLIP if setting.rule == "sgd-clipped" else None,
    )


def run(made: Recipe, folder: Path, setting: Setting, *, minutes: float, start: Path | None) -> None:
    """Train, unless that is done; a loss that is not finite ends it."""
    if (folder / "done").exists():
        return
    last = folder / "checkpoints" / "last.ckpt"
    try:
        fit(
            made,
            out=folder,
            workers=setting.workers,
            seed=setting.seed,
            minutes=minutes,
            start=None if last.exists() else start,
            resume=folder if last.exists() else None,
        )
        (folder / "done").write_text("")
    except TrainingError as error:
        (folder / "done").write_text(str(error))


def started(setting: Setting, out: Path, train: Dataset, val: Dataset) -> Path:
    """A model that has learnt boxes alone."""
    model = detector(WAYS["one_hot"], setting)
    model.config = replace(model.config, weights=replace(model.config.weights, keypoints=0.0))
    run(recipe("start", model, setting, train, val), out / "start", setting, minutes=setting.start_minutes, start=None)
    return out / "start" / "model.safetensors"


def renewed(file: Path, setting: Setting, out: Path) -> Path:
    """A model file with everything of this one but the keypoint head."""
    model = detector(WAYS["one_hot"], setting)
    known = require_keypoint_detector(load(file)).network.state_dict()
    own = {name: value for name, value in model.network.state_dict().items() if name.startswith("keypoint.")}
    model.network.load_state_dict(known | own)
    return save(model, out / "start.safetensors")


def batches(views: ViewDataset[Any, Any], size: int, count: int | None = None) -> Iterator[tuple[list[int], SceneBatch]]:
    """Views in batches, with their places."""
    last = len(views) if count is None else min(len(views), size * count)
    for begin in range(0, last, size):
        places = list(range(begin, min(begin + size, last)))
        yield places, views.collate([views[(0, place)] for place in places]).batch


def pulls(model: PoseModel, setting: Setting, train: Dataset, *, count: int = 4) -> dict[str, float]:
    """How long the gradient of each part of the loss is in the trunk, and where that of the keypoints points; means."""
    task = ModelTask(model.train())
    views = model.train_views(recipe("pulls", model, setting, train, train).data, seed=1)
    trunk = [p for p in model.network.backbone.parameters() if p.requires_grad]
    sums: dict[str, float] = {}
    number = -1
    for number, (_, batch) in enumerate(batches(views, setting.batch, count)):
        torch.manual_seed(number)
        kept = {name: value.clone() for name, value in model.network.named_buffers()}
        grads = {name: gradient(part, trunk) for name, part in task.losses(batch).items()}
        for name, statistics in model.network.named_buffers():
            statistics.copy_(kept[name])
        others = torch.stack([grad for name, grad in grads.items() if name != "keypoints"]).sum(dim=0)
        found = {name: float(grad.norm()) for name, grad in grads.items()}
        found["others"] = float(others.norm())
        found["cosine"] = float(nn.functional.cosine_similarity(grads["keypoints"], others, dim=0))
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + value
    model.eval()
    return {name: value / (number + 1) for name, value in sums.items()}


def gradient(part: Tensor, weights: list[nn.Parameter]) -> Tensor:
    """Of one part of the loss, as one vector."""
    found = torch.autograd.grad(part, weights, retain_graph=True, allow_unused=True)
    return torch.cat([torch.zeros(w.numel()) if g is None else g.flatten() for g, w in zip(found, weights, strict=True)])


@torch.no_grad()
def judged(model: PoseModel, val: Dataset) -> dict[str, Any]:
    """AP of boxes and keypoints, ranked in three ways, and how large keypoints' scores are."""
    task, usual = ModelTask(model.eval()), model.config
    views, truth = task.val_views(val, seed=0), task.truth(val)
    numbers: dict[str, Any] = {}
    for rating in RATINGS:
        model.config = replace(usual, rating=rating)
        found: dict[int, People] = {}
        for places, batch in batches(views, 16):
            found.update(zip(places, task.validate(batch)[1], strict=True))
        scores = task.score(truth, found)
        numbers[f"AP by {rating}"] = scores["AP"]
        numbers["box AP"] = scores["box AP"]
    model.config = usual
    sure = [people.score[people.box_score > 0.5] for people in found.values() if people.box_score is not None]
    every = torch.cat(sure).flatten()
    levels = torch.quantile(every, torch.tensor([0.1, 0.5, 0.9])).tolist() if len(every) else [float("nan")] * 3
    return numbers | dict(zip(("score 10%", "score 50%", "score 90%"), levels, strict=True))


def measure(way: Way, setting: Setting, out: Path, start: Path, train: Dataset, val: Dataset) -> None:
    """Into `scores.json` beside the run; what is there is kept."""
    folder = out / setting.rule / way.name
    target = folder / "scores.json"
    if target.exists() or not (folder / "done").exists():
        return
    fresh = detector(way, setting)
    transfer(load(start), fresh)
    scores: dict[str, Any] = {"at the start": pulls(fresh, setting, train)}
    said = (folder / "done").read_text()
    if said:
        scores["stopped"] = said
    if (folder / "model.safetensors").exists():
        model = require_keypoint_detector(load(folder / "model.safetensors"))
        scores |= judged(model, val) | {"at the end": pulls(model, setting, train)}
    target.write_text(json.dumps(scores, indent=1))


def tables(setting: Setting, out: Path) -> str:
    """What came out, in Markdown."""
    columns = ("box AP", *(f"AP by {rating}" for rating in RATINGS), "score 10%", "score 50%", "score 90%")
    parts = ("objectness", "proposals", "classes", "boxes", "keypoints", "others", "cosine")
    lines = [row("head", *columns), row("---", *("---" for _ in columns))]
    ends = [row("gradient in the trunk", *parts), row("---", *("---" for _ in parts))]
    for name in WAYS:
        file = out / setting.rule / name / "scores.json"
        if not file.exists():
            continue
        scores = json.loads(file.read_text())
        told = "stopped: not finite" if "stopped" in scores else ""
        lines.append(row(f"{name} {told}".strip(), *(f"{scores[c]:.3f}" if c in scores else "-" for c in columns)))
        for when in ("at the start", "at the end"):
            if when in scores:
                ends.append(row(f"{name}, {when}", *(f"{scores[when][part]:.3g}" for part in parts)))
    return "\n".join((f"By {setting.rule}.\n", *lines, "", *ends, ""))


def row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def main(
    *,
    out: Path,
    start: Path | None = None,
    only: tuple[str, ...] = (),
    measure_only: bool = False,
    setting: tyro.conf.OmitArgPrefixes[Setting] = Setting(),
) -> None:
    """Train what is not there, measure, write OUT/heads-RULE.md."""
    for name in only:
        if name not in WAYS:
            raise unknown("head", name, WAYS)
    shape = (setting.side, setting.side)
    train = CachedDataset(FigureDataset(setting.images, size=shape, per_image=CROWD, seed=0))
    val = CachedDataset(FigureDataset(setting.checked, size=shape, per_image=CROWD, seed=1))
    file = started(setting, out, train, val) if start is None else renewed(start, setting, out)
    for name in only or tuple(WAYS):
        way = WAYS[name]
        if not measure_only:
            made = recipe(name, detector(way, setting), setting, train, val)
            run(made, out / setting.rule / name, setting, minutes=setting.minutes, start=file)
        measure(way, setting, out, file, train, val)
        (out / f"heads-{setting.rule}.md").write_text(tables(setting, out))


if __name__ == "__main__":
    tyro.cli(main)
