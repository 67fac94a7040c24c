"""The parts of `poise demo` that make no decision: drawing, clearing, writing what was found."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from rich.progress import track

from poise.cli._print import cell
from poise.data.figures import FigureDataset, write_coco
from poise.data.images import write_image
from poise.errors import PoiseError, WriteError
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import Evaluation
from poise.inference.request import ImageRequest
from poise.inference.settings import InferenceSettings
from poise.inference.stream import find_poses
from poise.models.base import PoseModel
from poise.models.require import require_top_down
from poise.reading import read_json
from poise.recipes.demo import DRAWN
from poise.skeletons import Skeleton
from poise.structures import Poses, Sample
from poise.terminal import Console
from poise.training.result import RunResult
from poise.transforms.person_crop import PersonCrop
from poise.transforms.render import denormalise
from poise.viz.draw import AnyPixels, beside, draw_people, titled
from poise.viz.maps import grid, max_over_keypoints, overlay
from poise.viz.report import Report
from poise.weights.cache import PEOPLE, shipped
from poise.weights.model_file import load, save
from poise.writing import DRAFT, LOCK, check_target, write_atomic

SHOWN = 12
"""Pictures of labels beside predictions."""

MARKER = ".poise-demo"
"""Name of the file that says which files of its folder a demo made."""

FOLDERS = ("data", "pictures", "run")
"""Folders that a demo makes."""

MADE = (
    *("metrics.json", "model.safetensors", "report.html", "pictures/*.png", "data/annotations.json", "data/images/*.jpg"),
    *("run/settings.json", "run/metrics.csv", "run/model.safetensors", "run/checkpoints/last.ckpt", "run/pictures/epoch-*.png"),
    "run/tensorboard/events.*",
)
"""Patterns of the files of a demo, for one that was killed before its marker listed them."""


def check_folder(out: Path) -> None:
    """Refuse a folder that holds anything but what an earlier demo made, as its marker says.

    Raises:
        WriteError: It does, or it is no folder.
    """
    if not out.is_dir():
        return check_target(out, flag="--out")
    made = _made(out)
    strange = [name for name in _files(out) if name not in made]
    if strange:
        raise WriteError(f"{str(out)!r} holds what no demo made ({', '.join(strange[:3])}); give a new folder with --out")
    return None


def clear(out: Path) -> None:
    """Delete what an earlier demo made in a folder, and mark it as a demo's.

    Raises:
        WriteError: It cannot be written, or holds something else.
    """
    check_folder(out)
    try:
        for name in sorted(_made(out) - {MARKER}):
            (out / name).unlink(missing_ok=True)
        for folder in sorted((path for top in FOLDERS for path in (out / top).rglob("*")), reverse=True):
            folder.rmdir()
        for top in FOLDERS:
            with suppress(FileNotFoundError):
                (out / top).rmdir()
    except OSError as error:
        raise WriteError(f"the folder {out} cannot be written ({error.strerror or error}); give another with --out") from error
    write_atomic(out / MARKER, b"{}\n")


def mark(out: Path) -> None:
    """Write into the marker which files the demo has made."""
    write_atomic(out / MARKER, (json.dumps({"files": _files(out)}, indent=1) + "\n").encode())


def _files(out: Path) -> list[str]:
    """Everything below a folder but folders, locks and drafts; links to folders are not followed."""
    return sorted(
        path.relative_to(out).as_posix()
        for folder, folders, files in os.walk(out)
        for path in (Path(folder) / name for name in (*files, *folders))
        if (path.is_symlink() or not path.is_dir()) and path.name not in (LOCK, MARKER) and not path.match(DRAFT)
    )


def _made(out: Path) -> set[str]:
    """Files of an earlier demo in a folder, drafts included; none where it left no marker."""
    try:
        marker = read_json(out / MARKER, what="marker")
        named = (
            set(marker["files"]) if "files" in marker else {p.relative_to(out).as_posix() for g in MADE for p in out.glob(g)}
        )
    except (PoiseError, TypeError, KeyError):
        return set()
    inside = {name for name in _files(out) if name in named}
    return inside | {path.relative_to(out).as_posix() for path in out.rglob(DRAFT) if path.is_file()}


def with_progress(samples: Iterable[Sample], total: int) -> Iterable[Sample]:
    """The samples, with a progress bar on stderr where that is a terminal."""
    console = Console(stderr=True)
    return track(samples, description="drawing", total=total, console=console, disable=not console.is_terminal, transient=True)


def draw_test(out: Path, count: int, *, seed: int) -> Path:
    """Write the unseen drawings as a COCO-style data set; its annotation file comes back."""
    return write_coco(FigureDataset(count, size=DRAWN, seed=seed), out / "data")


def finish(
    out: Path,
    trained: RunResult,
    eval_set: EvalSet,
    found: Evaluation,
    setting: InferenceSettings,
    *,
    begun: str,
    seconds: float,
) -> None:
    """Write model file, figures, pictures and report, which says how the model began."""
    model = require_top_down(trained.model)
    save(model, out / "model.safetensors")
    numbers = found.numbers | {"images": len(eval_set.dataset), "seconds": round(seconds, 1)}
    write_atomic(out / "metrics.json", (json.dumps(numbers, indent=2) + "\n").encode())
    pairs, answers = [], []
    shown = range(min(SHOWN, len(eval_set.dataset)))
    panels = {"found": _poses(model, eval_set, shown, setting)}
    if (place := shipped(PEOPLE)) is not None:  # what a model of photographs makes of drawings
        own = require_top_down(load(place))
        panels[own.card.name] = _poses(own, eval_set, shown, InferenceSettings.of(own, device=setting.device.type))
    for index in shown:
        sample = eval_set.dataset[index]
        pair = _pair(sample, {name: found[index] for name, found in panels.items()}, model.skeleton)
        write_image(out / "pictures" / sample.key.file_name.replace(".jpg", ".png"), pair)
        pairs.append((sample.key.file_name, pair))
    for index in shown[:3]:
        answers += _maps(model, eval_set.dataset[index])
    _report(trained, found, pairs, answers, begun=begun, seconds=seconds).write(out / "report.html")


def _reader(eval_set: EvalSet, index: int) -> Callable[[], UInt8[torch.Tensor, "3 H W"]]:
    return lambda: eval_set.dataset.image(index)


def _poses(model: PoseModel, eval_set: EvalSet, shown: Iterable[int], setting: InferenceSettings) -> list[Poses]:
    """The poses of a model in some of the drawings, in labelled boxes."""
    requests = [
        ImageRequest(eval_set.dataset.key(i), _reader(eval_set, i), eval_set.boxes(i, model.preprocess.crop)) for i in shown
    ]
    return [one.poses for one in find_poses(model, requests, setting)]


def _pair(sample: Sample, found: Mapping[str, Poses], skeleton: Skeleton) -> AnyPixels:
    """Labels beside the predictions of one model or several, by name."""
    image = np.ascontiguousarray(sample.image.permute(1, 2, 0).numpy())
    labels = sample.labels
    drawn = {"labels": draw_people(image, labels.xy, labels.visible, skeleton)}
    for name, poses in found.items():
        drawn[name] = draw_people(image, poses.xy.float(), poses.score.float(), skeleton)
    return beside([titled(picture, name) for name, picture in drawn.items()])


def _maps(model: PoseModel, sample: Sample) -> list[tuple[str, AnyPixels]]:
    """Targets and outputs of the network for one person."""
    view = PersonCrop(model.codec.size, model.preprocess, model.skeleton)(sample, 0)
    pixels = denormalise(view.image, model.preprocess).permute(1, 2, 0).contiguous().numpy()
    with torch.inference_mode():
        wanted = model.codec.picture(model.codec.encode(view.labels.xy.float()))[0]
        answer = model.codec.picture(model.eval()(view.image[None].contiguous()))[0]
    large = pixels.repeat(3, axis=0).repeat(3, axis=1)
    asked, answered = (
        titled(overlay(large, max_over_keypoints(m)), t) for m, t in ((wanted, "target maps"), (answer, "predicted maps"))
    )
    return [
        (f"{sample.key.file_name}: all keypoints together", beside([asked, answered])),
        (f"{sample.key.file_name}: predicted map of each keypoint", grid(answer, model.skeleton.keypoints, image=pixels)),
    ]


def _report(
    trained: RunResult,
    found: Evaluation,
    pairs: list[tuple[str, AnyPixels]],
    answers: list[tuple[str, AnyPixels]],
    *,
    begun: str,
    seconds: float,
) -> Report:
    checked = [row for row in trained.history if "val/loss" in row]
    columns = ("pck@0.05", "pck@0.1", "pck@0.2", "AP", "AR")
    sigmas = dict(zip(found.skeleton.keypoints, found.skeleton.sigmas, strict=True))
    rows: list[tuple[str | float, ...]] = [
        (name, *(cell(values[c]) for c in columns), sigmas[name]) for name, values in found.keypoints.items()
    ]
    return (
        Report("poise demo")
        .text(
            f"The model {trained.model.card.name} began {begun}, was trained on drawn people and measured on "
            f"{len(found.results)} people in drawings it had not seen; all of it took {seconds:.0f} seconds. pck@0.1 is the "
            f"share of keypoints found nearer than a tenth of the longer side of their box: {found.pck['pck@0.1']:.3f}."
        )
        .section("Training")
        .curve(
            "loss in training",
            [row["epoch"] for row in trained.history],
            {"training": [row["train/loss"] for row in trained.history]},
            xlabel="epoch",
        )
        .curve(
            "validation, ground-truth boxes",
            [row["epoch"] for row in checked],
            {name: [row[f"val/{name}"] for row in checked] for name in ("pck@0.1", "AP")},
            xlabel="epoch",
        )
        .section("Unseen drawings")
        .table(("", *found.numbers), [("all", *map(cell, found.numbers.values()))])
        .section("Every keypoint")
        .text("AP and AR are as if this keypoint alone were labelled.")
        .table(("keypoint", *columns, "sigma"), rows)
        .text(f"Sigmas of OKS, skeleton {found.skeleton.name}: {found.skeleton.sigma_source}.")
        .section("Labels and predictions")
        .pictures(pairs, width=360)
        .section("Maps")
        .pictures(answers, width=360)
    )
