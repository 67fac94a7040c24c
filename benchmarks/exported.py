"""Every kind of model that can be exported, in ONNX Runtime and in OpenVINO: how far its keypoints are from PyTorch's.

    python benchmarks/exported.py                       # the smallest model of each family and codec, and codecs of no release
    python benchmarks/exported.py --all                 # every model of the zoo: hours of one core
    python benchmarks/exported.py --models hrnet_w48_coco_384x288 mspn_4stg_coco_256x192

Weights are random, with outputs scaled to a highest value of 1, since maps that are 1e-10 high are read out of rounding, and
box heads are made sure of something, so that there are people. Views of drawn people. A cell has the largest distance of a
keypoint (and of the corners of a detector's boxes), pixels of the view, read by the file itself and by poise from its outputs.
Rows that stand in the table already are not made again.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import torch
import tyro
from torch import nn

from poise.codecs.registry import codec_types
from poise.errors import PoiseError
from poise.exporting.views import drawn_views
from poise.exporting.write import Exporting, export
from poise.models.base import ImageModel, Model
from poise.models.dense import DenseModel
from poise.models.one_stage import OneStage
from poise.models.require import require_image
from poise.nn.heads.roi import BoxPredictor
from poise.zoo import build
from poise.zoo.cost import model_costs
from poise.zoo.find import families, family_of

HEAD = ["| model | codec | ONNX Runtime | OpenVINO |", "|---|---|---|---|"]

CONFIDENT = 0.3
"""Deviation of the weights of class logits of boxes."""

OTHERS = "poise_t_coco_192x160"
"""Network on which codecs stand that no release has."""


def every() -> Iterator[str]:
    """Names of all models, those with the fewest multiply-adds first."""
    listed = [release.name for family in families().values() for release in family.releases]
    cost = model_costs(listed)
    yield from sorted(listed, key=lambda name: cost[name].multiply_adds)


def smallest() -> Iterator[str]:
    """The first model of each family and codec, and before them one of each codec that no release has, as `NAME CODEC`."""
    found = list(_first())
    with_codec = {codec for _, codec in found}
    yield from (f"{OTHERS} {codec}" for codec in codec_types() if codec not in with_codec)
    yield from (name for name, _ in found)


def _first() -> Iterator[tuple[str, str]]:
    seen: set[tuple[str, str]] = set()
    for name in every():
        with torch.device("meta"):
            codec = codec_name(build(name))
        if (family_of(name).paper, codec) not in seen:
            seen.add((family_of(name).paper, codec))
            yield name, codec


def codec_name(model: Model) -> str:
    """Class of a model's codec; "" without keypoints."""
    codec = getattr(model, "codec", None)
    return "" if codec is None else type(codec).__name__


def ready(name: str) -> ImageModel:
    """The model of a name, with weights that find something: a highest output of 1, and boxes of some confidence."""
    own, _, codec = name.partition(" ")
    torch.manual_seed(0)
    model = require_image(build(own, codec=codec or None).eval())
    for layer in model.network.modules():
        if isinstance(layer, BoxPredictor):
            nn.init.normal_(layer.cls_score.weight, std=CONFIDENT)
    if not isinstance(model, DenseModel) or isinstance(model, OneStage):
        return model
    views = drawn_views(model)
    with torch.inference_mode():
        top = float(model(views).abs().max())
    for path, layer in model.network.named_modules():
        last = "final" in path.split(".") and isinstance(layer, nn.Conv2d | nn.Linear)
        for weight in layer.parameters(recurse=False) if last else ():
            weight.data.div_(top)
    return model


def row(name: str, folder: Path) -> str:
    """A row of the table."""
    try:
        model = ready(name)
        views = drawn_views(model)
    except PoiseError as error:
        return f"| {name} | | {error} | |"
    cells = [cell(model, folder / f"model.{ending}", views) for ending in ("onnx", "xml")]
    return f"| {name.partition(' ')[0]} | {codec_name(model)} | {cells[0]} | {cells[1]} |"


def cell(model: ImageModel, file: Path, views: torch.Tensor) -> str:
    """The difference in one runtime; with decoding outside of the file where it has to be."""
    began, said = time.perf_counter(), ""
    for decode, note in ((True, ""), (False, " (decoded by poise)")):
        try:
            made = export(model, file, exporting=Exporting(decode=decode), views=views)
        except PoiseError as error:
            said = said or str(error).split(";")[0]
            print(f"  {file.suffix}: {error}", flush=True)
            continue
        print(f"  {file.suffix} {time.perf_counter() - began:.0f} s", flush=True)
        return ("equal outputs" if made.pixels is None else f"{made.pixels:.1e}") + note
    return f"not written: {said[:120]}"


def main(
    models: tuple[str, ...] = (),
    out: Path = Path("runs/exported.md"),
    *,
    whole: Annotated[bool, tyro.conf.arg(name="all")] = False,
) -> None:
    """Write the table.

    Args:
        models: Names of models, or `"NAME CODEC"`; by default the smallest of each family and codec.
        out: The table.
        whole: Every model.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    lines = out.read_text().splitlines() if out.exists() else HEAD
    with TemporaryDirectory() as folder:
        for name in models or (every() if whole else smallest()):
            own, _, codec = name.partition(" ")
            if any(line.startswith(f"| {own} | {codec}") for line in lines):
                continue
            print(name, flush=True)
            lines.append(row(name, Path(folder)))
            out.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    tyro.cli(main)
