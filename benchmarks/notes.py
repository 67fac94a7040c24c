"""The long lines of docs/notes.md on small data: each network as the line names it, on small views, for equally many steps.

    python benchmarks/notes.py --out runs/notes                            # every line that is not done yet
    python benchmarks/notes.py --out runs/notes --only cpn cpn_height1     # two of them

Reads `$POISE_DATA/lspet` (athletes; the 12 of their joints that COCO has, under COCO's names) and `$POISE_DATA/coco-subset`,
written as COCO 2017 unpacks: people whose image's id ends in 9 are `val2017`, all others `train2017`. Lines for whole images
have drawings of one or two people; series of epochs have drawings of one, which a network learns from nothing in minutes. A
line trains from nothing for the steps of its comparison, in batches of 16 at a rate of about 1e-3 a step (a series begins at
2e-3), and its model is read in every way that the notes tell, with labelled boxes. What a training costs is time of the
processor, one thread, so that others who use the machine do not matter. OUT/NAME/row.json keeps a line, OUT/notes.md is the
table.
"""

import json
import os
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import tyro

from poise.cli.main import main as poise
from poise.data.document import read_document, write_document
from poise.skeletons import COCO17

SOURCES = (
    ("lspet/person_keypoints_train.json", "lspet/images"),
    ("coco-subset/annotations/person_keypoints_train2017.json", "coco-subset/images/train2017"),
)
SIZE = "--size 64 64"
COMMON = f"--batch 16 --no-pretrained {SIZE}"
PLAIN, FLIP = {"flip": ""}, {"flip": "", "no flip": "--no-flip"}
STEPS = 80
"""Of a line; a stage of LPN has as many."""

FEW, SERIES = 400, 10
"""Images of a series of epochs, and its epochs; tf-cpn's schedule halves the rate every second one."""

TORCH = ("--runtime", "torch", "--workers", "0")
"""Words of `poise evaluate`: few people are not worth compiling a network for."""

NUMBERS = ("pck@0.05", "pck@0.1", "AP")


@dataclass(frozen=True)
class Line:
    """A line of the notes.

    Attributes:
        says: What it is.
        words: Words of `poise train`, but for data, steps and folder.
        steps: Steps of training; the same for all lines of a comparison.
        tests: By name, the words of `poise evaluate` that read its model.
        data: `athletes`, `drawn` (few drawn people as COCO 2017 unpacks, so that an epoch is short) or `drawings`.
        epochs: Epochs, in place of steps; every second one is kept and read.
    """

    says: str
    words: str
    steps: int
    tests: Mapping[str, str] = field(default_factory=lambda: PLAIN)
    data: str = "athletes"
    epochs: int | None = None


def _lpn(attention: str, depth: int = 50) -> Line:
    words = f"lpn --depth {depth} --attention {attention} --batch 16 --rate 2e-3 {SIZE}"
    return Line(f"LPN-{depth}, `--attention {attention}`", words, STEPS)


def _scenes(loss: str, **tests: str) -> Line:
    words = f"finetune --model poise_scene_t --size 160 160 --batch 16 --rate 2e-3 --codec-set cost.heat={loss}"
    return Line(
        f"OffsetGuided, `cost.heat={loss}`", words, 2 * STEPS, {"upsampled": "--reading upsampled", **tests}, "drawings"
    )


