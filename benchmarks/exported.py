"""Every kind of model that can be exported, in ONNX Runtime and in OpenVINO: how far its keypoints are from PyTorch's.

    python benchmarks/exported.py
    python benchmarks/exported.py --models hrnet_w48_coco_384x288 mspn_4stg_coco_256x192

The smallest listed model of each family by default. Weights are random, with outputs scaled to a highest value of 1, since maps
that are 1e-10 high are read out of rounding; with trained weights differences are smaller. Views of eight drawn people. A cell
has the largest distance of a keypoint, pixels of the view, read by the file itself and by poise from its outputs.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import tyro
from torch import nn

from poise.errors import PoiseError
from poise.exporting.views import drawn_views
from poise.exporting.write import Exporting, export
from poise.models.base import ImageModel
from poise.models.dense import DenseModel
from poise.models.require import require_image
from poise.zoo import build
from poise.zoo.cost import model_costs
from poise.zoo.find import families


def smallest() -> Iterator[str]:
    """The model with the fewest multiply-adds of each family."""
    for family in families().values():
        listed = [release.name for release in family.releases]
        cost = model_costs(listed)
        if listed:
            yield min(listed, key=lambda name: cost[name].multiply_adds)


def scaled(model: ImageModel) -> ImageModel:
    """The model with outputs of a highest value of 1."""
    if not isinstance(model, DenseModel):
        return model
    views = drawn_views(model)
    with torch.inference_mode():
        top = float(model(views).abs().max())
    for name, layer in model.network.named_modules():
        last = "final" in name.split(".") and isinstance(layer, nn.Conv2d | nn.Linear)
        for weight in layer.parameters(recurse=False) if last else ():
            weight.data.div_(top)
    return model


def row(name: str, folder: Path) -> str:
    """A row of the table."""
    torch.manual_seed(0)
    cells = []
    try:
        model = scaled(require_image(build(name).eval()))
        views = drawn_views(model)
    except PoiseError as error:
        return f"| {name} | {error} | |"
    for ending in ("onnx", "xml"):
        cells.append(cell(model, folder / f"model.{ending}", views))
    return f"| {name} | {cells[0]} | {cells[1]} |"


def cell(model: ImageModel, file: Path, views: torch.Tensor) -> str:
    """The difference in one runtime; with decoding outside of the file where it has to be."""
    began = time.perf_counter()
    for decode, note in ((True, ""), (False, " (decoded by poise)")):
        try:
            made = export(model, file, exporting=Exporting(decode=decode), views=views)
        except PoiseError as error:
            said = str(error).split(";")[0]
            continue
        print(f"  {file.suffix} {time.perf_counter() - began:.0f} s", flush=True)
        return ("equal maps" if made.pixels is None else f"{made.pixels:.1e}") + note
    return f"none: {said[:120]}"


def main(models: tuple[str, ...] = (), out: Path = Path("runs/exported.md")) -> None:
    """Write the table.

    Args:
        models: Names of models; by default the smallest of each family.
        out: The table.
    """
    lines = ["| model | ONNX Runtime | OpenVINO |", "|---|---|---|"]
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        for name in models or smallest():
            print(name, flush=True)
            lines.append(row(name, Path(folder)))
            out.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    tyro.cli(main)
