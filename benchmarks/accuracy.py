"""Train one model on real people of two skeletons for a fixed time, and measure it on people it has not seen.

    python benchmarks/accuracy.py --model poise_s_coco_192x160 --minutes 35 --out runs/poise_s

Reads `$POISE_DATA/lspet` (Leeds Sports Pose extended, 14 keypoints) and `$POISE_DATA/coco-subset` (COCO, 17 keypoints), joined
by keypoint name into 19. The split is by image number: numbers that end in 9 are for the test, all others for training; the
number is the image's id (9 in im00009.jpg). Boxes are the labelled ones; the test uses the flip test.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from poise import zoo
from poise.data.coco import CocoDataset
from poise.data.combined import CombinedDataset
from poise.data.document import read_document, write_document
from poise.data.split import select_images
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import Evaluation, evaluate
from poise.evaluation.self_test import self_test
from poise.inference.settings import InferenceSettings
from poise.models.require import require_pose, require_top_down
from poise.skeletons import union
from poise.training.fit import fit
from poise.training.recipe import Optimizer, Recipe, Schedule
from poise.transforms.jitter import Augmentation
from poise.weights.model_file import load

SOURCES = {
    "lspet": ("lspet/person_keypoints_train.json", "lspet/images"),
    "coco": ("coco-subset/annotations/person_keypoints_train2017.json", "coco-subset/images"),
}


def cut(data: Path, folder: Path) -> dict[str, dict[str, Path]]:
    """Write the two parts of each source; file by source and part."""
    files: dict[str, dict[str, Path]] = {}
    rules: dict[str, Callable[[int], bool]] = {"train": lambda n: n % 10 != 9, "test": lambda n: n % 10 == 9}
    folder.mkdir(parents=True, exist_ok=True)
    for source, (annotations, _) in SOURCES.items():
        document = read_document(data / annotations)
        ids = [image["id"] for image in document["images"]]
        files[source] = {name: folder / f"{source}-{name}.json" for name in rules}
        for name, rule in rules.items():
            write_document(select_images(document, {i for i in ids if rule(i)}), files[source][name])
    return files


def recipe(model: str, data: Path, files: dict[str, dict[str, Path]], batch: int, rate: float) -> Recipe:
    """The joint training: both sources, their keypoints joined by name."""
    parts = {
        name: CombinedDataset([CocoDataset(files[source][name], data / SOURCES[source][1]) for source in SOURCES])
        for name in ("train", "test")
    }
    built = require_pose(zoo.build(model, skeleton=union([d.skeleton for d in parts["train"].datasets])))
    return Recipe(
        name=f"real people, {model}",
        model=built,
        train=parts["train"],
        val=parts["test"],
        epochs=1000,
        batch=batch,
        augmentation=Augmentation(scale=0.3, rotation=40.0, colour=0.3),
        optimizer=Optimizer("adamw", rate=rate, decay=0.01),
        schedule=Schedule("cosine", warmup_steps=200, over_time=True),
        average=0.998,
        clip=1.0,
    )


def row(source: str, found: Evaluation, people: int) -> str:
    """One line of the table in docs/results.md."""
    names = ("pck@0.05", "pck@0.1", "pck@0.2", "AP", "AP50", "AP75", "AR")
    return f"| {source} | {people} | " + " | ".join(f"{found.numbers[n]:.3f}" for n in names) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="poise_s_coco_192x160")
    parser.add_argument("--minutes", type=float, default=35.0)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only-test", action="store_true", help="measure the model that --out already holds")
    flags = parser.parse_args()
    data = Path(os.environ["POISE_DATA"])
    files = cut(data, flags.out / "split")
    started = time.monotonic()
    if not flags.only_test:
        fit(recipe(flags.model, data, files, flags.batch, flags.rate), out=flags.out, seed=flags.seed, minutes=flags.minutes)
    model = require_top_down(load(flags.out / "model.safetensors"))
    lines = []
    for source in SOURCES:
        eval_set = EvalSet.of_file(files[source]["test"], data / SOURCES[source][1], skeleton=model.skeleton)
        people = sum(len(eval_set.people(i)) for i in range(len(eval_set.dataset)))
        lines.append(row(f"{source}, labels through the codec", self_test(model, eval_set).evaluation, people))
        lines.append(row(f"{source}, flip test", evaluate(model, eval_set, InferenceSettings.of(model)), people))
        lines.append(
            row(f"{source}, no flip", evaluate(model, eval_set, replace(InferenceSettings.of(model), flip=False)), people)
        )
    text = "\n".join(
        ("| test set | people | pck@0.05 | pck@0.1 | pck@0.2 | AP | AP .5 | AP .75 | AR |", "|" + "---|" * 9, *lines)
    )
    summary = {"model": flags.model, "minutes": flags.minutes, "wall_minutes": round((time.monotonic() - started) / 60, 1)}
    (flags.out / "accuracy.md").write_text(f"{text}\n\n{json.dumps(summary)}\n")
    print(text)


if __name__ == "__main__":
    main()