def _series(says: str, more: str = "") -> Line:
    words = f"cpn {COMMON} --rate 4e-3 --milestones {' '.join(map(str, range(2, SERIES, 2)))}{more}"
    return Line(f"{says}, epochs", words, SERIES * 4 * FEW // 16, PLAIN, "drawn", SERIES)


LINES: Mapping[str, Line] = {
    "simple": Line("Simple Baselines, ResNet-50", f"simple_baseline {COMMON} --rate 8e-3", STEPS, FLIP),
    "hrnet": Line("HRNet-W32", f"hrnet {COMMON} --rate 8e-3", STEPS, FLIP),
    "lpn_none": _lpn("none"),
    "lpn_gc": _lpn("gc"),
    "lpn_gc_avg_mul": _lpn("gc_avg_mul"),
    "lpn_101": _lpn("gc", 101),
    "lpn_152": _lpn("gc", 152),
    "dark": Line("DARK, HRNet-W32", f"dark --network hrnet_w32 {COMMON} --rate 8e-3", STEPS, FLIP),
    "udp": Line("UDP offsets, HRNet-W32", f"udp --network hrnet_w32 --target offset {COMMON} --rate 8e-3", STEPS, FLIP),
    "mspn": Line("MSPN, 1 stage", f"mspn --network-stages 1 {COMMON} --rate 1e-3", STEPS, FLIP),
    "rsn": Line("RSN-18", f"rsn --kind rsn18 --batch 16 --rate 1e-3 {SIZE}", STEPS, FLIP),
    "hourglass": Line("hourglass of 4 stacks", f"hourglass --stacks 4 --batch 16 --rate 1e-3 {SIZE}", STEPS, FLIP),
    "cpn": Line("CPN, ResNet-50, height 255", f"cpn {COMMON} --rate 1e-3", STEPS, FLIP),
    "cpn_height1": Line("the same, `--height 1 --weight 1`", f"cpn {COMMON} --rate 1e-3 --height 1 --weight 1", STEPS, FLIP),
    "cpn_series": _series("CPN, height 255"),
    "cpn_series_height1": _series("CPN, `--height 1 --weight 1`", " --height 1 --weight 1"),
    "og_focal": _scenes("focal", cells="--reading cell"),
    "og_l2": _scenes("l2", cells="--reading cell", fit="--reading fit1", fit_sigma="--reading fit1-sigma"),
}


def run(*words: str) -> None:
    """A command of poise, which must end well."""
    code = poise(list(words))
    if code:
        raise SystemExit(code)


def athletes(folder: Path, *, tested: int) -> None:
    """Write both sources as COCO 2017 unpacks, with COCO's keypoints, unless that is done.

    Args:
        folder: Folder of the data.
        tested: Most images of `val2017`.
    """
    data = Path(os.environ["POISE_DATA"])
    parts: dict[str, dict[str, Any]] = {}
    for part in ("train2017", "val2017"):
        (folder / part).mkdir(parents=True, exist_ok=True)
        category = {"id": 1, "name": "person", "keypoints": list(COCO17.keypoints), "skeleton": []}
        parts[part] = {"images": [], "annotations": [], "categories": [category]}
    for annotations, images in SOURCES:
        document = read_document(data / annotations)
        names = document["categories"][0]["keypoints"]
        places = [names.index(name) if name in names else None for name in COCO17.keypoints]
        numbers = {}
        for image in document["images"]:
            part = "val2017" if image["id"] % 10 == 9 else "train2017"
            if part == "val2017" and len(parts[part]["images"]) >= tested:
                continue
            numbers[image["id"]] = (part, len(parts[part]["images"]) + 1)
            parts[part]["images"].append(dict(image) | {"id": numbers[image["id"]][1]})
            link = folder / part / image["file_name"]
            if not link.exists():
                link.symlink_to(data / images / image["file_name"])
        for one in document["annotations"]:
            if one["image_id"] not in numbers:
                continue
            part, number = numbers[one["image_id"]]
            points = [one["keypoints"][3 * place : 3 * place + 3] if place is not None else [0, 0, 0] for place in places]
            flat = [value for point in points for value in point]
            own = {"id": len(parts[part]["annotations"]) + 1, "image_id": number, "category_id": 1, "keypoints": flat}
            seen = {"num_keypoints": sum(value > 0 for value in flat[2::3])}
            parts[part]["annotations"].append(dict(one) | own | seen)
    for part, document in parts.items():
        write_document(document, folder / "annotations" / f"person_keypoints_{part}.json")


def drawings(folder: Path, how: str = "--size 160 160 --per-image 1 2", learnt: int = 800) -> None:
    """Draw people to learn from and to test on, unless that is done.

    Args:
        folder: Folder of both.
        how: Words of `poise data draw`; one or two people an image.
        learnt: Images to learn from.
    """
    for part, count, seed in (("train", learnt, 1), ("val", 150, 2)):
        if not (folder / part / "annotations.json").exists():
            words = f"--kind people {how} --count {count} --seed {seed}"
            run("data", "draw", *shlex.split(words), "--out", str(folder / part))


def as_coco(folder: Path) -> None:
    """Drawings (above) as COCO 2017 unpacks, unless that is done."""
    (folder / "annotations").mkdir(exist_ok=True)
    for part in ("train", "val"):
        for link, file in ((f"{part}2017", "images"), (f"annotations/person_keypoints_{part}2017.json", "annotations.json")):
            if not (folder / link).exists():
                (folder / link).symlink_to((folder / part / file).resolve())


def files(data: Path, line: Line) -> tuple[list[str], list[str]]:
    """The words that name what a line learns from, and those that name what it is tested on."""
    if line.data == "drawings":
        train, val = (data / "drawings" / part for part in ("train", "val"))
        learnt = ["--annotations", str(train / "annotations.json"), "--images", str(train / "images")]
        learnt += ["--val-annotations", str(val / "annotations.json"), "--val-images", str(val / "images")]
        return learnt, ["--annotations", str(val / "annotations.json"), "--images", str(val / "images")]
    folder = data / line.data
    labels = folder / "annotations" / "person_keypoints_val2017.json"
    return ["--data", str(folder)], ["--annotations", str(labels), "--images", str(folder / "val2017")]


def make(name: str, out: Path, *, share: float) -> None:
    """Train and read a line, unless that is done.

    Args:
        name: Of the line.
        out: Folder of all lines.
        share: Share of the line's steps that is trained.
    """
    line, folder = LINES[name], out / name
    if (folder / "row.json").exists():
        return
    learnt, tested = files(out / "data", line)
    steps = max(round(line.steps * share), 1)
    begun = time.process_time()
    length = ["--steps", str(steps)]
    if line.epochs is not None:
        steps, length = line.steps, ["--epochs", str(line.epochs), "--snapshots", "2"]
    words = [*shlex.split(line.words), *learnt, *length, "--workers", "0", "--logger", "csv"]
    run("train", *words, "--out", str(folder))
    spent = time.process_time() - begun
    scores: dict[str, Any] = {}
    for test, more in line.tests.items():
        found = folder / f"{test}.json"
        if line.epochs is not None:
            run("evaluate", str(folder), "--snapshots", *tested, *shlex.split(more), *TORCH, "--out", str(found))
            rows = json.loads(found.read_text())["snapshots"]
            scores |= {f"epoch {row['epoch']}": row["scores"] for row in rows}
            continue
        run("evaluate", str(folder / "model.safetensors"), *tested, *shlex.split(more), *TORCH, "--out", str(found))
        scores[test] = json.loads(found.with_suffix(".scores.json").read_text())["scores"]
    (folder / "row.json").write_text(json.dumps({"steps": steps, "seconds": spent, "scores": scores}, indent=1) + "\n")


def table(out: Path) -> str:
    """A row for each line that is done and each way in which its model is read."""
    head = ("line", "steps of 16", "processor s", "read", *NUMBERS)
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name, line in LINES.items():
        if not (file := out / name / "row.json").exists():
            continue
        row = json.loads(file.read_text())
        for number, (test, scores) in enumerate(row["scores"].items()):
            start = (f"{line.says} (`{name}`)", str(row["steps"]), f"{row['seconds']:.0f}") if number == 0 else ("", "", "")
            cells = (*start, test, *(f"{scores[n]:.3f}" if n in scores else "" for n in NUMBERS))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join((*lines, ""))


def main(*, out: Path, only: tuple[str, ...] = tuple(LINES), share: float = 1.0, tested: int = 150) -> None:
    """Make the lines that are not done, write OUT/notes.md.

    Args:
        out: Folder of data and lines.
        only: Names of lines.
        share: Share of every line's steps that is trained.
        tested: Most photographs to test on.
    """
    torch.set_num_threads(1)
    athletes(out / "data" / "athletes", tested=tested)
    drawings(out / "data" / "drawings")
    drawings(out / "data" / "drawn", "--size 96 96", FEW)
    as_coco(out / "data" / "drawn")
    for name in only:
        make(name, out, share=share)
        (out / "notes.md").write_text(table(out))
    print(table(out))


if __name__ == "__main__":
    tyro.cli(main)
