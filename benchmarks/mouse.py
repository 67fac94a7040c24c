"""What adaptation gains on a small real set with labels: a mouse, filmed by two cameras.

    python benchmarks/mouse.py --data "$POISE_DATA/mouse-reaching" --out runs/mouse
    python benchmarks/mouse.py --data "$POISE_DATA/mouse-reaching" --out runs/mouse --labels 6 --seeds 0 1 2

The two cameras' frames differ in size: those of the commoner one are the source, the others the target. Every other frame of
the target, in the order of their names, is one that CC-SSL sees without its labels and "supervised" with them; all rows are
scored on the frames between. `--labels` frames of the source have labels, evenly spaced or (`--first`) the first ones. A row
goes on from the source's model; "source only, longer" makes as many steps more. A row that is done is not done again
(OUT/LABELS-START/seedN/ROW/score.json).
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
import tyro

from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import evaluate
from poise.inference.settings import InferenceSettings
from poise.models.device import Precision
from poise.models.require import require_pose
from poise.recipes import adapt
from poise.recipes.adapting import AdaptOptions, CcSslOptions
from poise.recipes.base import Recipe
from poise.training.fit import fit
from poise.weights.model_file import load

SOURCE = "source"
ROWS: Mapping[str, Callable[..., Recipe]] = {
    SOURCE: lambda **o: adapt.source_only(AdaptOptions(**o)),
    "source only, longer": lambda **o: adapt.source_only(AdaptOptions(**o)),
    "CC-SSL": lambda **o: adapt.cc_ssl(CcSslOptions(every=2, **o)),
    "supervised": lambda **o: adapt.supervised(AdaptOptions(**o)),
}


@dataclass(frozen=True)
class Setting:
    """What all runs have in common.

    Attributes:
        data: Folder with annotations.json and images.
        out: Folder of all runs.
        labels: Labelled frames of the source, of each group of rows.
        first: Take the first frames of the source, whose poses are much alike, and not evenly spaced ones.
        from_scratch: Begin with random weights, and not with the backbone of `poise_people`.
        seeds: Seeds of the runs.
        source_epochs: Epochs of the source alone.
        epochs: Epochs from there on.
        views: Views of source, and of target, in an epoch.
        size: Height and width of views, pixels.
        precision: fp32 or bf16.
    """

    data: Path
    out: Path
    labels: tuple[int, ...] = (6, 40)
    first: bool = False
    from_scratch: bool = False
    seeds: tuple[int, ...] = (0,)
    source_epochs: int = 15
    epochs: int = 12
    views: int = 96
    size: int = 128
    precision: Precision = "bf16"


def part(document: dict[str, Any], images: list[dict[str, Any]], path: Path) -> Path:
    """Write some images of a COCO file and their labels."""
    ids = {one["id"] for one in images}
    rows = [row for row in document["annotations"] if row["image_id"] in ids]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document | {"images": images, "annotations": rows}))
    return path


def parts(setting: Setting, labels: int) -> dict[str, Path]:
    """The files of source, target and test."""
    document = json.loads((setting.data / "annotations.json").read_text())
    images = sorted(document["images"], key=lambda one: one["file_name"])
    common = Counter((one["height"], one["width"]) for one in images).most_common(1)[0][0]
    first, second = ([one for one in images if ((one["height"], one["width"]) == common) is same] for same in (True, False))
    count = min(labels, len(first))
    chosen = first[:count] if setting.first else [first[at * len(first) // count] for at in range(count)]
    folder = setting.out / "data"
    return {
        "source": part(document, chosen, folder / f"source-{count}{'-first' if setting.first else ''}.json"),
        "target": part(document, second[::2], folder / "target.json"),
        "tested": part(document, second[1::2], folder / "tested.json"),
    }


def make(setting: Setting, labels: int, seed: int, row: str) -> float:
    """Train and score a row; gives its pck@0.1."""
    start = "scratch" if setting.from_scratch else "people"
    group = setting.out / f"{labels}{'-first' if setting.first else ''}-{start}" / f"seed{seed}"
    folder, files = group / row.replace(" ", "_").replace(",", ""), parts(setting, labels)
    done = folder / "score.json"
    if done.exists():
        return float(json.loads(done.read_text())["pck@0.1"])
    images = setting.data / "images"
    options: dict[str, Any] = {
        "source": files["source"],
        "target": files["target"],
        "source_images": images,
        "target_images": images,
        "epoch_views": setting.views,
    }
    if row == SOURCE:
        size = (setting.size, setting.size)
        options |= {"size": size, "from_scratch": setting.from_scratch, "epochs": setting.source_epochs}
    else:
        options |= {"start": group / SOURCE / "model.safetensors", "epochs": setting.epochs}
    torch.manual_seed(seed)
    recipe = replace(ROWS[row](**options), base_batch=16)
    fit(recipe, out=folder, seed=seed, device="cpu", precision=setting.precision, workers=0, loggers=())
    model = require_pose(load(folder / "model.safetensors"))
    tested = EvalSet.of_file(files["tested"], images, skeleton=model.skeleton)
    settings = InferenceSettings.of(model, device="cpu", precision=setting.precision, flip=False, workers=0)
    found = evaluate(model, tested, settings)
    done.write_text(json.dumps({"pck@0.1": found.pck["pck@0.1"]}) + "\n")
    return float(found.pck["pck@0.1"])


def main(setting: Setting) -> None:
    torch.set_num_threads(1)
    lines = [f"| labels | {' | '.join(ROWS)} |", "|---" * (len(ROWS) + 1) + "|"]
    for labels in setting.labels:
        scores = {row: [make(setting, labels, seed, row) for seed in setting.seeds] for row in ROWS}
        cells = [", ".join(f"{one:.2f}" for one in values) for values in scores.values()]
        lines.append(f"| {labels} | {' | '.join(cells)} |")
        print({row: round(mean(values), 3) for row, values in scores.items()})
    print("\n".join(lines))


if __name__ == "__main__":
    main(tyro.cli(Setting))
