"""What aligned views, people without alignment keypoints, padding, shape and codec change, one at a time, at equal budget.

    python benchmarks/aligned.py --out runs/aligned                      # every row that is not there yet, then the table
    python benchmarks/aligned.py --out runs/aligned --only base  # one of them
    python benchmarks/aligned.py --out runs/aligned --table-only

Two sets of people. "drawn": figures turned by any angle, of whom four in ten lack the label of a hip or a shoulder. "coco":
`$POISE_DATA/coco-subset` and `$POISE_DATA/coco-more`; images of the first whose id divides by 3 are for the test, all others
for training. `poise_t` sees views of 64x64; rows whose step costs more take fewer (`aligned_rows.py`), so that each has about
the same processor time of one thread. All rows of a set and a network start from one training in upright views that are turned
(one standard deviation is 60 degrees): of the same figures, and of the athletes of `$POISE_DATA/lspet`.

Each row is written to OUT/SET/ROW.json as it is done; OUT/aligned.md has the table: AP with labelled boxes of everybody, of
predictions filtered, of both filtered, of masked ground truth, and the ceiling, as `poise evaluate --alignment` prints them.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import tyro
from aligned_rows import ROWS, SIZE, STARTS, Way
from numpy.typing import NDArray

from poise.analysis.alignment import AlignmentScores, alignment_scores
from poise.data.aligned import AlignedDataset
from poise.data.cached import CachedDataset
from poise.data.document import read_document, write_document
from poise.data.figures import FigureDataset
from poise.data.figures.export import write_coco
from poise.data.split import select_images
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import evaluate
from poise.inference.settings import InferenceSettings
from poise.models.aligned import AlignedTopDown
from poise.models.require import require_top_down
from poise.recipes.finetune import TopDownOptions
from poise.skeletons.alignment import BodyAxis
from poise.training.fit import fit
from poise.weights.model_file import load

STEPS, START_STEPS = 300, 1000
"""Steps of 32 views of 64x64 of a row, and of the common start."""

Files = dict[str, tuple[list[Path], list[Path]]]
"""Annotation files and folders of images, for "train" and "test"."""


def drawn(folder: Path) -> Files:
    """Figures turned by any angle around the middle of their image; four in ten lack the label of a shoulder or a hip."""
    found: Files = {}
    for part, count, seed in (("train", 2400, 11), ("test", 300, 12)):
        target = folder / part
        if not (target / "turned.json").exists():
            turn(write_coco(FigureDataset(count, size=(144, 144), seed=seed), target), target, seed=seed)
        found[part] = ([target / "turned.json"], [target / "images"])
    return found


def turn(annotations: Path, folder: Path, *, seed: int) -> None:
    """Turn each image of one figure and its labels; make boxes from the keypoints; take labels of the alignment away."""
    rng, document = np.random.default_rng(seed), read_document(annotations)
    files = {image["id"]: folder / "images" / image["file_name"] for image in document["images"]}
    for person in document["annotations"]:
        file = files[person["image_id"]]
        image = cv2.imread(str(file))
        assert image is not None
        height, width = image.shape[:2]
        middle, angle = (width / 2 - 0.5, height / 2 - 0.5), float(rng.uniform(-180, 180))
        matrix = cv2.getRotationMatrix2D(middle, angle, 0.8).astype(np.float64)
        cv2.imwrite(str(file), cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101))
        person |= turned_labels(person, matrix, rng)
        person.pop("segmentation", None)
    write_document(document, folder / "turned.json")


def turned_labels(person: dict[str, Any], matrix: NDArray[np.float64], rng: np.random.Generator) -> dict[str, Any]:
    rows = np.array(person["keypoints"], dtype=np.float64).reshape(-1, 3)
    rows[:, :2] = np.where(rows[:, 2:] > 0, rows[:, :2] @ matrix[:, :2].T + matrix[:, 2], 0)
    low, high = rows[rows[:, 2] > 0, :2].min(axis=0), rows[rows[:, 2] > 0, :2].max(axis=0)
    margin = 0.05 * (high - low).max()
    if rng.random() < 0.4:
        rows[rng.choice((5, 6, 11, 12))] = 0
    box = [*(low - margin).tolist(), *(high - low + 2 * margin).tolist()]
    scale = abs(np.linalg.det(matrix[:, :2]))
    count = int((rows[:, 2] > 0).sum())
    return {"keypoints": rows.ravel().tolist(), "num_keypoints": count, "bbox": box, "area": person["area"] * scale}


def coco(folder: Path) -> Files:
    """Photographs of COCO; the two parts have no image in common."""
    data = Path(os.environ["POISE_DATA"])
    whole = read_document(data / "coco-subset/annotations/person_keypoints_train2017.json")
    ids = {image["id"] for image in whole["images"]}
    rules: dict[str, Callable[[int], bool]] = {"train": lambda n: n % 3 != 0, "test": lambda n: n % 3 == 0}
    folder.mkdir(parents=True, exist_ok=True)
    for part, rule in rules.items():
        write_document(select_images(whole, {i for i in ids if rule(i)}), folder / f"{part}.json")
    images = data / "coco-subset/images"
    more = read_document(data / "coco-more/annotations.json")
    write_document(select_images(more, {i["id"] for i in more["images"]} - ids), folder / "more.json")
    pictures = data / "coco-more" / ("images" if (data / "coco-more/images").is_dir() else "")
    return {
        "train": ([folder / "train.json", folder / "more.json"], [images, pictures]),
        "test": ([folder / "test.json"], [images]),
    }


MAKE = {"drawn": drawn, "coco": coco}


def options(way: Way, train: tuple[list[Path], list[Path]], test: tuple[list[Path], list[Path]]) -> TopDownOptions:
    chosen: dict[str, Any] = {
        "model": "poise_t",
        "size": SIZE,
        "align": "rotated",
        "missing": "mask",
        "rotation": 20.0,
        **way.options,
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    return TopDownOptions(annotations=train[0], images=train[1], val_annotations=test[0], val_images=test[1], **given)


def train(made: TopDownOptions, out: Path, *, steps: int, start: Path | None) -> float:
    """Train for a number of steps, and return the seconds of processor time of that."""
    recipe = made.recipe()
    data = recipe.train
    if isinstance(data, AlignedDataset):
        data.dataset = CachedDataset(data.dataset, processes=0)
    else:
        data = CachedDataset(data, processes=0)
    epochs = max(1, round(steps * 32 / len(data.people())))
    recipe = replace(recipe, train=data, val=None, epochs=epochs, average=0.99, optimizer=replace(recipe.optimizer, rate=2e-3))
    began = time.process_time()
    fit(recipe, out=out, seed=0, workers=0, steps=steps, start=start, loggers=())
    return time.process_time() - began


def measure(file: Path, test: tuple[list[Path], list[Path]], *, flip: bool) -> dict[str, Any]:
    model = require_top_down(load(file))
    eval_set = EvalSet.of_file(test[0][0], test[1][0], skeleton=model.skeleton)
    axis = model.preprocess.axis if isinstance(model, AlignedTopDown) else BodyAxis()
    found = evaluate(model, eval_set, InferenceSettings.of(model, flip=flip, workers=0))
    return numbers(alignment_scores(eval_set, found, axis)) | {"pck@0.1": round(found.numbers["pck@0.1"], 4)}


def numbers(scores: AlignmentScores) -> dict[str, Any]:
    rows = {name: {n: round(v, 4) for n, v in one.numbers.items()} for name, one in scores.rows.items()}
    return {"people": scores.people, "kept": scores.kept, "ceiling": scores.ceiling, "missing": dict(scores.missing)} | rows


def start_of(out: Path, which: str, name: str, files: Files) -> Path:
    """The common start of rows of a set: people seen at any angle, in upright views."""
    folder = out / which / name
    if not (folder / "done").exists():
        data = Path(os.environ["POISE_DATA"]) / "lspet"
        athletes = ([data / "person_keypoints_train.json"], [data / "images"])
        way = Way(name, {"align": None, "missing": None, "rotation": 60.0, **STARTS[name]})
        shutil.rmtree(folder, ignore_errors=True)
        made = options(way, athletes if which == "coco" else files["train"], files["test"])
        train(made, folder, steps=START_STEPS, start=None)
        (folder / "done").touch()
    return folder / "model.safetensors"


def row(out: Path, which: str, way: Way, files: Files) -> None:
    """Train and measure one row, unless that is done."""
    done = out / which / f"{way.name}.json"
    if done.exists():
        return
    folder = out / which / way.name
    shutil.rmtree(folder, ignore_errors=True)
    start = start_of(out, which, way.start, files)
    seconds = train(options(way, files["train"], files["test"]), folder, steps=round(STEPS * way.share), start=start)
    file = folder / "model.safetensors"
    found = {name: measure(file, files["test"], flip=flip) for name, flip in (("flip", True), ("no flip", False))}
    done.write_text(json.dumps({"seconds": round(seconds, 1), "share": way.share} | found, indent=1) + "\n")


def table(out: Path, which: str) -> str:
    head = [
        "row",
        "seconds",
        "pck@0.1",
        "AP",
        "AP50",
        "AP, no flip test",
        "predictions filtered",
        "both filtered",
        "masked",
        "ceiling",
    ]
    lines: list[Sequence[str]] = [head, ["---"] * len(head)]
    for way in ROWS:
        file = out / which / f"{way.name}.json"
        if file.exists():
            lines.append([way.name, *cells(json.loads(file.read_text()))])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cells(found: dict[str, Any]) -> list[str]:
    flip, names = found["flip"], ("predictions filtered", "predictions and ground truth filtered", "ground truth masked")
    values = [flip["pck@0.1"], flip["everybody"]["AP"], flip["everybody"]["AP50"], found["no flip"]["everybody"]["AP"]]
    values += [*(flip[name]["AP"] for name in names), flip["ceiling"]]
    return [f"{found['seconds']:.0f}", *(f"{value:.3f}" for value in values)]


def main(out: Path, sets: tuple[str, ...] = ("drawn", "coco"), only: tuple[str, ...] = (), table_only: bool = False) -> None:
    """Train and measure the rows.

    Args:
        out: Folder of all results.
        sets: Which people: drawn, coco or both.
        only: Names of rows; by default all.
        table_only: Write the table of what is there.
    """
    torch.set_num_threads(1)
    for which in () if table_only else sets:
        files = MAKE[which](out / which / "data")
        for way in ROWS:
            if not only or way.name in only:
                row(out, which, way, files)
    text = "\n\n".join(f"## {which}\n\n{table(out, which)}" for which in ("drawn", "coco"))
    (out / "aligned.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    tyro.cli(main)
