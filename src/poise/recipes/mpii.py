"""The releases' runs on MPII: those of Simple Baselines, HRNet, LPN, DARK and UDP differ in network and schedule alone."""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from poise.data.mpii import MpiiDataset
from poise.errors import ReadError
from poise.models.require import require_pose
from poise.notes import note
from poise.recipes.base import Optimizer, Recipe
from poise.recipes.coco import BASELINE_STEPS, HRNET_STEPS
from poise.training.pckh_task import PCKH, PckhTask
from poise.training.task import ModelTask
from poise.transforms.jitter import Augmentation
from poise.zoo.find import build, releases

Net = Literal[
    "poseresnet_50", "poseresnet_101", "poseresnet_152", "hrnet_w32", "hrnet_w48", "lpn_50_gc", "lpn_101_gc", "lpn_152_gc",
    "darkpose_hrnet_w32", "udp_hrnet_w32_gaussian", "udp_hrnet_w32_offset",
]  # fmt: skip

VIEWS = Augmentation(scale=0.25, rotation=30.0)
"""Views of all these releases on MPII; no half bodies."""


def mpii(
    *,
    data: Path,
    network: Net = "hrnet_w32",
    size: tuple[int, int] = (256, 256),
    heads: Path | None = None,
    pretrained: bool = True,
    batch: int = 128,
) -> Recipe:
    """A published network on MPII as its release trained it: 140 epochs (Simple Baselines), 150 (LPN) or 210 of Adam.

    For example:

        poise train mpii --data mpii --network hrnet_w32 --out runs/hrnet_w32_mpii

    Expected on MPII val, labelled people, flip test, at 256x256, PCKh@0.5: ResNet-50 0.885, ResNet-101 0.891, ResNet-152 0.896,
    HRNet-W32 0.903, LPN-50 0.886, DARK 0.906, UDP 0.904; no practitioner's figures are known. The authors trained on four GPUs
    of 32 people each, LPN's on one. Where head boxes are there (`annot/gt_valid.mat` of the usual archives, or a column
    `head_box` of the JSON), each validation prints MPII's table and the best model is that of the highest PCKh, without flip
    test; `poise evaluate --annotations valid.json --heads gt_valid.mat` measures it with.

    Args:
        data: Folder with `annot/train.json` and `annot/valid.json` of the usual archives, and MPII's `images`.
        network: Name of the network, the first part of its name in the zoo, such as hrnet_w32.
        size: Height and width of the views.
        heads: MPII's head boxes of the validation: gt_valid.mat, or MPII's own .mat; by default annot/gt_valid.mat of the data.
        pretrained: Start the backbone from ImageNet weights, as the authors did but for LPN's.
        batch: People per step.
    """
    name = f"{network}_mpii_{size[0]}x{size[1]}"
    known = releases().get(name)
    early = network.startswith(("poseresnet", "lpn"))
    lpn = network.startswith("lpn")
    wanted = "mpii-val/PCKh@0.5"
    train, val = part(data, "train"), part(data, "valid", heads=heads)  # before weights are asked for
    by_heads = val.all_heads is not None
    if not by_heads:
        note(f"{str(data)!r} has no head boxes, so the best model is that of the highest pck@0.1, not PCKh; give --heads")
    return Recipe(
        name="mpii",
        model=require_pose(build(name, pretrained=pretrained and not lpn)),
        train=train,
        val=val,
        epochs=150 if lpn else 140 if early else 210,
        batch=batch,
        base_batch=32 if lpn else 128,
        augmentation=VIEWS,
        optimizer=Optimizer("adam", rate=1e-3),
        schedule=BASELINE_STEPS if early else HRNET_STEPS,
        best=PCKH if by_heads else "pck@0.1",
        task=PckhTask if by_heads else ModelTask,
        expected={wanted: known.scores[wanted]} if known and wanted in known.scores and (pretrained or lpn) else {},
        notes="LPN starts from nothing, on one GPU of 32 people" if lpn else "4 GPUs of 32 people each in the release",
    )


def part(data: Path, name: str, *, heads: Path | None = None) -> MpiiDataset:
    """The people of `train` or `valid`.

    Args:
        data: Folder of the data set.
        name: Name of the part.
        heads: File of its head boxes; by default that beside its JSON, where there is one and it can be read.

    Raises:
        ReadError: There is no JSON of that part, or no images.
        MissingExtra: Head boxes are named, and scipy, which reads them, is not installed.
    """
    places = [data / "annot" / f"{name}.json", data / f"{name}.json"]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise ReadError(f"{data} holds no part {name!r} of MPII; expected annot/{name}.json there, and the images in images")
    beside = found.with_name(f"gt_{name}.mat")
    if heads is None and beside.is_file() and find_spec("scipy") is not None:
        heads = beside
    return MpiiDataset(found, data / "images", heads=heads)
